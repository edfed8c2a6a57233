//! A lane changes workers while nothing of it is under way.

use std::sync::Arc;

use forward::planted::{Bug, has};

use super::{Lane, Phase};
use crate::journal::{LaneKey, LaneProgress, LaneRecord};
use crate::progress::LaneStatus;

impl Lane {
    /// Whether nobody will answer to this lane, or wake it, any more: its worker may forget it.
    pub(crate) fn may_leave(&self) -> bool {
        let is_quiet = match self.phase {
            Phase::Running => true,
            Phase::Idle => !self.needs_producer(),
            _ => false,
        };
        is_quiet
            && (!self.has_unsent_or_sent() && self.unanswered == 0 || has(Bug::LeaveUnsettled))
            && self.turn.is_none()
            && !self.is_asking
            && self.repair.is_none()
            // Of those that are not written yet nothing is under way: a lane without a producer keeps them.
            && self.barriers.len() == self.unwritten.len()
            && self.strays_until.is_none()
    }

    /// What stays in its place: a lane that does nothing and has nothing to tell.
    pub(crate) fn gone(&self) -> Self {
        let record = LaneRecord {
            lane: LaneKey::clone(&self.key),
            source_topic_id: None,
            target_topic_id: None,
            transactional_id: String::new(),
            settled: true,
            epochs: Vec::new(),
            runs: forward::Runs::default(),
            acked: LaneProgress::default(),
            source_epoch: -1,
            source_epochs: crate::journal::SourceEpochs::default(),
            map_start: None,
            outputs: crate::journal::Outputs::default(),
        };
        let seed = super::LaneSeed {
            record,
            map_end: None,
            traits: self.traits,
            end: None,
            must_check: false,
            duty: self.duty,
            writers: Vec::new(),
            status: LaneStatus::new(Arc::clone(&self.key)),
        };
        let mut gone = Self::new(seed, self.limits, self.coalescing, 1);
        gone.stop();
        gone
    }
}
