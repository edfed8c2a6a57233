//! `DescribeConfigs` version 0, by translation from and to version 1.
//!
//! Brokers of Kafka 0.11 and 1.0 speak nothing else, and `kafka-protocol` follows the 4.x schemas,
//! which begin at version 1. The differences are small: the request of version 1 ends in one more
//! byte (`include_synonyms`), and in the response each config says `is_default` in the place of
//! `config_source` and has no synonyms. What is read here has passed [`crate::check`].

use bytes::{BufMut, Bytes, BytesMut};

/// `ConfigResource.Type.TOPIC`.
const TOPIC: u8 = 2;
/// `ConfigResource.Type.BROKER`.
const BROKER: u8 = 4;

/// `DescribeConfigsResponse.ConfigSource` in Apache Kafka.
mod source {
    pub(super) const UNKNOWN: u8 = 0;
    pub(super) const DYNAMIC_TOPIC: u8 = 1;
    pub(super) const STATIC_BROKER: u8 = 4;
    pub(super) const DEFAULT: u8 = 5;
}

/// A request body of version 1 from one of version 0: no synonyms are asked for.
pub(crate) fn request_to_v1(body: &[u8]) -> Bytes {
    let mut output = BytesMut::with_capacity(body.len() + 1);
    output.put_slice(body);
    output.put_u8(0);
    output.freeze()
}

/// Turns the request body of version 1 at the end of `frame` into one of version 0.
pub(crate) fn request_to_v0(frame: &mut BytesMut) {
    frame.truncate(frame.len().saturating_sub(1));
}

/// A response body of version 1 from one of version 0; `None` when it ends too early.
///
/// A value that is not the default was set on the topic, or in the broker's properties file:
/// Kafka's Java client reads it the same way.
pub(crate) fn response_to_v1(body: &[u8]) -> Option<Bytes> {
    // Four bytes more for each config, which takes seven at least.
    let mut output = BytesMut::with_capacity(body.len() * 2);
    let mut input = Input(body);
    input.each_config(&mut output, |input, resource_type, output| {
        let is_default = input.byte()? != 0;
        output.put_u8(match (is_default, resource_type) {
            (true, _) => source::DEFAULT,
            (false, TOPIC) => source::DYNAMIC_TOPIC,
            (false, BROKER) => source::STATIC_BROKER,
            (false, _) => source::UNKNOWN,
        });
        output.put_u8(input.byte()?);
        output.put_i32(0);
        Some(())
    })?;
    Some(output.freeze())
}

/// A response body of version 0 from one of version 1; `None` when it ends too early.
pub(crate) fn response_to_v0(body: &[u8]) -> Option<Bytes> {
    let mut output = BytesMut::with_capacity(body.len());
    let mut input = Input(body);
    input.each_config(&mut output, |input, resource_type, output| {
        let config_source = input.byte()?;
        let is_default = match resource_type {
            TOPIC => config_source != source::DYNAMIC_TOPIC,
            _ => config_source == source::DEFAULT,
        };
        output.put_u8(u8::from(is_default));
        output.put_u8(input.byte()?);
        for _ in 0..input.count()? {
            let mut synonym = BytesMut::new();
            input.copy_string(&mut synonym)?;
            input.copy_string(&mut synonym)?;
            input.byte()?;
        }
        Some(())
    })?;
    Some(output.freeze())
}

/// The rest of a body.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    /// Copies what both versions have in common and leaves the middle of each config to `convert`.
    fn each_config(
        &mut self,
        output: &mut BytesMut,
        mut convert: impl FnMut(&mut Self, u8, &mut BytesMut) -> Option<()>,
    ) -> Option<()> {
        self.copy(4, output)?;
        for _ in 0..self.copy_count(output)? {
            self.copy(2, output)?;
            self.copy_string(output)?;
            let resource_type = self.byte()?;
            output.put_u8(resource_type);
            self.copy_string(output)?;
            for _ in 0..self.copy_count(output)? {
                self.copy_string(output)?;
                self.copy_string(output)?;
                self.copy(1, output)?;
                convert(self, resource_type, output)?;
            }
        }
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn count(&mut self) -> Option<i32> {
        let bytes = self.take(4)?;
        Some(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn copy(&mut self, length: usize, output: &mut BytesMut) -> Option<()> {
        output.put_slice(self.take(length)?);
        Some(())
    }

    fn copy_count(&mut self, output: &mut BytesMut) -> Option<i32> {
        let count = self.count()?;
        output.put_i32(count);
        Some(count)
    }

    /// A string with its `i16` length; -1 is null.
    fn copy_string(&mut self, output: &mut BytesMut) -> Option<()> {
        let bytes = self.take(2)?;
        let length = i16::from_be_bytes([bytes[0], bytes[1]]);
        output.put_i16(length);
        match usize::try_from(length) {
            Ok(length) => self.copy(length, output),
            Err(_) => Some(()),
        }
    }
}
