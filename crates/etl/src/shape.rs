//! Documents flattened, unflattened, and cut down by patterns of keys.

use std::collections::HashMap;

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::DEPTH_MAX,
    value::{Map, MapBuilder, Value},
};

/// Nested maps become keys joined by `separator`, `levels` deep. Arrays, and maps without members, stay as they are.
pub(crate) fn flatten<'a>(
    ctx: &Context<'a>,
    document: Map<'a>,
    separator: &str,
    levels: usize,
) -> Fallible<Map<'a>> {
    let mut builder = MapBuilder::default();
    for (key, value) in document.entries {
        flatten_into(ctx, key, *value, separator, levels, &mut builder)?;
    }
    Ok(builder.finish(ctx.bump))
}

fn flatten_into<'a>(
    ctx: &Context<'a>,
    key: &'a str,
    value: Value<'a>,
    separator: &str,
    levels: usize,
    builder: &mut MapBuilder<'a>,
) -> Fallible<()> {
    ctx.charge(MapBuilder::ENTRY_BYTES)?;
    match value {
        Value::Map(map) if levels > 0 && !map.entries.is_empty() => {
            for (name, value) in map.entries {
                let key = ctx.join(key, separator, name)?;
                flatten_into(ctx, key, *value, separator, levels - 1, builder)?;
            }
        }
        value => builder.insert(key, value),
    }
    Ok(())
}

/// A document that is being nested.
#[derive(Default)]
struct Branch<'a> {
    names: MapBuilder<'a>,
    /// Branches below; their order is that of their names.
    below: HashMap<&'a str, Self>,
}

/// Keys with `separator` become nested maps. Where a key is both a value and the beginning of others, the later one wins.
pub(crate) fn unflatten<'a>(
    ctx: &Context<'a>,
    document: Map<'a>,
    separator: &str,
) -> Fallible<Map<'a>> {
    let mut root = Branch::default();
    for (key, value) in document.entries {
        if key.matches(separator).count() >= DEPTH_MAX - 1 {
            let cause = format!("a key has more than {DEPTH_MAX} parts");
            return Err(Fault::new(ErrorCode::JsonDepth, cause));
        }
        let mut branch = &mut root;
        let mut rest = *key;
        while let Some((name, after)) = rest.split_once(separator) {
            ctx.charge(size_of::<Branch<'_>>() + MapBuilder::ENTRY_BYTES)?;
            branch = branch.enter(name);
            rest = after;
        }
        branch.below.remove(rest);
        branch.names.insert(rest, *value);
    }
    let nested = root.finish(ctx);
    crate::op::check_depth(ctx, Value::Map(nested), 0)?;
    Ok(nested)
}

impl<'a> Branch<'a> {
    fn enter(&mut self, name: &'a str) -> &mut Self {
        self.below.entry(name).or_insert_with(|| {
            // Holds the place in the order of names.
            self.names.insert(name, Value::Null);
            Self::default()
        })
    }

    fn finish(mut self, ctx: &Context<'a>) -> Map<'a> {
        for (name, branch) in self.below {
            let map = branch.finish(ctx);
            self.names.insert(name, Value::Map(map));
        }
        self.names.finish(ctx.bump)
    }
}

/// A pattern of keys: `*` any text, `?` one character.
#[derive(Debug)]
pub(crate) struct Glob(Vec<char>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        if !self.0.iter().any(|character| matches!(character, '*' | '?')) {
            return self.0.iter().copied().eq(text.chars());
        }
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut place) = (0, 0);
        // Where to go on when the last star takes one character more.
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(place) {
                Some('*') => {
                    retry = Some((place, at));
                    place += 1;
                }
                Some(wanted) if *wanted == '?' || *wanted == text[at] => {
                    at += 1;
                    place += 1;
                }
                _ => match retry {
                    Some((star, taken)) => {
                        retry = Some((star, taken + 1));
                        place = star + 1;
                        at = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        self.0[place..].iter().all(|character| *character == '*')
    }
}

/// Members whose key fits (or does not fit) one of the patterns.
pub(crate) fn select<'a>(
    ctx: &Context<'a>,
    document: Map<'a>,
    patterns: &[Glob],
    keep: bool,
) -> Fallible<Map<'a>> {
    ctx.charge(size_of_val(document.entries))?;
    let fits = |key: &str| patterns.iter().any(|pattern| pattern.fits(key));
    let entries: Vec<_> =
        document.entries.iter().filter(|(key, _)| fits(key) == keep).copied().collect();
    Ok(Map { entries: ctx.bump.alloc_slice_copy(&entries) })
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn patterns() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(Glob::new(pattern).fits(text), expected, "{pattern} {text}");
        };
        check("tmp_*", "tmp_a", true);
        check("tmp_*", "xtmp_a", false);
        check("*", "", true);
        check("a?c", "aäc", true);
        check("*a*b", "xaayb", true);
        check("*a*b", "xaay", false);
        check("abc", "abc", true);
    }
}
