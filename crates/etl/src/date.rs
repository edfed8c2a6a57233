//! The op `date`: times read in one form and written in another.

mod auto;
mod pattern;
mod zone;

pub(crate) use pattern::Pattern;
pub(crate) use zone::Zone;

use jiff::Timestamp;

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault, quote},
    value::{Value, number},
};

/// How the input is read.
#[derive(Debug)]
pub(crate) enum Input {
    Auto,
    Unix,
    Patterns(Vec<Pattern>),
}

/// What is written.
#[derive(Debug)]
pub(crate) enum Format {
    Pattern(Pattern),
    /// A number of units since 1970; nanoseconds of one unit.
    Unix(i128),
}

/// A compiled op `date`.
#[derive(Debug)]
pub(crate) struct DateOp {
    pub(crate) input: Input,
    pub(crate) format: Format,
    pub(crate) zone: Zone,
    pub(crate) input_zone: Zone,
}

const NANOS: i128 = 1_000_000_000;

impl Format {
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        Ok(match text {
            "unix" => Self::Unix(NANOS),
            "unix_ms" => Self::Unix(1_000_000),
            "unix_us" => Self::Unix(1_000),
            "unix_ns" => Self::Unix(1),
            pattern => Self::Pattern(Pattern::compile(pattern)?),
        })
    }
}

impl DateOp {
    pub(crate) fn apply<'a>(&self, ctx: &Context<'a>, value: Value<'a>) -> Fallible<Value<'a>> {
        let Some(text) = value.text().filter(|_| !matches!(value, Value::Bool(_))) else {
            return Err(Fault::new(
                ErrorCode::OpType,
                format!("date takes text or a number, found {}", value.kind()),
            ));
        };
        let time = self.read(text.trim())?;
        check_years(time)?;
        match &self.format {
            Format::Unix(unit) => {
                let units = time.as_nanosecond().div_euclid(*unit);
                Ok(Value::Number(ctx.text(&units.to_string())?))
            }
            Format::Pattern(pattern) => {
                let mut out = bumpalo::collections::String::with_capacity_in(40, ctx.bump);
                pattern.format(time, &self.zone, &mut out);
                ctx.charge(out.len())?;
                Ok(Value::String(out.into_bump_str()))
            }
        }
    }

    fn read(&self, text: &str) -> Fallible<Timestamp> {
        let found = match &self.input {
            Input::Auto => match auto::iso(text) {
                // By far the commonest form comes first, before anything is tried.
                Some(parts) => parts.timestamp(&self.input_zone),
                None => auto::read(text, &self.input_zone).or_else(|| unix(text)),
            },
            Input::Unix => unix(text),
            Input::Patterns(patterns) => {
                let parts = patterns.iter().find_map(|pattern| pattern.parse(text));
                parts.and_then(|parts| parts.timestamp(&self.input_zone))
            }
        };
        found.ok_or_else(|| {
            Fault::new(
                ErrorCode::DateParse,
                format!("{} is no date of the given form", quote(text)),
            )
        })
    }
}

fn check_years(time: Timestamp) -> Fallible<()> {
    // The widest zone is less than a day and a half away from UTC.
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    if (FIRST..=LAST).contains(&time.as_second()) {
        return Ok(());
    }
    Err(Fault::new(ErrorCode::DateRange, "the date is outside the years 0001 to 9999"))
}

/// A unix time; how many digits it has tells its unit.
fn unix(text: &str) -> Option<Timestamp> {
    if !number::is_json_number(text) {
        return None;
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i128 = whole.parse().ok()?;
    let unit = match whole.len() {
        0..=11 => NANOS,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    if !fraction.is_empty() && unit != NANOS {
        return None;
    }
    let nanos = number.checked_mul(unit)?.checked_add(auto::nanoseconds(fraction))?;
    Timestamp::from_nanosecond(if negative { -nanos } else { nanos }).ok()
}
