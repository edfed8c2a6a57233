//! Medians, spreads and quantiles of few or many measurements.

use serde::Serialize;

/// What several rounds of one measurement show. Never empty of meaning: without values all three are NaN, shown as a dash.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Every round, in order.
    pub(super) rounds: Vec<f64>,
}

impl Spread {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let rounds: Vec<f64> = values.into_iter().collect();
        let sorted = sorted(&rounds);
        let (low, high) = (
            sorted.first().copied().unwrap_or(f64::NAN),
            sorted.last().copied().unwrap_or(f64::NAN),
        );
        Self { median: median(&sorted), low, high, rounds }
    }

    /// Round by round `above / below`: what the machine did in a round touches both alike.
    pub(super) fn ratio(above: &[f64], below: &[f64]) -> Self {
        Self::of(above.iter().zip(below).map(|(above, below)| above / below))
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Many values of one kind, such as latencies, asked for quantiles.
#[derive(Clone, Debug)]
pub(super) struct Distribution(Vec<f64>);

impl Distribution {
    pub(super) fn of(values: &[f64]) -> Self {
        Self(sorted(values))
    }

    /// The smallest value that at least `share` (0 to 1) of all values do not exceed.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count that fits in memory"
    )]
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.max(1) - 1).or_else(|| self.0.last()).copied().unwrap_or(f64::NAN)
    }
}

/// Units per second (or any other unit) by which `points` (x, y) rise, least squares.
#[expect(clippy::cast_precision_loss, reason = "a count of samples")]
pub(super) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        let from_mean = point.0 - x;
        (from_mean.mul_add(point.1 - y, above), from_mean.mul_add(from_mean, below))
    });
    above / below
}

#[cfg(test)]
mod tests {
    use super::{Distribution, Spread, slope};

    #[test]
    fn spreads() {
        let check = |values: &[f64], expected: (f64, f64, f64)| {
            let spread = Spread::of(values.iter().copied());
            assert_eq!((spread.median, spread.low, spread.high), expected, "{values:?}");
        };
        check(&[3.0], (3.0, 3.0, 3.0));
        check(&[4.0, 1.0], (2.5, 1.0, 4.0));
        check(&[9.0, 1.0, 2.0], (2.0, 1.0, 9.0));
        assert!(Spread::of([]).median.is_nan());
        // The rounds keep their order: the first pairs with the first.
        assert_eq!(Spread::of([9.0, 1.0]).rounds, [9.0, 1.0]);
    }

    #[test]
    fn ratios_pair_rounds() {
        // A machine twice as slow in the second round changes nothing; medians apart would say 1.5 / 3.
        let spread = Spread::ratio(&[1.0, 2.0], &[2.0, 4.0]);
        assert_eq!((spread.median, spread.low, spread.high), (0.5, 0.5, 0.5));
    }

    #[test]
    fn quantiles() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        let distribution = Distribution::of(&values);
        let check = |share, expected: f64| {
            assert!((distribution.quantile(share) - expected).abs() < 1e-9, "{share}");
        };
        check(0.0, 1.0);
        check(0.5, 500.0);
        check(0.99, 990.0);
        check(0.999, 999.0);
        check(1.0, 1000.0);
        assert!(Distribution::of(&[]).quantile(0.5).is_nan());
    }

    #[test]
    fn slopes() {
        assert!((slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]) - 2.0).abs() < 1e-9);
        assert!(slope(&[(0.0, 5.0), (1.0, 5.0)]).abs() < 1e-9);
    }
}
