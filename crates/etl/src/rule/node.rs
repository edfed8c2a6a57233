//! The text of a rule as a tree of maps, lists and scalars, with the line of each: YAML and JSON read alike.

mod text;

use bumpalo::Bump;
use granit_parser::{Event, Options, Parser, ScalarStyle};

use crate::{
    context::{Context, Limits},
    error::{ErrorCode, RuleError},
    json,
    record::Record,
    scratch::Memory,
    value::Value,
};

const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 200_000;
const TWICE: &str = "stands twice";

/// A part of a rule's text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// From 1; 0 when not known.
    pub(crate) line: u32,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Text of a scalar; plain ones may stand for numbers, booleans or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { kind: Kind::Scalar { text: text.into(), plain: false }, line: 0 }
    }

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { kind: Kind::Scalar { text: text.into(), plain: true }, line: 0 }
    }

    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self { kind: Kind::List(items.into_iter().collect()), line: 0 }
    }

    pub(crate) fn texts(items: &[String]) -> Self {
        Self::list(items.iter().map(Self::text))
    }

    pub(crate) fn map(members: Vec<(&str, Self)>) -> Self {
        let members = members.into_iter().map(|(key, node)| (key.to_owned(), node)).collect();
        Self { kind: Kind::Map(members), line: 0 }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(members) => {
                members.iter().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// The keys of a map.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let members: &[(String, Self)] = match &self.kind {
            Kind::Map(members) => members,
            _ => &[],
        };
        members.iter().map(|(key, _)| key.as_str())
    }

    /// Name, JSON text and whether that is something else than a string, of each member of a map.
    pub(crate) fn members(&self) -> Option<impl Iterator<Item = (String, String, bool)>> {
        let Kind::Map(members) = &self.kind else { return None };
        Some(members.iter().map(|(name, node)| match &node.kind {
            Kind::Scalar { text, plain } => (name.clone(), text.clone(), *plain),
            _ => (name.clone(), node.to_json(), true),
        }))
    }

    /// Reads YAML, of which JSON is a part.
    pub(crate) fn parse(text: &str, bytes_max: usize) -> Result<Self, RuleError> {
        check_size(text, bytes_max)?;
        let mut options = Options::default();
        options.set_emit_comments(false);
        let parser = Parser::new_from_str_with_options(text, options);
        let read = Builder { parser, nodes: 0 }.document();
        // Escapes in pairs and a few other things are JSON only; a key that stands twice is neither.
        match read {
            Err(error) if text.trim_start().starts_with('{') && !error.cause.contains(TWICE) => {
                Self::parse_json(text, bytes_max).map_err(|_| error)
            }
            read => read,
        }
    }

    /// Reads strict JSON.
    pub(crate) fn parse_json(text: &str, bytes_max: usize) -> Result<Self, RuleError> {
        check_size(text, bytes_max)?;
        let bump = Bump::new();
        let mut memory = Memory::default();
        let record = Record::from_value(&[]);
        let ctx = Context::new(
            &bump,
            record,
            jiff::Timestamp::UNIX_EPOCH,
            Limits::default(),
            &mut memory,
        );
        match json::parse(&ctx, text, json::Wanted::All) {
            Ok(value) => Ok(from_value(value)),
            Err(fault) => {
                let before = text.as_bytes().iter().take(fault.byte_offset.unwrap_or(0));
                let line = 1 + before.filter(|byte| **byte == b'\n').count();
                Err(syntax(fault.cause, line))
            }
        }
    }

    /// Gives each error the line of the place that its path names.
    pub(crate) fn with_lines(&self, mut errors: Vec<RuleError>) -> Vec<RuleError> {
        for error in &mut errors {
            if error.line.is_none() {
                error.line = self.line_of(&error.path);
            }
        }
        errors
    }

    fn line_of(&self, path: &str) -> Option<u32> {
        let mut node = self.get("spec").filter(|spec| spec.step(path).is_some()).unwrap_or(self);
        let mut line = None;
        let mut rest = path;
        while let Some((next, after)) = node.step(rest) {
            line = Some(next.line).filter(|line| *line > 0);
            node = next;
            rest = after;
        }
        line
    }

    /// Follows the first part of a path.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(&'n Self, &'p str)> {
        match &self.kind {
            Kind::Map(members) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let end = path.find(['.', '[']).unwrap_or(path.len());
                let (_, node) = members.iter().find(|(name, _)| *name == path[..end])?;
                Some((node, &path[end..]))
            }
            Kind::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            }
            Kind::Scalar { .. } => None,
        }
    }
}

fn check_size(text: &str, bytes_max: usize) -> Result<(), RuleError> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    let cause = format!("the rule has {} bytes, more than {bytes_max}", text.len());
    Err(RuleError::new("", ErrorCode::TemplateLimit, cause))
}

fn syntax(cause: impl Into<String>, line: usize) -> RuleError {
    let mut error = RuleError::new("", ErrorCode::TemplateSyntax, cause);
    error.line = u32::try_from(line).ok();
    error
}

fn from_value(value: Value<'_>) -> Node {
    match value {
        Value::Null => Node::plain("null"),
        Value::Bool(_) | Value::Number(_) => Node::plain(value.text().unwrap_or_default()),
        Value::String(text) => Node::text(text),
        Value::Array(items) => Node::list(items.iter().map(|item| from_value(*item))),
        Value::Map(map) => {
            let members =
                map.entries.iter().map(|(key, value)| ((*key).to_owned(), from_value(*value)));
            Node { kind: Kind::Map(members.collect()), line: 0 }
        }
    }
}

struct Builder<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, usize), RuleError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(syntax(error.to_string(), error.marker().line())),
            None => Err(syntax("the text ends too early", 0)),
        }
    }

    fn document(mut self) -> Result<Node, RuleError> {
        let node = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, line) => {
                    return Err(syntax("the text is empty", line));
                }
                (event, line) => break self.node(event, line, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(node),
                (_, line) => return Err(syntax("more than one document", line)),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, line: usize, depth: usize) -> Result<Node, RuleError> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            let cause = format!("nested deeper than {DEPTH_MAX}, or more than {NODES_MAX} parts");
            let mut error = RuleError::new("", ErrorCode::TemplateLimit, cause);
            error.line = u32::try_from(line).ok();
            return Err(error);
        }
        let kind = match event {
            Event::Scalar(text, style, ..) => {
                Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.members(depth)?,
            _ => return Err(syntax("anchors and aliases are not read in rules", line)),
        };
        Ok(Node { kind, line: u32::try_from(line).unwrap_or(0) })
    }

    fn list(&mut self, depth: usize) -> Result<Kind, RuleError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Kind, RuleError> {
        let mut members: Vec<(String, Node)> = Vec::new();
        loop {
            let (event, line) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Kind::Map(members)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(syntax("a key that is no text", line)),
            };
            if members.iter().any(|(name, _)| *name == key) {
                return Err(syntax(format!("the key {key:?} {TWICE}"), line));
            }
            let (event, line) = self.next()?;
            let node = self.node(event, line, depth + 1)?;
            members.push((key, node));
        }
    }
}
