//! How often and how long to try: back-off with jitter within a time limit.

use std::time::Duration;

use kafka_wire::Retry;
use tokio::time::{Instant, sleep};

use crate::{ClientError, ClientLimits};

/// Pauses that double, with jitter, between a first and a longest one.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(limits: &ClientLimits) -> Self {
        Self { next: limits.backoff_min, max: limits.backoff_max }
    }

    /// The next pause: between half and the whole of the step, so that many clients do not come back at once.
    pub(crate) fn step(&mut self) -> Duration {
        let step = self.next.min(self.max);
        self.next = step.saturating_mul(2);
        step.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// The tries of one public call.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    started: Instant,
    allowed: Duration,
    backoff: Backoff,
}

impl Attempts {
    pub(crate) fn new(limits: &ClientLimits) -> Self {
        Self {
            started: Instant::now(),
            allowed: limits.retry_time_max,
            backoff: Backoff::new(limits),
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// `error` when it is final, wrapped in [`ClientError::OutOfTime`] when the time is over.
    pub(crate) async fn pause(&mut self, error: ClientError) -> Result<(), ClientError> {
        if error.retry() == Retry::Never {
            return Err(error);
        }
        if self.pause_once().await { Ok(()) } else { Err(self.out_of_time(error)) }
    }

    /// Waits before the next try of items that failed; `false` when the time is over.
    pub(crate) async fn pause_once(&mut self) -> bool {
        let pause = self.backoff.step();
        if self.started.elapsed() + pause > self.allowed {
            return false;
        }
        sleep(pause).await;
        true
    }

    fn out_of_time(&self, last: ClientError) -> ClientError {
        ClientError::OutOfTime { after: self.started.elapsed(), last: Box::new(last) }
    }
}
