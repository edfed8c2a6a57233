//! Which batches of a fetch response belong to aborted transactions.

use std::collections::{BTreeSet, VecDeque};

use kafka_wire::record::BatchHeader;

/// The aborted transactions of one fetch response, applied batch by batch.
///
/// The response lists (producer id, first offset) of each aborted transaction that overlaps it. From
/// that offset on, the producer's transactional batches are aborted, until its abort marker; its batches before
/// are valid (BF-19).
///
/// # Source
/// KIP-98; `CompletedFetch` in Apache Kafka's consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbortedFilter {
    /// Transactions not yet reached, by first offset.
    ahead: VecDeque<(i64, i64)>,
    /// Producers inside an aborted transaction.
    active: BTreeSet<i64>,
}

impl AbortedFilter {
    /// The filter for a response that lists these (producer id, first offset) pairs, in any order.
    /// An empty list passes everything, as read_uncommitted wants it.
    #[must_use]
    pub fn new(aborted: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut ahead: Vec<_> =
            aborted.into_iter().map(|(producer_id, first)| (first, producer_id)).collect();
        ahead.sort_unstable();
        Self { ahead: ahead.into(), active: BTreeSet::new() }
    }

    /// Takes note of the next batch; says whether its records are aborted.
    pub(super) fn handle_batch(&mut self, header: &BatchHeader) -> bool {
        if header.producer_id < 0 {
            return false;
        }
        while let Some((first_offset, producer_id)) = self.ahead.front().copied()
            && first_offset <= header.last_offset()
        {
            self.ahead.pop_front();
            self.active.insert(producer_id);
        }
        header.attributes.is_transactional()
            && !header.attributes.is_control()
            && self.active.contains(&header.producer_id)
    }

    /// Takes note of an abort marker: the producer's aborted transaction ends with it.
    pub(super) fn handle_abort(&mut self, producer_id: i64) {
        self.active.remove(&producer_id);
    }
}
