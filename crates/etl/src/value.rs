//! The working document: values that live in the arena of one record.
//!
//! Values are `Copy` and share their parts: mapping a field copies a pointer, never its content. Numbers keep the text
//! they came with until an operation changes them.

mod builder;
pub(crate) mod number;

pub(crate) use builder::MapBuilder;

/// One member of a map.
pub(crate) type Entry<'a> = (&'a str, Value<'a>);

/// A value of the working document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// The text of a JSON number.
    Number(&'a str),
    String(&'a str),
    Array(&'a [Self]),
    /// Keys are unique.
    Map(Map<'a>),
}

/// Members in order, keys unique.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Map<'a> {
    pub(crate) entries: &'a [Entry<'a>],
}

impl<'a> Map<'a> {
    pub(crate) fn get(self, key: &str) -> Option<Value<'a>> {
        self.entries.iter().find(|(found, _)| *found == key).map(|(_, value)| *value)
    }
}

impl<'a> Value<'a> {
    /// The word for error texts.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
        }
    }

    /// The text of a string, or of a number or boolean; `None` for everything else.
    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Self::String(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::Array(_) | Self::Map(_) => None,
        }
    }
}

/// The field `key`: the flat key first, then, when the key has dots, a path into nested maps.
pub(crate) fn lookup<'a>(document: Map<'a>, key: &str) -> Option<Value<'a>> {
    let mut left = LOOKUPS_MAX;
    lookup_within(document, key, &mut left)
}

/// Ways that a key with many dots is tried: names with dots could make them very many.
const LOOKUPS_MAX: usize = 10_000;

fn lookup_within<'a>(document: Map<'a>, key: &str, left: &mut usize) -> Option<Value<'a>> {
    if let Some(value) = document.get(key) {
        return Some(value);
    }
    // Each beginning that ends at a dot may itself be a flat key: the longest one first.
    let mut end = key.len();
    while let Some(dot) = key[..end].rfind('.') {
        *left = left.checked_sub(1)?;
        if let Some(Value::Map(inner)) = document.get(&key[..dot])
            && let Some(value) = lookup_within(inner, &key[dot + 1..], left)
        {
            return Some(value);
        }
        end = dot;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Map, Value, lookup};

    #[test]
    fn dots_are_names_first_and_paths_second() {
        let inner = [("y", Value::Number("1")), ("y.z", Value::Number("2"))];
        let outer = [("x", Value::Map(Map { entries: &inner })), ("x.w", Value::Bool(true))];
        let document = Map { entries: &outer };
        let check =
            |key: &str, expected: Option<Value<'_>>| assert_eq!(lookup(document, key), expected);
        check("x.w", Some(Value::Bool(true)));
        check("x.y", Some(Value::Number("1")));
        check("x.y.z", Some(Value::Number("2")));
        check("x.q", None);
        check(".", None);
    }
}
