//! The configuration files of a node.

use super::certificates::Certificates;
use super::{Flavour, Release, Security, USERS};
use std::fmt::Write as _;
use std::path::Path;

/// Everything that goes into one broker's `server.properties`.
pub(super) struct BrokerPlan<'a> {
    pub(super) release: Release,
    pub(super) flavour: Flavour,
    pub(super) id: i32,
    pub(super) data: &'a Path,
    pub(super) ports: BrokerPorts,
    /// What the client listener claims to be reached at, when not at its own address.
    pub(super) advertised: Option<&'a str>,
    /// Ids and controller ports of all brokers (`KRaft`).
    pub(super) voters: &'a [(i32, u16)],
    pub(super) zookeeper_port: Option<u16>,
    pub(super) certificates: Option<&'a Certificates>,
    pub(super) extra: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct BrokerPorts {
    pub(super) internal: u16,
    /// The flavour's listener; none when plain, where the internal one serves.
    pub(super) client: Option<u16>,
    pub(super) controller: Option<u16>,
}

impl BrokerPlan<'_> {
    pub(super) fn text(&self) -> String {
        let mut lines = Lines(Vec::new());
        self.listeners(&mut lines);
        self.roles(&mut lines);
        self.small_node(&mut lines);
        self.security(&mut lines);
        for (name, value) in &self.extra {
            lines.set(name, value);
        }
        lines.text()
    }

    fn listeners(&self, lines: &mut Lines) {
        let BrokerPorts { internal, client, controller } = self.ports;
        let mut listeners = format!("INTERNAL://127.0.0.1:{internal}");
        let mut advertised = listeners.clone();
        if let Some(client) = client {
            let address = format!("127.0.0.1:{client}");
            let _ = write!(listeners, ",CLIENT://{address}");
            let _ = write!(advertised, ",CLIENT://{}", self.advertised.unwrap_or(&address));
        }
        if let Some(controller) = controller {
            let _ = write!(listeners, ",CONTROLLER://127.0.0.1:{controller}");
        }
        lines.set("listeners", &listeners);
        lines.set("advertised.listeners", &advertised);
        lines.set(
            "listener.security.protocol.map",
            &format!(
                "INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENT:{}",
                self.flavour.security.protocol()
            ),
        );
        lines.set("inter.broker.listener.name", "INTERNAL");
    }

    fn roles(&self, lines: &mut Lines) {
        let id = self.id.to_string();
        if let Some(zookeeper_port) = self.zookeeper_port {
            lines.set("broker.id", &id);
            lines.set("zookeeper.connect", &format!("127.0.0.1:{zookeeper_port}"));
            lines.set("zookeeper.connection.timeout.ms", "60000");
            lines.set("zookeeper.session.timeout.ms", "6000");
        } else {
            let voters: Vec<String> =
                self.voters.iter().map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
            lines.set("node.id", &id);
            lines.set("process.roles", "broker,controller");
            lines.set("controller.listener.names", "CONTROLLER");
            lines.set("controller.quorum.voters", &voters.join(","));
        }
    }

    /// What makes a node small, quick to start, quick to compact, and explicit about topics.
    fn small_node(&self, lines: &mut Lines) {
        let replicas = self.voters.len().clamp(1, 3).to_string();
        let in_sync = if self.voters.len() >= 3 { "2" } else { "1" };
        lines.set("log.dirs", &self.data.display().to_string());
        for (name, value) in [
            ("auto.create.topics.enable", "false"),
            ("delete.topic.enable", "true"),
            ("num.partitions", "1"),
            ("default.replication.factor", &replicas),
            ("offsets.topic.replication.factor", &replicas),
            ("offsets.topic.num.partitions", "5"),
            ("transaction.state.log.replication.factor", &replicas),
            ("transaction.state.log.min.isr", in_sync),
            ("transaction.state.log.num.partitions", "5"),
            ("group.initial.rebalance.delay.ms", "0"),
            ("num.network.threads", "2"),
            ("num.io.threads", "4"),
            // Test records carry fixed, old times: retention must not take them while a test looks.
            ("log.retention.ms", "-1"),
            ("log.cleaner.enable", "true"),
            ("log.cleaner.backoff.ms", "500"),
            ("log.cleaner.dedupe.buffer.size", "16777216"),
        ] {
            lines.set(name, value);
        }
        if self.release >= Release::V3_9_1 {
            lines.set("log.initial.task.delay.ms", "1000");
            lines.set("share.coordinator.state.topic.replication.factor", &replicas);
            lines.set("share.coordinator.state.topic.min.isr", in_sync);
        }
    }

    fn security(&self, lines: &mut Lines) {
        let Flavour { security, acl } = self.flavour;
        if security.is_sasl() {
            lines.set("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512");
        }
        if security.is_tls()
            && let Some(certificates) = self.certificates
        {
            lines.set("ssl.keystore.type", "PKCS12");
            lines.set("ssl.keystore.location", &certificates.broker_store().display().to_string());
            lines.set("ssl.keystore.password", Certificates::PASSWORD);
            lines.set("ssl.key.password", Certificates::PASSWORD);
            lines.set("ssl.truststore.type", "PKCS12");
            lines.set("ssl.truststore.location", &certificates.trust_store().display().to_string());
            lines.set("ssl.truststore.password", Certificates::PASSWORD);
            if security == Security::MutualTls {
                lines.set("ssl.client.auth", "required");
                if self.release >= Release::V2_8_2 {
                    lines.set("ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/,DEFAULT");
                }
            }
        }
        if acl {
            let authorizer = match self.release {
                release if release.is_kraft() => {
                    "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
                }
                Release::V2_8_2 => "kafka.security.authorizer.AclAuthorizer",
                _ => "kafka.security.auth.SimpleAclAuthorizer",
            };
            lines.set("authorizer.class.name", authorizer);
            // The internal listener and the brokers themselves are anonymous.
            lines.set("super.users", "User:ANONYMOUS;User:admin");
        }
    }
}

struct Lines(Vec<(String, String)>);

impl Lines {
    /// A later value replaces an earlier one.
    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, (name, value)| {
            // Backslash is the escape character of the format.
            text + name + "=" + &value.replace('\\', "\\\\") + "\n"
        })
    }
}

/// The users of the SASL mechanisms, for the broker's login (every release reads this form).
pub(super) fn jaas() -> String {
    let mut text = String::from(
        "KafkaServer {\n  org.apache.kafka.common.security.plain.PlainLoginModule required",
    );
    for user in USERS {
        let _ = write!(text, "\n    user_{}=\"{}\"", user.name, user.password);
    }
    text.push_str(";\n  org.apache.kafka.common.security.scram.ScramLoginModule required;\n};\n");
    text
}

/// One line per event on standard output.
pub(super) const LOG4J1: &str = "\
log4j.rootLogger=INFO, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.kafka.request.logger=WARN
log4j.logger.org.apache.zookeeper=WARN
";

/// The same for the releases with log4j 2.
pub(super) const LOG4J2: &str = "\
rootLogger.level=INFO
rootLogger.appenderRefs=stdout
rootLogger.appenderRef.stdout.ref=stdout
appenders=stdout
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=[%d] %p %m (%c)%n
";

pub(super) fn zookeeper(port: u16, data: &Path) -> String {
    format!(
        "tickTime=1000\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n",
        data.display()
    )
}
