//! Java properties, with the line of each.

use std::collections::BTreeMap;

/// The properties of a file. Those that nobody asked for can be told in the end.
#[derive(Debug, Default)]
pub(super) struct Properties(BTreeMap<String, Property>);

#[derive(Debug)]
struct Property {
    value: String,
    line: usize,
    is_used: bool,
}

impl Properties {
    /// The value under the first of `keys` that there is, with its key and line.
    pub(super) fn take(&mut self, keys: &[String]) -> Option<(String, String, usize)> {
        let mut found = None;
        for key in keys {
            if let Some(property) = self.0.get_mut(key) {
                property.is_used = true;
                found.get_or_insert_with(|| (key.clone(), property.value.clone(), property.line));
            }
        }
        found
    }

    /// The keys that nobody asked for, in the order of the file.
    pub(super) fn unused(&self) -> Vec<(&str, usize)> {
        let unused = self.0.iter().filter(|(_, property)| !property.is_used);
        let mut unused: Vec<_> = unused.map(|(key, property)| (&**key, property.line)).collect();
        unused.sort_by_key(|(_, line)| *line);
        unused
    }
}

/// Reads a file as `java.util.Properties` does: the last of several equal keys counts.
///
/// # Errors
/// The line and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Properties, (usize, String)> {
    let mut properties = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let line = index + 1;
        let start = first.trim_start();
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while is_continued(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        let unescape = |text: &str| unescape(text).map_err(|message| (line, message));
        let property = Property { value: unescape(value.trim_end())?, line, is_used: false };
        properties.insert(unescape(key)?, property);
    }
    Ok(Properties(properties))
}

/// An odd number of backslashes at the end.
fn is_continued(line: &str) -> bool {
    line.chars().rev().take_while(|char| *char == '\\').count() % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    for (at, char) in line.char_indices() {
        if !is_escaped && (matches!(char, '=' | ':') || char.is_whitespace()) {
            let rest = line[at..].trim_start();
            return (&line[..at], rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start());
        }
        is_escaped = char == '\\' && !is_escaped;
    }
    (line, "")
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                plain.push(code.ok_or_else(|| format!("\\u{digits} is no character"))?);
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, key: &str) -> Option<String> {
        parse(text).unwrap().take(&[key.to_owned()]).map(|(_, value, _)| value)
    }

    #[test]
    fn keys_and_values_are_those_of_java() {
        let text =
            "# no\n! no\n a = b \nc:d\ne f g\nh\ni = j\\\n   k\nl\\=m = n\\u0041\\\\\na=last\n";
        for (key, expected) in
            [("a", "last"), ("c", "d"), ("e", "f g"), ("h", ""), ("i", "jk"), ("l=m", "nA\\")]
        {
            assert_eq!(value(text, key).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(value(text, "no"), None);
    }

    #[test]
    fn lines_and_mistakes_are_told() {
        let mut properties = parse("a=1\n\nb=2\nc=3\n").unwrap();
        assert_eq!(properties.take(&["x".to_owned(), "b".to_owned()]).unwrap().2, 3);
        assert_eq!(properties.unused(), [("a", 1), ("c", 4)]);
        assert_eq!(parse("a=1\nb=\\uZZZZ\n").unwrap_err().0, 2);
    }
}
