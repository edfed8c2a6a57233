//! Incremental fetch sessions of one broker (KIP-227): what each client asked last, and was told.
//!
//! Slots are limited; a session is granted only while one is free or an old one may go (P12).
//! Source: `FetchSession`, `FetchManager` in Apache Kafka.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::messages::fetch_request::FetchRequest;
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::Instant;

/// `FetchSession`'s eviction time: younger sessions are left alone.
const EVICTION_AGE: Duration = Duration::from_secs(120);

/// What a client asks of one partition, and what it was told last.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) topic: Arc<str>,
    /// Zero when the request names topics.
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) bytes_max: usize,
    told_high_watermark: i64,
    told_log_start: i64,
    /// Its place in the session.
    slot: u64,
}

impl Asked {
    /// Notes what the first answer of a session says.
    pub(crate) fn note(&mut self, told: Told) {
        self.told_log_start = told.log_start;
        // An error is told every time, so the next good answer counts as news.
        self.told_high_watermark = if told.is_error { -1 } else { told.high_watermark };
    }
}

/// A partition in a session: by id and empty name, or by name and zero id.
type Key = (Uuid, Arc<str>, i32);

fn key(by_id: bool, asked: &Asked) -> Key {
    let name = if by_id { Arc::from("") } else { Arc::clone(&asked.topic) };
    (asked.topic_id, name, asked.partition)
}

/// One session.
#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    /// By slot: the order in which partitions are answered.
    asked: BTreeMap<u64, Asked>,
    slots: HashMap<Key, u64>,
    next_slot: u64,
    created: Instant,
    used: Instant,
}

/// All sessions of a broker.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    sessions: HashMap<i32, Session>,
}

/// How a fetch is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// Everything is told; no session.
    Sessionless,
    /// Everything is told; a session is made if there is room.
    Full,
    /// Only what changed is told.
    Incremental(i32),
}

/// The partitions of a request; `resolve` gives the name of a topic id.
pub(crate) fn asked(
    request: &FetchRequest,
    by_id: bool,
    resolve: impl Fn(Uuid) -> Option<String>,
) -> Vec<Asked> {
    let mut all = Vec::new();
    for topic in &request.topics {
        let id = if by_id { topic.topic_id } else { Uuid::nil() };
        let name: Arc<str> = if by_id {
            resolve(id).unwrap_or_default().into()
        } else {
            topic.topic.as_str().into()
        };
        all.extend(topic.partitions.iter().map(|partition| Asked {
            topic: Arc::clone(&name),
            topic_id: id,
            partition: partition.partition,
            fetch_offset: partition.fetch_offset,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
            bytes_max: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
            told_high_watermark: -1,
            told_log_start: -1,
            slot: 0,
        }));
    }
    all
}

fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl FetchSessions {
    /// Finds what a request asks: its own partitions, or those of its session with its changes.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
    pub(crate) fn open(
        &mut self,
        request: &FetchRequest,
        by_id: bool,
        resolve: impl Fn(Uuid) -> Option<String>,
    ) -> Result<(Context, Vec<Asked>), ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch <= 0 {
            if id != 0 {
                self.sessions.remove(&id);
            }
            let context = if epoch == 0 { Context::Full } else { Context::Sessionless };
            return Ok((context, asked(request, by_id, resolve)));
        }
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        session.apply(request, by_id, resolve);
        session.epoch = next_epoch(epoch);
        session.used = Instant::now();
        let asked: Vec<Asked> = session.asked.values().cloned().collect();
        if asked.is_empty() {
            self.sessions.remove(&id);
            return Ok((Context::Sessionless, asked));
        }
        Ok((Context::Incremental(id), asked))
    }

    /// Makes a session of what a full fetch asked; 0 when there is no room.
    pub(crate) fn create(
        &mut self,
        asked: Vec<Asked>,
        by_id: bool,
        slots: usize,
        random: &mut fastrand::Rng,
    ) -> i32 {
        if asked.is_empty() || (self.sessions.len() >= slots && !self.evict(asked.len())) {
            return 0;
        }
        let now = Instant::now();
        let mut id = random.i32(1..);
        while self.sessions.contains_key(&id) {
            id = random.i32(1..);
        }
        self.sessions.insert(id, Session::new(asked, by_id, now));
        id
    }

    /// Makes room: a session long unused goes, or a smaller one that is old enough.
    fn evict(&mut self, wanted: usize) -> bool {
        let now = Instant::now();
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
        let victim = match oldest {
            Some((id, session)) if now >= session.used + EVICTION_AGE => Some(*id),
            _ => {
                let smaller = self.sessions.iter().filter(|(_, session)| {
                    session.asked.len() < wanted && now >= session.created + EVICTION_AGE
                });
                smaller.min_by_key(|(_, session)| session.asked.len()).map(|(id, _)| *id)
            }
        };
        victim.is_some_and(|id| self.sessions.remove(&id).is_some())
    }

    /// Notes what a partition's answer says; `true` when an incremental answer must carry it.
    pub(crate) fn tell(&mut self, id: i32, asked: &Asked, told: Told) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        let Some(known) = session.asked.get_mut(&asked.slot) else { return true };
        let changed = known.told_high_watermark != told.high_watermark
            || known.told_log_start != told.log_start;
        known.note(told);
        if told.has_data {
            // Partitions that gave data go to the end, so that none starves.
            session.move_to_end(asked.slot);
        }
        changed || told.has_data || told.is_error || told.diverging
    }
}

/// The parts of a partition's answer that decide whether it is news.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) has_data: bool,
    pub(crate) is_error: bool,
    pub(crate) diverging: bool,
}

impl Session {
    fn new(asked: Vec<Asked>, by_id: bool, now: Instant) -> Self {
        let mut session = Self {
            epoch: 1,
            by_id,
            asked: BTreeMap::new(),
            slots: HashMap::new(),
            next_slot: 0,
            created: now,
            used: now,
        };
        for asked in asked {
            session.push(asked);
        }
        session
    }

    fn push(&mut self, mut asked: Asked) {
        asked.slot = self.next_slot;
        self.next_slot += 1;
        if let Some(before) = self.slots.insert(key(self.by_id, &asked), asked.slot) {
            self.asked.remove(&before);
        }
        self.asked.insert(asked.slot, asked);
    }

    fn move_to_end(&mut self, slot: u64) {
        if let Some(asked) = self.asked.remove(&slot) {
            self.push(asked);
        }
    }

    fn apply(
        &mut self,
        request: &FetchRequest,
        by_id: bool,
        resolve: impl Fn(Uuid) -> Option<String>,
    ) {
        for mut fresh in asked(request, by_id, resolve) {
            let slot = self.slots.get(&key(by_id, &fresh)).copied();
            let Some(known) = slot.and_then(|slot| self.asked.get_mut(&slot)) else {
                self.push(fresh);
                continue;
            };
            // The name stays that of the time the partition came in: a recreated topic is noticed by it.
            if !known.topic.is_empty() {
                fresh.topic = Arc::clone(&known.topic);
            }
            fresh.slot = known.slot;
            fresh.told_high_watermark = known.told_high_watermark;
            fresh.told_log_start = known.told_log_start;
            *known = fresh;
        }
        for topic in &request.forgotten_topics_data {
            let (id, name) =
                if by_id { (topic.topic_id, "") } else { (Uuid::nil(), topic.topic.as_str()) };
            for partition in &topic.partitions {
                if let Some(slot) = self.slots.remove(&(id, Arc::from(name), *partition)) {
                    self.asked.remove(&slot);
                }
            }
        }
    }
}
