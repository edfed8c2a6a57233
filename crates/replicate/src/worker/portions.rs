//! How much of each partition a fetch asks for.
//!
//! A broker fills its answer partition by partition and cuts the last batch of each where the limit is. So a lane that is behind asks for
//! whole batches of the size that it saw last, and for no more than its share: then an answer holds batches of several
//! partitions, which leave together in one request, and nothing that is cut off and read again.

/// The least that a lane asks for, whatever its share.
const SHARE_BYTES_MIN: i32 = 256 << 10;

/// Answers are no larger, whatever the windows: the client takes frames of up to 128 MiB.
const ANSWER_BYTES_MAX: i32 = 112 << 20;

/// What one fetch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portions {
    /// Bytes of the answer, before whole batches are counted.
    bytes_max: i32,
    /// Bytes of any partition.
    partition_bytes_max: i32,
    share: i32,
    /// The most that a lane behind was given.
    largest: i32,
    /// Bytes that the lanes behind were given together.
    sum: i64,
}

impl Portions {
    /// For `behind` lanes that have more to read than fits.
    pub(super) fn new(bytes_max: i32, partition_bytes_max: i32, behind: usize) -> Self {
        let behind = i32::try_from(behind).unwrap_or(i32::MAX).max(1);
        let share = (bytes_max / behind).max(SHARE_BYTES_MIN).min(partition_bytes_max);
        Self { bytes_max, partition_bytes_max, share, largest: 0, sum: 0 }
    }

    /// For a lane that is behind and whose last answer held batches of up to `batch_bytes`.
    pub(super) fn of(&mut self, batch_bytes: usize) -> i32 {
        let batch = i32::try_from(batch_bytes).unwrap_or(i32::MAX);
        let bytes = match self.share.checked_div(batch) {
            // A larger batch comes alone and whole, if it comes first; then it must not come with a part of the next one.
            Some(0) => batch.min(self.partition_bytes_max),
            Some(count) => count * batch,
            None => self.partition_bytes_max,
        };
        self.largest = self.largest.max(bytes);
        self.sum += i64::from(bytes);
        bytes
    }

    /// Bytes of the whole answer: whole portions, up to one more than was meant.
    pub(super) fn total(&self) -> i32 {
        let total = match self.bytes_max.checked_div(self.largest) {
            Some(count) if self.largest < self.bytes_max && self.bytes_max % self.largest > 0 => {
                (count + 1).saturating_mul(self.largest)
            }
            _ => self.bytes_max,
        };
        total.min(ANSWER_BYTES_MAX)
    }

    /// Bytes of an answer that is full.
    pub(super) fn full(&self) -> usize {
        let full = self.sum.min(i64::from(self.total()));
        usize::try_from(full).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: i32 = 1 << 20;

    #[test]
    fn lanes_share_an_answer_in_whole_batches() {
        let batch = (256 << 10) + 61;
        let mut portions = Portions::new(MIB, MIB, 4);
        for _ in 0..4 {
            assert_eq!(portions.of(batch), (256 << 10) + 61);
        }
        assert_eq!(portions.total(), 4 * ((256 << 10) + 61), "the fourth is not cut");
        assert_eq!(portions.full(), 4 * batch);
    }

    #[test]
    fn a_lane_alone_has_it_all() {
        let mut portions = Portions::new(MIB, MIB, 1);
        assert_eq!(portions.of(300_000), 900_000);
        assert_eq!((portions.total(), portions.full()), (1_800_000, 900_000));
        assert_eq!(Portions::new(MIB, MIB, 1).of(0), MIB, "nothing is known of it");
    }

    #[test]
    fn small_batches_and_large_ones_have_bounds() {
        let mut portions = Portions::new(MIB, MIB, 1000);
        assert_eq!(portions.of(1024), 256 << 10);
        assert_eq!(portions.of(3 << 20), MIB);
        assert_eq!(portions.total(), MIB);
        let mut portions = Portions::new(100 * MIB, 100 * MIB, 2);
        assert_eq!(portions.of(40 << 20), 40 * MIB);
        assert_eq!(portions.total(), 112 * MIB, "and not 120: that would be no frame");
    }
}
