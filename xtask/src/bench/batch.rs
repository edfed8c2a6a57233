//! Record batches of format v2, uncompressed: written for a load, read where it arrives.
//!
//! Source: KIP-98; `DefaultRecordBatch` and `DefaultRecord` in Apache Kafka.

use anyhow::{Context, Result, ensure};
use std::time::SystemTime;

const HEADER_BYTES: usize = 61;
/// Where the checksum's bytes begin: at the attributes.
const CHECKED_FROM: usize = 21;
/// Bytes before what the length field counts.
const BEFORE_LENGTH: usize = 12;
const CODEC: u16 = 0b111;
const CONTROL: u16 = 0b10_0000;

/// One batch of these values, without keys, written now: brokers treat old records in other ways.
pub(super) fn encode(values: &[Vec<u8>]) -> Result<Vec<u8>> {
    let timestamp_ms = i64::try_from(SystemTime::UNIX_EPOCH.elapsed()?.as_millis())?;
    let mut records = Vec::new();
    for (delta, value) in values.iter().enumerate() {
        let mut record = vec![0]; // attributes
        varint(&mut record, 0); // timestamp delta
        varint(&mut record, i64::try_from(delta)?);
        varint(&mut record, -1); // no key
        varint(&mut record, i64::try_from(value.len())?);
        record.extend(value);
        varint(&mut record, 0); // headers
        varint(&mut records, i64::try_from(record.len())?);
        records.extend(record);
    }
    let count = i32::try_from(values.len())?;
    let mut checked = 0_i16.to_be_bytes().to_vec(); // attributes
    checked.extend((count - 1).to_be_bytes());
    checked.extend(timestamp_ms.to_be_bytes());
    checked.extend(timestamp_ms.to_be_bytes());
    checked.extend([0xff; 14]); // no producer id, epoch, sequence
    checked.extend(count.to_be_bytes());
    checked.extend(records);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    let length = CHECKED_FROM - BEFORE_LENGTH + checked.len();
    batch.extend(i32::try_from(length)?.to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // leader epoch
    batch.push(2); // magic
    batch.extend(crc32c::crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    Ok(batch)
}

/// The offset behind the last whole batch; `None` when there is none.
pub(super) fn next_offset(records: &[u8]) -> Result<Option<i64>> {
    let mut next = None;
    for batch in Batches(records) {
        next = Some(batch.i64(0)? + i64::from(batch.i32(23)?) + 1);
    }
    Ok(next)
}

/// Calls `see` with each record's value, in order. Batches that are cut short at the end are left out.
pub(super) fn values(records: &[u8], mut see: impl FnMut(&[u8])) -> Result<()> {
    for batch in Batches(records) {
        let attributes = u16::from_be_bytes(batch.array(CHECKED_FROM)?);
        if attributes & CONTROL != 0 {
            continue;
        }
        ensure!(attributes & CODEC == 0, "a compressed batch where none was written");
        let mut rest = batch.0.get(HEADER_BYTES..).context("a batch without a header")?;
        for _ in 0..batch.i32(57)? {
            let length = read_varint(&mut rest)?;
            let mut record = split(&mut rest, length)?;
            split(&mut record, 1)?; // attributes
            read_varint(&mut record)?; // timestamp delta
            read_varint(&mut record)?; // offset delta
            let key = read_varint(&mut record)?;
            split(&mut record, key.max(0))?;
            let length = read_varint(&mut record)?;
            see(split(&mut record, length.max(0))?);
        }
    }
    Ok(())
}

/// Whole batches, one after the other.
struct Batches<'a>(&'a [u8]);

struct Batch<'a>(&'a [u8]);

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        let length = Batch(self.0).i32(8).ok()?;
        let whole = usize::try_from(length).ok()?.checked_add(BEFORE_LENGTH)?;
        let (batch, rest) = self.0.split_at_checked(whole)?;
        self.0 = rest;
        Some(Batch(batch))
    }
}

impl Batch<'_> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.0.get(at..at + N).context("a batch without a header")?;
        Ok(bytes.try_into()?)
    }

    fn i32(&self, at: usize) -> Result<i32> {
        self.array(at).map(i32::from_be_bytes)
    }

    fn i64(&self, at: usize) -> Result<i64> {
        self.array(at).map(i64::from_be_bytes)
    }
}

fn split<'a>(bytes: &mut &'a [u8], count: i64) -> Result<&'a [u8]> {
    let (head, rest) =
        bytes.split_at_checked(usize::try_from(count)?).context("a record is cut short")?;
    *bytes = rest;
    Ok(head)
}

/// Zigzag, least significant group first.
fn varint(to: &mut Vec<u8>, value: i64) {
    let mut left = (value << 1) ^ (value >> 63);
    loop {
        let group = left & 0x7f;
        left = (left >> 7) & (i64::MAX >> 6);
        let more = if left == 0 { 0 } else { 0x80 };
        to.push(u8::try_from(group | more).unwrap_or(0));
        if left == 0 {
            return;
        }
    }
}

fn read_varint(from: &mut &[u8]) -> Result<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = split(from, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let sign = if value & 1 == 0 { 0 } else { -1 };
            return Ok(i64::try_from(value >> 1)? ^ sign);
        }
    }
    anyhow::bail!("a number of more than 64 bits")
}

#[cfg(test)]
mod tests {
    use super::{encode, next_offset, read_varint, values, varint};

    #[test]
    fn varints() {
        for value in [0, -1, 1, 63, 64, -64, -65, 300, 1_000_000, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            varint(&mut bytes, value);
            assert_eq!(read_varint(&mut bytes.as_slice()).unwrap(), value, "{bytes:?}");
        }
        let mut bytes = Vec::new();
        varint(&mut bytes, 300);
        assert_eq!(bytes, [0xd8, 0x04]);
    }

    #[test]
    fn batches_come_back() {
        let sent = vec![b"one".to_vec(), Vec::new(), vec![7; 300]];
        let batch = encode(&sent).unwrap();
        let mut two = [batch.clone(), batch.clone()].concat();
        // The second begins where the first ended; a third is cut short.
        two[batch.len()..batch.len() + 8].copy_from_slice(&3_i64.to_be_bytes());
        two.extend(&batch[..30]);
        assert_eq!(next_offset(&two).unwrap(), Some(6));
        assert_eq!(next_offset(&batch[..30]).unwrap(), None);
        let mut seen = Vec::new();
        values(&two, |value| seen.push(value.to_vec())).unwrap();
        assert_eq!(seen, [sent.clone(), sent].concat());
    }
}
