//! The form of the decision records and of the changelog.

use super::Problem;
use super::files::TextFile;

const HEADINGS: [&str; 4] = ["## Context", "## Decision", "## Price", "## Alternatives"];
const KINDS: [&str; 6] =
    ["### Breaking", "### Added", "### Changed", "### Fixed", "### Removed", "### Security"];

pub(super) fn check(files: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let records = files.iter().filter(|file| file.path.starts_with("docs/adr/"));
    for (number, file) in (1..).zip(records) {
        if let Some(what) = record(number, &file.path, &file.text) {
            problems.push(Problem::new(&file.path, what));
        }
    }
    match files.iter().find(|file| file.path == "CHANGELOG.md") {
        Some(file) => {
            problems.extend(changelog(&file.text).map(|what| Problem::new(&file.path, what)))
        }
        None => problems.push(Problem::new("CHANGELOG.md", "missing")),
    }
    problems
}

/// `docs/adr/0007-title-of-it.md`, `# 0007: Title of it`, the four headings in order. git lists files in order.
fn record(number: u32, path: &str, text: &str) -> Option<String> {
    let name = path.strip_prefix("docs/adr/").and_then(|name| name.strip_suffix(".md"));
    let Some(title) = name.and_then(|name| name.strip_prefix(&format!("{number:04}-"))) else {
        return Some(format!(
            "want docs/adr/{number:04}-title.md: the records are numbered without gaps"
        ));
    };
    if !title.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Some("the title is lower-case words with dashes".to_owned());
    }
    if !text.starts_with(&format!("# {number:04}: ")) {
        return Some(format!("the first line is `# {number:04}: Title`"));
    }
    let found: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
    (found != HEADINGS).then(|| format!("the headings are {}", HEADINGS.join(", ")))
}

/// `# Changelog`, then `## Unreleased` or `## 1.2.3 - 2025-01-31`, in each the known kinds, breaking first.
fn changelog(text: &str) -> Option<String> {
    if !text.starts_with("# Changelog\n") {
        return Some("the first line is `# Changelog`".to_owned());
    }
    let mut kinds_seen = 0;
    for line in text.lines() {
        if let Some(version) = line.strip_prefix("## ") {
            kinds_seen = 0;
            let numbered = version.split_once(" - ").is_some_and(|(version, date)| {
                version.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3
                    && date.len() == 10
            });
            if version != "Unreleased" && !numbered {
                return Some(format!("`{line}`: want `## Unreleased` or `## 1.2.3 - 2025-01-31`"));
            }
        } else if line.starts_with("### ") {
            let Some(at) = KINDS.iter().position(|kind| *kind == line) else {
                return Some(format!("`{line}` is none of {}", KINDS.join(", ")));
            };
            if at == 0 && kinds_seen > 0 {
                return Some("breaking changes come first".to_owned());
            }
            kinds_seen += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{changelog, record};

    #[test]
    fn records_have_one_form() {
        let good =
            "# 0002: A title\n\n## Context\na\n## Decision\nb\n## Price\nc\n## Alternatives\nd\n";
        let check = |path: &str, text: &str, fine: bool| {
            assert_eq!(record(2, path, text).is_none(), fine, "{path}\n{text}")
        };
        check("docs/adr/0002-a-title.md", good, true);
        check("docs/adr/0003-a-title.md", good, false);
        check("docs/adr/0002-A-Title.md", good, false);
        check("docs/adr/0002-a-title.md", &good.replace("# 0002", "# 0001"), false);
        check("docs/adr/0002-a-title.md", &good.replace("## Price\n", ""), false);
    }

    #[test]
    fn changelog_has_one_form() {
        let check = |text: &str, fine: bool| assert_eq!(changelog(text).is_none(), fine, "{text}");
        check(
            "# Changelog\n\n## Unreleased\n### Breaking\n### Added\n- x\n## 1.0.0 - 2025-01-31\n### Fixed\n",
            true,
        );
        check("## Unreleased\n", false);
        check("# Changelog\n## Soon\n", false);
        check("# Changelog\n## Unreleased\n### Added\n### Breaking\n", false);
        check("# Changelog\n## Unreleased\n### Thoughts\n", false);
    }
}
