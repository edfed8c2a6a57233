//! Who may depend on whom: the table of ARCHITECTURE.md. A new arrow comes with an ADR and a line here.

use super::Problem;
use crate::run::read;
use anyhow::{Context, Result};
use serde_json::Value;
use xtask::workspace::cargo;

/// Crate, and those of ours it may name.
const ARROWS: [(&str, &[&str]); 11] = [
    ("kafka-wire", &[]),
    ("forward", &["kafka-wire"]),
    ("etl", &["kafka-wire"]),
    ("kafka-client", &["kafka-wire"]),
    ("kafka-sim", &["kafka-wire", "kafka-client"]),
    ("replicate", &["kafka-wire", "kafka-client", "forward", "etl"]),
    ("gateway", &["kafka-wire", "kafka-client"]),
    ("control", &["kafka-wire", "kafka-client", "replicate", "gateway"]),
    (
        "kferry",
        &[
            "kafka-wire",
            "kafka-client",
            "kafka-sim",
            "forward",
            "etl",
            "replicate",
            "gateway",
            "control",
        ],
    ),
    ("xtask", &[]),
    (
        "tests",
        &[
            "kafka-wire",
            "kafka-client",
            "kafka-sim",
            "forward",
            "replicate",
            "gateway",
            "control",
            "kferry",
            "xtask",
        ],
    ),
];

/// Crates without I/O, and what would bring it in.
const WITHOUT_IO: [&str; 3] = ["kafka-wire", "forward", "etl"];
const IO: [&str; 9] = [
    "tokio",
    "tokio-util",
    "mio",
    "socket2",
    "rustls",
    "tokio-rustls",
    "rustix",
    "hickory-resolver",
    "fastrand",
];

pub(super) fn check() -> Result<Vec<Problem>> {
    let metadata =
        read(cargo().args(["metadata", "--no-deps", "--locked", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let empty = Vec::new();
        let dependencies = package["dependencies"].as_array().unwrap_or(&empty);
        let edges = dependencies.iter().filter_map(|dependency| {
            let ours = dependency["path"].is_string();
            Some((dependency["name"].as_str()?, ours, dependency["kind"].as_str() == Some("dev")))
        });
        problems.extend(judge(name, edges));
    }
    Ok(problems)
}

fn judge<'a>(name: &str, edges: impl Iterator<Item = (&'a str, bool, bool)>) -> Vec<Problem> {
    let at = format!("{name}/Cargo.toml");
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        return vec![Problem::new(
            at,
            "a crate that the table of arrows does not know; it needs an ADR",
        )];
    };
    let mut problems = Vec::new();
    for (dependency, ours, is_dev) in edges {
        if ours && !allowed.contains(&dependency) && !(is_dev && dependency == "kafka-sim") {
            problems.push(Problem::new(&at, format!("{name} may not depend on {dependency}")));
        }
        if !ours && !is_dev && WITHOUT_IO.contains(&name) && IO.contains(&dependency) {
            problems.push(Problem::new(
                &at,
                format!("{name} does no I/O and may not depend on {dependency}"),
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::judge;

    fn check(name: &str, edge: (&str, bool, bool), allowed: bool) {
        assert_eq!(judge(name, std::iter::once(edge)).is_empty(), allowed, "{name} on {edge:?}");
    }

    #[test]
    fn arrows_point_one_way() {
        check("forward", ("kafka-wire", true, false), true);
        check("kafka-wire", ("forward", true, false), false);
        check("replicate", ("kafka-sim", true, false), false);
        check("replicate", ("kafka-sim", true, true), true);
        check("forward", ("tokio", false, false), false);
        check("forward", ("proptest", false, true), true);
        check("kafka-client", ("tokio", false, false), true);
        check("newcomer", ("kafka-wire", true, false), false);
    }
}
