//! Chain items that leave records out: `sample`, `dedupe`, `throttle`.

use std::collections::{HashMap, VecDeque};

use twox_hash::XxHash3_64;

use crate::{
    context::Context,
    convert,
    error::Fallible,
    value::{Map, Value, lookup},
};

/// A compiled `sample`: of 2^64 hashes those below the threshold stay.
#[derive(Debug)]
pub(crate) struct Sample {
    threshold: u128,
    by_key: bool,
}

impl Sample {
    /// `percent` is a decimal number from 0 to 100.
    pub(crate) fn compile(percent: &str, by_key: bool) -> Option<Self> {
        let percent: f64 = percent.trim().parse().ok()?;
        if !(0.0..=100.0).contains(&percent) {
            return None;
        }
        // Ten-thousandths of a percent: exact for what people write.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 1_000_000"
        )]
        let share = (percent * 10_000.0).round() as u128;
        Some(Self { threshold: (1_u128 << 64) * share / 1_000_000, by_key })
    }

    /// The same record always gets the same answer.
    pub(crate) fn keeps(&self, ctx: &Context<'_>) -> bool {
        let record = &ctx.record;
        let hash = match record.key.filter(|_| self.by_key) {
            Some(key) => XxHash3_64::oneshot(key),
            None => {
                let mut place = record.topic.as_bytes().to_vec();
                place.extend(record.partition.to_be_bytes());
                place.extend(record.offset.to_be_bytes());
                XxHash3_64::oneshot(&place)
            }
        };
        u128::from(hash) < self.threshold
    }
}

/// Offset of a record and index of an element of its array.
type Place = (i64, usize);

/// What one `dedupe` or `throttle` remembers.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Where a key was seen first, and when.
    keys: HashMap<u128, (Place, i64)>,
    order: VecDeque<(u128, i64)>,
    /// Records let through in the second of `second`.
    second: i64,
    count: u64,
    /// Highest offset that was counted, so that a record that is tried again is not counted twice.
    counted_to: Option<i64>,
}

/// A compiled `dedupe`.
#[derive(Debug)]
pub(crate) struct Dedupe {
    pub(crate) index: usize,
    pub(crate) fields: Vec<String>,
    pub(crate) window_ms: i64,
    pub(crate) keys_max: usize,
}

impl Dedupe {
    /// Whether the record's key was seen within the window; a record that is tried again is not its own duplicate.
    pub(crate) fn is_duplicate<'a>(&self, ctx: &Context<'a>, document: Map<'a>) -> Fallible<bool> {
        let Some(key) = self.key(ctx, document)? else { return Ok(false) };
        let now = ctx.now.as_millisecond();
        let mut memory = ctx.memory.borrow_mut();
        let seen = memory.at(self.index);
        while let Some((old, at)) = seen.order.front().copied() {
            let is_current = seen.keys.get(&old).is_some_and(|(_, time)| *time == at);
            let is_over =
                now.saturating_sub(at) >= self.window_ms || seen.keys.len() > self.keys_max;
            if is_current && !is_over {
                break;
            }
            seen.order.pop_front();
            if is_current {
                seen.keys.remove(&old);
            }
        }
        let place = (ctx.record.offset, ctx.element.get());
        match seen.keys.get(&key) {
            Some((first, _)) => Ok(*first != place),
            None => {
                seen.keys.insert(key, (place, now));
                seen.order.push_back((key, now));
                Ok(false)
            }
        }
    }

    /// Records without a key, or without one of the fields, are never duplicates.
    fn key<'a>(&self, ctx: &Context<'a>, document: Map<'a>) -> Fallible<Option<u128>> {
        let mut bytes = Vec::new();
        if self.fields.is_empty() {
            let Some(key) = ctx.record.key else { return Ok(None) };
            bytes.extend_from_slice(key);
        }
        for field in &self.fields {
            match lookup(document, field) {
                None | Some(Value::Null) => return Ok(None),
                Some(value) => {
                    let text = convert::text_of(ctx, value)?;
                    bytes.extend((text.len() as u64).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        let low = XxHash3_64::oneshot(&bytes);
        let high = XxHash3_64::oneshot_with_seed(0x6b66_6572_7279, &bytes);
        Ok(Some(u128::from(high) << 64 | u128::from(low)))
    }
}

/// A compiled `throttle`.
#[derive(Debug)]
pub(crate) struct Throttle {
    pub(crate) index: usize,
    pub(crate) records_per_second: u64,
}

impl Throttle {
    pub(crate) fn keeps(&self, ctx: &Context<'_>) -> bool {
        let second = ctx.now.as_second();
        let mut memory = ctx.memory.borrow_mut();
        let seen = memory.at(self.index);
        if seen.counted_to == Some(ctx.record.offset) {
            return true;
        }
        if seen.second != second {
            seen.second = second;
            seen.count = 0;
        }
        if seen.count >= self.records_per_second {
            return false;
        }
        seen.count += 1;
        seen.counted_to = Some(ctx.record.offset);
        true
    }
}
