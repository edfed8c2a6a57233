//! Which source topics travel, and under which names.

use std::collections::{BTreeMap, BTreeSet};

use kafka_client::TopicMetadata;

use crate::spec::TopicSelection;

/// The longest name that a target topic gets, in characters.
pub(super) const NAME_CHARS_MAX: usize = 128;

/// The name on the target: the first 128 characters.
pub(super) fn target_name(source: &str) -> &str {
    source.char_indices().nth(NAME_CHARS_MAX).map_or(source, |(end, _)| &source[..end])
}

/// Whether a topic belongs to the cluster itself or to a tool's inside, and never travels.
pub(super) fn is_internal(topic: &TopicMetadata) -> bool {
    topic.is_internal || topic.name.starts_with("__")
}

/// Source topics with their target names, and those whose name is taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Source name to target name.
    pub(super) chosen: BTreeMap<String, String>,
    /// Source name to the source topic that has its target name.
    pub(super) collided: BTreeMap<String, String>,
}

/// Names for all topics of `found` that are in scope. What was `known` before keeps its name; then whole names come
/// before cut ones, then the alphabet decides: the same answer each time, whatever order topics are found in.
pub(super) fn choose<'a>(
    found: impl IntoIterator<Item = &'a TopicMetadata>,
    selection: &TopicSelection,
    known: &BTreeMap<String, String>,
) -> Names {
    let mut names = Names::default();
    let mut owners: BTreeMap<&str, &str> =
        known.iter().map(|(source, target)| (target.as_str(), source.as_str())).collect();
    let in_scope: BTreeSet<_> = found
        .into_iter()
        .filter(|topic| !is_internal(topic) && selection.matches(&topic.name))
        .map(|topic| (topic.name.chars().count() > NAME_CHARS_MAX, topic.name.as_str()))
        .collect();
    for (_, source) in in_scope {
        let target = known.get(source).map_or_else(|| target_name(source), String::as_str);
        match owners.get(target) {
            Some(owner) if *owner != source => {
                names.collided.insert(source.to_owned(), (*owner).to_owned());
            }
            _ => {
                owners.insert(target, source);
                names.chosen.insert(source.to_owned(), target.to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use kafka_wire::ErrorCode;

    use super::*;

    fn topic(name: &str) -> TopicMetadata {
        TopicMetadata {
            name: name.to_owned(),
            topic_id: None,
            is_internal: name == "internal",
            error: ErrorCode::NONE,
            partitions: Vec::new(),
            authorized_operations: None,
        }
    }

    #[track_caller]
    fn check(
        found: &[&str],
        known: &[(&str, &str)],
        chosen: &[(&str, &str)],
        collided: &[(&str, &str)],
    ) {
        let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let topics: Vec<_> = found.iter().map(|name| topic(name)).collect();
        let names = choose(&topics, &TopicSelection::All, &owned(known));
        assert_eq!(names, Names { chosen: owned(chosen), collided: owned(collided) });
    }

    #[test]
    fn internal_topics_stay() {
        check(
            &["a", "__consumer_offsets", "__x", "_schemas", "internal"],
            &[],
            &[("_schemas", "_schemas"), ("a", "a")],
            &[],
        );
    }

    #[test]
    fn long_names_are_cut() {
        let name = "x".repeat(130);
        check(&[&name], &[], &[(&name, &"x".repeat(128))], &[]);
        assert_eq!(target_name(&"x".repeat(128)), "x".repeat(128));
        assert_eq!(target_name(&"é".repeat(129)), "é".repeat(128));
    }

    #[test]
    fn the_second_on_one_name_is_refused() {
        let (short, a, b) =
            ("x".repeat(128), format!("{}a", "x".repeat(128)), format!("{}b", "x".repeat(128)));
        check(&[&b, &a], &[], &[(&a, &short)], &[(&b, &a)]);
        // A whole name goes first, though it sorts behind nothing here.
        check(&[&a, &short], &[], &[(&short, &short)], &[(&a, &short)]);
        // Who has the name keeps it, also against a whole name.
        check(&[&a, &b, &short], &[(&b, &short)], &[(&b, &short)], &[(&a, &b), (&short, &b)]);
    }

    #[test]
    fn a_pattern_selects() {
        let topics = [topic("orders"), topic("orders-2"), topic("__orders")];
        let selection = TopicSelection::Regex("(__)?orders".parse().unwrap());
        let names = choose(&topics, &selection, &BTreeMap::new());
        assert_eq!(names.chosen.into_keys().collect::<Vec<_>>(), ["orders"]);
    }
}
