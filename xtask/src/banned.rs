//! The proof that no C is compiled: crates that would do so, looked for in what cargo really builds.
//!
//! `Cargo.lock` also lists what is never activated, so it is no evidence.

use crate::run::read;
use anyhow::{Result, bail};
use xtask::workspace::cargo;

/// Crates that compile C, bind to C libraries, or exist to do so.
pub(crate) const CRATES: [&str; 14] = [
    "aws-lc-rs",
    "aws-lc-sys",
    "bindgen",
    "cc",
    "cmake",
    "libz-sys",
    "lz4-sys",
    "native-tls",
    "openssl-sys",
    "pkg-config",
    "rdkafka-sys",
    "ring",
    "vcpkg",
    "zstd-sys",
];

/// Fails when a banned crate is among the normal or build dependencies of any crate of ours, all features on.
pub(crate) fn check(target: &str) -> Result<()> {
    let arguments = [
        "tree",
        "--locked",
        "--workspace",
        "--all-features",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ];
    let tree = read(cargo().args(arguments).args(["--format", "{p}", "--target", target]))?;
    let mut found: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    found.sort_unstable();
    found.dedup();
    if found.len() < 10 {
        bail!("cargo tree listed only {} crates; the check is broken", found.len());
    }
    found.retain(|name| CRATES.contains(name));
    if !found.is_empty() {
        bail!(
            "banned crates in the build: {}; see `cargo tree -e normal,build -i {}`",
            found.join(", "),
            found[0]
        );
    }
    Ok(())
}
