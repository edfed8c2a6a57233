//! Batches in a stream of bytes: a segment file, or what somebody saved of a fetch.
//!
//! Damage is an item like a batch, with its position, and reading goes on behind it: after a bad checksum at the next
//! entry, after an unreadable header at the next place that holds a whole v2 batch with a good checksum.

use std::io::{self, Read};

use bytes::{Buf, Bytes, BytesMut};
use kafka_wire::record::{Batch, BatchError, BatchV2, split};

/// Offset, length, leader epoch or CRC, magic: what every entry of every format begins with.
const HEAD_BYTES: usize = 17;
/// Offset and length, which the length does not count.
const LOG_OVERHEAD: usize = 12;
/// The shortest length field of any format.
const LENGTH_MIN: usize = 14;
/// No broker is configured for larger batches; a larger number is taken for damage.
const LENGTH_MAX: usize = 256 << 20;
/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// One finding.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Where it begins, in bytes from the start of the stream.
    pub(crate) position: u64,
    /// What is there.
    pub(crate) what: What,
}

/// What is at a position.
#[derive(Debug)]
pub(crate) enum What {
    /// A batch whose header can be read; its checksum is not looked at.
    Batch(Batch),
    /// Bytes that are no batch.
    Damage {
        /// How many bytes were passed over.
        bytes: u64,
        /// What is wrong with the first of them.
        cause: String,
    },
    /// Zeros to the end: a segment that the broker allocated beforehand.
    Padding {
        /// How many.
        bytes: u64,
    },
    /// The last batch is not all there: a fetch ends so, and a segment that is being written.
    Cut {
        /// Bytes that are there.
        bytes: u64,
        /// Bytes that its header promises; unknown when the header itself is cut.
        wanted: Option<u64>,
    },
}

/// Walks over a stream.
pub(crate) struct Entries<R> {
    input: R,
    buffer: BytesMut,
    position: u64,
    at_end: bool,
}

impl<R: Read> Entries<R> {
    /// Starts at the present position of `input`.
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: BytesMut::new(), position: 0, at_end: false }
    }

    /// The next finding; nothing at the end.
    ///
    /// # Errors
    /// Only those of reading.
    pub(crate) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let position = self.position;
        self.fill(HEAD_BYTES)?;
        let what = if self.buffer.is_empty() {
            return Ok(None);
        } else if self.buffer.iter().take(HEAD_BYTES).all(|byte| *byte == 0) {
            self.padding()?
        } else if self.buffer.len() < HEAD_BYTES {
            let bytes = self.skip(self.buffer.len());
            What::Cut { bytes, wanted: None }
        } else {
            self.entry()?
        };
        Ok(Some(Entry { position, what }))
    }

    fn entry(&mut self) -> io::Result<What> {
        let Some(size) = entry_bytes(&self.buffer) else {
            let cause = match split(Bytes::copy_from_slice(&self.buffer[..HEAD_BYTES])).next() {
                Some(Err(error)) => error.to_string(),
                _ => "the length is not plausible".to_owned(),
            };
            return self.damage(cause);
        };
        self.fill(size)?;
        if self.buffer.len() < size {
            // A forged length looks like a cut; a sound batch behind it tells the difference.
            let whole = u64::try_from(size).ok();
            let before = self.buffer.len();
            return Ok(match self.damage("the length reaches behind the end".to_owned())? {
                What::Damage { bytes, .. } if usize::try_from(bytes).ok() == Some(before) => {
                    What::Cut { bytes, wanted: whole }
                }
                damage => damage,
            });
        }
        match parse(Bytes::copy_from_slice(&self.buffer[..size])) {
            Ok(batch) => {
                self.skip(size);
                Ok(What::Batch(batch))
            }
            Err(error) => self.damage(error.to_string()),
        }
    }

    /// Passes over at least one byte, until a whole v2 batch with a good checksum begins, or to the end.
    fn damage(&mut self, cause: String) -> io::Result<What> {
        let bytes = self.skip(1);
        Ok(What::Damage { bytes: bytes + self.seek()?, cause })
    }

    /// Passes over bytes until a whole v2 batch with a good checksum begins, or to the end.
    fn seek(&mut self) -> io::Result<u64> {
        let mut bytes = 0;
        loop {
            self.fill(HEAD_BYTES)?;
            if self.buffer.len() < HEAD_BYTES {
                return Ok(bytes + self.skip(self.buffer.len()));
            }
            if self.buffer[HEAD_BYTES - 1] == 2
                && let Some(size) = entry_bytes(&self.buffer)
            {
                self.fill(size)?;
                if let Some(candidate) = self.buffer.get(..size)
                    && BatchV2::parse(Bytes::copy_from_slice(candidate))
                        .is_ok_and(|batch| batch.verify_crc().is_ok())
                {
                    return Ok(bytes);
                }
            }
            bytes += self.skip(1);
        }
    }

    fn padding(&mut self) -> io::Result<What> {
        let mut bytes = 0;
        loop {
            let zeros = self.buffer.iter().take_while(|byte| **byte == 0).count();
            if zeros == self.buffer.len() && self.at_end {
                bytes += self.skip(zeros);
                return Ok(What::Padding { bytes });
            }
            let all = zeros == self.buffer.len();
            // The last zeros may belong to the base offset of a batch.
            bytes += self.skip(zeros.saturating_sub(HEAD_BYTES));
            if !all {
                bytes += self.seek()?;
                return Ok(What::Damage { bytes, cause: "zeros between batches".to_owned() });
            }
            self.fill(self.buffer.len() + READ_BYTES)?;
        }
    }

    fn skip(&mut self, count: usize) -> u64 {
        self.buffer.advance(count);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.position += count;
        count
    }

    /// Has at least `count` bytes ready unless the stream ends before.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        while self.buffer.len() < count && !self.at_end {
            let start = self.buffer.len();
            self.buffer.resize(start + READ_BYTES, 0);
            let read = loop {
                match self.input.read(&mut self.buffer[start..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    self.buffer.truncate(start);
                    return Err(error);
                }
            };
            self.buffer.truncate(start + read);
            self.at_end = read == 0;
        }
        Ok(())
    }
}

fn parse(bytes: Bytes) -> Result<Batch, BatchError> {
    match split(bytes).next() {
        Some(result) => result,
        None => Err(BatchError::Field { base_offset: -1, field: "batch_length", value: -1 }),
    }
}

/// The whole size of the entry that `head` begins, when that is plausible.
fn entry_bytes(head: &[u8]) -> Option<usize> {
    let length = i32::from_be_bytes(head.get(8..12)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    let magic = *head.get(HEAD_BYTES - 1)?;
    ((LENGTH_MIN..=LENGTH_MAX).contains(&length) && magic <= 2).then_some(length + LOG_OVERHEAD)
}

#[cfg(test)]
mod tests {
    use kafka_wire::record::{BatchOptions, Record, encode_batch};

    use super::*;

    fn batch(base_offset: i64, value: &'static [u8]) -> Vec<u8> {
        let record = Record {
            offset: base_offset,
            timestamp: 1,
            key: None,
            value: Some(Bytes::from_static(value)),
            headers: Vec::new(),
        };
        let options = BatchOptions { base_offset, ..BatchOptions::default() };
        encode_batch(&options, &[record]).unwrap().to_vec()
    }

    /// `b7` is a batch at offset 7, `d3` three bytes of damage, `p5` five zeros at the end, `c4` four bytes of a cut batch.
    fn check(input: &[u8], expected: &str) {
        // One byte at a time: no boundary of a read may matter.
        struct Trickle<'a>(&'a [u8]);
        impl Read for Trickle<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(buffer.len()).min(7);
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut entries = Entries::new(Trickle(input));
        let mut found = Vec::new();
        let mut end = 0;
        while let Some(entry) = entries.next_entry().unwrap() {
            assert_eq!(entry.position, end);
            let (text, bytes) = match entry.what {
                What::Batch(batch) => {
                    (format!("b{}", batch.base_offset()), batch.size_bytes() as u64)
                }
                What::Damage { bytes, .. } => (format!("d{bytes}"), bytes),
                What::Padding { bytes } => (format!("p{bytes}"), bytes),
                What::Cut { bytes, .. } => (format!("c{bytes}"), bytes),
            };
            end += bytes;
            found.push(text);
        }
        assert_eq!(end, input.len() as u64, "every byte is accounted for");
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn sound_and_damaged_streams() {
        let (one, two) = (batch(7, b"one"), batch(8, b"two, a little longer"));
        let join = |parts: &[&[u8]]| parts.concat();
        check(&[], "");
        check(&join(&[&one, &two]), "b7 b8");
        check(&join(&[&one, &two[..20]]), "b7 c20");
        check(&join(&[&one, &two[..10]]), "b7 c10");
        check(&join(&[&one, &[0; 100]]), "b7 p100");
        check(&join(&[&one, &[0; 5]]), "b7 p5");
        check(&join(&[&one, &[0; 100], &two]), "b7 d100 b8");
        check(&join(&[&one, b"garbage in between", &two]), "b7 d18 b8");
        check(&join(&[&[0xff; 40], &one]), "d40 b7");
        check(b"not a log at all, just text of some length", "d42");
    }

    #[test]
    fn a_forged_length_does_not_swallow_the_rest() {
        let (mut one, two) = (batch(7, b"one"), batch(8, b"two"));
        one[8..12].copy_from_slice(&1_000_000i32.to_be_bytes());
        let expected = format!("d{} b8", one.len());
        check(&[one.clone(), two.clone()].concat(), &expected);
        one[8..12].copy_from_slice(&(-5i32).to_be_bytes());
        check(&[one, two].concat(), &expected);
    }
}
