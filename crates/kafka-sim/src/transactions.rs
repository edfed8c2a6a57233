//! The transaction coordinator: producer ids under transactional ids, and the life of a transaction.
//!
//! EndTxn answers when the end is decided; markers come a little later, and until they all stand
//! the id is busy (CONCURRENT_TRANSACTIONS, P14). Source: `TransactionCoordinator`,
//! `TransactionMetadata` in Apache Kafka; KIP-98, KIP-360, KIP-890.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_wire::ErrorCode;

use crate::partition::Marker;

/// Where a transactional id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Ongoing,
    /// Decided; markers are being written.
    Preparing {
        commit: bool,
    },
    Complete {
        commit: bool,
    },
}

/// One transactional id.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    last_epoch: i16,
    pub(crate) phase: Phase,
    pub(crate) partitions: BTreeSet<(String, i32)>,
    /// Groups whose offsets this transaction commits.
    pub(crate) groups: BTreeSet<String>,
    pub(crate) timeout: Duration,
    /// Rises with every transaction, so that a timer knows its own.
    pub(crate) round: u64,
}

/// All transactional ids.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    known: BTreeMap<String, Transaction>,
}

/// A producer's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

/// What InitProducerId or EndTxn decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// Answer with this identity.
    Done(Identity),
    /// Answer so, and the markers of this id are to be written.
    WriteMarkers(Result<Identity, ErrorCode>),
}

const EPOCH_LAST: i16 = i16::MAX - 1;

impl Transactions {
    pub(crate) fn get(&self, id: &str) -> Option<&Transaction> {
        self.known.get(id)
    }

    /// As `transactional.id.expiration.ms` does with ids that had no transaction for that long.
    pub(crate) fn forget_idle(&mut self) {
        self.known.retain(|_, transaction| {
            matches!(transaction.phase, Phase::Ongoing | Phase::Preparing { .. })
        });
    }

    pub(crate) fn forget_topic(&mut self, name: &str) {
        for transaction in self.known.values_mut() {
            transaction.partitions.retain(|(topic, _)| topic != name);
        }
    }

    /// InitProducerId of a transactional id. `expected` is what the client believes it is (KIP-360).
    pub(crate) fn init(
        &mut self,
        id: &str,
        timeout: Duration,
        expected: Option<Identity>,
        allocate: impl FnOnce() -> i64,
    ) -> Result<Decided, ErrorCode> {
        let Some(transaction) = self.known.get_mut(id) else {
            let identity = Identity { producer_id: allocate(), producer_epoch: 0 };
            self.known.insert(id.to_owned(), Transaction::new(identity, timeout));
            return Ok(Decided::Done(identity));
        };
        if expected.is_some_and(|expected| expected.producer_id != transaction.producer_id) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match transaction.phase {
            Phase::Preparing { .. } => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Ongoing => {
                // Fence whoever began it; the client asks again and then gets the next epoch.
                transaction.raise_epoch();
                transaction.phase = Phase::Preparing { commit: false };
                Ok(Decided::WriteMarkers(Err(ErrorCode::CONCURRENT_TRANSACTIONS)))
            }
            Phase::Empty | Phase::Complete { .. } => {
                transaction.timeout = timeout;
                transaction.next_identity(expected, allocate).map(Decided::Done)
            }
        }
    }

    /// Adds partitions to the transaction; `true` when this began it.
    pub(crate) fn add_partitions(
        &mut self,
        id: &str,
        identity: Identity,
        partitions: impl IntoIterator<Item = (String, i32)>,
    ) -> Result<bool, ErrorCode> {
        let transaction = self.owned(id, identity)?;
        if matches!(transaction.phase, Phase::Preparing { .. }) {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        transaction.partitions.extend(partitions);
        Ok(transaction.begin())
    }

    /// Adds a group whose offsets are to be committed; `true` when this began the transaction.
    pub(crate) fn add_group(
        &mut self,
        id: &str,
        identity: Identity,
        group: &str,
    ) -> Result<bool, ErrorCode> {
        let transaction = self.owned(id, identity)?;
        if matches!(transaction.phase, Phase::Preparing { .. }) {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        transaction.groups.insert(group.to_owned());
        Ok(transaction.begin())
    }

    /// EndTxn. With `bump` (v5, KIP-890) the epoch rises with the end.
    pub(crate) fn end(
        &mut self,
        id: &str,
        identity: Identity,
        commit: bool,
        bump: bool,
    ) -> Result<Decided, ErrorCode> {
        if bump && let Some(answer) = self.retried_end(id, identity, commit) {
            return answer;
        }
        let transaction = self.owned(id, identity)?;
        match transaction.phase {
            Phase::Ongoing => {}
            Phase::Empty | Phase::Complete { .. } if bump && !commit => {}
            Phase::Complete { commit: done } if done == commit && !bump => {
                return Ok(Decided::Done(transaction.identity()));
            }
            Phase::Preparing { commit: done } if done == commit => {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        if bump {
            transaction.raise_epoch();
        }
        transaction.phase = Phase::Preparing { commit };
        Ok(Decided::WriteMarkers(Ok(transaction.identity())))
    }

    /// A repeated EndTxn v5 still carries the epoch before.
    fn retried_end(
        &self,
        id: &str,
        identity: Identity,
        commit: bool,
    ) -> Option<Result<Decided, ErrorCode>> {
        let transaction = self.known.get(id)?;
        let before = transaction.producer_id == identity.producer_id
            && identity.producer_epoch.checked_add(1) == Some(transaction.producer_epoch);
        match transaction.phase {
            Phase::Complete { commit: done } if before && done == commit => {
                Some(Ok(Decided::Done(transaction.identity())))
            }
            Phase::Preparing { commit: done } if before && done == commit => {
                Some(Err(ErrorCode::CONCURRENT_TRANSACTIONS))
            }
            _ => None,
        }
    }

    /// Aborts a transaction that outlived its timeout, fencing its producer; `true` when it did.
    pub(crate) fn time_out(&mut self, id: &str, round: u64) -> bool {
        match self.known.get_mut(id) {
            Some(transaction)
                if transaction.phase == Phase::Ongoing && transaction.round == round =>
            {
                transaction.raise_epoch();
                transaction.phase = Phase::Preparing { commit: false };
                true
            }
            _ => false,
        }
    }

    /// The markers that are still to be written, with where.
    pub(crate) fn pending_markers(&self, id: &str) -> Option<(Marker, Vec<(String, i32)>)> {
        let transaction = self.known.get(id)?;
        let Phase::Preparing { commit } = transaction.phase else { return None };
        let marker = Marker {
            producer_id: transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
            coordinator_epoch: 0,
            commit,
        };
        Some((marker, transaction.partitions.iter().cloned().collect()))
    }

    /// A marker stands (or its partition is gone). Completes the transaction with the last one, and names
    /// the groups whose pending offsets are now decided.
    pub(crate) fn marker_written(&mut self, id: &str, topic: &str, partition: i32) {
        if let Some(transaction) = self.known.get_mut(id) {
            transaction.partitions.remove(&(topic.to_owned(), partition));
        }
    }

    /// Ends the marker phase when no marker is missing; gives the groups to settle.
    pub(crate) fn try_complete(&mut self, id: &str) -> Option<BTreeSet<String>> {
        let transaction = self.known.get_mut(id)?;
        let Phase::Preparing { commit } = transaction.phase else { return None };
        if !transaction.partitions.is_empty() {
            return None;
        }
        transaction.phase = Phase::Complete { commit };
        Some(std::mem::take(&mut transaction.groups))
    }

    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED.
    pub(crate) fn owned(
        &mut self,
        id: &str,
        identity: Identity,
    ) -> Result<&mut Transaction, ErrorCode> {
        let transaction = self.known.get_mut(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        if transaction.producer_id != identity.producer_id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if transaction.producer_epoch != identity.producer_epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        Ok(transaction)
    }
}

impl Transaction {
    fn new(identity: Identity, timeout: Duration) -> Self {
        Self {
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            last_epoch: -1,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            timeout,
            round: 0,
        }
    }

    fn identity(&self) -> Identity {
        Identity { producer_id: self.producer_id, producer_epoch: self.producer_epoch }
    }

    fn begin(&mut self) -> bool {
        let begins = self.phase != Phase::Ongoing;
        if begins {
            self.phase = Phase::Ongoing;
            self.round += 1;
        }
        begins
    }

    fn raise_epoch(&mut self) {
        self.last_epoch = self.producer_epoch;
        self.producer_epoch = self.producer_epoch.saturating_add(1);
    }

    fn next_identity(
        &mut self,
        expected: Option<Identity>,
        allocate: impl FnOnce() -> i64,
    ) -> Result<Identity, ErrorCode> {
        match expected {
            // A repeated request after its answer was lost.
            Some(expected) if expected.producer_epoch == self.last_epoch => {
                return Ok(self.identity());
            }
            Some(expected) if expected.producer_epoch != self.producer_epoch => {
                return Err(ErrorCode::PRODUCER_FENCED);
            }
            _ => {}
        }
        self.raise_epoch();
        if self.producer_epoch > EPOCH_LAST {
            *self =
                Self::new(Identity { producer_id: allocate(), producer_epoch: 0 }, self.timeout);
        } else if expected.is_none() {
            self.last_epoch = -1;
        }
        self.phase = Phase::Empty;
        Ok(self.identity())
    }
}
