//! What was written to both clusters by others than the task, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use kafka_wire::record::Record;

use crate::group_story::GroupStep;

/// A topic and a partition.
pub(crate) type At = (String, i32);

/// What became of a record on the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Committed,
    Aborted,
    /// Its transaction is under way.
    Open,
}

/// A record as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) id: u64,
    pub(crate) offset: i64,
    /// As a consumer sees it.
    pub(crate) record: Record,
    pub(crate) fate: Fate,
}

/// What happened to one source partition's copy that the oracle must know.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneStory {
    /// The first source offset that is to be copied.
    pub(crate) start: Option<i64>,
    /// Source offsets that events told as lost.
    pub(crate) told_lost: Vec<Range<i64>>,
    /// Where source offsets before this one lie on the target is not known.
    pub(crate) map_start: Option<i64>,
    /// Causes with which it stopped.
    pub(crate) stops: Vec<String>,
}

/// Everything the oracle must know about one run.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By source partition, in the order of offsets.
    pub(crate) source: BTreeMap<At, Vec<Written>>,
    /// Records of others on the target, likewise.
    pub(crate) foreign: BTreeMap<At, Vec<Written>>,
    /// By source partition.
    pub(crate) lanes: BTreeMap<At, LaneStory>,
    /// Source topics that lose superseded records.
    pub(crate) compacted: BTreeSet<String>,
    /// What happened to groups.
    pub(crate) groups: Vec<GroupStep>,
    /// The journal was set back: lanes may stop.
    pub(crate) was_set_back: bool,
}

/// Ids of records of others on the target have this bit.
pub(crate) const FOREIGN: u64 = 1 << 63;

/// The header that carries a record's id.
pub(crate) const ID_HEADER: &[u8] = b"id";

/// The id in a record, if it has one.
pub(crate) fn id_of(record: &Record) -> Option<u64> {
    let from = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?));
    if let Some(value) = &record.value {
        return from(value);
    }
    let header = record.headers.iter().find(|header| header.key == ID_HEADER)?;
    header.value.as_deref().and_then(from)
}
