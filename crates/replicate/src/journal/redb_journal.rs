//! The journal in one redb file, on a thread of its own.
//!
//! A durable commit waits for the disk. So callers queue up, and whatever has queued while the disk was busy goes into
//! the next transaction together: the number of lanes does not multiply the number of syncs.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use forward::Segment;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::store::Store;
use super::{
    Claim, GroupRecord, Journal, JournalError, JournalFuture, JournalWrite, LaneKey, LaneRecord,
    MapQuery, TaskIdentity, TopicRecord,
};

/// Calls that may wait for the disk at a time; further ones wait to be queued.
const QUEUE_CALLS_MAX: usize = 1024;

/// Changes that go into one transaction at most.
const GROUP_WRITES_MAX: usize = 4096;

type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

/// A call on its way to the thread.
enum Command {
    Write(Vec<JournalWrite>, Reply<()>),
    Claim(TaskIdentity, Reply<Claim>),
    Identity(Reply<Option<TaskIdentity>>),
    Lanes(Reply<Vec<LaneRecord>>),
    Topics(Reply<Vec<TopicRecord>>),
    Groups(Reply<Vec<GroupRecord>>),
    Note(String, Reply<Option<String>>),
    Map(LaneKey, usize, Reply<(Vec<Segment>, bool)>),
    Query(LaneKey, MapQuery, Reply<Option<Segment>>),
}

/// A journal in one file.
pub struct RedbJournal {
    path: PathBuf,
    /// Taken when the journal is dropped, so that the thread ends.
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for RedbJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbJournal").field("path", &self.path).finish_non_exhaustive()
    }
}

impl RedbJournal {
    /// Opens the file at `path`, or makes it and the directories above it.
    ///
    /// # Errors
    /// [`JournalError::AlreadyOpen`] while another process (or journal of this one) holds the file,
    /// [`JournalError::Format`] when another release wrote it, and what the system says otherwise.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref().to_path_buf();
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|cause| JournalError::Directory {
                path: directory.to_path_buf(),
                cause: Arc::new(cause),
            })?;
        }
        let store = Store::open(&path)?;
        // A new file must be found again after a power failure. Not every system can sync a directory.
        if let Some(directory) = path.parent().and_then(|parent| fs::File::open(parent).ok()) {
            let _ = directory.sync_all();
        }
        Self::start(path, store)
    }

    /// A journal over something else than a file, for tests of what happens when it fails; `path` is what errors
    /// call it. `backend` gives a handle on the same bytes each time.
    ///
    /// # Errors
    /// As [`RedbJournal::open`].
    #[doc(hidden)]
    pub fn over<B: redb::StorageBackend>(
        path: impl AsRef<Path>,
        backend: impl Fn() -> B,
    ) -> Result<Self, JournalError> {
        let path = path.as_ref().to_path_buf();
        let store = Store::over(&path, backend)?;
        Self::start(path, store)
    }

    fn start(path: PathBuf, store: Store) -> Result<Self, JournalError> {
        let (commands, queue) = mpsc::channel(QUEUE_CALLS_MAX);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || serve(store, queue))
            .map_err(|cause| JournalError::Open {
                path: path.clone(),
                cause: Arc::new(redb::Error::Io(cause)),
            })?;
        Ok(Self { path, commands: Some(commands), thread: Some(thread) })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Queues a command at once, in call order, unless the queue is full; then when the future is polled.
    fn call<T: Send + 'static>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> JournalFuture<'_, T> {
        let (reply, answer) = oneshot::channel();
        let Some(commands) = self.commands.clone() else {
            return Box::pin(std::future::ready(Err(JournalError::Closed)));
        };
        let waiting = match commands.try_send(command(reply)) {
            Ok(()) => None,
            Err(TrySendError::Full(command) | TrySendError::Closed(command)) => Some(command),
        };
        Box::pin(async move {
            if let Some(command) = waiting {
                commands.send(command).await.map_err(|_| JournalError::Closed)?;
            }
            answer.await.map_err(|_| JournalError::Closed)?
        })
    }
}

impl Drop for RedbJournal {
    fn drop(&mut self) {
        self.commands = None;
        // What is queued is still written, and the file is free for the next one when this returns.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Journal for RedbJournal {
    fn claim(&self, identity: TaskIdentity) -> JournalFuture<'_, Claim> {
        self.call(|reply| Command::Claim(identity, reply))
    }

    fn load_identity(&self) -> JournalFuture<'_, Option<TaskIdentity>> {
        self.call(Command::Identity)
    }

    fn write(&self, writes: Vec<JournalWrite>) -> JournalFuture<'_, ()> {
        self.call(|reply| Command::Write(writes, reply))
    }

    fn load_lanes(&self) -> JournalFuture<'_, Vec<LaneRecord>> {
        self.call(Command::Lanes)
    }

    fn load_topics(&self) -> JournalFuture<'_, Vec<TopicRecord>> {
        self.call(Command::Topics)
    }

    fn load_groups(&self) -> JournalFuture<'_, Vec<GroupRecord>> {
        self.call(Command::Groups)
    }

    fn load_note(&self, name: String) -> JournalFuture<'_, Option<String>> {
        self.call(|reply| Command::Note(name, reply))
    }

    fn load_map(&self, lane: LaneKey, count_max: usize) -> JournalFuture<'_, (Vec<Segment>, bool)> {
        self.call(|reply| Command::Map(lane, count_max, reply))
    }

    fn query_map(&self, lane: LaneKey, query: MapQuery) -> JournalFuture<'_, Option<Segment>> {
        self.call(|reply| Command::Query(lane, query, reply))
    }
}

/// The thread: takes commands in order, and all writes that wait at once.
fn serve(store: Store, mut queue: mpsc::Receiver<Command>) {
    let mut held = None;
    while let Some(command) = held.take().or_else(|| queue.blocking_recv()) {
        match command {
            Command::Write(writes, reply) => held = write_group(&store, writes, reply, &mut queue),
            // A caller that has gone away needs no answer.
            Command::Claim(identity, reply) => drop(reply.send(store.claim(&identity))),
            Command::Identity(reply) => drop(reply.send(store.identity())),
            Command::Lanes(reply) => drop(reply.send(store.lanes())),
            Command::Topics(reply) => drop(reply.send(store.topics())),
            Command::Groups(reply) => drop(reply.send(store.groups())),
            Command::Note(name, reply) => drop(reply.send(store.note(&name))),
            Command::Map(lane, count_max, reply) => drop(reply.send(store.map(&lane, count_max))),
            Command::Query(lane, query, reply) => drop(reply.send(store.query(&lane, query))),
        }
    }
}

/// Writes `writes` and every write that waits behind it, durably, in one transaction. Returns the first
/// waiting command that is no write.
fn write_group(
    store: &Store,
    mut writes: Vec<JournalWrite>,
    reply: Reply<()>,
    queue: &mut mpsc::Receiver<Command>,
) -> Option<Command> {
    let mut replies = vec![reply];
    let mut held = None;
    while writes.len() < GROUP_WRITES_MAX
        && let Ok(command) = queue.try_recv()
    {
        if let Command::Write(more, reply) = command {
            writes.extend(more);
            replies.push(reply);
        } else {
            held = Some(command);
            break;
        }
    }
    let result = store.write(&writes);
    for reply in replies {
        drop(reply.send(result.clone()));
    }
    held
}

#[cfg(test)]
mod tests;
