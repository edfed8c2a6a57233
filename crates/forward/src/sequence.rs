//! Ordinals on the wire: 31-bit producer sequences.
//!
//! A producer epoch begins at sequence 0; after 2^31 - 1 comes 0 again, also inside a batch (BF-10, P1).
//! A lane counts its records with a 64-bit [`Ordinal`] and remembers at which ordinal each epoch began.
//!
//! Source: KIP-98; `DefaultRecordBatch.incrementSequence` in Apache Kafka.

use crate::Ordinal;

/// How many sequences there are before they begin again: 2^31.
const SEQUENCES: i64 = 1 << 31;

/// The sequence of the record `ordinal` in an epoch whose sequence 0 was the record `epoch_base`.
#[must_use]
pub fn sequence_of(ordinal: Ordinal, epoch_base: Ordinal) -> i32 {
    let sequence = ordinal.since(epoch_base).rem_euclid(SEQUENCES);
    i32::try_from(sequence).expect("a remainder of 2^31 fits in 31 bits")
}

/// The ordinal that the broker's `sequence` stands for: of all ordinals with this sequence in the epoch
/// that began at `epoch_base`, the one nearest to `near`, and never before `epoch_base`.
///
/// `sequence` is masked to 31 bits, so that a negative one (a batch without a sequence) is harmless.
#[must_use]
pub fn ordinal_of(sequence: i32, epoch_base: Ordinal, near: Ordinal) -> Ordinal {
    let wanted = i64::from(sequence & i32::MAX);
    let expected = near.since(epoch_base).max(0);
    let mut distance = expected - expected.rem_euclid(SEQUENCES) + wanted;
    if distance - expected > SEQUENCES / 2 && distance >= SEQUENCES {
        distance -= SEQUENCES;
    } else if expected - distance > SEQUENCES / 2 {
        distance = distance.saturating_add(SEQUENCES);
    }
    epoch_base.plus(distance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(ordinal: i64, epoch_base: i64, expected: i32) {
        assert_eq!(sequence_of(Ordinal(ordinal), Ordinal(epoch_base)), expected);
        assert_eq!(ordinal_of(expected, Ordinal(epoch_base), Ordinal(ordinal)), Ordinal(ordinal));
    }

    #[test]
    fn counts_from_the_epoch() {
        check(0, 0, 0);
        check(100, 100, 0);
        check(107, 100, 7);
    }

    #[test]
    fn wraps_from_max_to_zero() {
        check(i64::from(i32::MAX), 0, i32::MAX);
        check(i64::from(i32::MAX) + 1, 0, 0);
        check(SEQUENCES * 5 + 3, 1, 2);
    }

    #[test]
    fn unwraps_across_the_wrap() {
        assert_eq!(
            ordinal_of(i32::MAX, Ordinal(0), Ordinal(SEQUENCES + 5)),
            Ordinal(SEQUENCES - 1)
        );
        assert_eq!(ordinal_of(3, Ordinal(0), Ordinal(SEQUENCES - 5)), Ordinal(SEQUENCES + 3));
    }

    #[test]
    fn never_lies_before_the_epoch() {
        assert_eq!(ordinal_of(i32::MAX, Ordinal(10), Ordinal(10)), Ordinal(10 + SEQUENCES - 1));
    }

    proptest! {
        /// Any ordinal within half a turn of the expected one survives the way over the wire.
        #[test]
        fn unwrap_undoes_wrap(base in 0i64..1 << 40, distance in 0i64..1 << 40, off in -(1i64 << 30) + 1..(1i64 << 30)) {
            let ordinal = Ordinal(base + distance);
            let near = ordinal.plus(off);
            prop_assert_eq!(ordinal_of(sequence_of(ordinal, Ordinal(base)), Ordinal(base), near), ordinal);
        }
    }
}
