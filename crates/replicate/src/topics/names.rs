//! Which source topics travel, and under which names.

use std::collections::{BTreeMap, BTreeSet};

use kafka_client::TopicMetadata;

use crate::spec::{Rename, TopicSelection};

/// The longest name that a target topic gets, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 128;

/// The name on the target: the first 128 characters of what it is renamed to.
pub(crate) fn target_name(source: &str, rename: &Rename) -> String {
    let renamed = rename.apply(source);
    let cut = renamed.char_indices().nth(NAME_CHARS_MAX).map(|(end, _)| &renamed[..end]);
    cut.unwrap_or(&renamed).to_owned()
}

/// Whether a topic belongs to the cluster itself or to a tool's inside, and never travels.
pub(crate) fn is_internal(topic: &TopicMetadata) -> bool {
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
/// before cut ones, then the alphabet decides: the same answer each time, whatever order topics are found in. Within
/// one cluster, copies are not copied again.
pub(super) fn choose<'a>(
    found: impl IntoIterator<Item = &'a TopicMetadata>,
    (selection, rename): (&TopicSelection, &Rename),
    known: &BTreeMap<String, String>,
    is_one_cluster: bool,
) -> Names {
    let mut names = Names::default();
    let mut owners: BTreeMap<String, String> =
        known.iter().map(|(source, target)| (target.clone(), source.clone())).collect();
    let in_scope: BTreeSet<_> = found
        .into_iter()
        .filter(|topic| !is_internal(topic) && selection.matches(&topic.name))
        .map(|topic| topic.name.as_str())
        .filter(|name| !is_one_cluster || !rename.may_have_made(name))
        .map(|name| (rename.apply(name).chars().count() > NAME_CHARS_MAX, name))
        .collect();
    for (_, source) in in_scope {
        let known = known.get(source).cloned();
        let target = known.unwrap_or_else(|| target_name(source, rename));
        match owners.get(&target) {
            Some(owner) if owner != source => {
                names.collided.insert(source.to_owned(), owner.clone());
            }
            _ => {
                owners.insert(target.clone(), source.to_owned());
                names.chosen.insert(source.to_owned(), target);
            }
        }
    }
    if is_one_cluster {
        // A topic that another one is copied to is a copy.
        names.chosen.retain(|source, _| owners.get(source).is_none_or(|owner| owner == source));
        names.collided.retain(|source, _| !owners.contains_key(source));
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
        let names =
            choose(&topics, (&TopicSelection::All, &Rename::default()), &owned(known), false);
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
        let none = Rename::default();
        assert_eq!(target_name(&"x".repeat(128), &none), "x".repeat(128));
        assert_eq!(target_name(&"é".repeat(129), &none), "é".repeat(128));
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
        let names = choose(&topics, (&selection, &Rename::default()), &BTreeMap::new(), false);
        assert_eq!(names.chosen.into_keys().collect::<Vec<_>>(), ["orders"]);
    }

    fn chosen(found: &[&str], rename: &Rename, is_one_cluster: bool) -> Names {
        let topics: Vec<_> = found.iter().map(|name| topic(name)).collect();
        choose(&topics, (&TopicSelection::All, rename), &BTreeMap::new(), is_one_cluster)
    }

    #[test]
    fn names_are_changed_then_cut() {
        let rename = Rename { prefix: "eu.".to_owned(), ..Rename::default() };
        let long = "x".repeat(127);
        let names = chosen(&["a", &long], &rename, false);
        assert_eq!(names.chosen["a"], "eu.a");
        assert_eq!(names.chosen[&long], format!("eu.{}", "x".repeat(125)));
        let replace = Some(("(.).".parse().unwrap(), "$1".to_owned()));
        let names = chosen(&["a1", "a2"], &Rename { replace, ..Rename::default() }, false);
        assert_eq!((names.chosen["a1"].as_str(), names.collided["a2"].as_str()), ("a", "a1"));
    }

    #[test]
    fn copies_within_one_cluster_are_not_copied_again() {
        let names = |rename: &Rename| -> Vec<_> {
            let names = chosen(&["a", "b", "copy.a", "copy.b"], rename, true);
            assert_eq!(names.collided, BTreeMap::new());
            names.chosen.into_iter().collect()
        };
        let expected = |pairs: &[(&str, &str)]| -> Vec<_> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let rename = Rename { prefix: "copy.".to_owned(), ..Rename::default() };
        assert_eq!(names(&rename), expected(&[("a", "copy.a"), ("b", "copy.b")]));
        let replace = Some(("(a)".parse().unwrap(), "copy.$1".to_owned()));
        let rename = Rename { replace, ..Rename::default() };
        // The others keep their names, and cannot travel within one cluster.
        let found = names(&rename);
        assert_eq!(found, expected(&[("a", "copy.a"), ("b", "b"), ("copy.b", "copy.b")]));
    }
}
