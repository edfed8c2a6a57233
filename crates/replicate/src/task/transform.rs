//! What is different where a rule makes something else of the records: one lane reads each source partition, others write.

use std::time::Duration;

use tokio::time::sleep;

use super::{DENIAL_TIME_MAX, Running, Task, TaskError};
use crate::event::Event;
use crate::journal::{JournalWrite, LaneKey, LaneRecord};
use crate::lane::Duty;
use crate::registry::Unresolved;
use crate::worker::RecordFailure;

/// The journal's note of which kind of task it belongs to.
const KIND: &str = "kind";
const COPY: &str = "copies records as they are";
const TRANSFORM: &str = "processes records by a rule";

/// The pause before a registry that did not answer is asked again.
const REGISTRY_PAUSE: Duration = Duration::from_secs(1);

/// The target partition of a lane that only reads.
pub(super) const NO_PARTITION: i32 = -1;

/// Makes sure that the state is that of a task of this kind.
pub(super) async fn check_kind(task: &Task) -> Result<(), TaskError> {
    let is_transform = task.spec.transform.is_some();
    let noted = task.journal.load_note(KIND.to_owned()).await?;
    let is_new = noted.is_none();
    let was_transform = match noted {
        Some(_) => true,
        // Tasks that copy leave no note.
        None if task.journal.load_lanes().await?.is_empty() => is_transform,
        None => false,
    };
    let name = |is_transform| if is_transform { TRANSFORM } else { COPY };
    if was_transform != is_transform {
        return Err(TaskError::OtherKind { had: name(was_transform), has: name(is_transform) });
    }
    if is_transform && is_new {
        let note = JournalWrite::Note { name: KIND.to_owned(), value: "transform".to_owned() };
        task.journal.write(vec![note]).await?;
    }
    Ok(())
}

/// Gets the schema that outputs are written by, and waits for its registry. A task that is to end does so for a while.
pub(super) async fn fetch_schema(task: &Task) -> Result<(), TaskError> {
    let Some(transform) = &task.spec.transform else { return Ok(()) };
    let Some(registries) = &transform.registries else { return Ok(()) };
    loop {
        let away = match registries.fetch_target(&transform.rule).await {
            Ok(()) => return Ok(()),
            Err(Unresolved::Refused { cause, cure }) => {
                return Err(TaskError::Registry { cause, cure });
            }
            Err(Unresolved::Away(away)) => away,
        };
        if task.spec.once && away.since.elapsed() >= DENIAL_TIME_MAX {
            let (cause, cure) = (away.error.to_string(), away.error.cure());
            return Err(TaskError::Registry { cause, cure });
        }
        if away.is_news {
            (task.sink)(Event::registry_unavailable(&task.spec.name, &away));
        }
        sleep(REGISTRY_PAUSE).await;
    }
}

/// The error of a task that ended at a record.
pub(super) fn ended_by(failure: &RecordFailure) -> TaskError {
    let RecordFailure { topic, partition, offset, cause } = failure.clone();
    TaskError::Record { topic, partition, offset, cause }
}

impl Running {
    /// Waits for the tables of the rule, and shows meanwhile how far they have come.
    pub(super) async fn read_tables(&mut self) -> Result<(), TaskError> {
        let mut progress = super::every(super::PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                biased;
                read = self.tables.read() => return read,
                _ = progress.tick() => self.publish(),
            }
        }
    }

    /// What the lanes of source partitions do.
    pub(super) fn duty(&self) -> Duty {
        if self.task.spec.transform.is_some() { Duty::Read } else { Duty::Copy }
    }

    /// The first worker; where records are processed as many as there may be, since their lanes stay where they are.
    pub(super) fn start_first_workers(&mut self, lanes: usize) -> Result<(), TaskError> {
        if !self.workers.is_empty() {
            return Ok(());
        }
        let count = match self.task.spec.transform {
            Some(_) => self.task.spec.limits.concurrency_max.min(cores()).min(lanes),
            None => 1,
        };
        for _ in 0..count.max(1) {
            self.start_worker()?;
        }
        Ok(())
    }

    /// The lanes that write what was made of a source partition, as the journal knows them.
    pub(super) fn take_writers(&mut self, reader: &LaneKey) -> Vec<LaneRecord> {
        let first =
            LaneKey { target_topic: String::new(), target_partition: i32::MIN, ..reader.clone() };
        let is_of = |key: &LaneKey| {
            (&key.source_topic, key.source_partition)
                == (&reader.source_topic, reader.source_partition)
        };
        let keys: Vec<LaneKey> = self
            .journaled
            .range(first..)
            .map(|(key, _)| key)
            .take_while(|key| is_of(key))
            .filter(|key| key.target_partition != NO_PARTITION)
            .cloned()
            .collect();
        keys.iter().filter_map(|key| self.journaled.remove(key)).collect()
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
