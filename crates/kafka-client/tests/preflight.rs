//! Validation of a connection against a simulated cluster: what is told when a broker or a right is missing.

use std::sync::Arc;

use kafka_client::{
    BoxFuture, BrokerAddress, ConnectError, ConnectionConfig, Connector, Stream,
    preflight::{Options, Outcome, Report, Role, StepKind, run_with},
};
use kafka_sim::{Cluster, ClusterConfig, Operation, Release, Resource};

/// Reaches every broker but one: a firewall, or a wrong advertised address.
#[derive(Debug)]
struct AllBut {
    connector: Arc<dyn Connector>,
    closed: BrokerAddress,
}

impl Connector for AllBut {
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>> {
        if *address == self.closed {
            let error = ConnectError::Tcp {
                address: address.clone(),
                socket: None,
                kind: std::io::ErrorKind::ConnectionRefused,
                message: "connection refused".to_owned(),
            };
            return Box::pin(std::future::ready(Err(error)));
        }
        self.connector.connect(address)
    }
}

fn cluster(brokers: usize, release: Release) -> Cluster {
    Cluster::new(ClusterConfig { brokers, ..ClusterConfig::release(release) })
}

async fn check(cluster: &Cluster, connector: Arc<dyn Connector>, role: Role) -> Report {
    let first = cluster.bootstrap().into_iter().take(1).collect();
    run_with(&ConnectionConfig::new(first), connector, &Options::full(role), &mut |_| {}).await
}

/// The subjects of the steps that failed, with their causes.
fn failures(report: &Report) -> Vec<(StepKind, &str, &Outcome)> {
    report.failures().map(|step| (step.kind, step.subject.as_str(), &step.outcome)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_broker_of_three_is_unreachable() {
    let cluster = cluster(3, Release::V4_2);
    let closed = cluster.bootstrap()[2].clone();
    let connector = Arc::new(AllBut { connector: cluster.connector(), closed: closed.clone() });
    let report = check(&cluster, connector, Role::Source).await;
    let failed = failures(&report);
    let [(StepKind::Broker, subject, Outcome::Failed { cause, cure })] = failed.as_slice() else {
        panic!("{report:#?}");
    };
    assert!(subject.contains(&closed.to_string()) && subject.starts_with("3 "), "{subject}");
    assert!(cause.contains("refused") && !cause.starts_with(&closed.to_string()), "{cause}");
    assert!(cure.as_deref().unwrap().contains("advertised"), "{cure:?}");
    assert_eq!(
        report
            .steps
            .iter()
            .filter(|step| step.kind == StepKind::Broker && !step.is_failed())
            .count(),
        2
    );
    assert!(report.steps.iter().all(|step| step.kind != StepKind::Permission), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_start_goes_on_without_a_broker_that_is_down() {
    let cluster = cluster(3, Release::V4_2);
    let closed = cluster.bootstrap()[2].clone();
    let connector = Arc::new(AllBut { connector: cluster.connector(), closed: closed.clone() });
    let first = ConnectionConfig::new(cluster.bootstrap().into_iter().take(1).collect());
    let options = Options::reach(Role::Source);
    let report = run_with(&first, connector, &options, &mut |_| {}).await;
    assert!(report.is_ok(), "{report:#?}");
    let [absent] = report.absent.as_slice() else { panic!("{report:#?}") };
    assert_eq!(absent.broker_id, 3);
    assert!(absent.cause.contains("refused") && absent.cause.contains(&closed.to_string()));
    assert!(absent.cure.is_some());
}

/// The address that lets us in is no broker's own: none of the advertised ones can be reached.
#[derive(Debug)]
struct OnlyOnce {
    connector: Arc<dyn Connector>,
    entrance: BrokerAddress,
    broker: BrokerAddress,
}

impl Connector for OnlyOnce {
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>> {
        if *address == self.entrance {
            return self.connector.connect(&self.broker);
        }
        let error = ConnectError::Tcp {
            address: address.clone(),
            socket: None,
            kind: std::io::ErrorKind::ConnectionRefused,
            message: "connection refused".to_owned(),
        };
        Box::pin(std::future::ready(Err(error)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_ends_where_no_broker_can_be_reached() {
    let cluster = cluster(3, Release::V4_2);
    let entrance: BrokerAddress = "balancer:9092".parse().unwrap();
    let connector = Arc::new(OnlyOnce {
        connector: cluster.connector(),
        entrance: entrance.clone(),
        broker: cluster.bootstrap()[0].clone(),
    });
    let config = ConnectionConfig::new(vec![entrance]);
    let options = Options::reach(Role::Source);
    let report = run_with(&config, connector, &options, &mut |_| {}).await;
    assert_eq!(failures(&report).len(), 3, "{report:#?}");
    assert!(report.absent.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_sees_nothing_is_told_whether_there_is_nothing() {
    for release in [Release::V0_11, Release::V1_1, Release::V2_8, Release::V4_2] {
        let cluster = cluster(1, release);
        let report = check(&cluster, cluster.connector(), Role::Source).await;
        assert!(report.is_ok(), "{release:?}: an empty cluster that may be read: {report:#?}");
        for operation in [Operation::Describe, Operation::Read, Operation::DescribeConfigs] {
            cluster.deny("*", operation, Resource::Topic("*".to_owned()));
        }
        let report = check(&cluster, cluster.connector(), Role::Source).await;
        let subjects: Vec<_> = failures(&report).iter().map(|(_, subject, _)| *subject).collect();
        assert!(
            subjects.contains(&"READ on topics"),
            "{release:?}: a user without rights passed: {report:#?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_topic_is_named_with_and_without_bits() {
    for release in [Release::V0_11, Release::V1_1, Release::V2_8, Release::V4_2] {
        let cluster = cluster(1, release);
        for topic in ["open", "secret"] {
            cluster.create_topic(topic, 1, &[]).unwrap();
        }
        cluster.deny("*", Operation::Read, Resource::Topic("secret".to_owned()));
        let report = check(&cluster, cluster.connector(), Role::Source).await;
        let failed = failures(&report);
        let [(StepKind::Permission, "READ on topics", Outcome::Failed { cause, .. })] =
            failed.as_slice()
        else {
            panic!("{release:?}: {report:#?}");
        };
        assert!(cause.contains("1 of 2 topics: secret"), "{release:?}: {cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn probes_leave_nothing_behind() {
    let cluster = cluster(2, Release::V4_2);
    let report = check(&cluster, cluster.connector(), Role::Target).await;
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!(cluster.topics(), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn missing_rights_on_groups_are_named() {
    for (role, operation, subject) in [
        (Role::Source, Operation::Describe, "DESCRIBE on groups"),
        (Role::Target, Operation::Describe, "DESCRIBE on groups"),
        (Role::Target, Operation::Read, "READ on groups"),
    ] {
        let cluster = cluster(1, Release::V4_2);
        cluster.create_topic("t", 1, &[]).unwrap();
        let options = Options::full(role).with_groups();
        let config = ConnectionConfig::new(cluster.bootstrap());
        let report = run_with(&config, cluster.connector(), &options, &mut |_| {}).await;
        assert!(report.is_ok(), "{report:#?}");
        assert!(report.steps.iter().any(|step| step.subject == subject), "{report:#?}");
        cluster.deny("*", operation, Resource::Group("*".to_owned()));
        let report = run_with(&config, cluster.connector(), &options, &mut |_| {}).await;
        let subjects: Vec<_> = failures(&report).iter().map(|(_, subject, _)| *subject).collect();
        assert!(subjects.contains(&subject), "{role} without {operation:?}: {report:#?}");
    }
}

/// Each right on ACLs that the role needs, and what is missing where there are none.
#[tokio::test(start_paused = true)]
async fn rights_on_acls() {
    let failing = async |authorizer: bool, release: Release, role: Role, denied: &[Operation]| {
        let cluster = Cluster::new(ClusterConfig { authorizer, ..ClusterConfig::release(release) });
        for operation in denied {
            cluster.deny("*", *operation, Resource::Cluster);
        }
        let config = ConnectionConfig::new(cluster.bootstrap());
        let options = Options::full(role).with_acls();
        let report = run_with(&config, cluster.connector(), &options, &mut |_| {}).await;
        let cures = report.failures().all(|step| {
            matches!(&step.outcome, Outcome::Failed { cure: Some(cure), .. } if cure.contains("ACLs") || cure.contains("--cluster"))
        });
        assert!(cures, "{report:#?}");
        let acls = report.failures().filter(|step| step.subject.ends_with("(ACLs)"));
        acls.map(|step| step.subject.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let none: [String; 0] = [];
    let (describe, alter) = (Operation::Describe, Operation::Alter);
    assert_eq!(failing(true, Release::V4_2, Role::Source, &[alter]).await, none);
    assert_eq!(failing(true, Release::V4_2, Role::Target, &[]).await, none);
    assert_eq!(failing(true, Release::V4_2, Role::Source, &[describe]).await, ["DESCRIBE"]);
    assert_eq!(failing(true, Release::V2_8, Role::Target, &[alter]).await, ["ALTER"]);
    assert_eq!(failing(false, Release::V4_2, Role::Source, &[]).await, ["DESCRIBE"]);
    assert_eq!(failing(false, Release::V2_8, Role::Target, &[]).await, ["DESCRIBE", "ALTER"]);
    assert_eq!(failing(true, Release::V1_1, Role::Source, &[]).await, ["DESCRIBE"]);
}
