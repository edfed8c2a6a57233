//! Protobuf's wire: variable-length integers, tags, and bytes that are cut off the front.

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::DEPTH_MAX,
};

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const GROUP: u8 = 3;
pub(super) const GROUP_END: u8 = 4;
pub(super) const FIXED32: u8 = 5;

/// The bytes of one message, read from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) bytes: &'a [u8],
    /// Where they begin in the content.
    pub(super) base: usize,
    pub(super) at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, base: 0, at: 0 }
    }

    pub(super) fn fault(&self, what: &str) -> Box<Fault> {
        let at = self.base + self.at;
        Fault::at(ErrorCode::SchemaDecode, at, format!("{what} (byte {at} of the content)"))
    }

    pub(super) fn fail<T>(&self, what: &str) -> Fallible<T> {
        Err(self.fault(what))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Fallible<&'a [u8]> {
        let Some(taken) = self.bytes[self.at..].get(..count) else {
            return self.fail("the bytes end too early");
        };
        self.at += count;
        Ok(taken)
    }

    pub(super) fn varint(&mut self) -> Fallible<u64> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.fail("an integer of more than 64 bits")
    }

    /// A number of the list in front of the message.
    pub(super) fn index(&mut self) -> Fallible<usize> {
        let index = unzigzag(self.varint()?);
        usize::try_from(index).or_else(|_| self.fail("a negative index of a message"))
    }

    pub(super) fn fixed32(&mut self) -> Fallible<[u8; 4]> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(bytes)
    }

    pub(super) fn fixed64(&mut self) -> Fallible<[u8; 8]> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(bytes)
    }

    /// What stands behind its own length.
    pub(super) fn part(&mut self) -> Fallible<Self> {
        let length = self.varint()?;
        let base = self.base + self.at;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(Self { bytes, base, at: 0 })
    }

    /// Number and wire type.
    pub(super) fn tag(&mut self) -> Fallible<(u32, u8)> {
        let start = *self;
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >> 3 > 0 => Ok((tag >> 3, (tag & 7) as u8)),
            _ => start.fail("a field number that does not exist"),
        }
    }

    /// The fields of the group `number`, whose start was just read.
    pub(super) fn group(&mut self, ctx: &Context<'_>, number: u32) -> Fallible<Self> {
        let start = self.at;
        let mut open = vec![number];
        loop {
            let before = *self;
            let (found, wire) = self.tag()?;
            match wire {
                GROUP if open.len() >= DEPTH_MAX => return before.fail("nested too deep"),
                GROUP => open.push(found),
                GROUP_END => {
                    if open.pop() != Some(found) {
                        return before.fail("the end of another group");
                    }
                    if open.is_empty() {
                        // It is read once more for each group that it is within.
                        ctx.charge(self.at - start)?;
                        let bytes = &self.bytes[start..before.at];
                        return Ok(Self { bytes, base: self.base + start, at: 0 });
                    }
                }
                other => self.skip(ctx, found, other)?,
            }
        }
    }

    /// Passes over a field whose tag was just read.
    pub(super) fn skip(&mut self, ctx: &Context<'_>, number: u32, wire: u8) -> Fallible<()> {
        match wire {
            VARINT => self.varint().map(|_| ()),
            FIXED64 => self.take(8).map(|_| ()),
            BYTES => self.part().map(|_| ()),
            GROUP => self.group(ctx, number).map(|_| ()),
            FIXED32 => self.take(4).map(|_| ()),
            GROUP_END => self.fail("the end of a group that was not begun"),
            _ => self.fail("a wire type that does not exist"),
        }
    }
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// A number of the list in front of the message.
pub(super) fn zigzag(out: &mut Vec<u8>, index: usize) {
    varint(out, (index as u64) << 1);
}
