//! Text matched by an expression: named groups of the first match, or all matches.

use regex::Regex;

use super::delimiter::index_key;
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault, quote},
    value::{Map, MapBuilder, Value},
};

/// The compiled mode `regex`.
#[derive(Debug)]
pub(crate) struct Expression {
    regex: Regex,
    /// Named groups in order; empty: all matches are wanted.
    names: Vec<(usize, Box<str>)>,
    no_match_empty: bool,
}

impl Expression {
    pub(crate) fn new(regex: Regex, no_match_empty: bool) -> Self {
        let names = regex.capture_names().enumerate();
        let names = names.filter_map(|(index, name)| Some((index, name?.into()))).collect();
        Self { regex, names, no_match_empty }
    }

    pub(super) fn parse<'a>(&self, ctx: &Context<'a>, text: &'a str) -> Fallible<Map<'a>> {
        let mut builder = MapBuilder::default();
        if self.names.is_empty() {
            let matches = self.regex.find_iter(text).filter(|found| !found.is_empty());
            for (index, found) in matches.enumerate() {
                ctx.charge(MapBuilder::ENTRY_BYTES)?;
                builder.insert(index_key(ctx, index)?, Value::String(found.as_str()));
            }
        } else if let Some(captures) = self.regex.captures(text) {
            for (index, name) in &self.names {
                let value =
                    captures.get(*index).map_or(Value::Null, |found| Value::String(found.as_str()));
                builder.insert(ctx.text(name)?, value);
            }
        }
        if builder.len() == 0 && !self.no_match_empty {
            let cause = format!("the expression does not match {}", quote(text));
            return Err(Fault::new(ErrorCode::RegexNoMatch, cause));
        }
        Ok(builder.finish(ctx.bump))
    }
}
