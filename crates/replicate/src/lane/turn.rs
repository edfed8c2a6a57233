//! The source is not what was read any more: what is under way is settled first, then the lane turns.

use bytes::Bytes;
use forward::{Ordinal, Runs, SourceOffset};
use kafka_wire::Uuid;
use kafka_wire::record::{Batch, split};

use super::{Duty, Lane, Phase};
use crate::worker::Sign;

/// What a lane does once all that it read is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The source has not what it had from `cut` on; its log ends at `end` now. Unless that `is_certain`, content tells
    /// whether it lost more, or nothing when `cut` is all that was read.
    Parted { cut: SourceOffset, end: SourceOffset, is_certain: bool, sign: Sign },
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
        if let Turn::Parted { cut, .. } = turn {
            self.drop_from(cut);
        }
        if self.has_unsent_or_sent() {
            return None;
        }
        self.advance_position();
        self.turn = None;
        Some(turn)
    }

    /// What the source lost is counted from where the lane stands, and a journal may be an older copy: whether the target
    /// must be asked first. Then nothing is read until it has answered.
    pub(crate) fn must_open_first(&mut self) -> bool {
        self.awaits_opening = !self.was_opened && !self.epochs.is_empty();
        self.is_asking |= self.awaits_opening;
        self.awaits_opening
    }

    /// The target has answered. Whether the source was to be asked then.
    pub(crate) fn take_awaiting(&mut self) -> bool {
        self.is_asking &= !self.awaits_opening;
        std::mem::take(&mut self.awaits_opening)
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
            self.source_epochs.truncate(self.position);
        }
    }

    /// What was copied is to be compared with the source before more is read, if its brokers do not tell of changes.
    pub(crate) fn want_comparison(&mut self) {
        let has_copied = self.acked.ordinal > Ordinal(0) || self.has_unsent_or_sent();
        // There is no copy to compare the source with where a rule makes something else of it.
        self.must_compare = self.duty == Duty::Copy && has_copied;
    }

    /// Whether it is; `tells`: the source's broker tells of changes by itself.
    pub(crate) fn needs_comparison(&mut self, tells: bool) -> bool {
        let is_known = self.source_topic_id.is_some() && self.source_epochs.last() >= 0;
        self.must_compare &= !tells || !is_known;
        self.must_compare
    }

    /// The leader epoch of `records`, when it is another one than that of what was read and nobody has looked at its log.
    pub(crate) fn unknown_epoch(&self, records: &Bytes) -> Option<i32> {
        let next = split(records.clone()).map_while(Result::ok);
        let next = next.into_iter().find(|batch| batch.next_offset() > self.position.0)?;
        let Batch::V2(next) = next else { return None };
        let (epoch, last) = (next.header.partition_leader_epoch, self.source_epochs.last());
        (epoch >= 0 && last >= 0 && epoch != last && epoch != self.compared_epoch).then_some(epoch)
    }

    /// The source has what was copied; `epoch` is the last one that was seen there.
    pub(crate) fn compared(&mut self, epoch: i32) {
        self.must_compare = false;
        self.compared_epoch = epoch;
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
        self.source_epochs.truncate(map_from);
        self.acked.source_next = at;
        self.runs = Runs::default();
        self.outputs.era += u32::from(self.duty == Duty::Read);
        self.map.cut(map_from);
        self.map.advance(at, self.acked.target_next);
        self.map_start = self.map_start.filter(|start| *start < map_from);
        self.end = self.end.map(|end| end.min(log_end));
        self.must_check = false;
        self.must_compare = false;
        self.compared_epoch = -1;
        self.status.set_position(at.0);
    }
}
