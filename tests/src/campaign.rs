//! The fault campaign: a running `kferry sync` between two three-broker clusters under load, everything that can
//! break breaking at random instants, and Kafka's own client as the judge in the end.
//!
//! `cargo xtask campaign` runs it as long as one likes; a short one is an integration test.
//!
//! kferry meets the brokers through [`Proxy`] only: each broker advertises its proxy's address. Load, elections and the judge
//! use the brokers' internal listeners and are not disturbed. A seed fixes *what* is done in which order; *when* depends on
//! the machine, so a seed narrows a finding down but does not replay it.

mod bench;
mod faults;
mod network;
mod proxy;
mod report;
mod subject;
mod topics;

pub use bench::{Plan, run};
pub use proxy::{Cut, Direction, Proxy};
pub use report::{Report, Verdict};

#[cfg(all(test, feature = "real-kafka"))]
mod tests {
    use std::time::Duration;

    use super::{Plan, run};

    /// Two minutes of what `cargo xtask campaign` does.
    #[test]
    fn short_campaign_loses_and_doubles_nothing() {
        let plan = Plan {
            time: Duration::from_secs(60),
            kills_of_kferry: 15,
            kills_of_brokers: 3,
            ..Plan::default()
        };
        let report = run(&plan, &mut |line| eprintln!("{line}")).unwrap();
        assert!(report.findings().is_empty(), "{report}");
    }
}
