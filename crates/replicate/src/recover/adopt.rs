//! A lane whose journal is lost, or older than its target: is what the target holds ours, and how far does it go?
//!
//! Two things tell. The producer: a batch that carries the id which our transactional id gives us is ours, nobody else
//! gets that id (P14). And the content: the last records of the target are looked for in the source
//! ([`forward::content`]). With both, the lane goes on behind the match. What looks like ours and cannot be placed, or has the
//! content without the producer, is [`Standing::Unknown`]: the task's policy decides, not a guess (ADR 0007).

use std::collections::{BTreeMap, VecDeque};

use forward::content::{ContentMatch, Found, Print, content_hash};
use forward::{Decision, Segment, SourceOffset, Tail, TargetOffset, decide};
use kafka_client::{Client, Isolation, OffsetSpec, ProducerIdentity, TopicPartition, TopicQuery};
use kafka_wire::record::{Batch, Record};

use super::scan::{offset, records_of, scan};
use super::{OpenError, Opening};

/// Target offsets that are read first, back from the end.
const WINDOW_OFFSETS: i64 = 4096;

/// Records of one producer that are compared with the source.
const WINDOW_RECORDS: usize = 512;

/// Where a lane stands, seen from the target.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Where the journal says.
    Journaled,
    /// Behind records that the journal does not know.
    Adopted(Adopted),
    /// Nobody can say.
    Unknown {
        /// Why it may be our copy, and why that cannot be settled.
        cause: String,
        /// Where the content ends in the source, when that much is certain.
        content: Option<Adopted>,
    },
}

/// A position found by content.
#[derive(Debug)]
pub(crate) struct Adopted {
    /// The source offset to go on at.
    pub(crate) source_next: SourceOffset,
    /// Which target records are which source records, the last ones.
    pub(crate) segments: Vec<Segment>,
}

/// The last records of one producer in the target, with their times.
type Window = VecDeque<(Print, i64)>;

/// The target's tail by producer.
struct Producers {
    windows: BTreeMap<i64, Window>,
    /// Where the target's log begins.
    start: i64,
}

/// Why the journal cannot be what this lane wrote last.
struct Doubt {
    text: String,
    /// The source has another record where the last one was.
    is_about_content: bool,
}

/// A record of a log.
#[derive(Clone, Copy)]
struct Seen {
    hash: u64,
    /// The leader epoch that wrote it, -1 when unknown.
    epoch: i32,
}

impl Opening {
    /// Finds out whether the journal can be believed, at the first opening in this process.
    pub(super) async fn standing(
        &self,
        target: &Client,
        identity: ProducerIdentity,
        tail: &Tail,
    ) -> Result<Standing, OpenError> {
        let end = tail.target_next.0;
        if self.epochs.is_empty() {
            let is_empty = end == 0;
            return if is_empty {
                Ok(Standing::Journaled)
            } else {
                self.unknown_to_journal(target, identity, end).await
            };
        }
        let Some(cause) = self.doubt(target, tail).await? else { return Ok(Standing::Journaled) };
        if self.is_made {
            return Ok(Standing::Unknown { cause: cause.text, content: None });
        }
        let own: Vec<i64> = self.own(identity);
        let producers = self.producers(target, end, &own).await?;
        let found = self.compare(&producers, &own).await?;
        let is_nowhere = matches!(found.last(), None | Some(Found::Nowhere));
        if cause.is_about_content && is_nowhere && self.source_topic_id.is_none() {
            // Without an id a topic that was made anew looks the same. What the source has now is compared before
            // anything is read.
            return Ok(Standing::Journaled);
        }
        Ok(settle_own(&cause.text, found))
    }

    fn own(&self, identity: ProducerIdentity) -> Vec<i64> {
        let known = self.epochs.iter().map(|epoch| epoch.producer_id);
        known.chain([identity.producer_id]).collect()
    }

    /// The journal does not know the lane: did another one?
    async fn unknown_to_journal(
        &self,
        target: &Client,
        identity: ProducerIdentity,
        end: i64,
    ) -> Result<Standing, OpenError> {
        let first = *self.first_identity.get_or_init(|| identity);
        let was_used = first.producer_epoch > 0;
        let own: &[i64] = if was_used { &[first.producer_id] } else { &[] };
        let producers = self.producers(target, end, own).await?;
        if own.iter().any(|id| producers.windows.contains_key(id)) {
            let cause = "the target holds records of this lane, the state does not know them";
            if self.is_made {
                return Ok(Standing::Unknown { cause: cause.to_owned(), content: None });
            }
            let found = self.compare(&producers, own).await?;
            return Ok(settle_own(cause, found));
        }
        if self.is_made {
            return Ok(Standing::Journaled);
        }
        let others: Vec<i64> = producers.windows.keys().copied().collect();
        let found = self.compare(&producers, &others).await?;
        Ok(settle_others(found, was_used && producers.start > 0))
    }

    /// Why the journal cannot be what this lane wrote last, if so.
    async fn doubt(&self, target: &Client, tail: &Tail) -> Result<Option<Doubt>, OpenError> {
        let doubt = |text| Some(Doubt { text, is_about_content: false });
        if tail.unknown_epoch_count > 0 {
            return Ok(doubt(format!(
                "the target holds {} batches of this lane in producer epochs that the state does not know: the state is older than the target",
                tail.unknown_epoch_count
            )));
        }
        let last = tail.ordinal_next.plus(-1);
        if tail.ordinal_next > self.acked.ordinal && self.runs.source_of(last).is_none() {
            return Ok(doubt(format!(
                "the state does not know which source offset record {last} had"
            )));
        }
        let Some(segment) = tail.segments.last().filter(|_| !self.is_made) else { return Ok(None) };
        let (source, at) = (segment.source_end().0 - 1, segment.target_end().0 - 1);
        let copied = self.record(target, &self.target, at, Isolation::ReadUncommitted).await?;
        let original = self
            .record(&self.source_client, &self.source, source, Isolation::ReadUncommitted)
            .await?;
        // Retention, compaction: what is gone contradicts nothing.
        let (Some(copied), Some(original)) = (copied, original) else { return Ok(None) };
        if copied.hash == original.hash || self.is_other_history(source, original.epoch).await? {
            return Ok(None);
        }
        let text = format!(
            "the record at target offset {at} is not the one at source offset {source}, as the state has it: the state is older than the target, or the source is another one"
        );
        Ok(Some(Doubt { text, is_about_content: true }))
    }

    /// Whether the source's record at `offset`, of leader epoch `found`, cannot be the one that was read there: another
    /// topic or another leader wrote it. Then the state is right, and what became of the source is told as such.
    async fn is_other_history(&self, offset: i64, found: i32) -> Result<bool, OpenError> {
        let known = self.source_epochs.at(SourceOffset(offset));
        if known >= 0 && found >= 0 && known != found {
            return Ok(true);
        }
        let Some(known) = self.source_topic_id else { return Ok(false) };
        let query = TopicQuery::Named(vec![self.source.topic.clone()]);
        let metadata = self.source_client.refresh_metadata(query).await?;
        let topic = metadata.topics.get(&self.source.topic);
        Ok(topic.and_then(|topic| topic.topic_id).is_some_and(|found| found != known))
    }

    /// The record at `offset`, if it is there.
    async fn record(
        &self,
        client: &Client,
        at: &TopicPartition,
        offset: i64,
        isolation: Isolation,
    ) -> Result<Option<Seen>, OpenError> {
        let mut found = None;
        // Nothing comes from the end of a log: one that was cut there would be asked for ever.
        let end = super::scan::offset(client, at, OffsetSpec::Latest, isolation).await?;
        scan(client, at, offset..end.min(offset + 1), isolation, |batch, _| {
            let record = self.records(batch)?.into_iter().find(|record| record.offset == offset);
            let epoch = match batch {
                Batch::V2(batch) => batch.header.partition_leader_epoch,
                Batch::Legacy(_) => -1,
            };
            found = found.or_else(|| record.map(|record| Seen { hash: self.hash(&record), epoch }));
            Ok(())
        })
        .await?;
        Ok(found)
    }

    fn hash(&self, record: &Record) -> u64 {
        content_hash(record, !self.traits.log_append_time)
    }

    fn records(&self, batch: &Batch) -> Result<Vec<Record>, kafka_wire::record::BatchError> {
        records_of(batch, &self.limits)
    }

    /// Reads the end of the target, further back until records of `own` producers are seen.
    async fn producers(
        &self,
        target: &Client,
        end: i64,
        own: &[i64],
    ) -> Result<Producers, OpenError> {
        let start =
            offset(target, &self.target, OffsetSpec::Earliest, Isolation::ReadUncommitted).await?;
        let mut reach = WINDOW_OFFSETS;
        loop {
            let from = start.max(end - reach);
            let mut windows: BTreeMap<i64, Window> = BTreeMap::new();
            scan(target, &self.target, from..end, Isolation::ReadUncommitted, |batch, _| {
                let Batch::V2(header) = batch else { return Ok(()) };
                // We always send with a producer id: what has none is not ours.
                if header.header.producer_id < 0 {
                    return Ok(());
                }
                let records = self.records(batch)?;
                let window = windows.entry(header.header.producer_id).or_default();
                for record in records {
                    let print =
                        Print { target: TargetOffset(record.offset), hash: self.hash(&record) };
                    window.push_back((print, record.timestamp));
                    if window.len() > WINDOW_RECORDS {
                        window.pop_front();
                    }
                }
                Ok(())
            })
            .await?;
            windows.retain(|_, window| !window.is_empty());
            let is_seen = own.is_empty() || own.iter().any(|id| windows.contains_key(id));
            if is_seen || from == start {
                return Ok(Producers { windows, start });
            }
            reach = reach.saturating_mul(4);
        }
    }

    /// Looks for the windows of the producers `which` in the source, all in one pass.
    async fn compare(&self, producers: &Producers, which: &[i64]) -> Result<Vec<Found>, OpenError> {
        let windows: Vec<&Window> =
            which.iter().filter_map(|id| producers.windows.get(id)).collect();
        let first = windows.iter().flat_map(|window| window.iter().map(|(_, time)| *time)).min();
        let Some(first) = first else { return Ok(Vec::new()) };
        let mut matches: Vec<ContentMatch> = windows
            .iter()
            .map(|window| ContentMatch::new(window.iter().map(|(print, _)| *print).collect()))
            .collect();
        let (client, isolation) = (&self.source_client, Isolation::ReadCommitted);
        // No record of the window can lie before the first record of its time.
        let spec = if self.traits.log_append_time || first < 0 {
            OffsetSpec::Earliest
        } else {
            OffsetSpec::Timestamp(first)
        };
        let from = offset(client, &self.source, spec, isolation).await?;
        let end = offset(client, &self.source, OffsetSpec::Latest, isolation).await?;
        if from >= 0 {
            scan(client, &self.source, from..end, isolation, |batch, aborted| {
                let decision = decide(batch, SourceOffset(from), aborted, &self.traits)?;
                if matches!(decision, Decision::Drop(_)) {
                    return Ok(());
                }
                for record in self.records(batch)?.iter().filter(|record| record.offset >= from) {
                    let hash = self.hash(record);
                    for content in &mut matches {
                        content.see(SourceOffset(record.offset), hash);
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(matches.into_iter().map(ContentMatch::finish).collect())
    }
}

/// The records are certainly ours; `cause` says why the journal does not tell where they end.
fn settle_own(cause: &str, mut found: Vec<Found>) -> Standing {
    // A producer id that was given up holds older records: the last one decides.
    let last = found.pop();
    let why = match last {
        Some(Found::At { source_next, segments }) => {
            return Standing::Adopted(Adopted { source_next, segments });
        }
        Some(found) => unplaced(&found),
        None => "none of its records is left to be looked for in the source".to_owned(),
    };
    Standing::Unknown { cause: format!("{cause}; {why}"), content: None }
}

/// None of the records is by a producer that we know; `was_used`: this lane once wrote, and part of the log is gone.
fn settle_others(found: Vec<Found>, was_used: bool) -> Standing {
    let mut placed: Vec<Found> =
        found.into_iter().filter(|found| *found != Found::Nowhere).collect();
    match (placed.pop(), placed.is_empty()) {
        (None, _) if was_used => Standing::Unknown {
            cause: "the lane's transactional id was used before and the beginning of the target's log is gone: a former copy may have been there".to_owned(),
            content: None,
        },
        (None, _) => Standing::Journaled,
        (Some(Found::At { source_next, segments }), true) => Standing::Unknown {
            cause: format!("the target's last records are those of the source up to offset {}, but of a producer that this task does not know", source_next.plus(-1)),
            content: Some(Adopted { source_next, segments }),
        },
        (Some(found), true) => Standing::Unknown {
            cause: format!("the target holds records of the source by a producer that this task does not know; {}", unplaced(&found)),
            content: None,
        },
        (Some(_), false) => Standing::Unknown {
            cause: "the target holds records of the source by several producers that this task does not know".to_owned(),
            content: None,
        },
    }
}

/// Why a window has no place in the source.
fn unplaced(found: &Found) -> String {
    match found {
        Found::At { source_next, .. } => format!("they end before source offset {source_next}"),
        Found::Ambiguous { first, count } => format!(
            "its last records are at {count} places of the source, the first of them offset {first}"
        ),
        Found::Contradicted { at, agreed } => format!(
            "its last record is at source offset {at}, but only {agreed} records agree before the two differ"
        ),
        Found::Nowhere => "its last record is not in the source".to_owned(),
    }
}
