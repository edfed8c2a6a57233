//! Reads the members of a map and keeps all errors, each with its path.

use super::node::{Kind, Node};
use crate::error::{ErrorCode, RuleError};

/// The members of one map, and which of them were asked for.
pub(crate) struct Fields<'n, 'e> {
    members: &'n [(String, Node)],
    used: Vec<bool>,
    pub(crate) path: String,
    pub(crate) errors: &'e mut Vec<RuleError>,
}

/// `path.name`, or `name` where the path is empty.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl<'n, 'e> Fields<'n, 'e> {
    /// Opens `node`; something that is no map is an error and reads as an empty one.
    pub(crate) fn open(
        node: &'n Node,
        path: impl Into<String>,
        errors: &'e mut Vec<RuleError>,
    ) -> Self {
        let path = path.into();
        let members: &[(String, Node)] = match &node.kind {
            Kind::Map(members) => members,
            _ if node.is_null() => &[],
            _ => {
                errors.push(RuleError::new(
                    path.clone(),
                    ErrorCode::TemplateType,
                    "expected a map",
                ));
                &[]
            }
        };
        Self { members, used: vec![false; members.len()], path, errors }
    }

    pub(crate) fn error(&mut self, name: &str, code: ErrorCode, cause: impl Into<String>) {
        let path = if name.is_empty() { self.path.clone() } else { join(&self.path, name) };
        self.errors.push(RuleError::new(path, code, cause));
    }

    /// The member `name`, unless it is null or missing.
    pub(crate) fn node(&mut self, name: &str) -> Option<&'n Node> {
        let at = self.members.iter().position(|(found, _)| found == name)?;
        self.used[at] = true;
        Some(&self.members[at].1).filter(|node| !node.is_null())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(found, _)| found == name)
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match &self.node(name)?.kind {
            Kind::Scalar { text, .. } => Some(text.clone()),
            _ => {
                self.error(name, ErrorCode::TemplateType, "expected text");
                None
            }
        }
    }

    /// Text that may also be the plain word `null`.
    pub(crate) fn word(&mut self, name: &str) -> Option<String> {
        let at = self.members.iter().position(|(found, _)| found == name)?;
        if self.members[at].1.is_null() {
            self.used[at] = true;
            return Some("null".to_owned());
        }
        self.text(name)
    }

    pub(crate) fn text_or(&mut self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// Text that must be there.
    pub(crate) fn needed(&mut self, name: &str) -> String {
        if !self.has(name) {
            self.error(name, ErrorCode::TemplateMissingField, format!("`{name}` is missing"));
            return String::new();
        }
        self.text_or(name, "")
    }

    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.text(name).as_deref() {
            None => default,
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            Some(other) => {
                self.error(
                    name,
                    ErrorCode::TemplateType,
                    format!("expected true or false, found {other:?}"),
                );
                default
            }
        }
    }

    pub(crate) fn integer(&mut self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.error(
                name,
                ErrorCode::TemplateType,
                format!("expected an integer, found {text:?}"),
            );
        }
        parsed
    }

    pub(crate) fn count(&mut self, name: &str, default: u64) -> u64 {
        let Some(number) = self.integer(name) else { return default };
        u64::try_from(number).unwrap_or_else(|_| {
            self.error(name, ErrorCode::OpParameter, "expected a number that is not negative");
            default
        })
    }

    pub(crate) fn character(&mut self, name: &str) -> Option<char> {
        let text = self.text(name)?;
        let mut characters = text.chars();
        if let (Some(character), None) = (characters.next(), characters.next()) {
            return Some(character);
        }
        self.error(name, ErrorCode::OpParameter, format!("expected one character, found {text:?}"));
        None
    }

    /// One of the words of `choices`.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.word(name)?;
        self.choose(name, &text, choices)
    }

    pub(crate) fn choose<T: Copy>(
        &mut self,
        name: &str,
        text: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let found = choices
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text))
            .map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let cause = format!("{text:?} is none of {}", known.join(", "));
            self.error(name, ErrorCode::TemplateValue, cause);
        }
        found
    }

    pub(crate) fn list(&mut self, name: &str) -> &'n [Node] {
        match self.node(name).map(|node| &node.kind) {
            None => &[],
            Some(Kind::List(items)) => items,
            Some(_) => {
                self.error(name, ErrorCode::TemplateType, "expected a list");
                &[]
            }
        }
    }

    /// A list of texts; a single text counts as one.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        match self.node(name).map(|node| &node.kind) {
            None => Vec::new(),
            Some(Kind::Scalar { text, .. }) => vec![text.clone()],
            Some(Kind::List(items)) => {
                let texts: Option<Vec<String>> = items
                    .iter()
                    .map(|item| match &item.kind {
                        Kind::Scalar { text, .. } => Some(text.clone()),
                        _ => None,
                    })
                    .collect();
                if texts.is_none() {
                    self.error(name, ErrorCode::TemplateType, "expected a list of texts");
                }
                texts.unwrap_or_default()
            }
            Some(Kind::Map(_)) => {
                self.error(name, ErrorCode::TemplateType, "expected a list of texts");
                Vec::new()
            }
        }
    }

    /// The members of the map `name`.
    pub(crate) fn inner(&mut self, name: &str) -> Fields<'n, '_> {
        static EMPTY: Node = Node { kind: Kind::Map(Vec::new()), line: 0 };
        let node = self.node(name).unwrap_or(&EMPTY);
        Fields::open(node, join(&self.path, name), self.errors)
    }

    /// Members of a map as name and text.
    pub(crate) fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        match self.node(name).map(|node| &node.kind) {
            Some(Kind::Map(members)) => members
                .iter()
                .filter_map(|(key, node)| match &node.kind {
                    Kind::Scalar { text, .. } => Some((key.clone(), text.clone())),
                    _ => None,
                })
                .collect(),
            None => Vec::new(),
            Some(_) => self.texts(name).into_iter().map(|text| (text.clone(), text)).collect(),
        }
    }

    /// Reports what nobody asked for.
    pub(crate) fn finish(&mut self) {
        self.finish_as(None);
    }

    /// As `finish`, with another path for what is not known.
    pub(crate) fn finish_as(&mut self, path: Option<&str>) {
        let path = path.unwrap_or(&self.path).to_owned();
        let unknown = self.members.iter().zip(&self.used).filter(|(_, used)| !**used);
        for ((name, _), _) in unknown {
            let cause = format!("there is no field `{name}` here");
            self.errors.push(RuleError::new(
                join(&path, name),
                ErrorCode::TemplateUnknownField,
                cause,
            ));
        }
    }
}
