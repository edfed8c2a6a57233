//! What the structural check answers when a message does not have the form of its schema.

use std::fmt;

use thiserror::Error;

/// A message that was refused, with the place in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message} v{api_version}: {path}{fault} (byte {position})")]
pub struct CheckError {
    /// Kafka's name of the message, for instance `MetadataResponse`.
    pub message: &'static str,
    /// The API key; -1 for a header.
    pub api_key: i16,
    /// The version it was walked as; a header's own version for a header.
    pub api_version: i16,
    /// The field, for instance `topics[3].partitions[0].records`.
    pub path: FieldPath,
    /// Where the fault is, in bytes from the start of what was checked.
    pub position: usize,
    /// What is wrong.
    pub fault: Fault,
}

impl CheckError {
    pub(super) fn new(
        message: &'static str,
        api_key: i16,
        api_version: i16,
        failed: Failed,
    ) -> Self {
        let Failure { fault, position, steps } = *failed.0;
        Self { message, api_key, api_version, path: FieldPath::new(&steps), position, fault }
    }
}

/// Names the field of a fault; empty for the message as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// Steps come innermost first.
    fn new(steps: &[Step]) -> Self {
        let mut path = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Field(_) | Step::Tag(_) if !path.is_empty() => path.push('.'),
                _ => {}
            }
            match step {
                Step::Field(name) => path.push_str(name),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Tag(tag) => path.push_str(&format!("tag {tag}")),
            }
        }
        Self(path)
    }

    /// The path as text, for instance `topics[3].name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// What is wrong at one place of a message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No schema has this API key.
    #[error("unknown API key {api_key}")]
    UnknownApi {
        /// The key as it was given.
        api_key: i16,
    },
    /// The schema does not describe this version.
    #[error("unknown version (known: {min} to {max})")]
    UnknownVersion {
        /// Lowest version described.
        min: i16,
        /// Highest version described.
        max: i16,
    },
    /// A value reaches beyond the end of the message, or of its tagged field.
    #[error("{wanted} bytes wanted, {left} left")]
    Ends {
        /// Bytes the value takes.
        wanted: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes remain behind the last field.
    #[error("{bytes} bytes left over")]
    Leftover {
        /// Bytes not accounted for.
        bytes: usize,
    },
    /// A count that the bytes left cannot hold.
    #[error("{count} elements of at least {least} bytes do not fit into {left} bytes")]
    TooMany {
        /// The count as it was read.
        count: usize,
        /// The fewest bytes of one element.
        least: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Null where the schema does not allow it in this version.
    #[error("null is not allowed here")]
    Null,
    /// A length below -1.
    #[error("length {length} is negative")]
    Negative {
        /// The length as it was read.
        length: i64,
    },
    /// A varint of more than 32 bits.
    #[error("varint exceeds 32 bits")]
    BadVarint,
    /// A string that is not UTF-8.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// The byte in front of an optional structure is neither 1 nor -1.
    #[error("neither a structure nor null")]
    BadPresence,
    /// A tag out of order, repeated, above `i32::MAX`, or of another version.
    #[error("tag {tag} is out of order or does not belong to this version")]
    BadTag {
        /// The tag as it was read.
        tag: u32,
    },
    /// Decoding would take more memory than a message of this length may.
    #[error("decoding takes more than {limit} bytes")]
    TooDense {
        /// The limit for this message, in bytes.
        limit: usize,
    },
}

impl Fault {
    /// The fault at a position.
    pub(super) fn at(self, position: usize) -> Failed {
        Failed(Box::new(Failure { fault: self, position, steps: Vec::new() }))
    }
}

/// A fault on its way out of the walk, collecting the path. Boxed: the good path returns nothing.
#[derive(Debug)]
pub(super) struct Failed(Box<Failure>);

#[derive(Debug)]
struct Failure {
    fault: Fault,
    position: usize,
    /// Innermost first.
    steps: Vec<Step>,
}

impl Failed {
    pub(super) fn inside(mut self, step: Step) -> Self {
        self.0.steps.push(step);
        self
    }
}

/// One step of a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Field(&'static str),
    Index(usize),
    Tag(u32),
}
