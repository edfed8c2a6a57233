//! The four codecs of Kafka, both directions, in pure Rust.
//!
//! Output is always capped: a few hundred bytes can claim to hold gigabytes. What is written is framed as Kafka's Java
//! client frames it; what is read is all that the format allows, streams laid end to end included where Java's reader
//! takes them. Levels are Kafka's defaults: gzip 6, zstd 3.
//!
//! # Source
//! Package `org.apache.kafka.common.compress` in Apache Kafka; KIP-110 (zstd).

mod gzip;
pub(crate) mod lz4;
mod snappy;
mod zstd;

use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

use thiserror::Error;

/// A codec, with its number in the attributes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not compressed.
    None = 0,
    /// gzip (RFC 1952).
    Gzip = 1,
    /// Snappy in the framing of the xerial library.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// Zstandard frames; since Kafka 2.1.
    Zstd = 4,
}

impl Compression {
    /// All codecs, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with this number.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// The name that Kafka's configuration uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| UnknownCompression(name.to_owned()))
    }
}

/// A name that is no codec's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no codec; known are none, gzip, snappy, lz4 and zstd")]
pub struct UnknownCompression(pub String);

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The input is not what the codec writes.
    #[error("{codec} data is damaged: {reason}")]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What the decoder noticed.
        reason: String,
    },
    /// The output would be larger than allowed.
    #[error("{codec} data decompresses to more than {limit} bytes")]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// The limit.
        limit: usize,
    },
    /// The encoder failed.
    #[error("{codec} compression failed: {reason}")]
    Encode {
        /// The codec.
        codec: Compression,
        /// What the encoder said.
        reason: String,
    },
}

impl CompressionError {
    fn corrupt(codec: Compression, reason: impl fmt::Display) -> Self {
        Self::Corrupt { codec, reason: reason.to_string() }
    }
}

/// Compresses `input` as Kafka's Java producer would, at its default level.
///
/// # Errors
/// [`CompressionError::Encode`] when the encoder fails, which no input is known to cause.
pub fn compress(codec: Compression, input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => gzip::compress(input),
        Compression::Snappy => snappy::compress(input),
        Compression::Lz4 => lz4::compress(input),
        Compression::Zstd => zstd::compress(input),
    }
}

/// Decompresses the whole `input` to at most `output_bytes_max` bytes.
///
/// # Errors
/// [`CompressionError::TooLarge`] when the output would be larger; [`CompressionError::Corrupt`] when the input is
/// damaged, ends early or goes on behind the end.
pub fn decompress(
    codec: Compression,
    input: &[u8],
    output_bytes_max: usize,
) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Compression::None if input.len() > output_bytes_max => {
            Err(CompressionError::TooLarge { codec, limit: output_bytes_max })
        }
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => gzip::decompress(input, output_bytes_max),
        Compression::Snappy => snappy::decompress(input, output_bytes_max),
        Compression::Lz4 => lz4::decompress(input, output_bytes_max),
        Compression::Zstd => zstd::decompress(input, output_bytes_max),
    }
}

/// Decompresses one input after the other into memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Decompressor {
    plain: Vec<u8>,
}

impl Decompressor {
    /// As [`decompress`].
    pub(crate) fn decompress(
        &mut self,
        codec: Compression,
        input: &[u8],
        output_bytes_max: usize,
    ) -> Result<&[u8], CompressionError> {
        if codec == Compression::Lz4 {
            let length = lz4::decompress_over(input, output_bytes_max, &mut self.plain)?;
            return Ok(&self.plain[..length]);
        }
        self.plain = decompress(codec, input, output_bytes_max)?;
        Ok(&self.plain)
    }
}

/// Reads `reader` to its end or past the limit, whichever comes first.
fn read_capped(
    codec: Compression,
    reader: impl Read,
    hint: usize,
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::with_capacity(hint.min(limit));
    let mut reader = reader.take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1));
    read_all(&mut reader, &mut out).map_err(|error| CompressionError::corrupt(codec, error))?;
    if out.len() > limit {
        return Err(CompressionError::TooLarge { codec, limit });
    }
    Ok(out)
}

fn read_all(reader: &mut impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    reader.read_to_end(out).map(|_| ())
}

#[cfg(test)]
mod tests;
