//! Consumer groups: their structure, and where they stand, carried over to the target.
//!
//! [`GroupSync`] runs beside the workers and is never waited for. It looks at the source's groups, asks the lanes
//! where their offsets lie on the target (`resolve`), decides (`plan` over `state`: pure), and commits
//! (`commit`) under the same name with generation −1. Tasks that do not sync offsets make groups known only
//! (`structure`).
//!
//! What must never happen: a commit past what the target has acknowledged, to a group that has members or that
//! somebody else has moved, or to a guessed offset; one group that keeps the others waiting for ever.

mod commit;
mod plan;
mod resolve;
mod routes;
mod state;
mod structure;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_client::{Client, ClientError, CommittedOffset, TopicPartition};
use kafka_wire::ErrorCode;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

pub(crate) use routes::{Routes, TopicRoute};
pub(crate) use structure::{list_with_offsets, missing_groups};

use self::routes::Snapshot;
use self::state::{Committed, Group};
use self::tell::Teller;
use crate::event::EventSink;
use crate::journal::{Journal, JournalError};
use crate::progress::{GroupPartitionProgress, GroupProgress, GroupState};
use crate::spec::{SyncMode, TaskSpec, TopicSelection};
use crate::task::Role;

/// What a commit says that shows how far a copy has come: it is no reader's, so it is not carried over.
pub const POSITION_MARK: &str = "copied by kferry up to here";

/// Whether a committed offset is a reader's.
pub(crate) fn is_readers(committed: &CommittedOffset) -> bool {
    committed.metadata.as_deref() != Some(POSITION_MARK)
}

/// Time between two looks at groups on the target for which there is nothing to do.
const TARGET_LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Looks in a row that must miss a group before it is asked for by name.
const MISSING_LOOKS: u32 = 3;

/// Groups that are asked for by name in one look.
const SUSPECTS_MAX: usize = 64;

/// Looks at the end of a `once` task, at most, until one of them goes through, and the pause between them.
const LAST_LOOKS_MAX: u32 = 10;
const LAST_LOOKS_PAUSE: Duration = Duration::from_millis(300);

/// Why a look did not go through.
#[derive(Debug, Error)]
enum LookError {
    #[error("{0}: {1}")]
    Client(Role, ClientError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Progress of all groups, for others to read.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Arc<Vec<GroupProgress>>>);

impl Board {
    pub(crate) fn read(&self) -> Arc<Vec<GroupProgress>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, groups: Vec<GroupProgress>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(groups);
    }
}

/// Milliseconds since 1970 that never go back: offsets are kept alive by them.
#[derive(Debug)]
struct Clock {
    began_ms: i64,
    began: Instant,
}

impl Clock {
    fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Self { began_ms, began: Instant::now() }
    }

    fn now_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.began_ms.saturating_add(elapsed)
    }
}

/// See the module's documentation.
pub(crate) struct GroupSync {
    spec: TaskSpec,
    source: Client,
    target: Client,
    journal: Arc<dyn Journal>,
    routes: Arc<Routes>,
    board: Arc<Board>,
    tell: Teller,
    clock: Clock,
    groups: BTreeMap<String, Group>,
    /// When all groups on the target were looked at.
    target_looked: Option<Instant>,
    /// Whether the last look did not go through, and that was told.
    is_failing: bool,
}

impl GroupSync {
    /// The sync that a task needs; none when its groups do not travel.
    pub(crate) fn new(
        spec: &TaskSpec,
        clients: (Client, Client),
        journal: Arc<dyn Journal>,
        routes: Arc<Routes>,
        board: Arc<Board>,
        sink: EventSink,
    ) -> Option<Self> {
        if spec.topics != TopicSelection::All {
            return None;
        }
        let (source, target) = clients;
        Some(Self {
            tell: Teller::new(spec.name.clone(), sink),
            spec: spec.clone(),
            source,
            target,
            journal,
            routes,
            board,
            clock: Clock::start(),
            groups: BTreeMap::new(),
            target_looked: None,
            is_failing: false,
        })
    }

    fn syncs_offsets(&self) -> bool {
        self.spec.sync == SyncMode::MetadataDataOffsets
    }

    /// Works until `stop`. Whoever sends into `last_calls` is answered after one more look at everything.
    ///
    /// # Errors
    /// The journal's: without it commits of others cannot be told from ours.
    pub(crate) async fn run(
        mut self,
        mut last_calls: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
        stop: CancellationToken,
    ) -> Result<(), JournalError> {
        let work = async {
            if self.syncs_offsets() {
                let records = self.journal.load_groups().await?;
                self.groups = records.into_iter().map(Group::load).collect();
            }
            let limits = &self.spec.limits;
            let period =
                if self.syncs_offsets() { limits.group_interval } else { limits.metadata_interval };
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    call = last_calls.recv() => {
                        let Some(reply) = call else { return Ok(()) };
                        self.last_look().await?;
                        // Who asked may have gone away.
                        let _ = reply.send(());
                    }
                    _ = ticks.tick() => drop(self.look(false).await?),
                }
            }
        };
        // Dropping a look is safe at any moment: what may have been committed is in the journal.
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            result = work => result,
        }
    }

    /// Looks until everything was seen and nothing is left open that ends by itself.
    async fn last_look(&mut self) -> Result<(), JournalError> {
        for _ in 0..LAST_LOOKS_MAX {
            let is_through = self.look(true).await?;
            let is_open =
                |group: &Group| group.seen.values().any(|seen| seen.state == GroupState::Pending);
            if is_through && !self.groups.values().any(is_open) {
                break;
            }
            sleep(LAST_LOOKS_PAUSE).await;
        }
        Ok(())
    }

    /// One look, with all groups of the target when it is a full one. False when a cluster did not answer; that is told once.
    async fn look(&mut self, is_full: bool) -> Result<bool, JournalError> {
        let result = if self.syncs_offsets() {
            self.sync_offsets(is_full).await
        } else {
            self.make_structure().await
        };
        match result {
            Ok(()) => self.is_failing = false,
            Err(LookError::Journal(error)) => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    self.tell.failed(error.to_string());
                }
            }
        }
        Ok(!self.is_failing)
    }

    async fn sync_offsets(&mut self, is_full: bool) -> Result<(), LookError> {
        let routes = self.routes.snapshot();
        for (topic, route) in routes.topics().filter(|(_, route)| route.is_fan_in) {
            self.tell.topic_refused(topic, route);
        }
        let listed = self.list_source().await?;
        self.see(&listed, &routes).await?;
        self.note_missing(&listed).await;
        self.resolve(&routes).await?;
        self.commit(&routes, is_full).await?;
        self.publish(&routes);
        Ok(())
    }

    /// The ids of all groups of the source that can have offsets.
    async fn list_source(&self) -> Result<BTreeSet<String>, LookError> {
        let listed = list_with_offsets(&self.source).await;
        listed.map_err(|error| LookError::Client(Role::Source, error))
    }

    /// Reads what the source's groups have committed on topics in scope.
    async fn see(&mut self, listed: &BTreeSet<String>, routes: &Snapshot) -> Result<(), LookError> {
        let answers = self
            .source
            .offset_fetch_groups(listed.iter().cloned().collect(), true)
            .await
            .map_err(|error| LookError::Client(Role::Source, error))?;
        for (name, answer) in answers {
            let offsets = match answer {
                Ok(offsets) => offsets,
                Err(error) => {
                    self.tell.refused(&name, None, error.to_string());
                    continue;
                }
            };
            let mut found = BTreeMap::new();
            let mut unstable = BTreeSet::new();
            for (at, committed) in offsets {
                if routes.topic(&at.topic).is_none() {
                    continue;
                }
                match committed {
                    Ok(committed) if !is_readers(&committed) => {}
                    Ok(committed) => {
                        let metadata = committed.metadata.unwrap_or_default();
                        found.insert(at, Committed { offset: committed.offset, metadata });
                    }
                    // A transaction is about to commit another offset: the next look sees which (BF-36).
                    Err(ErrorCode::UNSTABLE_OFFSET_COMMIT) => _ = unstable.insert(at),
                    Err(code) => self.tell.refused(&name, Some(&at), code.to_string()),
                }
            }
            if found.is_empty() && unstable.is_empty() && !self.groups.contains_key(&name) {
                continue;
            }
            let group = self.groups.entry(name.clone()).or_default();
            if std::mem::take(&mut group.is_gone) {
                group.is_changed = true;
            }
            for rewind in group.see(found, &unstable) {
                self.tell.rewound(&name, rewind);
            }
        }
        Ok(())
    }

    /// Notices groups that the source no longer has: first not listed, then denied by name.
    async fn note_missing(&mut self, listed: &BTreeSet<String>) {
        let mut suspects = Vec::new();
        for (name, group) in &mut self.groups {
            if listed.contains(name) || group.is_gone {
                group.missing_looks = 0;
                continue;
            }
            group.missing_looks = group.missing_looks.saturating_add(1);
            // The others' turn comes at the next look.
            if group.missing_looks >= MISSING_LOOKS && suspects.len() < SUSPECTS_MAX {
                group.missing_looks = 0;
                suspects.push(name.clone());
            }
        }
        if suspects.is_empty() {
            return;
        }
        let Ok(described) = self.source.describe_groups(suspects).await else { return };
        for (name, result) in described {
            let is_dead = match result {
                Ok(described) => described.state == "Dead",
                Err(error) => error.code == ErrorCode::GROUP_ID_NOT_FOUND,
            };
            if let Some(group) = self.groups.get_mut(&name).filter(|_| is_dead) {
                group.is_gone = true;
                group.is_changed = true;
                group.seen.clear();
                self.tell.deleted(&name);
            }
        }
    }

    /// Shows where the groups stand.
    fn publish(&self, routes: &Snapshot) {
        let shown = self.groups.iter().filter(|(_, group)| !group.seen.is_empty());
        let progress = shown.map(|(name, group)| {
            let taken_over = group.taken_over.map(|_| GroupState::TakenOver);
            let partitions = group.seen.iter().map(|(at, seen)| {
                let end = routes.lane(at).map_or(-1, |lane| lane.source_end());
                let offset = seen.committed.offset;
                let lag = if end < 0 || offset < 0 { 0 } else { (end - offset).max(0) };
                let written = group.known.get(at).filter(|known| known.is_ours);
                let offsets = (offset, written.map_or(-1, |known| known.target));
                let TopicPartition { topic, partition } = at.clone();
                let state = taken_over.unwrap_or(seen.state);
                GroupPartitionProgress::new(topic, partition, offsets, lag, state)
            });
            GroupProgress::new(name.clone(), taken_over.or(group.trouble), partitions.collect())
        });
        self.board.write(progress.collect());
    }
}
