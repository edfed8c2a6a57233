//! Each kind of difference, planted in a copy that had none.

use bytes::Bytes;

use crate::world::{PER_BATCH, TOPIC, World};

/// A copy of four batches in each of two partitions, without a difference.
async fn copied() -> World {
    let world = World::new();
    world.fill(4);
    world.copy().await;
    world.equal(40).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_missing_record() {
    let world = copied().await;
    world.take_record(0, 7);
    world.differs(&["t-0 7 7 missing"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_batch_and_the_last_one() {
    let world = copied().await;
    world.alter(1, |mut batches| {
        batches.remove(2);
        batches
    });
    let missing: Vec<_> = (10..15).map(|at| format!("t-1 {at} {at} missing")).collect();
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    world.differs(&missing).await;
    let world = copied().await;
    world.target.truncate(TOPIC, 1, 15).unwrap();
    let missing: Vec<_> = (15..20).map(|at| format!("t-1 {at} {at} missing")).collect();
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    world.differs(&missing).await;
}

#[tokio::test(start_paused = true)]
async fn a_doubled_record_of_this_task() {
    let world = copied().await;
    world.alter(0, |mut batches| {
        let last = batches.last().unwrap().clone();
        let (end, record) = (last.next_offset(), last.records[0].clone());
        batches.push(last.one_more(end, &record));
        batches
    });
    world.differs(&["t-0 - 20 extra"]).await;
}

#[tokio::test(start_paused = true)]
async fn each_part_of_a_record() {
    let world = copied().await;
    world.alter_record(0, 3, |record| record.value = Some(Bytes::from_static(b"value-4")));
    world.differs(&["t-0 3 3 changed value"]).await;
    world.alter_record(0, 6, |record| record.key = Some(Bytes::from_static(b"kez-6")));
    world.alter_record(0, 11, |record| record.headers[1].value = Some(Bytes::from_static(b"x")));
    world.alter_record(0, 12, |record| record.headers.swap(0, 1));
    world.alter_record(1, 2, |record| record.timestamp += 1);
    world.alter_record(1, 19, |record| record.value = None);
    let expected = [
        "t-0 3 3 changed value",
        "t-0 6 6 changed key",
        "t-0 11 11 changed headers",
        "t-0 12 12 changed headers",
        "t-1 2 2 changed timestamp",
        "t-1 19 19 changed value",
    ];
    let report = world.differs(&expected).await;
    assert_eq!((report.totals.changed, report.totals.records), (6, 40));
    let text = serde_json::to_string(&report).unwrap();
    assert!(!text.contains("value-") && !text.contains("key-"), "{text}");
    assert!(!text.contains("contents"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn null_is_not_empty() {
    let world = copied().await;
    world.alter_record(0, 3, |record| record.headers[0].value = None);
    world.alter_record(0, 4, |record| record.headers.clear());
    world.differs(&["t-0 3 3 changed headers", "t-0 4 4 changed headers"]).await;
}

#[tokio::test(start_paused = true)]
async fn two_records_in_the_wrong_order() {
    let world = copied().await;
    world.alter(0, |mut batches| {
        let [a, b] = [&batches[1].records[1], &batches[1].records[3]].map(Clone::clone);
        batches[1].records[1] = kafka_wire::record::Record { offset: a.offset, ..b.clone() };
        batches[1].records[3] = kafka_wire::record::Record { offset: b.offset, ..a };
        batches
    });
    world.differs(&["t-0 6 6 out_of_order", "t-0 8 8 out_of_order"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_in_the_wrong_partition() {
    let world = copied().await;
    let record = world.take_record(0, 8);
    world.alter(1, |mut batches| {
        let last = batches.last().unwrap().clone();
        batches.push(last.one_more(last.next_offset(), &record));
        batches
    });
    world.differs(&["t-0 8 8 wrong_partition 1@20"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_group_off_by_one_either_way() {
    let world = World::new();
    world.fill(4);
    for (group, offset) in [("low", 3), ("high", 9), ("good", 20), ("gone", 5)] {
        world.source.commit_offset(group, TOPIC, 0, offset, "");
    }
    world.copy().await;
    let report = world.equal(40).await;
    assert_eq!(report.groups.unwrap().equal, 4);
    world.target.commit_offset("low", TOPIC, 0, 2, "");
    world.target.commit_offset("high", TOPIC, 0, 10, "");
    world.target.delete_group("gone");
    let report = world.report().await;
    let groups = report.groups.as_ref().unwrap();
    let found: Vec<_> = groups
        .differences
        .iter()
        .map(|off| (off.group.as_str(), off.source_offset, off.expected, off.found, off.off_by))
        .collect();
    let expected = [
        ("gone", 5, 5, None, None),
        ("high", 9, 9, Some(10), Some(1)),
        ("low", 3, 3, Some(2), Some(-1)),
    ];
    assert_eq!(found, expected);
    assert_eq!((groups.off, groups.equal, report.differences()), (3, 1, 3));
    assert!(!report.is_equal());
}

#[tokio::test(start_paused = true)]
async fn settings_and_partition_counts() {
    let world = World::of(kafka_sim::Release::V4_2, &[("retention.ms", "60000000")]);
    world.fill(2);
    world.copy().await;
    world.equal(20).await;
    world.target.set_topic_config(TOPIC, "retention.ms", Some("70000000")).unwrap();
    world.target.grow_topic(TOPIC, 3);
    let report = world.report().await;
    let [topic] = report.topics.as_slice() else { panic!("{report:#?}") };
    assert_eq!(topic.partition_counts, Some((2, 3)));
    let [setting] = topic.settings.as_slice() else { panic!("{topic:#?}") };
    let shown = (setting.name.as_str(), setting.source.as_deref(), setting.target.as_deref());
    assert_eq!(shown, ("retention.ms", Some("60000000"), Some("70000000")));
    assert_eq!((report.differences(), report.totals.differences()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_aborted_record_that_was_copied() {
    // The source aborts what the copy has taken for good: told by a journal and a target that claim it.
    let world = copied().await;
    let base = world.source.end_offset(TOPIC, 0).unwrap();
    let options = kafka_wire::record::BatchOptions {
        producer_id: 77,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..Default::default()
    };
    let records: Vec<_> = (0..PER_BATCH).map(crate::world::record).collect();
    world.source.append_records(TOPIC, 0, &options, &records).unwrap();
    world.source.write_marker(TOPIC, 0, 77, 0, false).unwrap();
    world.copy().await;
    world.equal(40).await;
    crate::world::claim(&world, 0, base, &records).await;
    let extra: Vec<_> = (0..5).map(|at| format!("t-0 {} {} extra", 20 + at, 20 + at)).collect();
    let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
    world.differs(&extra).await;
}

#[tokio::test(start_paused = true)]
async fn records_that_the_source_has_lost() {
    let mut world = World::new();
    world.spec.source_policies.truncation = replicate::spec::LossPolicy::Continue;
    world.fill(4);
    world.copy().await;
    // An unclean election: the target keeps what the source has not, as its operator chose.
    world.source.truncate(TOPIC, 0, 15).unwrap();
    world.fill(2);
    world.copy().await;
    let extra: Vec<_> = (15..20).map(|at| format!("t-0 - {at} extra")).collect();
    let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
    world.differs(&extra).await;
}

#[tokio::test(start_paused = true)]
async fn damage_on_the_target_is_told_with_its_place() {
    let world = copied().await;
    let entries = world.target.log(TOPIC, 0).unwrap();
    world.target.start_log_at(TOPIC, 0, 0).unwrap();
    for (index, entry) in entries.into_iter().enumerate() {
        let mut bytes = entry.to_vec();
        if index == 2 {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        world.target.append_raw(TOPIC, 0, Bytes::from(bytes)).unwrap();
    }
    let report = world.report().await;
    let errors: Vec<_> = report.errors().collect();
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.contains("t-0: target") && error.contains("10"), "{error}");
    assert!(!report.is_equal());
}
