//! Which version of each API one broker and this release both speak.
//!
//! Brokers of one cluster differ during a rolling upgrade, so a table belongs to one broker and is
//! never merged over a cluster (BF-1).

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::VersionRange;
use thiserror::Error;

/// The versions this release reads and writes.
///
/// That is `kafka-protocol`'s own table, less the versions it lists in `ApiKey::valid_versions`
/// and then refuses in the messages themselves.
#[must_use]
pub fn known_versions(api: ApiKey) -> VersionRange {
    let VersionRange { min, max } = api.valid_versions();
    let max = match api {
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => max.min(9),
        ApiKey::InitProducerId => max.min(5),
        _ => max,
    };
    VersionRange { min, max }
}

/// The versions one broker offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerVersions {
    /// API key to lowest and highest version, also for keys unknown here.
    offered: BTreeMap<i16, (i16, i16)>,
}

impl BrokerVersions {
    /// Takes the table over from a broker's answer.
    #[must_use]
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let offered = response
            .api_keys
            .iter()
            .map(|range| (range.api_key, (range.min_version, range.max_version)))
            .collect();
        Self { offered }
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
        let &(min, theirs) = self.offered.get(&(key as i16))?;
        let highest = theirs.min(ours.max).min(max);
        (highest >= min && highest >= ours.min).then_some(highest)
    }

    /// Whether the broker offers `version` of `key` and this release can speak it.
    #[must_use]
    pub fn offers(&self, key: ApiKey, version: i16) -> bool {
        let ours = known_versions(key);
        (ours.min..=ours.max).contains(&version)
            && self.range(key).is_some_and(|(min, max)| (min..=max).contains(&version))
    }

    /// Lowest and highest version of `key` as the broker offers them.
    #[must_use]
    pub fn range(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.offered.get(&(key as i16)).copied()
    }

    /// The releases that offer such a table.
    #[must_use]
    pub fn release_range(&self) -> ReleaseRange {
        ReleaseRange { first: "0.11", last: None }
    }

    /// Refuses brokers that cannot store or serve message format v2, i.e. those before Kafka 0.11.
    ///
    /// # Errors
    /// [`UnsupportedBroker`].
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

/// First and last release that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseRange {
    first: &'static str,
    last: Option<&'static str>,
}

impl fmt::Display for ReleaseRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => write!(f, "{} to {last}", self.first),
            None => write!(f, "{} or newer", self.first),
        }
    }
}

/// A broker that cannot be replicated from or to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{release} is not supported")]
pub struct UnsupportedBroker {
    /// What the broker looks like.
    pub release: ReleaseRange,
    /// Its range of `Fetch` versions.
    pub fetch: Option<(i16, i16)>,
    /// Its range of `Produce` versions.
    pub produce: Option<(i16, i16)>,
}
