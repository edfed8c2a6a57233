//! To which partition an output goes. It depends on the source record and the output alone: after a restart the same record goes
//! to the same partition, or its outputs would be written twice.

use crate::spec::Partitioning;

/// Source offsets that go to one partition before the next one gets some, where outputs are spread: whole batches have one target.
const STRETCH_OFFSETS_LOG2: u32 = 9;

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// The partition of an output, of `count` partitions.
pub(super) fn partition_of(
    partitioning: Partitioning,
    origin: Origin,
    key: Option<&[u8]>,
    is_rekeyed: bool,
    count: i32,
) -> i32 {
    let count = count.max(1);
    let kept = origin.partition.rem_euclid(count);
    match (partitioning, key) {
        (Partitioning::Key, Some(key)) => by_key(key, count),
        (Partitioning::Keep, Some(key)) if is_rekeyed => by_key(key, count),
        (Partitioning::Keep | Partitioning::Key, _) => kept,
        (Partitioning::Spread, _) => {
            let stretch = (origin.offset >> STRETCH_OFFSETS_LOG2).rem_euclid(i64::from(count));
            let stretch = i32::try_from(stretch).unwrap_or(0);
            // Source partitions do not move in step.
            (kept + stretch).rem_euclid(count)
        }
    }
}

/// The partition that Kafka's own producers choose for `key` (KIP-480, `BuiltInPartitioner.partitionForKey`).
pub(super) fn by_key(key: &[u8], count: i32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    i32::try_from(positive).unwrap_or(0) % count.max(1)
}

/// The hash of `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunks = data.chunks_exact(4);
    for chunk in chunks.by_ref() {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn keys_hash_as_in_kafka() {
        let cases: [(&[u8], i32); 5] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key).cast_signed(), expected, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn outputs_go_where_they_are_to() {
        let at = |partition, offset| Origin { partition, offset };
        let of = |partitioning, origin, key, is_rekeyed| {
            partition_of(partitioning, origin, key, is_rekeyed, 3)
        };
        let key: Option<&[u8]> = Some(b"foobar");
        let hashed = (-790_332_482i32 & 0x7fff_ffff) % 3;
        assert_eq!(of(Partitioning::Keep, at(1, 7), key, false), 1);
        assert_eq!(of(Partitioning::Keep, at(4, 7), None, false), 1, "modulo the target's count");
        assert_eq!(of(Partitioning::Keep, at(1, 7), key, true), hashed);
        assert_eq!(of(Partitioning::Key, at(1, 7), key, false), hashed);
        assert_eq!(of(Partitioning::Key, at(1, 7), None, true), 1);
        let spread: Vec<i32> = [0, 511, 512, 1024, 1536]
            .map(|offset| of(Partitioning::Spread, at(1, offset), key, false))
            .into();
        assert_eq!(spread, [1, 1, 2, 0, 1]);
    }
}
