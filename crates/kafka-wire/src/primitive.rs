//! The protocol's primitive types, written and read by hand on the way of a batch, where `kafka-protocol` would allocate.
//!
//! # Source
//! KIP-482 for the compact forms and the tagged fields of the flexible versions.

use bytes::{BufMut, BytesMut};

/// Writes behind what `text` holds.
pub(crate) struct Put<'a> {
    pub(crate) flexible: bool,
    pub(crate) text: &'a mut BytesMut,
}

impl Put<'_> {
    /// A request's header; the client id keeps its old form in every header version.
    pub(crate) fn header(&mut self, api_key: i16, version: i16, correlation_id: i32, client: &str) {
        self.text.put_i16(api_key);
        self.text.put_i16(version);
        self.text.put_i32(correlation_id);
        self.text.put_u16(saturated_i16(client.len()));
        self.text.put_slice(client.as_bytes());
        self.tags();
    }

    /// An array count or the length of bytes: one more as varint, or an `i32`.
    pub(crate) fn count(&mut self, count: usize) {
        let count = i32::try_from(count).unwrap_or(i32::MAX).unsigned_abs();
        if self.flexible { self.varint(count + 1) } else { self.text.put_u32(count) }
    }

    pub(crate) fn string(&mut self, value: &str) {
        if self.flexible {
            self.count(value.len());
        } else {
            self.text.put_u16(saturated_i16(value.len()));
        }
        self.text.put_slice(value.as_bytes());
    }

    pub(crate) fn null_string(&mut self) {
        if self.flexible { self.text.put_u8(0) } else { self.text.put_i16(-1) }
    }

    /// An empty section of tagged fields, where the version has them.
    pub(crate) fn tags(&mut self) {
        if self.flexible {
            self.text.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.text.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.text.put_u8((value & 0x7f) as u8);
    }
}

/// A string length, at most what an `i16` can say.
fn saturated_i16(length: usize) -> u16 {
    i16::try_from(length).unwrap_or(i16::MAX).unsigned_abs()
}

/// Reads from the front of `left`; `None` where it ends, or where something stands that these readers leave to the decoder.
pub(crate) struct Take<'a> {
    pub(crate) flexible: bool,
    pub(crate) left: &'a [u8],
}

impl<'a> Take<'a> {
    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.array()?))
    }

    /// An array's count or the length of bytes, neither of them null.
    pub(crate) fn count(&mut self) -> Option<usize> {
        self.nullable_count()?
    }

    /// The same, or null.
    pub(crate) fn nullable_count(&mut self) -> Option<Option<usize>> {
        if self.flexible {
            return Some(usize::try_from(self.varint()?).ok()?.checked_sub(1));
        }
        match self.i32()? {
            -1 => Some(None),
            count => usize::try_from(count).ok().map(Some),
        }
    }

    /// The bytes of a string that is not null.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length =
            if self.flexible { self.count()? } else { usize::try_from(self.i16()?).ok()? };
        self.bytes(length)
    }

    /// Whether a nullable string is null; what else it is stays unread.
    pub(crate) fn is_null(&mut self) -> Option<bool> {
        if self.flexible { Some(self.array()? == [0]) } else { Some(self.i16()? == -1) }
    }

    /// An empty section of tagged fields, where the version has them.
    pub(crate) fn no_tags(&mut self) -> Option<()> {
        let is_empty = !self.flexible || self.array()? == [0];
        is_empty.then_some(())
    }

    /// As far as a frame's length can go; longer forms of small numbers are left to the decoder.
    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let is_shortest = byte != 0 || shift == 0;
                return is_shortest.then_some(value);
            }
        }
        None
    }
}
