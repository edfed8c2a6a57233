//! The session's memory: what the broker knows of us, and what the next request has to add.

mod partitions;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use kafka_wire::{
    ErrorCode, Uuid,
    messages::{
        ApiKey, BrokerId, FetchRequest, FetchResponse, TopicName,
        fetch_request::{FetchPartition as WirePartition, FetchTopic, ForgottenTopic},
    },
    protocol::StrBytes,
    versions::BrokerVersions,
};

use self::partitions::Partitions;
use super::{FetchPartition, FetchSessionError, FetchSettings, FetchedPartition, answer};

/// Sessions exist from here on.
const SESSION_VERSION: i16 = 7;
/// Topics go by id from here on (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;
/// Highest version that this crate understands.
const VERSION_MAX: i16 = 18;
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
}

/// A partition that the broker is to forget, and the id of its topic.
type Forgotten = (Arc<str>, i32, Uuid);

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
        }
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
        let mut request = base(settings, version);
        let full = match self.standing {
            Standing::Open { id, epoch } => {
                (request.session_id, request.session_epoch) = (id, epoch);
                false
            }
            Standing::New { close } if version >= SESSION_VERSION => {
                (request.session_id, request.session_epoch) = (close, INITIAL_EPOCH);
                true
            }
            Standing::New { .. } => true,
            Standing::Without { .. } => {
                request.session_epoch = FINAL_EPOCH;
                true
            }
        };
        if full {
            self.known.clear();
            self.names.clear();
        }
        let (changed, forgotten) = self.learn(wanted, full);
        if self.names.len() > 2 * self.known.len() + 16 {
            // Ids of topics that were recreated or are no longer wanted.
            let used: HashSet<Uuid> = self.known.topic_ids().collect();
            self.names.retain(|id, _| used.contains(id));
        }
        request.topics = topics(&changed, version);
        request.forgotten_topics_data = forgotten_topics(forgotten, version);
        self.asked = Some(full);
        (request, version)
    }

    /// Takes the answer to the last request: what came, partition by partition. Partitions without news are left out.
    ///
    /// # Errors
    /// [`FetchSessionError`]; the next request is a full one then.
    pub fn handle(
        &mut self,
        response: FetchResponse,
    ) -> Result<Vec<FetchedPartition>, FetchSessionError> {
        let Some(full) = self.asked.take() else {
            return Err(self.out_of_step("there was no question"));
        };
        let code = ErrorCode(response.error_code);
        if !code.is_ok() {
            return Err(self.refused(code));
        }
        if let Err(reason) = self.advance(full, response.session_id) {
            return Err(self.out_of_step(reason));
        }
        let known = |topic: &str, partition| self.known.contains(topic, partition);
        let names = if self.by_id { Some(&self.names) } else { None };
        match answer::read(response, names, known) {
            Ok(partitions) => Ok(partitions),
            Err(reason) => Err(self.out_of_step(&reason)),
        }
    }

    /// Forgets the session: after its connection or an answer was lost. The next request is a full one.
    pub fn reset(&mut self) {
        *self = Self { rotation: self.rotation, ..Self::new() };
    }

    /// Notes what is wanted; gives what to name in the request, and what to take back. Costs nothing but a look for
    /// a partition that is asked for as before.
    fn learn<'a>(
        &mut self,
        wanted: &'a [FetchPartition],
        full: bool,
    ) -> (Vec<&'a FetchPartition>, Vec<Forgotten>) {
        let mut forgotten = Vec::new();
        let mut changed = Vec::new();
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
            changed.push(partition);
            if !self.by_id {
                continue;
            }
            self.names.entry(topic_id).or_insert_with(|| Arc::clone(&partition.topic));
            if let Some(before) = before.filter(|before| before.topic_id != topic_id) {
                // The topic was recreated: the broker keeps partitions by id.
                let topic = Arc::clone(&partition.topic);
                forgotten.push((topic, partition.partition, before.topic_id));
            }
        }
        if full {
            self.rotation = self.rotation.wrapping_add(1);
        } else {
            forgotten.extend(self.known.drop_unnoted());
        }
        (changed, forgotten)
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

fn base(settings: &FetchSettings, version: i16) -> FetchRequest {
    let mut request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(settings.max_wait_ms)
        .with_min_bytes(settings.min_bytes)
        .with_max_bytes(settings.bytes_max)
        .with_isolation_level(settings.isolation.code());
    if version >= 11 {
        request.rack_id = StrBytes::from_string(settings.rack.clone());
    }
    request
}

fn rotated(wanted: &[FetchPartition], by: usize) -> impl Iterator<Item = &FetchPartition> {
    let at = if wanted.is_empty() { 0 } else { by % wanted.len() };
    let (end, start) = wanted.split_at(at);
    start.iter().chain(end)
}

/// Topics in the order in which their first partition comes, neighbours of one topic together.
fn topics(partitions: &[&FetchPartition], version: i16) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut last: Option<&str> = None;
    for partition in partitions {
        if last != Some(&*partition.topic) {
            last = Some(&partition.topic);
            let (name, id) =
                identity(&partition.topic, partition.topic_id.unwrap_or_default(), version);
            topics.push(FetchTopic::default().with_topic(name).with_topic_id(id));
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(wire_partition(partition, version));
        }
    }
    topics
}

fn wire_partition(partition: &FetchPartition, version: i16) -> WirePartition {
    let mut wire = WirePartition::default()
        .with_partition(partition.partition)
        .with_fetch_offset(partition.offset)
        .with_partition_max_bytes(partition.bytes_max);
    if version >= 9 {
        wire.current_leader_epoch = partition.leader_epoch;
    }
    if version >= 12 {
        wire.last_fetched_epoch = partition.last_fetched_epoch;
    }
    wire
}

fn forgotten_topics(forgotten: Vec<Forgotten>, version: i16) -> Vec<ForgottenTopic> {
    let mut topics: BTreeMap<(Arc<str>, Uuid), Vec<i32>> = BTreeMap::new();
    for (topic, partition, id) in forgotten {
        topics.entry((topic, id)).or_default().push(partition);
    }
    topics
        .into_iter()
        .map(|((topic, id), partitions)| {
            let (name, id) = identity(&topic, id, version);
            ForgottenTopic::default().with_topic(name).with_topic_id(id).with_partitions(partitions)
        })
        .collect()
}

/// A topic's name or its id: a request carries only one of them.
fn identity(topic: &str, id: Uuid, version: i16) -> (TopicName, Uuid) {
    if version >= TOPIC_ID_VERSION {
        (TopicName::default(), id)
    } else {
        (TopicName(StrBytes::from_string(topic.to_owned())), Uuid::nil())
    }
}

#[cfg(test)]
mod tests;
