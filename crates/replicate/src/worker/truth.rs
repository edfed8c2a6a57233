//! What became of the source's log when it is not what was read: retention, truncation, another topic. Each is one event
//! with the exact range, and the task's policy decides; the position is never reset silently.

use forward::SourceOffset;
use kafka_client::{Isolation, OffsetSpec, TopicPartition, TopicQuery};
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::sleep;

use super::{Done, LaneId, Worker, backoff};
use crate::event::Event;
use crate::lane::{Phase, Turn};
use crate::recover::OpenError;
use crate::spec::LossPolicy;

/// Failures after which the pause between two questions is taken.
const PAUSE_FAILURES: u32 = 4;

/// What `stop` says.
const STOPPED: &str = "the partition's copy stopped";

/// The source partition as it is now.
#[derive(Debug)]
pub(super) struct Bounds {
    topic_id: Option<Uuid>,
    start: i64,
    end: i64,
}

impl Worker {
    /// Asks which topic it is now and where its log begins and ends (BF-16): an error alone has several causes.
    /// `diverged`: where the broker says that its log left the one that was read.
    pub(super) fn ask_bounds(&mut self, id: LaneId, diverged: Option<i64>) {
        self.lead_source(id, (-1, -1));
        let lane = &mut self.lanes[id];
        lane.is_asking = true;
        let at = TopicPartition::new(lane.key.source_topic.clone(), lane.key.source_partition);
        let client = self.ctx.source.clone();
        self.start(async move {
            let ask = async |spec| -> Result<i64, OpenError> {
                let asked = vec![(at.clone(), spec)];
                let mut answer = client.list_offsets(asked, Isolation::ReadUncommitted).await?;
                match answer.remove(&at) {
                    Some(Ok(listed)) => Ok(listed.offset),
                    Some(Err(code)) => Err(OpenError::Code { target: at.clone(), code }),
                    None => Err(OpenError::Code {
                        target: at.clone(),
                        code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    }),
                }
            };
            let bounds = async {
                let query = TopicQuery::Named(vec![at.topic.clone()]);
                let metadata = client.refresh_metadata(query).await?;
                let topic_id = metadata.topics.get(&at.topic).and_then(|topic| topic.topic_id);
                let start = ask(OffsetSpec::Earliest).await?;
                Ok(Bounds { topic_id, start, end: ask(OffsetSpec::Latest).await? })
            };
            let result = bounds.await;
            if result.is_err() {
                sleep(backoff(PAUSE_FAILURES)).await;
            }
            Done::Bounds { lane: id, diverged, result }
        });
    }

    pub(super) fn bounds(
        &mut self,
        id: LaneId,
        diverged: Option<i64>,
        result: Result<Bounds, OpenError>,
    ) {
        let lane = &mut self.lanes[id];
        lane.is_asking = false;
        // Its leader was forgotten, and an error of the source is asked about again by the next fetch.
        self.source_metadata.want();
        let Ok(Bounds { topic_id, start, end }) = result else { return };
        if lane.phase == Phase::Stopped || lane.turn.is_some() {
            return;
        }
        let (position, _) = lane.position();
        let (first, last) = (SourceOffset(start), SourceOffset(end));
        let turn = match (lane.source_topic_id, topic_id) {
            (Some(known), Some(found)) if known != found => {
                Turn::Recreated { topic_id: found, start: first, end: last }
            }
            _ if position.0 < start => return self.overtaken(id, first),
            _ => match diverged.or_else(|| (position.0 > end).then_some(end)) {
                Some(cut) => Turn::Truncated { cut: SourceOffset(cut).min(position), end: last },
                // The broker does not know the epoch that was read; the offset is there.
                None => return lane.forget_epoch(),
            },
        };
        self.begin_turn(id, turn);
    }

    fn begin_turn(&mut self, id: LaneId, turn: Turn) {
        self.lanes[id].turn = Some(turn);
        self.turning.insert(id);
        self.open_if_needed(id);
    }

    /// The source deleted what was to be read next.
    fn overtaken(&mut self, id: LaneId, start: SourceOffset) {
        if self.ctx.source_policies.retention == LossPolicy::Stop {
            return self.begin_turn(id, Turn::Overtaken { start });
        }
        self.tell_overtaken(
            id,
            start,
            "the copy goes on at the first offset that the source still has",
        );
        self.lanes[id].skip_to(start);
        self.note_state(id);
    }

    fn tell_overtaken(&self, id: LaneId, start: SourceOffset, action: &'static str) {
        let lane = &self.lanes[id];
        self.emit(Event::RetentionOvertook {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            partition: lane.key.source_partition,
            lost: lane.position().0.0..start.0,
            action,
        });
    }

    /// Lets those lanes turn that have nothing under way any more.
    pub(super) fn turn_lanes(&mut self) {
        if self.turning.is_empty() || self.is_closing {
            return;
        }
        for id in self.turning.clone() {
            if self.lanes[id].phase == Phase::Stopped {
                self.turning.remove(&id);
            } else if let Some(turn) = self.lanes[id].try_turn() {
                self.turning.remove(&id);
                self.turn(id, turn);
                self.note_state(id);
            }
        }
    }

    fn turn(&mut self, id: LaneId, turn: Turn) {
        match turn {
            Turn::Truncated { cut, end } => self.truncated(id, cut, end),
            Turn::Recreated { topic_id, start, end } => self.recreated(id, topic_id, start, end),
            Turn::Overtaken { start } => {
                self.tell_overtaken(id, start, STOPPED);
                let position = self.lanes[id].position().0;
                self.stop_lane(
                    id,
                    format!("the source deleted its records from offset {position} to {start} before they were copied"),
                    "go on without them: run the task with --on-retention continue",
                );
            }
        }
    }

    /// The source lost records that have been copied (P9): the target cannot follow.
    fn truncated(&mut self, id: LaneId, cut: SourceOffset, end: SourceOffset) {
        let goes_on = self.ctx.source_policies.truncation == LossPolicy::Continue;
        let lane = &self.lanes[id];
        self.emit(Event::Truncated {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            partition: lane.key.source_partition,
            lost: lane.copied_from(cut),
            action: if goes_on {
                "the target keeps them, the copy goes on with what the source has in their place"
            } else {
                STOPPED
            },
        });
        if goes_on {
            self.restart_lane(id, cut, cut, end);
        } else {
            self.stop_lane(
                id,
                format!("the source log was truncated to offset {cut}, below what was read"),
                "decide which side is right; to go on behind what the target has, run the task with --on-truncation continue",
            );
        }
    }

    /// The source topic was deleted and created again (BF-17, P10).
    fn recreated(&mut self, id: LaneId, found: Uuid, start: SourceOffset, end: SourceOffset) {
        let goes_on = self.ctx.source_policies.recreated == LossPolicy::Continue;
        let lane = &mut self.lanes[id];
        let former = lane.source_topic_id.map(|known| known.to_string());
        let event = Event::TopicRecreated {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            target_topic: lane.key.target_topic.clone(),
            former_id: former.clone(),
            found_id: Some(found.to_string()),
            action: if goes_on {
                "the new topic's records follow on the same target topic"
            } else {
                "its copy stopped, nothing of the new topic was copied"
            },
        };
        if goes_on {
            lane.source_topic_id = Some(found);
            self.emit(event);
            self.restart_lane(id, start, SourceOffset(i64::MIN), end);
        } else {
            self.emit(event);
            let former = former.unwrap_or_default();
            self.stop_lane(
                id,
                format!("the source topic was deleted and created again (topic id {former} became {found})"),
                "to let the new topic's records follow on the same target topic, run the task with --on-recreated continue",
            );
        }
    }

    /// Goes on at another source offset. The journal hears of it before anything is sent: in order, and the next run has a
    /// barrier of its own.
    fn restart_lane(
        &mut self,
        id: LaneId,
        at: SourceOffset,
        map_from: SourceOffset,
        log_end: SourceOffset,
    ) {
        self.journal_restart(id, map_from, |lane| lane.restart_at(at, map_from, log_end));
        self.source_metadata.want();
    }
}
