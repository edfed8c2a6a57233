//! Batches as a broker serves them.

use kafka_client::{Isolation, TopicPartition};
use kafka_wire::record::split;
use serde_json::json;

use super::{Summary, show::BatchFacts};
use crate::{
    cli::PartitionAt,
    commands::{check, reader::Reader},
    config,
    failure::Failure,
    output::text,
};

/// Shows the batches of a partition, from an offset on, to the end as it is now.
///
/// # Errors
/// A [`Failure`] when the partition cannot be read or has no such offset.
pub(super) async fn partition(
    input: &str,
    wanted: &PartitionAt,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let connection = config::connection("CONNECTION", input)?;
    let client = check::client(&connection)?;
    let at = TopicPartition::new(wanted.topic.clone(), wanted.partition);
    // Everything that is there, also what a reader of committed records does not see.
    let mut reader = Reader::new(&client, at.clone(), Isolation::ReadUncommitted).await?;
    if let Some(offset) = wanted.offset {
        if offset < reader.start || offset > reader.end {
            return Err(Failure::failed(format!(
                "{at}: offset {offset} is outside {}..{}",
                reader.start, reader.end
            )));
        }
        reader.offset = offset;
    }
    summary.output.text(&format!("{at}: offsets {}..{}", reader.start, reader.end));
    let mut position = 0;
    while let Some(fetched) = reader.next().await? {
        let before = reader.offset;
        for batch in split(fetched.records) {
            match batch {
                Ok(batch) => {
                    reader.offset = reader.offset.max(batch.next_offset());
                    position += u64::try_from(batch.size_bytes()).unwrap_or(u64::MAX);
                    if !summary.batch(&BatchFacts::of(&batch, None, summary.detail)) {
                        client.close().await;
                        return Ok(());
                    }
                }
                Err(error) => {
                    summary.totals.damaged += 1;
                    let cause = crate::failure::chain(&error);
                    summary.output.json(&json!({ "type": "damage", "offset": reader.offset, "position": position, "cause": cause }));
                    summary.output.text(&format!(
                        "after offset {}: no batch: {}",
                        reader.offset,
                        text::safe(&cause)
                    ));
                    client.close().await;
                    return Ok(());
                }
            }
        }
        if reader.offset == before {
            return Err(Failure::failed(format!(
                "{at}: the broker sent no whole batch at offset {before}"
            )));
        }
    }
    client.close().await;
    Ok(())
}
