//! Whether the log of a table's partition still is what was read of it.

use kafka_client::{Client, ClientError, TopicPartition};

/// Looks in a row that find an end before what was read, where leader epochs tell nothing: a leader may not know its end yet.
const SHORT_LOOKS_MAX: u32 = 3;

/// One partition of a table's topic, and up to where it was read.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// The next offset.
    pub(super) offset: i64,
    /// The leader epoch of the last batch, −1 if unknown.
    pub(super) epoch: i32,
    /// The end that was seen last.
    pub(super) end: i64,
    /// Whether records of it are among the rows.
    pub(super) is_begun: bool,
    /// The leader epoch under which all before `offset` is known to stand in the log.
    pub(super) sure_under: i32,
    short_looks: u32,
}

impl Partition {
    /// One of which nothing was read, to be read from `start` on.
    pub(super) fn new(start: i64) -> Self {
        Self {
            offset: start,
            epoch: -1,
            end: start,
            is_begun: false,
            sure_under: -1,
            short_looks: 0,
        }
    }

    /// Whether what was read of it is no longer there, as the leader of this epoch has it.
    pub(super) async fn is_lost(
        &mut self,
        client: &Client,
        at: &TopicPartition,
        leader_epoch: i32,
    ) -> Result<bool, ClientError> {
        let is_short = self.end < self.offset;
        if !self.is_begun || (leader_epoch == self.sure_under && !is_short) {
            self.sure_under = leader_epoch;
            self.short_looks = 0;
            return Ok(false);
        }
        if self.epoch >= 0 && leader_epoch >= 0 {
            let answer = match client.offsets_for_leader_epoch(vec![(at.clone(), self.epoch)]).await
            {
                Ok(mut answers) => answers.remove(at),
                Err(ClientError::Unsupported { .. }) => None,
                Err(error) => return Err(error),
            };
            match answer {
                Some(Ok(end)) if (0..self.offset).contains(&end.end_offset) => return Ok(true),
                // Asked again in the next round; nothing is taken until then.
                Some(Err(_)) => return Ok(false),
                _ => {}
            }
        }
        self.short_looks = if is_short { self.short_looks + 1 } else { 0 };
        if !is_short {
            self.sure_under = leader_epoch;
        }
        Ok(self.short_looks >= SHORT_LOOKS_MAX)
    }
}
