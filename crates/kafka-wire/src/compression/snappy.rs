//! Snappy blocks in the framing of the xerial library, which Kafka's Java client writes; also a bare block.
//!
//! The framing: eight bytes of magic, version 1, lowest compatible version 1 (each 32 bits, big-endian), then blocks
//! of at most 32 KiB of plain bytes, each after its compressed length (32 bits, big-endian). Some clients, such as
//! older librdkafka, write a bare block without it, and Java reads both. Streams laid end to end are one stream: the
//! first half of the magic is negative as a length.

use super::{Compression, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_BYTES: usize = 16;
const BLOCK_BYTES: usize = 32 << 10;

/// Upper bound of what a compressed byte can become: the best element makes 64 bytes of 3.
const RATIO_MAX: usize = 22;

fn corrupt(reason: impl std::fmt::Display) -> CompressionError {
    CompressionError::corrupt(Compression::Snappy, reason)
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::with_capacity(HEADER_BYTES + input.len() / 2 + 64);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&1_u32.to_be_bytes());
    out.extend_from_slice(&1_u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(input.len().min(BLOCK_BYTES))];
    let failed = |reason: String| CompressionError::Encode { codec: Compression::Snappy, reason };
    for chunk in input.chunks(BLOCK_BYTES) {
        let bytes =
            encoder.compress(chunk, &mut block).map_err(|error| failed(error.to_string()))?;
        let length = u32::try_from(bytes).map_err(|error| failed(error.to_string()))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&block[..bytes]);
    }
    Ok(out)
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    let mut rest = input;
    if !rest.starts_with(&MAGIC) {
        block(rest, &mut out, limit)?;
        return Ok(out);
    }
    while !rest.is_empty() {
        if rest.starts_with(&MAGIC) {
            let (header, after) =
                rest.split_at_checked(HEADER_BYTES).ok_or_else(|| corrupt("the header is cut"))?;
            if header[8..12] == [0; 4] || header[8] & 0x80 != 0 {
                return Err(corrupt("the framing has a version below 1"));
            }
            rest = after;
            continue;
        }
        let (length, after) =
            rest.split_first_chunk().ok_or_else(|| corrupt("a block's length is cut"))?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| corrupt("a block's length is negative"))?;
        let (body, after) =
            after.split_at_checked(length).ok_or_else(|| corrupt("a block is cut"))?;
        block(body, &mut out, limit)?;
        rest = after;
    }
    Ok(out)
}

/// Appends the plain bytes of one block.
fn block(input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CompressionError> {
    if input.is_empty() {
        return Err(corrupt("a block is empty"));
    }
    let length = snap::raw::decompress_len(input).map_err(corrupt)?;
    if length / RATIO_MAX > input.len() {
        return Err(corrupt("a block claims to hold more than it can"));
    }
    let start = out.len();
    if length > limit.saturating_sub(start) {
        return Err(CompressionError::TooLarge { codec: Compression::Snappy, limit });
    }
    out.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(input, &mut out[start..]).map_err(corrupt)?;
    Ok(())
}
