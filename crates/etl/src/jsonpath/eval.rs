//! Follows the steps of a path.

use super::{JsonPath, PLACES_MAX, Step, filter, function};
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::DEPTH_MAX,
    value::Value,
};

/// Values that a path leads to.
pub(super) type Nodes<'a> = Vec<Value<'a>>;

/// What `path` leads to, from `base`; `root` is what `$` in filters and arguments means.
pub(super) fn evaluate<'a>(
    ctx: &Context<'a>,
    path: &JsonPath,
    root: Value<'a>,
    base: Value<'a>,
) -> Fallible<Option<Value<'a>>> {
    let found = if path.is_definite() {
        follow(path, base)
    } else {
        let nodes = places(ctx, path, root, base)?;
        Some(Value::Array(ctx.bump.alloc_slice_copy(&nodes)))
    };
    match &path.function {
        None => Ok(found),
        Some(function) => function::apply(ctx, function, found, root),
    }
}

/// The one place of a definite path.
fn follow<'a>(path: &JsonPath, base: Value<'a>) -> Option<Value<'a>> {
    let mut value = base;
    for step in &path.steps {
        value = match (step, value) {
            (Step::Name(name), Value::Map(map)) => map.get(name)?,
            (Step::Index(index), Value::Array(items)) => items[resolve(*index, items.len())?],
            _ => return None,
        };
    }
    Some(value)
}

/// An index that may count from the end.
pub(super) fn resolve(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(index).ok().filter(|_| index < length)
}

/// All places of a path, without its function.
pub(super) fn places<'a>(
    ctx: &Context<'a>,
    path: &JsonPath,
    root: Value<'a>,
    base: Value<'a>,
) -> Fallible<Nodes<'a>> {
    let mut nodes = vec![base];
    for step in &path.steps {
        let mut next = Vec::new();
        for node in nodes {
            select(ctx, step, root, node, &mut next)?;
            check_count(ctx, &next)?;
        }
        nodes = next;
    }
    Ok(nodes)
}

fn check_count(ctx: &Context<'_>, nodes: &[Value<'_>]) -> Fallible<()> {
    ctx.charge(size_of::<Value<'_>>())?;
    if nodes.len() <= PLACES_MAX {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::JsonpathLimit,
        format!("the path leads to more than {PLACES_MAX} places"),
    ))
}

fn select<'a>(
    ctx: &Context<'a>,
    step: &Step,
    root: Value<'a>,
    node: Value<'a>,
    out: &mut Nodes<'a>,
) -> Fallible<()> {
    let before = out.len();
    match (step, node) {
        (Step::Name(name), Value::Map(map)) => out.extend(map.get(name)),
        (Step::Names(names), Value::Map(map)) => {
            out.extend(names.iter().filter_map(|name| map.get(name)))
        }
        (Step::Index(index), Value::Array(items)) => {
            out.extend(resolve(*index, items.len()).map(|at| items[at]))
        }
        (Step::Indices(indices), Value::Array(items)) => {
            out.extend(
                indices.iter().filter_map(|index| resolve(*index, items.len())).map(|at| items[at]),
            );
        }
        (Step::Slice { start, end, step }, Value::Array(items)) => {
            let (start, end) = bounds(*start, *end, items.len());
            let step = usize::try_from(*step).unwrap_or(1).max(1);
            out.extend(items.get(start..end).unwrap_or_default().iter().step_by(step));
        }
        (Step::All, Value::Array(items)) => out.extend_from_slice(items),
        (Step::All, Value::Map(map)) => out.extend(map.entries.iter().map(|(_, value)| *value)),
        (Step::AllNames, Value::Map(map)) => {
            out.extend(map.entries.iter().map(|(key, _)| Value::String(key)))
        }
        (Step::Descend, node) => descend(ctx, node, 0, out)?,
        (Step::Filter(test), Value::Array(items)) => {
            for item in items {
                if filter::holds(ctx, test, root, *item)? {
                    out.push(*item);
                }
            }
        }
        // A map is tested itself; its members are not.
        (Step::Filter(test), Value::Map(_)) if filter::holds(ctx, test, root, node)? => {
            out.push(node);
        }
        _ => {}
    }
    ctx.charge((out.len() - before) * size_of::<Value<'_>>())
}

/// The bounds of a slice, as Python has them.
pub(super) fn bounds(start: Option<i64>, end: Option<i64>, length: usize) -> (usize, usize) {
    let signed = i64::try_from(length).unwrap_or(i64::MAX);
    let clamp = |index: i64| {
        let index = if index < 0 { index.saturating_add(signed) } else { index };
        usize::try_from(index.clamp(0, signed)).unwrap_or(0)
    };
    let start = start.map_or(0, clamp);
    (start, end.map_or(length, clamp).max(start))
}

/// The value and all values below it, parents first.
fn descend<'a>(
    ctx: &Context<'a>,
    node: Value<'a>,
    depth: usize,
    out: &mut Nodes<'a>,
) -> Fallible<()> {
    out.push(node);
    check_count(ctx, out)?;
    if depth > DEPTH_MAX * 2 {
        return Ok(());
    }
    match node {
        Value::Array(items) => {
            items.iter().try_for_each(|item| descend(ctx, *item, depth + 1, out))
        }
        Value::Map(map) => {
            map.entries.iter().try_for_each(|(_, value)| descend(ctx, *value, depth + 1, out))
        }
        _ => Ok(()),
    }
}
