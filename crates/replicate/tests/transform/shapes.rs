//! What is written where.

use etl::rule::Failure;
use replicate::event::Event;
use replicate::spec::Partitioning;

use crate::world::{IN, OUT, World, rule, wait_for};

#[tokio::test(start_paused = true)]
async fn records_are_processed_and_keep_their_partition() {
    let mut world = World::new(rule(""), 3);
    for round in 0..20 {
        world.append(round % 3, i64::from(round) % 7 + 1);
    }
    let report = world.once().await.unwrap();
    assert!(report.is_complete());
    world.check("copied");
    for (partition, records) in (0..).zip(world.made()) {
        assert!(records.iter().all(|one| one.partition == partition));
    }
    let total = world.expected().0.len() as u64;
    assert_eq!(report.progress.total.records, total);
    let topic = &report.progress.topics[0];
    assert_eq!((topic.topic.as_str(), topic.target_topic.as_str()), (IN, OUT));
    assert_eq!(topic.partitions.iter().map(|one| one.records_written).sum::<u64>(), total);
    // Nothing comes twice.
    world.once().await.unwrap();
    world.check("copied again");
    world.append(1, 3);
    world.once().await.unwrap();
    world.check("went on");
}

#[tokio::test(start_paused = true)]
async fn each_output_is_written_so_often() {
    let mut world = World::new(rule(""), 2);
    world.copies = 5;
    world.append(0, 40);
    world.append(1, 3);
    world.once().await.unwrap();
    world.check("five times");
}

#[tokio::test(start_paused = true)]
async fn outputs_go_by_key_or_are_spread() {
    for partitioning in [Partitioning::Key, Partitioning::Spread] {
        let mut world = World::new(rule(""), 2);
        world.partitioning = partitioning;
        world.target.create_topic(OUT, 4, &[]).unwrap();
        for round in 0..60 {
            world.append(round % 2, 40);
        }
        world.once().await.unwrap();
        world.check("by key");
        let used = world.made().iter().filter(|records| !records.is_empty()).count();
        assert!(used >= 2, "{partitioning:?} uses {used} partitions");
        if partitioning == Partitioning::Key {
            let records = world.records(OUT);
            for (partition, records) in records.iter().enumerate() {
                for record in records {
                    let others = world.records(OUT);
                    let elsewhere = others.iter().enumerate().filter(|(at, _)| *at != partition);
                    let same = |other: &kafka_wire::record::Record| other.key == record.key;
                    assert!(!elsewhere.flat_map(|(_, all)| all).any(same), "{:?}", record.key);
                }
                assert!(records.len() < 2400);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_filter_leaves_out_is_done() {
    let filter = ", filter: {rules: [{key: even, mode: equals, value: 'true'}]}";
    let mut world = World::new(rule(filter), 1);
    world.append(0, 10);
    // The last batch gives nothing at all.
    world.append_values(0, &[r#"{"id":11,"even":false}"#.to_owned()]);
    let report = world.once().await.unwrap();
    let ids: Vec<i64> = world.made()[0].iter().map(|one| one.id).collect();
    assert_eq!(ids, [0, 2, 4, 6, 8]);
    let partition = &report.progress.topics[0].partitions[0];
    assert_eq!((partition.position, partition.records_dropped), (11, 6));
    assert_eq!(partition.records_copied, 11);
}

#[tokio::test(start_paused = true)]
async fn arrays_become_several_records() {
    let text = "{apiVersion: etl/v1, kind: EtlTemplate, spec: {chains: [{analyse: {mode: json_array, output: each}}], metadata_fields: {keep: true}}}";
    let world = World::new(text.to_owned(), 1);
    world.append_values(0, &[r#"[{"id":1},{"id":2},{"id":3}]"#.to_owned(), "[]".to_owned()]);
    world.append_values(0, &[r#"[{"id":4}]"#.to_owned()]);
    world.once().await.unwrap();
    let ids: Vec<i64> = world.made()[0].iter().map(|one| one.id).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn records_are_routed_by_what_they_say() {
    let route = ", route: {topic: 'out-${field:even}', on_unknown: create}";
    let mut world = World::new(rule(route), 1);
    world.append(0, 10);
    world.once().await.unwrap();
    let ids = |topic: &str| world.records(topic).iter().map(Vec::len).sum::<usize>();
    assert_eq!((ids("out-true"), ids("out-false"), ids(OUT)), (5, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_state_is_of_one_kind() {
    let mut world = World::new(rule(""), 1);
    world.append(0, 1);
    world.once().await.unwrap();
    let mut spec = world.spec(true);
    assert!(matches!(spec.transform.as_ref().unwrap().rule.rule().failure, Failure::Retain));
    spec.transform = None;
    let task = replicate::task::Task {
        spec,
        source: crate::world::client(&world.source),
        target: crate::world::client(&world.target),
        journal: std::sync::Arc::new(world.journal.clone()),
        sink: std::sync::Arc::new(|_| {}),
        progress: tokio::sync::watch::channel(std::sync::Arc::default()).0,
        shutdown: tokio_util::sync::CancellationToken::new(),
    };
    let error = task.run().await.unwrap_err().to_string();
    assert!(error.contains("processes records by a rule"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_source_topic_that_is_not_there_is_told_and_taken_up_when_it_comes() {
    let mut world = World::new(rule(""), 1);
    assert!(world.source.delete_topic(IN));
    let report = world.once().await.unwrap();
    assert_eq!((report.skipped, report.is_complete()), (1, false));
    let run = world.run(false);
    let told = |world: &World| {
        let skipped = |event: &Event| matches!(event, Event::TopicSkipped { .. });
        world.events().iter().filter(|event| skipped(event)).count()
    };
    wait_for("it is told again", || told(&world) == 2).await;
    world.source.create_topic(IN, 1, &[]).unwrap();
    world.append(0, 3);
    wait_for("it is taken up", || world.records(OUT).concat().len() == 3).await;
    run.stop().await;
    assert_eq!(told(&world), 2);
}
