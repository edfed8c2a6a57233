//! `kferry sync --metrics`: scraped while it runs, and read as Prometheus reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::support::{Sandbox, command, kferry, signal, wait};

/// Samples by name and labels.
type Samples = BTreeMap<String, f64>;

fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nAccept: text/plain\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    body.to_owned()
}

/// Reads an exposition, and panics at the first thing that the format does not allow.
fn parse(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "the last line has no end");
    let (mut samples, mut family, mut done) = (Samples::new(), String::new(), BTreeSet::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.ends_with('.'), "{line}");
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let kind = kind.strip_prefix(name).unwrap().trim();
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            assert!(done.insert(name.to_owned()), "{name} comes twice");
            name.clone_into(&mut family);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        assert_eq!(name, family, "{line}");
        check_labels(labels);
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite(), "{line}");
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
    }
    samples
}

fn check_labels(mut labels: &str) {
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").unwrap();
        assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{name}");
        let mut is_escaped = false;
        let end = rest.find(|letter| {
            let is_end = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end
        });
        labels = &rest[end.unwrap() + 1..];
        labels = labels.strip_prefix(',').unwrap_or(labels);
    }
}

#[test]
fn a_running_sync_is_scraped() {
    let fills = ["--fill", "orders:2:400000:4000:lz4", "--fill", "odd.name:1:8000:4000:none"];
    let (source, target) = (Sandbox::start(&fills), Sandbox::start(&[]));
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().display().to_string();
    let mut running = command(&[
        "sync",
        "--source",
        &source.bootstrap,
        "--target",
        &target.bootstrap,
        "--state",
        &state,
        "--name",
        "prod",
        "--metrics",
        "127.0.0.1:0",
        "--buffer",
        "8MiB",
    ])
    .spawn()
    .unwrap();
    let mut stderr = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended early");
        if let Some(url) = line.trim().strip_prefix("metrics: http://") {
            break url.strip_suffix("/metrics").unwrap().to_owned();
        }
    };
    let rest = std::thread::spawn(move || stderr.lines().map_while(Result::ok).count());
    let deadline = Instant::now() + Duration::from_secs(30);
    let samples = loop {
        let samples = parse(&scrape(&address));
        let copied =
            samples.get("kferry_topic_records_copied_total{task=\"prod\",topic=\"orders\"}");
        let lag = samples.get("kferry_lag_records{task=\"prod\"}");
        if copied.is_some_and(|copied| *copied > 0.0) && lag == Some(&0.0) {
            break samples;
        }
        assert!(Instant::now() < deadline, "{samples:#?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let value = |series: &str| *samples.get(series).unwrap_or_else(|| panic!("no {series}"));
    let positive = [
        "kferry_records_copied_total{task=\"prod\"}",
        "kferry_bytes_copied_total{task=\"prod\"}",
        "kferry_task_elapsed_seconds{task=\"prod\"}",
        "kferry_partition_position{task=\"prod\",topic=\"orders\",partition=\"1\"}",
        "kferry_events_total{task=\"prod\",level=\"info\",event=\"topic_created\"}",
    ];
    for series in positive {
        assert!(value(series) > 0.0, "{series}");
    }
    let exact = [
        ("kferry_task_running{task=\"prod\"}", 1.0),
        ("kferry_lag_seconds{task=\"prod\"}", 0.0),
        ("kferry_lag_bytes{task=\"prod\"}", 0.0),
        ("kferry_buffer_bytes", 8_388_608.0),
        ("kferry_partition_source_start{task=\"prod\",topic=\"orders\",partition=\"1\"}", 0.0),
        ("kferry_partitions{task=\"prod\",state=\"running\"}", 3.0),
        ("kferry_partitions{task=\"prod\",state=\"stopped\"}", 0.0),
        ("kferry_partition_lag_records{task=\"prod\",topic=\"odd.name\",partition=\"0\"}", 0.0),
        ("kferry_series_left_out{task=\"prod\",of=\"partitions\"}", 0.0),
    ];
    for (series, expected) in exact {
        assert!((value(series) - expected).abs() < 0.5, "{series} is {}", value(series));
    }
    assert!(value("kferry_buffer_used_bytes") <= value("kferry_buffer_bytes"));
    every_metric_is_described(&samples);
    signal(running.id(), "TERM");
    wait(running).expect(0, &[]);
    rest.join().unwrap();
}

/// docs/metrics.md has a row for each metric, and the dashboard asks for none that there is not.
fn every_metric_is_described(samples: &Samples) {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let page = std::fs::read_to_string(format!("{docs}/metrics.md")).unwrap();
    let described: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `kferry_")?.split(['`', '{']).next())
        .collect();
    for series in samples.keys() {
        let name = series.split('{').next().unwrap().strip_prefix("kferry_").unwrap();
        assert!(described.contains(name), "docs/metrics.md lacks kferry_{name}");
    }
    let dashboard = std::fs::read_to_string(format!("{docs}/grafana-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let asked = target["expr"].as_str().unwrap();
            for word in asked.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            {
                if let Some(name) = word.strip_prefix("kferry_") {
                    assert!(described.contains(name), "the dashboard asks for kferry_{name}");
                }
            }
        }
    }
}

#[test]
fn an_address_that_cannot_be_is_said() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path().display().to_string();
    let ends = ["--source", "127.0.0.1:1", "--target", "127.0.0.1:2", "--state", &state];
    kferry(&[&["sync"], &ends[..], &["--metrics", "nowhere"]].concat())
        .expect(1, &["--metrics nowhere", "cure:"]);
}
