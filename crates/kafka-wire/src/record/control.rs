//! Control records: the markers that end transactions.

use bytes::Bytes;

use super::{BatchError, BatchOptions, Record, RecordFault, encode_batch};

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlKind {
    /// The transaction of the batch's producer is aborted (type 0).
    Abort,
    /// The transaction of the batch's producer is committed (type 1).
    Commit,
    /// Another type: the records of Kafka's own metadata log, or of a later release.
    Other(i16),
}

impl ControlKind {
    /// The number on the wire.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::Other(id) => id,
        }
    }
}

/// The control record of a control batch.
///
/// # Source
/// KIP-98; `ControlRecordType` and `EndTransactionMarker` in Apache Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ControlRecord {
    /// Abort, commit or another.
    pub kind: ControlKind,
    /// Epoch of the transaction coordinator that wrote the marker; -1 for other kinds.
    pub coordinator_epoch: i32,
    /// When the marker was written, ms since 1970.
    pub timestamp: i64,
}

/// Reads the key (version i16, type i16) and the value (version i16, coordinator epoch i32) of a control record.
pub(super) fn read(base_offset: i64, record: &Record) -> Result<ControlRecord, BatchError> {
    let fault = || BatchError::Record { base_offset, index: 0, at: 0, fault: RecordFault::Control };
    let key = record.key.as_ref().and_then(|key| key.first_chunk::<4>()).ok_or_else(fault)?;
    let [_, _, high, low] = *key;
    let kind = match i16::from_be_bytes([high, low]) {
        0 => ControlKind::Abort,
        1 => ControlKind::Commit,
        other => {
            let kind = ControlKind::Other(other);
            return Ok(ControlRecord { kind, coordinator_epoch: -1, timestamp: record.timestamp });
        }
    };
    let value =
        record.value.as_ref().and_then(|value| value.first_chunk::<6>()).ok_or_else(fault)?;
    let [_, _, e0, e1, e2, e3] = *value;
    let coordinator_epoch = i32::from_be_bytes([e0, e1, e2, e3]);
    Ok(ControlRecord { kind, coordinator_epoch, timestamp: record.timestamp })
}

/// One control batch with one marker, as a broker writes it: control and transactional bits set, no codec.
///
/// `options` gives the offset, the leader epoch, the producer and the timestamp type.
///
/// # Errors
/// Those of [`encode_batch`]; none occurs for valid options.
pub fn encode_control_batch(
    options: &BatchOptions,
    control: ControlRecord,
) -> Result<Bytes, BatchError> {
    let options = BatchOptions {
        control: true,
        transactional: true,
        compression: crate::compression::Compression::None,
        ..*options
    };
    let mut key = Vec::with_capacity(4);
    key.extend_from_slice(&0_i16.to_be_bytes());
    key.extend_from_slice(&control.kind.id().to_be_bytes());
    let mut value = Vec::with_capacity(6);
    value.extend_from_slice(&0_i16.to_be_bytes());
    value.extend_from_slice(&control.coordinator_epoch.to_be_bytes());
    let record = Record {
        offset: options.first_offset.unwrap_or(0),
        timestamp: control.timestamp,
        key: Some(key.into()),
        value: Some(value.into()),
        headers: Vec::new(),
    };
    encode_batch(&options, &[record])
}
