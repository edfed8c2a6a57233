//! Parsing: a text becomes keys and values.

mod delimiter;
mod expression;
mod secondary;

pub(crate) use delimiter::Delimiter;
pub(crate) use expression::Expression;
pub(crate) use secondary::Secondary;

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::{self, Wanted},
    value::{Map, Value},
};

/// A compiled parsing mode that reads text.
#[derive(Debug)]
pub(crate) enum TextMode {
    /// Members of the root that some row uses; empty: all.
    Json {
        wanted: Option<Vec<Box<str>>>,
    },
    Delimiter(Delimiter),
    Regex(Expression),
}

impl TextMode {
    pub(crate) fn parse<'a>(&self, ctx: &Context<'a>, text: &'a str) -> Fallible<Map<'a>> {
        match self {
            // Who watches wants to see all of them.
            Self::Json { wanted } => {
                json_object(ctx, text, wanted.as_deref().filter(|_| ctx.steps.is_none()))
            }
            Self::Delimiter(mode) => mode.parse(ctx, text),
            Self::Regex(mode) => mode.parse(ctx, text),
        }
    }
}

fn json_object<'a>(
    ctx: &Context<'a>,
    text: &'a str,
    wanted: Option<&[Box<str>]>,
) -> Fallible<Map<'a>> {
    let wanted = wanted.map_or(Wanted::All, Wanted::These);
    match json::parse(ctx, text, wanted)? {
        Value::Map(map) => Ok(map),
        other => Err(Fault::new(
            ErrorCode::JsonRootNotObject,
            format!("the message is {}, not an object", other.kind()),
        )),
    }
}
