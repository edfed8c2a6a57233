//! What events told, remembered for the oracle the moment they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt as _;
use replicate::event::Event;
use replicate::journal::Journal as _;
use replicate::spec::StartPosition;

use crate::group_story::QUIET;
use crate::history::{At, LaneStory};
use crate::oracle::{Finding, Kind};
use crate::world::World;

/// What the events told, by source partition.
#[derive(Debug, Default)]
pub(crate) struct Stories {
    pub(crate) lanes: BTreeMap<At, LaneStory>,
    /// Last stable offsets when the life began.
    pub(crate) at_birth: BTreeMap<At, i64>,
    /// Where the logs began then.
    pub(crate) starts_at_birth: BTreeMap<At, i64>,
    /// Partitions that were made when the task was at work already: copied from their beginning.
    pub(crate) late: BTreeSet<At>,
    /// Partitions that were there before the task first began: copied from the start position.
    pub(crate) early: BTreeSet<At>,
    /// What should not have been told.
    pub(crate) wrong: Vec<Finding>,
}

impl World {
    /// What is remembered of an event the moment it is told.
    pub(crate) fn note_of_events(&self) -> impl FnMut(&Event) + Send + 'static {
        let (stories, source, disk) =
            (Arc::clone(&self.stories), self.source.clone(), self.disk.clone());
        let start = self.plan.spec.start;
        move |event| {
            let mut stories = stories.lock().unwrap();
            match event {
                Event::LaneStarted { topic, partition, offset, .. } => {
                    let at = (topic.clone(), *partition);
                    let known = disk.state().load_lanes().now_or_never().unwrap().unwrap();
                    let is_known = known.iter().any(|record| {
                        (&record.lane.source_topic, record.lane.source_partition) == (&at.0, at.1)
                    });
                    if is_known {
                        return;
                    }
                    let now = source.last_stable_offset(&at.0, at.1).unwrap_or(0);
                    let due = match start {
                        StartPosition::Latest if !stories.late.contains(&at) => {
                            stories.at_birth.get(&at).copied().unwrap_or(0)..=now
                        }
                        // Retention may have passed since the source was asked.
                        _ => {
                            let start = stories.starts_at_birth.get(&at).copied().unwrap_or(0);
                            start..=source.start_offset(&at.0, at.1).unwrap_or(0)
                        }
                    };
                    // Made while the task began: it may count as either.
                    let starts = source.start_offset(&at.0, at.1).unwrap_or(0);
                    let is_between = !stories.early.contains(&at) && *offset <= starts;
                    if !due.contains(offset) && !is_between {
                        let what = format!("the copy begins at {offset}, not in {due:?}");
                        stories.wrong.push(Finding {
                            kind: Kind::WrongStart,
                            at: at.clone(),
                            what,
                        });
                    }
                    stories.lanes.entry(at).or_default().start = Some(*offset);
                }
                Event::LaneStopped { topic, partition, cause, .. } => {
                    let at = (topic.clone(), *partition);
                    stories.lanes.entry(at).or_default().stops.push(cause.clone());
                }
                Event::RetentionOvertook { topic, partition, lost, .. } => {
                    let at = (topic.clone(), *partition);
                    stories.lanes.entry(at).or_default().told_lost.push(lost.clone());
                }
                Event::GroupMapStarted { topic, partition, offset, .. } => {
                    let at = (topic.clone(), *partition);
                    stories.lanes.entry(at).or_default().map_start = Some(*offset);
                }
                Event::GroupTakenOver { group, .. } | Event::GroupAdopted { group, .. }
                    if QUIET.contains(&group.as_str()) =>
                {
                    let (kind, at) = (Kind::GroupToldWrong, (String::new(), 0));
                    stories.wrong.push(Finding { kind, at, what: format!("{event:?}") });
                }
                _ => {}
            }
        }
    }
}
