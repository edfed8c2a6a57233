//! The session's memory: what the broker knows of us, and what the next request has to add.

mod partitions;
mod wire;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use kafka_wire::{
    ErrorCode, Uuid,
    fetch::{
        AnswerHead, FetchHead, ForgottenPartition, TopicKey, VERSION_MAX, encode_fetch,
        read_fetched,
    },
    messages::{ApiKey, FetchRequest, FetchResponse},
    versions::BrokerVersions,
};

use self::partitions::Partitions;
use super::{FetchPartition, FetchSessionError, FetchSettings, FetchedPartition, answer};

/// Sessions exist from here on.
const SESSION_VERSION: i16 = 7;
/// Topics go by id from here on (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;
/// The broker closes the session with this request, or has none.
const FINAL_EPOCH: i32 = -1;
/// The broker opens a session with this request.
const INITIAL_EPOCH: i32 = 0;
/// After a broker had no slot for a session, this many fetches go without before the next try.
const FETCHES_WITHOUT_SESSION: u32 = 100;

/// What the broker remembers of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    topic_id: Uuid,
    offset: i64,
    leader_epoch: i32,
    last_fetched_epoch: i32,
    bytes_max: i32,
}

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The next request asks for a session; a living one of this id is closed with it.
    New { close: i32 },
    /// The broker keeps our partitions; `epoch` counts the requests.
    Open { id: i32, epoch: i32 },
    /// No session: so many more fetches before the next try for one.
    Without { left: u32 },
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct FetchSession {
    standing: Standing,
    known: Partitions,
    /// Names of the ids in the request under way and in the session.
    names: HashMap<Uuid, Arc<str>>,
    /// Whether `known` goes by id.
    by_id: bool,
    version: i16,
    /// A request is under way, and whether it was a full one.
    asked: Option<bool>,
    /// Where a full request begins in the list, so that no partition is always last (BF-21).
    rotation: usize,
    /// Partitions that the request under way names, and those that it takes back.
    changed: Vec<FetchPartition>,
    forgotten: Vec<ForgottenPartition>,
}

/// A request in numbers; its partitions stand in the session's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asking {
    version: i16,
    session_id: i32,
    session_epoch: i32,
}

/// Room for so many partitions is kept from one request to the next.
const KEPT_PARTITIONS: usize = 256;

impl Default for FetchSession {
    fn default() -> Self {
        Self::new()
    }
}

impl FetchSession {
    /// A session that the broker does not know of yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            standing: Standing::New { close: 0 },
            known: Partitions::default(),
            names: HashMap::new(),
            by_id: false,
            version: 0,
            asked: None,
            rotation: 0,
            changed: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    /// One that never asks the broker to keep anything.
    #[must_use]
    pub fn without() -> Self {
        Self { standing: Standing::Without { left: u32::MAX }, ..Self::new() }
    }

    /// Whether the broker keeps our partitions.
    #[must_use]
    pub fn is_incremental(&self) -> bool {
        matches!(self.standing, Standing::Open { .. })
    }

    /// The request that fetches from all `wanted` partitions, and the version to send it in.
    ///
    /// Topic ids are used when the broker can (v13) and every wanted partition has one. A request whose answer was
    /// not handed in before is taken for lost: this one is then a full one.
    pub fn request(
        &mut self,
        versions: &BrokerVersions,
        settings: &FetchSettings,
        wanted: &[FetchPartition],
    ) -> (FetchRequest, i16) {
        let asking = self.ask(versions, wanted);
        let request = wire::request(asking, settings, &self.changed, &self.forgotten);
        (request, asking.version)
    }

    /// The same as a frame, and its version.
    pub(crate) fn request_frame(
        &mut self,
        scratch: &mut BytesMut,
        (correlation_id, client_id): (i32, &str),
        versions: &BrokerVersions,
        settings: &FetchSettings,
        wanted: &[FetchPartition],
    ) -> (Bytes, i16) {
        let Asking { version, session_id, session_epoch } = self.ask(versions, wanted);
        let head = FetchHead {
            max_wait_ms: settings.max_wait_ms,
            min_bytes: settings.min_bytes,
            bytes_max: settings.bytes_max,
            isolation: settings.isolation.code(),
            session_id,
            session_epoch,
            rack: &settings.rack,
        };
        let (changed, forgotten) = (&self.changed, &self.forgotten);
        let frame =
            encode_fetch(scratch, correlation_id, client_id, version, &head, changed, forgotten);
        (frame, version)
    }

    fn ask(&mut self, versions: &BrokerVersions, wanted: &[FetchPartition]) -> Asking {
        let with_ids = wanted.iter().all(|partition| partition.topic_id.is_some());
        let version_max = if with_ids { VERSION_MAX } else { TOPIC_ID_VERSION - 1 };
        let version = versions.highest_capped(ApiKey::Fetch, version_max).unwrap_or(4);
        let by_id = version >= TOPIC_ID_VERSION;
        if let Standing::Open { id, .. } = self.standing
            && (self.asked.is_some() || by_id != self.by_id)
        {
            // Ids and names do not mix in one session (BF-22).
            self.standing = Standing::New { close: id };
        }
        self.version = version;
        self.by_id = by_id;
        let (session_id, session_epoch, full) = match self.standing {
            Standing::Open { id, epoch } => (id, epoch, false),
            Standing::New { close } if version >= SESSION_VERSION => (close, INITIAL_EPOCH, true),
            Standing::New { .. } | Standing::Without { .. } => (0, FINAL_EPOCH, true),
        };
        if full {
            self.known.clear();
            self.names.clear();
        }
        self.learn(wanted, full);
        if self.names.len() > 2 * self.known.len() + 16 {
            // Ids of topics that were recreated or are no longer wanted.
            let used: HashSet<Uuid> = self.known.topic_ids().collect();
            self.names.retain(|id, _| used.contains(id));
        }
        self.asked = Some(full);
        Asking { version, session_id, session_epoch }
    }

    /// Takes the answer to the last request: what came, partition by partition. Partitions without news are left out.
    ///
    /// # Errors
    /// [`FetchSessionError`]; the next request is a full one then.
    pub fn handle(
        &mut self,
        response: FetchResponse,
    ) -> Result<Vec<FetchedPartition>, FetchSessionError> {
        let (error, session_id) = (response.error_code, response.session_id);
        self.conclude(AnswerHead { error, session_id })?;
        let known = |topic: &str, partition| self.known.contains(topic, partition);
        let names = if self.by_id { Some(&self.names) } else { None };
        match answer::read(response, names, known) {
            Ok(partitions) => Ok(partitions),
            Err(reason) => Err(self.out_of_step(&reason)),
        }
    }

    /// The same from an ordinary answer's frame, behind what is in `found`. False when it must be decoded and given to
    /// [`Self::handle`].
    pub(crate) fn handle_frame(
        &mut self,
        version: i16,
        frame: &Bytes,
        found: &mut Vec<FetchedPartition>,
    ) -> Result<bool, FetchSessionError> {
        let before = found.len();
        let head = read_fetched(version, frame, |answered| {
            let topic = match answered.topic {
                TopicKey::Id(id) if self.by_id => self.names.get(&id),
                TopicKey::Name(name) if !self.by_id => self.known.name(name),
                _ => None,
            };
            let topic = topic.filter(|topic| self.known.contains(topic, answered.partition));
            found.extend(topic.map(|topic| answer::ordinary(Arc::clone(topic), answered)));
            topic.is_some()
        });
        let Some(head) = head else {
            found.truncate(before);
            return Ok(false);
        };
        self.conclude(head).inspect_err(|_| found.truncate(before))?;
        Ok(true)
    }

    /// Ends the question under way.
    fn conclude(&mut self, answer: AnswerHead) -> Result<(), FetchSessionError> {
        if self.changed.capacity() > KEPT_PARTITIONS {
            self.changed = Vec::new();
        }
        let Some(full) = self.asked.take() else {
            return Err(self.out_of_step("there was no question"));
        };
        let code = ErrorCode(answer.error);
        if !code.is_ok() {
            return Err(self.refused(code));
        }
        self.advance(full, answer.session_id).map_err(|reason| self.out_of_step(reason))
    }

    /// Forgets the session: after its connection or an answer was lost. The next request is a full one.
    pub fn reset(&mut self) {
        *self = Self { rotation: self.rotation, ..Self::new() };
    }

    /// Notes what is wanted, what to name in the request and what to take back. Costs nothing but a look for a partition that is asked for
    /// as before.
    fn learn(&mut self, wanted: &[FetchPartition], full: bool) {
        self.changed.clear();
        self.forgotten.clear();
        self.known.begin_round();
        for partition in rotated(wanted, if full { self.rotation } else { 0 }) {
            let topic_id = partition.topic_id.unwrap_or_default();
            let known = Known {
                topic_id,
                offset: partition.offset,
                leader_epoch: partition.leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
                bytes_max: partition.bytes_max,
            };
            let before = self.known.note(&partition.topic, partition.partition, known);
            if before == Some(known) {
                continue;
            }
            self.changed.push(partition.clone());
            if !self.by_id {
                continue;
            }
            self.names.entry(topic_id).or_insert_with(|| Arc::clone(&partition.topic));
            if let Some(before) = before.filter(|before| before.topic_id != topic_id) {
                // The topic was recreated: the broker keeps partitions by id.
                self.forgotten.push(ForgottenPartition {
                    topic: Arc::clone(&partition.topic),
                    topic_id: before.topic_id,
                    partition: partition.partition,
                });
            }
        }
        if full {
            self.rotation = self.rotation.wrapping_add(1);
        } else {
            self.known.drop_unnoted(&mut self.forgotten);
        }
        self.forgotten.sort_unstable_by(|a, b| {
            (&a.topic, a.topic_id, a.partition).cmp(&(&b.topic, b.topic_id, b.partition))
        });
    }

    /// Moves the session on after a good answer.
    fn advance(&mut self, full: bool, session_id: i32) -> Result<(), &'static str> {
        self.standing = match (self.standing, full) {
            (Standing::Open { id, .. }, false) if session_id != id => {
                return Err("the answer is of another session");
            }
            (Standing::Open { id, epoch }, false) => {
                // The epoch after the highest is 1: 0 would ask for a new session.
                Standing::Open { id, epoch: epoch.checked_add(1).unwrap_or(1) }
            }
            (Standing::New { .. }, true) if self.version < SESSION_VERSION => {
                Standing::New { close: 0 }
            }
            (Standing::Without { left }, _) if left > 1 => Standing::Without { left: left - 1 },
            (Standing::Without { .. }, _) => Standing::New { close: 0 },
            (_, true) if session_id != 0 => Standing::Open { id: session_id, epoch: 1 },
            (Standing::New { .. }, true) => Standing::Without { left: FETCHES_WITHOUT_SESSION },
            (standing, _) => standing,
        };
        Ok(())
    }

    fn refused(&mut self, code: ErrorCode) -> FetchSessionError {
        let id = self.open_id();
        let close = match code {
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND => 0,
            _ => id,
        };
        self.restart(close);
        match code {
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND
            | ErrorCode::INVALID_FETCH_SESSION_EPOCH
            | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR => FetchSessionError::Reset { code },
            _ => FetchSessionError::Refused { code },
        }
    }

    fn out_of_step(&mut self, reason: &str) -> FetchSessionError {
        self.restart(self.open_id());
        FetchSessionError::OutOfStep { reason: reason.to_owned() }
    }

    fn restart(&mut self, close: i32) {
        self.known.clear();
        self.names.clear();
        self.asked = None;
        self.standing = Standing::New { close };
    }

    fn open_id(&self) -> i32 {
        match self.standing {
            Standing::Open { id, .. } => id,
            Standing::New { close } => close,
            Standing::Without { .. } => 0,
        }
    }
}

fn rotated(wanted: &[FetchPartition], by: usize) -> impl Iterator<Item = &FetchPartition> {
    let at = if wanted.is_empty() { 0 } else { by % wanted.len() };
    let (end, start) = wanted.split_at(at);
    start.iter().chain(end)
}

#[cfg(test)]
mod tests;
