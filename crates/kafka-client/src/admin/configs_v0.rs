//! DescribeConfigs v0, for 0.11: written and read by hand, because `kafka-protocol` begins with v1.
//!
//! ```text
//! request:  [type i8, name string, keys [string] or null]
//! response: throttle_ms i32, [code i16, message string?, type i8, name string,
//!                             [name string, value string?, read_only bool, is_default bool, is_sensitive bool]]
//! ```
//! `is_default` false means set on the topic (for a topic) or in the broker's file (for a broker).
//!
//! # Source
//! KIP-133; `DescribeConfigsRequest` of Apache Kafka 0.11.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_wire::{messages::ApiKey, versions::BrokerVersions};

use super::config_types::{ConfigEntry, ConfigSource};
use crate::{BrokerConnection, ClientError, TopicError};

const TOPIC: i8 = 2;

/// Whether a broker offers nothing newer than v0.
pub(super) fn is_needed(versions: &BrokerVersions) -> bool {
    versions.highest(ApiKey::DescribeConfigs).is_none()
        && versions.offers(ApiKey::DescribeConfigs, 0)
}

/// Asks one broker.
pub(super) async fn describe(
    connection: &BrokerConnection,
    resource_type: i8,
    names: &[String],
) -> Result<BTreeMap<String, Result<Vec<ConfigEntry>, TopicError>>, ClientError> {
    let bad = |message: &str| ClientError::Message {
        address: connection.address().clone(),
        api: ApiKey::DescribeConfigs,
        version: 0,
        message: message.to_owned(),
    };
    let body = encode(resource_type, names).ok_or_else(|| bad("a name is too long"))?;
    let frame = connection.call_raw(ApiKey::DescribeConfigs, 0, body).await?;
    decode(&frame).ok_or_else(|| bad("the answer does not have the form of version 0"))
}

fn encode(resource_type: i8, names: &[String]) -> Option<Bytes> {
    let mut body = BytesMut::new();
    body.put_i32(i32::try_from(names.len()).ok()?);
    for name in names {
        body.put_i8(resource_type);
        body.put_i16(i16::try_from(name.len()).ok()?);
        body.put_slice(name.as_bytes());
        body.put_i32(-1);
    }
    Some(body.freeze())
}

/// Reads the answer; `None` when it has another form. Nothing is reserved by a count from the wire.
fn decode(body: &[u8]) -> Option<BTreeMap<String, Result<Vec<ConfigEntry>, TopicError>>> {
    let mut reader = Reader { rest: body };
    let _throttle = reader.i32()?;
    let mut results = BTreeMap::new();
    for _ in 0..reader.i32()? {
        let code = reader.i16()?;
        let message = reader.text()?;
        let resource_type = reader.i8()?;
        let name = reader.text()??;
        let mut entries = Vec::new();
        for _ in 0..reader.i32()? {
            entries.push(reader.entry(resource_type)?);
        }
        results.insert(name, TopicError::check(code, message.as_deref()).map(|()| entries));
    }
    reader.rest.is_empty().then_some(results)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn i8(&mut self) -> Option<i8> {
        self.take().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        self.i8().map(|byte| byte != 0)
    }

    /// A string that may be null.
    #[expect(clippy::option_option, reason = "the outer one is malformed, the inner one is null")]
    fn text(&mut self) -> Option<Option<String>> {
        let Ok(length) = usize::try_from(self.i16()?) else { return Some(None) };
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(String::from_utf8(taken.to_vec()).ok()?))
    }

    fn entry(&mut self, resource_type: i8) -> Option<ConfigEntry> {
        let name = self.text()??;
        let value = self.text()?;
        let read_only = self.flag()?;
        let source = match (self.flag()?, resource_type) {
            (true, _) => ConfigSource::Default,
            (false, TOPIC) => ConfigSource::Topic,
            (false, _) => ConfigSource::StaticBroker,
        };
        let is_sensitive = self.flag()?;
        Some(ConfigEntry { name, value, source, is_sensitive, read_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 2, 0, 1, b't', 0, 0, 0, 1];
        body.extend([0, 1, b'k', 0, 1, b'v', 0, 0, 0]);
        body
    }

    #[test]
    fn reads_an_override() {
        let found = decode(&answer()).unwrap();
        let entries = found["t"].as_ref().unwrap();
        assert_eq!(entries[0].name, "k");
        assert_eq!(entries[0].value.as_deref(), Some("v"));
        assert_eq!(entries[0].source, ConfigSource::Topic);
    }

    #[test]
    fn refuses_every_cut() {
        let whole = answer();
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_none(), "{end}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert!(decode(&longer).is_none());
    }

    #[test]
    fn request_bytes() {
        let body = encode(2, &["ab".to_owned()]).unwrap();
        assert_eq!(&body[..], [0, 0, 0, 1, 2, 0, 2, b'a', b'b', 0xff, 0xff, 0xff, 0xff]);
    }
}
