//! What somebody may have meant.

/// The known word that is nearest to `found`, if one is near enough to be a slip of the hand.
pub(crate) fn word<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase().replace('-', "_");
    let distance = |known: &str| strsim::osa_distance(&found, &known.to_lowercase());
    known
        .into_iter()
        .map(|known| (distance(known), known))
        .filter(|(distance, known)| *distance <= known.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Where every field is explained.
const PAGE: &str = "docs/task.md lists every field, and `kferry schema task` is for editors";

/// A message of the parser without the words that would have been right, and the cure.
pub(super) fn cure(message: &str) -> (String, String) {
    let is_unknown = ["unknown field", "unknown variant"].iter().any(|what| message.contains(what));
    if let Some((what, known)) = message.split_once(", expected ").filter(|_| is_unknown) {
        let mut known: Vec<_> = known
            .trim_start_matches("one of ")
            .split([',', ' '])
            .map(|word| word.trim_matches('`'))
            .filter(|word| !word.is_empty() && *word != "or")
            .collect();
        // The other form of a task file.
        if known.contains(&"on_unknown_target") {
            known.push("tasks");
        }
        let found = what.split('`').nth(1).unwrap_or_default();
        return (what.to_owned(), among(found, &known));
    }
    let (message, cure) = if let Some((what, _)) = message.split_once(", set DuplicateKeyPolicy") {
        (what, "write each field once")
    } else if message.contains("password") {
        (message, "write password: {env: VARIABLE} or password: {file: PATH}")
    } else {
        (message, PAGE)
    };
    (message.to_owned(), cure.to_owned())
}

/// "did you mean", or all there are.
pub(crate) fn among(found: &str, known: &[&str]) -> String {
    match word(found, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["topics", "target", "start", "max_bytes_per_second"];
        let check = |found: &str, expected: Option<&str>| {
            assert_eq!(word(found, known), expected, "{found}")
        };
        check("topcis", Some("topics"));
        check("Topics", Some("topics"));
        check("max-bytes-per-second", Some("max_bytes_per_second"));
        check("max_byte_per_secnd", Some("max_bytes_per_second"));
        check("colour", None);
        check("", None);
    }

    #[test]
    fn cures_of_the_parser() {
        let check = |message: &str, expected: &str, expected_cure: &str| {
            let (message, cure) = cure(message);
            assert_eq!((message.as_str(), cure.as_str()), (expected, expected_cure));
        };
        let unknown = "unknown field `topcis`, expected one of topics, target";
        check(unknown, "unknown field `topcis`", "did you mean topics?");
        let unknown = "unknown field `colour`, expected `topics` or `target`";
        check(unknown, "unknown field `colour`", "known here: topics, target");
        let wrong = "invalid type: map, expected a string";
        check(wrong, wrong, PAGE);
    }
}
