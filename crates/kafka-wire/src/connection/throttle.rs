//! How long a broker asks us to be silent after an answer.
//!
//! Since KIP-219 a broker over its quota answers at once and then does not read from the connection for
//! `throttle_time_ms`; a client must not send meanwhile. In the versions before it, the answer itself was late, and
//! the number is history. The field is read straight from the frame, so that the machine need not decode answers.

use std::time::Duration;

use crate::messages::ApiKey;

/// The time to be silent after this response frame; zero if it does not say, or says it in an old version.
pub(super) fn throttle_time(api_key: i16, api_version: i16, frame: &[u8]) -> Duration {
    let milliseconds = read(api_key, api_version, frame).unwrap_or(0);
    u64::try_from(milliseconds).map_or(Duration::ZERO, Duration::from_millis)
}

fn read(api_key: i16, api_version: i16, frame: &[u8]) -> Option<i32> {
    let api = ApiKey::try_from(api_key).ok()?;
    if api_version < first_version(api)? {
        return None;
    }
    let mut cursor = Cursor { rest: frame.get(4..)? };
    if api.response_header_version(api_version) >= 1 {
        cursor.tagged_fields()?;
    }
    if api == ApiKey::Produce { produce(&mut cursor, api_version) } else { cursor.i32() }
}

/// The version from which on the client has to wait (`shouldClientThrottle` in Apache Kafka's response classes).
fn first_version(api: ApiKey) -> Option<i16> {
    Some(match api {
        ApiKey::Produce | ApiKey::Metadata => 6,
        ApiKey::Fetch => 8,
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 4,
        ApiKey::ListOffsets | ApiKey::CreateTopics => 3,
        ApiKey::FindCoordinator
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteTopics
        | ApiKey::DescribeConfigs => 2,
        ApiKey::DeleteRecords
        | ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::EndTxn
        | ApiKey::DescribeAcls
        | ApiKey::CreateAcls
        | ApiKey::DeleteAcls
        | ApiKey::AlterConfigs
        | ApiKey::CreatePartitions => 1,
        ApiKey::IncrementalAlterConfigs | ApiKey::DescribeCluster | ApiKey::DescribeProducers => 0,
        _ => return None,
    })
}

/// In Produce the number stands behind the results.
fn produce(cursor: &mut Cursor<'_>, version: i16) -> Option<i32> {
    let flexible = version >= 9;
    for _ in 0..cursor.count(flexible)? {
        if version >= 13 {
            cursor.skip(16)?;
        } else {
            cursor.string(flexible)?;
        }
        for _ in 0..cursor.count(flexible)? {
            cursor.skip(4 + 2 + 8 + 8 + 8)?;
            if version >= 8 {
                for _ in 0..cursor.count(flexible)? {
                    cursor.skip(4)?;
                    cursor.string(flexible)?;
                    cursor.tags(flexible)?;
                }
                cursor.string(flexible)?;
            } else if version < 5 {
                return None;
            }
            cursor.tags(flexible)?;
        }
        cursor.tags(flexible)?;
    }
    cursor.i32()
}

/// A reader that says `None` instead of reading past the end; every loop above consumes bytes, so counts need no bound.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn i32(&mut self) -> Option<i32> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(i32::from_be_bytes(*bytes))
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The number of elements of an array; null counts as none.
    fn count(&mut self, flexible: bool) -> Option<u32> {
        if flexible {
            self.varint().map(|count| count.saturating_sub(1))
        } else {
            Some(u32::try_from(self.i32()?).unwrap_or(0))
        }
    }

    /// Skips a string, null or not.
    fn string(&mut self, flexible: bool) -> Option<()> {
        let length = if flexible {
            usize::try_from(self.varint()?.saturating_sub(1)).ok()?
        } else {
            let (bytes, rest) = self.rest.split_first_chunk::<2>()?;
            self.rest = rest;
            usize::try_from(i16::from_be_bytes(*bytes)).unwrap_or(0)
        };
        self.skip(length)
    }

    fn tags(&mut self, flexible: bool) -> Option<()> {
        if flexible { self.tagged_fields() } else { Some(()) }
    }

    fn tagged_fields(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = usize::try_from(self.varint()?).ok()?;
            self.skip(length)?;
        }
        Some(())
    }
}
