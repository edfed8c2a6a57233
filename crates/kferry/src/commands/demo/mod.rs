//! `kferry demo`: two simulated clusters on loopback ports, live writers, a running sync, and the proof at the end.
//!
//! Everything between the clusters is the real thing: real sockets, the real client, the task that `kferry sync` runs.

mod compare;
mod topics;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kafka_client::{Client, ConnectionConfig, Isolation, OffsetSpec, TopicPartition};
use kafka_sim::{Cluster, ClusterConfig, ListeningCluster};
use replicate::{
    journal::RedbJournal,
    progress::Progress,
    spec::{TaskName, TaskSpec, WorkerThreads},
};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use self::{compare::Comparison, topics::TOPICS};
use crate::{
    cli::DemoArgs,
    commands::sync::Session,
    failure::Failure,
    output::{Output, text::Paint},
    signals,
};

/// Brokers of each cluster.
const BROKERS: usize = 3;
/// How long the sync may take to catch up once the writers have stopped.
const CATCH_UP: Duration = Duration::from_secs(30);
/// The same after Ctrl-C: the whole end takes less than two seconds.
const CATCH_UP_INTERRUPTED: Duration = Duration::from_millis(800);
/// With `--keep-running` older records go, so that memory stays bounded.
const PARTITION_BYTES_MAX: u64 = 8 << 20;

/// Runs the demo.
///
/// # Errors
/// A [`Failure`] when something cannot be started, or when the clusters differ in the end.
pub(crate) async fn run(args: DemoArgs, output: &Output) -> Result<(), Failure> {
    let interrupt = signals::shutdown_token(output)?;
    let source = Side::start("demo-source", &args).await?;
    let target = Side::start("demo-target", &args).await?;
    introduce(output, &source, &target);
    topics::create(&source.cluster)?;
    let writing = source.client("demo-writer")?;
    writer::history(&writing, &source.cluster).await?;

    let state = StateDir::new();
    let mut task = Syncing::start(&source, &target, &state, output)?;
    let stop_writing = CancellationToken::new();
    let reading = (source.client("demo-source-reader")?, target.client("demo-target-reader")?);
    let comparison = Comparison::start(&reading.0, &reading.1);
    let mut writers = JoinSet::new();
    for topic in TOPICS {
        writers.spawn(writer::live(writing.clone(), topic, stop_writing.clone()));
    }
    let time_is_over = async {
        if args.keep_running {
            std::future::pending().await
        } else {
            time::sleep(Duration::from_secs(args.seconds)).await
        }
    };
    tokio::select! {
        () = time_is_over => {}
        () = interrupt.cancelled() => {}
        result = &mut task.running => return Err(ended_early(result)),
    }
    stop_writing.cancel();
    while let Some(result) = writers.join_next().await {
        result
            .map_err(|error| Failure::failed("a writer ended unexpectedly").because(&error))??;
    }
    let patience = if interrupt.is_cancelled() { CATCH_UP_INTERRUPTED } else { CATCH_UP };
    let caught_up = task.catch_up(&writing, patience, &interrupt).await?;
    task.end().await?;
    if !caught_up {
        output.note("the sync had not caught up when it was ended");
    }
    let equal = comparison.finish(output, Paint::stdout()).await;
    for client in [&writing, &reading.0, &reading.1] {
        client.close().await;
    }
    if equal? { Ok(()) } else { Err(Failure::told()) }
}

fn introduce(output: &Output, source: &Side, target: &Side) {
    output.json(
        &json!({ "type": "demo", "source": source.bootstrap(), "target": target.bootstrap() }),
    );
    output.text(&format!("source cluster  {}", source.bootstrap()));
    output.text(&format!("target cluster  {}", target.bootstrap()));
    output.text("both take any Kafka client while the demo runs");
}

fn ended_early(result: Result<Result<(), Failure>, tokio::task::JoinError>) -> Failure {
    match result {
        Ok(Ok(())) => Failure::failed("the sync ended before it was told to"),
        Ok(Err(failure)) => failure,
        Err(error) => Failure::failed("the sync ended unexpectedly").because(&error),
    }
}

/// One of the two clusters.
struct Side {
    cluster: Cluster,
    listening: ListeningCluster,
}

impl Side {
    async fn start(cluster_id: &str, args: &DemoArgs) -> Result<Self, Failure> {
        let config = ClusterConfig {
            cluster_id: cluster_id.to_owned(),
            brokers: BROKERS,
            partition_bytes_max: args.keep_running.then_some(PARTITION_BYTES_MAX),
            ..ClusterConfig::default()
        };
        let cluster = Cluster::new(config);
        let listening = cluster
            .listen()
            .await
            .map_err(|error| Failure::failed("cannot listen on a loopback port").because(&error))?;
        Ok(Self { cluster, listening })
    }

    fn bootstrap(&self) -> String {
        self.listening.bootstrap()
    }

    fn client(&self, name: &str) -> Result<Client, Failure> {
        let config = ConnectionConfig::plain(&self.bootstrap())
            .map_err(|error| Failure::failed(name).because(&error))?;
        Client::new(config.with_name(name)).map_err(|error| Failure::failed(name).because(&error))
    }
}

/// The running task.
struct Syncing {
    running: tokio::task::JoinHandle<Result<(), Failure>>,
    progress: watch::Receiver<Arc<Progress>>,
    stop: CancellationToken,
}

impl Syncing {
    fn start(
        source: &Side,
        target: &Side,
        state: &StateDir,
        output: &Output,
    ) -> Result<Self, Failure> {
        let name: TaskName =
            "demo".parse().map_err(|error| Failure::failed("task name").because(&error))?;
        let mut spec = TaskSpec::new(name);
        spec.worker_threads = WorkerThreads::Own;
        spec.limits.discovery_interval = Duration::from_secs(2);
        let journal = RedbJournal::open(state.path().join("task.redb"))
            .map_err(|error| Failure::failed("state").because(&error))?;
        let stop = CancellationToken::new();
        let session = Session {
            spec,
            source: source.client("demo-source")?,
            target: target.client("demo-target")?,
            journal: Arc::new(journal),
            shutdown: stop.clone(),
            absent: Vec::new(),
            budget: None,
            metrics: None,
            has_position_group: false,
        };
        let (sender, progress) = watch::channel(Arc::new(Progress::default()));
        let (output, watching) = (output.clone(), progress.clone());
        let running = tokio::spawn(async move {
            session.run_watched(&output, sender, watching).await.map(|_| ())
        });
        Ok(Self { running, progress, stop })
    }

    /// Waits until every partition is copied up to the end it has now; tells whether that came about in time.
    async fn catch_up(
        &mut self,
        source: &Client,
        patience: Duration,
        interrupt: &CancellationToken,
    ) -> Result<bool, Failure> {
        let mut wanted = Vec::new();
        for topic in TOPICS {
            wanted.extend(
                (0..topic.partitions).map(|partition| {
                    (TopicPartition::new(topic.name, partition), OffsetSpec::Latest)
                }),
            );
        }
        let ends = source
            .list_offsets(wanted, Isolation::ReadCommitted)
            .await
            .map_err(|error| Failure::failed("the end offsets of the source").because(&error))?;
        let is_there = |progress: &Arc<Progress>| {
            ends.iter().all(|(at, end)| {
                let topic = progress.topics.iter().find(|topic| topic.topic == at.topic);
                let partition = topic.and_then(|topic| topic.partitions.iter().find(|partition| partition.partition == at.partition));
                matches!((partition, end), (Some(partition), Ok(end)) if partition.position >= end.offset)
            })
        };
        // Waiting for thirty seconds is over, too, when somebody presses Ctrl-C meanwhile.
        let waited = time::sleep(patience);
        let interrupted = async {
            if interrupt.is_cancelled() {
                std::future::pending::<()>().await;
            }
            interrupt.cancelled().await;
            time::sleep(CATCH_UP_INTERRUPTED).await;
        };
        tokio::select! {
            found = self.progress.wait_for(is_there) => Ok(found.is_ok()),
            () = waited => Ok(false),
            () = interrupted => Ok(false),
        }
    }

    async fn end(self) -> Result<(), Failure> {
        self.stop.cancel();
        match self.running.await {
            Ok(result) => result,
            Err(error) => Err(Failure::failed("the sync ended unexpectedly").because(&error)),
        }
    }
}

/// A directory for the task's state that goes with the demo.
struct StateDir(PathBuf);

impl StateDir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!(
            "kferry-demo-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        )))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "the demo's state was not removed");
        }
    }
}
