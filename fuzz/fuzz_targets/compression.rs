//! The codecs, chosen by the first byte: whatever is compressed comes back, and no input decompresses beyond its cap.
//! zstd is compared with a second decoder.
#![no_main]

use std::io::Read;

use kafka_wire::compression::{Compression, CompressionError, compress, decompress};
use libfuzzer_sys::fuzz_target;

const CAP: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let codec = Compression::ALL[usize::from(*choice) % Compression::ALL.len()];

    let packed = compress(codec, data).expect("every input can be compressed");
    assert_eq!(decompress(codec, &packed, data.len()).expect("what we compressed can be read"), data);
    if let Some(cap) = data.len().checked_sub(1) {
        assert_eq!(decompress(codec, &packed, cap), Err(CompressionError::TooLarge { codec, limit: cap }));
    }

    let found = decompress(codec, data, CAP);
    if let Ok(plain) = &found {
        assert!(plain.len() <= CAP);
    }
    if codec == Compression::Zstd {
        assert_eq!(second_opinion(&packed).as_deref(), Some(data), "the second decoder reads what we wrote");
        if let (Ok(plain), Some(first_frame)) = (&found, second_opinion(data)) {
            assert!(plain.starts_with(&first_frame), "two decoders disagree");
        }
    }
});

/// The first frame as `ruzstd` reads it.
fn second_opinion(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let decoder = ruzstd::decoding::StreamingDecoder::new(data).ok()?;
    let limit = u64::try_from(CAP).expect("a small number") + 1;
    decoder.take(limit).read_to_end(&mut out).ok()?;
    (out.len() <= CAP).then_some(out)
}
