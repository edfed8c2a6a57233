//! Where the source's history and the one that was copied part.
//!
//! Leader epochs tell it exactly (KIP-320). Brokers that do not answer for them, and topics without ids, leave the content:
//! records of the source are compared with those that the offset map names on the target. What is gone from
//! either side contradicts nothing.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use forward::content::content_hash;
use forward::{Segment, SourceOffset, TargetTraits};
use kafka_client::{Client, ClientError, Isolation, OffsetSpec, TopicPartition};
use kafka_wire::ErrorCode;
use kafka_wire::record::RecordLimits;

use super::OpenError;
use super::scan::{offset, records_of, scan};
use crate::journal::{Journal, LaneKey, MapQuery, Walk};
use crate::lane::Lane;

/// Source offsets that are compared at once while the place is looked for.
const PROBE_OFFSETS: i64 = 16;

/// Source offsets before the place that must agree: a single record may be equal by accident.
const CONFIRMED_OFFSETS: i64 = 256;

/// What the leader epochs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parted {
    /// The first offset that the two histories do not share, at the latest.
    pub(crate) cut: SourceOffset,
    /// No content needs to be compared.
    pub(crate) is_certain: bool,
}

/// Goes back through the lane's epochs until the source's leader has one of them.
pub(crate) async fn by_epochs(
    client: &Client,
    at: &TopicPartition,
    mut walk: Walk,
) -> Result<Parted, OpenError> {
    let whole = walk.end();
    let mut is_first = true;
    while let Some(epoch) = walk.question() {
        let answer = match client.offsets_for_leader_epoch(vec![(at.clone(), epoch)]).await {
            Ok(mut answers) => answers.remove(at),
            Err(ClientError::Unsupported { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        let found = match answer {
            Some(Ok(found)) => found,
            // Before 2.1 this is for brokers only.
            Some(Err(
                ErrorCode::CLUSTER_AUTHORIZATION_FAILED | ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            )) => break,
            Some(Err(code)) => return Err(OpenError::Code { target: at.clone(), code }),
            None => {
                let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                return Err(OpenError::Code { target: at.clone(), code });
            }
        };
        if let Some(cut) = walk.answer(found) {
            // A broker that crashed may lose a part of an epoch and go on in the same one (P9).
            let is_certain = !is_first || cut == whole;
            return Ok(Parted { cut, is_certain });
        }
        is_first = false;
    }
    Ok(Parted { cut: walk.end(), is_certain: false })
}

/// Compares what a lane copied with what the source has.
#[derive(Debug)]
pub(crate) struct Comparison {
    source: Client,
    target: Client,
    journal: Arc<dyn Journal>,
    lane: LaneKey,
    traits: TargetTraits,
    limits: RecordLimits,
    /// The youngest segments of the offset map; the journal has the older ones.
    segments: Vec<Segment>,
    acked: SourceOffset,
}

impl Comparison {
    pub(crate) fn of(
        lane: &Lane,
        source: Client,
        target: Client,
        journal: Arc<dyn Journal>,
    ) -> Self {
        Self {
            source,
            target,
            journal,
            lane: LaneKey::clone(&lane.key),
            traits: lane.traits,
            limits: lane.limits(),
            segments: lane.map_segments(),
            acked: lane.acked().source_next,
        }
    }

    /// The first source offset that is not what was copied; `latest` when all before it agrees.
    pub(crate) async fn cut(&self, latest: SourceOffset) -> Result<SourceOffset, OpenError> {
        let at = self.source_at();
        let ask = async |spec| offset(&self.source, &at, spec, Isolation::ReadUncommitted).await;
        let start = ask(OffsetSpec::Earliest).await?;
        let copied = latest.0.min(self.acked.0);
        let mut high = copied.min(ask(OffsetSpec::Latest).await?);
        while high > start {
            let confirmed = start.max(high - CONFIRMED_OFFSETS)..high;
            let Some(differs) = self.first_difference(confirmed).await? else { break };
            high = self.halve(start, differs).await?;
        }
        Ok(if high == copied { latest } else { SourceOffset(high) })
    }

    /// Somewhere in `low..=high` the histories part; the record at `high` differs.
    async fn halve(&self, mut low: i64, mut high: i64) -> Result<i64, OpenError> {
        while low < high {
            let middle = low + (high - low) / 2;
            let end = high.min(middle + PROBE_OFFSETS);
            match self.first_difference(middle..end).await? {
                Some(differs) => high = differs,
                None => low = end,
            }
        }
        Ok(high)
    }

    /// The first source offset in `range` whose record is not the one on the target.
    async fn first_difference(&self, range: Range<i64>) -> Result<Option<i64>, OpenError> {
        let sources = self.hashes(&self.source, &self.source_at(), range.clone()).await?;
        let mut pairs = Vec::new();
        for (source, hash) in sources {
            if let Some(target) = self.target_of(source).await? {
                pairs.push((source, target, hash));
            }
        }
        pairs.sort_unstable();
        let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else { return Ok(None) };
        let at = TopicPartition::new(self.lane.target_topic.clone(), self.lane.target_partition);
        let copies: HashMap<i64, u64> =
            self.hashes(&self.target, &at, first.1..last.1 + 1).await?.into_iter().collect();
        let differs = |(_, target, hash): &&(i64, i64, u64)| {
            copies.get(target).is_some_and(|copy| copy != hash)
        };
        Ok(pairs.iter().find(differs).map(|(source, ..)| *source))
    }

    /// Where the offset map says that a source offset is.
    async fn target_of(&self, source: i64) -> Result<Option<i64>, OpenError> {
        let source = SourceOffset(source);
        let index = self.segments.partition_point(|segment| segment.source_end() <= source);
        let found = match self.segments.get(index) {
            Some(segment) if index > 0 || segment.source_start <= source => Some(*segment),
            _ => self.journal.query_map(self.lane.clone(), MapQuery::Source(source)).await?,
        };
        let holds =
            |segment: &Segment| segment.source_start <= source && source < segment.source_end();
        Ok(found.filter(holds).map(|segment| segment.target_at_or_after(source).0))
    }

    async fn hashes(
        &self,
        client: &Client,
        at: &TopicPartition,
        range: Range<i64>,
    ) -> Result<Vec<(i64, u64)>, OpenError> {
        let mut found = Vec::new();
        scan(client, at, range.clone(), Isolation::ReadUncommitted, |batch, _| {
            let records = records_of(batch, &self.limits)?;
            let wanted = records.iter().filter(|record| range.contains(&record.offset));
            let with_time = !self.traits.log_append_time;
            found.extend(wanted.map(|record| (record.offset, content_hash(record, with_time))));
            Ok(())
        })
        .await?;
        Ok(found)
    }

    fn source_at(&self) -> TopicPartition {
        TopicPartition::new(self.lane.source_topic.clone(), self.lane.source_partition)
    }
}
