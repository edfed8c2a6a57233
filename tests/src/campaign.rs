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

    use super::bench::verdict;
    use super::{Plan, Verdict, run};
    use crate::java::Oracle;
    use xtask::kafka::{KafkaCluster, Options, Release};

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

    /// Each mistake that a copy can make, made once on purpose, is counted as what it is.
    #[test]
    fn judge_finds_planted_mistakes() {
        let cluster = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
        let address = cluster.bootstrap();
        let java = Oracle::program(
            Release::V4_2_0,
            "Campaign",
            &[format!("source={address}"), format!("target={address}")],
        )
        .unwrap();
        let create = |topic: &str| {
            java.call("create", &[("cluster", "source"), ("topic", topic), ("replicas", "1")])
                .unwrap()
        };
        for kind in ["now", "compact"] {
            create(kind);
            let rate = [("topic", kind), ("kind", kind), ("codec", "none"), ("rate", "500")];
            java.call("load", &rate).unwrap();
        }
        let produced = || java.call("produced", &[]).unwrap()[0][0].parse::<u64>().unwrap();
        while produced() < 1000 {
            std::thread::sleep(Duration::from_millis(20));
        }
        java.call("stop", &[]).unwrap();
        let check = |kind: &str, fault: &str, expected: [u64; 5]| {
            let copy = format!("{kind}-{fault}");
            create(&copy);
            java.call("forge", &[("topic", kind), ("to", &copy), ("fault", fault)]).unwrap();
            let arguments = [("topic", kind), ("target_topic", &*copy), ("kind", kind)];
            let found = verdict(kind, &java.call("judge", &arguments).unwrap()).unwrap();
            let Verdict { lost, doubled, disordered, changed, foreign, .. } = found;
            assert_eq!([lost, doubled, disordered, changed, foreign], expected, "{copy}");
            assert_eq!(found.is_clean(), fault == "none");
            assert_eq!(found.examples.is_empty(), found.is_clean());
        };
        check("now", "none", [0, 0, 0, 0, 0]);
        check("now", "lose", [1, 0, 0, 0, 0]);
        check("now", "double", [0, 1, 0, 0, 0]);
        check("now", "swap", [0, 0, 1, 0, 0]);
        // Both the content and the comparison tell.
        check("now", "change", [0, 0, 0, 2, 0]);
        check("now", "retime", [0, 0, 0, 1, 0]);
        check("now", "foreign", [0, 0, 0, 0, 1]);
        check("compact", "none", [0, 0, 0, 0, 0]);
        check("compact", "lose", [1, 0, 0, 0, 0]);
        check("compact", "double", [0, 1, 0, 0, 0]);
        check("compact", "swap", [0, 0, 1, 0, 0]);
        check("compact", "change", [0, 0, 0, 2, 0]);
        check("compact", "retime", [0, 0, 0, 1, 0]);
    }
}
