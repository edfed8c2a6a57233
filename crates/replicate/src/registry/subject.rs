//! Under which subjects a schema of the source is registered at the target.

use std::collections::{BTreeMap, BTreeSet};

/// The subjects for a schema that stands under `found` at the source. `topics` are the task's topics with those of the target; `topic` is
/// the one of the record that has the schema.
///
/// Subjects that are named after a topic of the task are named after its target topic: `orders-value` becomes
/// `orders-clean-value`. Without any the first one stays as it is, and a schema without subjects gets that of the record's topic.
pub(super) fn at_target(
    found: &BTreeSet<String>,
    topics: &BTreeMap<String, String>,
    topic: &str,
) -> Vec<String> {
    let renamed: BTreeSet<String> =
        found.iter().filter_map(|subject| renamed(subject, topics)).collect();
    if !renamed.is_empty() {
        return renamed.into_iter().collect();
    }
    match found.first() {
        Some(subject) => vec![subject.clone()],
        None => {
            let target = topics.get(topic).map_or(topic, String::as_str);
            vec![format!("{target}-value")]
        }
    }
}

/// `TOPIC-value`, `TOPIC-key` or `TOPIC-RECORD`: names of records have no hyphen, those of topics may.
fn renamed(subject: &str, topics: &BTreeMap<String, String>) -> Option<String> {
    let (topic, rest) = subject.rsplit_once('-')?;
    topics.get(topic).filter(|_| !rest.is_empty()).map(|target| format!("{target}-{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[&str], expected: &[&str]) {
        let found = found.iter().map(|&subject| subject.to_owned()).collect();
        let topics = [("orders", "clean"), ("orders-eu", "clean-eu")];
        let topics = topics.map(|(source, target)| (source.to_owned(), target.to_owned()));
        assert_eq!(at_target(&found, &BTreeMap::from(topics), "orders"), expected);
    }

    #[test]
    fn subjects_follow_their_topics() {
        check(&["orders-value"], &["clean-value"]);
        check(
            &["orders-eu-value", "orders-value", "other-value"],
            &["clean-eu-value", "clean-value"],
        );
        check(&["orders-com.acme.Order"], &["clean-com.acme.Order"]);
        check(&["com.acme.Order", "x-value"], &["com.acme.Order"]);
        check(&["orders-us-value"], &["orders-us-value"]);
        check(&[], &["clean-value"]);
    }
}
