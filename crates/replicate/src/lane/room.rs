//! The room of a lane's batches: thousands of quiet lanes must not keep it, and busy ones must not allocate it for every batch.

use std::collections::VecDeque;

use super::{Lane, Outgoing};

/// Room for the batches of one lane.
#[derive(Debug, Default)]
pub(crate) struct Room {
    ready: VecDeque<Outgoing>,
    in_flight: VecDeque<Outgoing>,
}

impl Lane {
    /// Gives up the room of a lane that has nothing on its way.
    pub(crate) fn take_room(&mut self) -> Option<Room> {
        let has_room = self.ready.capacity() > 0 || self.in_flight.capacity() > 0;
        if !has_room || self.has_unsent_or_sent() {
            return None;
        }
        let (ready, in_flight) =
            (std::mem::take(&mut self.ready), std::mem::take(&mut self.in_flight));
        Some(Room { ready, in_flight })
    }

    /// Whether it would have to allocate for its next batch.
    pub(crate) fn lacks_room(&self) -> bool {
        self.ready.capacity() == 0 && self.in_flight.capacity() == 0
    }

    /// Takes room for what comes; only for a lane that [`Lane::lacks_room`].
    pub(crate) fn give_room(&mut self, room: Room) {
        (self.ready, self.in_flight) = (room.ready, room.in_flight);
    }
}
