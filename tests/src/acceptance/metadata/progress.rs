//! What a run shows of itself.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::acceptance::pair::Pair;
use crate::acceptance::running::eventually;

/// Where a run answers Prometheus.
pub(super) struct Metrics(String);

impl Metrics {
    /// A port that was free a moment ago.
    pub(super) fn reserve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self(listener.local_addr().unwrap().to_string())
    }

    pub(super) fn address(&self) -> &str {
        &self.0
    }

    /// The value of a series.
    fn value(&self, series: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(&self.0).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let line = answer.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// What Kafka's own client says of both ends, the run says too.
    pub(super) fn show_the_run(&self, pair: &Pair) {
        let end = pair.from.offsets("plain").unwrap()[0].1;
        let of =
            |name: &str| format!("kferry_{name}{{task=\"sync\",topic=\"plain\",partition=\"0\"}}");
        let end = f64::from(i32::try_from(end).unwrap());
        let exact = [
            (of("partition_source_end"), end),
            (of("partition_position"), end),
            (of("partition_lag_records"), 0.0),
            (of("partition_lag_seconds"), 0.0),
            ("kferry_lag_records{task=\"sync\"}".to_owned(), 0.0),
            ("kferry_lag_bytes{task=\"sync\"}".to_owned(), 0.0),
            ("kferry_task_running{task=\"sync\"}".to_owned(), 1.0),
            ("kferry_topic_records_copied_total{task=\"sync\",topic=\"plain\"}".to_owned(), 110.0),
            ("kferry_groups{task=\"sync\",state=\"synced\"}".to_owned(), 2.0),
            // It stands beyond the end of its topic.
            ("kferry_groups{task=\"sync\",state=\"held\"}".to_owned(), 1.0),
            ("kferry_group_lag_records{task=\"sync\",group=\"reader\"}".to_owned(), end - 40.0),
        ];
        for (series, expected) in exact {
            let is_so = || self.value(&series).is_some_and(|found| (found - expected).abs() < 0.5);
            assert!(eventually(20, is_so), "{series} is {:?}, not {expected}", self.value(&series));
        }
    }
}

/// The lines of `--output json`: what is known while it runs, and of every group at the end.
pub(super) fn lines_have_their_fields(said: &[Value]) {
    let progress = said.iter().rfind(|line| line["type"] == "progress").unwrap();
    let topic = |line: &Value| -> Value {
        let topics = line["topics"].as_array().unwrap();
        let found = |it: &&Value| it["name"] == "plain" || it["topic"] == "plain";
        topics.iter().find(found).unwrap().clone()
    };
    let has = |line: &Value, names: &[&str]| {
        for name in names {
            assert!(line[*name].is_number(), "no {name}: {line:#}");
        }
    };
    let rows = [
        "partitions",
        "stopped",
        "percent",
        "records",
        "bytes",
        "lag_records",
        "records_per_second",
        "bytes_per_second",
    ];
    has(&progress["total"], &rows);
    has(&topic(progress), &rows);
    assert_eq!(topic(progress)["percent"], 100.0);
    has(progress, &["elapsed_ms"]);
    assert_eq!(progress["groups"]["synced"], 2, "{progress:#}");

    let result = said.iter().rfind(|line| line["type"] == "result").unwrap();
    assert_eq!(result["skipped_topics"], 1);
    has(result, &["records", "bytes", "elapsed_ms", "records_per_second", "bytes_per_second"]);
    has(
        &topic(result),
        &[
            "partitions",
            "records",
            "bytes",
            "batches_as_is",
            "batches_rebuilt",
            "records_dropped",
            "lag_records",
        ],
    );
    let groups = result["groups"].as_array().unwrap();
    let reader = groups.iter().find(|it| it["group"] == "reader").unwrap();
    assert_eq!(reader["state"], "synced");
    let partition = &reader["partitions"][0];
    assert_eq!((&partition["source_offset"], &partition["topic"]), (&40.into(), &"plain".into()));
    has(partition, &["partition", "target_offset", "lag_records"]);
}
