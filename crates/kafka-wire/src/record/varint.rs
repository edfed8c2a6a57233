//! Variable-length integers, zigzag, of 32 and 64 bits.
//!
//! At most five and ten bytes, and no bits beyond the type's width. Zeroes that pad within those lengths are read, as
//! Kafka's `ByteUtils` does.

use super::RecordFault;

/// A reader over the bytes of one payload that remembers where it stands.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes` from `at` on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Index of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Steps over `count` bytes and returns where they begin.
    pub(super) fn skip(&mut self, count: usize) -> Result<usize, RecordFault> {
        if count > self.left() {
            return Err(RecordFault::Truncated);
        }
        let start = self.at;
        self.at += count;
        Ok(start)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, RecordFault> {
        let byte = *self.bytes.get(self.at).ok_or(RecordFault::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn unsigned(&mut self, bits: u32) -> Result<u64, RecordFault> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let room = bits - shift;
            if room < 7 && part >> room != 0 {
                return Err(RecordFault::Varint);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
            if shift >= bits {
                return Err(RecordFault::Varint);
            }
        }
    }

    /// A zigzag integer of 32 bits.
    pub(super) fn varint(&mut self) -> Result<i32, RecordFault> {
        let raw = u32::try_from(self.unsigned(32)?).map_err(|_| RecordFault::Varint)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A zigzag integer of 64 bits.
    pub(super) fn varlong(&mut self) -> Result<i64, RecordFault> {
        let raw = self.unsigned(64)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends a zigzag integer of 32 bits.
pub(super) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, ((value << 1) ^ (value >> 31)).cast_unsigned().into());
}

/// Appends a zigzag integer of 64 bits.
pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Bytes that [`put_varint`] appends for `value`.
pub(super) fn varint_bytes(value: i32) -> usize {
    varlong_bytes(value.into())
}

/// Bytes that [`put_varlong`] appends for `value`.
pub(super) fn varlong_bytes(value: i64) -> usize {
    let bits = 64 - ((value << 1) ^ (value >> 63)).leading_zeros();
    match bits {
        0..=7 => 1,
        8..=14 => 2,
        15..=21 => 3,
        22..=28 => 4,
        29..=35 => 5,
        36..=42 => 6,
        43..=49 => 7,
        50..=56 => 8,
        57..=63 => 9,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], int: Result<i32, RecordFault>, long: Result<i64, RecordFault>) {
        assert_eq!(Cursor::new(bytes, 0).varint(), int, "{bytes:02x?} as 32 bits");
        assert_eq!(Cursor::new(bytes, 0).varlong(), long, "{bytes:02x?} as 64 bits");
    }

    #[test]
    fn borders() {
        use RecordFault::{Truncated, Varint};
        check(&[0], Ok(0), Ok(0));
        check(&[1], Ok(-1), Ok(-1));
        check(&[0x7f], Ok(-64), Ok(-64));
        check(&[0x80, 0x01], Ok(64), Ok(64));
        check(&[0xff; 1], Err(Truncated), Err(Truncated));
        check(&[], Err(Truncated), Err(Truncated));
        check(&[0xfe, 0xff, 0xff, 0xff, 0x0f], Ok(i32::MAX), Ok(i32::MAX.into()));
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(i32::MIN), Ok(i32::MIN.into()));
        check(&[0xff, 0xff, 0xff, 0xff, 0x1f], Err(Varint), Ok(-0x1_0000_0000));
        check(&[0x80, 0x80, 0x80, 0x80, 0x00], Ok(0), Ok(0));
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Err(Varint), Ok(0));
        let min = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        check(&min, Err(Varint), Ok(i64::MIN));
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            Err(Varint),
            Err(Varint),
        );
        check(&[0x80; 11], Err(Varint), Err(Varint));
    }

    proptest! {
        #[test]
        fn round_trip(int in any::<i32>(), long in any::<i64>(), narrow in 0_u32..64) {
            let long = long >> narrow;
            let mut out = Vec::new();
            put_varint(&mut out, int);
            prop_assert_eq!(out.len(), varint_bytes(int));
            put_varlong(&mut out, long);
            prop_assert_eq!(out.len(), varint_bytes(int) + varlong_bytes(long));
            let mut cursor = Cursor::new(&out, 0);
            prop_assert_eq!(cursor.varint(), Ok(int));
            prop_assert_eq!(cursor.varlong(), Ok(long));
            prop_assert_eq!(cursor.left(), 0);
        }
    }
}
