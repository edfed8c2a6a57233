//! P4: what comes back of a produced header, and inner offsets.

use kafka_sim::{ClusterConfig, Release};
use kafka_wire::ErrorCode;
use kafka_wire::compression::{self, Compression};
use kafka_wire::record::{BatchHeader, BatchOptions, HEADER_BYTES, encode_batch};

use crate::wire::{Wire, altered, cluster, producer_options, records};

#[tokio::test(start_paused = true)]
async fn p4_producer_fields_come_back_whatever_the_topic_compresses() {
    for release in Release::ALL {
        let cluster = kafka_sim::Cluster::new(ClusterConfig::release(release));
        let mut codecs = vec![
            ("producer", Compression::None),
            ("uncompressed", Compression::None),
            ("gzip", Compression::Gzip),
        ];
        if release >= Release::V2_8 {
            codecs.push(("zstd", Compression::Zstd));
        }
        for (name, codec) in codecs {
            cluster.create_topic(name, 1, &[("compression.type", name)]).unwrap();
            let mut wire = Wire::to(&cluster).await;
            let sent = encode_batch(&producer_options(77, 3, 0), &records(50)).unwrap();
            assert_eq!(wire.produce(name, 0, sent).await, (ErrorCode::NONE, 0), "{release} {name}");
            let stored = cluster.log(name, 0).unwrap().remove(0);
            let header = BatchHeader::parse(&stored).unwrap();
            assert_eq!(
                (header.producer_id, header.producer_epoch, header.base_sequence),
                (77, 3, 0)
            );
            assert_eq!(header.attributes.compression(), Ok(codec), "{release} {name}");
            assert_eq!(cluster.records(name, 0).unwrap(), records(50), "{release} {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p4_size_limits_bite_after_recompression() {
    let cluster = kafka_sim::Cluster::new(ClusterConfig::default());
    let configs = [("compression.type", "uncompressed"), ("max.message.bytes", "2000")];
    cluster.create_topic("plain", 1, &configs).unwrap();
    let mut wire = Wire::to(&cluster).await;
    let mut records = records(100);
    records.iter_mut().for_each(|record| record.value = Some(vec![b'x'; 100].into()));
    let options = BatchOptions { compression: Compression::Gzip, ..BatchOptions::default() };
    let packed = encode_batch(&options, &records).unwrap();
    assert!(packed.len() < 2000, "{} bytes", packed.len());
    assert_eq!(wire.produce("plain", 0, packed).await.0, ErrorCode::MESSAGE_TOO_LARGE);
}

/// Three records whose offset deltas are all 0, under a dense header.
fn same_deltas(codec: Compression) -> bytes::Bytes {
    let one = encode_batch(&BatchOptions::default(), &records(1)).unwrap();
    let payload = one[HEADER_BYTES..].repeat(3);
    let payload = compression::compress(codec, &payload).unwrap();
    let mut bytes = one[..HEADER_BYTES].to_vec();
    bytes.extend_from_slice(&payload);
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    altered(&bytes.into(), |bytes| {
        bytes[22] |= codec as u8;
        bytes[23..27].copy_from_slice(&2_i32.to_be_bytes());
        bytes[57..61].copy_from_slice(&3_i32.to_be_bytes());
    })
}

#[tokio::test(start_paused = true)]
async fn p4_inner_offsets_that_are_not_dense() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let plain = same_deltas(Compression::None);
        assert_eq!(wire.produce("t", 0, plain.clone()).await, (ErrorCode::NONE, 0), "{release}");
        assert_eq!(
            cluster.log("t", 0).unwrap()[0][HEADER_BYTES..],
            plain[HEADER_BYTES..],
            "stored as sent"
        );
        let (code, _) = wire.produce("t", 0, same_deltas(Compression::Gzip)).await;
        if release >= Release::V2_8 {
            assert_eq!(code, ErrorCode::UNKNOWN_SERVER_ERROR, "{release}");
        } else {
            assert_eq!(code, ErrorCode::NONE, "{release}");
            let offsets: Vec<i64> =
                cluster.records("t", 0).unwrap()[3..].iter().map(|record| record.offset).collect();
            assert_eq!(offsets, [3, 4, 5], "{release}: rebuilt");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p4_a_producers_last_batch_stays_when_compaction_empties_it() {
    let cluster = cluster(Release::V4_2);
    cluster.create_topic("c", 1, &[("cleanup.policy", "compact")]).unwrap();
    let mut wire = Wire::to(&cluster).await;
    for sequence in [0, 5] {
        wire.produce("c", 0, crate::wire::sequenced(77, 1, sequence, 5)).await;
    }
    wire.produce("c", 0, crate::wire::batch(5)).await;
    wire.produce("c", 0, crate::wire::batch(1)).await;
    assert_eq!(cluster.compact("c", 0).unwrap(), 10);
    let log = cluster.log("c", 0).unwrap();
    let empty = BatchHeader::parse(&log[0]).unwrap();
    assert_eq!((empty.record_count, empty.base_offset, empty.last_offset_delta), (0, 5, 4));
    assert_eq!((empty.producer_id, empty.producer_epoch, empty.base_sequence), (77, 1, 5));
    assert_eq!(log.len(), 3);
    // The repeat is still recognised.
    assert_eq!(
        wire.produce("c", 0, crate::wire::sequenced(77, 1, 5, 5)).await,
        (ErrorCode::NONE, 5)
    );
}
