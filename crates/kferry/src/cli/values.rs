//! Values that several commands take.

use std::num::NonZeroU64;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::StartArg;

/// A partition of a topic, perhaps with an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionAt {
    /// Topic name.
    pub(crate) topic: String,
    /// Partition index.
    pub(crate) partition: i32,
    /// First offset of interest.
    pub(crate) offset: Option<i64>,
}

pub(crate) fn start(text: &str) -> Result<StartArg, String> {
    match text {
        "earliest" => return Ok(StartArg::Earliest),
        "latest" => return Ok(StartArg::Latest),
        _ => {}
    }
    if let Ok(milliseconds) = text.parse::<i64>() {
        return if milliseconds >= 0 {
            Ok(StartArg::Time(milliseconds))
        } else {
            Err("a time before 1970 is not possible".to_owned())
        };
    }
    match text.parse::<Timestamp>() {
        Ok(time) if time.as_millisecond() >= 0 => Ok(StartArg::Time(time.as_millisecond())),
        Ok(_) => Err("a time before 1970 is not possible".to_owned()),
        Err(_) => Err("expected earliest, latest, milliseconds since 1970, or a time such as 2025-01-31T14:00:00Z or \
                   2025-01-31T14:00:00+01:00".to_owned()),
    }
}

/// A time: milliseconds since 1970, or RFC 3339.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let wrong =
        || "expected milliseconds since 1970, or a time such as 2025-01-31T14:00:00Z".to_owned();
    match text.parse::<i64>() {
        Ok(milliseconds) => Timestamp::from_millisecond(milliseconds).map_err(|_| wrong()),
        Err(_) => text.parse().map_err(|_| wrong()),
    }
}

pub(super) fn partition_at(text: &str) -> Result<PartitionAt, String> {
    let wrong = |what: &str| {
        format!("{what}: expected TOPIC:PARTITION or TOPIC:PARTITION@OFFSET, such as orders:0@1234")
    };
    let (topic, rest) = text.rsplit_once(':').ok_or_else(|| wrong("no ':'"))?;
    if topic.is_empty() {
        return Err(wrong("the topic is empty"));
    }
    let (partition, offset) = match rest.split_once('@') {
        Some((partition, offset)) => (partition, Some(offset)),
        None => (rest, None),
    };
    let partition = partition
        .parse()
        .ok()
        .filter(|index| *index >= 0)
        .ok_or_else(|| wrong("the partition is not a number"))?;
    let offset = match offset {
        Some(offset) => Some(
            offset
                .parse()
                .ok()
                .filter(|offset| *offset >= 0)
                .ok_or_else(|| wrong("the offset is not a number"))?,
        ),
        None => None,
    };
    Ok(PartitionAt { topic: topic.to_owned(), partition, offset })
}

pub(crate) fn size(text: &str) -> Result<NonZeroU64, String> {
    let wrong = || "expected a size above 0, such as 500kB, 20MB or 64MiB".to_owned();
    let bytes: bytesize::ByteSize = text.parse().map_err(|_| wrong())?;
    NonZeroU64::new(bytes.as_u64()).ok_or_else(wrong)
}

/// How long a request may live at most: more is a mistake in the unit.
const REQUEST_LIFETIME_MAX: Duration = Duration::from_hours(1);

/// A duration with its unit; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a duration such as 500ms, 30s, 5m or 24h".to_owned();
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let duration: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// A duration up to an hour.
pub(crate) fn request_lifetime(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        lifetime if lifetime <= REQUEST_LIFETIME_MAX => Ok(lifetime),
        _ => Err("expected a duration up to 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts() {
        let check = |text: &str, expected: Option<StartArg>| {
            assert_eq!(start(text).ok(), expected, "{text}")
        };
        check("earliest", Some(StartArg::Earliest));
        check("latest", Some(StartArg::Latest));
        check("0", Some(StartArg::Time(0)));
        check("1738281600000", Some(StartArg::Time(1_738_281_600_000)));
        check("2025-01-31T00:00:00Z", Some(StartArg::Time(1_738_281_600_000)));
        check("2025-01-31T01:00:00+01:00", Some(StartArg::Time(1_738_281_600_000)));
        check("2025-01-31T00:00:00.250Z", Some(StartArg::Time(1_738_281_600_250)));
        check("-1", None);
        check("1960-01-01T00:00:00Z", None);
        check("2025-01-31", None);
        check("yesterday", None);
        check("", None);
    }

    #[test]
    fn durations() {
        let check = |text: &str, expected: Option<u64>| {
            let found = duration(text).ok().map(|found| found.as_millis());
            assert_eq!(found, expected.map(u128::from), "{text}")
        };
        check("500ms", Some(500));
        check("30", Some(30_000));
        check("30s", Some(30_000));
        check("5m", Some(300_000));
        check("24h", Some(86_400_000));
        check("1h 30m", Some(5_400_000));
        check("0", Some(0));
        check("-5s", None);
        check("soon", None);
        check("5 parsecs", None);
        check("", None);
        assert!(request_lifetime("1h").is_ok() && request_lifetime("61m").is_err());
    }

    #[test]
    fn partitions() {
        let at = |topic: &str, partition, offset| {
            Some(PartitionAt { topic: topic.to_owned(), partition, offset })
        };
        let check = |text: &str, expected: Option<PartitionAt>| {
            assert_eq!(partition_at(text).ok(), expected, "{text}")
        };
        check("orders:0", at("orders", 0, None));
        check("orders.eu:12@99", at("orders.eu", 12, Some(99)));
        check("orders", None);
        check(":0", None);
        check("orders:-1", None);
        check("orders:0@", None);
        check("orders:0@-5", None);
        check("orders:0@x", None);
        check("orders:99999999999", None);
    }
}
