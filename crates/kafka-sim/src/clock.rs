//! The cluster's wall clock: a start time plus what `tokio::time` says has passed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall clock of a cluster; on tokio's paused time it advances only with the test.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    start_ms: AtomicI64,
}

impl Clock {
    pub(crate) fn new(start_ms: Option<i64>) -> Self {
        Self {
            started: Instant::now(),
            start_ms: AtomicI64::new(start_ms.unwrap_or_else(real_time_ms)),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.start_ms.load(Ordering::Relaxed).saturating_add(self.elapsed_ms())
    }

    /// Makes the clock show `now_ms`.
    pub(crate) fn set(&self, now_ms: i64) {
        self.start_ms.store(now_ms.saturating_sub(self.elapsed_ms()), Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> i64 {
        let elapsed = Instant::now().saturating_duration_since(self.started);
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}

fn real_time_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
