//! Laws that hold for every codec.

use proptest::prelude::*;

use super::*;

fn samples() -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_u32;
    let mut noise = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[1]
            })
            .collect()
    };
    let text = b"{\"id\":12345,\"name\":\"some name\",\"tags\":[1,2,3]}\n".repeat(5_000);
    vec![
        Vec::new(),
        vec![0],
        b"hello".to_vec(),
        vec![7; 32 << 10],
        vec![7; (32 << 10) + 1],
        vec![9; 3 << 20],
        noise(100),
        noise(64 << 10),
        noise((64 << 10) + 1),
        noise(700_000),
        text,
    ]
}

#[test]
fn every_codec_returns_what_it_was_given() {
    for codec in Compression::ALL {
        for plain in samples() {
            let packed = compress(codec, &plain).unwrap();
            assert_eq!(
                decompress(codec, &packed, plain.len()).unwrap(),
                plain,
                "{codec}, {} bytes",
                plain.len()
            );
        }
    }
}

#[test]
fn output_is_capped() {
    for codec in Compression::ALL {
        for plain in samples().into_iter().filter(|plain| !plain.is_empty()) {
            let limit = plain.len() - 1;
            let packed = compress(codec, &plain).unwrap();
            assert_eq!(
                decompress(codec, &packed, limit),
                Err(CompressionError::TooLarge { codec, limit }),
                "{codec}, {} bytes",
                plain.len()
            );
        }
    }
}

#[test]
fn cut_and_damaged_input_is_an_error() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        assert!(decompress(codec, &[], 10).is_err(), "{codec}: nothing");
        assert!(decompress(codec, &[0xff; 40], 1 << 20).is_err(), "{codec}: noise");
        let packed = compress(codec, &samples()[10]).unwrap();
        for cut in 1..64 {
            let cut = &packed[..packed.len() - cut];
            assert!(
                decompress(codec, cut, 1 << 20).is_err(),
                "{codec}: {} of {} bytes",
                cut.len(),
                packed.len()
            );
        }
        let mut more = packed.clone();
        more.push(0x55);
        assert!(decompress(codec, &more, 1 << 20).is_err(), "{codec}: one byte more");
    }
}

#[test]
fn streams_laid_end_to_end() {
    fn check(codec: Compression, expected: bool) {
        let packed = [compress(codec, b"one ").unwrap(), compress(codec, b"two").unwrap()].concat();
        assert_eq!(
            decompress(codec, &packed, 100).ok().as_deref(),
            expected.then_some(&b"one two"[..]),
            "{codec}"
        );
    }
    check(Compression::Gzip, true);
    check(Compression::Snappy, true);
    check(Compression::Zstd, true);
    // Java's reader stops silently after the first frame; nobody writes two, and losing data silently is not for us.
    check(Compression::Lz4, false);
}

#[test]
fn a_bare_snappy_block_is_read() {
    let plain = vec![3; 100_000];
    let bare = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(decompress(Compression::Snappy, &bare, 100_000).unwrap(), plain);
}

#[test]
fn claims_of_hostile_input_allocate_nothing() {
    // A bare block that claims 4 GiB; a frame that declares 2^62 bytes.
    assert!(
        decompress(Compression::Snappy, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], usize::MAX).is_err()
    );
    let declared = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x01, 0, 0];
    assert!(decompress(Compression::Zstd, &declared, 1 << 20).is_err());
}

#[test]
fn ruzstd_reads_what_we_write() {
    for plain in samples() {
        let packed = compress(Compression::Zstd, &plain).unwrap();
        let mut out = Vec::new();
        ruzstd::decoding::StreamingDecoder::new(&packed[..])
            .unwrap()
            .read_to_end(&mut out)
            .unwrap();
        assert_eq!(out, plain);
    }
}

#[test]
fn names_and_numbers() {
    for codec in Compression::ALL {
        assert_eq!(codec.to_string().parse(), Ok(codec));
        assert_eq!(Compression::from_id(codec.id()), Some(codec));
    }
    assert_eq!(Compression::from_id(5), None);
    assert!("LZ4".parse::<Compression>().is_err());
    assert_eq!(format!("{:>6}", Compression::Zstd), "  zstd");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn round_trip(codec in prop::sample::select(&Compression::ALL[..]), plain in prop::collection::vec(0_u8..4, 0..5_000)) {
        let packed = compress(codec, &plain).unwrap();
        prop_assert_eq!(decompress(codec, &packed, plain.len()).unwrap(), plain);
    }

    #[test]
    fn damaged_bytes_never_panic_nor_exceed_the_cap(
        codec in prop::sample::select(&Compression::ALL[..]),
        plain in prop::collection::vec(0_u8..4, 0..500),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut packed = compress(codec, &plain).unwrap();
        packed.push(0);
        for (at, byte) in hits {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        if let Ok(out) = decompress(codec, &packed, 2_000) {
            prop_assert!(out.len() <= 2_000);
        }
    }
}
