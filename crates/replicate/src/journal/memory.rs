//! A journal that lives as long as the process: for tests, and for demos that keep nothing.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forward::{Segment, SourceOffset};

use super::{
    Claim, GroupRecord, Journal, JournalFuture, JournalWrite, LaneKey, LaneRecord, MapQuery,
    TaskIdentity, TopicRecord,
};

/// A journal in memory. Clones share their contents, so that a test can "restart" a task on them.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    identity: Option<TaskIdentity>,
    lanes: BTreeMap<LaneKey, LaneRecord>,
    topics: BTreeMap<String, TopicRecord>,
    groups: BTreeMap<String, GroupRecord>,
    notes: BTreeMap<String, String>,
    maps: BTreeMap<LaneKey, BTreeMap<SourceOffset, Segment>>,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, write: JournalWrite) {
        match write {
            JournalWrite::Lane(record) => {
                self.lanes.insert(record.lane.clone(), *record);
            }
            JournalWrite::Segments { lane, segments } => {
                let map = self.maps.entry(lane).or_default();
                map.extend(segments.into_iter().map(|segment| (segment.source_start, segment)));
            }
            JournalWrite::CutMap { lane, from } => {
                let map = self.maps.entry(lane).or_default();
                map.retain(|start, _| *start < from);
                if let Some((_, last)) = map.iter_mut().next_back() {
                    last.len = last.len.min(from.since(last.source_start));
                }
            }
            JournalWrite::Topic(record) => {
                self.topics.insert(record.source_topic.clone(), record);
            }
            JournalWrite::Note { name, value } => {
                self.notes.insert(name, value);
            }
            JournalWrite::Group(record) => {
                self.groups.insert(record.group.clone(), record);
            }
            JournalWrite::RemoveLane(lane) => {
                self.lanes.remove(&lane);
                self.maps.remove(&lane);
            }
        }
    }

    fn query(&self, lane: &LaneKey, query: MapQuery) -> Option<Segment> {
        let map = self.maps.get(lane)?;
        match query {
            MapQuery::Source(offset) => {
                let before = map
                    .range((Unbounded, Included(offset)))
                    .next_back()
                    .map(|(_, segment)| segment);
                let holding = before.filter(|segment| segment.source_end() > offset);
                holding.or_else(|| {
                    map.range((Included(offset), Unbounded)).next().map(|(_, segment)| segment)
                })
            }
            MapQuery::Target(offset) => map.values().find(|segment| segment.target_end() > offset),
        }
        .copied()
    }
}

/// A future that is done.
fn ready<'a, T: Send + 'a>(result: Result<T, super::JournalError>) -> JournalFuture<'a, T> {
    Box::pin(std::future::ready(result))
}

impl Journal for MemoryJournal {
    fn claim(&self, identity: TaskIdentity) -> JournalFuture<'_, Claim> {
        let mut state = self.state();
        let claim = match &state.identity {
            Some(stored) => stored.check(&identity).map(|()| Claim::Continued),
            None => Ok(Claim::New),
        };
        if matches!(claim, Ok(Claim::New)) {
            state.identity = Some(identity);
        }
        ready(claim)
    }

    fn load_identity(&self) -> JournalFuture<'_, Option<TaskIdentity>> {
        ready(Ok(self.state().identity.clone()))
    }

    fn write(&self, writes: Vec<JournalWrite>) -> JournalFuture<'_, ()> {
        let mut state = self.state();
        writes.into_iter().for_each(|write| state.apply(write));
        ready(Ok(()))
    }

    fn load_lanes(&self) -> JournalFuture<'_, Vec<LaneRecord>> {
        ready(Ok(self.state().lanes.values().cloned().collect()))
    }

    fn load_topics(&self) -> JournalFuture<'_, Vec<TopicRecord>> {
        ready(Ok(self.state().topics.values().cloned().collect()))
    }

    fn load_groups(&self) -> JournalFuture<'_, Vec<GroupRecord>> {
        ready(Ok(self.state().groups.values().cloned().collect()))
    }

    fn load_note(&self, name: String) -> JournalFuture<'_, Option<String>> {
        ready(Ok(self.state().notes.get(&name).cloned()))
    }

    fn load_map(&self, lane: LaneKey, count_max: usize) -> JournalFuture<'_, (Vec<Segment>, bool)> {
        let state = self.state();
        let segments: Vec<_> =
            state.maps.get(&lane).into_iter().flat_map(|map| map.values().copied()).collect();
        let skipped = segments.len().saturating_sub(count_max);
        ready(Ok((segments[skipped..].to_vec(), skipped > 0)))
    }

    fn query_map(&self, lane: LaneKey, query: MapQuery) -> JournalFuture<'_, Option<Segment>> {
        ready(Ok(self.state().query(&lane, query)))
    }
}
