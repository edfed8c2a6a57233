//! Numbers by their text: exact comparison and conversion, whatever their length.

use std::cmp::Ordering;

/// A decimal number in parts: `0.d1d2d3… × 10^exponent`, digits without zeros at either end; zero has no digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i128,
}

/// Whether `text` is a number as JSON writes it.
pub(crate) fn is_json_number(text: &str) -> bool {
    scan(text.as_bytes()) == Some(text.len())
}

/// The length of the JSON number at the beginning of `bytes`.
pub(crate) fn scan(bytes: &[u8]) -> Option<usize> {
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits =
        |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    match bytes.get(at)? {
        b'0' => at += 1,
        b'1'..=b'9' => at += digits(at),
        _ => return None,
    }
    if bytes.get(at) == Some(&b'.') {
        let count = digits(at + 1);
        if count == 0 {
            return None;
        }
        at += 1 + count;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let count = digits(at + 1 + sign);
        if count == 0 {
            return None;
        }
        at += 1 + sign + count;
    }
    Some(at)
}

impl<'a> Decimal<'a> {
    /// Reads a JSON number, also with leading zeros or `+`, as filters meet them in strings.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mantissa_end = rest.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match mantissa_end {
            Some(end) => (&rest[..end], exponent(&rest[end + 1..])?),
            None => (rest, 0),
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = match point {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &[][..]),
        };
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        if !all_digits || whole.is_empty() || (point.is_some() && fraction.is_empty()) {
            return None;
        }
        Some(Self { negative, whole, fraction, exponent }.trimmed())
    }

    /// Takes zeros off both ends; the exponent then counts the digits before the point.
    fn trimmed(mut self) -> Self {
        self.exponent = self.exponent.saturating_add(self.whole.len() as i128);
        while let [b'0', rest @ ..] = self.whole {
            self.whole = rest;
            self.exponent = self.exponent.saturating_sub(1);
        }
        if self.whole.is_empty() {
            while let [b'0', rest @ ..] = self.fraction {
                self.fraction = rest;
                self.exponent = self.exponent.saturating_sub(1);
            }
        }
        while let [rest @ .., b'0'] = self.fraction {
            self.fraction = rest;
        }
        if self.fraction.is_empty() {
            while let [rest @ .., b'0'] = self.whole {
                self.whole = rest;
            }
        }
        self
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole.iter().chain(self.fraction).copied()
    }

    fn count(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.count() == 0
    }

    /// The number as an integer, when it is one and fits; `truncate` drops a fraction.
    pub(crate) fn to_i128(self, truncate: bool) -> Option<i128> {
        if self.is_zero() {
            return Some(0);
        }
        let count = self.count() as i128;
        if self.exponent > 38 || (self.exponent < count && !truncate) {
            return None;
        }
        let wanted = usize::try_from(self.exponent.max(0)).ok()?;
        let digits = self.digits().chain(std::iter::repeat(b'0')).take(wanted);
        let mut value: i128 = 0;
        for digit in digits {
            value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        Some(if self.negative { -value } else { value })
    }
}

/// Reads the digits of an exponent; beyond any use it saturates.
fn exponent(bytes: &[u8]) -> Option<i128> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_i128, |value, digit| {
        value.saturating_mul(10).saturating_add(i128::from(digit - b'0')).min(i128::MAX / 4)
    });
    Some(if negative { -value } else { value })
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let size =
            self.exponent.cmp(&other.exponent).then_with(|| self.digits().cmp(other.digits()));
        if self.negative { size.reverse() } else { size }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

/// The shortest text that reads back as `number`, always with a point or an exponent; `None` when it is not finite.
pub(crate) fn float_text(number: f64) -> Option<String> {
    number.is_finite().then(|| format!("{number:?}"))
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{self, Equal, Greater, Less};

    use super::{Decimal, is_json_number};

    #[test]
    fn compares_exactly() {
        let check = |a: &str, b: &str, expected: Ordering| {
            let compared = Decimal::parse(a).unwrap().cmp(&Decimal::parse(b).unwrap());
            assert_eq!(compared, expected, "{a} and {b}");
        };
        check("10", "1e1", Equal);
        check("-0", "0.0", Equal);
        check("9007199254740993", "9007199254740992", Greater);
        check("-2", "-1", Less);
        check("0.001", "1e-3", Equal);
        check("1e400", "9e399", Greater);
        check("100", "99.99999999999999999999", Greater);
        check("1e99999999999999999999999999999999999999999999", "1", Greater);
        check("0e99999999999999999999999999999999999999999999", "0", Equal);
        check("120", "12", Greater);
    }

    #[test]
    fn integers() {
        let check = |text: &str, expected: Option<i128>| {
            assert_eq!(Decimal::parse(text).unwrap().to_i128(false), expected, "{text}");
        };
        check("3.0", Some(3));
        check("1e3", Some(1000));
        check("3.7", None);
        check("-12.50e1", Some(-125));
        check("1e40", None);
        check("0.0", Some(0));
        assert_eq!(Decimal::parse("-3.7").unwrap().to_i128(true), Some(-3));
        assert_eq!(Decimal::parse("0.07").unwrap().to_i128(true), Some(0));
    }

    #[test]
    fn json_numbers() {
        for text in ["0", "-0", "1.5e+10", "123456789012345678901234567890"] {
            assert!(is_json_number(text), "{text}");
        }
        for text in ["", "01", "+1", ".5", "1.", "1e", "-", "1 ", "NaN"] {
            assert!(!is_json_number(text), "{text}");
        }
    }
}
