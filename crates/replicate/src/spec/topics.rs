//! Which topics a task is about, and what they are called on the target.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use regex::Regex;
use serde::{Serialize, Serializer};

use super::SpecError;

/// A regular expression that must match a whole topic name.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    text: String,
    regex: Regex,
}

impl TopicPattern {
    /// The expression as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the expression matches the whole of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl FromStr for TopicPattern {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let error = |cause: regex::Error| {
            let (position, message) = explain(&cause);
            SpecError::Pattern { pattern: text.to_owned(), position, message }
        };
        // Alone first: positions are then those of the given text, and `a)|(b` is no way around the anchors.
        Regex::new(text).map_err(error)?;
        // In (?x) mode a comment at the end would swallow the closing bracket; a line break ends it there.
        let regex = Regex::new(&format!("^(?:{text})$"))
            .or_else(|_| Regex::new(&format!("^(?:{text}\n)$")))
            .map_err(error)?;
        Ok(Self { text: text.to_owned(), regex })
    }
}

impl Serialize for TopicPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Position (from 1) and message of a syntax error. `regex` tells the position only in its drawing: the expression
/// on one line, indented by four, and carets below.
fn explain(cause: &regex::Error) -> (Option<usize>, String) {
    let text = cause.to_string();
    let position = text
        .lines()
        .find(|line| line.contains('^') && line.chars().all(|c| c == ' ' || c == '^'))
        .and_then(|line| line.find('^'))
        .and_then(|column| (column + 1).checked_sub(4));
    let message = text.lines().last().unwrap_or_default();
    (position, message.strip_prefix("error: ").unwrap_or(message).to_owned())
}

/// Topics by expressions that must match the whole name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TopicLists {
    /// One of these matches; all topics when there is none.
    pub include: Vec<TopicPattern>,
    /// None of these does.
    pub exclude: Vec<TopicPattern>,
}

/// Which topics travel. Internal ones (`__…`) never do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicSelection {
    /// All that are not internal.
    #[default]
    All,
    /// Those whose whole name matches.
    Regex(TopicPattern),
    /// Those that lists name.
    Lists(TopicLists),
}

impl TopicSelection {
    /// The simplest selection that says this.
    #[must_use]
    pub fn of(mut include: Vec<TopicPattern>, exclude: Vec<TopicPattern>) -> Self {
        match (include.len(), exclude.is_empty()) {
            (0, true) => Self::All,
            (1, true) => Self::Regex(include.remove(0)),
            _ => Self::Lists(TopicLists { include, exclude }),
        }
    }

    /// Whether the topic `name` is selected, internal or not.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Regex(pattern) => pattern.matches(name),
            Self::Lists(TopicLists { include, exclude }) => {
                let is_in = |list: &[TopicPattern]| list.iter().any(|one| one.matches(name));
                (include.is_empty() || is_in(include)) && !is_in(exclude)
            }
        }
    }
}

/// What topics are called on the target: the source's name, replaced where an expression matches all of it, between a prefix and
/// a suffix.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rename {
    /// Goes before the name.
    pub prefix: String,
    /// Goes behind the name.
    pub suffix: String,
    /// A name that this matches becomes the text, in which `$1` and `${name}` stand for groups of the expression.
    pub replace: Option<(TopicPattern, String)>,
    /// Names of single topics, which nothing else changes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
}

impl Rename {
    /// Whether every topic keeps its name.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The name on the target, however long.
    #[must_use]
    pub fn apply<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if let Some(name) = self.names.get(name) {
            return Cow::Owned(name.clone());
        }
        let replaced = match &self.replace {
            Some((pattern, text)) => pattern.regex.replace(name, text.as_str()),
            None => Cow::Borrowed(name),
        };
        if self.prefix.is_empty() && self.suffix.is_empty() {
            return replaced;
        }
        Cow::Owned(format!("{}{replaced}{}", self.prefix, self.suffix))
    }

    /// Whether a topic of this name may have been made by this renaming.
    pub(crate) fn may_have_made(&self, name: &str) -> bool {
        (!self.prefix.is_empty() || !self.suffix.is_empty())
            && name.starts_with(&self.prefix)
            && name.ends_with(&self.suffix)
    }

    /// Whether names come out of it that topics can have, as far as that can be seen before.
    ///
    /// # Errors
    /// [`SpecError`] names what does not fit.
    pub fn validate(&self) -> Result<(), SpecError> {
        let text = self.replace.as_ref().map(|(pattern, text)| without_groups(pattern, text));
        let replacement = text.transpose()?.unwrap_or_default();
        let names = self.names.values();
        for text in names.chain([&self.prefix, &self.suffix, &replacement]) {
            let is_allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if let Some(found) = text.chars().find(|c| !is_allowed(c)) {
                return Err(SpecError::RenameCharacter { text: text.clone(), found });
            }
        }
        Ok(())
    }
}

/// The text without its groups, each of which the expression must have: a group that it has not would silently be nothing.
fn without_groups(pattern: &TopicPattern, text: &str) -> Result<String, SpecError> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (group, behind) = match after.strip_prefix('{').and_then(|it| it.split_once('}')) {
            Some(found) => found,
            None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
        };
        let is_known = match group.parse::<usize>() {
            Ok(number) => number < pattern.regex.captures_len(),
            Err(_) => pattern.regex.capture_names().flatten().any(|name| name == group),
        };
        if !is_known {
            return Err(SpecError::RenameGroup { text: text.to_owned(), group: group.to_owned() });
        }
        rest = behind;
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_pattern(pattern: &str, name: &str, expected: bool) {
        assert_eq!(
            pattern.parse::<TopicPattern>().unwrap().matches(name),
            expected,
            "{pattern} on {name}"
        );
    }

    #[test]
    fn patterns_match_whole_names() {
        check_pattern("orders", "orders", true);
        check_pattern("orders", "my-orders", false);
        check_pattern("orders", "orders-2", false);
        check_pattern("a|ab", "ab", true);
        check_pattern("a|b", "bb", false);
        check_pattern("orders.*", "orders-2", true);
        check_pattern("^orders$", "orders", true);
        check_pattern("(?i)ORDERS", "orders", true);
        check_pattern("(?x) orders # the main ones", "orders", true);
        check_pattern("(?x) orders # the main ones", "orders2", false);
        check_pattern("", "", true);
    }

    #[test]
    fn broken_patterns_name_the_position() {
        for (pattern, expected) in
            [("ab(c", Some(3)), ("[z-a]", Some(2)), ("a)|(b", Some(2)), ("*a", Some(1))]
        {
            let error = pattern.parse::<TopicPattern>().unwrap_err();
            let SpecError::Pattern { position, ref message, .. } = error else { panic!("{error}") };
            assert_eq!(position, expected, "{error}");
            assert!(!message.is_empty());
        }
    }

    #[test]
    fn lists_include_and_exclude() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let check = |include: &[&str], exclude: &[&str], name: &str, expected: bool| {
            let selection = TopicSelection::of(patterns(include), patterns(exclude));
            assert_eq!(selection.matches(name), expected, "{include:?} {exclude:?} {name}");
        };
        check(&[], &[], "a", true);
        check(&["a"], &[], "a", true);
        check(&["a"], &[], "ab", false);
        check(&["a", "b.*"], &[], "bc", true);
        check(&["a", "b.*"], &[], "c", false);
        check(&[], &["a"], "a", false);
        check(&[], &["a"], "ab", true);
        check(&["b.*"], &["bad"], "bad", false);
        check(&["b.*"], &["bad"], "bat", true);
        assert_eq!(TopicSelection::of(Vec::new(), Vec::new()), TopicSelection::All);
        assert!(matches!(
            TopicSelection::of(patterns(&["a"]), Vec::new()),
            TopicSelection::Regex(_)
        ));
    }

    fn rename(prefix: &str, suffix: &str, replace: Option<(&str, &str)>) -> Rename {
        Rename {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            replace: replace.map(|(pattern, text)| (pattern.parse().unwrap(), text.to_owned())),
            names: BTreeMap::new(),
        }
    }

    #[test]
    fn names_are_changed() {
        let check = |rename: Rename, name: &str, expected: &str| {
            assert_eq!(rename.validate(), Ok(()), "{rename:?}");
            assert_eq!(rename.apply(name), expected, "{rename:?} {name}");
        };
        check(rename("", "", None), "a", "a");
        check(rename("eu.", "", None), "a", "eu.a");
        check(rename("eu.", "-copy", None), "a", "eu.a-copy");
        check(rename("", "", Some((r"prod\.(.*)", "dr.$1"))), "prod.orders", "dr.orders");
        check(rename("", "", Some((r"prod\.(.*)", "dr.$1"))), "orders", "orders");
        check(rename("", "", Some(("(?<a>.)-(?<b>.)", "${b}_${a}"))), "x-y", "y_x");
        check(rename("x.", "", Some(("a", "b"))), "a", "x.b");
        // The whole name, or nothing.
        check(rename("", "", Some(("a", "b"))), "aa", "aa");
    }

    #[test]
    fn single_topics_have_names_of_their_own() {
        let names = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let rename = Rename { names, ..rename("x.", "", None) };
        assert_eq!(rename.apply("a"), "b");
        assert_eq!(rename.apply("c"), "x.c");
        assert!(!rename.is_none());
    }

    #[test]
    fn names_that_topics_cannot_have_are_refused() {
        let check = |rename: Rename, expected: &str| {
            let error = rename.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(rename("a/", "", None), "has '/'");
        check(rename("", " ", None), "has ' '");
        check(rename("", "", Some(("a", "b:c"))), "has ':'");
        check(rename("", "", Some(("(a)", "$2"))), "names the group \"2\"");
        // What the regex crate reads as a group called 1a.
        check(rename("", "", Some(("(a)", "$1a"))), "names the group \"1a\"");
        check(rename("", "", Some(("(a)", "${x}"))), "names the group \"x\"");
        check(rename("", "", Some(("(a)", "b$"))), "names the group \"\"");
    }
}
