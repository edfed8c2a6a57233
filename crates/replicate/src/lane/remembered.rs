//! Whether the target can be relied on to refuse what follows a refused batch.
//!
//! It remembers a producer by the time of its records, not of their writing (P3). One that it has forgotten may begin with any
//! sequence: behind a batch that is refused the next one would be appended, and the first one is lost (ADR 0009). It forgets a
//! fence likewise: the marker's time is replaced by that of the next record, and then a request from before the fence, if one
//! still lives, would be appended once more.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forward::planted::{Bug, has};
use tokio::time::Instant;

use super::{Lane, Outgoing};

/// As [`crate::spec::TaskLimits`] has it.
pub(super) const DEFAULT_MS: i64 = 12 * 3_600_000;

impl Lane {
    /// Sets how long the target remembers a producer.
    pub(crate) fn set_producer_memory(&mut self, memory: Duration) {
        self.memory_ms = i64::try_from(memory.as_millis()).unwrap_or(i64::MAX);
    }

    /// Whether the target still knows the producer by what was acknowledged last, and will by all that is under way.
    pub(super) fn is_remembered(&self) -> bool {
        let oldest = self.oldest_remembered_ms();
        let is_young = |outgoing: &Outgoing| outgoing.batch.header.max_timestamp >= oldest;
        (self.acked_ms >= oldest && self.in_flight.iter().all(is_young)) || has(Bug::TrustMemory)
    }

    /// Requests of the lane may be appended until then, although nobody waits for their answers any more.
    pub(crate) fn expect_strays(&mut self, until: Instant) {
        self.strays_until = self.strays_until.max(Some(until));
    }

    /// Until when batches that make the target forget the fence wait, if one was needed.
    pub(crate) fn strays_until(&self) -> Option<Instant> {
        self.strays_until
    }

    /// `until` has come.
    pub(crate) fn forget_strays(&mut self, until: Instant) {
        self.strays_until = self.strays_until.filter(|later| *later > until);
    }

    /// Whether the target would forget the fence behind `outgoing` while it is needed.
    pub(super) fn must_wait_for_strays(&self, outgoing: &Outgoing) -> bool {
        self.strays_until.is_some()
            && outgoing.batch.header.max_timestamp < self.oldest_remembered_ms()
    }

    fn oldest_remembered_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        now_ms.saturating_sub(self.memory_ms)
    }
}
