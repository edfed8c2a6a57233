//! The form of the tables that `cargo xtask schema` generates: Kafka's message schemas as static data.

/// An inclusive range of versions; empty where `min` exceeds `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    const NONE: Self = Self { min: 1, max: 0 };

    pub(crate) const fn contain(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// No upper bound: the schema says `3+`.
pub(super) const LATEST: i16 = i16::MAX;

/// One request, response or header.
#[derive(Debug)]
pub(crate) struct Message {
    /// Kafka's name, for instance `MetadataResponse`.
    pub(crate) name: &'static str,
    /// The API key; -1 for headers.
    pub(crate) api_key: i16,
    /// The versions the schema describes.
    pub(crate) versions: Versions,
    /// The versions with compact lengths and tagged fields (KIP-482).
    pub(crate) flexible: Versions,
    pub(crate) body: Struct,
}

/// A message with its fields, flexible from version `flexible_from` on (`LATEST`: never).
pub(super) const fn message(
    name: &'static str,
    api_key: i16,
    versions: (i16, i16),
    flexible_from: i16,
    fields: &'static [Field],
) -> Message {
    Message {
        name,
        api_key,
        versions: Versions { min: versions.0, max: versions.1 },
        flexible: if flexible_from == LATEST {
            Versions::NONE
        } else {
            Versions { min: flexible_from, max: LATEST }
        },
        body: structure(fields),
    }
}

/// A structure: fields in wire order, tagged ones after them.
#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) fields: &'static [Field],
    /// Upper bound of the size of the decoded value itself, in bytes, without what it points at.
    pub(crate) memory: usize,
}

/// A structure with its memory computed from its fields.
pub(super) const fn structure(fields: &'static [Field]) -> Struct {
    // The map of unknown tagged fields, then every field of every version: the decoded type has
    // them all. The compiler orders fields by alignment, so only the end is padded.
    let mut memory = 24;
    let mut index = 0;
    while index < fields.len() {
        memory += fields[index].kind.memory();
        index += 1;
    }
    Struct { fields, memory: memory.next_multiple_of(8) }
}

/// One field of a structure.
#[derive(Debug)]
pub(crate) struct Field {
    /// Kafka's name in this language's case.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The versions that have the field.
    pub(crate) versions: Versions,
    /// The versions in which it may be null.
    pub(crate) nullable: Versions,
    /// The versions in which it is a tagged field.
    pub(crate) tagged: Versions,
    /// Its tag; meaningless unless some version is tagged.
    pub(crate) tag: u32,
}

/// A field present from version `min` to `max`, never null, never tagged.
pub(super) const fn field(name: &'static str, kind: Kind, min: i16, max: i16) -> Field {
    let versions = Versions { min, max };
    Field { name, kind, versions, nullable: Versions::NONE, tagged: Versions::NONE, tag: 0 }
}

impl Field {
    /// May be null from version `min` to `max`.
    pub(super) const fn null(self, min: i16, max: i16) -> Self {
        Self { nullable: Versions { min, max }, ..self }
    }

    /// Is the tagged field `tag` from version `min` to `max`.
    pub(super) const fn tag(self, tag: u32, min: i16, max: i16) -> Self {
        Self { tagged: Versions { min, max }, tag, ..self }
    }

    /// Whether some version has the field as a tagged one.
    pub(crate) const fn is_tagged(&self) -> bool {
        self.tagged.min <= self.tagged.max
    }

    /// Whether the field stands among the others, outside the tagged section.
    pub(crate) const fn is_positional(&self, version: i16) -> bool {
        self.versions.contain(version) && !self.tagged.contain(version)
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Uuid,
    /// UTF-8; compact in flexible versions.
    String,
    /// UTF-8 with an `i16` length in all versions: the client id of the request header.
    LegacyString,
    Bytes,
    /// Record batches, as bytes.
    Records,
    Struct(&'static Struct),
    Array(&'static Self),
}

impl Kind {
    /// The size on the wire of kinds that have one size only.
    pub(crate) const fn width(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Int8 => Some(1),
            Self::Int16 | Self::Uint16 => Some(2),
            Self::Int32 => Some(4),
            Self::Int64 | Self::Float64 => Some(8),
            Self::Uuid => Some(16),
            Self::String
            | Self::LegacyString
            | Self::Bytes
            | Self::Records
            | Self::Struct(_)
            | Self::Array(_) => None,
        }
    }

    /// Upper bound of the size of the decoded value itself, in bytes: strings and bytes are slices
    /// of the frame (`Bytes`, four words), arrays are vectors (three words).
    pub(crate) const fn memory(self) -> usize {
        match self {
            Self::String | Self::LegacyString | Self::Bytes | Self::Records => 32,
            Self::Array(_) => 24,
            // One word more where it is optional.
            Self::Struct(structure) => structure.memory + 8,
            _ => match self.width() {
                Some(width) => width,
                None => 0,
            },
        }
    }

    /// The fewest bytes a value of this kind takes on the wire.
    pub(crate) fn least(self, version: i16, flexible: bool) -> usize {
        match self {
            Self::LegacyString => 2,
            Self::String if !flexible => 2,
            Self::Bytes | Self::Records | Self::Array(_) if !flexible => 4,
            Self::String | Self::Bytes | Self::Records | Self::Array(_) => 1,
            Self::Struct(structure) => structure.least(version, flexible),
            _ => self.width().unwrap_or(0),
        }
    }
}

impl Struct {
    /// The fewest bytes the structure takes on the wire in `version`.
    pub(crate) fn least(&self, version: i16, flexible: bool) -> usize {
        let fields = self.fields.iter().filter(|field| field.is_positional(version));
        let positional: usize = fields
            .map(|field| match field.kind {
                // Null is one byte of presence.
                Kind::Struct(_) if field.nullable.contain(version) => 1,
                kind => kind.least(version, flexible),
            })
            .sum();
        positional + usize::from(flexible)
    }
}
