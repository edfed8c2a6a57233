//! The 61 header bytes under which an untouched payload travels to the target.

use kafka_wire::crc;
use kafka_wire::record::{Attributes, BatchHeader, HEADER_BYTES};
use serde::{Deserialize, Serialize};

/// The codec's bits in the batch attributes; all others are cleared on the way.
const CODEC_BITS: i16 = 0x07;

/// Where the checksummed part of a batch begins: at `attributes`.
const CRC_START: usize = 21;

/// The producer identity and the place in its sequence under which a batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The lane's producer id, allocated by the target.
    pub producer_id: i64,
    /// The lane's producer epoch.
    pub producer_epoch: i16,
    /// The sequence of the batch's first record.
    pub base_sequence: i32,
}

/// The header of `header`'s batch as the target is to see it: the codec, times and counts of the source,
/// our producer identity, base offset 0, no leader epoch, and the checksum corrected for just that.
///
/// Timestamp type (P6), transactional and control bits (P5), delete horizon (BF-7) and the unused bits,
/// which brokers store as they come (P5), are cleared. The checksum descends from the source's: it is
/// corrected by linearity without reading the payload, so bytes that were damaged on the way are still
/// refused by the target.
///
/// # Source
/// KIP-98; `DefaultRecordBatch` in Apache Kafka. The passthrough contract in its `LogValidator`.
#[must_use]
pub fn patched_header(header: &BatchHeader, stamp: &Stamp) -> [u8; HEADER_BYTES] {
    let before = header.encode();
    let mut patched = BatchHeader {
        base_offset: 0,
        partition_leader_epoch: -1,
        attributes: Attributes(header.attributes.0 & CODEC_BITS),
        producer_id: stamp.producer_id,
        producer_epoch: stamp.producer_epoch,
        base_sequence: stamp.base_sequence,
        ..*header
    };
    let after = patched.encode();
    let payload_bytes = header.size_bytes().saturating_sub(HEADER_BYTES);
    patched.crc = crc::patch(header.crc, &before[CRC_START..], &after[CRC_START..], payload_bytes);
    patched.encode()
}

#[cfg(test)]
mod tests;
