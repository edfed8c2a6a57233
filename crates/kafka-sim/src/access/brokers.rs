//! Brokers, leaders, faults and rights from behind.

use kafka_client::Acl;
use kafka_wire::ErrorCode;

use super::AccessError;
use crate::cluster::Cluster;
use crate::faults::Fault;
use crate::permissions::{Operation, Resource};

/// Batches behind the high watermark that a fresh leader believes in.
const HIDDEN_BATCHES: usize = 3;

/// Brokers, leaders, faults and rights.
impl Cluster {
    /// Ids of all brokers.
    #[must_use]
    pub fn broker_ids(&self) -> Vec<i32> {
        self.state().brokers.keys().copied().collect()
    }

    /// Kills a broker: its connections are cut, its partitions get other leaders where they can.
    pub fn kill_broker(&self, id: i32) {
        self.state().kill_broker(id);
        self.elect_later();
    }

    /// Starts a killed broker.
    pub fn start_broker(&self, id: i32) {
        self.state().start_broker(id, self.now_ms(), self.expiry());
    }

    /// Lets a broker sleep (connections stay, nothing is answered) or wake up.
    pub fn pause_broker(&self, id: i32, paused: bool) {
        if let Some(broker) = self.state().brokers.get(&id) {
            broker.paused.update(|known| *known = paused);
        }
    }

    /// Cuts all connections of a broker; it goes on accepting new ones.
    pub fn cut_connections(&self, id: i32) {
        if let Some(broker) = self.state().brokers.get(&id) {
            broker.cut_connections();
        }
    }

    /// The leader of a partition, if it has one.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.state().partition(topic, partition).ok()?.leader
    }

    /// Makes another broker leader, in a new epoch; it becomes a replica if it was none.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<(), AccessError> {
        self.with(topic, partition, |found| {
            for list in [&mut found.replicas, &mut found.isr] {
                if !list.contains(&broker) {
                    list.push(broker);
                }
            }
            found.lead(broker);
        })
    }

    /// Keeps the high watermark at or below `offset` (`None`: lets it go), as a slow follower does.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn hold_high_watermark(
        &self,
        topic: &str,
        partition: i32,
        offset: Option<i64>,
    ) -> Result<(), AccessError> {
        self.with(topic, partition, |found| {
            found.high_watermark_held = offset;
            found.wake_all();
        })
    }

    /// Lets ListOffsets answer OFFSET_NOT_AVAILABLE, and Fetch stop before the last few batches, as a fresh leader does (P15).
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn hide_offsets(
        &self,
        topic: &str,
        partition: i32,
        hidden: bool,
    ) -> Result<(), AccessError> {
        self.with(topic, partition, |found| {
            found.offsets_unavailable = hidden;
            let end = found.high_watermark();
            let committed = found.log.entries().rev().filter(|entry| entry.last_offset < end);
            let known = committed.take(HIDDEN_BATCHES).last().map(|entry| entry.base_offset);
            found.fetch_bound = known.filter(|_| hidden);
            found.wake_all();
        })
    }

    /// Sets the in-sync replicas: below `min.insync.replicas` produces with acks=all are refused (P19).
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn set_isr(&self, topic: &str, partition: i32, isr: &[i32]) -> Result<(), AccessError> {
        self.with(topic, partition, |found| isr.clone_into(&mut found.isr))
    }

    /// Adds a fault; faults act in the order they were added.
    pub fn add_fault(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Refuses the next produces to a partition with this code, without looking at them.
    pub fn refuse_produce(&self, topic: &str, partition: i32, code: ErrorCode, times: u32) {
        self.state().faults.refuse_produce(topic, partition, code, times);
    }

    /// Forgets all transactional ids without an open transaction, as the coordinator does after
    /// `transactional.id.expiration.ms` (7 days): the next InitProducerId answers a new producer id.
    pub fn expire_transactional_ids(&self) {
        self.state().transactions.forget_idle();
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Denies an operation to a user (`*`: to everybody; `ANONYMOUS`: to those without SASL).
    pub fn deny(&self, user: &str, operation: Operation, resource: Resource) {
        self.state().permissions.deny(user, operation, resource);
    }

    /// The ACLs of the cluster, in order.
    #[must_use]
    pub fn acls(&self) -> Vec<Acl> {
        self.state().acls.known.iter().cloned().collect()
    }

    /// Makes an ACL, as somebody with a tool does.
    pub fn add_acl(&self, acl: Acl) {
        self.state().acls.known.insert(acl);
    }

    /// Removes an ACL; `false` when there was none.
    pub fn remove_acl(&self, acl: &Acl) -> bool {
        self.state().acls.known.remove(acl)
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        self.state().permissions.allow_all();
    }
}
