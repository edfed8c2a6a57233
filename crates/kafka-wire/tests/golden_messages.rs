//! Frames that real brokers and clients exchanged: checked, decoded, and written again byte for byte.
//!
//! Each line of `testdata/golden/*.txt` is `request` or `response`, API key, API version, and header
//! and body in hexadecimal. `cargo xtask golden` captures them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken golden file fails the test that reads it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kafka_wire::check;
use kafka_wire::message::{decode_any_response, decode_request, encode_response};
use kafka_wire::messages::ApiKey;
use kafka_wire::versions::{BrokerVersions, known_versions};

/// One recorded frame, without its length.
struct Golden {
    is_request: bool,
    api_key: i16,
    api_version: i16,
    frame: Bytes,
    /// File and line, for messages.
    origin: String,
}

impl Golden {
    /// The API, where this release decodes this version; Kafka is ahead of the decoder in a few.
    fn decoded_api(&self) -> Option<ApiKey> {
        let api = ApiKey::try_from(self.api_key).ok()?;
        let known = known_versions(api);
        (known.min..=known.max).contains(&self.api_version).then_some(api)
    }
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden");
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|name| name == "txt")).collect();
    files.sort();
    files
}

fn golden() -> Vec<Golden> {
    files().iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Golden> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            let words: Vec<&str> = line.split(' ').collect();
            let &[direction, api_key, api_version, hex] = &words[..] else {
                panic!("{}:{}: {} words", path.display(), index + 1, words.len());
            };
            Golden {
                is_request: direction == "request",
                api_key: api_key.parse().unwrap(),
                api_version: api_version.parse().unwrap(),
                frame: bytes_of(hex),
                origin: format!(
                    "{}:{} {direction} {api_key} v{api_version}",
                    path.file_name().unwrap().display(),
                    index + 1
                ),
            }
        })
        .collect()
}

fn bytes_of(hex: &str) -> Bytes {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn requests_pass_and_decode() {
    for golden in
        golden().into_iter().filter(|golden| golden.is_request && golden.decoded_api().is_some())
    {
        let (header, _, _) = decode_request(golden.frame.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", golden.origin));
        assert_eq!(header.request_api_version, golden.api_version, "{}", golden.origin);
    }
}

/// Header and body written again are the bytes the broker wrote.
#[test]
fn responses_decode_and_encode_to_the_same_bytes() {
    for golden in golden().into_iter().filter(|golden| !golden.is_request) {
        let Some(api) = golden.decoded_api() else { continue };
        let (id, response) = decode_any_response(api, golden.api_version, golden.frame.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", golden.origin));
        let frame = encode_response(id, api, golden.api_version, &response).unwrap();
        assert_eq!(frame.slice(4..), golden.frame, "{}", golden.origin);
    }
}

/// The tables know versions the decoder does not: their bodies pass too.
#[test]
fn newer_versions_pass_the_check() {
    for golden in golden().into_iter().filter(|golden| golden.decoded_api().is_none()) {
        let Golden { is_request, api_key, api_version, frame, origin } = golden;
        // Such versions are flexible, and so are their headers.
        let result = if is_request {
            check::check_request_header(2, &frame)
                .and_then(|header| check::check_request(api_key, api_version, &frame[header..]))
        } else {
            check::check_response_header(1, &frame)
                .and_then(|header| check::check_response(api_key, api_version, &frame[header..]))
        };
        result.unwrap_or_else(|error| panic!("{origin}: {error}"));
    }
}

/// A frame that lost its last byte, or got one more, is refused: nothing is read by luck.
#[test]
fn damaged_lengths_are_refused() {
    for golden in golden() {
        let Some(api) = golden.decoded_api() else { continue };
        let longer = Bytes::from([&golden.frame[..], &[0]].concat());
        for frame in [golden.frame.slice(..golden.frame.len() - 1), longer] {
            let refused = if golden.is_request {
                decode_request(frame).is_err()
            } else {
                decode_any_response(api, golden.api_version, frame).is_err()
            };
            assert!(refused, "{}", golden.origin);
        }
    }
}

/// Each release is recognised by what its own broker answered.
#[test]
fn releases_are_recognised() {
    for path in files() {
        let release = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // `0.11.0.3` is of 0.11, `4.2.0` of 4.2.
        let minor = release.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let ranges: BTreeSet<String> = read(&path)
            .into_iter()
            .filter(|golden| {
                !golden.is_request && golden.decoded_api() == Some(ApiKey::ApiVersions)
            })
            .map(|golden| {
                let (_, response) =
                    decode_any_response(ApiKey::ApiVersions, golden.api_version, golden.frame)
                        .unwrap();
                let kafka_wire::messages::ResponseKind::ApiVersions(response) = response else {
                    panic!("another kind");
                };
                BrokerVersions::from_response(&response).release_range().to_string()
            })
            .collect();
        assert!(ranges.iter().all(|range| range.starts_with(&minor)), "{release}: {ranges:?}");
    }
}
