//! One byte budget for everything in flight.
//!
//! A fetch reserves its `bytes_max` before it is sent; what the answer did not use is given back at
//! once, the rest when the last batch of the frame is acknowledged. So memory depends neither on the
//! number of partitions nor on how slow the target is.
//!
//! Over a long way no more than the budget passes in a round trip. So a budget may grow: while what passes is so much of it that the way
//! would carry more, and no further than it was told ([`ByteBudget::growing`]).

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Permits are counted in KiB so that a budget of many GiB fits in the semaphore's `u32` arithmetic.
const PERMIT_BYTES: usize = 1024;

/// How many times what passes in a round trip a budget holds: one lot is read, one travels to the target, and two make it seen that
/// more would pass.
const ROUND_TRIPS: u64 = 4;

/// What passes is measured over half a round trip, and no less than this.
const MEASURED_MIN: Duration = Duration::from_millis(50);

/// Places of shared leases that are kept.
const SPARE_CELLS_MAX: usize = 64;

/// Bytes that may be in flight, shared by all workers of the process.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    permits: Arc<Semaphore>,
    size: Arc<Size>,
    spare: Arc<SpareCells>,
}

/// How large a budget is and may become, in permits.
#[derive(Debug)]
struct Size {
    total: AtomicU32,
    most: u32,
    passing: Mutex<Passing>,
}

/// What came from far away since a moment.
#[derive(Debug, Default)]
struct Passing {
    since: Option<Instant>,
    bytes: u64,
}

impl ByteBudget {
    /// A budget of `bytes_max` bytes, rounded up to KiB; at least one MiB.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self::growing(bytes_max, bytes_max)
    }

    /// A budget of `bytes` bytes that grows up to `bytes_max` where brokers are far away and fast enough to need it.
    #[must_use]
    pub fn growing(bytes: usize, bytes_max: usize) -> Self {
        let total = permits_for(bytes.max(1 << 20));
        let size = Size {
            total: AtomicU32::new(total),
            most: permits_for(bytes_max).max(total),
            passing: Mutex::default(),
        };
        Self {
            permits: Arc::new(Semaphore::new(usize::try_from(total).unwrap_or(usize::MAX))),
            size: Arc::new(size),
            spare: Arc::default(),
        }
    }

    /// All bytes of it, reserved or not.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        usize::try_from(self.total()).map_or(usize::MAX, |total| total * PERMIT_BYTES)
    }

    fn total(&self) -> u32 {
        self.size.total.load(Ordering::Relaxed)
    }

    /// Notes what came over a way whose round trip is long, and grows if that is limited by the budget.
    pub(crate) fn note_far(&self, bytes: usize, round_trip: Duration) {
        if self.total() >= self.size.most {
            return;
        }
        let mut passing = self.size.passing.lock().unwrap_or_else(PoisonError::into_inner);
        // Behind the lock: another worker may have let it grow meanwhile.
        let total = self.total();
        let since = *passing.since.get_or_insert_with(Instant::now);
        passing.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        let elapsed = since.elapsed();
        if elapsed < (round_trip / 2).max(MEASURED_MIN) {
            return;
        }
        let passed = std::mem::take(&mut *passing).bytes;
        passing.since = Some(Instant::now());
        let in_a_round_trip =
            u128::from(passed) * round_trip.as_micros() / elapsed.as_micros().max(1);
        let wanted = usize::try_from(in_a_round_trip * u128::from(ROUND_TRIPS));
        let wanted = permits_for(wanted.unwrap_or(usize::MAX)).min(self.size.most);
        if wanted > total {
            self.size.total.store(wanted, Ordering::Relaxed);
            self.permits.add_permits(usize::try_from(wanted - total).unwrap_or(0));
        }
    }

    /// Waits until `bytes` are free and takes them. More than the whole budget takes the whole budget:
    /// a batch larger than the budget travels alone instead of never (BF-21).
    pub(crate) async fn reserve(&self, bytes: usize) -> Lease {
        let wanted = permits_for(bytes).min(self.total());
        let permit = Arc::clone(&self.permits)
            .acquire_many_owned(wanted)
            .await
            .expect("the semaphore of a budget is never closed");
        Lease { permit }
    }

    /// Takes `bytes` if they are free now and nobody waits for them.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Lease> {
        let wanted = permits_for(bytes).min(self.total());
        let permit = Arc::clone(&self.permits).try_acquire_many_owned(wanted).ok()?;
        Some(Lease { permit })
    }

    /// Hands a lease to all batches of a frame.
    pub(crate) fn share(&self, lease: Lease) -> SharedLease {
        let mut cell = self.spare.cells().pop().unwrap_or_default();
        match Arc::get_mut(&mut cell) {
            Some(alone) => alone.held = Some((lease, Arc::clone(&self.spare))),
            // Not reached: a spare cell is nobody's.
            None => cell = Arc::new(Cell { held: Some((lease, Arc::clone(&self.spare))) }),
        }
        SharedLease { cell: Some(cell) }
    }

    /// Bytes that are not reserved right now.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.permits.available_permits() * PERMIT_BYTES
    }
}

/// A part of the budget; gives itself back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Bytes that are reserved.
    pub(crate) fn bytes(&self) -> usize {
        self.permit.num_permits() * PERMIT_BYTES
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let keep = usize::try_from(permits_for(bytes)).unwrap_or(usize::MAX);
        let spare = self.permit.num_permits().saturating_sub(keep);
        drop(self.permit.split(spare));
    }
}

/// A lease that many hold; gives itself back when the last of them is dropped.
#[derive(Clone, Debug)]
pub(crate) struct SharedLease {
    /// Taken in `drop` only.
    cell: Option<Arc<Cell>>,
}

impl SharedLease {
    /// Whether both are one lease.
    pub(crate) fn is_of_same_frame(&self, other: &Self) -> bool {
        match (&self.cell, &other.cell) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Drop for SharedLease {
    /// The last one keeps the cell for the next frame. Two threads that drop the last two at once may both miss that; then the cell goes with
    /// its lease.
    fn drop(&mut self) {
        let Some(mut cell) = self.cell.take() else { return };
        if let Some((lease, spare)) = Arc::get_mut(&mut cell).and_then(|cell| cell.held.take()) {
            drop(lease);
            let mut cells = spare.cells();
            if cells.len() < SPARE_CELLS_MAX {
                cells.push(cell);
            }
        }
    }
}

/// The place of a shared lease, used again from one frame to the next.
#[derive(Debug, Default)]
struct Cell {
    held: Option<(Lease, Arc<SpareCells>)>,
}

/// Places of leases that are given back.
#[derive(Debug, Default)]
struct SpareCells(Mutex<Vec<Arc<Cell>>>);

impl SpareCells {
    fn cells(&self) -> MutexGuard<'_, Vec<Arc<Cell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn permits_for(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_gives_back_what_it_does_not_need() {
        let budget = ByteBudget::new(4 << 20);
        let mut lease = budget.reserve(3 << 20).await;
        assert_eq!(budget.free_bytes(), 1 << 20);
        lease.shrink(1 << 20);
        assert_eq!(budget.free_bytes(), 3 << 20);
        drop(lease);
        assert_eq!(budget.free_bytes(), 4 << 20);
    }

    #[tokio::test]
    async fn the_last_holder_gives_a_shared_lease_back() {
        let budget = ByteBudget::new(4 << 20);
        for _ in 0..3 {
            let first = budget.share(budget.reserve(1 << 20).await);
            let other = budget.share(budget.reserve(2 << 20).await);
            let second = first.clone();
            assert!(first.is_of_same_frame(&second) && !first.is_of_same_frame(&other));
            drop((first, other));
            assert_eq!(budget.free_bytes(), 3 << 20);
            drop(second);
            assert_eq!(budget.free_bytes(), 4 << 20);
            assert_eq!(budget.spare.cells().len(), 2, "the places are used again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_grows_with_what_passes_in_a_round_trip() {
        const MIB: usize = 1 << 20;
        let budget = ByteBudget::growing(24 * MIB, 256 * MIB);
        let round_trip = Duration::from_millis(100);
        let pass = async |bytes: usize| {
            for _ in 0..10 {
                budget.note_far(bytes / 10, round_trip);
                tokio::time::sleep(round_trip / 10).await;
            }
            budget.note_far(0, round_trip);
            budget.total_bytes() / MIB
        };
        // The first answers only start the clock; a slow way keeps the budget as it is.
        for _ in 0..5 {
            assert_eq!(pass(5 * MIB).await, 24);
        }
        // What fills it makes it grow, until the way carries no more or the bound is reached.
        assert!((65..=90).contains(&pass(18 * MIB).await));
        assert!((145..=195).contains(&pass(40 * MIB).await));
        assert!((145..=195).contains(&pass(30 * MIB).await));
        assert_eq!(pass(200 * MIB).await, 256);
        assert_eq!(budget.free_bytes(), 256 * MIB);
        assert_eq!(ByteBudget::new(8 * MIB).total_bytes(), 8 * MIB);
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_budget_takes_all_of_it() {
        let budget = ByteBudget::new(1 << 20);
        let lease = budget.reserve(100 << 20).await;
        assert_eq!(budget.free_bytes(), 0);
        drop(lease);
        assert_eq!(budget.free_bytes(), 1 << 20);
    }
}
