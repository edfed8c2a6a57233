//! `cargo xtask tidy`: the rules of the house that no compiler checks.

mod adr;
mod arrows;
mod files;
mod fuzz_targets;
mod kips;
mod links;
mod manifests;
mod sizes;
mod words;

use crate::banned;
use crate::output::line;
use crate::run::Tally;
use anyhow::{Result, bail};
use std::fmt;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// File, relative to the repository; with a line number where there is one.
    at: String,
    what: String,
}

impl Problem {
    fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Checks everything; with `fix`, first rewrites what is derived (docs/kips.md, the targets in fuzz/Cargo.toml).
pub(crate) fn run(fix: bool) -> Result<Tally> {
    if fix {
        kips::write(&files::all()?)?;
        fuzz_targets::register()?;
    }
    let files = files::all()?;
    let mut problems = Vec::new();
    problems.extend(arrows::check()?);
    problems.extend(manifests::check(&files));
    problems.extend(sizes::check(&files));
    problems.extend(words::check(&files)?);
    problems.extend(adr::check(&files));
    problems.extend(kips::check(&files));
    problems.extend(links::check(&files));
    problems.extend(fuzz_targets::check()?);
    if let Err(error) = banned::check("x86_64-unknown-linux-gnu") {
        problems.push(Problem::new("Cargo.toml", format!("{error:#}")));
    }
    for problem in &problems {
        line(problem);
    }
    if !problems.is_empty() {
        bail!("tidy: {} problems", problems.len());
    }
    line(format_args!("tidy: {} files are in order", files.len()));
    Ok(Tally::default())
}
