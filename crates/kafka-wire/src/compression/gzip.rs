//! gzip: members laid end to end are one stream, as for Java's `GZIPInputStream`.

use std::io::Write;

use flate2::{bufread::MultiGzDecoder, write::GzEncoder};

use super::{Compression, CompressionError, read_capped};

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let failed = |error: std::io::Error| CompressionError::Encode {
        codec: Compression::Gzip,
        reason: error.to_string(),
    };
    // Kafka's default, -1, is zlib's level 6.
    let mut encoder =
        GzEncoder::new(Vec::with_capacity(input.len() / 4 + 64), flate2::Compression::new(6));
    encoder.write_all(input).map_err(failed)?;
    encoder.finish().map_err(failed)
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    if input.is_empty() {
        return Err(CompressionError::corrupt(Compression::Gzip, "there is no header"));
    }
    read_capped(Compression::Gzip, MultiGzDecoder::new(input), input.len().saturating_mul(4), limit)
}
