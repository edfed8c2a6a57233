//! Batches that the target refuses: what the code means, what is done about it, and what is left to an operator.
//!
//! A refusal is about the batch, about single records in it, or about something else that passes. Batches are encoded anew or
//! cut; single records are the business of a policy; the rest is tried again.

use std::collections::BTreeSet;

use forward::RebuildReason;
use kafka_client::ProduceAck;
use kafka_wire::ErrorCode;

use super::denials::End;
use super::{LaneId, Worker};
use crate::event::Event;
use crate::lane::{Lane, Phase};
use crate::spec::RefusedRecordPolicy;

/// How often a lane tries again after an answer that says "corrupt" although our bytes are intact.
const REFUSALS_MAX: u32 = 3;

/// Offsets named in one event.
const OFFSETS_TOLD_MAX: usize = 100;

/// What an error code on a batch leads to.
enum Verdict {
    /// It ends by itself, or the tail tells.
    Retry,
    /// The batch itself is disliked: once more, rebuilt.
    Rebuild,
    /// Single records may be the reason.
    Record,
    /// The batch is larger than the target takes.
    TooLarge,
    /// A right is missing: an operator may give it back.
    Denied,
    /// Final until an operator acts.
    Stop,
}

impl Worker {
    /// The broker refused a batch. What it is about is decided by the code alone.
    pub(super) fn refused(&mut self, id: LaneId, ack: &ProduceAck) {
        let lane = &mut self.lanes[id];
        let is_first = lane.phase == Phase::Running;
        let said = ack.message.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        let cause = format!("the target answered {} to a batch{said}", ack.error);
        let is_about_bytes = matches!(verdict(ack.error), Verdict::Rebuild | Verdict::Record);
        if is_first && is_about_bytes && !lane.front_is_intact() {
            lane.interrupt();
            return self.stop_lane(
                id,
                "the source batch does not match its own checksum".to_owned(),
                "look at the batch with `kferry inspect`; repair the replica on the source",
            );
        }
        lane.interrupt();
        if !is_first {
            // Batches behind a failed one fail with it; they say nothing new.
            return;
        }
        lane.status.set_error(Some(cause.clone()));
        match verdict(ack.error) {
            Verdict::Retry => self.target_metadata.want(),
            Verdict::Rebuild => {
                let may_retry =
                    ack.error == ErrorCode::CORRUPT_MESSAGE && lane.failures <= REFUSALS_MAX;
                if lane.rebuild_refused() {
                    self.told_rebuilt(id, RebuildReason::Refused, cause);
                } else if !may_retry {
                    // 1.1 and 0.11 say so about records without a key (P5).
                    match offending(lane, ack) {
                        Some(_) => self.record_refused(id, ack, cause),
                        None => self.stop_lane(id, cause, cure(ack.error)),
                    }
                }
            }
            Verdict::TooLarge => {
                if lane.split_refused() {
                    self.told_rebuilt(id, RebuildReason::TooLarge, cause);
                } else {
                    let bytes = lane.refused_front().map_or(0, |front| front.bytes);
                    let cause = format!("{cause}; it holds a single record and has {bytes} bytes");
                    self.record_refused(id, ack, cause);
                }
            }
            Verdict::Record => {
                // Without a record named it may be the batch as a whole: its inner deltas, say (P4).
                let is_whole =
                    ack.record_errors.is_empty() && ack.error == ErrorCode::INVALID_RECORD;
                if is_whole && lane.rebuild_refused() {
                    self.told_rebuilt(id, RebuildReason::Refused, cause);
                } else {
                    self.record_refused(id, ack, cause);
                }
            }
            Verdict::Denied => _ = self.denied(id, End::Target, cause, cure(ack.error)),
            Verdict::Stop => self.stop_lane(id, cause, cure(ack.error)),
        }
    }

    fn told_rebuilt(&self, id: LaneId, reason: RebuildReason, cause: String) {
        let lane = &self.lanes[id];
        self.emit(Event::BatchRebuilt {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            partition: lane.key.source_partition,
            offset: lane.front_source_offset().0,
            reason,
            cause: Some(cause),
        });
    }

    /// Single records of the oldest batch are refused: the policy decides.
    fn record_refused(&mut self, id: LaneId, ack: &ProduceAck, cause: String) {
        if self.ctx.refused_record == RefusedRecordPolicy::Stop {
            return self.stop_lane(id, cause, cure(ack.error));
        }
        let lane = &mut self.lanes[id];
        let indexes = match offending(lane, ack) {
            Some(indexes) => indexes,
            None if lane.halve_refused() => return,
            None => BTreeSet::from([0]),
        };
        let offsets = lane.leave_out_refused(indexes);
        let event = Event::RecordsSkipped {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            partition: lane.key.source_partition,
            count: offsets.len(),
            offsets: offsets.iter().take(OFFSETS_TOLD_MAX).map(|offset| offset.0).collect(),
            cause,
            action: "the records were left out; the others of their batch travel without them",
            cure: cure(ack.error),
        };
        self.emit(event);
    }
}

/// Which records of the oldest batch the refusal is about, as far as one can tell without trying.
fn offending(lane: &Lane, ack: &ProduceAck) -> Option<BTreeSet<usize>> {
    let count = usize::try_from(lane.refused_front()?.count).ok()?;
    let named: BTreeSet<usize> = ack
        .record_errors
        .iter()
        .filter_map(|index| usize::try_from(*index).ok())
        .filter(|index| *index < count)
        .collect();
    if !named.is_empty() {
        return Some(named);
    }
    let may_be_keyless =
        matches!(ack.error, ErrorCode::INVALID_RECORD | ErrorCode::CORRUPT_MESSAGE);
    if may_be_keyless && lane.traits.compacted {
        // Old releases name no records; a compacted topic refuses those without a key (BF-8).
        return lane.keyless_of_front().ok().filter(|keyless| !keyless.is_empty());
    }
    None
}

fn verdict(code: ErrorCode) -> Verdict {
    match code {
        // P4 and P5: these name the batch, whatever its header says.
        ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::CORRUPT_MESSAGE => Verdict::Rebuild,
        ErrorCode::INVALID_RECORD | ErrorCode::INVALID_TIMESTAMP => Verdict::Record,
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => Verdict::TooLarge,
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
        | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::INVALID_REQUIRED_ACKS
        | ErrorCode::POLICY_VIOLATION => Verdict::Stop,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => Verdict::Denied,
        _ => Verdict::Retry,
    }
}

/// What the operator can do about a final refusal.
fn cure(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
            "raise max.message.bytes of the target topic to the source's, or leave such records out with --on-refused-record skip, then run again"
        }
        ErrorCode::INVALID_TIMESTAMP => {
            "raise message.timestamp.before.max.ms and message.timestamp.after.max.ms of the target topic, or leave such records out with --on-refused-record skip, then run again"
        }
        ErrorCode::INVALID_RECORD => {
            "a compacted target topic refuses records without a key: set its cleanup.policy to delete, or leave such records out with --on-refused-record skip, then run again"
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            "grant WRITE on the topic to the target connection's user"
        }
        _ => "see the target broker's log, then run again",
    }
}
