//! Reads a date without being told its form.

use std::sync::OnceLock;

use jiff::{Timestamp, tz::Offset};

use super::{
    pattern::{Parts, Pattern, zone_offset},
    zone::Zone,
};

/// Forms that are tried after ISO 8601, in this order.
const PATTERNS: [&str; 9] = [
    "yyyy/MM/dd HH:mm:ss.SSS",
    "yyyy/MM/dd HH:mm:ss",
    "yyyy/MM/dd",
    "dd/MMM/yyyy:HH:mm:ss Z",
    "yyyyMMdd'T'HHmmssX",
    // RFC 2822.
    "EEE, d MMM yyyy HH:mm:ss Z",
    "EEE, d MMM yyyy HH:mm Z",
    "d MMM yyyy HH:mm:ss Z",
    "d MMM yyyy HH:mm Z",
];

fn patterns() -> &'static [Pattern] {
    static COMPILED: OnceLock<Vec<Pattern>> = OnceLock::new();
    COMPILED
        .get_or_init(|| PATTERNS.iter().filter_map(|text| Pattern::compile(text).ok()).collect())
}

/// Everything but ISO 8601 and unix times.
pub(super) fn read(text: &str, zone: &Zone) -> Option<Timestamp> {
    if let Some(parts) = compact(text) {
        return parts.timestamp(zone);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    patterns().iter().find_map(|pattern| pattern.parse(text))?.timestamp(zone)
}

/// `yyyyMMddHHmmss`: 14 digits that are a date of the years 1900 to 2999; other ones are milliseconds.
fn compact(text: &str) -> Option<Parts> {
    let bytes: &[u8; 14] = text.as_bytes().try_into().ok()?;
    if !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let parts = Parts {
        year: i16::from(two(bytes, 0)?) * 100 + i16::from(two(bytes, 2)?),
        month: two(bytes, 4)?,
        day: two(bytes, 6)?,
        hour: two(bytes, 8)?,
        minute: two(bytes, 10)?,
        second: two(bytes, 12)?,
        ..Parts::default()
    };
    let plausible = (1900..3000).contains(&parts.year)
        && (1..=12).contains(&parts.month)
        && (1..=31).contains(&parts.day)
        && parts.hour < 24
        && parts.minute < 60
        && parts.second < 60;
    plausible.then_some(parts)
}

fn two(bytes: &[u8], at: usize) -> Option<i8> {
    match bytes.get(at..at + 2)? {
        [high @ b'0'..=b'9', low @ b'0'..=b'9'] => {
            i8::try_from((high - b'0') * 10 + low - b'0').ok()
        }
        _ => None,
    }
}

/// `yyyy-MM-dd`, then nothing, or a space or `T`, a time, a fraction and an offset.
pub(super) fn iso(text: &str) -> Option<Parts> {
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let mut parts = Parts {
        year: i16::from(two(bytes, 0)?) * 100 + i16::from(two(bytes, 2)?),
        month: two(bytes, 5)?,
        day: two(bytes, 8)?,
        ..Parts::default()
    };
    if bytes.len() == 10 {
        return Some(parts);
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') || bytes.get(13) != Some(&b':') {
        return None;
    }
    parts.hour = two(bytes, 11)?;
    parts.minute = two(bytes, 14)?;
    let mut at = 16;
    if bytes.get(16) == Some(&b':') {
        parts.second = two(bytes, 17)?;
        at = 19;
    }
    if matches!(bytes.get(at), Some(b'.' | b',')) && at == 19 {
        let width = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if width == 0 || width > 9 {
            return None;
        }
        parts.nanos = i32::try_from(nanoseconds(&text[at + 1..at + 1 + width])).ok()?;
        at += 1 + width;
    }
    let rest = text.get(at..)?;
    if !rest.is_empty() {
        let (offset, rest) = offset_at(rest.strip_prefix(' ').unwrap_or(rest))?;
        if !rest.is_empty() {
            return None;
        }
        parts.offset = Some(offset);
    }
    Some(parts)
}

/// The nanoseconds of a fraction's digits.
pub(super) fn nanoseconds(fraction: &str) -> i128 {
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    digits.fold(0, |nanos, digit| nanos * 10 + i128::from(digit.wrapping_sub(b'0') % 10))
}

/// The offset at the beginning of `text`: `Z`, `UTC`, `GMT`, `+08`, `+0800`, `+08:00`.
pub(super) fn offset_at(text: &str) -> Option<(Offset, &str)> {
    for name in ["UTC", "GMT", "UT", "Z"] {
        if let Some((word, rest)) = text.split_at_checked(name.len())
            && word.eq_ignore_ascii_case(name)
        {
            return Some((Offset::UTC, rest));
        }
    }
    let end = text
        .bytes()
        .take_while(|byte| matches!(byte, b'+' | b'-' | b':' | b'0'..=b'9'))
        .take(6)
        .count();
    zone_offset(&text[..end]).map(|offset| (offset, &text[end..]))
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::Offset};

    use super::{iso, read};
    use crate::date::Zone;

    fn check(text: &str, expected: Option<&str>) {
        let zone = Zone::Fixed(Offset::constant(8));
        let found =
            iso(text).and_then(|parts| parts.timestamp(&zone)).or_else(|| read(text, &zone));
        let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn forms() {
        check("2022-02-26T22:25:33.210Z", Some("2022-02-26T22:25:33.210Z"));
        check("2022-02-26 22:25:33", Some("2022-02-26T14:25:33Z"));
        check("2022-02-26", Some("2022-02-25T16:00:00Z"));
        check("2022-02-26T22:25+01:00", Some("2022-02-26T21:25:00Z"));
        check("2022/02/26 22:25:33", Some("2022-02-26T14:25:33Z"));
        check("20220226222533", Some("2022-02-26T14:25:33Z"));
        check("26/Feb/2022:22:25:33 +0000", Some("2022-02-26T22:25:33Z"));
        check("Sat, 26 Feb 2022 22:25:33 GMT", Some("2022-02-26T22:25:33Z"));
        check("2022-02-30", None);
        check("2022-02-26T22:25:33.", None);
        check("2022-02-26T", None);
        check("2022-13-01", None);
        check("ééééé-éé", None);
    }
}
