//! Java's date patterns: `y M d H h m s S a E Z X x` and quoted text.

use std::fmt::Write as _;

use bumpalo::collections::String as BumpString;
use jiff::{Timestamp, civil::DateTime, tz::Offset};

use super::{auto, zone, zone::Zone};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    /// Letter and how often it stands.
    Field(u8, usize),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
}

/// What was read: missing parts have their first value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(super) year: i16,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
    pub(super) second: i8,
    pub(super) nanos: i32,
    pub(super) afternoon: Option<bool>,
    pub(super) offset: Option<Offset>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            year: 1970,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            afternoon: None,
            offset: None,
        }
    }
}

impl Parts {
    /// The time; `zone` is that of inputs without an offset.
    pub(super) fn timestamp(mut self, zone: &Zone) -> Option<Timestamp> {
        if let Some(afternoon) = self.afternoon {
            if !(1..=12).contains(&self.hour) {
                return None;
            }
            self.hour = self.hour % 12 + if afternoon { 12 } else { 0 };
        }
        // A leap second is told as the second before, as Java does.
        let second = if self.second == 60 { 59 } else { self.second };
        let civil = DateTime::new(
            self.year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            second,
            self.nanos,
        )
        .ok()?;
        if self.year < 1 {
            return None;
        }
        match self.offset {
            Some(offset) => offset.to_timestamp(civil).ok(),
            None => zone.timestamp(civil),
        }
    }
}

impl Pattern {
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\'' => {
                    let literal = quoted(&mut rest)?;
                    push_text(&mut parts, &literal);
                }
                'y' | 'u' | 'M' | 'L' | 'd' | 'H' | 'h' | 'm' | 's' | 'S' | 'a' | 'E' | 'Z'
                | 'X' | 'x' => {
                    let mut count = 1;
                    while rest.next_if_eq(&character).is_some() {
                        count += 1;
                    }
                    let letter = match character {
                        'u' => b'y',
                        'L' => b'M',
                        other => other as u8,
                    };
                    check_count(letter, count)?;
                    parts.push(Part::Field(letter, count));
                }
                other if other.is_ascii_alphabetic() => {
                    return Err(format!(
                        "the letter {other:?} is not known; literal letters stand in quotes"
                    ));
                }
                other => push_text(&mut parts, other.encode_utf8(&mut [0; 4])),
            }
        }
        if parts.is_empty() {
            return Err("the pattern is empty".to_owned());
        }
        Ok(Self { parts })
    }

    /// Appends `time` as it is in `zone`.
    pub(crate) fn format(&self, time: Timestamp, zone: &Zone, out: &mut BumpString<'_>) {
        let (civil, offset) = zone.civil(time);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(letter, count) => write_field(*letter, *count, civil, offset, out),
            }
        }
    }

    /// Reads all of `text`.
    pub(super) fn parse(&self, text: &str) -> Option<Parts> {
        let mut parts = Parts::default();
        let mut rest = text;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Part::Field(letter, count) => {
                    // A field directly before another number ends at its own width.
                    let adjacent = matches!(self.parts.get(index + 1), Some(Part::Field(next, width)) if is_number(*next, *width));
                    rest = read_field(*letter, *count, adjacent, rest, &mut parts)?;
                }
            }
        }
        rest.is_empty().then_some(parts)
    }
}

fn is_number(letter: u8, count: usize) -> bool {
    !(matches!(letter, b'a' | b'E' | b'Z' | b'X' | b'x') || (letter == b'M' && count > 2))
}

fn check_count(letter: u8, count: usize) -> Result<(), String> {
    let max = match letter {
        b'y' | b'M' | b'E' => 4,
        b'S' => 9,
        b'a' => 1,
        b'Z' | b'X' | b'x' => 3,
        _ => 2,
    };
    if count <= max {
        Ok(())
    } else {
        Err(format!("{count} times {:?}, at most {max}", char::from(letter)))
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if let Some(Part::Text(last)) = parts.last_mut() {
        last.push_str(text);
    } else if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

/// Text up to the closing quote; `''` is a quote.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    if rest.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('\'') if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => return Ok(text),
            Some(character) => text.push(character),
            None => return Err("a quote is not closed".to_owned()),
        }
    }
}

fn write_field(
    letter: u8,
    count: usize,
    civil: DateTime,
    offset: Offset,
    out: &mut BumpString<'_>,
) {
    let number = |value: i64, out: &mut BumpString<'_>| digits(value, count, out);
    match letter {
        b'y' if count == 2 => digits(i64::from(civil.year()).rem_euclid(100), 2, out),
        b'y' => number(i64::from(civil.year()), out),
        b'M' if count >= 3 => {
            let name = MONTHS[usize::from(civil.month().unsigned_abs()) - 1];
            out.push_str(if count == 3 { &name[..3] } else { name });
        }
        b'M' => number(i64::from(civil.month()), out),
        b'd' => number(i64::from(civil.day()), out),
        b'H' => number(i64::from(civil.hour()), out),
        b'h' => number(i64::from((civil.hour() + 11) % 12 + 1), out),
        b'm' => number(i64::from(civil.minute()), out),
        b's' => number(i64::from(civil.second()), out),
        b'S' => {
            let nanos = i64::from(civil.subsec_nanosecond());
            let shift = u32::try_from(9 - count.min(9)).unwrap_or(0);
            number(nanos / 10_i64.pow(shift), out);
        }
        b'a' => out.push_str(if civil.hour() < 12 { "AM" } else { "PM" }),
        b'E' => {
            let day = usize::from(civil.weekday().to_monday_zero_offset().unsigned_abs());
            out.push_str(if count == 4 { DAYS[day] } else { &DAYS[day][..3] });
        }
        _ => write_offset(letter, count, offset, out),
    }
}

/// `value` with zeros before it, `width` digits or more.
fn digits(value: i64, width: usize, out: &mut BumpString<'_>) {
    if width == 2 && (0..100).contains(&value) {
        out.push(char::from(b'0' + u8::try_from(value / 10).unwrap_or(0)));
        out.push(char::from(b'0' + u8::try_from(value % 10).unwrap_or(0)));
        return;
    }
    let _ = write!(out, "{value:0width$}");
}

fn write_offset(letter: u8, count: usize, offset: Offset, out: &mut BumpString<'_>) {
    let seconds = offset.seconds();
    if letter == b'X' && seconds == 0 {
        out.push('Z');
        return;
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let _ = match (letter, count) {
        (b'Z', _) | (_, 2) => write!(out, "{sign}{hours:02}{minutes:02}"),
        (_, 1) if minutes == 0 => write!(out, "{sign}{hours:02}"),
        (_, 1) => write!(out, "{sign}{hours:02}{minutes:02}"),
        _ => write!(out, "{sign}{hours:02}:{minutes:02}"),
    };
}

fn read_field<'t>(
    letter: u8,
    count: usize,
    adjacent: bool,
    text: &'t str,
    parts: &mut Parts,
) -> Option<&'t str> {
    match letter {
        b'a' => {
            let (word, rest) = text.split_at_checked(2)?;
            parts.afternoon = Some(match () {
                () if word.eq_ignore_ascii_case("AM") => false,
                () if word.eq_ignore_ascii_case("PM") => true,
                () => return None,
            });
            return Some(rest);
        }
        b'E' => return name(text, &DAYS, count).map(|(_, rest)| rest),
        b'M' if count >= 3 => {
            let (index, rest) = name(text, &MONTHS, count)?;
            parts.month = index + 1;
            return Some(rest);
        }
        b'Z' | b'X' | b'x' => {
            let (offset, rest) = auto::offset_at(text)?;
            parts.offset = Some(offset);
            return Some(rest);
        }
        b'S' => {
            let width = text
                .bytes()
                .take_while(u8::is_ascii_digit)
                .take(if adjacent { count } else { 9 })
                .count();
            if width == 0 {
                return None;
            }
            parts.nanos = i32::try_from(auto::nanoseconds(&text[..width])).ok()?;
            return Some(&text[width..]);
        }
        _ => {}
    }
    let width_max = match (letter, adjacent) {
        (b'y', false) => count.max(4),
        (_, true) => count,
        (_, false) => count.max(2),
    };
    let width = text.bytes().take_while(u8::is_ascii_digit).take(width_max).count();
    if width < count.min(width_max) || width == 0 {
        return None;
    }
    let value: i16 = text[..width].parse().ok()?;
    let small = i8::try_from(value).ok();
    match letter {
        b'y' if count == 2 && width == 2 => parts.year = 2000 + value,
        b'y' => parts.year = value,
        b'M' => parts.month = small?,
        b'd' => parts.day = small?,
        b'H' | b'h' => parts.hour = small?,
        b'm' => parts.minute = small?,
        _ => parts.second = small?,
    }
    Some(&text[width..])
}

/// The index of the name that `text` begins with, in full or its first three letters.
fn name<'t>(text: &'t str, names: &[&str], count: usize) -> Option<(i8, &'t str)> {
    for (index, name) in (0_i8..).zip(names) {
        let wanted = if count == 4 { name.len() } else { 3 };
        if let Some((word, rest)) = text.split_at_checked(wanted)
            && word.eq_ignore_ascii_case(&name[..wanted])
        {
            return Some((index, rest));
        }
    }
    None
}

pub(super) fn zone_offset(text: &str) -> Option<Offset> {
    zone::offset(text)
}
