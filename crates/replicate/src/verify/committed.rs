//! Which batches a reader of committed records sees.

use std::collections::BTreeSet;

use kafka_wire::record::{Batch, BatchError, ControlKind};

/// The consumer's rule of KIP-98, written once more so that the copy is not judged by its own code.
#[derive(Debug)]
pub struct CommittedFilter {
    /// Aborted transactions still to come as (producer id, first offset), the next one last.
    ahead: Vec<(i64, i64)>,
    /// Producers whose transaction under way will be aborted.
    aborting: BTreeSet<i64>,
}

/// What a batch is to a reader of committed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Records that it reads.
    Committed,
    /// Records of an aborted transaction.
    Aborted,
    /// A transaction marker.
    Control,
}

impl CommittedFilter {
    /// A filter for one answer with its aborted transactions, as (producer id, first offset).
    #[must_use]
    pub fn new(mut aborted: Vec<(i64, i64)>) -> Self {
        aborted.sort_by_key(|(_, first_offset)| std::cmp::Reverse(*first_offset));
        Self { ahead: aborted, aborting: BTreeSet::new() }
    }

    /// The next batch of the answer; each one must be shown, in order.
    ///
    /// # Errors
    /// A transaction marker that cannot be read.
    pub fn see(&mut self, batch: &Batch) -> Result<Seen, BatchError> {
        let Batch::V2(batch) = batch else { return Ok(Seen::Committed) };
        let header = &batch.header;
        while let Some((producer_id, _)) =
            self.ahead.pop_if(|(_, first_offset)| *first_offset <= header.last_offset())
        {
            self.aborting.insert(producer_id);
        }
        if header.attributes.is_control() {
            if batch.control()?.is_some_and(|control| control.kind == ControlKind::Abort) {
                self.aborting.remove(&header.producer_id);
            }
            return Ok(Seen::Control);
        }
        let is_aborted =
            header.attributes.is_transactional() && self.aborting.contains(&header.producer_id);
        Ok(if is_aborted { Seen::Aborted } else { Seen::Committed })
    }
}
