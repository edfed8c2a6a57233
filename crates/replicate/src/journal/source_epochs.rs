//! Which leader epoch wrote which of the source offsets that a lane has read: by it two histories of a log are told apart.
//!
//! A leader epoch has one leader, so two logs that share an epoch share what it wrote, up to where the shorter of the
//! two ends it (KIP-101, KIP-320). The last epoch alone tells *that* the source's log is another one; where the two
//! part, after several elections, only the epochs before it tell.

use forward::SourceOffset;
use kafka_client::EpochEnd;
use serde::{Deserialize, Serialize};

/// Epochs kept per lane; what lies before them is compared by content.
pub const SOURCE_EPOCHS_MAX: usize = 32;

/// The beginning of what one leader epoch wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEpoch {
    /// The leader epoch; −1 when nobody can say.
    pub epoch: i32,
    /// The first source offset that was read of it.
    pub start: SourceOffset,
}

/// The leader epochs of what a lane has read, oldest first; each lasts until the next one begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceEpochs {
    list: Vec<SourceEpoch>,
}

impl SourceEpochs {
    /// Says that `epoch` wrote what was read from `start` on. True when that is a new one.
    pub(crate) fn note(&mut self, epoch: i32, start: SourceOffset) -> bool {
        if self.last() == epoch && !self.list.is_empty() {
            return false;
        }
        self.list.push(SourceEpoch { epoch, start });
        if self.list.len() > SOURCE_EPOCHS_MAX {
            self.list.remove(0);
        }
        true
    }

    /// Forgets what lies at `end` or behind it.
    pub(crate) fn truncate(&mut self, end: SourceOffset) {
        let kept = self.list.partition_point(|found| found.start < end);
        self.list.truncate(kept);
    }

    /// Forgets which epoch wrote the offset before `end`.
    pub(crate) fn forget(&mut self, end: SourceOffset) {
        self.truncate(end.plus(-1));
        self.note(-1, end.plus(-1));
    }

    /// The epoch of what was read last; −1 when it is not known.
    pub(crate) fn last(&self) -> i32 {
        self.list.last().map_or(-1, |last| last.epoch)
    }

    /// The epoch that wrote `offset`; −1 when it is not known.
    pub(crate) fn at(&self, offset: SourceOffset) -> i32 {
        let above = self.list.partition_point(|found| found.start <= offset);
        above.checked_sub(1).map_or(-1, |index| self.list[index].epoch)
    }

    /// Compares with the epochs of the source's log; what was read ends at `end`.
    pub(crate) fn walk(&self, end: SourceOffset) -> Walk {
        let mut epochs = self.clone();
        epochs.truncate(end);
        Walk { epochs, end }
    }
}

/// Goes back through a lane's epochs until the source's log has one of them as well.
#[derive(Debug)]
pub(crate) struct Walk {
    epochs: SourceEpochs,
    /// Where the two histories part at the latest.
    end: SourceOffset,
}

impl Walk {
    /// The epoch whose end the source is asked for; none when the epochs do not tell more.
    pub(crate) fn question(&self) -> Option<i32> {
        Some(self.epochs.last()).filter(|epoch| *epoch >= 0)
    }

    /// Where the histories part at the latest, as far as is known.
    pub(crate) fn end(&self) -> SourceOffset {
        self.end
    }

    /// Takes the answer to [`Walk::question`]: the largest epoch of the source not above the one asked for, and its end.
    /// Gives the offset where the histories part, once that is certain.
    pub(crate) fn answer(&mut self, found: EpochEnd) -> Option<SourceOffset> {
        let asked = self.question()?;
        if found.leader_epoch >= 0 {
            // Behind it the source has only what later epochs wrote.
            self.end = self.end.min(SourceOffset(found.end_offset));
        }
        if found.leader_epoch == asked {
            return Some(self.end);
        }
        let is_unknown = found.leader_epoch < 0;
        while let Some(last) = self.epochs.list.last().copied()
            && last.epoch > found.leader_epoch
        {
            self.end = self.end.min(last.start);
            self.epochs.list.pop();
            if is_unknown {
                // An epoch above all of the source's is not known, and says nothing about those before it.
                break;
            }
        }
        (found.leader_epoch >= 0 && self.epochs.last() == found.leader_epoch).then_some(self.end)
    }
}

#[cfg(test)]
mod tests;
