//! What tables that follow topics mean for records that were on their way when the process died (ADR 0021).

use forward::SourceOffset;

use super::{Reader, State};
use crate::event::Event;
use crate::lane::Lane;
use crate::spec::Transform;
use crate::worker::{LaneId, Worker};

impl Reader {
    /// Up to where the target has anything that was made of records behind the position of `lane`, its reader.
    fn written_ahead(&self, lane: &Lane) -> Option<SourceOffset> {
        let is_of_now = |place: &crate::journal::SourcePlace| place.era == lane.era();
        let places = self.outlets.values().filter_map(|outlet| outlet.written);
        let places = places.map(|(place, _)| place).filter(is_of_now);
        let end =
            places.map(|place| SourceOffset(place.offset.0 + i64::from(place.part > 0))).max();
        end.filter(|end| *end > lane.acked().source_next)
    }
}

impl Worker {
    /// Says of which records it is not sure that they come once: the target has something that was made of some of them, and with
    /// other tables something else, for another partition, may be made now.
    pub(super) fn tell_uncertain(&self, spec: &Transform, state: &State, id: LaneId) {
        if !spec.tables_decide_places() {
            return;
        }
        let lane = &self.lanes[id];
        let Some(end) = state.readers.get(&id).and_then(|reader| reader.written_ahead(lane)) else {
            return;
        };
        self.emit(Event::OutputsUncertain {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            partition: lane.key.source_partition,
            offsets: lane.acked().source_next.0..end.0,
        });
    }
}
