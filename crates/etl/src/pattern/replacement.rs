//! Replacement texts with references to groups.

use regex::Regex;

use super::PatternError;
use crate::error::ErrorCode;

/// Replaces in `template`: `$1`, `${1}`, `${name}`; `$$` and `\$` are a dollar. Checked against the groups of `regex`.
pub(crate) fn replacement(template: &str, regex: &Regex) -> Result<Vec<Piece>, PatternError> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut literal = String::new();
    let mut rest = template.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' if rest.next_if_eq(&'$').is_some() => literal.push('$'),
            '\\' if rest.next_if_eq(&'\\').is_some() => literal.push('\\'),
            '$' if rest.next_if_eq(&'$').is_some() => literal.push('$'),
            '$' => {
                let name = group_reference(&mut rest)?;
                let index = match name.parse::<usize>() {
                    Ok(index) => Some(index).filter(|index| *index < regex.captures_len()),
                    Err(_) => regex.capture_names().position(|found| found == Some(name.as_str())),
                };
                let Some(index) = index else {
                    return Err((
                        ErrorCode::RegexGroup,
                        format!("the expression has no group {name:?}"),
                    ));
                };
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Group(index));
            }
            character => literal.push(character),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// `1` (one digit or more) or `{name}` behind a dollar.
fn group_reference(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<String, PatternError> {
    let mut name = String::new();
    if rest.next_if_eq(&'{').is_some() {
        for character in rest.by_ref() {
            if character == '}' {
                return Ok(name);
            }
            name.push(character);
        }
        return Err((ErrorCode::RegexGroup, "`${` without `}`".to_owned()));
    }
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        name.push(digit);
    }
    if name.is_empty() {
        return Err((ErrorCode::RegexGroup, "a dollar without a group".to_owned()));
    }
    Ok(name)
}

/// A part of a replacement.
#[derive(Debug)]
pub(crate) enum Piece {
    Literal(String),
    Group(usize),
}
