//! Trees written as YAML and as JSON, always in the same way.

use super::{Kind, Node};
use crate::json::write_string;

impl Node {
    /// Block style; lists and maps without content are written `[]` and `{}`.
    pub(crate) fn to_yaml(&self) -> String {
        let mut out = String::new();
        self.yaml(0, &mut out);
        out
    }

    fn yaml(&self, indent: usize, out: &mut String) {
        match &self.kind {
            Kind::Map(members) => {
                for (key, node) in members {
                    out.push_str(&" ".repeat(indent));
                    out.push_str(&yaml_scalar(key, false));
                    out.push(':');
                    node.yaml_value(indent, out);
                }
            }
            Kind::List(items) => {
                for item in items {
                    out.push_str(&" ".repeat(indent));
                    out.push('-');
                    match &item.kind {
                        Kind::Map(members) if !members.is_empty() => {
                            // The first member stands behind the dash.
                            let mut inner = String::new();
                            item.yaml(indent + 2, &mut inner);
                            out.push(' ');
                            out.push_str(&inner[indent + 2..]);
                        }
                        _ => item.yaml_value(indent, out),
                    }
                }
            }
            Kind::Scalar { text, plain } => out.push_str(&yaml_scalar(text, *plain)),
        }
    }

    fn yaml_value(&self, indent: usize, out: &mut String) {
        match &self.kind {
            Kind::Map(members) if members.is_empty() => out.push_str(" {}\n"),
            Kind::List(items) if items.is_empty() => out.push_str(" []\n"),
            Kind::Map(_) | Kind::List(_) => {
                out.push('\n');
                self.yaml(indent + 2, out);
            }
            Kind::Scalar { text, plain } => {
                out.push(' ');
                out.push_str(&yaml_scalar(text, *plain));
                out.push('\n');
            }
        }
    }

    /// Compact JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    fn json(&self, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Scalar { text, plain: true } => out.extend_from_slice(text.as_bytes()),
            Kind::Scalar { text, plain: false } => write_string(text, out),
            Kind::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.json(out);
                }
                out.push(b']');
            }
            Kind::Map(members) => {
                out.push(b'{');
                for (index, (key, node)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    node.json(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Plain where nobody can read it as something else, in double quotes everywhere else.
fn yaml_scalar(text: &str, plain: bool) -> String {
    let is_word = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'));
    let starts_well =
        text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_reserved = reserved.iter().any(|word| text.eq_ignore_ascii_case(word));
    if plain || (is_word && starts_well && !is_reserved) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // What YAML does not print, or folds.
            '\0'..='\x1f'
            | '\x7f'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}
