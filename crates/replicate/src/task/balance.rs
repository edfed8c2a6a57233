//! How many workers there are, and which lanes they have: more are started when one has more to do than a core can, or when
//! connections to brokers far away carry less than the lanes on them could read.

use std::time::Duration;

use tokio::runtime::RuntimeMetrics;

use super::Running;
use crate::journal::LaneKey;
use crate::spec::WorkerThreads;
use crate::worker::{Command, Destination};

/// How often the load is looked at.
pub(super) const BALANCE_INTERVAL: Duration = Duration::from_secs(1);

/// The share of the time that a thread is at work from which on it counts as full.
const FULL: f64 = 0.85;

/// Lanes go to a worker that has this much less to do, or to a new one.
const EASE: f64 = 0.6;

/// How often in a row a worker must be full: a backlog of a moment is none.
const LOOKS_MIN: u32 = 2;

/// A worker below this share has nothing that others would wait for.
const BUSY: f64 = 0.1;

/// One lane that copies so many times what the other lanes of its worker do is a flood: its batches fill the connections ahead of theirs.
const FLOOD: u64 = 3;

/// What is known of one worker's load.
#[derive(Debug, Default)]
pub(super) struct Load {
    metrics: Option<RuntimeMetrics>,
    busy_before: Duration,
    /// Looks in a row at which it was full.
    full_looks: u32,
}

impl Load {
    pub(super) fn new(metrics: Option<RuntimeMetrics>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// The share of the last interval in which the thread was at work.
    fn look(&mut self) -> f64 {
        let Some(metrics) = &self.metrics else { return 0.0 };
        let busy = metrics.worker_total_busy_duration(0);
        let share = busy.saturating_sub(self.busy_before).div_duration_f64(BALANCE_INTERVAL);
        self.busy_before = busy;
        self.full_looks = if share >= FULL { self.full_looks + 1 } else { 0 };
        share
    }
}

/// Lanes that are to change workers.
#[derive(Debug, PartialEq, Eq)]
struct Move {
    from: usize,
    /// None for a new worker.
    to: Option<usize>,
    lanes: Vec<usize>,
}

fn by_share((_, a): &(usize, &f64), (_, b): &(usize, &f64)) -> std::cmp::Ordering {
    a.total_cmp(b)
}

/// What relieves the busiest worker. `shares`: how busy each is; `lanes`: of each lane its worker and the bytes that it copied lately.
fn relieve(shares: &[f64], may_start: bool, lanes: &[(usize, u64)]) -> Option<Move> {
    let (from, most) = shares.iter().enumerate().max_by(by_share)?;
    let others = shares.iter().enumerate().filter(|(worker, _)| *worker != from);
    let to = match others.min_by(by_share).filter(|(_, least)| **least <= most * EASE) {
        Some((worker, _)) => Some(worker),
        None if may_start => None,
        None => return None,
    };
    let mut busy: Vec<(u64, usize)> = Vec::new();
    for (lane, (worker, bytes)) in lanes.iter().enumerate() {
        if *worker == from && *bytes > 0 {
            busy.push((*bytes, lane));
        }
    }
    busy.sort_unstable();
    // The busiest lane stays: moving it would move the trouble.
    let (top, _) = busy.pop()?;
    let total: u64 = top + busy.iter().map(|(bytes, _)| bytes).sum::<u64>();
    let mut moved = 0;
    let mut chosen = Vec::new();
    for (bytes, lane) in busy.into_iter().rev() {
        if moved + bytes <= total / 2 {
            moved += bytes;
            chosen.push(lane);
        }
    }
    (!chosen.is_empty()).then_some(Move { from, to, lanes: chosen })
}

/// Whether one lane of the busiest worker floods the others.
fn is_flooded(shares: &[f64], lanes: &[(usize, u64)]) -> bool {
    let Some((busiest, _)) = shares.iter().enumerate().max_by(by_share) else { return false };
    let copied = lanes.iter().filter(|(worker, _)| *worker == busiest).map(|(_, bytes)| *bytes);
    let (most, total) =
        copied.fold((0, 0), |(most, total), bytes| (bytes.max(most), total + bytes));
    let others = total - most;
    others > 0 && most / FLOOD >= others
}

impl Running {
    /// Looks at the load of the workers and moves lanes where that helps.
    pub(super) fn balance(&mut self) -> Result<(), super::TaskError> {
        if self.workers.is_empty() || self.task.spec.transform.is_some() {
            return Ok(());
        }
        match self.task.spec.worker_threads {
            WorkerThreads::Shared => Ok(()),
            WorkerThreads::Shuffled => self.shuffle(),
            WorkerThreads::Own => self.ease(),
        }
    }

    fn ease(&mut self) -> Result<(), super::TaskError> {
        let shares: Vec<f64> = self.loads.iter_mut().map(Load::look).collect();
        if shares.iter().all(|share| *share < BUSY) {
            // The next look must see what is copied from now on.
            self.copied.clear();
            self.flood_looks = 0;
            return Ok(());
        }
        let bytes: Vec<u64> = self.lanes.iter().map(|lane| lane.bytes()).collect();
        let before = std::mem::replace(&mut self.copied, bytes);
        if before.is_empty() {
            return Ok(());
        }
        let since = |lane: usize| self.copied[lane] - before.get(lane).unwrap_or(&0);
        let lanes: Vec<(usize, u64)> =
            self.placed.iter().enumerate().map(|(lane, worker)| (*worker, since(lane))).collect();
        self.flood_looks = if is_flooded(&shares, &lanes) { self.flood_looks + 1 } else { 0 };
        let is_full = self.loads.iter().any(|load| load.full_looks >= LOOKS_MIN);
        if !is_full && self.flood_looks < LOOKS_MIN {
            return Ok(());
        }
        match relieve(&shares, self.workers.len() < self.workers_max(), &lanes) {
            Some(found) => self.move_lanes(found),
            None => Ok(()),
        }
    }

    /// More than there are cores would only share them. A second one keeps a flood away from the others on any machine.
    fn workers_max(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).max(2);
        self.lanes.len().min(self.task.spec.limits.concurrency_max).min(cores)
    }

    fn move_lanes(&mut self, Move { from, to, lanes }: Move) -> Result<(), super::TaskError> {
        let to = match to {
            Some(worker) => worker,
            None => self.start_worker()?,
        };
        let destination = Destination { worker: to, commands: self.workers[to].clone() };
        let mut keys = Vec::with_capacity(lanes.len());
        for lane in lanes {
            self.placed[lane] = to;
            keys.push(LaneKey::clone(&self.lanes[lane].key));
        }
        tracing::debug!(from, to, lanes = keys.len(), "lanes change workers");
        // A worker that is gone has failed; its error comes by `join_next`.
        drop(self.workers[from].send(Command::Release { lanes: keys, destination }));
        self.loads.iter_mut().for_each(|load| load.full_looks = 0);
        self.flood_looks = 0;
        Ok(())
    }

    /// Any lane to any worker.
    fn shuffle(&mut self) -> Result<(), super::TaskError> {
        let count = self.workers.len();
        let may_start = count < self.lanes.len().min(self.task.spec.limits.concurrency_max);
        let to = fastrand::usize(..count + usize::from(may_start));
        let lane = fastrand::usize(..self.lanes.len());
        let from = self.placed[lane];
        if from == to {
            return Ok(());
        }
        self.move_lanes(Move { from, to: Some(to).filter(|to| *to < count), lanes: vec![lane] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_a_full_worker_does_goes_to_a_new_one() {
        let lanes = [(0, 10), (0, 10), (0, 10), (0, 10), (0, 0)];
        let found = relieve(&[0.95], true, &lanes).unwrap();
        assert_eq!((found.from, found.to, found.lanes.len()), (0, None, 2));
        assert_eq!(relieve(&[0.95], false, &lanes), None, "no worker may be started");
    }

    #[test]
    fn the_busiest_lane_stays_and_the_others_go() {
        let lanes = [(0, 1000), (0, 10), (0, 20), (1, 500)];
        let found = relieve(&[0.95, 0.1], true, &lanes).unwrap();
        assert_eq!(found, Move { from: 0, to: Some(1), lanes: vec![2, 1] });
    }

    #[test]
    fn a_flood_is_one_lane_that_drowns_others_of_its_worker() {
        assert!(is_flooded(&[0.5], &[(0, 1000), (0, 10), (0, 0)]));
        assert!(!is_flooded(&[0.5], &[(0, 1000), (0, 0)]), "nobody suffers");
        assert!(!is_flooded(&[0.5], &[(0, 30), (0, 10), (0, 10)]), "they share it");
        assert!(!is_flooded(&[0.5, 0.1], &[(0, 1000), (1, 10)]), "it is alone already");
        // All others leave it.
        let found = relieve(&[0.5], true, &[(0, 1000), (0, 10), (0, 0), (0, 20)]).unwrap();
        assert_eq!(found, Move { from: 0, to: None, lanes: vec![3, 1] });
    }

    #[test]
    fn nothing_moves_where_it_would_not_help() {
        assert_eq!(relieve(&[0.95], true, &[(0, 1000), (0, 0)]), None, "one lane is all of it");
        assert_eq!(
            relieve(&[0.95, 0.9], false, &[(0, 10), (0, 10), (1, 20)]),
            None,
            "both are full"
        );
    }
}
