//! What a lane knows of one source offset, for consumer groups.

use forward::{Lookup, SourceOffset, TargetOffset};

use super::Lane;

/// Where a source offset lies on the target, as far as the lane's memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translated {
    /// The target offset of the first copied record at or after it.
    At(TargetOffset),
    /// All copied records lie before it: the target offset that the next one gets at the earliest.
    End(TargetOffset),
    /// Nothing was sent yet and nothing is known of the target's end.
    Empty,
    /// It lies beyond what the target has acknowledged.
    Beyond,
    /// The journal knows the record; when it has none at or after the offset, it is this one. Without one the journal
    /// has not been told yet.
    Journaled(Option<TargetOffset>),
}

impl Lane {
    /// Translates a committed source offset. What is under way without an acknowledgement does not count.
    pub(crate) fn translate(&self, source: SourceOffset) -> Translated {
        if source > self.acked.source_next {
            return Translated::Beyond;
        }
        let first = self.map.segments().next();
        let is_empty = first.is_none() && self.acked.target_next.0 < 0;
        if is_empty && self.acked.ordinal.0 == 0 {
            // Once batches were sent, the target's end may lie behind some of them.
            let is_unsent = self.epochs.is_empty();
            return if is_unsent { Translated::Empty } else { Translated::Beyond };
        }
        if source == self.acked.source_next {
            return Translated::End(self.acked.target_next);
        }
        match first {
            Some(first) if source >= first.source_start => match self.map.translate(source) {
                Lookup::At(target) if target >= self.acked.target_next => {
                    Translated::End(self.acked.target_next)
                }
                Lookup::At(target) => Translated::At(target),
                // Behind the last record lies what needed no copying, which the map does not hear of.
                Lookup::Beyond => Translated::End(self.acked.target_next),
                Lookup::Evicted => Translated::Journaled(Some(first.target_start)),
            },
            _ if self.map.evicted_end().is_some_and(|end| source < end) => {
                Translated::Journaled(None)
            }
            first => Translated::Journaled(Some(
                first.map_or(self.acked.target_next, |segment| segment.target_start),
            )),
        }
    }
}
