//! Every file in `fuzz/fuzz_targets` is a registered target, and the reverse.

use super::Problem;
use crate::fuzz::registered;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use xtask::workspace::root;

const MANIFEST: &str = "fuzz/Cargo.toml";

pub(super) fn check() -> Result<Vec<Problem>> {
    let files = files()?;
    let names: BTreeSet<String> = registered()?.into_iter().collect();
    let missing = files
        .difference(&names)
        .map(|name| format!("{name} is not registered; run `cargo xtask tidy --fix`"));
    let stale =
        names.difference(&files).map(|name| format!("{name} has no file in fuzz/fuzz_targets"));
    Ok(missing.chain(stale).map(|what| Problem::new(MANIFEST, what)).collect())
}

/// Adds what is missing to the manifest.
pub(super) fn register() -> Result<()> {
    let path = root().join(MANIFEST);
    let mut text = fs::read_to_string(&path).with_context(|| format!("reading {MANIFEST}"))?;
    let known: BTreeSet<String> = registered()?.into_iter().collect();
    for name in files()?.difference(&known) {
        write!(
            text,
            "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
        )?;
    }
    fs::write(path, text)?;
    Ok(())
}

fn files() -> Result<BTreeSet<String>> {
    let directory = root().join("fuzz").join("fuzz_targets");
    let entries =
        fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".rs") {
            names.insert(stem.to_owned());
        }
    }
    Ok(names)
}
