//! The structural check: walks a message against Kafka's own schema before anything decodes it.
//!
//! `kafka-protocol` reserves memory for every array count it reads: the nine bytes
//! `00000000 FFFFFFFF0F`, read as a Metadata answer, make it ask for 384 GiB, and a failed
//! allocation aborts the process. So every count, length, tag and string is first held against the
//! bytes that are there, without allocating anything. The tables come from the schemas that Apache
//! Kafka ships in its clients jar (`cargo xtask schema`).
//!
//! # The law
//! Whatever passes is decoded without an error, and with at most [`decoded_bytes_max`] bytes of
//! heap beyond the frame itself. [`request_memory`] and [`response_memory`] give the bound for one
//! message; the fuzz targets `check_request` and `check_response` measure both.
//!
//! The bound cannot be a small multiple by itself: a structure that takes 6 bytes on the wire may
//! take 200 in memory, and its first unknown tagged field (2 bytes) costs a map node of 408 more.
//! So the walk adds up what decoding will cost and refuses messages that would exceed
//! [`DENSITY_MAX`] bytes per byte of body. The densest frame captured from a real broker
//! comes to 8; lists of one-letter names come to 16.

mod fault;
mod table;
mod tables;
#[cfg(test)]
mod tests;

pub use fault::{CheckError, Fault, FieldPath};
use fault::{Failed, Step};
use table::{Field, Kind, Message, Struct};

/// Decoded bytes accepted per byte of body.
pub const DENSITY_MAX: usize = 32;

/// Decoded bytes accepted however short the body is.
pub const DECODED_BYTES_FREE: usize = 64 * 1024;

/// Tagged fields accepted in one structure; Kafka 4.4 brokers accept as many (BF-43).
pub const TAGGED_FIELDS_MAX: usize = 10_000;

/// The most heap that decoding an accepted body of `body_bytes` bytes takes.
#[must_use]
pub const fn decoded_bytes_max(body_bytes: usize) -> usize {
    body_bytes.saturating_mul(DENSITY_MAX).saturating_add(DECODED_BYTES_FREE)
}

/// Checks the body of a request: what follows its header.
///
/// # Errors
/// [`CheckError`] names the message, version, field, position and fault.
pub fn check_request(api_key: i16, api_version: i16, body: &[u8]) -> Result<(), CheckError> {
    request_memory(api_key, api_version, body).map(drop)
}

/// Checks the body of a response: what follows its header.
///
/// # Errors
/// As [`check_request`].
pub fn check_response(api_key: i16, api_version: i16, body: &[u8]) -> Result<(), CheckError> {
    response_memory(api_key, api_version, body).map(drop)
}

/// Checks the body of a request and tells the most heap, in bytes, that decoding it takes.
///
/// # Errors
/// As [`check_request`].
pub fn request_memory(api_key: i16, api_version: i16, body: &[u8]) -> Result<usize, CheckError> {
    whole(REQUESTS.find(api_key, api_version)?, api_version, body)
}

/// Checks the body of a response and tells the most heap, in bytes, that decoding it takes.
///
/// # Errors
/// As [`check_request`].
pub fn response_memory(api_key: i16, api_version: i16, body: &[u8]) -> Result<usize, CheckError> {
    whole(RESPONSES.find(api_key, api_version)?, api_version, body)
}

/// Checks the request header at the front of `frame` and tells its length in bytes.
///
/// # Errors
/// As [`check_request`].
pub fn check_request_header(header_version: i16, frame: &[u8]) -> Result<usize, CheckError> {
    front(&tables::REQUEST_HEADER, header_version, frame)
}

/// Checks the response header at the front of `frame` and tells its length in bytes.
///
/// # Errors
/// As [`check_request`].
pub fn check_response_header(header_version: i16, frame: &[u8]) -> Result<usize, CheckError> {
    front(&tables::RESPONSE_HEADER, header_version, frame)
}

/// All messages of one direction.
struct Schemas {
    direction: &'static str,
    /// In ascending order of API keys.
    current: &'static [Message],
    /// The few versions that the current schemas do not have any more.
    legacy: &'static [Message],
}

const REQUESTS: Schemas =
    Schemas { direction: "request", current: tables::REQUESTS, legacy: tables::LEGACY_REQUESTS };

const RESPONSES: Schemas =
    Schemas { direction: "response", current: tables::RESPONSES, legacy: tables::LEGACY_RESPONSES };

impl Schemas {
    fn find(&self, api_key: i16, api_version: i16) -> Result<&'static Message, CheckError> {
        let legacy = self
            .legacy
            .iter()
            .find(|message| message.api_key == api_key && message.versions.contain(api_version));
        if let Some(message) = legacy {
            return Ok(message);
        }
        match self.current.binary_search_by_key(&api_key, |message| message.api_key) {
            Ok(index) => in_range(&self.current[index], api_version),
            Err(_) => {
                let fault = Fault::UnknownApi { api_key }.at(0);
                Err(CheckError::new(self.direction, api_key, api_version, fault))
            }
        }
    }
}

fn in_range(message: &'static Message, version: i16) -> Result<&'static Message, CheckError> {
    let known = message.versions;
    if known.contain(version) {
        return Ok(message);
    }
    let fault = Fault::UnknownVersion { min: known.min, max: known.max };
    Err(CheckError::new(message.name, message.api_key, version, fault.at(0)))
}

/// Walks a message that must fill `body`; gives the memory it decodes to.
fn whole(message: &'static Message, version: i16, body: &[u8]) -> Result<usize, CheckError> {
    let mut walker = Walker::new(message, version, body);
    let walked = walker.structure(&message.body).and_then(|()| match walker.left() {
        0 => Ok(()),
        bytes => Err(Fault::Leftover { bytes }.at(walker.at)),
    });
    match walked {
        Ok(()) => Ok(walker.memory),
        Err(failed) => Err(CheckError::new(message.name, message.api_key, version, failed)),
    }
}

/// Walks a header at the front of `frame`; gives its length.
fn front(message: &'static Message, version: i16, frame: &[u8]) -> Result<usize, CheckError> {
    in_range(message, version)?;
    let mut walker = Walker::new(message, version, frame);
    match walker.structure(&message.body) {
        Ok(()) => Ok(walker.at),
        Err(failed) => Err(CheckError::new(message.name, message.api_key, version, failed)),
    }
}

/// One walk over one message. Recursion follows the nesting of the tables, which is finite; the
/// bytes have no say in it.
struct Walker<'a> {
    bytes: &'a [u8],
    /// Where the next value begins.
    at: usize,
    /// Where values must end: the end of the bytes, or of the tagged field being walked.
    end: usize,
    version: i16,
    flexible: bool,
    /// Heap that decoding takes, as far as walked.
    memory: usize,
    memory_max: usize,
}

impl<'a> Walker<'a> {
    fn new(message: &Message, version: i16, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            end: bytes.len(),
            version,
            flexible: message.flexible.contain(version),
            memory: SHARED_BYTES,
            memory_max: decoded_bytes_max(bytes.len()),
        }
    }

    fn left(&self) -> usize {
        self.end - self.at
    }

    fn structure(&mut self, structure: &'static Struct) -> Result<(), Failed> {
        let version = self.version;
        for field in structure.fields.iter().filter(|field| field.is_positional(version)) {
            self.field(field).map_err(|failed| failed.inside(Step::Field(field.name)))?;
        }
        if self.flexible { self.tagged_fields(structure) } else { Ok(()) }
    }

    fn field(&mut self, field: &'static Field) -> Result<(), Failed> {
        self.value(field.kind, field.nullable.contain(self.version))
    }

    fn value(&mut self, kind: Kind, nullable: bool) -> Result<(), Failed> {
        match kind {
            Kind::String => {
                let width = if self.flexible { Width::Compact } else { Width::Int16 };
                self.string(width, nullable)
            }
            Kind::LegacyString => self.string(Width::Int16, nullable),
            Kind::Bytes | Kind::Records => match self.length(self.wide(), nullable)? {
                Some(length) => self.take(length).map(drop),
                None => Ok(()),
            },
            Kind::Struct(structure) if nullable => self.optional_structure(structure),
            Kind::Struct(structure) => self.structure(structure),
            Kind::Array(element) => self.array(*element, nullable),
            _ => self.take(kind.width().unwrap_or(0)).map(drop),
        }
    }

    fn string(&mut self, width: Width, nullable: bool) -> Result<(), Failed> {
        let Some(length) = self.length(width, nullable)? else { return Ok(()) };
        let start = self.at;
        match std::str::from_utf8(self.take(length)?) {
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::NotUtf8.at(start + error.valid_up_to())),
        }
    }

    /// A structure behind a byte that says whether it is there: 1, or -1 for null.
    fn optional_structure(&mut self, structure: &'static Struct) -> Result<(), Failed> {
        let start = self.at;
        match self.take(1)? {
            [1] => self.structure(structure),
            [0xff] => Ok(()),
            _ => Err(Fault::BadPresence.at(start)),
        }
    }

    fn array(&mut self, element: Kind, nullable: bool) -> Result<(), Failed> {
        let start = self.at;
        let Some(count) = self.length(self.wide(), nullable)? else { return Ok(()) };
        let least = element.least(self.version, self.flexible).max(1);
        if count > self.left() / least {
            return Err(Fault::TooMany { count, least, left: self.left() }.at(start));
        }
        self.charge(count * element.memory())?;
        if let Some(width) = element.width() {
            return self.take(count * width).map(drop);
        }
        for index in 0..count {
            self.value(element, false).map_err(|failed| failed.inside(Step::Index(index)))?;
        }
        Ok(())
    }

    /// The section that ends a structure in flexible versions: tags in ascending order, each with
    /// its size (KIP-482).
    fn tagged_fields(&mut self, structure: &'static Struct) -> Result<(), Failed> {
        let start = self.at;
        let count = self.varint()?;
        let (count, left) = (usize::try_from(count).unwrap_or(usize::MAX), self.left());
        if count > left / 2 || count > TAGGED_FIELDS_MAX {
            return Err(Fault::TooMany { count, least: 2, left }.at(start));
        }
        let mut previous = None;
        let mut unknown_count = 0;
        for _ in 0..count {
            let start = self.at;
            let tag = self.varint()?;
            if previous.is_some_and(|previous| previous >= tag) || i32::try_from(tag).is_err() {
                return Err(Fault::BadTag { tag }.at(start));
            }
            previous = Some(tag);
            let known = structure.fields.iter().find(|field| field.tag == tag && field.is_tagged());
            match known {
                Some(field) if !field.tagged.contain(self.version) => {
                    return Err(Fault::BadTag { tag }.at(start));
                }
                Some(field) => {
                    self.tagged_field(field)
                        .map_err(|failed| failed.inside(Step::Field(field.name)))?;
                }
                None => {
                    unknown_count += 1;
                    self.unknown_field(unknown_count)
                        .map_err(|failed| failed.inside(Step::Tag(tag)))?;
                }
            }
        }
        Ok(())
    }

    /// A known tagged field must fill the size it says, no more and no less.
    fn tagged_field(&mut self, field: &'static Field) -> Result<(), Failed> {
        let size = self.tag_size()?;
        let outer_end = self.end;
        self.end = self.at + size;
        self.field(field)?;
        if self.left() != 0 {
            return Err(Fault::Leftover { bytes: self.left() }.at(self.at));
        }
        self.end = outer_end;
        Ok(())
    }

    /// The decoder keeps unknown tagged fields in a map: the first one allocates a node for eleven.
    fn unknown_field(&mut self, ordinal: usize) -> Result<(), Failed> {
        let size = self.tag_size()?;
        self.take(size)?;
        self.charge(if ordinal == 1 { MAP_NODE_BYTES } else { MAP_ENTRY_BYTES })
    }

    fn tag_size(&mut self) -> Result<usize, Failed> {
        let start = self.at;
        let size = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if size > self.left() {
            return Err(Fault::Ends { wanted: size, left: self.left() }.at(start));
        }
        Ok(size)
    }

    /// Width of the lengths of bytes and arrays in this version.
    fn wide(&self) -> Width {
        if self.flexible { Width::Compact } else { Width::Int32 }
    }

    /// A length or count; `None` for null. It is not yet held against the bytes left.
    fn length(&mut self, width: Width, nullable: bool) -> Result<Option<usize>, Failed> {
        let start = self.at;
        let length = match width {
            Width::Compact => i64::from(self.varint()?) - 1,
            Width::Int16 => i64::from(i16::from_be_bytes(self.array_of()?)),
            Width::Int32 => i64::from(i32::from_be_bytes(self.array_of()?)),
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 && nullable => Ok(None),
            Err(_) if length == -1 => Err(Fault::Null.at(start)),
            Err(_) => Err(Fault::Negative { length }.at(start)),
        }
    }

    /// An unsigned varint of at most 32 bits.
    fn varint(&mut self) -> Result<u32, Failed> {
        let start = self.at;
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array_of()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::BadVarint.at(start))
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], Failed> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Failed> {
        let left = self.left();
        if length > left {
            return Err(Fault::Ends { wanted: length, left }.at(self.at));
        }
        let start = self.at;
        self.at += length;
        Ok(&self.bytes[start..self.at])
    }

    /// Accounts for heap that decoding will take.
    fn charge(&mut self, bytes: usize) -> Result<(), Failed> {
        self.memory += bytes;
        if self.memory > self.memory_max {
            return Err(Fault::TooDense { limit: self.memory_max }.at(self.at));
        }
        Ok(())
    }
}

/// What the first slice of a frame allocates to share it, rounded up (measured: 24).
const SHARED_BYTES: usize = 64;

/// What the first entry of a map of tagged fields allocates: one leaf of `BTreeMap<i32, Bytes>`,
/// 408 bytes, rounded up to an allocator's size class.
const MAP_NODE_BYTES: usize = 448;

/// What each further entry allocates at most, inner nodes included (measured: 83).
const MAP_ENTRY_BYTES: usize = 112;

/// How a length is written.
#[derive(Clone, Copy)]
enum Width {
    /// Unsigned varint, one more than the length, 0 for null.
    Compact,
    /// Two bytes, -1 for null.
    Int16,
    /// Four bytes, -1 for null.
    Int32,
}
