//! Every relative link in the documentation leads somewhere.

use super::Problem;
use super::files::TextFile;
use std::path::Path;
use xtask::workspace::root;

pub(super) fn check(files: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let directory = Path::new(&file.path).parent().unwrap_or_else(|| Path::new(""));
        for (number, target) in links(&file.text) {
            if !root().join(directory).join(target).exists() {
                problems.push(Problem::new(
                    format!("{}:{number}", file.path),
                    format!("no such file: {target}"),
                ));
            }
        }
    }
    problems
}

/// Targets of `[text](target)` with their line numbers, without anchors, other sites, and code blocks.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', '#', ' ']).next().unwrap_or("");
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number, target));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn finds_relative_links() {
        let check =
            |text: &str, expected: &[(usize, &str)]| assert_eq!(links(text), expected, "{text}");
        check("plain", &[]);
        check(
            "[a](b.md) [c](d/e.md#f)\n[g](#h) [i](https://j.example/k)",
            &[(1, "b.md"), (1, "d/e.md")],
        );
        check("```\n[a](b)\n```\n[c](d)", &[(4, "d")]);
    }
}
