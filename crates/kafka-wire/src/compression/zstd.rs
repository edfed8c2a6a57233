//! Zstandard frames by `structured-zstd`, which is young: tests and fuzzing compare it with `ruzstd`.
//!
//! Java's writer does not state the content's size, so that the output is bounded by the block headers: each block
//! holds at most 128 KiB. The output buffer is taken once and doubles as the window. Frames laid end to end and
//! skippable frames are read, as by Java's `ZstdInputStream`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use structured_zstd::{
    decoding::{
        FrameDecoder, FrameSizeError, errors::FrameDecoderError, find_frame_compressed_size,
        frame_decompressed_bound,
    },
    encoding::{CompressionLevel, compress_slice_to_vec},
};

use super::{Compression, CompressionError};

/// Kafka's default level.
const LEVEL: i32 = 3;

/// The largest window that Java's decoder accepts without being told otherwise: `ZSTD_WINDOWLOG_LIMIT_DEFAULT`, 2^27.
const WINDOW_BYTES_MAX: u64 = 1 << 27;

fn corrupt(reason: impl std::fmt::Display) -> CompressionError {
    CompressionError::corrupt(Compression::Zstd, reason)
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    // The encoder's surface has no errors; should it ever panic, one batch fails and not the process.
    catch_unwind(|| compress_slice_to_vec(input, CompressionLevel::Level(LEVEL))).map_err(|_| {
        CompressionError::Encode {
            codec: Compression::Zstd,
            reason: "the encoder panicked".to_owned(),
        }
    })
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let bound = output_bound(input)?;
    let mut out = vec![0; usize::try_from(bound).unwrap_or(usize::MAX).min(limit)];
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW_BYTES_MAX).map_err(corrupt)?;
    let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode_all(input, &mut out)))
        .map_err(|_| corrupt("the decoder panicked"))?;
    let length = decoded.map_err(|error| match error {
        FrameDecoderError::TargetTooSmall => {
            CompressionError::TooLarge { codec: Compression::Zstd, limit }
        }
        error => corrupt(error),
    })?;
    out.truncate(length);
    // The records are slices of this buffer and may live long.
    if out.capacity() / 2 > out.len() {
        out.shrink_to_fit();
    }
    Ok(out)
}

/// The most bytes that the frames can hold: what they declare, else 128 KiB or the window for each block.
fn output_bound(input: &[u8]) -> Result<u64, CompressionError> {
    if input.is_empty() {
        return Err(corrupt("there is no frame"));
    }
    let mut rest = input;
    let mut bound = 0_u64;
    while !rest.is_empty() {
        let size = find_frame_compressed_size(rest).map_err(frame_fault)?;
        let (frame, after) =
            rest.split_at_checked(size.max(1)).ok_or_else(|| corrupt("the frame is cut"))?;
        bound = bound.saturating_add(frame_decompressed_bound(frame).map_err(frame_fault)?);
        rest = after;
    }
    Ok(bound)
}

fn frame_fault(error: FrameSizeError) -> CompressionError {
    corrupt(format_args!("{error:?}"))
}
