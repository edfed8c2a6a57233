//! An expression from a sample line and the parts that are marked in it.

use crate::{
    error::{ErrorCode, RuleError},
    pattern,
};

/// Characters of a sample.
const SAMPLE_CHARS_MAX: usize = 64 * 1024;

/// A part of the sample, in code points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// First code point, from 0.
    pub start: usize,
    /// Behind the last code point.
    pub end: usize,
    /// Name of the group.
    pub name: String,
}

/// An expression that gives back what was marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The expression, with a named group for each selection.
    pub regex: String,
    /// Name and text of each group on the sample.
    pub fields: Vec<(String, String)>,
}

/// The narrowest expression for `selections` in `sample`.
///
/// # Errors
/// Selections that overlap, are empty or outside the sample; marks that no expression of this kind can give back.
pub fn generate_regex(sample: &str, selections: &[Selection]) -> Result<Generated, RuleError> {
    let characters: Vec<char> = sample.chars().collect();
    if characters.len() > SAMPLE_CHARS_MAX {
        let cause = format!("the sample has more than {SAMPLE_CHARS_MAX} characters");
        return Err(RuleError::new("sample", ErrorCode::TemplateLimit, cause));
    }
    let mut order: Vec<(usize, &Selection)> = selections.iter().enumerate().collect();
    order.sort_by_key(|(_, selection)| selection.start);
    check(&characters, &order)?;
    let literal =
        |from: usize, to: usize| regex::escape(&characters[from..to].iter().collect::<String>());
    let mut regex = String::from("^");
    let mut at = 0;
    for (_, selection) in &order {
        regex.push_str(&literal(at, selection.start));
        let marked = &characters[selection.start..selection.end];
        let class = class(marked, characters.get(selection.end).copied());
        regex.push_str(&format!("(?P<{}>{class})", selection.name));
        at = selection.end;
    }
    regex.push_str(&literal(at, characters.len()));
    regex.push('$');
    let fields = parsed(&regex, sample)?;
    let wanted = order.iter().map(|(_, selection)| {
        let text: String = characters[selection.start..selection.end].iter().collect();
        (selection.name.clone(), text)
    });
    if !wanted.eq(fields.iter().cloned()) {
        let cause = format!("{regex} does not give back what was marked");
        return Err(RuleError::new("selections", ErrorCode::SelectionAmbiguous, cause));
    }
    Ok(Generated { regex, fields })
}

fn check(characters: &[char], order: &[(usize, &Selection)]) -> Result<(), RuleError> {
    let bad = |index: usize, cause: &str| {
        Err(RuleError::new(format!("selections[{index}]"), ErrorCode::SelectionInvalid, cause))
    };
    if order.is_empty() {
        return Err(RuleError::new("selections", ErrorCode::SelectionInvalid, "nothing is marked"));
    }
    let mut before = 0;
    for (index, selection) in order {
        if selection.start >= selection.end || selection.end > characters.len() {
            return bad(*index, "the part is empty or outside the sample");
        }
        if selection.start < before {
            return bad(*index, "the part overlaps another one");
        }
        let is_name = !selection.name.is_empty()
            && selection.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !selection.name.starts_with(|first: char| first.is_ascii_digit());
        if !is_name {
            return bad(
                *index,
                "a name is made of letters, digits and _, and begins with no digit",
            );
        }
        before = selection.end;
    }
    Ok(())
}

/// The narrowest class of what is marked; `next` is the code point behind it.
fn class(marked: &[char], next: Option<char>) -> String {
    let all = |fits: fn(&char) -> bool| marked.iter().all(fits);
    let narrow = if all(char::is_ascii_digit) {
        Some(r"\d+")
    } else if all(char::is_ascii_hexdigit) {
        Some("[0-9a-fA-F]+")
    } else if all(|character| character.is_ascii_alphanumeric() || *character == '_') {
        Some(r"\w+")
    } else if all(|character| !matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{c}')) {
        Some(r"\S+")
    } else {
        None
    };
    match (narrow, next) {
        (Some(class), _) => class.to_owned(),
        (None, None) => ".*".to_owned(),
        (None, Some(next)) => format!("[^{}]+", regex::escape(next.encode_utf8(&mut [0; 4]))),
    }
}

fn parsed(regex: &str, sample: &str) -> Result<Vec<(String, String)>, RuleError> {
    let compiled = pattern::compile(regex)
        .map_err(|(code, cause)| RuleError::new("selections", code, cause))?;
    let Some(captures) = compiled.captures(sample) else { return Ok(Vec::new()) };
    let names = compiled.capture_names().flatten();
    Ok(names
        .filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned())))
        .collect())
}
