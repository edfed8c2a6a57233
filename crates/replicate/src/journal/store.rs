//! The tables of the journal's file, and each operation on them as one transaction.
//!
//! Format 1: `meta` holds `format` and `identity`; `notes` holds the task's notes; `lanes`, `topics` and `groups` hold JSON records; `map` holds offset map
//! segments by (lane, source offset), and `map_by_target` finds them by target offset.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forward::{Segment, SourceOffset, TargetOffset};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, WriteTransaction,
};
use serde::de::DeserializeOwned;

use super::{
    Claim, GroupRecord, JournalError, JournalWrite, LaneKey, LaneRecord, MapQuery, TaskIdentity,
    TopicRecord,
};

/// The number of the format that this release reads and writes.
const FORMAT: u64 = 1;

/// redb would take 1 GiB for its cache by itself.
const CACHE_BYTES: usize = 4 << 20;

/// redb's magic number, and the header that begins with it. Behind the header a file in the making holds zeros.
const MAGIC_BYTES: usize = 9;
const HEADER_BYTES: usize = 4096;

/// More than redb gives a new file (about 1.5 MB).
const UNFINISHED_BYTES_MAX: u64 = 16 << 20;

const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
const NOTES: TableDefinition<'_, &str, &str> = TableDefinition::new("notes");
const LANES: TableDefinition<'_, &str, &str> = TableDefinition::new("lanes");
const TOPICS: TableDefinition<'_, &str, &str> = TableDefinition::new("topics");
const GROUPS: TableDefinition<'_, &str, &str> = TableDefinition::new("groups");
/// (lane, source start) to (target start, length).
const MAP: TableDefinition<'_, (&str, i64), (i64, i64)> = TableDefinition::new("map");
/// (lane, target start) to source start.
const MAP_BY_TARGET: TableDefinition<'_, (&str, i64), i64> = TableDefinition::new("map_by_target");

/// The open file.
pub(super) struct Store {
    path: PathBuf,
    database: Database,
}

/// A failed step inside a transaction.
enum Fault {
    Store(redb::Error),
    Damaged(String),
    Refused(JournalError),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(cause: E) -> Self {
        Self::Store(cause.into())
    }
}

/// How a lane is called in the tables. Topic names hold neither slash nor angle bracket.
fn lane_name(lane: &LaneKey) -> String {
    format!(
        "{}/{}>{}/{}",
        lane.source_topic, lane.source_partition, lane.target_topic, lane.target_partition
    )
}

impl Store {
    /// Opens or makes the file and checks its format.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let open = |builder: &Builder| builder.create(path);
        match Self::prepared(path, open) {
            Err(JournalError::Open { .. }) if clear_unfinished(path)? => Self::prepared(path, open),
            opened => opened,
        }
    }

    /// As [`Store::open`], over what `backend` gives instead of a file; `path` is what errors call it.
    pub(super) fn over<B: StorageBackend>(
        path: &Path,
        backend: impl Fn() -> B,
    ) -> Result<Self, JournalError> {
        let open = |builder: &Builder| builder.create_with_backend(backend());
        let clear = || -> std::io::Result<bool> {
            let file = backend();
            let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
            file.read(0, &mut bytes)?;
            let is_unfinished = is_unfinished(&bytes);
            if is_unfinished {
                file.set_len(0)?;
            }
            Ok(is_unfinished)
        };
        match Self::prepared(path, open) {
            Err(JournalError::Open { .. })
                if clear().map_err(|cause| open_error(path, cause.into()))? =>
            {
                Self::prepared(path, open)
            }
            opened => opened,
        }
    }

    fn prepared(
        path: &Path,
        open: impl FnOnce(&Builder) -> Result<Database, DatabaseError>,
    ) -> Result<Self, JournalError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = match guarded(|| open(&builder)) {
            Ok(Ok(database)) => database,
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
                return Err(JournalError::AlreadyOpen { path: path.to_path_buf() });
            }
            Ok(Err(cause)) => return Err(open_error(path, cause.into())),
            Err(what) => return Err(JournalError::Damaged { path: path.to_path_buf(), what }),
        };
        let store = Self { path: path.to_path_buf(), database };
        store.transact("prepared", |store| store.prepare())?;
        Ok(store)
    }

    /// Makes the tables of a new file; checks the format of an old one.
    fn prepare(&self) -> Result<(), Fault> {
        let transaction = self.database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get("format")?.map(|value| value.value().to_owned());
            match found {
                None => drop(meta.insert("format", FORMAT.to_string().as_str())?),
                Some(text) => {
                    let found = text
                        .parse()
                        .map_err(|_| Fault::Damaged(format!("format {text:?} is no number")))?;
                    if found != FORMAT {
                        let path = self.path.clone();
                        return Err(Fault::Refused(JournalError::Format {
                            path,
                            found,
                            known: FORMAT,
                        }));
                    }
                }
            }
            transaction.open_table(NOTES)?;
            transaction.open_table(LANES)?;
            transaction.open_table(TOPICS)?;
            transaction.open_table(GROUPS)?;
            transaction.open_table(MAP)?;
            transaction.open_table(MAP_BY_TARGET)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Takes the file for a task, or checks that it is the task's.
    pub(super) fn claim(&self, identity: &TaskIdentity) -> Result<Claim, JournalError> {
        self.transact("written", |store| {
            let transaction = store.database.begin_write()?;
            let claim = {
                let mut meta = transaction.open_table(META)?;
                let stored = meta.get("identity")?.map(|value| value.value().to_owned());
                match stored {
                    Some(text) => {
                        let stored: TaskIdentity = decode("identity", &text)?;
                        stored.check(identity).map_err(Fault::Refused)?;
                        Claim::Continued
                    }
                    None => {
                        meta.insert("identity", encode(identity)?.as_str())?;
                        Claim::New
                    }
                }
            };
            transaction.commit()?;
            Ok(claim)
        })
    }

    /// Whose file it is.
    pub(super) fn identity(&self) -> Result<Option<TaskIdentity>, JournalError> {
        self.transact("read", |store| {
            let table = store.database.begin_read()?.open_table(META)?;
            let stored = table.get("identity")?.map(|value| value.value().to_owned());
            stored.map(|text| decode("identity", &text)).transpose()
        })
    }

    /// Applies all `writes` in one durable transaction.
    pub(super) fn write(&self, writes: &[JournalWrite]) -> Result<(), JournalError> {
        self.transact("written", |store| {
            let transaction = store.database.begin_write()?;
            for writes in writes.chunk_by(|a, b| is_progress(a) && is_progress(b)) {
                match writes {
                    [first, ..] if is_progress(first) => apply_progress(&transaction, writes)?,
                    _ => writes.iter().try_for_each(|write| apply(&transaction, write))?,
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// All lane records, in the order of their keys.
    pub(super) fn lanes(&self) -> Result<Vec<LaneRecord>, JournalError> {
        let mut lanes: Vec<LaneRecord> = self.records(LANES)?;
        lanes.sort_by(|a, b| a.lane.cmp(&b.lane));
        Ok(lanes)
    }

    /// All topic records, in the order of their source names.
    pub(super) fn topics(&self) -> Result<Vec<TopicRecord>, JournalError> {
        self.records(TOPICS)
    }

    /// All group records, in the order of their ids.
    pub(super) fn groups(&self) -> Result<Vec<GroupRecord>, JournalError> {
        self.records(GROUPS)
    }

    /// One note of the task.
    pub(super) fn note(&self, name: &str) -> Result<Option<String>, JournalError> {
        self.transact("read", |store| {
            let table = store.database.begin_read()?.open_table(NOTES)?;
            Ok(table.get(name)?.map(|value| value.value().to_owned()))
        })
    }

    fn records<T: DeserializeOwned>(
        &self,
        table: TableDefinition<'_, &str, &str>,
    ) -> Result<Vec<T>, JournalError> {
        self.transact("read", |store| {
            let table = store.database.begin_read()?.open_table(table)?;
            let mut records = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                records.push(decode(key.value(), value.value())?);
            }
            Ok(records)
        })
    }

    /// The youngest segments of a lane, oldest first, and whether there are older ones.
    pub(super) fn map(
        &self,
        lane: &LaneKey,
        count_max: usize,
    ) -> Result<(Vec<Segment>, bool), JournalError> {
        self.transact("read", |store| {
            let name = lane_name(lane);
            let table = store.database.begin_read()?.open_table(MAP)?;
            let mut youngest =
                table.range((name.as_str(), i64::MIN)..=(name.as_str(), i64::MAX))?.rev();
            let mut segments = Vec::new();
            let mut has_older = false;
            while let Some(entry) = youngest.next().transpose()? {
                if segments.len() == count_max {
                    has_older = true;
                    break;
                }
                segments.push(segment(entry.0.value().1, entry.1.value())?);
            }
            segments.reverse();
            Ok((segments, has_older))
        })
    }

    /// The segment that holds an offset, or the next one.
    pub(super) fn query(
        &self,
        lane: &LaneKey,
        query: MapQuery,
    ) -> Result<Option<Segment>, JournalError> {
        self.transact("read", |store| {
            let name = lane_name(lane);
            let name = name.as_str();
            let transaction = store.database.begin_read()?;
            let map = transaction.open_table(MAP)?;
            let source_start = match query {
                MapQuery::Source(offset) => offset.0,
                // The segments grow on both sides, so the last one that begins at or before the target
                // offset is the only one that can hold it.
                MapQuery::Target(offset) => {
                    let by_target = transaction.open_table(MAP_BY_TARGET)?;
                    let before = by_target
                        .range((name, i64::MIN)..=(name, offset.0))?
                        .next_back()
                        .transpose()?;
                    before.map_or(i64::MIN, |(_, source_start)| source_start.value())
                }
            };
            let is_before = |segment: &Segment| match query {
                MapQuery::Source(offset) => segment.source_end() <= offset,
                MapQuery::Target(offset) => segment.target_end() <= offset,
            };
            let before =
                map.range((name, i64::MIN)..=(name, source_start))?.next_back().transpose()?;
            if let Some((key, value)) = before {
                let found = segment(key.value().1, value.value())?;
                if !is_before(&found) {
                    return Ok(Some(found));
                }
            }
            let after = (name, source_start.saturating_add(1))..=(name, i64::MAX);
            match map.range(after)?.next().transpose()? {
                Some((key, value)) => Ok(Some(segment(key.value().1, value.value())?)),
                None => Ok(None),
            }
        })
    }

    /// Runs one transaction and says where it failed. A store that panics over a damaged file is an error value too.
    fn transact<T>(
        &self,
        action: &'static str,
        body: impl FnOnce(&Self) -> Result<T, Fault>,
    ) -> Result<T, JournalError> {
        let path = || self.path.clone();
        match guarded(|| body(self)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Fault::Store(redb::Error::Corrupted(what)))) => {
                Err(JournalError::Damaged { path: path(), what })
            }
            Ok(Err(Fault::Store(cause))) => {
                Err(JournalError::Storage { path: path(), action, cause: Arc::new(cause) })
            }
            Ok(Err(Fault::Damaged(what))) | Err(what) => {
                Err(JournalError::Damaged { path: path(), what })
            }
            Ok(Err(Fault::Refused(error))) => Err(error),
        }
    }
}

fn open_error(path: &Path, cause: redb::Error) -> JournalError {
    let path = path.to_path_buf();
    match cause {
        redb::Error::Corrupted(what) => JournalError::Damaged { path, what },
        cause => JournalError::Open { path, cause: Arc::new(cause) },
    }
}

/// Empties a file whose making was interrupted, so that it can be made again. False when it is something else.
///
/// Death before the store has written its magic number leaves a file that redb will not open ever again. Nothing can
/// have been acknowledged in it. The lock is the one that redb takes, so nobody is making the file at this moment.
fn clear_unfinished(path: &Path) -> Result<bool, JournalError> {
    let failed = |cause: std::io::Error| open_error(path, cause.into());
    let Ok(mut file) = File::options().read(true).write(true).open(path) else { return Ok(false) };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(JournalError::AlreadyOpen { path: path.to_path_buf() });
        }
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
    }
    if file.metadata().map_err(failed)?.len() > UNFINISHED_BYTES_MAX {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let is_unfinished = is_unfinished(&bytes);
    if is_unfinished {
        file.set_len(0).map_err(failed)?;
    }
    Ok(is_unfinished)
}

/// Whether this is a store that got its size, and perhaps its first header, but not its magic number: that comes last.
fn is_unfinished(bytes: &[u8]) -> bool {
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == 0);
    !bytes.is_empty()
        && is_zero(&bytes[..bytes.len().min(MAGIC_BYTES)])
        && is_zero(&bytes[bytes.len().min(HEADER_BYTES)..])
}

/// Runs `body`; a panic inside becomes its message.
fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "the store gave up on it".to_owned())
    })
}

fn apply(transaction: &WriteTransaction, write: &JournalWrite) -> Result<(), Fault> {
    match write {
        JournalWrite::Lane(_) | JournalWrite::Segments { .. } => {
            apply_progress(transaction, std::slice::from_ref(write))?;
        }
        JournalWrite::CutMap { lane, from } => cut_map(transaction, lane, *from)?,
        JournalWrite::Topic(record) => {
            let text = encode(record)?;
            transaction.open_table(TOPICS)?.insert(record.source_topic.as_str(), text.as_str())?;
        }
        JournalWrite::Note { name, value } => {
            transaction.open_table(NOTES)?.insert(name.as_str(), value.as_str())?;
        }
        JournalWrite::Group(record) => {
            let text = encode(record)?;
            transaction.open_table(GROUPS)?.insert(record.group.as_str(), text.as_str())?;
        }
        JournalWrite::RemoveLane(lane) => {
            let name = lane_name(lane);
            transaction.open_table(LANES)?.remove(name.as_str())?;
            let all = || (name.as_str(), i64::MIN)..=(name.as_str(), i64::MAX);
            transaction.open_table(MAP)?.retain_in(all(), |_, _| false)?;
            transaction.open_table(MAP_BY_TARGET)?.retain_in(all(), |_, _| false)?;
        }
    }
    Ok(())
}

/// Whether it is a part of what is written once a second, of each lane.
fn is_progress(write: &JournalWrite) -> bool {
    matches!(write, JournalWrite::Lane(_) | JournalWrite::Segments { .. })
}

/// Lanes and segments, in order. To open a table costs more than to write to it, so it is done once for all of them.
fn apply_progress(transaction: &WriteTransaction, writes: &[JournalWrite]) -> Result<(), Fault> {
    let mut lanes = transaction.open_table(LANES)?;
    let mut map = transaction.open_table(MAP)?;
    let mut by_target = transaction.open_table(MAP_BY_TARGET)?;
    for write in writes {
        match write {
            JournalWrite::Lane(record) => {
                let text = encode(record.as_ref())?;
                lanes.insert(lane_name(&record.lane).as_str(), text.as_str())?;
            }
            JournalWrite::Segments { lane, segments } => {
                let name = lane_name(lane);
                for segment in segments {
                    let key = (name.as_str(), segment.source_start.0);
                    let (target_start, len) = (segment.target_start.0, segment.len);
                    let replaced = map.insert(key, (target_start, len))?;
                    let former = replaced.map(|former| former.value().0);
                    if former != Some(target_start) {
                        by_target.insert((name.as_str(), target_start), segment.source_start.0)?;
                    }
                }
            }
            _ => return Err(Fault::Damaged("a write of another kind among progress".to_owned())),
        }
    }
    Ok(())
}

/// Removes what lies at or behind source offset `from`, and shortens the segment that holds it.
fn cut_map(
    transaction: &WriteTransaction,
    lane: &LaneKey,
    from: SourceOffset,
) -> Result<(), Fault> {
    let name = lane_name(lane);
    let name = name.as_str();
    let mut map = transaction.open_table(MAP)?;
    map.retain_in((name, from.0)..=(name, i64::MAX), |_, _| false)?;
    let mut by_target = transaction.open_table(MAP_BY_TARGET)?;
    by_target.retain_in((name, i64::MIN)..=(name, i64::MAX), |_, start| start < from.0)?;
    let last = map.range((name, i64::MIN)..=(name, i64::MAX))?.next_back().transpose()?;
    let last = last.map(|(key, value)| (key.value().1, value.value()));
    if let Some((start, (target_start, len))) = last {
        let kept = len.min(from.0.saturating_sub(start));
        map.insert((name, start), (target_start, kept))?;
    }
    Ok(())
}

fn segment(source_start: i64, (target_start, len): (i64, i64)) -> Result<Segment, Fault> {
    if len <= 0 {
        return Err(Fault::Damaged(format!(
            "an offset map segment at source offset {source_start} has length {len}"
        )));
    }
    Ok(Segment {
        source_start: SourceOffset(source_start),
        target_start: TargetOffset(target_start),
        len,
    })
}

fn encode<T: serde::Serialize>(record: &T) -> Result<String, Fault> {
    serde_json::to_string(record)
        .map_err(|cause| Fault::Damaged(format!("a record cannot be written: {cause}")))
}

fn decode<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|cause| Fault::Damaged(format!("record {key:?} cannot be read: {cause}")))
}
