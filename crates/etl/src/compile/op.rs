//! Value ops.

use super::Compiler;
use crate::{
    date::{DateOp, Format, Input, Pattern, Zone},
    error::ErrorCode,
    expression::Expression,
    op::{Hasher, Kind, Redaction, Replacement},
    pattern,
    rule::{DateInput, HashAlgorithm, Op},
};

impl Compiler<'_> {
    /// Every op but `kv`.
    pub(super) fn op(&mut self, op: &Op, path: &str) -> Option<Kind> {
        let at = |name: &str| format!("{path}.{name}");
        Some(match op {
            Op::Replace { old, new } => {
                if old.is_empty() {
                    self.error(at("old"), ErrorCode::OpParameter, "`old` is empty");
                }
                Kind::Replace { old: old.clone(), new: new.clone() }
            }
            Op::Substr { start, end } => self.substr(*start, *end, path)?,
            Op::Date { format, input, zone, input_zone } => {
                self.date(format, input, zone, input_zone.as_deref(), path)?
            }
            Op::Trim => Kind::Trim,
            Op::RegexReplace { regex, new } => {
                let regex = self.regex(regex, &at("regex"))?;
                let pieces = self.keep(&at("new"), pattern::replacement(new, &regex))?;
                Kind::RegexReplace { regex, pieces }
            }
            Op::Split { delimiter, is_regex } => {
                self.not_empty(delimiter, path, "delimiter")?;
                if *is_regex {
                    Kind::SplitRegex { regex: self.regex(delimiter, &at("delimiter"))? }
                } else {
                    Kind::Split { delimiter: delimiter.clone() }
                }
            }
            // Compiled with its row, because it makes fields.
            Op::Kv { .. } => return None,
            Op::JsonPathReplace { old, new } => {
                let old_path = self.jsonpath(old, &at("old"))?;
                if old_path.has_function() {
                    self.error(
                        at("old"),
                        ErrorCode::JsonpathSyntax,
                        "a function is no place that can be set",
                    );
                }
                Kind::JsonPathReplace { old: old_path, new: self.replacement(new, &at("new"))? }
            }
            Op::UrlDecode { charset } => {
                Kind::UrlDecode { charset: self.charset(charset, &at("charset"))? }
            }
            Op::Lowercase => Kind::Lowercase,
            Op::Uppercase => Kind::Uppercase,
            Op::Default { value } => Kind::Default { value: value.clone() },
            Op::Hash { algorithm, secret } => {
                Kind::Hash(self.hasher(*algorithm, secret.as_deref(), path)?)
            }
            Op::Mask { keep_first, keep_last, character } => Kind::Mask {
                keep_first: usize::try_from(*keep_first).unwrap_or(usize::MAX),
                keep_last: usize::try_from(*keep_last).unwrap_or(usize::MAX),
                character: *character,
            },
            Op::Redact { kinds, new } => {
                Kind::Redact(self.keep(&at("kinds"), Redaction::compile(kinds, new))?)
            }
            Op::UrlEncode => Kind::UrlEncode,
            Op::Base64Encode => Kind::Base64Encode,
            Op::Base64Decode => Kind::Base64Decode,
            Op::JsonEncode => Kind::JsonEncode,
            Op::JsonDecode => Kind::JsonDecode,
            Op::Math { expression } => {
                let compiled =
                    Expression::compile(expression).map_err(|cause| (ErrorCode::MathSyntax, cause));
                Kind::Math(self.keep(&at("expr"), compiled)?)
            }
        })
    }

    fn substr(&mut self, start: i64, end: Option<i64>, path: &str) -> Option<Kind> {
        let bad = if start < 0 || end.is_some_and(|end| end < 0) {
            Some("`start` and `end` are not negative")
        } else if end.is_some_and(|end| end < start) {
            Some("`end` is before `start`")
        } else {
            None
        };
        if let Some(cause) = bad {
            self.error(path, ErrorCode::OpParameter, cause);
            return None;
        }
        let size = |index: i64| usize::try_from(index).unwrap_or(usize::MAX);
        Some(Kind::Substr { start: size(start), end: end.map(size) })
    }

    fn date(
        &mut self,
        format: &str,
        input: &DateInput,
        zone: &str,
        input_zone: Option<&str>,
        path: &str,
    ) -> Option<Kind> {
        let format_of =
            |result: Result<Format, String>| result.map_err(|cause| (ErrorCode::DateFormat, cause));
        let format = self.keep(&format!("{path}.format"), format_of(Format::compile(format)));
        let input = match input {
            DateInput::Auto => Some(Input::Auto),
            DateInput::Unix => Some(Input::Unix),
            DateInput::Patterns(patterns) => {
                let compile = |text: &String| {
                    Pattern::compile(text)
                        .map_err(|cause| (ErrorCode::DateFormat, format!("{text:?}: {cause}")))
                };
                let compiled: Result<Vec<Pattern>, _> = patterns.iter().map(compile).collect();
                self.keep(&format!("{path}.input"), compiled).map(Input::Patterns)
            }
        };
        let output_zone = self.zone(zone, &format!("{path}.zone"));
        let input_zone = match input_zone {
            Some(text) => self.zone(text, &format!("{path}.input_zone")),
            None => output_zone.clone(),
        };
        Some(Kind::Date(DateOp {
            input: input?,
            format: format?,
            zone: output_zone?,
            input_zone: input_zone?,
        }))
    }

    fn zone(&mut self, text: &str, path: &str) -> Option<Zone> {
        let zone = Zone::compile(text);
        if zone.is_none() {
            self.error(path, ErrorCode::ZoneUnknown, format!("{text:?} is not known"));
        }
        zone
    }

    fn replacement(&mut self, new: &str, path: &str) -> Option<Replacement> {
        if !new.starts_with('$') {
            return Some(Replacement::Text(new.to_owned()));
        }
        let compiled = self.jsonpath(new, path)?;
        if !compiled.is_definite() && !compiled.has_function() {
            let cause = format!("{new:?} may lead to several places");
            self.error(path, ErrorCode::JsonpathNotDefinite, cause);
        }
        Some(Replacement::Path(compiled))
    }

    fn hasher(
        &mut self,
        algorithm: HashAlgorithm,
        secret: Option<&str>,
        path: &str,
    ) -> Option<Hasher> {
        let path = format!("{path}.secret");
        match (algorithm, secret) {
            (HashAlgorithm::Sha256, None) => Some(Hasher::Sha256),
            (HashAlgorithm::Xxh3, None) => Some(Hasher::Xxh3),
            (HashAlgorithm::HmacSha256, Some(name)) => {
                let key = match self.resources.secrets.get(name) {
                    Some(key) => key.as_slice(),
                    None if self.resources.unchecked => &[],
                    None => {
                        self.error(
                            path,
                            ErrorCode::SecretUnknown,
                            format!("there is no secret {name:?}"),
                        );
                        return None;
                    }
                };
                Hasher::hmac(key)
            }
            (HashAlgorithm::HmacSha256, None) => {
                self.error(path, ErrorCode::OpParameter, "hmac-sha256 needs the name of a secret");
                None
            }
            (_, Some(_)) => {
                self.error(path, ErrorCode::OpParameter, "only hmac-sha256 takes a secret");
                None
            }
        }
    }
}
