//! `docs/kips.md`: which Kafka improvement proposals the code cites, and where.

use super::Problem;
use super::files::TextFile;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use xtask::workspace::root;

const PATH: &str = "docs/kips.md";
const HEAD: &str = "\
# Kafka improvement proposals in the code

Collected from the `KIP-nnn` tags of the sources by `cargo xtask tidy --fix`; do not edit by hand.

| proposal | where |
| --- | --- |
";

pub(super) fn check(files: &[TextFile]) -> Option<Problem> {
    let found = files.iter().find(|file| file.path == PATH).map(|file| file.text.as_str());
    (found != Some(&render(files)))
        .then(|| Problem::new(PATH, "out of date; run `cargo xtask tidy --fix`"))
}

pub(super) fn write(files: &[TextFile]) -> Result<()> {
    fs::write(root().join(PATH), render(files))?;
    Ok(())
}

fn render(files: &[TextFile]) -> String {
    let mut places: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    let sources =
        files.iter().filter(|file| file.path.starts_with("crates/") && file.has_extension("rs"));
    for file in sources {
        for number in tags(&file.text) {
            places.entry(number).or_default().insert(&file.path);
        }
    }
    let mut text = HEAD.to_owned();
    for (number, paths) in places {
        let links: Vec<String> = paths.iter().map(|path| format!("[{path}](../{path})")).collect();
        let _ = writeln!(text, "| KIP-{number} | {} |", links.join(", "));
    }
    text
}

fn tags(text: &str) -> impl Iterator<Item = u32> {
    text.split("KIP-").skip(1).filter_map(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::tags;

    #[test]
    fn finds_tags() {
        let check = |text: &str, expected: &[u32]| {
            assert_eq!(tags(text).collect::<Vec<_>>(), expected, "{text}")
        };
        check("", &[]);
        check("KIP-98, KIP-227. KIP-nnn KIP-", &[98, 227]);
    }
}
