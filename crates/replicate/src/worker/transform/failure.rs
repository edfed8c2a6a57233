//! Records that fail: what the rule says is to become of them, and what is told.

use std::sync::Arc;
use std::time::Duration;

use etl::rule::Failure;
use etl::{DropReason, ErrorCode, RecordError};
use jiff::Timestamp;
use kafka_wire::record::{Record, RecordParts};
use tokio::time::Instant;

use super::outlets::{Emission, error_at};
use super::topics::What;
use super::{Outcome, State};
use crate::event::Event;
use crate::journal::LaneKey;
use crate::lane::Phase;
use crate::spec::Transform;
use crate::worker::{LaneId, Worker};

/// What to do about bytes that cannot be read.
pub(super) const CORRUPT_CURE: &str =
    "look at the batch with `kferry inspect`; a damaged replica is repaired on the source";

/// Failures of one kind are told so often, with their count.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// The header of records that pass in spite of an error.
const ERROR_HEADER: &str = "__etl.error";

/// The last time that a kind of failure was told, and how many came since.
#[derive(Debug)]
pub(super) struct Told {
    at: Instant,
    since: u64,
}

/// A record that ended the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordFailure {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) cause: String,
}

/// What a record looks like to a rule.
pub(super) fn view<'a>(
    record: &'a Record,
    headers: &'a [etl::Header<'a>],
    key: &'a Arc<LaneKey>,
) -> etl::Record<'a> {
    etl::Record {
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers,
        timestamp_ms: record.timestamp,
        topic: &key.source_topic,
        partition: key.source_partition,
        offset: record.offset,
    }
}

/// The headers, whose names must be text.
pub(super) fn headers_of(record: &Record) -> Result<Vec<etl::Header<'_>>, Box<RecordError>> {
    let text = |header: &'_ kafka_wire::record::Header| std::str::from_utf8(&header.key).is_ok();
    if let Some(index) = record.headers.iter().position(|header| !text(header)) {
        let cause = format!("the name of header {index} is not UTF-8");
        return Err(Box::new(error_at(ErrorCode::InvalidUtf8, "guard", cause)));
    }
    let headers = record.headers.iter();
    Ok(headers
        .map(|header| {
            (std::str::from_utf8(&header.key).unwrap_or_default(), header.value.as_deref())
        })
        .collect())
}

/// About how much work a record is.
pub(super) fn size_of(record: &Record) -> usize {
    record.key.as_ref().map_or(0, bytes::Bytes::len)
        + record.value.as_ref().map_or(0, bytes::Bytes::len)
        + 64
}

/// The name under which records that a rule leaves out are counted.
pub(super) fn name_of(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Filtered => "filtered",
        DropReason::Guard => "guard",
        DropReason::EmptyArray => "empty_array",
        DropReason::Sampled => "sampled",
        DropReason::Duplicate => "duplicate",
        DropReason::Throttled => "throttled",
    }
}

impl Worker {
    /// Does with a failed record what the rule says.
    pub(super) fn record_failed(
        &mut self,
        spec: &Transform,
        state: &mut State,
        id: LaneId,
        record: &etl::Record<'_>,
        error: &RecordError,
    ) -> Outcome {
        match &spec.rule.rule().failure {
            Failure::Dlq(_) => return self.dead_letter(spec, state, id, record, error),
            Failure::Retain => {
                self.tell_record(state, id, record.offset, error, "the task ended before it");
                return Outcome::Fail(failure_of(record, error));
            }
            Failure::Discard => {
                self.lanes[id].status.left_out(1, "discarded");
                self.tell_record(state, id, record.offset, error, "it was left out");
            }
            Failure::PassRaw => {
                let mut headers = record.headers.to_vec();
                headers.retain(|(name, _)| *name != ERROR_HEADER);
                headers.push((ERROR_HEADER, Some(error.code.as_str().as_bytes())));
                let parts = RecordParts {
                    key: record.key,
                    value: record.value,
                    headers: &headers,
                    timestamp: record.timestamp_ms,
                };
                let what = "it passed as it came, with the header __etl.error";
                return self.instead(spec, state, id, record, (parts, What::Main), (error, what));
            }
        }
        Outcome::Done
    }

    /// Writes a record to the topic for dead letters.
    pub(super) fn dead_letter(
        &mut self,
        spec: &Transform,
        state: &mut State,
        id: LaneId,
        record: &etl::Record<'_>,
        error: &RecordError,
    ) -> Outcome {
        let Failure::Dlq(dlq) = &spec.rule.rule().failure else {
            return Outcome::Fail(failure_of(record, error));
        };
        let task = self.ctx.task.as_str();
        let context = etl::DeadLetterContext {
            task_name: task,
            task_id: task,
            worker: 0,
            rule_version: spec.rule.rule().revision,
            failed_at: Timestamp::now(),
            attempts: 0,
        };
        let letter = etl::dead_letter(record, error, dlq, &context);
        let headers: Vec<etl::Header<'_>> =
            letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let parts = RecordParts {
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            headers: &headers,
            timestamp: letter.timestamp_ms,
        };
        let what = "it went to the topic for dead letters";
        self.instead(spec, state, id, record, (parts, What::DeadLetter), (error, what))
    }

    /// Writes something in the place of a failed record's outputs.
    fn instead(
        &mut self,
        spec: &Transform,
        state: &mut State,
        id: LaneId,
        record: &etl::Record<'_>,
        (parts, what): (RecordParts<'_>, What),
        (error, action): (&RecordError, &'static str),
    ) -> Outcome {
        let topic = match &spec.rule.rule().failure {
            Failure::Dlq(dlq) if what == What::DeadLetter => Some(dlq.topic.as_str()),
            _ => None,
        };
        let emission = Emission { parts, topic, is_rekeyed: false, copies: 1, what };
        match self.write_all(spec, state, id, record.offset, std::iter::once(emission)) {
            Ok(Outcome::Done) => {
                let status = &self.lanes[id].status;
                match what {
                    What::DeadLetter => status.dead_lettered(),
                    _ => status.written(1),
                }
                self.tell_record(state, id, record.offset, error, action);
                Outcome::Done
            }
            Ok(outcome) => outcome,
            // It must not be lost: the task ends before it.
            Err(refusal) => {
                let mut failure = failure_of(record, error);
                failure.cause.push_str(&format!("; in its place: {}", refusal.error));
                self.tell_record(
                    state,
                    id,
                    record.offset,
                    &refusal.error,
                    "the task ended before it",
                );
                Outcome::Fail(failure)
            }
        }
    }

    /// Tells of a failed record, unless one of its kind was told a moment ago.
    fn tell_record(
        &self,
        state: &mut State,
        id: LaneId,
        offset: i64,
        error: &RecordError,
        action: &'static str,
    ) {
        self.lanes[id].status.record_failed();
        let now = Instant::now();
        let count = match state.told.get_mut(&error.code) {
            Some(told) if now < told.at + TELL_INTERVAL => {
                told.since += 1;
                return;
            }
            Some(told) => {
                told.at = now;
                std::mem::take(&mut told.since) + 1
            }
            None => {
                state.told.insert(error.code, Told { at: now, since: 0 });
                1
            }
        };
        let key = &self.lanes[id].key;
        self.emit(Event::RecordFailed {
            task: self.ctx.task.clone(),
            topic: key.source_topic.clone(),
            partition: key.source_partition,
            offset,
            code: error.code.as_str(),
            step: error.path.clone(),
            cause: error.cause.clone(),
            count,
            action,
            cure: error.cure().to_owned(),
        });
    }

    pub(super) fn tell_topic(&self, name: &str, cause: String) {
        self.emit(Event::OutputTopicUnavailable {
            task: self.ctx.task.clone(),
            target_topic: name.to_owned(),
            cause,
        });
    }

    /// All before a failed record is on the target: the task ends.
    pub(super) fn end_task(&mut self, id: LaneId, failure: RecordFailure) {
        let lane = &mut self.lanes[id];
        if lane.phase != Phase::Stopped {
            lane.status.set_error(Some(failure.cause.clone()));
            lane.stop();
        }
        let _ = self.ctx.failure.set(failure);
        self.ctx.changed.notify_waiters();
    }
}

fn failure_of(record: &etl::Record<'_>, error: &RecordError) -> Box<RecordFailure> {
    Box::new(RecordFailure {
        topic: record.topic.to_owned(),
        partition: record.partition,
        offset: record.offset,
        cause: error.to_string(),
    })
}
