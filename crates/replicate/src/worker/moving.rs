//! Lanes that change workers.
//!
//! A lane that is to leave reads no more. Once all that it read is acknowledged, nothing on this worker knows of it: no request, no
//! question, no journal write that it waits for, and so nothing can come back for it. Then the lane itself is handed over, with its
//! producer and the next sequence, and goes on where it stood.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::denials::End;
use super::{Command, LaneId, Worker};
use crate::journal::LaneKey;
use crate::lane::{Duty, Lane};

/// The worker that lanes are to go to.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// Its number in the routes.
    pub(crate) worker: usize,
    /// Its inbox.
    pub(crate) commands: mpsc::UnboundedSender<Command>,
}

/// The lanes that are to leave, and where to.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeMap<LaneId, Destination>);

impl Worker {
    /// Begins to hand lanes over. Those that are not here, or stand still, stay where they are.
    pub(super) fn release(&mut self, lanes: &[LaneKey], destination: &Destination) {
        for key in lanes {
            let found = self.by_source.get(&*key.source_topic);
            let id = found.and_then(|lanes| lanes.get(&key.source_partition)).copied();
            if let Some(id) = id.filter(|id| self.lanes[*id].key.as_ref() == key) {
                self.lanes[id].is_leaving = true;
                self.leaving.0.insert(id, destination.clone());
            }
        }
    }

    /// Hands over those that nothing holds any more.
    pub(super) fn hand_over(&mut self) {
        if self.leaving.0.is_empty() || self.is_closing {
            return;
        }
        let is_free = |id: &LaneId| {
            let denied = [End::Source, End::Target].map(|end| self.denials.pause(*id, end));
            self.lanes[*id].may_leave() && denied == [None, None]
        };
        let free: Vec<LaneId> = self.leaving.0.keys().copied().filter(is_free).collect();
        for id in free {
            let Some(destination) = self.leaving.0.remove(&id) else { continue };
            self.lead_source(id, (-1, -1));
            let gone = self.lanes[id].gone();
            let mut lane = std::mem::replace(&mut self.lanes[id], gone);
            if let Some(lanes) = self.by_source.get_mut(&lane.source_name) {
                lanes.remove(&lane.key.source_partition);
            }
            lane.is_leaving = false;
            lane.is_queued = false;
            let key = lane.key.clone();
            match destination.commands.send(Command::Take(Box::new(lane))) {
                Ok(()) => self.ctx.routes.move_lane(&key, destination.worker),
                // That worker has failed, and with it the task.
                Err(mpsc::error::SendError(Command::Take(lane))) => _ = self.place(*lane),
                Err(_) => {}
            }
        }
    }

    /// Goes on with a lane that another worker had.
    pub(super) fn take_over(&mut self, lane: Lane) {
        let id = self.place(lane);
        self.open_if_needed(id);
        self.enqueue(id);
        self.note_state(id);
        self.source_metadata.want();
        self.target_metadata.want();
    }

    /// Makes a lane one of this worker's.
    pub(super) fn place(&mut self, mut lane: Lane) -> LaneId {
        let id = self.lanes.len();
        let slot = self.packed.slot_count();
        // Lanes of a topic share its names.
        if let Some((name, _)) = self.target_slots.get_key_value(&lane.target_name) {
            lane.target_name = name.clone();
        }
        if let Some((name, _)) = self.by_source.get_key_value(&lane.source_name) {
            lane.source_name = Arc::clone(name);
        }
        let slots = self.target_slots.entry(lane.target_name.clone()).or_default();
        lane.target_slot = *slots.entry(lane.key.target_partition).or_insert(slot);
        self.packed.make_slot(lane.target_slot);
        if lane.duty() != Duty::Write {
            let lanes = self.by_source.entry(Arc::clone(&lane.source_name)).or_default();
            lanes.insert(lane.key.source_partition, id);
        }
        self.lanes.push(lane);
        id
    }
}
