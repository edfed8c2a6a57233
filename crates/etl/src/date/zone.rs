//! Time zones by offset or by name, from the table that is compiled in.

use std::sync::OnceLock;

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Disambiguation, Offset, TimeZone, TimeZoneDatabase},
};

/// A compiled zone.
#[derive(Debug, Clone)]
pub(crate) enum Zone {
    /// The way without a table.
    Fixed(Offset),
    Named(TimeZone),
}

/// The bundled table, whatever the machine has: the same rule gives the same bytes everywhere.
fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

impl Zone {
    /// `UTC`, `Z`, `GMT+8`, `GMT-03:30`, `UTC+08:00`, `+08:00`, or a name such as `America/New_York`.
    pub(crate) fn compile(text: &str) -> Option<Self> {
        let upper = text.trim();
        if ["UTC", "Z", "GMT"].iter().any(|name| name.eq_ignore_ascii_case(upper)) {
            return Some(Self::Fixed(Offset::UTC));
        }
        let prefix = upper
            .get(..3)
            .filter(|prefix| ["UTC", "GMT"].iter().any(|name| name.eq_ignore_ascii_case(prefix)));
        let rest = prefix.map_or(upper, |prefix| &upper[prefix.len()..]);
        if rest.starts_with(['+', '-']) {
            return offset(rest).map(Self::Fixed);
        }
        database().get(upper).ok().map(Self::Named)
    }

    /// Civil time and offset at `time`.
    pub(super) fn civil(&self, time: Timestamp) -> (DateTime, Offset) {
        match self {
            Self::Fixed(offset) => (offset.to_datetime(time), *offset),
            Self::Named(zone) => (zone.to_datetime(time), zone.to_offset(time)),
        }
    }

    /// The time of `civil`: shifted forward in a gap, the earlier one where there are two.
    pub(super) fn timestamp(&self, civil: DateTime) -> Option<Timestamp> {
        match self {
            Self::Fixed(offset) => offset.to_timestamp(civil).ok(),
            Self::Named(zone) => {
                zone.to_ambiguous_timestamp(civil).disambiguate(Disambiguation::Compatible).ok()
            }
        }
    }
}

/// `+8`, `+08`, `-0330`, `+08:00`.
pub(super) fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| {
        let fine = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fine.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::{Zone, offset};

    #[test]
    fn zones() {
        let check = |text: &str, seconds: Option<i32>| {
            let found = Zone::compile(text).map(|zone| match zone {
                Zone::Fixed(offset) => offset.seconds(),
                Zone::Named(_) => -1,
            });
            assert_eq!(found, seconds, "{text}");
        };
        check("UTC", Some(0));
        check("GMT+8", Some(28_800));
        check("GMT-03:30", Some(-12_600));
        check("UTC+08:00", Some(28_800));
        check("+0530", Some(19_800));
        check("America/New_York", Some(-1));
        check("Mars/Olympus", None);
        check("GMT+19", None);
        check("+", None);
        assert!(offset("+8:0").is_none());
    }
}
