//! The journal: what must be durable before a batch is sent, what is worth remembering once a second, and
//! the last word.

use std::sync::Arc;

use forward::SourceOffset;
use forward::planted::{Bug, has, strikes};
use tokio::time::Instant;

use super::{Done, LaneId, SHUTDOWN_TIMEOUT, Worker};
use crate::journal::{JournalError, JournalWrite, LaneKey};
use crate::lane::{Barrier, Lane, Phase};

impl Worker {
    /// Writes the records of those lanes that wait for it, in one go: one journal write per fetch answer.
    pub(super) fn journal_new_runs(&mut self, lanes: &[LaneId]) {
        let mut writes = Vec::new();
        let mut barriers = Vec::new();
        for id in lanes {
            let lane = &mut self.lanes[*id];
            // A lane without a producer yet has sent nothing; its record is written when it gets one.
            if lane.phase == Phase::Stopped || lane.epochs().is_empty() {
                continue;
            }
            let waiting = lane.take_barriers();
            if !waiting.is_empty() {
                push_lane(&mut writes, lane, false);
                if has(Bug::JournalAfterSend) {
                    waiting.iter().for_each(|barrier| lane.journal_done(*barrier));
                }
                barriers.extend(waiting.into_iter().map(|barrier| (*id, barrier)));
            }
        }
        self.write(writes, barriers);
    }

    fn write(&mut self, writes: Vec<JournalWrite>, barriers: Vec<(LaneId, Barrier)>) {
        if writes.is_empty() {
            return;
        }
        let journal = Arc::clone(&self.ctx.journal);
        self.journal_writes += 1;
        // A later snapshot of a lane must not be overtaken by an earlier one.
        self.start_in_order(async move {
            Done::Journaled { barriers, result: journal.write(writes).await }
        });
    }

    pub(super) fn journaled(
        &mut self,
        barriers: Vec<(LaneId, Barrier)>,
        result: Result<(), JournalError>,
    ) {
        self.journal_writes = self.journal_writes.saturating_sub(1);
        if let Err(error) = result {
            self.journal_error.get_or_insert(error);
            return;
        }
        for (id, barrier) in barriers {
            self.lanes[id].journal_done(barrier);
            self.enqueue(id);
        }
    }

    /// Journals the progress of all lanes that made some.
    pub(super) fn flush(&mut self) {
        self.unflushed_bytes = 0;
        let writes = self.changes(|_| false);
        self.write(writes, Vec::new());
    }

    /// Journals in one write what a lane has and what `change` makes of it, with the offset map forgotten from `map_from` on.
    pub(super) fn journal_restart(
        &mut self,
        id: LaneId,
        map_from: SourceOffset,
        change: impl FnOnce(&mut Lane),
    ) {
        let lane = &mut self.lanes[id];
        let is_settled = lane.epochs().is_empty();
        let mut writes = Vec::new();
        push_lane(&mut writes, lane, is_settled);
        change(lane);
        writes.push(JournalWrite::CutMap { lane: LaneKey::clone(&lane.key), from: map_from });
        push_lane(&mut writes, lane, is_settled);
        self.write(writes, Vec::new());
    }

    /// The records and map segments of lanes that changed; `settled` says whether a lane is closed.
    fn changes(&mut self, mut settled: impl FnMut(&mut Lane) -> bool) -> Vec<JournalWrite> {
        let mut writes = Vec::new();
        for lane in &mut self.lanes {
            let was_journaled_unsettled = !lane.epochs().is_empty();
            let is_settled = settled(lane);
            if lane.has_progressed() || is_settled && was_journaled_unsettled {
                // A lane that never sent anything has nothing to be asked about.
                let is_settled = is_settled || lane.epochs().is_empty();
                push_lane(&mut writes, lane, is_settled);
            }
        }
        writes
    }

    /// Lets answers under way arrive for a while, then writes the last word.
    pub(super) async fn close(mut self) -> Result<(), JournalError> {
        self.is_closing = true;
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        while self.lanes.iter().any(Lane::is_waiting_for_answers) {
            if !self.end_next(Some(deadline)).await {
                break;
            }
        }
        // The last word may be that there is nothing to add: then what is being written is the last one.
        while self.journal_writes > 0 && self.end_next(None).await {}
        if let Some(error) = self.journal_error.take() {
            return Err(error);
        }
        let writes = self.changes(Lane::close);
        if writes.is_empty() {
            return Ok(());
        }
        self.ctx.journal.write(writes).await
    }
}

/// The lane's record as it stands, and the map segments of the records that it calls acknowledged. A restart reads the
/// target from there on: what lies before is in the journal's map, or in none.
fn push_lane(writes: &mut Vec<JournalWrite>, lane: &mut Lane, is_settled: bool) {
    let segments = lane.drain_map();
    writes.push(JournalWrite::Lane(Box::new(lane.record(is_settled))));
    if !segments.is_empty() && !strikes(Bug::LoseSegments) {
        writes.push(JournalWrite::Segments { lane: LaneKey::clone(&lane.key), segments });
    }
}
