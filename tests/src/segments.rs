//! Reads a broker's log files: the bytes as they lie on its disk, header by header, without any client in between.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// One v2 batch as stored. Two batches with equal `payload_hash` have equal record bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Attribute bits: codec 0–2, `LogAppendTime` 3, transactional 4, control 5, delete horizon 6.
    pub attributes: i16,
    /// Offset of the last record minus the base offset.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, milliseconds.
    pub base_timestamp: i64,
    /// Greatest timestamp, milliseconds.
    pub max_timestamp: i64,
    /// Producer id or -1.
    pub producer_id: i64,
    /// Number of records.
    pub record_count: i32,
    /// How long the records are, as stored (compressed).
    pub payload_bytes: usize,
    /// Hash of the records' bytes.
    pub payload_hash: u64,
}

impl StoredBatch {
    /// Whether it holds a transaction marker.
    pub const fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// What must be equal on both ends when a batch was forwarded as it is.
    pub const fn content(&self) -> (i16, i32, i32, i64, i64, usize, u64) {
        (
            self.attributes & 0x07,
            self.last_offset_delta,
            self.record_count,
            self.base_timestamp,
            self.max_timestamp,
            self.payload_bytes,
            self.payload_hash,
        )
    }
}

/// The batches of one partition in a broker's data directory, oldest first.
///
/// # Errors
/// When there are no such files, or a batch is older than format v2.
pub fn batches(data: &Path, topic: &str, partition: i32) -> Result<Vec<StoredBatch>> {
    let directory = data.join(format!("{topic}-{partition}"));
    let entries =
        fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            files.push(path);
        }
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let bytes = fs::read(&file)?;
        read(&bytes, &mut all).with_context(|| format!("in {}", file.display()))?;
    }
    Ok(all)
}

fn read(mut bytes: &[u8], all: &mut Vec<StoredBatch>) -> Result<()> {
    // Preallocated files end in zeros.
    while bytes.len() > 61 && bytes[8..12] != [0; 4] {
        let length = usize::try_from(i32::from_be_bytes(field(bytes, 8)?))? + 12;
        ensure!(bytes[16] == 2, "message format {}", bytes[16]);
        let payload = bytes.get(61..length).context("a batch is cut short")?;
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        all.push(StoredBatch {
            base_offset: i64::from_be_bytes(field(bytes, 0)?),
            attributes: i16::from_be_bytes(field(bytes, 21)?),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)?),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)?),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)?),
            producer_id: i64::from_be_bytes(field(bytes, 43)?),
            record_count: i32::from_be_bytes(field(bytes, 57)?),
            payload_bytes: payload.len(),
            payload_hash: hasher.finish(),
        });
        bytes = &bytes[length..];
    }
    Ok(())
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..).and_then(<[u8]>::first_chunk::<N>).copied().context("a header is cut short")
}
