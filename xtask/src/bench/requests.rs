//! How many requests pass, by API: read from the frames of a byte stream, whatever pieces it comes in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Length of the frame, API key.
const HEAD_BYTES: usize = 6;

/// Requests by API key; shared by all connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Arc<Mutex<BTreeMap<i16, u64>>>);

impl Requests {
    pub(super) fn counts(&self) -> BTreeMap<i16, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For one connection's bytes.
    pub(super) fn reader(&self) -> FrameReader {
        FrameReader { requests: self.clone(), head: Vec::with_capacity(HEAD_BYTES), left: 0 }
    }

    fn add(&self, api: i16) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(api).or_default() += 1;
    }
}

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct FrameReader {
    requests: Requests,
    head: Vec<u8>,
    /// Bytes of the present frame that are still to come.
    left: usize,
}

impl FrameReader {
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            let wanted = (HEAD_BYTES - self.head.len()).min(bytes.len());
            let (head, rest) = bytes.split_at(wanted);
            self.head.extend(head);
            bytes = rest;
            if let [a, b, c, d, high, low] = *self.head.as_slice() {
                self.requests.add(i16::from_be_bytes([high, low]));
                let length =
                    usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                self.left = length.saturating_sub(2);
                self.head.clear();
            }
        }
    }
}

/// What Kafka calls an API.
pub(super) fn api_name(key: i16) -> String {
    let name = match key {
        0 => "Produce",
        1 => "Fetch",
        2 => "ListOffsets",
        3 => "Metadata",
        8 => "OffsetCommit",
        9 => "OffsetFetch",
        10 => "FindCoordinator",
        15 => "DescribeGroups",
        16 => "ListGroups",
        18 => "ApiVersions",
        19 => "CreateTopics",
        22 => "InitProducerId",
        32 => "DescribeConfigs",
        _ => return format!("API {key}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::Requests;
    use std::collections::BTreeMap;

    #[test]
    fn requests_are_counted_in_pieces_of_any_size() {
        let mut stream = Vec::new();
        for (api, body) in [(3_i16, 0_usize), (1, 10), (1, 300), (9, 1)] {
            stream.extend(u32::try_from(body + 2).unwrap().to_be_bytes());
            stream.extend(api.to_be_bytes());
            stream.extend(std::iter::repeat_n(0xff, body));
        }
        for size in [1, 2, 3, 5, 7, 64, 1000] {
            let requests = Requests::default();
            let mut reader = requests.reader();
            for piece in stream.chunks(size) {
                reader.see(piece);
            }
            assert_eq!(requests.counts(), BTreeMap::from([(1, 2), (3, 1), (9, 1)]), "{size}");
        }
    }
}
