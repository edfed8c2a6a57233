//! A journal on a disk that is slow, full, loses what was not acknowledged, or is set back to an older copy.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
use replicate::journal::{
    Claim, GroupRecord, Journal, JournalError, JournalFuture, JournalWrite, LaneKey, LaneRecord,
    MapQuery, MemoryJournal, TaskIdentity, TopicRecord,
};
use tokio::time::{Instant, sleep_until};

/// What outlives the task.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    random: fastrand::Rng,
    /// Everything durable, in order, and what it comes to.
    log: Vec<Vec<JournalWrite>>,
    identity: Option<TaskIdentity>,
    state: MemoryJournal,
    /// Written and not durable yet, in order.
    pending: VecDeque<(u64, Instant, Vec<JournalWrite>)>,
    next_write: u64,
    /// A write takes up to this long.
    delay_ms_max: u64,
    is_full: bool,
    /// Counts the lives of the task: what an earlier one still writes is lost.
    life: u64,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        let inner = Inner {
            random: fastrand::Rng::with_seed(seed),
            log: Vec::new(),
            identity: None,
            state: MemoryJournal::new(),
            pending: VecDeque::new(),
            next_write: 0,
            delay_ms_max: 0,
            is_full: false,
            life: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The journal as a new life of the task opens it.
    pub(crate) fn open(&self) -> Arc<dyn Journal> {
        let mut inner = self.lock();
        inner.life += 1;
        Arc::new(SimJournal { disk: self.clone(), life: inner.life })
    }

    pub(crate) fn set_delay(&self, delay_ms_max: u64) {
        self.lock().delay_ms_max = delay_ms_max;
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    /// The process died: of what was not acknowledged, a random first part is durable, the rest is lost.
    pub(crate) fn crash(&self) {
        let mut inner = self.lock();
        inner.life += 1;
        let pending = inner.pending.len();
        let kept = inner.random.usize(0..=pending);
        for _ in 0..kept {
            if let Some((_, _, writes)) = inner.pending.pop_front() {
                inner.apply(writes);
            }
        }
        inner.pending.clear();
    }

    /// Sets the disk back to a copy that lacks some of the last writes, if it is good enough. Gives how many.
    pub(crate) fn set_back(&self, is_good: impl Fn(&[LaneRecord]) -> bool) -> usize {
        let mut inner = self.lock();
        let max = inner.log.len().min(12);
        let lost = inner.random.usize(0..=max);
        let before = std::mem::take(&mut inner.log);
        let state = std::mem::take(&mut inner.state);
        if let Some(identity) = inner.identity.clone() {
            let _ = inner.state.claim(identity).now_or_never();
        }
        for writes in &before[..before.len() - lost] {
            inner.apply(writes.clone());
        }
        if is_good(&inner.state.load_lanes().now_or_never().unwrap().unwrap()) {
            return lost;
        }
        (inner.log, inner.state) = (before, state);
        0
    }

    /// What is durable.
    pub(crate) fn state(&self) -> MemoryJournal {
        self.lock().state.clone()
    }
}

impl Inner {
    fn apply(&mut self, writes: Vec<JournalWrite>) {
        self.state.write(writes.clone()).now_or_never().unwrap().unwrap();
        self.log.push(writes);
    }

    /// Makes everything up to write `number` durable.
    fn sync(&mut self, number: u64) {
        while self.pending.front().is_some_and(|(found, ..)| *found <= number) {
            if let Some((_, _, writes)) = self.pending.pop_front() {
                self.apply(writes);
            }
        }
    }
}

/// The journal in one life of the task.
#[derive(Debug)]
struct SimJournal {
    disk: Disk,
    life: u64,
}

fn full() -> JournalError {
    let cause = std::io::Error::new(std::io::ErrorKind::StorageFull, "no space left on device");
    JournalError::Storage {
        path: PathBuf::from("sim"),
        action: "written",
        cause: Arc::new(redb::Error::Io(cause)),
    }
}

impl SimJournal {
    fn state(&self) -> Result<MemoryJournal, JournalError> {
        let inner = self.disk.lock();
        if inner.life == self.life { Ok(inner.state.clone()) } else { Err(JournalError::Closed) }
    }
}

impl Journal for SimJournal {
    fn claim(&self, identity: TaskIdentity) -> JournalFuture<'_, Claim> {
        Box::pin(async move {
            let state = self.state()?;
            self.disk.lock().identity = Some(identity.clone());
            state.claim(identity).await
        })
    }

    fn load_identity(&self) -> JournalFuture<'_, Option<TaskIdentity>> {
        Box::pin(async move { self.state()?.load_identity().await })
    }

    fn write(&self, writes: Vec<JournalWrite>) -> JournalFuture<'_, ()> {
        let begun = {
            let mut inner = self.disk.lock();
            if inner.life != self.life {
                Err(JournalError::Closed)
            } else if inner.is_full {
                Err(full())
            } else {
                let delay = inner.delay_ms_max;
                let delay = Duration::from_millis(inner.random.u64(0..=delay));
                let before = inner.pending.back().map(|(_, due, _)| *due);
                let due = (Instant::now() + delay).max(before.unwrap_or_else(Instant::now));
                let number = inner.next_write;
                inner.next_write += 1;
                inner.pending.push_back((number, due, writes));
                Ok((number, due))
            }
        };
        Box::pin(async move {
            let (number, due) = begun?;
            if due > Instant::now() {
                sleep_until(due).await;
            }
            let mut inner = self.disk.lock();
            if inner.life != self.life {
                return Err(JournalError::Closed);
            }
            inner.sync(number);
            Ok(())
        })
    }

    fn load_lanes(&self) -> JournalFuture<'_, Vec<LaneRecord>> {
        Box::pin(async move { self.state()?.load_lanes().await })
    }

    fn load_topics(&self) -> JournalFuture<'_, Vec<TopicRecord>> {
        Box::pin(async move { self.state()?.load_topics().await })
    }

    fn load_groups(&self) -> JournalFuture<'_, Vec<GroupRecord>> {
        Box::pin(async move { self.state()?.load_groups().await })
    }

    fn load_note(&self, name: String) -> JournalFuture<'_, Option<String>> {
        Box::pin(async move { self.state()?.load_note(name).await })
    }

    fn load_map(
        &self,
        lane: LaneKey,
        count_max: usize,
    ) -> JournalFuture<'_, (Vec<forward::Segment>, bool)> {
        Box::pin(async move { self.state()?.load_map(lane, count_max).await })
    }

    fn query_map(
        &self,
        lane: LaneKey,
        query: MapQuery,
    ) -> JournalFuture<'_, Option<forward::Segment>> {
        Box::pin(async move { self.state()?.query_map(lane, query).await })
    }
}
