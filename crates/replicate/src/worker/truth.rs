//! What became of the source's log when it is not what was read: retention, truncation, another topic. Each is one event
//! with the exact range, and the task's policy decides; the position is never reset silently.

use std::sync::Arc;

use forward::SourceOffset;
use kafka_client::{Client, Isolation, OffsetSpec, TopicPartition, TopicQuery};
use kafka_wire::Uuid;
use tokio::time::sleep;

use super::{Done, LaneId, Worker, backoff};
use crate::event::Event;
use crate::journal::Walk;
use crate::lane::{Duty, Phase, Turn};
use crate::recover::{Comparison, OpenError, Parted, by_epochs, offset};
use crate::spec::{LossPolicy, RecreatedPolicy};

/// Failures after which the pause between two questions is taken.
const PAUSE_FAILURES: u32 = 4;

/// What `stop` says.
const STOPPED: &str = "the partition's copy stopped";

/// Why the source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It refuses the position, or has another topic.
    Refused,
    /// It says that its log left the one that was read at this offset, as far as the last epoch tells.
    Diverged(i64),
    /// It has a leader epoch that was not compared, −1 when it was not seen, and would not tell of a loss.
    Unsure(i32),
}

/// The source partition as it is now.
#[derive(Debug)]
pub(super) struct Bounds {
    topic_id: Option<Uuid>,
    start: i64,
    end: i64,
    parted: Parted,
}

impl Worker {
    /// Asks which topic it is now, where its log begins and ends (BF-16), and by its leader epochs where it left the one
    /// that was read: an error alone has several causes.
    pub(super) fn ask_bounds(&mut self, id: LaneId, sign: Sign) {
        self.lead_source(id, (-1, -1));
        let lane = &mut self.lanes[id];
        if lane.must_open_first() {
            // Whatever the sign was, the source gives it again.
            return self.open_if_needed(id);
        }
        lane.is_asking = true;
        let at = TopicPartition::new(lane.key.source_topic.clone(), lane.key.source_partition);
        let walk = lane.source_epochs().walk(lane.position().0);
        let client = self.ctx.source.clone();
        self.start(async move {
            let result = bounds_of(&client, &at, walk).await;
            if result.is_err() {
                sleep(backoff(PAUSE_FAILURES)).await;
            }
            Done::Bounds { lane: id, sign, result }
        });
    }

    pub(super) fn bounds(&mut self, id: LaneId, sign: Sign, result: Result<Bounds, OpenError>) {
        let lane = &mut self.lanes[id];
        lane.is_asking = false;
        // Its leader was forgotten, and an error of the source is asked about again by the next fetch.
        self.source_metadata.want();
        let Ok(Bounds { topic_id, start, end, parted }) = result else { return };
        if lane.phase == Phase::Stopped || lane.turn.is_some() {
            return;
        }
        let (position, _) = lane.position();
        let (first, last) = (SourceOffset(start), SourceOffset(end));
        if let (Some(known), Some(found)) = (lane.source_topic_id, topic_id)
            && known != found
        {
            return self
                .begin_turn(id, Turn::Recreated { topic_id: found, start: first, end: last });
        }
        if position < first {
            return self.overtaken(id, first);
        }
        let mut latest = parted.cut.min(last).min(position);
        if let Sign::Diverged(end) = sign {
            latest = latest.min(SourceOffset(end));
        }
        if lane.is_epoch_doubtful() {
            // A journal that was set back names an older epoch, and the source says where that one ended.
            latest = last.min(position);
        }
        // Epochs of a topic that may be another one prove nothing.
        let is_certain = parted.is_certain && latest == parted.cut && topic_id.is_some();
        if is_certain && latest == position {
            return self.is_same(id, sign);
        }
        self.begin_turn(id, Turn::Parted { cut: latest, end: last, is_certain, sign });
    }

    /// The source has all that was copied.
    fn is_same(&mut self, id: LaneId, sign: Sign) {
        let lane = &mut self.lanes[id];
        match sign {
            Sign::Unsure(epoch) => lane.compared(epoch),
            // The broker does not know the epoch that was read; the offset is there.
            Sign::Refused | Sign::Diverged(_) => lane.forget_epoch(),
        }
        self.source_metadata.want();
        self.note_state(id);
    }

    /// Compares by content, since epochs do not tell whether there is not more that was lost.
    fn compare(&mut self, id: LaneId, latest: SourceOffset, end: SourceOffset, sign: Sign) {
        let lane = &mut self.lanes[id];
        lane.is_asking = true;
        let ctx = &self.ctx;
        let (source, target, journal) =
            (ctx.source.clone(), ctx.target.clone(), Arc::clone(&ctx.journal));
        let comparison = Comparison::of(lane, source.clone(), target.clone(), journal);
        let named = |topic: &String| TopicQuery::Named(vec![topic.clone()]);
        let (here, there) = (named(&lane.key.source_topic), named(&lane.key.target_topic));
        self.start(async move {
            let result = async {
                // Leaders that are a minute old may have moved.
                source.refresh_metadata(here).await?;
                target.refresh_metadata(there).await?;
                comparison.cut(latest).await
            };
            let result = result.await;
            if result.is_err() {
                sleep(backoff(PAUSE_FAILURES)).await;
            }
            Done::Compared { lane: id, latest, end, sign, result }
        });
    }

    pub(super) fn compared(
        &mut self,
        id: LaneId,
        (latest, end, sign): (SourceOffset, SourceOffset, Sign),
        result: Result<SourceOffset, OpenError>,
    ) {
        let lane = &mut self.lanes[id];
        lane.is_asking = false;
        self.source_metadata.want();
        if lane.phase == Phase::Stopped || lane.turn.is_some() {
            return;
        }
        // What went wrong may be one more change: the question is asked from its beginning.
        let Ok(cut) = result else { return self.ask_bounds(id, sign) };
        let (position, _) = lane.position();
        if cut >= position {
            return self.is_same(id, sign);
        }
        self.truncated(id, cut.min(latest), end);
        self.note_state(id);
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

    fn reads(&self, id: LaneId) -> bool {
        self.lanes[id].duty() == Duty::Read
    }

    fn turn(&mut self, id: LaneId, turn: Turn) {
        match turn {
            Turn::Parted { cut, end, is_certain: true, .. } => self.truncated(id, cut, end),
            // There is no copy to compare with: what the epochs say counts, or nothing.
            Turn::Parted { sign: sign @ Sign::Unsure(_), .. } if self.reads(id) => {
                self.is_same(id, sign);
            }
            Turn::Parted { cut, end, .. } if self.reads(id) => self.truncated(id, cut, end),
            Turn::Parted { cut, end, sign, .. } => self.compare(id, cut, end, sign),
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
        let policy = self.ctx.source_policies.recreated;
        let lane = &mut self.lanes[id];
        let former = lane.source_topic_id.map(|known| known.to_string());
        let event = Event::TopicRecreated {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            target_topic: lane.key.target_topic.clone(),
            former_id: former.clone(),
            found_id: Some(found.to_string()),
            action: action_of(policy),
        };
        self.emit(event);
        if policy == RecreatedPolicy::Continue {
            self.lanes[id].source_topic_id = Some(found);
            self.restart_lane(id, start, SourceOffset(i64::MIN), end);
        } else if policy == RecreatedPolicy::NewTopic {
            self.lanes[id].retire();
            self.ctx.changed.notify_waiters();
        } else {
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

/// What becomes of a topic's copy when another topic has its name.
pub(crate) fn action_of(policy: RecreatedPolicy) -> &'static str {
    match policy {
        RecreatedPolicy::Stop => "its copy stopped, nothing of the new topic was copied",
        RecreatedPolicy::Continue => "the new topic's records follow on the same target topic",
        RecreatedPolicy::NewTopic => {
            "the new topic is copied to a topic of its own, the former copy stays as it is"
        }
    }
}

async fn bounds_of(client: &Client, at: &TopicPartition, walk: Walk) -> Result<Bounds, OpenError> {
    let query = TopicQuery::Named(vec![at.topic.clone()]);
    let metadata = client.refresh_metadata(query).await?;
    let topic_id = metadata.topics.get(&at.topic).and_then(|topic| topic.topic_id);
    let parted = by_epochs(client, at, walk).await?;
    let ask = async |spec| offset(client, at, spec, Isolation::ReadUncommitted).await;
    let start = ask(OffsetSpec::Earliest).await?;
    Ok(Bounds { topic_id, start, end: ask(OffsetSpec::Latest).await?, parted })
}
