//! What can be wrong with a batch.

use thiserror::Error;

use crate::compression::{Compression, CompressionError};

/// Why a batch could not be read or written. All of them are final: the same bytes fail again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Fewer bytes than the fixed part of the format needs.
    #[error("batch is {found} bytes long, its fixed part needs {needed}")]
    Short {
        /// Bytes given.
        found: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The magic byte names no message format, or another one than the operation is for.
    #[error("batch at offset {base_offset} has magic {magic}, which is not handled here")]
    Magic {
        /// Offset field of the entry.
        base_offset: i64,
        /// The magic byte.
        magic: i8,
    },
    /// A field of the header has a value that no batch can have.
    #[error("batch at offset {base_offset}: {field} is {value}")]
    Field {
        /// Offset field of the entry.
        base_offset: i64,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The bytes disagree with the length the header states.
    #[error("batch at offset {base_offset}: header says {stated} bytes, found {found}")]
    Length {
        /// Offset field of the entry.
        base_offset: i64,
        /// Size that the header states, with the twelve bytes before the length's count.
        stated: usize,
        /// Size found.
        found: usize,
    },
    /// The stored checksum is not that of the bytes.
    #[error(
        "batch at offset {base_offset}: checksum is {computed:#010x}, header says {stored:#010x}"
    )]
    Crc {
        /// Offset field of the entry.
        base_offset: i64,
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The codec bits name no codec, or one that this message format does not know.
    #[error("batch at offset {base_offset}: codec number {codec} is not defined for magic {magic}")]
    Codec {
        /// Offset field of the entry.
        base_offset: i64,
        /// The magic byte.
        magic: i8,
        /// The low three bits of the attributes.
        codec: u8,
    },
    /// The compressed payload could not be decompressed, or is larger than allowed.
    #[error("batch at offset {base_offset}: {source}")]
    Compression {
        /// Offset field of the entry.
        base_offset: i64,
        /// What the codec said.
        source: CompressionError,
    },
    /// A record breaks the format.
    #[error("batch at offset {base_offset}, record {index}, byte {at} of the payload: {fault}")]
    Record {
        /// Offset field of the entry.
        base_offset: i64,
        /// Index of the record in the batch, from zero.
        index: usize,
        /// Byte in the decompressed payload where the fault was noticed.
        at: usize,
        /// What is wrong.
        fault: RecordFault,
    },
    /// More records or headers than [`RecordLimits`](super::RecordLimits) allows.
    #[error("batch at offset {base_offset} holds {found} {what}, the limit is {limit}")]
    Limit {
        /// Offset field of the entry.
        base_offset: i64,
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A compressed message of format v0 or v1 breaks the rules for wrappers.
    #[error("wrapper message at offset {offset}: {fault}")]
    Wrapper {
        /// Offset field of the wrapper.
        offset: i64,
        /// What is wrong.
        fault: WrapperFault,
    },
    /// What was asked for cannot be written in this format.
    #[error("cannot encode: {0}")]
    Encode(EncodeFault),
}

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// The bytes end inside the record.
    #[error("the bytes end inside a record")]
    Truncated,
    /// A variable-length integer is longer than its type allows.
    #[error("a variable-length integer is longer than its type allows")]
    Varint,
    /// A length is negative where it must not be, or larger than what is left.
    #[error("length {0} does not fit the bytes that are left")]
    Length(i64),
    /// The record's parts do not add up to the record's length.
    #[error("the parts leave {0} bytes of the record unused")]
    Unused(usize),
    /// The number of headers is negative or larger than what is left.
    #[error("{0} headers do not fit the bytes that are left")]
    HeaderCount(i32),
    /// The offset delta lies outside the batch.
    #[error("offset delta {delta} lies outside 0..={last_offset_delta}")]
    OffsetDelta {
        /// The record's delta.
        delta: i32,
        /// The header's bound.
        last_offset_delta: i32,
    },
    /// Bytes follow the last record.
    #[error("{0} bytes follow the last record")]
    Trailing(usize),
    /// The key of a control record is too short to hold its version and type.
    #[error("a control record's key or value is too short")]
    Control,
}

/// What is wrong with a compressed message of format v0 or v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WrapperFault {
    /// A wrapper's value is the compressed message set; null holds none.
    #[error("its value is null")]
    NullValue,
    /// No message inside.
    #[error("it holds no messages")]
    Empty,
    /// A message inside is compressed itself.
    #[error("a message inside is compressed itself")]
    Nested,
    /// A message inside has another format than v0 or v1.
    #[error("a message inside has magic {0}")]
    Magic(i8),
    /// The inner offsets are relative and end behind the wrapper's own offset.
    #[error("its offset is lower than the last inner offset {0}")]
    Offset(i64),
    /// The inner message set ends inside a message.
    #[error("the last {0} bytes inside are no whole message")]
    Partial(usize),
}

/// What cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeFault {
    /// A batch needs a record.
    #[error("there are no records")]
    Empty,
    /// The result would not fit the format's 31-bit length.
    #[error("the batch would be {0} bytes long")]
    TooLong(usize),
    /// An offset is lower than the batch's first, or more than 2^31 - 1 behind it.
    #[error("offset {offset} cannot stand in a batch that begins at {first}")]
    Offset {
        /// The record's offset.
        offset: i64,
        /// The offset of delta zero.
        first: i64,
    },
    /// Formats v0 and v1 have no headers.
    #[error("message format v{0} has no headers")]
    Headers(i8),
    /// Only 0 and 1 are legacy formats.
    #[error("magic {0} is no legacy format")]
    Magic(i8),
    /// The codec does not exist in the format.
    #[error("message format v{0} knows no {1}")]
    Codec(i8, Compression),
    /// The codec failed.
    #[error("{0} failed")]
    Codecs(Compression),
}
