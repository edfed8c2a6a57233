//! Timestamps and durations as Protobuf's mapping to JSON writes them.

use jiff::{
    SignedDuration, Timestamp,
    civil::{DateTime, datetime},
};

const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

/// Years 1 to 9999.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years.
const DURATION_SECONDS_MAX: u64 = 315_576_000_000;
const NANOS: i128 = 1_000_000_000;

pub(super) fn timestamp_text(seconds: i64, nanos: i32) -> Option<String> {
    if !TIMESTAMP_SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let whole = EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()?;
    Some(format!("{whole}{}Z", fraction(nanos.unsigned_abs())))
}

pub(super) fn timestamp_parts(text: &str) -> Option<(i64, i32)> {
    // `Timestamp` ends a day before the year 9999 does, which stands for "never" in many messages.
    let since = match text.strip_suffix('Z') {
        Some(civil) => civil.parse::<DateTime>().ok()?.duration_since(EPOCH),
        None => text.parse::<Timestamp>().ok()?.as_duration(),
    };
    let nanos = since.as_nanos();
    let seconds = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
    TIMESTAMP_SECONDS.contains(&seconds).then_some(())?;
    Some((seconds, i32::try_from(nanos.rem_euclid(NANOS)).ok()?))
}

pub(super) fn duration_text(seconds: i64, nanos: i32) -> Option<String> {
    let same_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    let is_in_range =
        seconds.unsigned_abs() <= DURATION_SECONDS_MAX && nanos.unsigned_abs() < 1_000_000_000;
    if !same_sign || !is_in_range {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    Some(format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.unsigned_abs())))
}

pub(super) fn duration_parts(text: &str) -> Option<(i64, i32)> {
    let digits = text.strip_suffix('s')?;
    let (is_negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    (seconds.unsigned_abs() <= DURATION_SECONDS_MAX).then_some(())?;
    Some(if is_negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// No digits, three, six or nine.
fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        let check = |seconds, nanos, text: &str| {
            assert_eq!(timestamp_text(seconds, nanos).as_deref(), Some(text));
            assert_eq!(timestamp_parts(text), Some((seconds, nanos)));
        };
        check(0, 0, "1970-01-01T00:00:00Z");
        check(-1, 999_000_000, "1969-12-31T23:59:59.999Z");
        check(1_700_000_000, 1_000, "2023-11-14T22:13:20.000001Z");
        check(-62_135_596_800, 1, "0001-01-01T00:00:00.000000001Z");
        check(253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z");
        assert_eq!(timestamp_text(253_402_300_800, 0), None);
        assert_eq!(timestamp_text(0, -1), None);
        assert_eq!(timestamp_text(0, 1_000_000_000), None);
        assert_eq!(timestamp_parts("2023-11-15T00:13:20+02:00"), Some((1_700_000_000, 0)));
        assert_eq!(timestamp_parts("yesterday"), None);
        assert_eq!(timestamp_parts("-000001-01-01T00:00:00Z"), None);
    }

    #[test]
    fn durations() {
        let check = |seconds, nanos, text: &str| {
            assert_eq!(duration_text(seconds, nanos).as_deref(), Some(text));
            assert_eq!(duration_parts(text), Some((seconds, nanos)));
        };
        check(0, 0, "0s");
        check(1, 500_000_000, "1.500s");
        check(0, -1, "-0.000000001s");
        check(-315_576_000_000, -999_999_000, "-315576000000.999999s");
        assert_eq!(duration_parts("1.5s"), Some((1, 500_000_000)));
        assert_eq!(duration_text(1, -1), None);
        assert_eq!(duration_text(315_576_000_001, 0), None);
        for wrong in ["1", "s", "1.s", ".5s", "--1s", "+1s", "1.0000000001s", "9999999999999s"] {
            assert_eq!(duration_parts(wrong), None, "{wrong}");
        }
    }
}
