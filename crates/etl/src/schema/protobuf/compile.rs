//! `.proto` files as tables.

use std::collections::HashMap;

use protox::{
    Compiler, Error,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
    prost_reflect::{
        self, Cardinality, EnumDescriptor, FieldDescriptor, MessageDescriptor, Syntax,
    },
};

use super::{Enum, Field, Kind, Label, Message, Nested, Schema, Shape};

/// Messages and enums of one schema.
const TYPES_MAX: usize = 20_000;
const TEXT_BYTES_MAX: usize = 4 << 20;
const REFERENCES_MAX: usize = 100;
/// The name of the schema itself, in errors and against imports.
const ROOT: &str = "schema";

/// Files that registries know without a reference.
const BUILT_IN: [(&str, &str); 2] = [
    ("confluent/meta.proto", include_str!("meta.proto")),
    ("confluent/type/decimal.proto", include_str!("decimal.proto")),
];

impl Schema {
    /// Reads a schema; `references` are the files that it imports, by the names that it imports them by.
    pub(crate) fn parse(text: &str, references: &[(String, String)]) -> Result<Self, String> {
        if references.len() > REFERENCES_MAX {
            return Err(format!("more than {REFERENCES_MAX} references"));
        }
        let bytes: usize = references.iter().map(|(_, text)| text.len()).sum();
        if bytes + text.len() > TEXT_BYTES_MAX {
            return Err(format!("more than {TEXT_BYTES_MAX} bytes of text"));
        }
        let mut files: HashMap<String, String> = references.iter().cloned().collect();
        files.insert(ROOT.to_owned(), text.to_owned());
        let mut resolver = ChainFileResolver::new();
        resolver.add(GoogleFileResolver::new());
        resolver.add(Files(files));
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.open_file(ROOT).map_err(|error| cause(&error))?;
        let pool = compiler.descriptor_pool();
        let Some(file) = pool.get_file_by_name(ROOT) else {
            return Err("the file is lost".to_owned());
        };
        let mut tables = Tables::default();
        let roots = tables.nested(file.messages());
        tables.finish(roots)
    }
}

/// The names of the files that a `.proto` imports, save those that are always known.
pub(crate) fn imports(text: &str) -> Result<Vec<String>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("more than {TEXT_BYTES_MAX} bytes of text"));
    }
    let file = File::from_source(ROOT, text).map_err(|error| cause(&error))?;
    let google = GoogleFileResolver::new();
    let is_known = |name: &str| {
        google.open_file(name).is_ok() || BUILT_IN.iter().any(|(known, _)| *known == name)
    };
    let names = file.file_descriptor_proto().dependency.iter();
    Ok(names.filter(|name| !is_known(name)).cloned().collect())
}

/// Only the form for debugging has the line.
fn cause(error: &Error) -> String {
    format!("{error:?}")
}

struct Files(HashMap<String, String>);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        let built_in = || BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        match self.0.get(name).map(String::as_str).or_else(built_in) {
            Some(text) => File::from_source(name, text),
            None => Err(Error::file_not_found(name)),
        }
    }
}

/// Tables while they grow: what a field refers to gets its place at once, and its content later.
#[derive(Default)]
struct Tables {
    messages: Vec<MessageDescriptor>,
    message_places: HashMap<String, usize>,
    enums: Vec<EnumDescriptor>,
    enum_places: HashMap<String, usize>,
}

impl Tables {
    fn nested(&mut self, messages: impl Iterator<Item = MessageDescriptor>) -> Vec<Nested> {
        // The entries of maps are no messages of the file: that is how Java counts.
        messages
            .filter(|message| !message.is_map_entry())
            .map(|message| Nested {
                full_name: message.full_name().to_owned(),
                message: self.message(&message),
                within: self.nested(message.child_messages()),
            })
            .collect()
    }

    fn message(&mut self, message: &MessageDescriptor) -> usize {
        if let Some(place) = self.message_places.get(message.full_name()) {
            return *place;
        }
        self.message_places.insert(message.full_name().to_owned(), self.messages.len());
        self.messages.push(message.clone());
        self.messages.len() - 1
    }

    fn enumeration(&mut self, found: &EnumDescriptor) -> usize {
        if let Some(place) = self.enum_places.get(found.full_name()) {
            return *place;
        }
        self.enum_places.insert(found.full_name().to_owned(), self.enums.len());
        self.enums.push(found.clone());
        self.enums.len() - 1
    }

    fn finish(mut self, roots: Vec<Nested>) -> Result<Schema, String> {
        let mut messages = Vec::new();
        while let Some(message) = self.messages.get(messages.len()).cloned() {
            if self.messages.len() + self.enums.len() > TYPES_MAX {
                return Err(format!("more than {TYPES_MAX} types"));
            }
            messages.push(self.fields(&message));
        }
        let enums = self.enums.iter().map(enumeration).collect();
        Ok(Schema { messages, enums, roots })
    }

    fn fields(&mut self, message: &MessageDescriptor) -> Message {
        let mut fields = Vec::new();
        let mut by_name = HashMap::new();
        // In the order of the file, which the descriptors do not keep.
        for declared in &message.descriptor_proto().field {
            let Some(field) = message.get_field_by_name(declared.name()) else { continue };
            for name in [field.json_name(), field.name()] {
                by_name.insert(name.to_owned(), fields.len());
            }
            fields.push(self.field(&field));
        }
        let mut by_number: Vec<(u32, usize)> =
            fields.iter().enumerate().map(|(place, field)| (field.number, place)).collect();
        by_number.sort_unstable();
        let oneofs = message.oneofs().len();
        Message { shape: shape(message.full_name()), fields, by_number, by_name, oneofs }
    }

    fn field(&mut self, field: &FieldDescriptor) -> Field {
        let label = match field.cardinality() {
            Cardinality::Repeated if field.is_map() => Label::Map,
            Cardinality::Repeated => Label::Repeated,
            Cardinality::Required => Label::Required,
            Cardinality::Optional if field.supports_presence() => Label::Optional,
            Cardinality::Optional => Label::Implicit,
        };
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let oneof = oneof.and_then(|oneof| usize::try_from(*oneof.path().last()?).ok());
        Field {
            name: field.name().to_owned(),
            number: field.number(),
            kind: self.kind(field),
            label,
            is_packed: field.is_packed(),
            oneof,
        }
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Kind {
        use prost_reflect::Kind as Found;
        match field.kind() {
            Found::Double => Kind::Double,
            Found::Float => Kind::Float,
            Found::Int32 => Kind::Int32,
            Found::Int64 => Kind::Int64,
            Found::Uint32 => Kind::Uint32,
            Found::Uint64 => Kind::Uint64,
            Found::Sint32 => Kind::Sint32,
            Found::Sint64 => Kind::Sint64,
            Found::Fixed32 => Kind::Fixed32,
            Found::Fixed64 => Kind::Fixed64,
            Found::Sfixed32 => Kind::Sfixed32,
            Found::Sfixed64 => Kind::Sfixed64,
            Found::Bool => Kind::Bool,
            Found::String => Kind::String,
            Found::Bytes => Kind::Bytes,
            Found::Enum(found) => Kind::Enum(self.enumeration(&found)),
            Found::Message(message) if field.is_group() => Kind::Group(self.message(&message)),
            Found::Message(message) => Kind::Message(self.message(&message)),
        }
    }
}

fn shape(full_name: &str) -> Shape {
    match full_name.strip_prefix("google.protobuf.").unwrap_or_default() {
        "Timestamp" => Shape::Timestamp,
        "Duration" => Shape::Duration,
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
        | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue" => Shape::Wrapper,
        "Struct" => Shape::Struct,
        "ListValue" => Shape::List,
        "Value" => Shape::Value,
        _ => Shape::Fields,
    }
}

fn enumeration(found: &EnumDescriptor) -> Enum {
    let mut names = HashMap::new();
    let mut numbers = HashMap::new();
    for value in &found.enum_descriptor_proto().value {
        // Of several names for one number the first is shown.
        names.entry(value.number()).or_insert_with(|| value.name().to_owned());
        numbers.insert(value.name().to_owned(), value.number());
    }
    let is_closed = found.parent_file().syntax() == Syntax::Proto2;
    let is_null = found.full_name() == "google.protobuf.NullValue";
    Enum { names, numbers, first: found.default_value().number(), is_closed, is_null }
}
