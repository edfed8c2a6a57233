//! `cargo xtask lint`: form, clippy, documentation, licences; every warning is an error.

use crate::output::line;
use crate::run::{Tally, check, read};
use anyhow::Result;
use xtask::workspace::cargo;

pub(crate) fn run() -> Result<Tally> {
    check(cargo().args(["fmt", "--all", "--check"]))?;
    let clippy =
        ["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--all-features"];
    check(cargo().args(clippy).args(["--", "-D", "warnings"]))?;
    let doc = ["doc", "--quiet", "--locked", "--workspace", "--no-deps", "--all-features"];
    check(cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    if read(cargo().args(["deny", "--version"])).is_ok() {
        check(cargo().args(["deny", "--locked", "check", "bans", "licenses", "sources"]))?;
    } else {
        line(
            "lint: cargo-deny is not installed, deny.toml is not checked; tidy looks for banned crates without it",
        );
    }
    Ok(Tally::default())
}
