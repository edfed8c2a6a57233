//! The place of a mistake in a YAML file, shown with a caret, without ever showing a value that might be a secret.
//!
//! The parser's own renderer prints neighbouring lines; a password two lines above a misspelt key would be in the
//! output. Here one line is shown, and where it may hold a secret only its key.

/// The mark that stands for what is not shown.
const HIDDEN: &str = "…";

/// Fields of connections: told even where the rest of a line is not.
const FIELDS: [&str; 3] = ["mechanism", "username", "password"];

/// Who worded a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// We did, and know that it quotes no secret.
    Ours,
    /// The parser, which quotes what it dislikes.
    Parsers,
}

/// What went wrong, in the parser's words, without position and quoted text.
pub(super) fn message_of(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.split('\n').next().unwrap_or_default();
    // The position is told in front of the message.
    let text = text.find(" at line ").map_or(text, |end| &text[..end]);
    text.strip_prefix("error: ").unwrap_or(text).to_owned()
}

/// The message, and the line with a caret under `column`; both without what may be secret. Line and column count from 1.
pub(super) fn render(
    text: &str,
    line: u64,
    column: u64,
    message: &str,
    words: Words,
) -> (String, String) {
    let lines: Vec<&str> = text.lines().collect();
    let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let source = lines.get(index).copied().unwrap_or_default();
    let unknown_key = message.contains("unknown field");
    let (shown, message) = if unknown_key || may_hold_secret(&lines, index) {
        let (shown, hidden) = key_only(source);
        // The parser quotes the unknown key, which is what the user needs to see, and no value.
        (
            shown,
            if unknown_key || words == Words::Ours {
                message.to_owned()
            } else {
                without_words(message, hidden)
            },
        )
    } else {
        (source.to_owned(), message.to_owned())
    };
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0).min(shown.chars().count());
    let caret = " ".repeat(before);
    (message, format!("  {margin} |\n  {number} | {}\n  {margin} | {caret}^", printable(&shown)))
}

/// The line itself, a line it is nested in, or the line before it speaks of a secret.
fn may_hold_secret(lines: &[&str], index: usize) -> bool {
    let speaks = |line: &str| {
        let line = line.to_ascii_lowercase();
        let words = ["pass", "secret", "token", "pwd"];
        // A URL may hold user and password.
        let is_login = line.contains("://") && line.contains('@');
        is_login || words.iter().any(|word| line.contains(word))
    };
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(line) = lines.get(index) else { return true };
    if speaks(line) {
        return true;
    }
    let mut above = lines[..index].iter().rev().filter(|line| !line.trim().is_empty());
    let mut depth = indent(line);
    let mut nearest = true;
    for line in &mut above {
        if (nearest || indent(line) < depth) && speaks(line) {
            return true;
        }
        nearest = false;
        depth = depth.min(indent(line));
    }
    false
}

/// The line up to its first key, and what was cut off; a line without a key is hidden whole.
fn key_only(line: &str) -> (String, &str) {
    let end = line
        .find(": ")
        .map(|index| index + 1)
        .or_else(|| line.trim_end().ends_with(':').then_some(line.len()));
    let Some(end) = end else { return (HIDDEN.to_owned(), line) };
    let (shown, hidden) = line.split_at(end);
    if hidden.trim().is_empty() {
        (shown.to_owned(), "")
    } else {
        (format!("{shown} {HIDDEN}"), hidden)
    }
}

/// Takes the words of `hidden` out of `message`: parsers quote what they dislike.
fn without_words(message: &str, hidden: &str) -> String {
    let mut message = message.to_owned();
    let words = hidden
        .split(|c: char| c.is_whitespace() || "{}[],\"'".contains(c))
        .map(|word| word.trim_start_matches(['*', '&', '!', '|', '>']));
    let is_field = |word: &str| FIELDS.contains(&word.trim_end_matches(':'));
    for word in words.filter(|word| word.chars().count() > 2 && !is_field(word)) {
        message = message.replace(word, HIDDEN);
        // A key inside the hidden part, or a value that the parser cut at its colon.
        if let Some((key, _)) = word.split_once(':')
            && key.chars().count() > 2
        {
            message = message.replace(key, HIDDEN);
        }
    }
    message
}

/// Control characters would move the caret, or the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, line: u64, column: u64, message: &str, expected: &str) {
        let (message, snippet) = render(text, line, column, message, Words::Parsers);
        assert_eq!(format!("{message}\n{snippet}"), expected);
    }

    #[test]
    fn a_harmless_line_is_shown_whole() {
        check(
            "kind: far\n",
            1,
            7,
            "unknown variant",
            "unknown variant\n    |\n  1 | kind: far\n    |       ^",
        );
    }

    #[test]
    fn a_secret_is_not() {
        check(
            "a:\n  password: tiger\n",
            2,
            13,
            "bad tiger",
            "bad …\n    |\n  2 |   password: …\n    |             ^",
        );
        check(
            "passwrd: tiger\n",
            1,
            1,
            "unknown field `passwrd`",
            "unknown field `passwrd`\n    |\n  1 | passwrd: …\n    | ^",
        );
        check("password:\n  tiger\n", 2, 3, "bad tiger", "bad …\n    |\n  2 | …\n    |  ^");
    }
}
