//! A running cluster: start, wait until it is whole, kill, restart, stop.

use super::certificates::Certificates;
use super::ports::Port;
use super::process::{JavaCommand, Server, Watchdog, touch};
use super::properties::{self, BrokerPlan, BrokerPorts};
use super::{Flavour, Release, USERS, probe};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the cluster shall be like. [`Options::default`] is one plain broker.
#[derive(Clone, Debug)]
pub struct Options {
    /// 1 or 3 brokers; with three, each is also a controller (`KRaft`), so that any one may be killed.
    pub brokers: usize,
    /// What the client listener asks for.
    pub flavour: Flavour,
    /// Broker properties beside or instead of ours, for every broker.
    pub properties: Vec<(String, String)>,
    /// The same for one broker: index from 0, name, value.
    pub broker_properties: Vec<(usize, String, String)>,
    /// Where a broker tells clients to find it, other than where it is: index from 0, `HOST:PORT`. For relays, and for
    /// brokers that clients cannot reach; brokers and tools use the internal listener and are not disturbed.
    pub advertised: Vec<(usize, String)>,
    /// The JVM heap of each broker in MiB.
    pub heap_mib: u32,
    /// Further options of the brokers' JVMs.
    pub jvm_options: Vec<String>,
    /// How long the start may take.
    pub ready_within: Duration,
    /// Whether the data directory stays when the cluster ends.
    pub keep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new(1, Flavour::default())
    }
}

impl Options {
    /// Options for a number of brokers of one flavour.
    pub const fn new(brokers: usize, flavour: Flavour) -> Self {
        Self {
            brokers,
            flavour,
            properties: Vec::new(),
            broker_properties: Vec::new(),
            advertised: Vec::new(),
            heap_mib: 640,
            jvm_options: Vec::new(),
            ready_within: Duration::from_secs(120),
            keep: false,
        }
    }

    /// Has the broker with this index tell clients that it is at `address`.
    #[must_use]
    pub fn advertise(mut self, index: usize, address: &str) -> Self {
        self.advertised.push((index, address.to_owned()));
        self
    }

    /// Adds a broker property for all brokers.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A cluster of real brokers; ends when dropped.
#[derive(Debug)]
pub struct KafkaCluster {
    release: Release,
    flavour: Flavour,
    certificates: Option<Certificates>,
    brokers: Vec<Broker>,
    zookeeper: Option<Server>,
    directory: Directory,
    ready_within: Duration,
    // Dropped last: the ports stay ours and the watchdog stays awake until the processes are gone.
    watchdog: Watchdog,
    _ports: Vec<Port>,
}

/// One broker and its process.
#[derive(Debug)]
struct Broker {
    id: i32,
    ports: BrokerPorts,
    data: PathBuf,
    server: Server,
}

#[derive(Debug)]
enum Directory {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

impl KafkaCluster {
    /// Starts a cluster and waits until every broker sees all of them and a controller.
    ///
    /// # Errors
    /// When Java or Maven are missing, or the brokers do not come up in time; the message then ends with the tail of
    /// the log.
    pub fn start(release: Release, options: Options) -> Result<Self> {
        ensure!((1..=9).contains(&options.brokers), "1 to 9 brokers, not {}", options.brokers);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let cluster = Self::prepare(release, &options)?;
            match cluster.launch() {
                Ok(()) => return Ok(cluster),
                // Somebody outside took one of our ports between the check and the broker's bind.
                Err(error)
                    if attempts < 3 && format!("{error:#}").contains("Address already in use") => {}
                Err(error) => return Err(error.context(format!("starting Kafka {release}"))),
            }
        }
    }

    /// Addresses of the client listener, all brokers: `127.0.0.1:20001,127.0.0.1:20002`.
    pub fn bootstrap(&self) -> String {
        join(self.brokers.iter().map(Broker::address))
    }

    /// Addresses of the plaintext listener with full rights.
    pub fn internal_bootstrap(&self) -> String {
        join(self.brokers.iter().map(Broker::internal_address))
    }

    /// The release that runs.
    pub const fn release(&self) -> Release {
        self.release
    }

    /// The flavour of the client listener.
    pub const fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The broker with this index (0 is broker id 1).
    ///
    /// # Panics
    /// When there is no such broker.
    pub fn broker(&self, index: usize) -> RunningBroker<'_> {
        RunningBroker { broker: &self.brokers[index], cluster: self }
    }

    /// How many brokers there are, running or not.
    pub const fn broker_count(&self) -> usize {
        self.brokers.len()
    }

    /// The files of the test CA, for the TLS flavours.
    pub const fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Where data, configuration and logs are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs one of the release's own command line tools and returns its output, for example
    /// `org.apache.kafka.tools.TopicCommand` (`kafka.admin.TopicCommand` before 3.x).
    ///
    /// # Errors
    /// When the tool fails; the message holds its output.
    pub fn tool(&self, main_class: &str, arguments: &[&str]) -> Result<String> {
        self.java(
            main_class,
            vec!["-Xmx256m".into()],
            arguments.iter().map(OsString::from).collect(),
        )
        .run()
    }

    /// Waits until every running broker sees all running brokers and a controller.
    ///
    /// # Errors
    /// At the deadline, or as soon as a broker has died.
    pub fn wait_ready(&self) -> Result<()> {
        let deadline = Instant::now() + self.ready_within;
        let mut expected: Vec<i32> = self
            .brokers
            .iter()
            .filter(|broker| broker.server.id().is_some())
            .map(|broker| broker.id)
            .collect();
        expected.sort_unstable();
        for broker in &self.brokers {
            if broker.server.id().is_some() {
                self.wait_broker(broker, &expected, deadline)?;
            }
        }
        Ok(())
    }

    fn wait_broker(&self, broker: &Broker, expected: &[i32], deadline: Instant) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = broker.server.exited()? {
                let log = broker.server.log_tail(60);
                if broker_still_registered(&log) && Instant::now() < deadline {
                    // ZooKeeper has not yet noticed that the killed broker of the same id is gone.
                    thread::sleep(Duration::from_secs(1));
                    broker.server.start(&self.watchdog)?;
                    continue;
                }
                bail!(
                    "broker {} ended with {status} after {:?}; its log ends:\n{log}",
                    broker.id,
                    started.elapsed()
                );
            }
            let seen = probe::cluster(broker.ports.internal).and_then(|mut seen| {
                seen.broker_ids.sort_unstable();
                ensure!(seen.broker_ids == expected && seen.controller_id >= 0, "it sees {seen:?}");
                let client = broker.ports.client.unwrap_or(broker.ports.internal);
                TcpStream::connect((Ipv4Addr::LOCALHOST, client)).context("client listener")?;
                Ok(())
            });
            match seen {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    bail!(
                        "broker {} is not ready after {:?} ({error:#}); its log ends:\n{}",
                        broker.id,
                        started.elapsed(),
                        broker.server.log_tail(60)
                    );
                }
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Reserves ports and writes every file; nothing runs yet.
    fn prepare(release: Release, options: &Options) -> Result<Self> {
        super::fetch(release)?;
        let temporary = TempDir::with_prefix(format!("kferry-kafka-{release}-"))?;
        let directory = if options.keep {
            Directory::Kept(temporary.keep())
        } else {
            Directory::Temporary(temporary)
        };
        let top = directory.path().to_owned();
        let watchdog = Watchdog::start(if options.keep { None } else { Some(&top) })?;
        let security = options.flavour.security;
        let certificates = if security.is_tls() { Some(Certificates::obtain()?) } else { None };
        fs::write(top.join("log4j.properties"), properties::LOG4J1)?;
        fs::write(top.join("log4j2.properties"), properties::LOG4J2)?;
        fs::write(top.join("jaas.conf"), properties::jaas())?;

        let mut ports = Vec::new();
        let mut reserve = || -> Result<u16> {
            let port = Port::reserve()?;
            let number = port.number();
            ports.push(port);
            Ok(number)
        };
        // Without either, the internal listener serves clients as well.
        let separate =
            options.flavour.security != super::Security::Plain || !options.advertised.is_empty();
        let mut broker_ports = Vec::new();
        for _ in 0..options.brokers {
            broker_ports.push(BrokerPorts {
                internal: reserve()?,
                client: if separate { Some(reserve()?) } else { None },
                controller: if release.is_kraft() { Some(reserve()?) } else { None },
            });
        }
        let zookeeper_port = if release.is_kraft() { None } else { Some(reserve()?) };

        let mut cluster = Self {
            release,
            flavour: options.flavour,
            certificates,
            brokers: Vec::new(),
            zookeeper: None,
            directory,
            ready_within: options.ready_within,
            watchdog,
            _ports: ports,
        };
        if let Some(port) = zookeeper_port {
            cluster.zookeeper = Some(cluster.prepare_zookeeper(port)?);
        }
        let voters: Vec<(i32, u16)> = (1..)
            .zip(&broker_ports)
            .map(|(id, ports)| (id, ports.controller.unwrap_or(0)))
            .collect();
        for (index, (&(id, _), ports)) in voters.iter().zip(broker_ports).enumerate() {
            let data = top.join(format!("broker-{id}"));
            let extra = options.properties.iter().cloned();
            let own = options.broker_properties.iter().filter(|(of, ..)| *of == index);
            let plan = BrokerPlan {
                release,
                flavour: options.flavour,
                id,
                data: &data,
                ports,
                advertised: options
                    .advertised
                    .iter()
                    .rfind(|(of, _)| *of == index)
                    .map(|(_, address)| address.as_str()),
                voters: &voters,
                zookeeper_port,
                certificates: cluster.certificates.as_ref(),
                extra: extra
                    .chain(own.map(|(_, name, value)| (name.clone(), value.clone())))
                    .collect(),
            };
            fs::write(top.join(format!("broker-{id}.properties")), plan.text())?;
            let log = top.join(format!("broker-{id}.log"));
            touch(&log)?;
            let heap = format!("-Xmx{}m", options.heap_mib);
            let mut jvm_options = vec![heap.into(), "-Xms128m".into()];
            jvm_options.extend(options.jvm_options.iter().map(OsString::from));
            let command = cluster.java(
                "kafka.Kafka",
                jvm_options,
                vec![top.join(format!("broker-{id}.properties")).into()],
            );
            cluster.brokers.push(Broker { id, ports, data, server: Server::new(command, log) });
        }
        Ok(cluster)
    }

    fn prepare_zookeeper(&self, port: u16) -> Result<Server> {
        let top = self.directory.path();
        let data = top.join("zookeeper");
        fs::create_dir_all(&data)?;
        let file = top.join("zookeeper.properties");
        fs::write(&file, properties::zookeeper(port, &data))?;
        let log = top.join("zookeeper.log");
        touch(&log)?;
        let command = self.java(
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            vec!["-Xmx128m".into()],
            vec![file.into()],
        );
        Ok(Server::new(command, log))
    }

    fn java(
        &self,
        main_class: &str,
        mut jvm_options: Vec<OsString>,
        arguments: Vec<OsString>,
    ) -> JavaCommand {
        let top = self.directory.path();
        let mut define =
            |name: &str, value: String| jvm_options.push(format!("-D{name}={value}").into());
        define("log4j.configuration", format!("file:{}", top.join("log4j.properties").display()));
        define("log4j2.configurationFile", top.join("log4j2.properties").display().to_string());
        if self.flavour.security.is_sasl() && main_class == "kafka.Kafka" {
            define("java.security.auth.login.config", top.join("jaas.conf").display().to_string());
            define("zookeeper.sasl.client", "false".to_owned());
        }
        JavaCommand {
            release: self.release,
            jvm_options,
            main_class: main_class.to_owned(),
            arguments,
        }
    }

    fn launch(&self) -> Result<()> {
        if let Some(zookeeper) = &self.zookeeper {
            zookeeper.start(&self.watchdog)?;
            if self.flavour.security.is_sasl() {
                self.add_scram_users_in_zookeeper()?;
            }
        } else {
            self.format_storage()?;
        }
        for broker in &self.brokers {
            broker.server.start(&self.watchdog)?;
        }
        self.wait_ready()
    }

    fn format_storage(&self) -> Result<()> {
        let cluster_id = random_cluster_id();
        // Side by side: each is a JVM start.
        thread::scope(|scope| {
            let running: Vec<_> = self
                .brokers
                .iter()
                .map(|broker| {
                    let file =
                        self.directory.path().join(format!("broker-{}.properties", broker.id));
                    let mut arguments: Vec<OsString> = vec![
                        "format".into(),
                        "-t".into(),
                        (&cluster_id).into(),
                        "-c".into(),
                        file.into(),
                    ];
                    if self.flavour.security.is_sasl() {
                        for user in USERS {
                            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                                arguments.push("--add-scram".into());
                                arguments.push(
                                    format!(
                                        "{mechanism}=[name={},password={}]",
                                        user.name, user.password
                                    )
                                    .into(),
                                );
                            }
                        }
                    }
                    let command =
                        self.java("kafka.tools.StorageTool", vec!["-Xmx128m".into()], arguments);
                    scope.spawn(move || command.run())
                })
                .collect();
            for format in running {
                match format.join() {
                    Ok(result) => result.map(drop)?,
                    Err(_) => bail!("formatting the storage panicked"),
                }
            }
            Ok(())
        })
    }

    fn add_scram_users_in_zookeeper(&self) -> Result<()> {
        let properties = fs::read_to_string(self.directory.path().join("broker-1.properties"))?;
        let address = properties.lines().find_map(|line| line.strip_prefix("zookeeper.connect="));
        let address = address.context("no zookeeper.connect")?;
        for user in USERS {
            let config =
                format!("SCRAM-SHA-256=[password={0}],SCRAM-SHA-512=[password={0}]", user.password);
            self.tool(
                "kafka.admin.ConfigCommand",
                &[
                    "--zookeeper",
                    address,
                    "--alter",
                    "--add-config",
                    &config,
                    "--entity-type",
                    "users",
                    "--entity-name",
                    user.name,
                ],
            )?;
        }
        Ok(())
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        // Brokers first and all of them before the directory goes.
        for broker in &self.brokers {
            let _ = broker.server.kill();
        }
        if let Some(zookeeper) = &self.zookeeper {
            let _ = zookeeper.kill();
        }
    }
}

impl Broker {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client.unwrap_or(self.ports.internal))
    }

    fn internal_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.internal)
    }
}

/// A broker together with its cluster: what can be done to it.
#[derive(Clone, Copy, Debug)]
pub struct RunningBroker<'a> {
    broker: &'a Broker,
    cluster: &'a KafkaCluster,
}

impl RunningBroker<'_> {
    /// The broker id: index plus one.
    pub const fn id(self) -> i32 {
        self.broker.id
    }

    /// Address of its client listener.
    pub fn address(self) -> String {
        self.broker.address()
    }

    /// Address of its internal listener.
    pub fn internal_address(self) -> String {
        self.broker.internal_address()
    }

    /// The id of its process, while that runs.
    pub fn process_id(self) -> Option<u32> {
        self.broker.server.id()
    }

    /// Whether its process runs (it may have died by itself).
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_running(self) -> Result<bool> {
        Ok(self.broker.server.exited()?.is_none() && self.broker.server.id().is_some())
    }

    /// `kill -9`; returns when the process is gone.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(self) -> Result<()> {
        self.broker.server.kill()
    }

    /// Orderly shutdown (SIGTERM); after 30 s as [`Self::kill`].
    ///
    /// # Errors
    /// As [`Self::kill`].
    pub fn stop(self) -> Result<()> {
        self.broker.server.stop(Duration::from_secs(30))
    }

    /// Freezes the process (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// As [`Self::kill`].
    pub fn pause(self) -> Result<()> {
        self.broker.server.signal(Signal::STOP)
    }

    /// Ends [`Self::pause`].
    ///
    /// # Errors
    /// As [`Self::kill`].
    pub fn resume(self) -> Result<()> {
        self.broker.server.signal(Signal::CONT)
    }

    /// Starts it, first killing it if it runs, on the same port with the same data, and waits until it is part of the
    /// cluster again.
    ///
    /// # Errors
    /// As [`KafkaCluster::start`].
    pub fn restart(self) -> Result<()> {
        self.start_only()?;
        self.cluster.wait_ready()
    }

    /// As [`Self::restart`], without waiting.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start_only(self) -> Result<()> {
        self.broker.server.kill()?;
        self.broker.server.start(&self.cluster.watchdog)
    }

    /// Everything it has logged.
    pub fn log_text(self) -> String {
        self.broker.server.log_text()
    }

    /// Where its topics' logs are.
    pub fn data_directory(&self) -> &Path {
        &self.broker.data
    }
}

fn broker_still_registered(log: &str) -> bool {
    log.contains("NodeExists") || log.contains("already registered")
}

fn join(addresses: impl Iterator<Item = String>) -> String {
    addresses.collect::<Vec<_>>().join(",")
}

/// 16 bytes in Kafka's base64 form. The last character carries two bits only; no dash, since it is an argument.
fn random_cluster_id() -> String {
    let mut id: String = (0..21).map(|_| fastrand::alphanumeric()).collect();
    id.push('g');
    id
}
