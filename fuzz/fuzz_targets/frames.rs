//! Frames come out the same however the bytes are cut into reads, and nothing is waited for beyond the limit. The first byte
//! says how long the reads are.
#![no_main]

use bytes::BytesMut;
use kafka_wire::frame::{FrameError, FrameLimits, bytes_wanted, next_frame};
use libfuzzer_sys::fuzz_target;

const LIMITS: FrameLimits = FrameLimits { frame_bytes_max: 4096 };

/// The frames, and how it ended: bytes left without a frame, or an error.
type Outcome = (Vec<Vec<u8>>, Result<usize, FrameError>);

fuzz_target!(|data: &[u8]| {
    let Some((read_bytes, data)) = data.split_first() else { return };
    let whole = read_in(data, data.len().max(1));
    assert_eq!(read_in(data, usize::from(*read_bytes).max(1)), whole);
    assert_eq!(read_in(data, 1), whole);

    let framed: usize = whole.0.iter().map(|frame| frame.len() + 4).sum();
    match whole.1 {
        Ok(left) => assert_eq!(framed + left, data.len(), "bytes were lost"),
        Err(FrameError::TooLarge { length, limit }) => assert!(length > limit),
        Err(error) => assert!(matches!(error, FrameError::Negative { length } if length < 0)),
    }
});

fn read_in(data: &[u8], read_bytes: usize) -> Outcome {
    let (mut input, mut frames) = (BytesMut::new(), Vec::new());
    for read in data.chunks(read_bytes) {
        input.extend_from_slice(read);
        loop {
            let wanted = bytes_wanted(&input, &LIMITS);
            match next_frame(&mut input, &LIMITS) {
                Ok(Some(frame)) => {
                    assert_eq!(wanted, Ok(0));
                    frames.push(frame.to_vec());
                }
                Ok(None) => {
                    let wanted = wanted.expect("both see the same length");
                    assert!(wanted > 0 && wanted <= LIMITS.frame_bytes_max);
                    break;
                }
                Err(error) => {
                    assert_eq!(wanted, Err(error.clone()));
                    return (frames, Err(error));
                }
            }
        }
    }
    (frames, Ok(input.len()))
}
