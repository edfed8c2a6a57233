//! Personal data hidden: by position, or by what it looks like.

use std::sync::OnceLock;

use regex::Regex;

use crate::{context::Context, error::Fallible, pattern, rule::RedactKind};

/// All code points but the first and last ones replaced. A text that is not longer than what stays is hidden whole.
pub(super) fn mask<'a>(
    ctx: &Context<'a>,
    text: &'a str,
    keep_first: usize,
    keep_last: usize,
    character: char,
) -> Fallible<&'a str> {
    let length = text.chars().count();
    let (first, last) = match keep_first.checked_add(keep_last) {
        Some(kept) if kept < length => (keep_first, length - keep_last),
        _ => (0, length),
    };
    let masked = text.chars().enumerate();
    let masked: String = masked
        .map(|(at, found)| if (first..last).contains(&at) { character } else { found })
        .collect();
    ctx.text(&masked)
}

/// A compiled op `redact`.
#[derive(Debug)]
pub(crate) struct Redaction {
    patterns: Vec<(RedactKind, Regex)>,
    new: String,
}

/// The expression of a kind, compiled once for all rules.
fn regex_of(kind: RedactKind) -> Result<Regex, pattern::PatternError> {
    static COMPILED: [OnceLock<Regex>; 4] = [const { OnceLock::new() }; 4];
    let (slot, text) = match kind {
        RedactKind::Card => (0, r"\b\d(?:[ -]?\d){12,18}\b"),
        RedactKind::Phone => (1, r"\+\d{1,3}[ -]?\d(?:[ -]?\d){6,13}\b|\b1[3-9]\d{9}\b"),
        RedactKind::Email => {
            (2, r"\b[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+\b")
        }
        RedactKind::NationalId => (
            3,
            r"\b[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[0-9Xx]\b",
        ),
    };
    if let Some(regex) = COMPILED[slot].get() {
        return Ok(regex.clone());
    }
    let regex = pattern::compile(text)?;
    Ok(COMPILED[slot].get_or_init(|| regex).clone())
}

impl Redaction {
    pub(crate) fn compile(kinds: &[RedactKind], new: &str) -> Result<Self, pattern::PatternError> {
        let compile = |kind: &RedactKind| Ok((*kind, regex_of(*kind)?));
        let mut patterns = kinds.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        // An identity number could be read as a card: the longer, stricter form goes first.
        patterns.sort_by_key(|(kind, _)| match kind {
            RedactKind::Email => 0,
            RedactKind::NationalId => 1,
            RedactKind::Card => 2,
            RedactKind::Phone => 3,
        });
        Ok(Self { patterns, new: new.to_owned() })
    }

    pub(super) fn apply<'a>(&self, ctx: &Context<'a>, text: &'a str) -> Fallible<&'a str> {
        let mut text = text;
        for (kind, regex) in &self.patterns {
            if !regex.is_match(text) {
                continue;
            }
            let mut out = String::new();
            let mut from = 0;
            for found in regex.find_iter(text) {
                if *kind == RedactKind::Card && !has_check_digit(found.as_str()) {
                    continue;
                }
                ctx.charge(self.new.len())?;
                out.push_str(&text[from..found.start()]);
                out.push_str(&self.new);
                from = found.end();
            }
            out.push_str(&text[from..]);
            text = ctx.text(&out)?;
        }
        Ok(text)
    }
}

/// The check of payment cards (Luhn).
fn has_check_digit(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10)
}
