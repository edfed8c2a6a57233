//! Records of a topic as rows of a table.

use etl::{SharedTable, TableRow, TableRows};
use kafka_wire::record::{Batch, BatchError, Record, RecordLimits};

/// Bytes of one batch after decompression.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Why a record gives no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) offset: i64,
    pub(super) cause: String,
}

/// Where rows go: to the table, or to those that will take their place.
pub(super) enum Into<'a> {
    Table(&'a SharedTable),
    Anew(&'a SharedTable, &'a mut TableRows),
}

impl Into<'_> {
    fn shape(&self) -> &SharedTable {
        match self {
            Self::Table(table) | Self::Anew(table, _) => table,
        }
    }

    fn put(&mut self, key: &str, row: Option<TableRow>) {
        match (self, row) {
            (Self::Table(table), Some(row)) => table.set(key, row),
            (Self::Table(table), None) => table.remove(key),
            (Self::Anew(_, rows), Some(row)) => rows.set(key, row),
            (Self::Anew(_, rows), None) => rows.remove(key),
        }
    }

    /// Bytes that the rows take now.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Table(table) => table.bytes(),
            Self::Anew(_, rows) => rows.bytes(),
        }
    }
}

/// The records of a batch from an offset on.
pub(super) fn records(batch: &Batch, from: i64) -> Result<Vec<Record>, BatchError> {
    batch.verify_crc()?;
    let limits =
        RecordLimits { decompressed_bytes_max: BATCH_BYTES_MAX, ..RecordLimits::default() };
    let mut records = batch.records(&limits)?;
    records.retain(|record| record.offset >= from);
    Ok(records)
}

/// Sets or removes the row that a record is about. One that is no row takes away what its key had: what a table holds depends on the
/// last record of each key alone, and not on whether it was there for those before.
pub(super) fn apply(record: &Record, into: &mut Into<'_>) -> Result<(), BadRow> {
    let bad = |cause: String| BadRow { offset: record.offset, cause };
    let Some(key) = &record.key else {
        return Err(bad("the record has no key".to_owned()));
    };
    let Ok(key) = std::str::from_utf8(key) else {
        return Err(bad("the record's key is not UTF-8".to_owned()));
    };
    let Some(value) = &record.value else {
        into.put(key, None);
        return Ok(());
    };
    let row = match std::str::from_utf8(value) {
        Ok(text) => into.shape().read_row(text).map_err(|cause| format!("the value: {cause}")),
        Err(error) => Err(format!("byte {} of the value is not UTF-8", error.valid_up_to())),
    };
    match row {
        Ok(row) => {
            into.put(key, Some(row));
            Ok(())
        }
        Err(cause) => {
            into.put(key, None);
            Err(bad(cause))
        }
    }
}
