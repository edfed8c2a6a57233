//! The bench: two clusters behind proxies, the load, the process under test; a campaign from its start to the verdict.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xtask::kafka::{Flavour, KafkaCluster, Options, Release};

use super::proxy::Proxy;
use super::report::{Report, Verdict};
use super::subject::{self, Subject};
use super::topics::LOADS;
use super::{faults, network};
use crate::java::Oracle;

const RELEASE: Release = Release::V4_2_0;
const BROKERS: usize = 3;
/// For what ends by itself on any machine: elections, replicas that catch up, JVMs that start.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);
/// For the last `sync --once`.
const FINISH_WITHIN: Duration = Duration::from_secs(600);

/// How long, how often, which.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long faults happen, at least.
    pub time: Duration,
    /// Decides which faults happen.
    pub seed: u64,
    /// Faults go on until kferry was killed as often as this.
    pub kills_of_kferry: u64,
    /// Faults go on until brokers were killed as often as this.
    pub kills_of_brokers: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), seed: 1, kills_of_kferry: 0, kills_of_brokers: 0 }
    }
}

/// One of the two clusters, with a proxy in front of each broker.
#[derive(Debug)]
pub(super) struct End {
    /// `source` or `target`, as the Java side knows it.
    pub(super) name: &'static str,
    pub(super) cluster: KafkaCluster,
    pub(super) proxies: Vec<Proxy>,
}

/// Everything that the threads of a campaign share.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) ends: [End; 2],
    pub(super) java: Oracle,
    pub(super) directory: PathBuf,
    /// The next start of kferry finds a full disk.
    pub(super) disk_is_full: AtomicBool,
    is_over: AtomicBool,
    report: Mutex<Report>,
    log: File,
    begin: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl End {
    fn start(name: &'static str) -> Result<Self> {
        let proxies = (0..BROKERS).map(|_| Proxy::start()).collect::<Result<Vec<_>>>()?;
        let mut options = Options::new(BROKERS, "sasl+acl".parse::<Flavour>()?)
            .property("min.insync.replicas", "2")
            .property("unclean.leader.election.enable", "false")
            // A dead broker is noticed after 2 s instead of 9 (P15).
            .property("broker.session.timeout.ms", "2000")
            .property("broker.heartbeat.interval.ms", "500")
            .property("replica.lag.time.max.ms", "5000")
            .property("controller.quorum.election.timeout.ms", "500")
            .property("controller.quorum.fetch.timeout.ms", "1500")
            .property("controller.quorum.election.backoff.max.ms", "500")
            .property("num.recovery.threads.per.data.dir", "2");
        options.heap_mib = 384;
        // A broker that is killed every other minute never earns the better compiler's work.
        options.jvm_options.push("-XX:TieredStopAtLevel=1".into());
        options.keep = true;
        options.ready_within = PATIENCE;
        for (index, proxy) in proxies.iter().enumerate() {
            options = options.advertise(index, &proxy.address().to_string());
        }
        let cluster = KafkaCluster::start(RELEASE, options)?;
        for (index, proxy) in proxies.iter().enumerate() {
            proxy.forward_to(cluster.broker(index).address().parse()?);
        }
        Ok(Self { name, cluster, proxies })
    }

    /// What kferry is given: the proxies only.
    fn bootstrap(&self) -> String {
        let addresses: Vec<String> =
            self.proxies.iter().map(|proxy| proxy.address().to_string()).collect();
        addresses.join(",")
    }
}

impl Bench {
    fn start(directory: PathBuf, seed: u64) -> Result<Self> {
        // Side by side: most of it is JVMs that start.
        let (source, target) = thread::scope(|scope| {
            let source = scope.spawn(|| End::start("source"));
            let target = scope.spawn(|| End::start("target"));
            (source.join(), target.join())
        });
        let ends = [
            source.ok().context("starting the source panicked")??,
            target.ok().context("starting the target panicked")??,
        ];
        let arguments: Vec<String> = ends
            .iter()
            .map(|end| format!("{}={}", end.name, end.cluster.internal_bootstrap()))
            .collect();
        let java = Oracle::program(RELEASE, "Campaign", &arguments)?;
        let path = directory.join("faults.log");
        let log = OpenOptions::new().create(true).append(true).open(path)?;
        let report = Mutex::new(Report { seed, ..Report::default() });
        let (disk_is_full, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let begin = Instant::now();
        let bench = Self { ends, java, directory, disk_is_full, is_over, report, log, begin };
        bench.prepare()?;
        Ok(bench)
    }

    /// Topics and rights.
    fn prepare(&self) -> Result<()> {
        for load in LOADS {
            let partitions = load.partitions.to_string();
            let names: Vec<String> =
                load.source_configs().iter().map(|(name, _)| format!("config.{name}")).collect();
            let mut arguments =
                vec![("cluster", "source"), ("topic", load.topic), ("partitions", &*partitions)];
            let configs = names.iter().zip(load.source_configs());
            arguments.extend(configs.map(|(name, (_, value))| (name.as_str(), *value)));
            self.java.call("create", &arguments)?;
            if load.is_compacted() {
                // A target that keeps everything can be judged record by record.
                let arguments =
                    [("cluster", "target"), ("topic", load.topic), ("partitions", &*partitions)];
                self.java.call("create", &arguments)?;
            }
        }
        for end in &self.ends {
            for (resource, name) in [
                ("TOPIC", "*"),
                ("GROUP", "*"),
                ("TRANSACTIONAL_ID", "*"),
                ("CLUSTER", "kafka-cluster"),
            ] {
                self.right("allow", end.name, resource, name)?;
            }
        }
        Ok(())
    }

    /// Grants (`allow`) or takes (`revoke`) kferry's rights on a kind of resource; asks until the cluster answers.
    pub(super) fn right(
        &self,
        verb: &str,
        cluster: &str,
        resource: &str,
        name: &str,
    ) -> Result<()> {
        let arguments =
            [("cluster", cluster), ("user", subject::USER), ("resource", resource), ("name", name)];
        self.insist(verb, &arguments).map(drop)
    }

    fn load(&self, seed: u64) -> Result<()> {
        for (index, load) in (0..).zip(LOADS) {
            let (partitions, rate, seed) =
                (load.partitions.to_string(), load.rate.to_string(), (seed + index).to_string());
            let arguments = [
                ("topic", load.topic),
                ("partitions", &*partitions),
                ("kind", load.kind),
                ("codec", load.codec),
                ("rate", &*rate),
                ("seed", &*seed),
            ];
            self.java.call("load", &arguments)?;
        }
        Ok(())
    }

    /// Bytes in the target's logs of our topics, on all brokers.
    pub(super) fn target_bytes(&self) -> u64 {
        let [_, target] = &self.ends;
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let mut bytes = 0;
        for broker in 0..target.cluster.broker_count() {
            let partitions = entries(target.cluster.broker(broker).data_directory());
            let ours = partitions.filter(|entry| {
                let name = entry.file_name();
                LOADS.iter().any(|load| name.to_string_lossy().starts_with(load.topic))
            });
            let files = ours.flat_map(|partition| entries(&partition.path()));
            let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
            bytes += logs.filter_map(|log| log.metadata().ok()).map(|log| log.len()).sum::<u64>();
        }
        bytes
    }

    /// Whether the faults shall end.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits, but not beyond the end of the faults. A fault's own duration is its content, not a guess at something else's.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_over() && Instant::now() < until {
            thread::sleep(Duration::from_millis(10).min(time));
        }
    }

    /// Counts a fault and writes it down.
    pub(super) fn note(&self, fault: &'static str, details: &str) {
        lock(&self.report).count(fault);
        self.tell(&format!("{fault} {details}"));
    }

    /// Writes something down.
    pub(super) fn tell(&self, text: &str) {
        let mut log = &self.log;
        // The log is for people; the report has the numbers.
        let _ = writeln!(log, "{:9.3} {text}", self.begin.elapsed().as_secs_f64());
    }

    /// A command that brokers may refuse while they are in trouble: again, until it succeeds.
    pub(super) fn insist(
        &self,
        verb: &str,
        arguments: &[(&str, &str)],
    ) -> Result<Vec<Vec<String>>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.java.call(verb, arguments) {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(error) => self.tell(&format!("again: {error:#}")),
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until every replica of a cluster is in sync and every partition has a leader.
    pub(super) fn wait_for_replicas(&self, end: &End) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.java.call("missing-replicas", &[("cluster", end.name)]);
            if let Ok(lines) = &answer
                && lines.iter().flatten().all(|count| count == "0")
            {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} does not become whole: {answer:?}", end.name);
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// All threads of faults, until time is over and everything was killed often enough.
    fn break_things(
        &self,
        plan: &Plan,
        subject: &mut Subject,
        say: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let mut random = fastrand::Rng::with_seed(plan.seed);
        let mut fork = || random.fork();
        thread::scope(|scope| {
            let mut threads = vec![{
                let random = fork();
                scope.spawn(move || faults::kill_the_process(self, subject, random))
            }];
            for end in &self.ends {
                let random = fork();
                threads.push(scope.spawn(move || faults::trouble_brokers(self, end, random)));
            }
            let random = fork();
            threads.push(scope.spawn(move || faults::change_rights(self, random)));
            let random = fork();
            threads.push(scope.spawn(move || {
                network::disturb(self, random);
                Ok(())
            }));
            let watched =
                self.watch(plan, say, &|| threads.iter().any(|thread| thread.is_finished()));
            self.is_over.store(true, Ordering::SeqCst);
            for thread in threads {
                thread.join().ok().context("a thread of the bench panicked")??;
            }
            watched
        })
    }

    /// Says now and then how it goes; returns when the plan is fulfilled, or when a thread of faults has ended.
    fn watch(
        &self,
        plan: &Plan,
        say: &mut dyn FnMut(&str),
        has_failed: &dyn Fn() -> bool,
    ) -> Result<()> {
        let begin = Instant::now();
        let limit = plan.time * 3 + PATIENCE * 2;
        let mut told = begin;
        loop {
            let elapsed = begin.elapsed();
            let (kferry, brokers) = {
                let mut report = lock(&self.report);
                report.time = elapsed;
                (report.times(faults::KILLED), report.times(faults::BROKER_KILLED))
            };
            if told.elapsed() > Duration::from_secs(15) {
                told = Instant::now();
                let produced = self.java.call("produced", &[])?;
                let produced =
                    produced.first().and_then(|line| line.first()).cloned().unwrap_or_default();
                say(&format!(
                    "{:5.0} s: kferry killed {kferry} times, brokers {brokers} times, {produced} records sent",
                    elapsed.as_secs_f64()
                ));
            }
            let is_enough = kferry >= plan.kills_of_kferry && brokers >= plan.kills_of_brokers;
            if has_failed() || (elapsed >= plan.time && is_enough) {
                return Ok(());
            }
            if elapsed > limit {
                bail!(
                    "after {elapsed:?} kferry was killed {kferry} times and brokers {brokers} times: too slow for the plan"
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Everything whole again, the last copy, the verdict.
    fn judge(&self, subject: &Subject) -> Result<()> {
        for end in &self.ends {
            end.proxies.iter().for_each(Proxy::heal);
            self.wait_for_replicas(end)?;
        }
        let load = self.java.call("stop", &[])?;
        let begin = Instant::now();
        let finished = subject.finish(FINISH_WITHIN);
        self.tell(&format!("sync --once: {finished:?} after {:?}", begin.elapsed()));
        let mut verdicts = Vec::new();
        for load in LOADS {
            let partitions = load.partitions.to_string();
            let arguments =
                [("topic", load.topic), ("partitions", &*partitions), ("kind", load.kind)];
            verdicts.push(verdict(load.topic, &self.java.call("judge", &arguments)?)?);
        }
        let mut report = lock(&self.report);
        report.load = load;
        report.verdicts = verdicts;
        report.read_logs(&self.directory);
        if let Err(error) = finished {
            report.complaints.push(format!("{error:#}"));
        }
        Ok(())
    }

    fn directories(&self) -> Vec<PathBuf> {
        let clusters = self.ends.iter().map(|end| end.cluster.directory().to_owned());
        [self.directory.clone()].into_iter().chain(clusters).collect()
    }
}

/// Adds up the judge's lines about one topic.
pub(super) fn verdict(topic: &str, lines: &[Vec<String>]) -> Result<Verdict> {
    let mut verdict = Verdict { topic: topic.to_owned(), ..Verdict::default() };
    for line in lines {
        match line.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["e", example] => verdict.examples.push((*example).to_owned()),
            ["p", _, numbers @ ..] => {
                let numbers: Vec<u64> =
                    numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
                let [source, target, lost, doubled, disordered, changed, foreign] = numbers[..]
                else {
                    bail!("malformed line {line:?}")
                };
                verdict.source += source;
                verdict.target += target;
                verdict.lost += lost;
                verdict.doubled += doubled;
                verdict.disordered += disordered;
                verdict.changed += changed;
                verdict.foreign += foreign;
            }
            other => bail!("malformed line {other:?}"),
        }
    }
    Ok(verdict)
}

/// Runs a campaign and returns what came of it; `say` is told about its progress. Without a finding nothing is left on the disk.
///
/// # Errors
/// When the bench itself does not work: no Java, a cluster that does not become whole again. State and logs are kept then.
pub fn run(plan: &Plan, say: &mut dyn FnMut(&str)) -> Result<Report> {
    let directory = TempDir::with_prefix("kferry-campaign-")?.keep();
    say(&format!("seed {}, state and logs in {}", plan.seed, directory.display()));
    let bench = Bench::start(directory.clone(), plan.seed)?;
    for end in &bench.ends {
        say(&format!("{}: {}", end.name, end.cluster.directory().display()));
    }
    let [source, target] = &bench.ends;
    let mut subject = Subject::prepare(&directory, &source.bootstrap(), &target.bootstrap())?;
    bench.load(plan.seed)?;
    bench.break_things(plan, &mut subject, say)?;
    say("faults are over");
    bench.judge(&subject)?;
    let mut report = lock(&bench.report).clone();
    let directories = bench.directories();
    drop(bench);
    if report.findings().is_empty() {
        for directory in directories {
            fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
        }
    } else {
        report.directories = directories;
    }
    Ok(report)
}
