//! Key-value pairs inside the values of a parse result.

use regex::Regex;

use crate::{
    context::Context,
    error::Fallible,
    value::{Entry, MapBuilder, Value},
};

/// What stands between key and value.
#[derive(Debug)]
pub(crate) enum Separator {
    Literal(String),
    Regex(Regex),
}

/// The compiled secondary parsing.
#[derive(Debug)]
pub(crate) struct Secondary {
    pub(crate) separator: Separator,
    pub(crate) keep_original: bool,
}

impl Secondary {
    pub(crate) fn literal(delimiter: &str, keep_original: bool) -> Self {
        Self { separator: Separator::Literal(delimiter.to_owned()), keep_original }
    }

    pub(crate) fn regex(regex: Regex, keep_original: bool) -> Self {
        Self { separator: Separator::Regex(regex), keep_original }
    }

    fn split<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        match &self.separator {
            Separator::Literal(delimiter) => text.split_once(delimiter.as_str()),
            Separator::Regex(regex) => {
                let found = regex.find(text)?;
                Some((&text[..found.start()], &text[found.end()..]))
            }
        }
    }

    /// Splits the values of `parsed` and puts what results into `document`, which holds `parsed` already.
    pub(crate) fn apply<'a>(
        &self,
        ctx: &Context<'a>,
        parsed: &[Entry<'a>],
        document: &mut MapBuilder<'a>,
    ) -> Fallible<()> {
        let mut pairs: Vec<(&'a str, &'a str, &'a str)> = Vec::new();
        for (key, value) in parsed {
            let Value::String(text) = value else { continue };
            if let Some((name, inner)) = self.split(text).filter(|(name, _)| !name.is_empty()) {
                ctx.charge(MapBuilder::ENTRY_BYTES)?;
                pairs.push((key, name, inner));
            }
        }
        if self.keep_original {
            for (key, name, inner) in pairs {
                document.insert(ctx.join(key, ".", name)?, Value::String(inner));
            }
            return Ok(());
        }
        document.remove_all(pairs.iter().map(|(key, ..)| *key));
        for (_, name, inner) in pairs {
            document.insert(name, Value::String(inner));
        }
        Ok(())
    }
}
