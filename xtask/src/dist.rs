//! `cargo xtask dist`: the one static binary, and the proof that it is one.

use crate::banned;
use crate::output::line;
use crate::run::{Tally, check, read};
use anyhow::{Result, bail, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::workspace::{cargo, target_directory};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Of Cargo.toml.
const PROFILE: &str = "dist";
const BYTES_MAX: u64 = 32 << 20;

pub(crate) fn run() -> Result<Tally> {
    banned::check(TARGET)?;
    let binary = binary()?;
    verify(&binary)?;
    no_planted_bugs(&binary)?;
    let sum = read(Command::new("sha256sum").arg(&binary))?;
    let bytes = fs::metadata(&binary)?.len();
    line(format_args!("{}", binary.display()));
    line(format_args!(
        "static, {:.1} MiB, no C compiled, no planted bugs, sha256 {}",
        mib(bytes),
        sum.split(' ').next().unwrap_or("")
    ));
    Ok(Tally::default())
}

/// The binary to test or to measure: the one `KFERRY_BIN` names, else the static one, built first.
pub(crate) fn binary_under_test() -> Result<PathBuf> {
    match env::var_os("KFERRY_BIN") {
        Some(path) => Ok(fs::canonicalize(path)?),
        None => binary(),
    }
}

/// Builds the static binary and returns its path.
fn binary() -> Result<PathBuf> {
    build(&["--package", "kferry"]).map(|directory| directory.join("kferry"))
}

/// Builds an example in the same way: what is compared is compiled alike.
pub(crate) fn example(package: &str, name: &str) -> Result<PathBuf> {
    build(&["--package", package, "--example", name])
        .map(|directory| directory.join("examples").join(name))
}

/// Builds, and returns the directory of programs.
fn build(what: &[&str]) -> Result<PathBuf> {
    let mut build = cargo();
    build
        .args(["build", "--quiet", "--locked", "--profile", PROFILE, "--target", TARGET])
        .args(what);
    // The explicit target keeps build scripts and procedural macros dynamic. A build script that calls a C compiler fails;
    // the linker is still found, since rustc calls it by its name.
    build
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CC", "/bin/false")
        .env("CXX", "/bin/false");
    check(&mut build)?;
    Ok(target_directory().join(TARGET).join(PROFILE))
}

/// The switches of `forward::planted` are not in what is shipped: no crate of it has the feature, and the binary does not know
/// the name of any bug.
fn no_planted_bugs(binary: &Path) -> Result<()> {
    let features = read(
        cargo().args(["tree", "--locked", "-e", "features", "-p", "kferry", "--target", TARGET]),
    )?;
    ensure!(!features.contains("planted"), "the feature `planted` is on in kferry's tree");
    let bytes = fs::read(binary)?;
    let name = b"SecondBeforeProven";
    ensure!(
        !bytes.windows(name.len()).any(|window| window == name),
        "{} knows planted bugs",
        binary.display()
    );
    Ok(())
}

fn verify(binary: &Path) -> Result<()> {
    // ldd fails on a static program and says why; both forms of the words are in use.
    let ldd = Command::new("ldd").arg(binary).output()?;
    let text = [ldd.stdout, ldd.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    ensure!(
        text.contains("statically linked") || text.contains("not a dynamic executable"),
        "{} is not static; ldd says: {text}",
        binary.display()
    );
    let dynamic = read(Command::new("readelf").args(["-d", "-l", "-W"]).arg(binary))?;
    for unwanted in ["(NEEDED)", "INTERP"] {
        if dynamic.contains(unwanted) {
            bail!("{} has {unwanted} entries", binary.display());
        }
    }
    let bytes = fs::metadata(binary)?.len();
    ensure!(
        bytes <= BYTES_MAX,
        "{} has {:.1} MiB, more than {:.0}",
        binary.display(),
        mib(bytes),
        mib(BYTES_MAX)
    );
    read(Command::new(binary).arg("--version"))?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
