//! Which version of each API one broker and this release both speak, and what that tells about the
//! broker's release.
//!
//! Brokers of one cluster differ during a rolling upgrade, so a table belongs to one broker and is
//! never merged over a cluster (BF-1).

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::VersionRange;
use thiserror::Error;

/// The versions of an API that this release reads and writes.
///
/// `kafka-protocol` stands behind the schemas of Kafka 4.2 in a few APIs, and its own list of valid
/// versions names three that its messages then refuse; both are clamped here. `DescribeConfigs`
/// goes below its range: brokers before 1.1 speak nothing but version 0, which
/// [`crate::message`] translates.
#[must_use]
pub fn known_versions(api: ApiKey) -> VersionRange {
    let VersionRange { min, max } = api.valid_versions();
    match api {
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => VersionRange { min, max: max.min(9) },
        ApiKey::InitProducerId => VersionRange { min, max: max.min(5) },
        ApiKey::DescribeConfigs => VersionRange { min: 0, max },
        _ => VersionRange { min, max },
    }
}

/// The versions one broker offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerVersions {
    /// API key to lowest and highest version, also for keys unknown here.
    offered: BTreeMap<i16, VersionPair>,
}

/// Lowest and highest version.
type VersionPair = (i16, i16);

impl BrokerVersions {
    /// Takes the table over from a broker's answer.
    #[must_use]
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let ranges = response.api_keys.iter();
        Self {
            offered: ranges
                .map(|range| (range.api_key, (range.min_version, range.max_version)))
                .collect(),
        }
    }

    /// Highest version of `key` that both sides speak.
    #[must_use]
    pub fn highest(&self, key: ApiKey) -> Option<i16> {
        self.highest_capped(key, i16::MAX)
    }

    /// Highest version of `key`, at most `max`, that both sides speak.
    #[must_use]
    pub fn highest_capped(&self, key: ApiKey, max: i16) -> Option<i16> {
        let ours = known_versions(key);
        let (lowest, theirs) = self.range(key)?;
        let highest = theirs.min(ours.max).min(max);
        (highest >= lowest && highest >= ours.min).then_some(highest)
    }

    /// Whether the broker offers `version` of `key` and this release can speak it.
    #[must_use]
    pub fn offers(&self, key: ApiKey, version: i16) -> bool {
        let ours = known_versions(key);
        (ours.min..=ours.max).contains(&version)
            && self.range(key).is_some_and(|(min, max)| (min..=max).contains(&version))
    }

    /// Lowest and highest version of `key` as the broker offers them, whether or not they are
    /// spoken here.
    #[must_use]
    pub fn range(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.offered.get(&(key as i16)).copied()
    }

    /// The releases of Apache Kafka that offer such a table.
    #[must_use]
    pub fn release_range(&self) -> ReleaseRange {
        let newest = RELEASES.iter().rposition(|(_, key, version)| {
            self.range(*key).is_some_and(|(_, max)| max >= *version)
        });
        match newest {
            Some(index) => {
                ReleaseRange { first: Some(RELEASES[index].0), last: last_before(index + 1) }
            }
            None => ReleaseRange { first: None, last: last_before(0) },
        }
    }

    /// Refuses brokers that cannot store or serve message format v2: those before Kafka 0.11.
    ///
    /// # Errors
    /// [`UnsupportedBroker`] says what the broker is and what is missing.
    pub fn check_supported(&self) -> Result<(), UnsupportedBroker> {
        if self.highest(ApiKey::Fetch).is_some() && self.highest(ApiKey::Produce).is_some() {
            return Ok(());
        }
        Err(UnsupportedBroker {
            release: self.release_range(),
            fetch: self.range(ApiKey::Fetch),
            produce: self.range(ApiKey::Produce),
        })
    }
}

/// The first release that offers a version, for each release that adds one to both its modes
/// (ZooKeeper and `KRaft`), ascending. 3.4 adds nothing a client sees.
///
/// Only APIs that a broker serves itself are used: what it forwards to a controller is offered as
/// far as all controllers have it.
///
/// # Source
/// `ApiKeys` in the clients jars of 0.11.0.3 to 4.2.0.
const RELEASES: &[(&str, ApiKey, i16)] = &[
    ("0.11", ApiKey::Fetch, 4),
    ("1.0", ApiKey::Produce, 4),
    ("1.1", ApiKey::Fetch, 7),
    ("2.0", ApiKey::Produce, 6),
    ("2.1", ApiKey::Produce, 7),
    ("2.2", ApiKey::ListOffsets, 5),
    ("2.3", ApiKey::Fetch, 11),
    ("2.4", ApiKey::Produce, 8),
    ("2.5", ApiKey::OffsetFetch, 7),
    ("2.6", ApiKey::ListGroups, 4),
    ("2.7", ApiKey::Fetch, 12),
    ("2.8", ApiKey::Produce, 9),
    ("3.0", ApiKey::ListOffsets, 7),
    ("3.1", ApiKey::Fetch, 13),
    ("3.2", ApiKey::JoinGroup, 9),
    ("3.3", ApiKey::DescribeLogDirs, 4),
    ("3.5", ApiKey::ListOffsets, 8),
    ("3.6", ApiKey::AddPartitionsToTxn, 4),
    ("3.7", ApiKey::Produce, 10),
    ("3.8", ApiKey::Produce, 11),
    ("3.9", ApiKey::ListOffsets, 9),
    ("4.0", ApiKey::Produce, 12),
    ("4.1", ApiKey::Produce, 13),
    ("4.2", ApiKey::ListOffsets, 11),
];

/// The last release before the one at `index`; `None` when nothing newer is known.
fn last_before(index: usize) -> Option<&'static str> {
    match RELEASES.get(index)?.0 {
        "0.11" => Some("0.10.2"),
        "3.5" => Some("3.4"),
        _ => Some(RELEASES[index - 1].0),
    }
}

/// First and last release that fit; shown as `2.8`, `3.3 to 3.4`, `0.10.2 or older`, `4.2 or newer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseRange {
    /// The first one; `None` for releases before the oldest known.
    pub first: Option<&'static str>,
    /// The last one; `None` for releases after the newest known.
    pub last: Option<&'static str>,
}

impl fmt::Display for ReleaseRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (Some(first), Some(last)) if first == last => f.write_str(first),
            (Some(first), Some(last)) => write!(f, "{first} to {last}"),
            (Some(first), None) => write!(f, "{first} or newer"),
            (None, Some(last)) => write!(f, "{last} or older"),
            (None, None) => f.write_str("of unknown release"),
        }
    }
}

/// A broker that cannot be replicated from or to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}", self.text())]
pub struct UnsupportedBroker {
    /// What the broker looks like.
    pub release: ReleaseRange,
    /// Its range of `Fetch` versions.
    pub fetch: Option<(i16, i16)>,
    /// Its range of `Produce` versions.
    pub produce: Option<(i16, i16)>,
}

impl UnsupportedBroker {
    /// Whether the broker is too old, rather than too new or no ordinary broker.
    #[must_use]
    pub fn is_too_old(&self) -> bool {
        self.release.first.is_none() && self.fetch.is_some() && self.produce.is_some()
    }

    fn text(&self) -> String {
        let need = "kferry needs Fetch v4 and Produce v3, Kafka 0.11 or newer";
        match (self.fetch, self.produce) {
            (Some((_, fetch)), Some((_, produce))) if self.is_too_old() => format!(
                "Kafka {} is not supported (this broker looks like {}: \
                 it offers Fetch up to v{fetch} and Produce up to v{produce}; {need})",
                self.release,
                // Produce v2 came with 0.10.0, and ApiVersions itself too.
                if produce >= 2 { "0.10.x" } else { "0.9 or older" },
            ),
            _ => format!(
                "this broker is not supported: it offers Fetch {} and Produce {}, and kferry speaks \
                 Fetch {} and Produce {}",
                Offered(self.fetch),
                Offered(self.produce),
                Offered(Some(pair(known_versions(ApiKey::Fetch)))),
                Offered(Some(pair(known_versions(ApiKey::Produce)))),
            ),
        }
    }
}

fn pair(range: VersionRange) -> VersionPair {
    (range.min, range.max)
}

/// Shows a range of versions.
struct Offered(Option<VersionPair>);

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((min, max)) => write!(f, "v{min} to v{max}"),
            None => f.write_str("not at all"),
        }
    }
}

#[cfg(test)]
mod tests;
