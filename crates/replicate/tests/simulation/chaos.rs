//! What goes wrong, and how it ends by itself.

use std::time::Duration;

use kafka_sim::{Cluster, Fault, FaultAction};
use kafka_wire::ErrorCode;
use kafka_wire::messages::ApiKey;
use tokio::time::Instant;

use crate::history::At;
use crate::plan::pick;
use crate::workload::{Side, partitions_of};
use crate::world::World;

/// Which cluster something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Target,
}

/// How something that goes wrong ends.
#[derive(Clone, Debug)]
pub(crate) enum Undo {
    Start(End, i32),
    Wake(End, i32),
    ReleaseHighWatermark(End, At),
    /// The leader that held uncommitted records is lost: another one has only the committed ones (P15).
    LoseTail(At),
    ShowOffsets(End, At),
    FullIsr(At),
    JournalSpeed,
    JournalSpace,
}

/// Requests that answers are lost of.
const APIS: [Option<ApiKey>; 12] = [
    None,
    Some(ApiKey::Produce),
    Some(ApiKey::Produce),
    Some(ApiKey::Produce),
    Some(ApiKey::Fetch),
    Some(ApiKey::ListOffsets),
    Some(ApiKey::Metadata),
    Some(ApiKey::InitProducerId),
    Some(ApiKey::AddPartitionsToTxn),
    Some(ApiKey::EndTxn),
    Some(ApiKey::FindCoordinator),
    Some(ApiKey::CreateTopics),
];

/// What a broker answers to a produce that it does not append, and what ends by itself. REQUEST_TIMED_OUT means
/// appended (P15): a held high watermark makes it.
const REFUSALS: [ErrorCode; 4] = [
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::NOT_ENOUGH_REPLICAS,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::KAFKA_STORAGE_ERROR,
];

impl World {
    fn cluster(&self, end: End) -> Cluster {
        match end {
            End::Source => self.source.clone(),
            End::Target => self.target.clone(),
        }
    }

    fn pick_end(&mut self) -> End {
        if self.random.u8(0..3) == 0 { End::Source } else { End::Target }
    }

    fn pick_broker(&mut self, end: End) -> i32 {
        let ids = self.cluster(end).broker_ids();
        *pick(&mut self.random, &ids)
    }

    pub(crate) fn pick_partition(&mut self, end: End) -> Option<At> {
        let topics = self.cluster(end).topics();
        if topics.is_empty() {
            return None;
        }
        let name = pick(&mut self.random, &topics).0.clone();
        let partition = self.random.i32(0..partitions_of(&self.cluster(end), &name));
        Some((name, partition))
    }

    /// A target partition where a producer is forgotten only for the age of its records.
    fn pick_remembered(&mut self) -> Option<At> {
        self.pick_partition(End::Target).filter(|_| !self.plan.may_jump_days())
    }

    fn undo_in(&mut self, ms_max: u64, undo: Undo) {
        let after = Duration::from_millis(self.random.u64(1..=ms_max));
        self.undos.push((Instant::now() + after, undo));
    }

    /// One thing goes wrong.
    pub(crate) async fn break_something(&mut self) {
        match self.random.u8(0..100) {
            0..8 => self.kill_broker(),
            8..15 => self.pause_broker(),
            15..24 => self.move_leader(),
            24..34 => self.hold_high_watermark(),
            34..40 => self.cut_at_broker(),
            40..46 => self.cut_silently(),
            46..62 => self.spoil_answers(),
            62..70 => self.refuse_produces(),
            70..74 => self.hide_offsets(),
            74..78 => self.shrink_isr(),
            78..80 => self.jump_clock(),
            80..86 => self.slow_journal(),
            86..88 => self.fill_journal(),
            88..97 => self.kill_task().await,
            _ => self.stop_task().await,
        }
    }

    fn kill_broker(&mut self) {
        let end = self.pick_end();
        let down = self
            .undos
            .iter()
            .filter(|(_, undo)| matches!(undo, Undo::Start(at, _) if *at == end))
            .count();
        let broker = self.pick_broker(end);
        if self.is_down(end, broker) || down >= 2 {
            return;
        }
        self.trace.line(|| format!("{end:?} broker {broker} dies"));
        self.cluster(end).kill_broker(broker);
        self.undo_in(6_000, Undo::Start(end, broker));
    }

    fn is_down(&self, end: End, broker: i32) -> bool {
        let is_it =
            |undo: &Undo| matches!(undo, Undo::Start(at, id) if (*at, *id) == (end, broker));
        self.undos.iter().any(|(_, undo)| is_it(undo))
    }

    fn pause_broker(&mut self) {
        let end = self.pick_end();
        let broker = self.pick_broker(end);
        self.trace.line(|| format!("{end:?} broker {broker} sleeps"));
        self.cluster(end).pause_broker(broker, true);
        self.undo_in(10_000, Undo::Wake(end, broker));
    }

    fn move_leader(&mut self) {
        let end = self.pick_end();
        let broker = self.pick_broker(end);
        let is_down = self.is_down(end, broker);
        if let Some((topic, partition)) = self.pick_partition(end).filter(|_| !is_down) {
            self.trace.line(|| format!("{end:?} broker {broker} leads {topic}-{partition}"));
            self.cluster(end).move_leader(&topic, partition, broker).unwrap();
        }
    }

    fn hold_high_watermark(&mut self) {
        let end = self.pick_end();
        let Some(at) = self.pick_partition(end) else { return };
        let offset = self.cluster(end).end_offset(&at.0, at.1).unwrap();
        self.trace
            .line(|| format!("{end:?} high watermark of {}-{} stands at {offset}", at.0, at.1));
        self.cluster(end).hold_high_watermark(&at.0, at.1, Some(offset)).unwrap();
        let is_lost = end == End::Target && !self.plan.may_jump_days() && self.random.u8(0..3) == 0;
        let undo = if is_lost { Undo::LoseTail(at) } else { Undo::ReleaseHighWatermark(end, at) };
        self.undo_in(6_000, undo);
    }

    fn cut_at_broker(&mut self) {
        let end = self.pick_end();
        let broker = self.pick_broker(end);
        self.trace.line(|| format!("{end:?} broker {broker} cuts its connections"));
        self.cluster(end).cut_connections(broker);
    }

    fn cut_silently(&mut self) {
        let share = self.random.f64();
        if let Some(life) = &self.life {
            let count = life.wires.cut(share);
            self.trace.line(|| format!("{count} connections are dead on our side"));
        }
    }

    fn spoil_answers(&mut self) {
        let end = self.pick_end();
        let action = match self.random.u8(0..8) {
            0..3 => FaultAction::LoseAnswer,
            3 => FaultAction::CutBefore,
            4 => FaultAction::CutAfterBytes(self.random.usize(0..120)),
            5 => FaultAction::Delay(Duration::from_millis(self.random.u64(1..6_000))),
            6 => FaultAction::Hang,
            _ => FaultAction::Duplicate,
        };
        let is_about_groups = self.plan.has_groups && self.random.u8(0..3) == 0;
        let apis: &[Option<ApiKey>] = if is_about_groups { &crate::groups::APIS } else { &APIS };
        let api_key = *pick(&mut self.random, apis);
        let fault = Fault {
            api_key,
            broker: None,
            skip: self.random.u32(0..3),
            times: self.random.u32(1..3),
            probability: 1.0,
            action,
        };
        self.trace.line(|| format!("{end:?} {fault:?}"));
        self.cluster(end).add_fault(fault);
    }

    fn refuse_produces(&mut self) {
        let Some((topic, partition)) = self.pick_remembered() else { return };
        let code = *pick(&mut self.random, &REFUSALS);
        let times = *pick(&mut self.random, &[1, 1, 2, 3]);
        self.trace.line(|| format!("{topic}-{partition} refuses {times} batches with {code}"));
        self.target.refuse_produce(&topic, partition, code, times);
        // What follows a refused batch closely is what may be lost.
        let known = self.topics.iter().find(|known| known.name == topic).cloned();
        for _ in 0..self.random.u8(0..4) {
            if let Some(known) =
                known.as_ref().filter(|_| partition < partitions_of(&self.source, &topic))
            {
                let text = self.workload.burst_to(&mut self.random, Side::Source, known, partition);
                self.trace.line(|| text);
            }
        }
    }

    fn hide_offsets(&mut self) {
        let end = self.pick_end();
        let Some(at) = self.pick_partition(end) else { return };
        self.trace.line(|| format!("{end:?} {}-{} hides its end", at.0, at.1));
        self.cluster(end).hide_offsets(&at.0, at.1, true).unwrap();
        self.undo_in(3_000, Undo::ShowOffsets(end, at));
    }

    fn shrink_isr(&mut self) {
        let Some(at) = self.pick_remembered() else { return };
        let Some(leader) = self.target.leader(&at.0, at.1) else { return };
        self.trace.line(|| format!("only broker {leader} is in sync for {}-{}", at.0, at.1));
        self.target.set_isr(&at.0, at.1, &[leader]).unwrap();
        self.undo_in(4_000, Undo::FullIsr(at));
    }

    fn jump_clock(&mut self) {
        const HOUR_MS: i64 = 3_600_000;
        let end = self.pick_end();
        // Records of the future would be refused by the target, rightly; producers of records older than a day are
        // forgotten there.
        let to = match end {
            End::Source => self.target.now_ms() - self.random.i64(0..18 * HOUR_MS),
            End::Target if self.plan.may_jump_days() => self.target.now_ms() + 48 * HOUR_MS,
            End::Target => self.target.now_ms() + self.random.i64(0..HOUR_MS / 4),
        };
        self.trace.line(|| format!("{end:?} clock jumps to {to}"));
        self.cluster(end).set_clock(to);
    }

    fn slow_journal(&mut self) {
        let delay = *pick(&mut self.random, &[5, 50, 500, 3_000]);
        self.trace.line(|| format!("the journal takes up to {delay} ms"));
        self.disk.set_delay(delay);
        self.undo_in(5_000, Undo::JournalSpeed);
    }

    fn fill_journal(&mut self) {
        self.trace.line(|| "the journal's disk is full".to_owned());
        self.disk.set_full(true);
        self.undo_in(3_000, Undo::JournalSpace);
    }

    async fn kill_task(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.trace.line(|| "the task is killed".to_owned());
        life.kill().await;
        self.kills += 1;
        self.disk.crash();
        if self.plan.sets_back && self.random.u8(0..3) == 0 {
            self.set_journal_back();
        }
        self.rebirth_soon();
    }

    fn set_journal_back(&mut self) {
        let before = self.lanes();
        let lost = self.disk.set_back(|lanes| {
            // A lane that has sent must be known to have a producer, else its journal is a lost one. And the copy must know
            // its last run: runs that were journaled later cannot be told from the one that it knows.
            before.iter().all(|known| {
                known.epochs.is_empty()
                    || lanes.iter().any(|found| {
                        found.lane == known.lane
                            && !found.epochs.is_empty()
                            && found.runs.as_slice().last() == known.runs.as_slice().last()
                    })
            })
        });
        self.workload.history.was_set_back |= lost > 0;
        self.trace.line(|| format!("the journal is set back by {lost} writes"));
    }

    async fn stop_task(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.trace.line(|| "the task is told to end".to_owned());
        life.shut_down();
        let ended = life.end().await;
        self.trace.line(|| format!("the task ended: {:?}", ended.map(|report| report.stopped)));
        self.disk.crash();
        self.rebirth_soon();
    }

    fn rebirth_soon(&mut self) {
        let max = *pick(&mut self.random, &[1, 100, 3_000]);
        self.rebirth = Instant::now() + Duration::from_millis(self.random.u64(0..=max));
    }

    /// Ends what is over by now, or everything.
    pub(crate) fn undo_due(&mut self, is_all: bool) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.undos).into_iter().partition(|(at, _)| is_all || *at <= now);
        self.undos = later;
        for (_, undo) in due {
            self.trace.line(|| format!("over: {undo:?}"));
            self.undo(undo);
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Start(end, broker) => self.cluster(end).start_broker(broker),
            Undo::Wake(end, broker) => self.cluster(end).pause_broker(broker, false),
            Undo::ReleaseHighWatermark(end, (topic, partition)) => {
                self.cluster(end).hold_high_watermark(&topic, partition, None).unwrap();
            }
            Undo::LoseTail(at) => self.lose_tail(&at),
            Undo::ShowOffsets(end, (topic, partition)) => {
                self.cluster(end).hide_offsets(&topic, partition, false).unwrap();
            }
            Undo::FullIsr((topic, partition)) => {
                let ids = self.target.broker_ids().into_iter();
                let up: Vec<i32> = ids.filter(|id| !self.is_down(End::Target, *id)).collect();
                self.target.set_isr(&topic, partition, &up).unwrap();
            }
            Undo::JournalSpeed => self.disk.set_delay(0),
            Undo::JournalSpace => self.disk.set_full(false),
        }
    }

    fn lose_tail(&mut self, at: &At) {
        // Below the high watermark nothing is lost: it is where ListOffsets says the log ends.
        let committed = self.target.high_watermark(&at.0, at.1).unwrap();
        self.target.hold_high_watermark(&at.0, at.1, None).unwrap();
        let mut others =
            self.target.broker_ids().into_iter().filter(|id| !self.is_down(End::Target, *id));
        let former = self.target.leader(&at.0, at.1);
        let next = others.rfind(|id| Some(*id) != former);
        if let Some(next) = next
            && committed < self.target.end_offset(&at.0, at.1).unwrap()
        {
            self.target.truncate(&at.0, at.1, committed).unwrap();
            self.target.move_leader(&at.0, at.1, next).unwrap();
            self.workload.foreign_truncated(at, committed);
            self.trace.line(|| format!("{}-{} lost everything from {committed} on", at.0, at.1));
        }
    }
}
