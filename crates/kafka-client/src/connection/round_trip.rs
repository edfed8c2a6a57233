//! How far away a broker is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The least time that an exchange took; zero before the first.
#[derive(Debug)]
pub(super) struct RoundTrip {
    /// Microseconds. Only the connection's task writes it.
    least: AtomicU64,
}

impl Default for RoundTrip {
    fn default() -> Self {
        Self { least: AtomicU64::new(u64::MAX) }
    }
}

impl RoundTrip {
    pub(super) fn get(&self) -> Duration {
        match self.least.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            least => Duration::from_micros(least),
        }
    }

    pub(super) fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if took < self.least.load(Ordering::Relaxed) {
            self.least.store(took, Ordering::Relaxed);
        }
    }
}
