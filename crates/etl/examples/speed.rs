//! How many megabytes of 1 KB JSON records one core processes: `cargo run --release -p etl --example speed`.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a measurement prints and looks at the clock"
)]

use std::time::{Duration, Instant};

use etl::{Compiled, Record, Resources, Rule, Scratch};

const RULES: [(&str, &str); 5] = [
    (
        "6 fields, a date, a filter",
        "chains: [{analyse: {mode: json}, rows: [
           {key: id, value: request_id},
           {key: user, operate: jsonpath, value: $.user.id},
           {key: status, type: int64},
           {key: path},
           {key: region},
           {key: time, value: '@timestamp', ops: [{op: date, format: 'yyyy-MM-dd HH:mm:ss', zone: GMT+8}]}]}],
         filter: {rules: [{key: status, mode: number, value: '>=200&<500'}]}",
    ),
    ("identity", "chains: [{analyse: {mode: json}}]"),
    (
        "3 fields, a named zone",
        "chains: [{analyse: {mode: json}, rows: [{key: path}, {key: region},
           {key: time, value: '@timestamp', ops: [{op: date, format: 'yyyy-MM-dd HH:mm:ss', zone: America/New_York}]}]}]",
    ),
    ("delimiter", "chains: [{analyse: {mode: delimiter, delimiter: ','}}]"),
    (
        "regex, 3 groups",
        r#"chains: [{analyse: {mode: regex, regex: '"request_id":"(?<id>[^"]+)".*"status":(?<status>\d+).*"path":"(?<path>[^"]+)"'}}]"#,
    ),
];

fn messages() -> Vec<String> {
    (0..1000)
        .map(|at| {
            let mut text = format!(
                r#"{{"@timestamp":"2026-03-{:02}T10:{:02}:33.210Z","request_id":"req-{at:08}","user":{{"id":{},"name":"user {at}","tags":["a","b","c"],"plan":"pro"}},"status":{},"method":"GET","path":"/api/v1/items/{at}?q=caf\u00e9","region":"eu-west-{}","latency_ms":{}.25,"bytes":{},"ok":true,"referer":null"#,
                at % 28 + 1,
                at % 60,
                at * 7,
                200 + at % 100,
                at % 4,
                at % 500,
                at * 131
            );
            let mut field = 0;
            while text.len() < 980 {
                text.push_str(&format!(r#","extra_{field}":"some text that nobody maps, number {field}""#));
                field += 1;
            }
            text.push('}');
            text
        })
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let messages = messages();
    let bytes: usize = messages.iter().map(String::len).sum();
    println!("{} records of {} bytes", messages.len(), bytes / messages.len());
    for (name, spec) in RULES {
        let rule = Rule::parse(&format!("{{apiVersion: etl/v1, spec: {{{spec}}}}}"))?;
        let compiled = Compiled::new(&rule, &Resources::new())?;
        let mut scratch = Scratch::new();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut best = Duration::MAX;
        let mut written = 0;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) {
            let start = Instant::now();
            written = 0;
            for message in &messages {
                let outputs =
                    compiled.apply(&Record::from_value(message.as_bytes()), now, &mut scratch)?;
                written += outputs
                    .records
                    .iter()
                    .filter_map(|output| output.value)
                    .map(<[u8]>::len)
                    .sum::<usize>();
            }
            best = best.min(start.elapsed());
        }
        let rate = bytes as f64 / best.as_secs_f64() / 1e6;
        println!("{name:<28} {rate:>7.0} MB/s  ({written} bytes out of {bytes})");
    }
    Ok(())
}
