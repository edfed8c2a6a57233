//! Length-prefixed frames: cutting them out of what arrived, without copying.
//!
//! Every request and response is an `i32` length, big-endian, followed by that many bytes. A length
//! is believed only within a limit, because the receive buffer grows to whatever it says. What is
//! inside a frame is left to [`crate::message`].

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// Bytes of the length in front of every frame.
pub const LENGTH_BYTES: usize = 4;

/// How large a frame may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Largest frame accepted, in bytes without the length itself.
    pub frame_bytes_max: usize,
}

impl Default for FrameLimits {
    /// 128 MiB: above Kafka's default `socket.request.max.bytes` and `fetch.max.bytes` together
    /// with one oversized batch.
    fn default() -> Self {
        Self { frame_bytes_max: 128 * 1024 * 1024 }
    }
}

/// Why the input is not a sequence of frames. The connection cannot go on after this.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A negative length.
    #[error("frame length is negative ({length}): the peer does not speak Kafka's protocol")]
    Negative {
        /// The length as it was read.
        length: i32,
    },
    /// More than the limit allows.
    #[error(
        "frame of {length} bytes exceeds the limit of {limit} bytes (does the peer speak Kafka's protocol, in the clear?)"
    )]
    TooLarge {
        /// The length as it was read, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Takes the next whole frame off `input`, without its length; `None` while bytes are missing.
///
/// The frame shares the memory of `input`: nothing is copied.
///
/// # Errors
/// [`FrameError`] when the length is negative or above the limit; `input` is left as it was.
pub fn next_frame(input: &mut BytesMut, limits: &FrameLimits) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = frame_length(input, limits)? else { return Ok(None) };
    if input.len() - LENGTH_BYTES < length {
        return Ok(None);
    }
    input.advance(LENGTH_BYTES);
    Ok(Some(input.split_to(length).freeze()))
}

/// How many bytes are missing until a frame is whole: what to reserve before the next read.
///
/// While the length itself is incomplete, the answer counts the bytes missing of the length. 0 means
/// that [`next_frame`] has something to give.
///
/// # Errors
/// As [`next_frame`].
pub fn bytes_wanted(input: &BytesMut, limits: &FrameLimits) -> Result<usize, FrameError> {
    let Some(length) = frame_length(input, limits)? else { return Ok(LENGTH_BYTES - input.len()) };
    Ok(length.saturating_sub(input.len() - LENGTH_BYTES))
}

/// The length at the front of `input`, checked; `None` while its four bytes are not all there.
fn frame_length(input: &[u8], limits: &FrameLimits) -> Result<Option<usize>, FrameError> {
    let Some((head, _)) = input.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = i32::from_be_bytes(*head);
    let bytes = usize::try_from(length).map_err(|_| FrameError::Negative { length })?;
    if bytes > limits.frame_bytes_max {
        return Err(FrameError::TooLarge { length: bytes, limit: limits.frame_bytes_max });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: FrameLimits = FrameLimits { frame_bytes_max: 8 };

    #[track_caller]
    fn check(input: &[u8], wanted: usize, expected: Option<&[u8]>, rest: &[u8]) {
        let mut input = BytesMut::from(input);
        assert_eq!(bytes_wanted(&input, &LIMITS), Ok(wanted));
        let frame = next_frame(&mut input, &LIMITS).unwrap();
        assert_eq!(frame.as_deref(), expected);
        assert_eq!(input, rest);
    }

    #[test]
    fn takes_whole_frames_only() {
        check(b"", 4, None, b"");
        check(b"\0\0", 2, None, b"\0\0");
        check(b"\0\0\0\x02", 2, None, b"\0\0\0\x02");
        check(b"\0\0\0\x02a", 1, None, b"\0\0\0\x02a");
        check(b"\0\0\0\x02ab", 0, Some(b"ab"), b"");
        check(b"\0\0\0\x02abc", 0, Some(b"ab"), b"c");
        check(b"\0\0\0\0\0", 0, Some(b""), b"\0");
        check(b"\0\0\0\x0812345678", 0, Some(b"12345678"), b"");
    }

    #[test]
    fn refuses_lengths_it_cannot_believe() {
        let refuse = |input: &[u8], expected: FrameError| {
            let mut input = BytesMut::from(input);
            assert_eq!(bytes_wanted(&input, &LIMITS), Err(expected.clone()));
            assert_eq!(next_frame(&mut input, &LIMITS), Err(expected));
        };
        refuse(b"\xff\xff\xff\xff", FrameError::Negative { length: -1 });
        refuse(b"\0\0\0\x09", FrameError::TooLarge { length: 9, limit: 8 });
        // The first bytes of an HTTP answer and of a TLS alert.
        refuse(b"HTTP/1.1", FrameError::TooLarge { length: 0x4854_5450, limit: 8 });
        refuse(b"\x15\x03\x03\0\x02", FrameError::TooLarge { length: 0x1503_0300, limit: 8 });
    }

    #[test]
    fn frames_share_the_input_memory() {
        let mut input = BytesMut::from(&b"\0\0\0\x02ab"[..]);
        let start = input.as_ptr();
        let frame = next_frame(&mut input, &LIMITS).unwrap().unwrap();
        assert_eq!(frame.as_ptr(), start.wrapping_add(LENGTH_BYTES));
    }

    proptest! {
        /// Frames come out as they went in, however the bytes are cut into reads.
        #[test]
        fn cuts_do_not_matter(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=8), 0..6),
            read_bytes in 1_usize..20,
        ) {
            let mut wire = Vec::new();
            for frame in &frames {
                wire.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
                wire.extend_from_slice(frame);
            }
            let mut input = BytesMut::new();
            let mut found = Vec::new();
            for read in wire.chunks(read_bytes) {
                input.extend_from_slice(read);
                while let Some(frame) = next_frame(&mut input, &LIMITS).unwrap() {
                    found.push(frame.to_vec());
                }
            }
            prop_assert_eq!(found, frames);
            prop_assert!(input.is_empty());
        }
    }
}
