//! Outputs, gathered per target partition.

use etl::{ErrorCode, RecordError};
use forward::{Ordinal, SourceOffset, TargetOffset};
use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchBuilder, HEADER_BYTES, RecordParts};

use super::partition::{Origin, by_key, partition_of};
use super::topics::{Known, TopicId, What};
use super::{Outcome, Reader, State};
use crate::budget::SharedLease;
use crate::journal::{LaneKey, LaneProgress, LaneRecord, SourcePlace};
use crate::lane::{Lane, LaneSeed};
use crate::progress::LaneStatus;
use crate::spec::Transform;
use crate::worker::{LaneId, Worker};

/// Bytes of a batch before compression, unless its only record is larger.
const BATCH_BYTES: usize = 512 << 10;

/// What is written to one target partition.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) lane: LaneId,
    builder: BatchBuilder,
    compression: Compression,
    /// Behind the output that was made last.
    place: Option<SourcePlace>,
    /// What the target had when this process began.
    pub(super) written: Option<(SourcePlace, i64)>,
    /// It has outputs of the batch that is being processed.
    pub(super) is_touched: bool,
    /// It has batches that nobody has looked at.
    pub(super) has_news: bool,
}

/// One output on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Emission<'a> {
    pub(super) parts: RecordParts<'a>,
    /// The topic that the rule names.
    pub(super) topic: Option<&'a str>,
    pub(super) is_rekeyed: bool,
    pub(super) copies: u32,
    pub(super) what: What,
}

/// Why a record cannot be written.
pub(super) struct Refusal {
    pub(super) error: Box<RecordError>,
    /// The rule says that it is a dead letter, whatever becomes of other failures.
    pub(super) to_dead_letters: bool,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, step: &str, cause: String, to_dead_letters: bool) -> Self {
        Self { error: Box::new(error_at(code, step, cause)), to_dead_letters }
    }
}

/// An error of a step behind the rule's own.
pub(super) fn error_at(code: ErrorCode, step: &str, cause: String) -> RecordError {
    RecordError {
        code,
        path: step.to_owned(),
        element: step.to_owned(),
        cause,
        byte_offset: None,
        array_element: None,
        missing_schema: None,
    }
}

impl<'a> Emission<'a> {
    pub(super) fn of(output: &etl::Output<'a>) -> Self {
        let parts = RecordParts {
            key: output.key,
            value: output.value,
            headers: output.headers,
            timestamp: output.timestamp_ms,
        };
        let what = if output.topic.is_some() { What::Routed } else { What::Main };
        Self {
            parts,
            topic: output.topic,
            is_rekeyed: output.is_rekeyed,
            copies: output.copies,
            what,
        }
    }
}

impl Outlet {
    pub(super) fn new(lane: LaneId) -> Self {
        Self {
            lane,
            builder: BatchBuilder::new(Compression::None),
            compression: Compression::None,
            place: None,
            written: None,
            is_touched: false,
            has_news: false,
        }
    }

    /// Bytes on their way.
    pub(super) fn size_bytes(&self, lane: &Lane) -> usize {
        lane.buffered_bytes() + self.builder.size_bytes()
    }

    /// The ordinal behind all its outputs.
    pub(super) fn end(&self, lane: &Lane) -> Ordinal {
        lane.next_ordinal().plus(self.builder.count().into())
    }

    /// Goes over the next output of the record at `offset`. False when the target has it already.
    fn is_new(&mut self, era: u32, offset: i64) -> bool {
        let first = SourcePlace { era, offset: SourceOffset(offset), part: 0 };
        let here = match self.place {
            Some(place) if (place.era, place.offset) == (first.era, first.offset) => place,
            _ => first,
        };
        self.place = Some(SourcePlace { part: here.part.saturating_add(1), ..here });
        match &mut self.written {
            None => return true,
            Some((place, _)) if here < *place => return false,
            Some((place, more)) if *more > 0 && place.era == era => {
                *more -= 1;
                return false;
            }
            Some(_) => {}
        }
        self.written = None;
        true
    }

    /// Ends the batch.
    fn flush(&mut self, lanes: &mut [Lane], lease: &SharedLease) -> Result<(), String> {
        let Some(place) = self.place.filter(|_| self.builder.count() > 0) else { return Ok(()) };
        let batch = self.builder.finish().map_err(|error| error.to_string())?;
        self.has_news = true;
        lanes[self.lane].push_output(batch, place, lease).map_err(|error| error.to_string())
    }
}

impl Reader {
    /// The codec of the batch that is being processed.
    fn codec(&self) -> Option<Compression> {
        self.input.as_ref().map(|input| input.compression)
    }

    /// Ends the batches of all outlets.
    pub(super) fn flush_all(&mut self, lanes: &mut [Lane]) -> Result<(), String> {
        let Some(lease) = &self.lease else { return Ok(()) };
        self.outlets.values_mut().try_for_each(|outlet| outlet.flush(lanes, lease))
    }
}

impl Worker {
    /// Writes all outputs of one record, or none of them.
    pub(super) fn write_all<'a>(
        &mut self,
        spec: &Transform,
        state: &mut State,
        id: LaneId,
        offset: i64,
        emissions: impl Iterator<Item = Emission<'a>> + Clone,
    ) -> Result<Outcome, Refusal> {
        let Some(reader) = state.readers.get(&id) else { return Ok(Outcome::Done) };
        let (main, codec) = (reader.topic, spec.compression.or_else(|| reader.codec()));
        let codec = codec.unwrap_or(Compression::None);
        for emission in emissions.clone() {
            let topic = emission.topic.map_or(main, |name| state.topic_id(name));
            let known = self.known_topic(spec, state, topic, emission.what)?;
            let Some(known) = known else { return Ok(Outcome::Wait) };
            fits(&emission, &known, codec, &state.topics[topic].name)?;
        }
        for emission in emissions {
            let topic = emission.topic.map_or(main, |name| state.topic_id(name));
            for _ in 0..emission.copies {
                self.write_one(spec, state, id, (topic, codec), offset, &emission);
            }
        }
        Ok(Outcome::Done)
    }

    fn write_one(
        &mut self,
        spec: &Transform,
        state: &mut State,
        id: LaneId,
        (topic, codec): (TopicId, Compression),
        offset: i64,
        emission: &Emission<'_>,
    ) {
        let Some(known) = state.topics[topic].known() else { return };
        let origin = Origin { partition: self.lanes[id].key.source_partition, offset };
        let RecordParts { key, .. } = emission.parts;
        let partition = match (emission.what, key) {
            (What::DeadLetter, Some(key)) => by_key(key, known.partitions),
            (What::DeadLetter, None) => origin.partition.rem_euclid(known.partitions.max(1)),
            _ => {
                partition_of(spec.partitioning, origin, key, emission.is_rekeyed, known.partitions)
            }
        };
        let era = self.lanes[id].era();
        let is_there = state
            .readers
            .get(&id)
            .is_some_and(|reader| reader.outlets.contains_key(&(topic, partition)));
        if !is_there {
            self.make_outlet(state, id, topic, partition);
        }
        let Some(reader) = state.readers.get_mut(&id) else { return };
        let Some(lease) = &reader.lease else { return };
        let Some(outlet) = reader.outlets.get_mut(&(topic, partition)) else { return };
        let place = outlet.place;
        if !outlet.is_new(era, offset) {
            return;
        }
        let limit = BATCH_BYTES.min(usize::try_from(known.traits.max_message_bytes).unwrap_or(0));
        let is_full =
            outlet.builder.size_bytes() + HEADER_BYTES + emission.parts.size_bytes_max() > limit;
        if outlet.builder.count() > 0 && (is_full || outlet.compression != codec) {
            // The batch ends before this output.
            let behind = std::mem::replace(&mut outlet.place, place);
            let flushed = outlet.flush(&mut self.lanes, lease);
            outlet.place = behind;
            if let Err(cause) = flushed {
                return self.stop_lane(id, cause, super::failure::CORRUPT_CURE);
            }
        }
        if outlet.builder.count() == 0 {
            outlet.compression = codec;
            outlet.builder = BatchBuilder::new(codec);
        }
        outlet.is_touched = true;
        if let Err(error) = outlet.builder.push(&emission.parts) {
            self.stop_lane(id, error.to_string(), super::failure::CORRUPT_CURE);
        }
    }

    /// Makes the lane to a target partition that gets its first output of this source partition.
    fn make_outlet(&mut self, state: &mut State, id: LaneId, topic: TopicId, partition: i32) {
        let Some(known) = state.topics[topic].known() else { return };
        let reader = &self.lanes[id];
        let key = LaneKey {
            source_topic: reader.key.source_topic.clone(),
            source_partition: reader.key.source_partition,
            target_topic: state.topics[topic].name.to_string(),
            target_partition: partition,
        };
        let record = new_record(self.ctx.task.as_str(), key);
        let status = LaneStatus::new(record.lane.clone());
        let seed = LaneSeed { traits: known.traits, ..LaneSeed::of_writer(record, status) };
        let lane = self.make_lane(seed);
        let made = self.place(lane);
        state.owners.insert(made, id);
        if let Some(reader) = state.readers.get_mut(&id) {
            reader.outlets.insert((topic, partition), Outlet::new(made));
        }
        self.target_metadata.want();
    }
}

/// The record of a lane that has written nothing. No topic name has the colons that keep its transactional id apart from all others.
fn new_record(task: &str, lane: LaneKey) -> LaneRecord {
    let LaneKey { source_topic, source_partition, target_topic, target_partition } = &lane;
    let transactional_id = format!(
        "kferry-{task}-{source_topic}:{source_partition}:{target_topic}:{target_partition}"
    );
    LaneRecord {
        lane,
        source_topic_id: None,
        target_topic_id: None,
        transactional_id,
        settled: true,
        epochs: Vec::new(),
        runs: forward::Runs::default(),
        acked: LaneProgress {
            ordinal: Ordinal(0),
            source_next: SourceOffset(0),
            target_next: TargetOffset(-1),
        },
        source_epoch: -1,
        source_epochs: crate::journal::SourceEpochs::default(),
        map_start: None,
        outputs: crate::journal::Outputs::default(),
    }
}

/// Whether the target will take an output.
fn fits(
    emission: &Emission<'_>,
    known: &Known,
    codec: Compression,
    topic: &str,
) -> Result<(), Refusal> {
    let refuse = |code, cause| Err(Refusal::new(code, "output", cause, false));
    if known.traits.compacted && emission.parts.key.is_none() {
        let cause = format!("the topic {topic} is compacted and the record has no key");
        return refuse(ErrorCode::InvalidRecord, cause);
    }
    let max = usize::try_from(known.traits.max_message_bytes).unwrap_or(0);
    if HEADER_BYTES + emission.parts.size_bytes_max() <= max {
        return Ok(());
    }
    let mut alone = BatchBuilder::new(codec);
    let size = match alone.push(&emission.parts).and_then(|()| alone.finish()) {
        Ok(batch) => batch.bytes.len(),
        Err(error) => return refuse(ErrorCode::RecordTooLarge, error.to_string()),
    };
    if size <= max {
        return Ok(());
    }
    let cause = format!("{size} bytes are more than the {max} that the topic {topic} takes");
    refuse(ErrorCode::RecordTooLarge, cause)
}
