//! Numbers, times and marks as people read them.

use std::time::Duration;

/// Colours and marks, plain when the stream is no terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    colour: bool,
}

impl Paint {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self { colour: super::stdout_colour() }
    }

    /// Something good.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something bad.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Something to look at.
    pub(crate) fn odd(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Something less important.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// `1,234,567`.
pub(crate) fn count(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12 B`, `1.5 kB`, `3.2 GB`: decimal units, as disks and networks are sold.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let unit_name = UNITS[unit];
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {unit_name}")
    } else {
        format!("{value:.1} {unit_name}")
    }
}

/// `0.3 ms`, `12 ms`, `4.1 s`, `2 min 5 s`, `3 h 12 min`, `2 d 4 h`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time < Duration::from_millis(10) => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// RFC 3339 in UTC with milliseconds; `-` for none (-1).
pub(crate) fn timestamp(milliseconds: i64) -> String {
    if milliseconds == -1 {
        return "-".to_owned();
    }
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{milliseconds} ms"),
    }
}

/// Bytes as text in quotes, escaped, at most `limit` bytes of them.
pub(crate) fn preview(data: &[u8], limit: usize) -> String {
    let (shown, more) = if data.len() > limit { (&data[..limit], "…") } else { (data, "") };
    let text: String = match std::str::from_utf8(shown) {
        Ok(text) => text.chars().flat_map(char::escape_debug).collect(),
        // The cut may go through a character; what comes before it is still text.
        Err(error) if !more.is_empty() && error.error_len().is_none() => {
            String::from_utf8_lossy(&shown[..error.valid_up_to()])
                .chars()
                .flat_map(char::escape_debug)
                .collect()
        }
        Err(_) => shown.escape_ascii().to_string(),
    };
    format!("\"{text}{more}\"")
}

/// A name from the network, safe for a terminal.
pub(crate) fn safe(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars().flat_map(char::escape_debug).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let check = |number: i64, expected: &str| assert_eq!(count(number), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(1_234_567, "1,234,567");
        check(-1000, "-1,000");
        check(i64::MIN, "-9,223,372,036,854,775,808");
    }

    #[test]
    fn sizes() {
        let check = |number: u64, expected: &str| assert_eq!(bytes(number), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(99_940, "99.9 kB");
        check(99_960, "100 kB");
        check(999_600, "1.0 MB");
        check(u64::MAX, "18447 PB");
    }

    #[test]
    fn durations() {
        let check = |milliseconds: u64, expected: &str| {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected)
        };
        check(1, "1.0 ms");
        check(12, "12 ms");
        check(1500, "1.5 s");
        check(125_000, "2 min 5 s");
        check(11_520_000, "3 h 12 min");
        check(187_200_000, "2 d 4 h");
    }

    #[test]
    fn timestamps() {
        assert_eq!(timestamp(-1), "-");
        assert_eq!(timestamp(1_738_281_600_250), "2025-01-31T00:00:00.250Z");
        assert_eq!(timestamp(i64::MAX), format!("{} ms", i64::MAX));
    }

    #[test]
    fn previews() {
        let check =
            |data: &[u8], limit: usize, expected: &str| assert_eq!(preview(data, limit), expected);
        check(b"abc", 10, "\"abc\"");
        check(b"a\x1b[31m\n", 10, "\"a\\u{1b}[31m\\n\"");
        check(b"\xff\x00", 10, "\"\\xff\\x00\"");
        check("äöü".as_bytes(), 3, "\"ä…\"");
        check(b"abcdef", 3, "\"abc…\"");
    }
}
