//! One byte budget for everything in flight.
//!
//! A fetch reserves its `bytes_max` before it is sent; what the answer did not use is given back at
//! once, the rest when the last batch of the frame is acknowledged. So memory depends neither on the
//! number of partitions nor on how slow the target is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are counted in KiB so that a budget of many GiB fits in the semaphore's `u32` arithmetic.
const PERMIT_BYTES: usize = 1024;

/// Places of shared leases that are kept.
const SPARE_CELLS_MAX: usize = 64;

/// Bytes that may be in flight, shared by all workers of the process.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    permits: Arc<Semaphore>,
    total: u32,
    spare: Arc<SpareCells>,
}

impl ByteBudget {
    /// A budget of `bytes_max` bytes, rounded up to KiB; at least one MiB.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let total = permits_for(bytes_max.max(1 << 20));
        Self {
            permits: Arc::new(Semaphore::new(usize::try_from(total).unwrap_or(usize::MAX))),
            total,
            spare: Arc::default(),
        }
    }

    /// Waits until `bytes` are free and takes them. More than the whole budget takes the whole budget:
    /// a batch larger than the budget travels alone instead of never (BF-21).
    pub(crate) async fn reserve(&self, bytes: usize) -> Lease {
        let wanted = permits_for(bytes).min(self.total);
        let permit = Arc::clone(&self.permits)
            .acquire_many_owned(wanted)
            .await
            .expect("the semaphore of a budget is never closed");
        Lease { permit }
    }

    /// Takes `bytes` if they are free now and nobody waits for them.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Lease> {
        let wanted = permits_for(bytes).min(self.total);
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

    #[tokio::test]
    async fn a_batch_larger_than_the_budget_takes_all_of_it() {
        let budget = ByteBudget::new(1 << 20);
        let lease = budget.reserve(100 << 20).await;
        assert_eq!(budget.free_bytes(), 0);
        drop(lease);
        assert_eq!(budget.free_bytes(), 1 << 20);
    }
}
