//! Copies measured round by round beside their yardstick, and the columns that are made of them.

use super::process::Cost;
use super::report::{Column, Row};
use super::stats::Spread;

/// One copy by one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) cost: Cost,
    /// Bytes it moved: what "per GB" and "per second" are about.
    pub(super) bytes: u64,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "a quotient shown with three digits")]
    fn gigabytes(&self) -> f64 {
        self.bytes as f64 / 1e9
    }

    pub(super) fn cpu(&self) -> f64 {
        self.cost.cpu() / self.gigabytes()
    }

    fn user(&self) -> f64 {
        self.cost.user / self.gigabytes()
    }

    pub(super) fn rate(&self) -> f64 {
        self.gigabytes() * 1000.0 / self.cost.elapsed
    }
}

/// The samples of one tool on one kind of data, one for each round.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(pub(super) Vec<Sample>);

impl Series {
    fn values(&self, value: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.0.iter().map(value).collect()
    }

    pub(super) fn user(&self) -> Spread {
        Spread::of(self.values(Sample::user))
    }

    /// How many times the other's CPU per GB this takes.
    pub(super) fn cpu_over(&self, other: &Self) -> Spread {
        Spread::ratio(&self.values(Sample::cpu), &other.values(Sample::cpu))
    }

    /// How many times the other's rate this reaches.
    pub(super) fn rate_over(&self, other: &Self) -> Spread {
        Spread::ratio(&self.values(Sample::rate), &other.values(Sample::rate))
    }

    /// A row for [`columns`].
    pub(super) fn row(&self, name: String, yardstick: &Self) -> Row {
        let values = vec![
            Spread::of(self.values(Sample::cpu)),
            self.user(),
            self.cpu_over(yardstick),
            Spread::of(self.values(Sample::rate)),
            Spread::of(self.values(|sample| sample.cost.peak_mib)),
        ];
        Row { name, values }
    }
}

/// Index of the column with the ratio to the relay.
pub(super) const RATIO: usize = 2;

pub(super) fn columns() -> Vec<Column> {
    vec![
        Column { name: "CPU-s/GB", digits: 3 },
        Column { name: "of this user", digits: 3 },
        Column { name: "x relay", digits: 2 },
        Column { name: "MB/s", digits: 0 },
        Column { name: "peak MiB", digits: 0 },
    ]
}
