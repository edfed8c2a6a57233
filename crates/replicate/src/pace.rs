//! The rate limit of a task. It paces the fetches: what must wait waits on the source, not in memory.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A fetch asks for no more than what the limit lets through in this time, so that a slow pace has no long pauses.
const FETCH_TIME: Duration = Duration::from_millis(250);

/// The least that is worth a request.
const FETCH_BYTES_MIN: i32 = 64 << 10;

/// How fast a task may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Bytes of record batches per second, as the source has them.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Records per second.
    pub records_per_second: Option<NonZeroU64>,
}

/// One clock for all workers of a task: what was read is paid for by waiting before the next fetch.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    limit: RateLimit,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    paid_until: Option<Instant>,
    /// Of the last answer that held any.
    bytes_per_record: Option<u64>,
}

impl Pace {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was read is paid for.
    pub(crate) async fn ready(&self) {
        loop {
            let until = self.state().paid_until;
            match until {
                // Another worker may have read meanwhile.
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Whether nothing has to be waited for.
    pub(crate) fn is_ready(&self) -> bool {
        self.state().paid_until.is_none_or(|until| until <= Instant::now())
    }

    /// Whether records have to be counted.
    pub(crate) fn counts_records(&self) -> bool {
        self.limit.records_per_second.is_some()
    }

    /// Books what an answer held.
    pub(crate) fn spend(&self, bytes: usize, records: u64) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let cost = cost(bytes, self.limit.bytes_per_second)
            .max(cost(records, self.limit.records_per_second));
        if cost.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        state.paid_until = Some(state.paid_until.map_or(now, |until| until.max(now)) + cost);
        state.bytes_per_record = bytes.checked_div(records).or(state.bytes_per_record);
    }

    /// The size of an answer that may have `bytes_max`.
    pub(crate) fn fetch_bytes(&self, bytes_max: i32) -> i32 {
        let millis = u64::try_from(FETCH_TIME.as_millis()).unwrap_or(u64::MAX);
        let share = |rate: NonZeroU64| rate.get().saturating_mul(millis) / 1000;
        let by_bytes = self.limit.bytes_per_second.map_or(u64::MAX, share);
        let by_records = self.limit.records_per_second.map_or(u64::MAX, |rate| {
            // Nothing is known before the first answer.
            let each = self.state().bytes_per_record.unwrap_or(0);
            share(rate).saturating_mul(each)
        });
        let bytes = i32::try_from(by_bytes.min(by_records)).unwrap_or(i32::MAX);
        bytes.max(FETCH_BYTES_MIN).min(bytes_max)
    }
}

fn cost(count: u64, rate: Option<NonZeroU64>) -> Duration {
    rate.map_or(Duration::ZERO, |rate| {
        let nanos = u128::from(count) * 1_000_000_000 / u128::from(rate.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(bytes: u64, records: u64) -> Pace {
        Pace::new(RateLimit {
            bytes_per_second: NonZeroU64::new(bytes),
            records_per_second: NonZeroU64::new(records),
        })
    }

    async fn waited(pace: &Pace) -> Duration {
        let start = Instant::now();
        pace.ready().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_scarcer_of_both_decides() {
        let pace = pace(1000, 10);
        assert_eq!(waited(&pace).await, Duration::ZERO);
        pace.spend(5000, 1);
        assert_eq!(waited(&pace).await.as_secs(), 5);
        pace.spend(10, 70);
        assert_eq!(waited(&pace).await.as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn all_workers_share_it_and_idle_time_is_not_saved_up() {
        let pace = pace(1000, 0);
        tokio::time::sleep(Duration::from_secs(100)).await;
        pace.spend(2000, 0);
        let other = pace.clone();
        other.spend(3000, 0);
        assert_eq!(waited(&pace).await.as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let pace = pace(0, 0);
        pace.spend(usize::MAX, u64::MAX);
        assert_eq!(waited(&pace).await, Duration::ZERO);
        assert_eq!(pace.fetch_bytes(1 << 20), 1 << 20);
    }

    #[test]
    fn slow_paces_ask_for_little() {
        assert_eq!(pace(400_000, 0).fetch_bytes(1 << 20), 100_000);
        assert_eq!(pace(10, 0).fetch_bytes(1 << 20), FETCH_BYTES_MIN);
        assert_eq!(pace(u64::MAX, 0).fetch_bytes(1 << 20), 1 << 20);
        let pace = pace(0, 1000);
        assert_eq!(pace.fetch_bytes(1 << 20), FETCH_BYTES_MIN);
        pace.spend(10_000, 20);
        assert_eq!(pace.fetch_bytes(1 << 20), 125_000);
    }
}
