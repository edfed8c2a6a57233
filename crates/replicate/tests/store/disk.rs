//! A disk under the store that remembers every operation, and that dies or fills up on demand.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use replicate::journal::{JournalError, RedbJournal};

/// What a device writes whole or not at all.
const SECTOR: usize = 512;

/// One change of the file.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write { at: usize, data: Vec<u8> },
    SetLen(usize),
    Sync,
}

/// What became of the operations that no sync had made durable when the power went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// The process died, the machine lives: nothing is lost.
    Nothing,
    /// None of them reached the disk.
    Everything,
    /// Each sector of each reached it or not.
    Torn(u64),
}

/// When the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Never,
    /// From this operation on nothing happens any more, and nobody is there to notice.
    DeadFrom(usize),
    /// From this operation on there is no space.
    FullFrom(usize),
}

#[derive(Debug)]
struct State {
    first: Vec<u8>,
    bytes: Vec<u8>,
    ops: Vec<Op>,
    rule: Rule,
}

/// Handle on one disk with one file.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk whose file holds `bytes` durably.
    pub(crate) fn new(bytes: Vec<u8>, rule: Rule) -> Self {
        let first = bytes.clone();
        Self(Arc::new(Mutex::new(State { first, bytes, ops: Vec::new(), rule })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store on this disk.
    pub(crate) fn journal(&self) -> Result<RedbJournal, JournalError> {
        RedbJournal::over("state/task.redb", || self.clone())
    }

    /// From now on it fails as `rule` says.
    pub(crate) fn set_rule(&self, rule: Rule) {
        self.state().rule = rule;
    }

    /// How many operations there were.
    pub(crate) fn op_count(&self) -> usize {
        self.state().ops.len()
    }

    pub(crate) fn is_dead(&self) -> bool {
        let state = self.state();
        matches!(state.rule, Rule::DeadFrom(at) if state.ops.len() >= at)
    }

    /// The file as it is.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// What is found after a death before operation `at`.
    pub(crate) fn image(&self, at: usize, loss: Loss) -> Vec<u8> {
        let state = self.state();
        let ops = &state.ops[..at];
        let synced = ops.iter().rposition(|op| matches!(op, Op::Sync)).map_or(0, |last| last + 1);
        let mut bytes = state.first.clone();
        ops[..synced].iter().for_each(|op| apply(&mut bytes, op, |_| true));
        let mut random = match loss {
            Loss::Nothing => None,
            Loss::Everything => return bytes,
            Loss::Torn(seed) => Some(fastrand::Rng::with_seed(seed)),
        };
        for op in &ops[synced..] {
            apply(&mut bytes, op, |_| random.as_mut().is_none_or(fastrand::Rng::bool));
        }
        bytes
    }

    fn change(&self, op: Op) -> io::Result<()> {
        let mut state = self.state();
        match state.rule {
            Rule::DeadFrom(at) if state.ops.len() >= at => {
                return Err(io::Error::other("the process is dead"));
            }
            Rule::FullFrom(at) if state.ops.len() >= at => {
                return Err(io::Error::from_raw_os_error(match op {
                    Op::Sync => 5,
                    _ => 28,
                }));
            }
            _ => {}
        }
        apply(&mut state.bytes, &op, |_| true);
        state.ops.push(op);
        Ok(())
    }
}

/// Carries out `op`, but only the sectors that `keeps` lets pass.
fn apply(bytes: &mut Vec<u8>, op: &Op, mut keeps: impl FnMut(usize) -> bool) {
    match op {
        Op::Write { at, data } => {
            let mut done = 0;
            while done < data.len() {
                let from = at + done;
                let count = (SECTOR - from % SECTOR).min(data.len() - done);
                if keeps(from / SECTOR) {
                    if bytes.len() < from + count {
                        bytes.resize(from + count, 0);
                    }
                    bytes[from..from + count].copy_from_slice(&data[done..done + count]);
                }
                done += count;
            }
        }
        Op::SetLen(len) => {
            if keeps(0) {
                bytes.resize(*len, 0);
            }
        }
        Op::Sync => {}
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let at = usize::try_from(offset).unwrap();
        let found = state.bytes.get(at..at + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Op::SetLen(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Op::Write { at: usize::try_from(offset).unwrap(), data: data.to_vec() })
    }
}
