//! Bugs of a lane that tests plant (`forward::planted`): in a build without that feature nothing of this is left.

use forward::planted::{Bug, strikes};
use kafka_wire::record::BatchV2;

use super::{Lane, Outgoing};

impl Lane {
    /// The batch that travels as `outgoing`: its own.
    pub(super) fn batch_of<'a>(&'a self, outgoing: &'a Outgoing) -> &'a BatchV2 {
        match self.in_flight.back() {
            Some(before) if before.count == outgoing.count && strikes(Bug::ReusePayload) => {
                &before.batch
            }
            _ => &outgoing.batch,
        }
    }

    /// Lets the last two waiting batches change places.
    pub(super) fn swap_last_batches(&mut self) {
        let count = self.ready.len();
        if count < 2 || self.ready[count - 1].count != self.ready[count - 2].count {
            return;
        }
        if strikes(Bug::SwapBatches) {
            let last = self.ready[count - 1].batch.clone();
            let before = std::mem::replace(&mut self.ready[count - 2].batch, last);
            self.ready[count - 1].batch = before;
        }
    }
}
