//! Avro schemas: read once from their JSON.

mod decode;
mod encode;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

use std::collections::HashMap;

use crate::rule::Node;

/// Types of one schema.
const TYPES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 4 << 20;
const REFERENCES_MAX: usize = 100;

/// A schema; types refer to each other by index, the first one is the root.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    types: Vec<Type>,
    root: usize,
}

#[derive(Debug, Clone)]
enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Record(Vec<Field>),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Fixed(usize),
    /// A number of this many digits behind the point, in bytes or in a fixed size.
    Decimal {
        scale: usize,
        size: Option<usize>,
    },
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    kind: usize,
    has_default: bool,
}

impl Schema {
    /// Reads a schema, and first the named types that it takes from others.
    pub(crate) fn parse(text: &str, references: &[(String, String)]) -> Result<Self, String> {
        let mut reader = Reader { types: Vec::new(), names: HashMap::new() };
        reader.references(references)?;
        let root = reader.text(text)?;
        Ok(Self { types: reader.types, root })
    }
}

struct Reader {
    types: Vec<Type>,
    names: HashMap<String, usize>,
}

impl Reader {
    fn text(&mut self, text: &str) -> Result<usize, String> {
        // A primitive schema may be written as the bare name.
        let node = Node::parse_json(text, TEXT_BYTES_MAX).map_err(|error| error.cause)?;
        self.read(&node, "", 0)
    }

    /// Each may need others, in whatever order they come: those that cannot be read yet are tried again.
    fn references(&mut self, references: &[(String, String)]) -> Result<(), String> {
        if references.len() > REFERENCES_MAX {
            return Err(format!("more than {REFERENCES_MAX} references"));
        }
        let mut waiting: Vec<&(String, String)> = references.iter().collect();
        while !waiting.is_empty() {
            let mut unread = Vec::new();
            let mut cause = String::new();
            for reference in &waiting {
                let known = (self.types.len(), self.names.clone());
                if let Err(error) = self.text(&reference.1) {
                    self.types.truncate(known.0);
                    self.names = known.1;
                    cause = format!("the reference {:?}: {error}", reference.0);
                    unread.push(*reference);
                }
            }
            if unread.len() == waiting.len() {
                return Err(cause);
            }
            waiting = unread;
        }
        Ok(())
    }

    fn add(&mut self, kind: Type) -> Result<usize, String> {
        if self.types.len() >= TYPES_MAX {
            return Err(format!("more than {TYPES_MAX} types"));
        }
        self.types.push(kind);
        Ok(self.types.len() - 1)
    }

    fn read(&mut self, node: &Node, namespace: &str, depth: usize) -> Result<usize, String> {
        if depth > DEPTH_MAX {
            return Err("nested too deep".to_owned());
        }
        if let Some(name) = node.as_text() {
            return self.named(name, namespace);
        }
        if let Some(items) = node.as_list() {
            let kinds = items
                .iter()
                .map(|item| self.read(item, namespace, depth + 1))
                .collect::<Result<_, _>>()?;
            return self.add(Type::Union(kinds));
        }
        let Some(kind) = node.get("type") else { return Err("a type without `type`".to_owned()) };
        match kind.as_text() {
            Some("record" | "error") => self.record(node, namespace, depth),
            Some("enum") => {
                let symbols = node.get("symbols").and_then(Node::as_list).unwrap_or_default();
                let symbols = symbols.iter().filter_map(Node::as_text).map(str::to_owned).collect();
                let at = self.add(Type::Enum(symbols))?;
                self.name(node, namespace, at).map(|_| at)
            }
            Some("fixed") => {
                let size =
                    node.get("size").and_then(Node::as_text).and_then(|size| size.parse().ok());
                let Some(size) = size else { return Err("a fixed type without a size".to_owned()) };
                let at = self.add(decimal(node, Some(size)).unwrap_or(Type::Fixed(size)))?;
                self.name(node, namespace, at).map(|_| at)
            }
            Some("array") => {
                let Some(items) = node.get("items") else {
                    return Err("an array without items".to_owned());
                };
                let items = self.read(items, namespace, depth + 1)?;
                self.add(Type::Array(items))
            }
            Some("map") => {
                let Some(values) = node.get("values") else {
                    return Err("a map without values".to_owned());
                };
                let values = self.read(values, namespace, depth + 1)?;
                self.add(Type::Map(values))
            }
            Some("bytes") => self.add(decimal(node, None).unwrap_or(Type::Bytes)),
            _ => self.read(kind, namespace, depth + 1),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, String> {
        let kind = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::String,
            other => {
                let full = full_name(other, namespace);
                let found = self.names.get(&full).or_else(|| self.names.get(other));
                return found.copied().ok_or_else(|| format!("the type {other:?} is not known"));
            }
        };
        self.add(kind)
    }

    fn record(&mut self, node: &Node, namespace: &str, depth: usize) -> Result<usize, String> {
        let at = self.add(Type::Record(Vec::new()))?;
        // Known before its fields: a record may hold itself.
        let namespace = self.name(node, namespace, at)?;
        let mut fields = Vec::new();
        for field in node.get("fields").and_then(Node::as_list).unwrap_or_default() {
            let name = field.get("name").and_then(Node::as_text);
            let (Some(name), Some(kind)) = (name, field.get("type")) else {
                return Err("a field without name or type".to_owned());
            };
            let kind = self.read(kind, &namespace, depth + 1)?;
            fields.push(Field {
                name: name.to_owned(),
                kind,
                has_default: field.get("default").is_some(),
            });
        }
        self.types[at] = Type::Record(fields);
        Ok(at)
    }

    /// Makes a named type known; gives the namespace for what it holds.
    fn name(&mut self, node: &Node, namespace: &str, at: usize) -> Result<String, String> {
        let Some(name) = node.get("name").and_then(Node::as_text) else {
            return Err("a named type without a name".to_owned());
        };
        let namespace = node.get("namespace").and_then(Node::as_text).unwrap_or(namespace);
        let full = full_name(name, namespace);
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        self.names.insert(full, at);
        Ok(namespace)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn decimal(node: &Node, size: Option<usize>) -> Option<Type> {
    let is_decimal = node.get("logicalType").and_then(Node::as_text) == Some("decimal");
    let scale =
        node.get("scale").and_then(Node::as_text).map_or(Some(0), |scale| scale.parse().ok());
    // 128 bits are more than any precision in use.
    let fits = size.is_none_or(|size| size <= 16);
    let scale: Option<usize> = scale;
    scale
        .filter(|scale| is_decimal && *scale <= 38 && fits)
        .map(|scale| Type::Decimal { scale, size })
}
