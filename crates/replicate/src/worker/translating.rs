//! Answers to those who ask where source offsets lie on the target.

use forward::SourceOffset;

use super::Worker;
use crate::journal::LaneKey;
use crate::lane::Translated;

impl Worker {
    /// One answer per question; none where the lane is not this worker's.
    pub(super) fn translate(&self, asked: &[(LaneKey, SourceOffset)]) -> Vec<Option<Translated>> {
        let answer = |(key, offset): &(LaneKey, SourceOffset)| {
            let id = self.by_source.get(&*key.source_topic)?.get(&key.source_partition)?;
            let lane = self.lanes.get(*id).filter(|lane| *lane.key == *key)?;
            Some(lane.translate(*offset))
        };
        asked.iter().map(answer).collect()
    }
}
