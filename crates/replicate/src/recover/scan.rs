//! Reads a stretch of a log from beside the copy.

use std::time::Duration;

use forward::AbortedFilter;
use kafka_client::{Client, Isolation, OffsetSpec, TopicPartition};
use kafka_wire::ErrorCode;
use kafka_wire::record::{Batch, BatchError, Record, RecordLimits, split};
use tokio::time::sleep;

use super::OpenError;
use crate::tail_fetch::fetch_once;

/// How often an answer without records is asked again before the lane starts over: a fresh leader may not know its
/// high watermark yet (P15).
const EMPTY_MAX: u32 = 20;

/// Hands every batch that reaches into `range` to `take`, in order. All of it, or an error.
pub(super) async fn scan(
    client: &Client,
    at: &TopicPartition,
    range: std::ops::Range<i64>,
    isolation: Isolation,
    mut take: impl FnMut(&Batch, &mut AbortedFilter) -> Result<(), BatchError>,
) -> Result<(), OpenError> {
    let corrupt = |error| OpenError::Corrupt { target: at.clone(), error };
    let code = |code| OpenError::Code { target: at.clone(), code };
    let (mut next, mut empty_count) = (range.start, 0);
    while next < range.end {
        let fetched = fetch_once(client, at, next, isolation).await?;
        if fetched.error == ErrorCode::OFFSET_OUT_OF_RANGE {
            let start = offset(client, at, OffsetSpec::Earliest, isolation).await?;
            if start <= next {
                return Ok(());
            }
            next = start;
            continue;
        }
        fetched.error.ok().map_err(code)?;
        let before = next;
        let mut aborted = AbortedFilter::new(fetched.aborted);
        for batch in split(fetched.records) {
            let batch = batch.map_err(corrupt)?;
            if batch.base_offset() >= range.end {
                // Compaction took all that was left of the range.
                next = range.end;
                break;
            }
            if batch.next_offset() <= next {
                continue;
            }
            take(&batch, &mut aborted).map_err(corrupt)?;
            next = batch.next_offset();
        }
        empty_count = if next == before { empty_count + 1 } else { 0 };
        if empty_count > EMPTY_MAX {
            return Err(code(ErrorCode::OFFSET_NOT_AVAILABLE));
        }
        if empty_count > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// What ListOffsets says of one partition.
pub(crate) async fn offset(
    client: &Client,
    at: &TopicPartition,
    spec: OffsetSpec,
    isolation: Isolation,
) -> Result<i64, OpenError> {
    let mut answer = client.list_offsets(vec![(at.clone(), spec)], isolation).await?;
    match answer.remove(at) {
        Some(Ok(listed)) => Ok(listed.offset),
        Some(Err(code)) => Err(OpenError::Code { target: at.clone(), code }),
        None => {
            let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            Err(OpenError::Code { target: at.clone(), code })
        }
    }
}

/// The records of a batch; control batches have none.
pub(super) fn records_of(batch: &Batch, limits: &RecordLimits) -> Result<Vec<Record>, BatchError> {
    let is_control = matches!(batch, Batch::V2(batch) if batch.header.attributes.is_control());
    if is_control { Ok(Vec::new()) } else { batch.records(limits) }
}
