//! Schemas that a rule lacks: records wait for them, and the task's registries are asked.

use std::time::Duration;

use etl::RecordError;
use kafka_wire::record::Record;
use tokio::time::sleep;

use super::State;
use crate::event::Event;
use crate::registry::{Away, Known, Unresolved};
use crate::spec::Transform;
use crate::worker::{Done, LaneId, Worker};

/// The pause before a registry that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// The cure where a task that is to end gives up.
const GIVEN_UP_CURE: &str = "see to the registry, then run again: the task goes on at this record";

impl Worker {
    /// Whether a record that failed waits for a schema, which is asked for then. Otherwise `error` says why there is none.
    pub(super) fn awaits_schema(
        &mut self,
        spec: &Transform,
        state: &mut State,
        lane: LaneId,
        record: &Record,
        error: &mut RecordError,
    ) -> bool {
        let Some(id) = error.missing_schema else { return false };
        let Some(registries) = spec.registries.as_ref().filter(|known| known.has_source()) else {
            return false;
        };
        let Some(reader) = state.readers.get_mut(&lane) else { return false };
        match registries.known(id) {
            Known::Refused(cause) => {
                error.cause = cause;
                return false;
            }
            // The rule has it and still lacks it: it is of no use to the step.
            Known::Yes if reader.awaited == Some((record.offset, id)) => return false,
            Known::Yes | Known::No => {}
        }
        reader.awaited = Some((record.offset, id));
        if state.asked.insert(id) {
            let spec = spec.clone();
            let topic = self.lanes[lane].key.source_topic.clone();
            self.start(async move {
                let result = match &spec.registries {
                    Some(registries) => registries.resolve(&spec.rule, id, &topic).await,
                    None => Ok(()),
                };
                if let Err(Unresolved::Away(_)) = &result {
                    sleep(PAUSE).await;
                }
                Done::Schema { id, result }
            });
        }
        true
    }

    /// A schema was asked for.
    pub(in crate::worker) fn schema_asked(&mut self, id: u32, result: Result<(), Unresolved>) {
        let Some(mut transforms) = self.transforms.take() else { return };
        let state = &mut transforms.state;
        state.asked.remove(&id);
        let waits = |lane: &LaneId| {
            let reader = &state.readers[lane];
            reader.holds_record() && reader.awaited.is_some_and(|(_, awaited)| awaited == id)
        };
        let waiting: Vec<LaneId> = state.readers.keys().copied().filter(waits).collect();
        let mut is_over = false;
        if let Err(Unresolved::Away(away)) = &result {
            let Away { registry, error, since, is_news } = away.as_ref();
            // A task that is to end does not wait for ever.
            is_over = self.ctx.denial_time_max.is_some_and(|max| since.elapsed() >= max);
            for lane in &waiting {
                let text = format!("the registry of the {registry} gives no schema: {error}");
                self.lanes[*lane].status.set_error(Some(text));
            }
            if *is_news {
                self.emit(Event::registry_unavailable(&self.ctx.task, away));
            }
        }
        for lane in &waiting {
            state.enqueue(*lane);
        }
        self.transforms = Some(transforms);
        if is_over {
            for lane in waiting {
                let cause = format!("the schema {id} has not come: its registry is away");
                self.stop_lane(lane, cause, GIVEN_UP_CURE);
            }
        }
    }
}
