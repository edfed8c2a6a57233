//! The source is not what was read any more: what is under way is settled first, then the lane turns.

use forward::{Runs, SourceOffset};
use kafka_wire::Uuid;

use super::{Lane, Phase};

/// What a lane does once all that it read is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The source lost what it had from `cut` on; its log ends at `end` now.
    Truncated { cut: SourceOffset, end: SourceOffset },
    /// Another topic has the name; its partition holds `start` to `end`.
    Recreated { topic_id: Uuid, start: SourceOffset, end: SourceOffset },
    /// The source deleted what was to be read next, up to `start`, and the task is to stop for it.
    Overtaken { start: SourceOffset },
}

impl Lane {
    /// Whether nothing is under way any more, so that the lane may turn. What a truncated source lost and was not sent yet
    /// is dropped.
    pub(crate) fn try_turn(&mut self) -> Option<Turn> {
        let turn = self.turn?;
        // In other phases what waits may be on the target: the tail tells first.
        let is_certain =
            self.phase == Phase::Running || (self.phase == Phase::Idle && !self.is_dirty);
        if !is_certain {
            return None;
        }
        if let Turn::Truncated { cut, .. } = turn {
            self.drop_from(cut);
        }
        if self.has_unsent_or_sent() {
            return None;
        }
        self.advance_position();
        self.turn = None;
        Some(turn)
    }

    /// Forgets batches that wait and begin at or behind `cut`.
    fn drop_from(&mut self, cut: SourceOffset) {
        let count = self.ready.len();
        while let Some(last) = self.ready.pop_back_if(|last| last.source_start >= cut) {
            self.buffered_bytes = self.buffered_bytes.saturating_sub(last.size_bytes());
            self.next_ordinal = last.ordinal;
        }
        if self.ready.len() < count {
            self.runs.truncate(self.next_ordinal);
            let last = self.ready.back().or_else(|| self.in_flight.back());
            let next = last.map_or(self.acked.source_next, |last| last.source_next);
            self.position = next.max(cut);
            self.last_fetched_epoch = -1;
        }
    }

    /// Source offsets from `cut` on that the target has, once the lane has turned.
    pub(crate) fn copied_from(&self, cut: SourceOffset) -> std::ops::Range<i64> {
        cut.0..self.acked.source_next.0.max(cut.0)
    }

    /// Goes on at `at` with the next ordinal; the map forgets the source offsets from `map_from` on. The source's log
    /// ends at `log_end`. Nothing may be under way.
    pub(crate) fn restart_at(
        &mut self,
        at: SourceOffset,
        map_from: SourceOffset,
        log_end: SourceOffset,
    ) {
        self.position = at;
        self.asked = SourceOffset(i64::MIN);
        self.last_fetched_epoch = -1;
        self.acked_epoch = -1;
        self.acked.source_next = at;
        self.runs = Runs::default();
        self.map.cut(map_from);
        self.map.advance(at, self.acked.target_next);
        self.map_start = self.map_start.filter(|start| *start < map_from);
        self.end = self.end.map(|end| end.min(log_end));
        self.must_check = false;
        self.status.set_position(at.0);
    }
}
