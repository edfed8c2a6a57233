//! Value ops.

use super::{DateInput, HashAlgorithm, Op, RedactKind, fields::Fields, read};
use crate::error::ErrorCode;

const OPS_MAX: usize = 100;

/// The documented zone of dates.
pub(super) const ZONE_DEFAULT: &str = "GMT+8";

pub(super) fn ops(fields: &mut Fields<'_, '_>) -> Vec<Op> {
    let nodes = fields.list("ops");
    if nodes.len() > OPS_MAX {
        fields.error("ops", ErrorCode::TemplateLimit, format!("more than {OPS_MAX} ops"));
    }
    let mut ops = Vec::new();
    for (index, node) in nodes.iter().take(OPS_MAX).enumerate() {
        let path = format!("{}.ops[{index}]", fields.path);
        let mut inner = Fields::open(node, path, fields.errors);
        ops.extend(op(&mut inner));
        inner.finish();
    }
    ops
}

pub(super) const HASHES: [(&str, HashAlgorithm); 3] = [
    ("sha256", HashAlgorithm::Sha256),
    ("hmac-sha256", HashAlgorithm::HmacSha256),
    ("xxh3", HashAlgorithm::Xxh3),
];

pub(super) const REDACTIONS: [(&str, RedactKind); 4] = [
    ("card", RedactKind::Card),
    ("phone", RedactKind::Phone),
    ("email", RedactKind::Email),
    ("national_id", RedactKind::NationalId),
];

fn op(fields: &mut Fields<'_, '_>) -> Option<Op> {
    let op = match fields.needed("op").as_str() {
        "replace" => Op::Replace { old: fields.needed("old"), new: fields.text_or("new", "") },
        "substr" => {
            Op::Substr { start: fields.integer("start").unwrap_or(0), end: fields.integer("end") }
        }
        "date" => Op::Date {
            format: fields.needed("format"),
            input: date_input(fields),
            zone: fields.text_or("zone", ZONE_DEFAULT),
            input_zone: fields.text("input_zone"),
        },
        "trim" => Op::Trim,
        "regex_replace" => {
            Op::RegexReplace { regex: fields.needed("regex"), new: fields.text_or("new", "") }
        }
        "split" => split(fields),
        "kv" => Op::Kv {
            delimiter: read::delimiter(&fields.needed("delimiter")),
            separator: read::delimiter(&fields.needed("regex")),
            keep_original_key: fields.flag("keep_original_key", false),
        },
        "json_path_replace" => {
            Op::JsonPathReplace { old: fields.needed("old"), new: fields.text_or("new", "") }
        }
        "url_decode" => Op::UrlDecode { charset: fields.text_or("charset", "utf-8") },
        "lowercase" => Op::Lowercase,
        "uppercase" => Op::Uppercase,
        "default" => Op::Default { value: fields.needed("value") },
        "hash" => Op::Hash {
            algorithm: fields.choice("alg", &HASHES).unwrap_or(HashAlgorithm::Sha256),
            secret: fields.text("secret"),
        },
        "mask" => Op::Mask {
            keep_first: fields.count("keep_first", 0),
            keep_last: fields.count("keep_last", 0),
            character: fields.character("char").unwrap_or('*'),
        },
        "redact" => redact(fields),
        "url_encode" => Op::UrlEncode,
        "base64_encode" => Op::Base64Encode,
        "base64_decode" => Op::Base64Decode,
        "json_encode" => Op::JsonEncode,
        "json_decode" => Op::JsonDecode,
        "math" => Op::Math { expression: fields.needed("expr") },
        "" => return None,
        other => {
            let known = "replace, substr, date, trim, regex_replace, split, kv, json_path_replace, url_decode, \
                         lowercase, uppercase, default, hash, mask, redact, url_encode, base64_encode, base64_decode, \
                         json_encode, json_decode, math";
            fields.error("op", ErrorCode::TemplateValue, format!("{other:?} is none of {known}"));
            return None;
        }
    };
    Some(op)
}

fn date_input(fields: &mut Fields<'_, '_>) -> DateInput {
    let mut patterns = fields.texts("input");
    match patterns.as_slice() {
        [] => DateInput::Auto,
        [one] if one == "auto" => DateInput::Auto,
        [one] if one == "unix" => DateInput::Unix,
        _ => DateInput::Patterns(std::mem::take(&mut patterns)),
    }
}

fn split(fields: &mut Fields<'_, '_>) -> Op {
    let is_regex = fields.flag("is_regex", false);
    // The vendor's name of the delimiter is `regex`.
    let name = if fields.has("regex") { "regex" } else { "delimiter" };
    let delimiter = fields.needed(name);
    Op::Split {
        delimiter: if is_regex { delimiter } else { read::delimiter(&delimiter) },
        is_regex,
    }
}

fn redact(fields: &mut Fields<'_, '_>) -> Op {
    let names = fields.texts("kinds");
    let mut kinds: Vec<RedactKind> = Vec::new();
    for name in &names {
        kinds.extend(fields.choose("kinds", name, &REDACTIONS));
    }
    if names.is_empty() {
        kinds = REDACTIONS.iter().map(|(_, kind)| *kind).collect();
    }
    Op::Redact { kinds, new: fields.text_or("new", "***") }
}
