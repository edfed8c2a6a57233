//! LZ4 frames: written as Kafka's Java client does (independent blocks of 64 KiB, no checksums), read in all forms that
//! the frame format allows: linked blocks, all block sizes, block and content checksums, content size.
//!
//! Before the decoder sees a frame, its outline is checked here: the decoder takes a missing end mark for the end and
//! would hand out half a batch. Like Java's reader we take exactly one frame; unlike it, we refuse bytes behind it.
//!
//! Message format v0 has a fault of old clients built in: they computed the header checksum over the magic bytes too
//! (KAFKA-3160). Java writes v0 so for ever, and does not look at that checksum when it reads v0.

use std::io::Read;

use lz4_flex::{
    block::{
        CompressTable, DecompressError, compress_into_with_table, decompress_into,
        get_maximum_output_size,
    },
    frame::FrameDecoder,
};

use super::{Compression, CompressionError, read_capped};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1 of the format.
const VERSION: u8 = 1 << 6;
const INDEPENDENT: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY_ID: u8 = 1;
/// Set in a block's length when the block is stored plain.
const PLAIN: u32 = 1 << 31;

/// Bytes of a block before compression, and the descriptor that says so.
const BLOCK_BYTES: usize = 64 << 10;
const BLOCK_DESCRIPTOR: u8 = 4 << 4;

fn corrupt(reason: impl std::fmt::Display) -> CompressionError {
    CompressionError::corrupt(Compression::Lz4, reason)
}

/// The library's frame encoder takes twice the time: it copies each block aside first.
pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let failed = |reason: String| CompressionError::Encode { codec: Compression::Lz4, reason };
    let descriptor = [VERSION | INDEPENDENT, BLOCK_DESCRIPTOR];
    let mut frame = Vec::with_capacity(input.len() / 2 + 64);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&descriptor);
    frame.push(header_checksum(&descriptor));
    let mut packed = vec![0; get_maximum_output_size(input.len().min(BLOCK_BYTES))];
    let mut table = CompressTable::large();
    for block in input.chunks(BLOCK_BYTES) {
        let size = compress_into_with_table(block, &mut packed, &mut table)
            .map_err(|error| failed(error.to_string()))?;
        let (bytes, mark) = if size < block.len() { (&packed[..size], 0) } else { (block, PLAIN) };
        let length = u32::try_from(bytes.len()).map_err(|error| failed(error.to_string()))?;
        frame.extend_from_slice(&(length | mark).to_le_bytes());
        frame.extend_from_slice(bytes);
    }
    frame.extend_from_slice(&[0; 4]);
    Ok(frame)
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut plain = Vec::new();
    let length = decompress_over(input, limit, &mut plain)?;
    plain.truncate(length);
    // Room for a whole block was made, for what may have been a few hundred bytes.
    plain.shrink_to_fit();
    Ok(plain)
}

/// Decompresses to the beginning of `plain`, whose former content is written over, and gives the length.
///
/// What Kafka's clients write (independent blocks, nothing but blocks) goes straight there: the library's frame decoder makes, and
/// clears, two buffers of a block's size for each frame, which is most of the time for a batch of one record.
pub(super) fn decompress_over(
    input: &[u8],
    limit: usize,
    plain: &mut Vec<u8>,
) -> Result<usize, CompressionError> {
    outline(input)?;
    let Some(block_bytes_max) = plain_blocks(input) else {
        let decoder = ToTheEnd { decoder: FrameDecoder::new(input) };
        *plain = read_capped(Compression::Lz4, decoder, input.len().saturating_mul(4), limit)?;
        return Ok(plain.len());
    };
    let mut rest = &input[MAGIC.len() + 3..];
    let mut filled = 0;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            break;
        }
        let size = usize::try_from(length & !PLAIN).map_err(corrupt)?;
        let (block, after) =
            after.split_at_checked(size).ok_or_else(|| corrupt("a block is cut"))?;
        rest = after;
        if size > block_bytes_max {
            return Err(corrupt("a block is longer than its frame says"));
        }
        let room = block_bytes_max.min(limit - filled);
        if plain.len() < filled + room {
            plain.resize(filled + room, 0);
        }
        let room = &mut plain[filled..filled + room];
        filled += if length & PLAIN == 0 {
            let is_cut = room.len() < block_bytes_max;
            decompress_into(block, room).map_err(|error| match error {
                DecompressError::OutputTooSmall { .. } if is_cut => too_large(limit),
                error => corrupt(error),
            })?
        } else {
            room.get_mut(..size).ok_or_else(|| too_large(limit))?.copy_from_slice(block);
            size
        };
    }
    Ok(filled)
}

fn too_large(limit: usize) -> CompressionError {
    CompressionError::TooLarge { codec: Compression::Lz4, limit }
}

/// The largest block of a frame that is independent blocks and nothing else, with a header that is right.
fn plain_blocks(frame: &[u8]) -> Option<usize> {
    let [flags, descriptor, checksum] = *frame[MAGIC.len()..].first_chunk()?;
    let is_plain =
        flags == VERSION | INDEPENDENT && checksum == header_checksum(&[flags, descriptor]);
    match descriptor {
        _ if !is_plain => None,
        0x40 => Some(64 << 10),
        0x50 => Some(256 << 10),
        0x60 => Some(1 << 20),
        0x70 => Some(4 << 20),
        _ => None,
    }
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
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use proptest::prelude::*;

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

    /// What the library's frame decoder makes of it.
    fn by_the_library(frame: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        outline(frame)?;
        let decoder = ToTheEnd { decoder: FrameDecoder::new(frame) };
        read_capped(Compression::Lz4, decoder, frame.len(), limit)
    }

    proptest! {
        #[test]
        fn damaged_frames_are_read_as_the_library_reads_them(
            words in prop::collection::vec(0_u8..4, 0..3000),
            repeat in 1_usize..60,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            limit in prop_oneof![Just(1_usize << 20), 0_usize..200_000],
        ) {
            let plain = words.repeat(repeat);
            let mut frame = compress(&plain).unwrap();
            if damage.is_empty() {
                prop_assert_eq!(&by_the_library(&frame, plain.len()).unwrap(), &plain);
            }
            for (index, byte) in damage {
                let at = index.index(frame.len());
                frame[at] ^= byte;
            }
            match (decompress(&frame, limit), by_the_library(&frame, limit)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Err(CompressionError::TooLarge { .. }), theirs) => prop_assert!(theirs.is_err()),
                (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok()),
            }
            let mut used = vec![0xff; 300_000];
            let again = decompress_over(&frame, limit, &mut used);
            prop_assert_eq!(again.map(|length| used[..length].to_vec()), decompress(&frame, limit));
        }
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
