//! LZ4 frames: written as Kafka's Java client does (independent blocks of 64 KiB, no checksums), read in all forms that
//! the frame format allows: linked blocks, all block sizes, block and content checksums, content size.
//!
//! Before the decoder sees a frame, its outline is checked here: the decoder takes a missing end mark for the end and
//! would hand out half a batch. Like Java's reader we take exactly one frame; unlike it, we refuse bytes behind it.
//!
//! Message format v0 has a fault of old clients built in: they computed the header checksum over the magic bytes too
//! (KAFKA-3160). Java writes v0 so for ever, and does not look at that checksum when it reads v0.

use std::io::{Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{Compression, CompressionError, read_capped};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY_ID: u8 = 1;
/// Set in a block's length when the block is stored plain.
const PLAIN: u32 = 1 << 31;

fn corrupt(reason: impl std::fmt::Display) -> CompressionError {
    CompressionError::corrupt(Compression::Lz4, reason)
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let failed = |reason: String| CompressionError::Encode { codec: Compression::Lz4, reason };
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(input.len() / 2 + 64));
    // The encoder writes the frame's header with the first bytes and a frame without any at the end.
    encoder.write_all(input).map_err(|error| failed(error.to_string()))?;
    encoder.finish().map_err(|error| failed(error.to_string()))
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    outline(input)?;
    let decoder = ToTheEnd { decoder: FrameDecoder::new(input) };
    read_capped(Compression::Lz4, decoder, input.len().saturating_mul(4), limit)
}

/// As [`compress`], with the header checksum as message format v0 has it.
pub(crate) fn compress_v0(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut frame = compress(input)?;
    let at = checksum_at(&frame)?;
    frame[at] = header_checksum(&frame[..at]);
    Ok(frame)
}

/// As [`decompress`], whatever the header checksum says.
pub(crate) fn decompress_v0(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut frame = input.to_vec();
    let at = checksum_at(&frame)?;
    frame[at] = header_checksum(&frame[MAGIC.len()..at]);
    decompress(&frame, limit)
}

/// The decoder returns "no more bytes" after every block that holds none; the end is where the input ends.
struct ToTheEnd<'a> {
    decoder: FrameDecoder<&'a [u8]>,
}

impl Read for ToTheEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            // Each round takes at least the four bytes of a block's length, so that this ends.
            let count = self.decoder.read(buffer)?;
            if count != 0 || buffer.is_empty() || self.decoder.get_ref().is_empty() {
                return Ok(count);
            }
        }
    }
}

/// Where the one-byte checksum of the frame's header stands.
fn checksum_at(frame: &[u8]) -> Result<usize, CompressionError> {
    let after =
        frame.strip_prefix(&MAGIC).ok_or_else(|| corrupt("it does not begin with an LZ4 frame"))?;
    let flags = *after.first().ok_or_else(|| corrupt("the frame header is cut"))?;
    let at = MAGIC.len()
        + 2
        + if flags & CONTENT_SIZE == 0 { 0 } else { 8 }
        + if flags & DICTIONARY_ID == 0 { 0 } else { 4 };
    if at >= frame.len() {
        return Err(corrupt("the frame header is cut"));
    }
    Ok(at)
}

/// Checks that `input` is one frame, whole, with its end mark at its end.
fn outline(input: &[u8]) -> Result<(), CompressionError> {
    let header_end = checksum_at(input)? + 1;
    let flags = input[MAGIC.len()];
    let block_trailer = if flags & BLOCK_CHECKSUMS == 0 { 0 } else { 4 };
    let mut rest = &input[header_end..];
    loop {
        let (length, after) =
            rest.split_first_chunk().ok_or_else(|| corrupt("the end mark is missing"))?;
        let length = u32::from_le_bytes(*length) & !PLAIN;
        if *rest.first_chunk::<4>().unwrap_or(&[0; 4]) == [0; 4] {
            rest = after;
            break;
        }
        let size = usize::try_from(length).map_err(corrupt)?.saturating_add(block_trailer);
        rest = after.get(size..).ok_or_else(|| corrupt("a block is cut"))?;
    }
    let trailer = if flags & CONTENT_CHECKSUM == 0 { 0 } else { 4 };
    match rest.len() {
        left if left == trailer => Ok(()),
        left if left < trailer => Err(corrupt("the content checksum is cut")),
        left => Err(corrupt(format_args!("{} bytes follow the frame", left - trailer))),
    }
}

/// The second byte of the xxHash-32 of a frame's header.
fn header_checksum(header: &[u8]) -> u8 {
    let [_, second, ..] = xxh32(header).to_le_bytes();
    second
}

/// xxHash-32 with seed 0 of at most a frame's header (19 bytes), though any length is right.
fn xxh32(input: &[u8]) -> u32 {
    const P1: u32 = 0x9e37_79b1;
    const P2: u32 = 0x85eb_ca77;
    const P3: u32 = 0xc2b2_ae3d;
    const P4: u32 = 0x27d4_eb2f;
    const P5: u32 = 0x1656_67b1;
    let mut rest = input;
    let mut hash = P5;
    if input.len() >= 16 {
        let mut lanes = [P1.wrapping_add(P2), P2, 0, 0_u32.wrapping_sub(P1)];
        while let Some((stripe, after)) = rest.split_first_chunk::<16>() {
            for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                *lane = lane.wrapping_add(word.wrapping_mul(P2)).rotate_left(13).wrapping_mul(P1);
            }
            rest = after;
        }
        let [a, b, c, d] = lanes;
        hash = a.rotate_left(1).wrapping_add(b.rotate_left(7)).wrapping_add(c.rotate_left(12));
        hash = hash.wrapping_add(d.rotate_left(18));
    }
    // The length modulo 2^32 is part of the definition.
    let [l0, l1, l2, l3, ..] = input.len().to_le_bytes();
    hash = hash.wrapping_add(u32::from_le_bytes([l0, l1, l2, l3]));
    while let Some((word, after)) = rest.split_first_chunk() {
        hash = hash
            .wrapping_add(u32::from_le_bytes(*word).wrapping_mul(P3))
            .rotate_left(17)
            .wrapping_mul(P4);
        rest = after;
    }
    for byte in rest {
        hash =
            hash.wrapping_add(u32::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P3);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xxh32_known_values() {
        assert_eq!(xxh32(b""), 0x02cc_5d05);
        assert_eq!(xxh32(b"a"), 0x550d_7456);
        assert_eq!(xxh32(b"abc"), 0x32d1_53ff);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }

    #[test]
    fn v0_frames_carry_the_old_checksum_and_are_read_with_either() {
        for plain in [&b""[..], b"x", &[7; 100_000]] {
            let right = compress(plain).unwrap();
            let old = compress_v0(plain).unwrap();
            assert_eq!(right[..6], old[..6]);
            assert_ne!(right[6], old[6]);
            assert_eq!(right[7..], old[7..]);
            assert_eq!(decompress_v0(&old, 1 << 20).unwrap(), plain);
            assert_eq!(decompress_v0(&right, 1 << 20).unwrap(), plain);
            assert!(decompress(&old, 1 << 20).is_err(), "v1 and v2 insist on the right checksum");
        }
    }

    #[test]
    fn frames_of_every_legal_shape() {
        let plain: Vec<u8> = (0_u32..300_000).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB]
        {
            for mode in [BlockMode::Independent, BlockMode::Linked] {
                for bits in 0_u8..8 {
                    let info = FrameInfo::new()
                        .block_size(size)
                        .block_mode(mode)
                        .block_checksums(bits & 1 != 0)
                        .content_checksum(bits & 2 != 0)
                        .content_size((bits & 4 != 0).then_some(plain.len() as u64));
                    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                    encoder.write_all(&plain).unwrap();
                    let frame = encoder.finish().unwrap();
                    assert_eq!(decompress(&frame, plain.len()).unwrap(), plain);
                    assert!(decompress(&frame[..frame.len() - 1], plain.len()).is_err());
                }
            }
        }
    }

    #[test]
    fn a_block_without_content_does_not_hide_what_follows() {
        // Header; block of one token that makes nothing; plain block "hi"; end mark.
        let mut frame = compress(b"").unwrap();
        frame.truncate(7);
        frame.extend_from_slice(&[1, 0, 0, 0, 0x00]);
        frame.extend_from_slice(&[2, 0, 0, 0x80, b'h', b'i']);
        frame.extend_from_slice(&[0; 4]);
        assert_eq!(decompress(&frame, 10).unwrap(), b"hi");
    }

    #[test]
    fn a_missing_end_is_damage() {
        let frame = compress(&[1; 200_000]).unwrap();
        for cut in [1, 4, 5, frame.len() - 7, frame.len() - 6, frame.len() - 3, frame.len()] {
            assert!(decompress(&frame[..frame.len() - cut], 1 << 20).is_err(), "{cut} bytes cut");
        }
        let twice = [frame.clone(), frame].concat();
        assert!(
            decompress(&twice, 1 << 20).unwrap_err().to_string().contains("bytes follow the frame")
        );
    }
}
