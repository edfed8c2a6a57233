//! Words that must not stand in the repository; the list is `xtask/banned-words.txt`.

use super::Problem;
use super::files::TextFile;
use anyhow::{Context, Result};

const LIST: &str = "xtask/banned-words.txt";

/// A banned word; some are allowed in tests.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    in_tests: bool,
}

pub(super) fn check(files: &[TextFile]) -> Result<Vec<Problem>> {
    let list = files
        .iter()
        .find(|file| file.path == LIST)
        .with_context(|| format!("{LIST} is missing"))?;
    let words: Vec<Word<'_>> = parse(&list.text).collect();
    let others =
        files.iter().filter(|file| file.path != LIST && !file.path.ends_with("Cargo.lock"));
    Ok(others.flat_map(|file| search(file, &words)).collect())
}

fn parse(list: &str) -> impl Iterator<Item = Word<'_>> {
    let lines =
        list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| match line.strip_prefix("outside tests: ") {
        Some(text) => Word { text, in_tests: true },
        None => Word { text: line, in_tests: false },
    })
}

fn search(file: &TextFile, words: &[Word<'_>]) -> Vec<Problem> {
    let mut in_tests = ["/tests/", "/testdata/"].iter().any(|part| file.path.contains(part));
    in_tests |= file.path.starts_with("tests/");
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        in_tests |= line.starts_with("#[cfg(test)]");
        for word in words.iter().filter(|word| !(in_tests && word.in_tests)) {
            if line.contains(word.text) {
                problems.push(Problem::new(
                    format!("{}:{number}", file.path),
                    format!("banned: {:?}", word.text),
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{TextFile, parse, search};

    #[test]
    fn finds_words() {
        let words: Vec<_> = parse("# comment\n\n/some/where\noutside tests: LATER\n").collect();
        let check = |path: &str, text: &str, found: usize| {
            let file = TextFile { path: path.into(), text: text.into() };
            assert_eq!(search(&file, &words).len(), found, "{path} {text}");
        };
        check("a.rs", "fine", 0);
        check("a.rs", "x\n// /some/where\n// LATER", 2);
        check("a.rs", "#[cfg(test)]\nmod tests { // LATER /some/where", 1);
        check("tests/src/a.rs", "// LATER", 0);
        check("crates/a/testdata/a.yaml", "LATER", 0);
    }
}
