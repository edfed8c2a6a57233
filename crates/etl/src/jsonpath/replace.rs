//! Sets every place that a path leads to.

use std::cell::Cell;

use super::{JsonPath, Step, eval, filter};
use crate::{
    context::Context,
    error::Fallible,
    value::{Map, Value},
};

/// `root` with `new` at every place of `path`; `None` when there is no such place.
pub(crate) fn replace<'a>(
    ctx: &Context<'a>,
    path: &JsonPath,
    root: Value<'a>,
    new: Value<'a>,
) -> Fallible<Option<Value<'a>>> {
    let count = Cell::new(0_usize);
    let replaced = walk(ctx, &path.steps, root, root, (new, &count))?;
    Ok((count.get() > 0).then_some(replaced))
}

fn walk<'a>(
    ctx: &Context<'a>,
    steps: &[Step],
    root: Value<'a>,
    node: Value<'a>,
    new: (Value<'a>, &Cell<usize>),
) -> Fallible<Value<'a>> {
    let Some((step, rest)) = steps.split_first() else {
        new.1.set(new.1.get() + 1);
        return Ok(new.0);
    };
    if *step == Step::Descend {
        // Children first, so that a value that was set is not looked into.
        let below = children(ctx, node, |ctx, _, child| walk(ctx, steps, root, child, new))?;
        return walk(ctx, rest, root, below, new);
    }
    if let Step::Filter(test) = step
        && let Value::Map(_) = node
    {
        return if filter::holds(ctx, test, root, node)? {
            walk(ctx, rest, root, node, new)
        } else {
            Ok(node)
        };
    }
    let count = match node {
        Value::Array(items) => items.len(),
        Value::Map(map) => map.entries.len(),
        _ => return Ok(node),
    };
    children(ctx, node, |ctx, place, child| {
        if selects(ctx, step, root, place, count, child)? {
            walk(ctx, rest, root, child, new)
        } else {
            Ok(child)
        }
    })
}

/// A member's key or an element's index.
#[derive(Clone, Copy)]
enum Place<'p> {
    Key(&'p str),
    Index(usize),
}

fn selects<'a>(
    ctx: &Context<'a>,
    step: &Step,
    root: Value<'a>,
    place: Place<'_>,
    count: usize,
    child: Value<'a>,
) -> Fallible<bool> {
    let selected = match (step, place) {
        (Step::Name(name), Place::Key(key)) => name == key,
        (Step::Names(names), Place::Key(key)) => names.iter().any(|name| name == key),
        (Step::Index(index), Place::Index(at)) => eval::resolve(*index, count) == Some(at),
        (Step::Indices(indices), Place::Index(at)) => {
            indices.iter().any(|index| eval::resolve(*index, count) == Some(at))
        }
        (Step::Slice { start, end, step }, Place::Index(at)) => {
            let (start, end) = eval::bounds(*start, *end, count);
            (start..end).contains(&at)
                && (at - start).is_multiple_of(usize::try_from(*step).unwrap_or(1).max(1))
        }
        (Step::All, _) => true,
        (Step::Filter(test), Place::Index(_)) => return filter::holds(ctx, test, root, child),
        _ => false,
    };
    Ok(selected)
}

/// The same container with each child replaced by what `change` makes of it.
fn children<'a>(
    ctx: &Context<'a>,
    node: Value<'a>,
    mut change: impl FnMut(&Context<'a>, Place<'_>, Value<'a>) -> Fallible<Value<'a>>,
) -> Fallible<Value<'a>> {
    match node {
        Value::Array(items) => {
            ctx.charge(size_of_val(items))?;
            let mut changed = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                changed.push(change(ctx, Place::Index(at), *item)?);
            }
            Ok(Value::Array(ctx.bump.alloc_slice_copy(&changed)))
        }
        Value::Map(map) => {
            ctx.charge(size_of_val(map.entries))?;
            let mut changed = Vec::with_capacity(map.entries.len());
            for (key, value) in map.entries {
                changed.push((*key, change(ctx, Place::Key(key), *value)?));
            }
            Ok(Value::Map(Map { entries: ctx.bump.alloc_slice_copy(&changed) }))
        }
        other => Ok(other),
    }
}
