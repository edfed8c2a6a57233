//! A batch as a line of text, and as an object.

use bytes::Bytes;
use kafka_wire::record::{Batch, Record, RecordLimits};
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::text;

/// Bytes of a key or value that are shown.
const PREVIEW_BYTES: usize = 48;

/// What to show of each batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detail {
    /// Also the records.
    pub(crate) records: bool,
    /// Also the beginning of keys and values.
    pub(crate) values: bool,
}

/// What is known of one batch.
#[derive(Debug, Serialize)]
pub(crate) struct BatchFacts {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    base_offset: i64,
    last_offset: i64,
    /// Unknown for a legacy wrapper that cannot be decompressed.
    count: Option<i64>,
    format: i8,
    codec: String,
    size_bytes: usize,
    /// Absent in formats 0 and 1.
    #[serde(flatten)]
    v2: Option<HeaderFacts>,
    crc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Value>>,
    /// Why the checksum or the records are bad.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

/// What only format 2 has in its header.
#[derive(Debug, Serialize)]
struct HeaderFacts {
    timestamp_type: &'static str,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    leader_epoch: i32,
    flags: Vec<String>,
}

impl BatchFacts {
    /// Looks at a batch: header, checksum, and the records if wanted.
    pub(crate) fn of(batch: &Batch, position: Option<u64>, detail: Detail) -> Self {
        let mut errors = Vec::new();
        let crc = match batch.verify_crc() {
            Ok(()) => "ok",
            Err(error) => {
                errors.push(error.to_string());
                "bad"
            }
        };
        let codec = match batch.compression() {
            Ok(codec) => codec.to_string(),
            Err(error) => {
                errors.push(error.to_string());
                "unknown".to_owned()
            }
        };
        let v2 = header(batch, &mut errors);
        let mut facts = Self {
            r#type: "batch",
            position,
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            count: None,
            format: batch.magic(),
            codec,
            size_bytes: batch.size_bytes(),
            v2,
            crc,
            records: None,
            errors,
        };
        facts.count_and_records(batch, detail);
        facts
    }

    /// The header of format 2 tells the count; older wrappers have to be opened.
    fn count_and_records(&mut self, batch: &Batch, detail: Detail) {
        if let Batch::V2(batch) = batch {
            self.count = Some(batch.header.record_count.into());
            if !detail.records {
                return;
            }
        }
        match batch.records(&RecordLimits::default()) {
            Ok(records) => {
                self.count = i64::try_from(records.len()).ok();
                if let (Batch::Legacy(_), Some(first), Some(last)) =
                    (batch, records.first(), records.last())
                {
                    self.base_offset = first.offset;
                    self.last_offset = last.offset;
                }
                if detail.records {
                    self.records =
                        Some(records.iter().map(|record| record_value(record, detail)).collect());
                }
            }
            Err(error) => self.errors.push(crate::failure::chain(&error)),
        }
    }

    /// Nothing is wrong with it.
    pub(crate) fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// How many records it says it has.
    pub(crate) fn count(&self) -> i64 {
        self.count.unwrap_or(0)
    }

    /// Its whole size.
    pub(crate) fn size_bytes(&self) -> u64 {
        u64::try_from(self.size_bytes).unwrap_or(u64::MAX)
    }

    /// First and last offset.
    pub(crate) fn offsets(&self) -> (i64, i64) {
        (self.base_offset, self.last_offset)
    }

    /// The batch as lines of text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut parts = vec![
            format!("offsets {}..{}", self.base_offset, self.last_offset),
            format!(
                "count {}",
                self.count.map_or_else(|| "?".to_owned(), |count| count.to_string())
            ),
            format!("v{} {} {} bytes", self.format, self.codec, self.size_bytes),
        ];
        if let Some(v2) = &self.v2 {
            parts.push(format!(
                "{} {}..{}",
                v2.timestamp_type,
                text::timestamp(v2.base_timestamp),
                text::timestamp(v2.max_timestamp)
            ));
            if v2.producer_id >= 0 {
                parts.push(format!(
                    "producer {} epoch {} sequence {}",
                    v2.producer_id, v2.producer_epoch, v2.base_sequence
                ));
            }
            parts.push(format!("leader epoch {}", v2.leader_epoch));
            parts.extend(v2.flags.iter().cloned());
        }
        parts.push(format!("crc {}", self.crc));
        let position = self.position.map(|position| format!("@{position}  ")).unwrap_or_default();
        let mut lines = vec![format!("{position}{}", parts.join("  "))];
        lines.extend(self.errors.iter().map(|error| format!("    damaged: {}", text::safe(error))));
        lines.extend(self.records.iter().flatten().map(record_line));
        lines
    }
}

fn header(batch: &Batch, errors: &mut Vec<String>) -> Option<HeaderFacts> {
    let Batch::V2(batch) = batch else { return None };
    let header = &batch.header;
    let attributes = header.attributes;
    let mut flags = Vec::new();
    if attributes.is_transactional() {
        flags.push("transactional".to_owned());
    }
    if attributes.is_control() {
        flags.push("control".to_owned());
        match batch.control() {
            Ok(Some(control)) => flags.push(
                format!("{:?} by coordinator epoch {}", control.kind, control.coordinator_epoch)
                    .to_lowercase(),
            ),
            Ok(None) => {}
            Err(error) => errors.push(crate::failure::chain(&error)),
        }
    }
    if attributes.has_delete_horizon() {
        flags.push("delete horizon".to_owned());
    }
    Some(HeaderFacts {
        timestamp_type: if attributes.is_log_append_time() {
            "LogAppendTime"
        } else {
            "CreateTime"
        },
        base_timestamp: header.base_timestamp,
        max_timestamp: header.max_timestamp,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        leader_epoch: header.partition_leader_epoch,
        flags,
    })
}

fn record_value(record: &Record, detail: Detail) -> Value {
    let mut value = json!({
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key_bytes": record.key.as_ref().map(Bytes::len),
        "value_bytes": record.value.as_ref().map(Bytes::len),
        "headers": record.headers.iter().map(|header| json!({
            "key": text::preview(&header.key, PREVIEW_BYTES),
            "value_bytes": header.value.as_ref().map(Bytes::len),
        })).collect::<Vec<_>>(),
    });
    if detail.values {
        value["key"] = preview(record.key.as_ref());
        value["value"] = preview(record.value.as_ref());
    }
    value
}

fn preview(data: Option<&Bytes>) -> Value {
    data.map_or(Value::Null, |data| Value::String(text::preview(data, PREVIEW_BYTES)))
}

fn record_line(record: &Value) -> String {
    let size = |name: &str| {
        record[name].as_u64().map_or_else(|| "null".to_owned(), |bytes| format!("{bytes} bytes"))
    };
    let shown =
        |name: &str| record[name].as_str().map(|text| format!(" {text}")).unwrap_or_default();
    let mut line = format!(
        "    {}  {}  key {}{}  value {}{}",
        record["offset"],
        text::timestamp(record["timestamp"].as_i64().unwrap_or(-1)),
        size("key_bytes"),
        shown("key"),
        size("value_bytes"),
        shown("value"),
    );
    for header in record["headers"].as_array().into_iter().flatten() {
        let bytes = header["value_bytes"]
            .as_u64()
            .map_or_else(|| "null".to_owned(), |bytes| format!("{bytes} bytes"));
        line.push_str(&format!("  header {} {bytes}", header["key"].as_str().unwrap_or_default()));
    }
    line
}
