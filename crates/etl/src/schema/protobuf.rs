//! Protobuf schemas: `.proto` files, made into tables of fields that bytes and documents are walked along with.
//!
//! Documents follow Protobuf's mapping to JSON, with the names as they stand in the `.proto` and 64-bit numbers as numbers. A field
//! that cannot say whether it was set is always in the document; one that can is only when it was.

mod compile;
mod decode;
mod encode;
mod time;
mod wire;

pub(crate) use compile::imports;
pub(crate) use decode::decode;
pub(crate) use encode::encode;

use std::collections::HashMap;

/// The files that one schema is made of.
#[derive(Debug)]
pub(crate) struct Schema {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    /// Messages of the file itself, as the index in front of a value counts them.
    roots: Vec<Nested>,
}

/// A message, and those that are declared within it.
#[derive(Debug)]
struct Nested {
    full_name: String,
    message: usize,
    within: Vec<Self>,
}

#[derive(Debug)]
struct Message {
    shape: Shape,
    /// In the order of the file.
    fields: Vec<Field>,
    /// Numbers and places of the fields, by number.
    by_number: Vec<(u32, usize)>,
    /// Places of the fields by their names, those of JSON, too.
    by_name: HashMap<String, usize>,
    /// How many `oneof` it has.
    oneofs: usize,
}

/// How a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Fields,
    Timestamp,
    Duration,
    /// `Int64Value` and its like: what they hold.
    Wrapper,
    Struct,
    List,
    Value,
}

#[derive(Debug)]
struct Field {
    name: String,
    number: u32,
    kind: Kind,
    label: Label,
    is_packed: bool,
    /// Which `oneof` of the message it belongs to.
    oneof: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    /// Always has a value: its default when nothing is in the bytes.
    Implicit,
    /// Is set or not.
    Optional,
    Required,
    Repeated,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(usize),
    Message(usize),
    Group(usize),
}

#[derive(Debug)]
struct Enum {
    names: HashMap<i32, String>,
    numbers: HashMap<String, i32>,
    first: i32,
    /// A proto2 enum has no other numbers than those of its names.
    is_closed: bool,
    /// `google.protobuf.NullValue`.
    is_null: bool,
}

/// Which message of a schema a value is.
#[derive(Debug)]
pub(crate) struct Chosen {
    message: usize,
    /// The indexes that lead to it, as they stand in front of a value.
    head: Vec<u8>,
}

impl Schema {
    /// The first message, or the one of this full name.
    pub(crate) fn choose(&self, name: Option<&str>) -> Result<Chosen, String> {
        let mut path = Vec::new();
        let Some(message) = find(&self.roots, name, &mut path) else {
            return Err(match name {
                Some(name) => format!("the schema has no message {name:?}"),
                None => "the schema has no message".to_owned(),
            });
        };
        let mut head = Vec::new();
        if path == [0] {
            head.push(0);
        } else {
            wire::zigzag(&mut head, path.len());
            path.iter().for_each(|index| wire::zigzag(&mut head, *index));
        }
        Ok(Chosen { message, head })
    }
}

fn find(messages: &[Nested], name: Option<&str>, path: &mut Vec<usize>) -> Option<usize> {
    for (index, nested) in messages.iter().enumerate() {
        path.push(index);
        if name.is_none_or(|name| name == nested.full_name) {
            return Some(nested.message);
        }
        if let Some(found) = find(&nested.within, name, path) {
            return Some(found);
        }
        path.pop();
    }
    None
}
