//! TLS on both sides, beside what decrypting and encrypting costs a relay.

use crate::bench::Bench;
use crate::bench::kferry::{Route, sync_once};
use crate::bench::real::{Dataset, RELEASE, RealClusters};
use crate::bench::report::{Column, Row, Suite, Table};
use crate::bench::samples::{RATIO, Sample, Series, columns};
use crate::bench::stats::Spread;
use crate::bench::{relay, tls_relay};
use crate::run::check;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::kafka::{KafkaCluster, Options};
use xtask::workspace::{cargo, target_directory};

const TOPIC: &str = "tls";
const NAMES: [&str; 4] = ["raw relay", "TLS relay", "kferry, plain", "kferry, TLS"];

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let program = optimised()?;
    let clusters = RealClusters::start(&Options::new(1, "tls".parse()?))?;
    let certificates = clusters.source.certificates().context("a TLS cluster has certificates")?;
    let data = Dataset {
        partitions: 4,
        batch_bytes: 256 << 10,
        record_bytes: 1000,
        codec: "none",
        bytes: bench.bytes,
    };
    let stored = clusters.fill(TOPIC, data)?;
    let files = TempDir::new()?;
    let source = connection(files.path(), "source", &clusters.source, &certificates.ca())?;
    let target = connection(files.path(), "target", &clusters.target, &certificates.ca())?;
    let (plain_source, plain_target) =
        (clusters.source.internal_bootstrap(), clusters.target.internal_bootstrap());
    let mut all = NAMES.map(|_| Series::default());
    for round in 0..bench.rounds {
        let copy = |source: &str, target: &str| -> Result<Sample> {
            let copied = sync_once(&bench.binary, Route { source, target, topics: TOPIC })?;
            clusters.forget(TOPIC, data.partitions)?;
            Ok(Sample { cost: copied.cost, bytes: copied.bytes })
        };
        let samples = [
            Sample { cost: relay::run(stored)?, bytes: stored },
            Sample { cost: tls_relay::run(&program, certificates, stored)?, bytes: stored },
            copy(&plain_source, &plain_target)?,
            copy(&source, &target)?,
        ];
        for ((name, sample), series) in NAMES.iter().zip(samples).zip(&mut all) {
            bench.progress(round, "256 KiB, none", name, sample.cpu());
            series.0.push(sample);
        }
    }
    Ok(report(&all))
}

fn report(all: &[Series; NAMES.len()]) -> Suite {
    let mut suite = Suite::new(
        "tls",
        format!(
            "Kafka {RELEASE}, one broker on each side, 4 partitions of 256 KiB batches without a codec, TLS 1.3 on both sides. The TLS relay \
             decrypts and encrypts with the same libraries and does nothing else; it may use other buffers."
        ),
    );
    let [relay, tls_relay, plain, tls] = all;
    let rows = NAMES.iter().zip(all).map(|(name, series)| series.row((*name).to_owned(), relay));
    let rows = rows.collect();
    let title = "copy".to_owned();
    suite.tables.push(Table { title, columns: columns(), rows, plot: Some(RATIO) });
    let row = |name: &str, value: Spread| Row { name: name.to_owned(), values: vec![value] };
    let added = |above: &Series, below: &Series| -> Vec<f64> {
        above.0.iter().zip(&below.0).map(|(above, below)| above.cpu() - below.cpu()).collect()
    };
    suite.tables.push(Table {
        title: "ratios".to_owned(),
        columns: vec![Column { name: "x", digits: 2 }],
        rows: vec![
            row("kferry with TLS against the TLS relay", tls.cpu_over(tls_relay)),
            row(
                "what TLS adds to kferry against what it adds to the relay",
                Spread::ratio(&added(tls, plain), &added(tls_relay, relay)),
            ),
        ],
        plot: None,
    });
    suite
}

/// This program with optimisation: a slow yardstick would flatter us.
fn optimised() -> Result<PathBuf> {
    check(cargo().args(["build", "--quiet", "--locked", "--release", "--package", "xtask"]))?;
    Ok(target_directory().join("release").join("xtask"))
}

fn connection(directory: &Path, name: &str, cluster: &KafkaCluster, ca: &Path) -> Result<String> {
    let path = directory.join(format!("{name}.yaml"));
    let (bootstrap, ca) = (cluster.bootstrap(), ca.display());
    let text = format!(
        "name: {name}\nkind: direct\nbootstrap: [\"{bootstrap}\"]\ntls: {{ca: \"{ca}\"}}\n"
    );
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}
