//! Schemas that only the registries of the two ends know.

use std::time::Duration;

use bytes::Bytes;
use kafka_sim::{RegistryFault, SchemaRegistry};
use kafka_wire::record::Record;
use replicate::event::Event;
use replicate::task::TaskError;
use tokio::time::sleep;

use crate::world::{DEAD, DLQ, Made, OUT, World, wait_for};

/// A record with a number, and one with the number inside another record.
const PLAIN: &str = r#"{"type":"record","name":"Plain","fields":[{"name":"id","type":"long"}]}"#;
const NAMED: &str = r#"{"type":"record","name":"Named","fields":[{"name":"id","type":"long"},{"name":"tag","type":"string"}]}"#;
const TAG: &str = r#"{"type":"enum","name":"Tag","symbols":["A","B"]}"#;
const USING: &str = r#"{"type":"record","name":"Using","fields":[{"name":"id","type":"long"},{"name":"tag","type":"Tag"}]}"#;
/// An id that no registry has.
const NOWHERE: u32 = 0x3030_3030;

fn decoding(more: &str) -> String {
    format!(
        "{{apiVersion: etl/v1, spec: {{chains: [{{kind: decode, format: avro}}], metadata_fields: {{keep: true}}{more}}}}}"
    )
}

fn translating(more: &str) -> String {
    format!(
        "{{apiVersion: etl/v1, spec: {{output: {{format: original, translate_schema_id: true}}{more}}}}}"
    )
}

fn world(rule: String) -> World {
    let mut world = World::new(rule, 2);
    world.registries = Some([SchemaRegistry::new(1), SchemaRegistry::new(100)]);
    world
}

fn framed(schema: u32, content: &[u8]) -> Bytes {
    [&[0], &schema.to_be_bytes()[..], content].concat().into()
}

/// A small number as Avro writes it.
fn number(id: i64) -> Vec<u8> {
    let mut zigzag = u64::try_from(id).unwrap() << 1;
    let mut bytes = Vec::new();
    while zigzag > 127 {
        bytes.push(u8::try_from(zigzag & 127).unwrap() | 128);
        zigzag >>= 7;
    }
    bytes.push(u8::try_from(zigzag).unwrap());
    bytes
}

impl World {
    fn source_registry(&self) -> &SchemaRegistry {
        &self.registries.as_ref().unwrap()[0]
    }

    fn target_registry(&self) -> &SchemaRegistry {
        &self.registries.as_ref().unwrap()[1]
    }

    /// Schemas with ids 1, 2, 3, 4: the third is used by the fourth.
    fn with_schemas(self) -> Self {
        let registry = self.source_registry();
        registry.register("in-value", "AVRO", PLAIN, &[]);
        registry.register("com.acme.Named", "AVRO", NAMED, &[]);
        registry.register("Tag", "AVRO", TAG, &[]);
        registry.register("in-value", "AVRO", USING, &[("Tag", "Tag", 1)]);
        self
    }

    /// Records with the schemas 1, 2 and 4 in turn.
    fn append_avro(&self, partition: i32, ids: std::ops::Range<i64>) {
        let values: Vec<Bytes> = ids
            .map(|id| match id % 3 {
                0 => framed(1, &number(id)),
                1 => framed(2, &[number(id), b"\x02x".to_vec()].concat()),
                _ => framed(4, &[number(id), vec![2]].concat()),
            })
            .collect();
        self.append_bytes(partition, &values);
    }

    /// Where each number went, which is made of what `append_avro` appended to each partition in one go.
    fn check_ids(&self, counts: &[i64]) {
        let mut made: Vec<Made> = self.made().concat();
        made.sort();
        let expected = (0..).zip(counts).flat_map(|(partition, count)| {
            (0..*count).map(move |offset| Made { partition, offset, id: offset })
        });
        assert_eq!(made, expected.collect::<Vec<_>>());
    }

    fn told(&self) -> usize {
        let events = self.events();
        events.iter().filter(|event| matches!(event, Event::RegistryUnavailable { .. })).count()
    }

    fn asked(&self, request: &str) -> usize {
        self.source_registry().requests().iter().filter(|one| *one == request).count()
    }
}

#[tokio::test(start_paused = true)]
async fn schemas_come_from_the_registry_once_each() {
    let world = world(decoding("")).with_schemas();
    world.append_avro(0, 0..50);
    world.append_avro(1, 0..40);
    let report = world.once().await.unwrap();
    assert!(report.is_complete());
    world.check_ids(&[50, 40]);
    for id in [1, 2, 4] {
        assert_eq!(world.asked(&format!("GET /schemas/ids/{id}")), 1);
    }
    assert_eq!(world.asked("GET /schemas/ids/3"), 0);
    assert_eq!(world.told(), 0);
    assert_eq!(report.progress.topics[0].partitions[0].records_failed, 0);
}

#[tokio::test(start_paused = true)]
async fn records_wait_for_a_registry_that_is_away() {
    let world = world(decoding(", failure: {policy: discard}")).with_schemas();
    world.append_avro(0, 0..9);
    world.append_avro(1, 0..9);
    world.source_registry().set_away(true);
    let run = world.run(false);
    wait_for("it is told", || world.told() > 0).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(world.told(), 1, "told once");
    assert!(world.made().concat().is_empty());
    let waiting = world.progress.lock().unwrap().topics[0].partitions[0].last_error.clone();
    assert!(waiting.unwrap().contains("http://registry:8081"), "the progress says why");
    world.source_registry().set_away(false);
    wait_for("it goes on", || world.made().concat().len() == 18).await;
    // The next interruption is told again; what is known already needs no registry.
    world.source_registry().set_away(true);
    world.append_avro(0, 9..12);
    wait_for("known schemas", || world.made().concat().len() == 21).await;
    assert_eq!(world.told(), 1);
    run.stop().await;
    world.check_ids(&[12, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_refuses_us_loses_no_record() {
    for status in [401, 403, 404, 500, 302] {
        let world = world(decoding(", failure: {policy: discard}")).with_schemas();
        world.append_avro(0, 0..9);
        for _ in 0..20 {
            world.source_registry().add_fault(RegistryFault::Status(status, "no"));
        }
        world.once().await.unwrap();
        world.check_ids(&[9]);
        assert_eq!(world.told(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_to_end_does_not_wait_for_a_registry_for_ever() {
    let world = world(decoding(", failure: {policy: discard}")).with_schemas();
    world.append_avro(0, 0..9);
    world.source_registry().set_away(true);
    let report = world.once().await.unwrap();
    assert_eq!((report.stopped, report.is_complete()), (1, false));
    let stopped = world.events().into_iter().find_map(|event| match event {
        Event::LaneStopped { offset, cause, .. } => Some((offset, cause)),
        _ => None,
    });
    let (offset, cause) = stopped.unwrap();
    assert!(offset == 0 && cause.contains("the schema 1 has not come"), "{offset} {cause}");
    world.source_registry().set_away(false);
    world.once().await.unwrap();
    world.check_ids(&[9]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_is_a_failure_of_its_records_and_asked_for_once_a_minute() {
    let world = world(decoding(", failure: {policy: discard}")).with_schemas();
    world.append_avro(0, 0..3);
    let run = world.run(false);
    wait_for("the first", || world.made().concat().len() == 3).await;
    let unknown: Vec<Bytes> = (0..30).map(|id| framed(NOWHERE, &number(id))).collect();
    world.append_bytes(0, &unknown);
    let request = format!("GET /schemas/ids/{NOWHERE}");
    let failed = || world.progress.lock().unwrap().topics[0].partitions[0].records_failed;
    wait_for("they fail", || failed() == 30).await;
    assert_eq!(world.asked(&request), 1);
    sleep(Duration::from_secs(61)).await;
    world.append_bytes(0, &unknown);
    wait_for("they fail again", || failed() == 60).await;
    assert_eq!(world.asked(&request), 2);
    run.stop().await;
    let causes: Vec<String> = world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::RecordFailed { code: "schema_unknown", cause, .. } => Some(cause),
            _ => None,
        })
        .collect();
    assert!(causes[0].contains("http://registry:8081 has no schema"), "{causes:?}");
    assert_eq!(world.told(), 0);
}

#[tokio::test(start_paused = true)]
async fn records_of_unknown_schemas_are_dead_letters() {
    let world = world(decoding(DLQ)).with_schemas();
    let other = world.source_registry().register("other", "JSON", "{}", &[]);
    let broken = world.source_registry().register("broken", "AVRO", "{}", &[]);
    world.append_avro(0, 0..3);
    world.append_bytes(0, &[framed(NOWHERE, b""), framed(other, b""), framed(broken, b"")]);
    world.once().await.unwrap();
    world.check_ids(&[3]);
    let dead = world.records(DEAD).concat();
    let reasons: Vec<String> = dead.iter().map(|record| header(record, "message")).collect();
    assert!(reasons[0].contains("has no schema"), "{reasons:?}");
    assert!(reasons[1].contains("is JSON, the rule decodes AVRO"), "{reasons:?}");
    assert!(reasons[2].contains("of http://registry:8081"), "{reasons:?}");
    assert!(dead.iter().all(|record| header(record, "class.name") == "schema_unknown"));
}

fn header(record: &Record, name: &str) -> String {
    let name = format!("__connect.errors.exception.{name}");
    let found = record.headers.iter().find(|header| header.key == name.as_bytes());
    String::from_utf8(found.unwrap().value.clone().unwrap().to_vec()).unwrap()
}

/// The id in each record of the output, and the content.
fn outputs(world: &World) -> Vec<(u32, Bytes)> {
    let records = world.records(OUT).concat();
    let split = |record: Record| {
        let value = record.value.unwrap();
        (u32::from_be_bytes(value[1..5].try_into().unwrap()), value.slice(5..))
    };
    records.into_iter().map(split).collect()
}

#[tokio::test(start_paused = true)]
async fn ids_become_those_of_the_target_with_references_first() {
    let world = world(translating("")).with_schemas();
    let target = world.target_registry();
    // The numbers of versions and ids differ there.
    target.register("Tag", "AVRO", r#"{"type":"enum","name":"Tag","symbols":["A"]}"#, &[]);
    world.append_avro(0, 0..6);
    world.once().await.unwrap();
    // Schemas are registered in the order of the records that have them.
    let subjects = [
        ("Tag".to_owned(), vec![100, 103]),
        ("com.acme.Named".to_owned(), vec![102]),
        ("out-value".to_owned(), vec![101, 104]),
    ];
    assert_eq!(target.subjects(), subjects);
    assert_eq!(target.references(104), [("Tag".to_owned(), 2)]);
    let ids: Vec<u32> = outputs(&world).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [101, 102, 104, 101, 102, 104]);
    assert_eq!(outputs(&world)[0].1, number(0));
    // A second task finds them there.
    let before = target.requests().len();
    world.append_avro(0, 6..9);
    world.once().await.unwrap();
    assert_eq!(outputs(&world).len(), 9);
    let written = target.requests()[before..].iter().any(|one| one.ends_with("/versions"));
    assert!(!written, "{:?}", target.requests());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_refuses_is_waited_for_unless_it_is_about_the_schema() {
    let world = world(translating(DLQ)).with_schemas();
    world.append_avro(0, 0..2);
    let denied = RegistryFault::Status(403, r#"{"error_code":40301,"message":"denied"}"#);
    world.target_registry().add_fault(denied);
    let absent = RegistryFault::Status(404, r#"{"error_code":40401,"message":"no subject"}"#);
    let refused = RegistryFault::Status(409, r#"{"error_code":409,"message":"incompatible"}"#);
    for fault in [absent, refused] {
        world.target_registry().add_fault(fault);
    }
    world.once().await.unwrap();
    assert_eq!(world.told(), 1);
    let dead = world.records(DEAD).concat();
    assert_eq!(dead.len(), 1);
    let reason = header(&dead[0], "message");
    assert!(reason.contains("409: incompatible") && reason.contains("compatibility"), "{reason}");
    assert_eq!(outputs(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn outputs_have_the_newest_schema_of_their_subject() {
    let rule = "{apiVersion: etl/v1, spec: {chains: [{analyse: {mode: json}}], output: {format: avro, subject: out-value}}}";
    let mut world = world(rule.to_owned());
    world.append(0, 3);
    let error = world.once().await.unwrap_err();
    let TaskError::Registry { cause, .. } = &error else { panic!("{error}") };
    assert!(cause.contains("has no schema of the subject out-value"), "{cause}");
    assert!(error.cure().unwrap().contains("register it there"));
    let target = world.target_registry();
    target.register("out-value", "AVRO", TAG, &[]);
    target.register("out-value", "AVRO", PLAIN, &[]);
    target.set_away(true);
    let error = world.once().await.unwrap_err();
    assert!(error.to_string().contains("http://registry:8081"), "{error}");
    assert_eq!(world.told(), 1);
    target.set_away(false);
    world.once().await.unwrap();
    let expected: Vec<(u32, Bytes)> = (0..3).map(|id| (101, number(id).into())).collect();
    assert_eq!(outputs(&world), expected);
}

/// A message with an import, read by the schema of the source and written by that of the target.
#[tokio::test(start_paused = true)]
async fn protobuf_comes_and_goes_by_schemas_of_registries() {
    let rule = "{apiVersion: etl/v1, spec: {chains: [{kind: decode, format: protobuf}], output: {format: protobuf, subject: out-value}}}";
    let world = world(rule.to_owned());
    let tag = r#"syntax = "proto3"; package shop; enum Tag { A = 0; B = 1; }"#;
    let order = r#"syntax = "proto3"; package shop; import "shop/tag.proto"; message Order { int32 id = 1; Tag tag = 2; }"#;
    let other = r#"syntax = "proto3"; package shop; import "shop/tag.proto"; message Order { Tag tag = 7; int32 id = 8; }"#;
    let uses = [("shop/tag.proto", "tag", 1)];
    world.source_registry().register("tag", "PROTOBUF", tag, &[]);
    world.source_registry().register("in-value", "PROTOBUF", order, &uses);
    world.target_registry().register("tag", "PROTOBUF", tag, &[]);
    world.target_registry().register("out-value", "PROTOBUF", other, &uses);
    world.append_bytes(0, &[framed(2, &[0, 0x08, 5, 0x10, 1]), framed(2, &[0, 0x08, 6])]);
    world.once().await.unwrap();
    let made = outputs(&world);
    assert_eq!(made.len(), 2);
    assert_eq!(made[0], (101, Bytes::from_static(&[0, 0x38, 1, 0x40, 5])));
    assert_eq!(made[1].0, 101);
    assert!(made[1].1.ends_with(&[0x40, 6]), "{made:?}");
}

/// Deaths while schemas are being fetched, and while the registry is away.
#[tokio::test(start_paused = true)]
async fn a_task_that_died_goes_on_with_every_record_once() {
    for after_ms in [0, 1, 5, 20, 50, 120, 400, 1500] {
        let world = world(decoding(", failure: {policy: discard}")).with_schemas();
        world.append_avro(0, 0..600);
        world.append_avro(1, 0..300);
        for _ in 0..4 {
            let late = RegistryFault::Late(Duration::from_millis(after_ms));
            world.source_registry().add_fault(late);
        }
        let run = world.run(false);
        sleep(Duration::from_millis(after_ms * 3)).await;
        world.source_registry().set_away(true);
        sleep(Duration::from_millis(after_ms)).await;
        run.kill().await;
        let run = world.run(false);
        sleep(Duration::from_millis(after_ms)).await;
        run.kill().await;
        world.source_registry().set_away(false);
        world.once().await.unwrap();
        world.check_ids(&[600, 300]);
    }
}
