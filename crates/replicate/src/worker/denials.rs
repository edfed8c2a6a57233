//! Rights that were taken away: a lane waits for them instead of stopping, since an operator gives them back without knowing of us.
//!
//! It is told once, shown as long as it lasts, tried again with a long back-off, and told once more when the lane goes on. A task
//! that is to end waits for a bounded time only.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_wire::ErrorCode;
use tokio::time::{Instant, sleep};

use super::{Done, LaneId, Worker};
use crate::event::Event;
use crate::lane::Phase;
use crate::progress::LaneState;

/// The pauses between tries: each one may be a line in the broker's log of refusals.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The end that denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Source,
    Target,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// The lanes that wait for a right.
#[derive(Debug, Default)]
pub(super) struct Denials(BTreeMap<(LaneId, End), Denial>);

#[derive(Debug)]
struct Denial {
    since: Instant,
    attempts: u32,
    pause: Duration,
    /// Nothing is tried before the pause is over.
    rests: bool,
}

impl Denials {
    /// Whether the end is not to be asked for this lane now.
    pub(super) fn rests(&self, id: LaneId, end: End) -> bool {
        self.0.get(&(id, end)).is_some_and(|denial| denial.rests)
    }

    /// How long to wait before the next try; none where nothing is denied.
    pub(super) fn pause(&self, id: LaneId, end: End) -> Option<Duration> {
        self.0.get(&(id, end)).map(|denial| denial.pause)
    }
}

impl Worker {
    /// A broker said that we may not. False when the lane stopped over it.
    pub(super) fn denied(&mut self, id: LaneId, end: End, cause: String, cure: &str) -> bool {
        let time_max = self.ctx.denial_time_max;
        let denial = self.denials.0.entry((id, end)).or_insert_with(|| Denial {
            since: Instant::now(),
            attempts: 0,
            pause: PAUSE_MIN,
            rests: false,
        });
        let lasted = denial.since.elapsed();
        if let Some(max) = time_max.filter(|max| lasted >= *max) {
            self.denials.0.remove(&(id, end));
            self.stop_lane(id, format!("{cause}, for {} s now", max.as_secs()), cure);
            return false;
        }
        denial.attempts = denial.attempts.saturating_add(1);
        denial.rests = true;
        denial.pause = pause(denial.attempts);
        if let Some(max) = time_max {
            // The last try comes when the time is over.
            denial.pause = denial.pause.min(max.saturating_sub(lasted));
        }
        let is_first = denial.attempts == 1;
        let lane = &self.lanes[id];
        lane.status.set_state(LaneState::Denied);
        lane.status.set_error(Some(format!("{cause}; cure: {cure}")));
        if is_first {
            self.emit(Event::LaneDenied {
                task: self.ctx.task.clone(),
                topic: lane.key.source_topic.clone(),
                partition: lane.key.source_partition,
                cluster: end.name(),
                cause,
                cure: cure.to_owned(),
            });
        }
        true
    }

    /// The source denies a fetch: the lane is left out of the next ones for a while.
    pub(super) fn read_denied(&mut self, id: LaneId, code: ErrorCode) {
        let cause = format!("the source answered {code} to a fetch");
        let cure = "grant READ on the topic to the source connection's user";
        if !self.denied(id, End::Source, cause, cure) {
            return;
        }
        let pause = self.denials.pause(id, End::Source).unwrap_or(PAUSE_MAX);
        self.start(async move {
            sleep(pause).await;
            Done::MayRead { lane: id }
        });
    }

    pub(super) fn may_read(&mut self, id: LaneId) {
        if let Some(denial) = self.denials.0.get_mut(&(id, End::Source)) {
            denial.rests = false;
        }
        // With READ, DESCRIBE may have been away, and with it the leader.
        self.source_metadata.want();
    }

    /// An end did what it had denied.
    pub(super) fn allowed(&mut self, id: LaneId, end: End) {
        let Some(denial) = self.denials.0.remove(&(id, end)) else { return };
        let lane = &self.lanes[id];
        if lane.phase != Phase::Stopped && !self.denials.0.keys().any(|(other, _)| *other == id) {
            lane.status.set_state(LaneState::Running);
        }
        self.emit(Event::LaneAllowed {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            partition: lane.key.source_partition,
            cluster: end.name(),
            elapsed_ms: u64::try_from(denial.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
}

fn pause(attempts: u32) -> Duration {
    let pause = PAUSE_MIN.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(PAUSE_MAX);
    // Not all lanes at once.
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}
