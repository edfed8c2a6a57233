//! `kferry sync`: one task from command line arguments, or those of a file, shown while they run.

mod metrics;
mod position;
mod session;
mod summary;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_client::{
    Client,
    preflight::{self, AbsentBroker, Options, Outcome, Report, Role, Step},
};
use replicate::{
    budget::ByteBudget,
    journal::{Journal, JournalError, RedbJournal},
    spec::TaskSpec,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{metrics::Metrics, session::Session};
use crate::{
    cli::SyncArgs,
    commands::{check, offsets},
    config::{self, Connection, TaskSetup},
    failure::Failure,
    output::{Output, text},
    signals,
};

/// The file in the state directory.
pub(crate) const STATE_FILE: &str = "task.redb";

/// How long a state that is only read may be held, and how often it is tried meanwhile.
const READING_TIME_MAX: Duration = Duration::from_secs(10);
const READING_PAUSE: Duration = Duration::from_millis(20);

/// Copies one cluster to another until done or told to stop; several, when the file says so.
///
/// # Errors
/// A usage [`Failure`] for arguments or a file that do not go together; otherwise what stopped the task.
pub(crate) async fn run(args: SyncArgs, output: &Output) -> Result<(), Failure> {
    if args.check && args.task.file.is_none() {
        return Err(Failure::usage("--check: there is no file to validate")
            .cure("give one with --file; to validate a connection: kferry check CONNECTION"));
    }
    let setups = config::task::tasks(&args.task)?;
    let run = Run { once: args.once, check: args.check, metrics: args.metrics.as_deref() };
    run_all(setups, &run, output).await
}

/// How tasks are run.
pub(crate) struct Run<'a> {
    /// End at the offsets seen at the start.
    pub(crate) once: bool,
    /// Say that nothing is wrong, and end.
    pub(crate) check: bool,
    /// Where Prometheus is answered.
    pub(crate) metrics: Option<&'a str>,
}

/// Runs tasks until done or told to stop.
///
/// # Errors
/// What stopped a task.
pub(crate) async fn run_all(
    mut setups: Vec<TaskSetup>,
    run: &Run<'_>,
    output: &Output,
) -> Result<(), Failure> {
    if run.check {
        validated(&setups, output);
        return Ok(());
    }
    let mut jobs = Vec::new();
    let mut budget = None;
    for setup in &mut setups {
        setup.spec.once |= run.once;
        budget = budget.or_else(|| Some(setup.spec.limits.budget()));
    }
    let metrics = Arc::new(Metrics::default());
    let _answering = match run.metrics {
        Some(address) => {
            let served = metrics.serve(address).await?;
            output.note(&format!("metrics: http://{}/metrics", served.address));
            Some(served)
        }
        None => None,
    };
    let metrics = run.metrics.is_some().then_some(metrics);
    if let (Some(metrics), Some(budget)) = (&metrics, &budget) {
        metrics.set_budget(budget.clone());
    }
    // Before anything connects: a second process on the same state is told so at once.
    for setup in setups {
        let journal = open(&setup.state).await?;
        jobs.push(Job { setup, journal, budget: budget.clone(), metrics: metrics.clone() });
    }
    let shutdown = signals::shutdown_token(output)?;
    match jobs.len() {
        1 => match jobs.pop() {
            Some(job) => job.run(output, &shutdown, false).await,
            None => Ok(()),
        },
        _ => several(jobs, output, &shutdown).await,
    }
}

/// Says what a file holds that was found right.
fn validated(setups: &[TaskSetup], output: &Output) {
    for TaskSetup { spec, source, target, state, .. } in setups {
        let ends = [&source.config, &target.config].map(|config| {
            config.bootstrap.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        });
        let [source, target] = &ends;
        let (name, sync, state) = (spec.name.as_str(), spec.sync, state.display());
        output.json(&serde_json::json!({
            "type": "task", "task": name, "sync": sync, "source": source, "target": target, "state": state.to_string(),
        }));
        output.text(&format!("{name}: {sync} from {source} to {target}, state {state}"));
    }
    let count = setups.len();
    output.json(&serde_json::json!({ "type": "result", "ok": true, "tasks": count }));
    output.text(&format!("{count} {}: nothing wrong", if count == 1 { "task" } else { "tasks" }));
}

/// Opens a task's state. Where no sync answers on it, it is `kferry offsets` or `kferry verify` that holds it for a moment.
async fn open(state: &Path) -> Result<RedbJournal, Failure> {
    let deadline = Instant::now() + READING_TIME_MAX;
    loop {
        match RedbJournal::open(state.join(STATE_FILE)) {
            Err(JournalError::AlreadyOpen { .. })
                if Instant::now() < deadline && !offsets::is_served(state).await =>
            {
                tokio::time::sleep(READING_PAUSE).await;
            }
            result => {
                return result.map_err(|error| {
                    Failure::failed(format!("--state {}", state.display()))
                        .because(&error)
                        .maybe_cure(error.cure())
                });
            }
        }
    }
}

/// Runs tasks beside each other. One that fails is told and does not stop the others.
async fn several(
    jobs: Vec<Job>,
    output: &Output,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let count = jobs.len();
    let mut running = JoinSet::new();
    for job in jobs {
        let (output, shutdown) = (output.clone(), shutdown.clone());
        let name = job.setup.spec.name.to_string();
        running.spawn(async move { (name, job.run(&output, &shutdown, true).await) });
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (name, result) =
            ended.map_err(|error| Failure::failed("a task ended unexpectedly").because(&error))?;
        if let Err(failure) = result {
            failure.tell(output, Some(&name));
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    failed.sort();
    Err(Failure::failed(format!("{} of {count} tasks failed: {}", failed.len(), failed.join(", ")))
        .cure("the messages above say why; the same command continues once that is put right"))
}

/// One task to run.
struct Job {
    setup: TaskSetup,
    journal: RedbJournal,
    /// Shared by all jobs.
    budget: Option<ByteBudget>,
    metrics: Option<Arc<Metrics>>,
}

impl Job {
    async fn run(
        self,
        output: &Output,
        shutdown: &CancellationToken,
        is_one_of_several: bool,
    ) -> Result<(), Failure> {
        let Self { setup, journal, budget, metrics } = self;
        let TaskSetup { spec, source, target, state, has_position_group } = setup;
        let Some((source, target)) = connect(&spec, &source, &target, output, shutdown).await?
        else {
            return Err(interrupted());
        };
        let absent = [("source", source.absent), ("target", target.absent)];
        let (source, target) = (source.client, target.client);
        let (once, name) = (spec.once, spec.name.clone());
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let _served = offsets::serve(&state, Arc::clone(&journal))
            .inspect_err(|error| {
                tracing::warn!(task = %name, %error, "`kferry offsets` cannot ask this process: no socket in the state directory");
            })
            .ok();
        let (shutdown, absent) = (shutdown.clone(), absent.into());
        let session = Session {
            spec,
            source,
            target,
            journal,
            shutdown,
            absent,
            budget,
            metrics,
            has_position_group,
        };
        let report = session.run(output).await?;
        summary::show(name.as_str(), is_one_of_several, &report, output);
        if report.is_interrupted && once {
            return Err(interrupted());
        }
        summary::verdict(&report, once)
    }
}

fn interrupted() -> Failure {
    Failure::failed("interrupted before everything was copied")
        .cure("run the same command again: it continues where this run ended")
}

/// Validates both ends up to the brokers, at the same time; nothing when told to stop meanwhile.
async fn connect(
    spec: &TaskSpec,
    source: &Connection,
    target: &Connection,
    output: &Output,
    shutdown: &CancellationToken,
) -> Result<Option<(Reached, Reached)>, Failure> {
    let ends = async {
        tokio::join!(
            reach("--source", Role::Source, source, output),
            reach("--target", Role::Target, target, output)
        )
    };
    let (source, target) = tokio::select! {
        ends = ends => ends,
        () = shutdown.cancelled() => return Ok(None),
    };
    let (source, target) = (source?, target?);
    if let (Some(source_id), Some(target_id)) = (&source.cluster_id, &target.cluster_id)
        && source_id == target_id
        && spec.rename.is_none()
    {
        return Err(Failure::failed(format!("--source and --target are the same cluster ({source_id}): the copy would feed on itself"))
            .cure("give two different clusters, or rename the topics"));
    }
    Ok(Some((source, target)))
}

/// An end that can be worked with.
pub(crate) struct Reached {
    pub(crate) client: Client,
    cluster_id: Option<String>,
    /// Brokers that do not answer yet.
    absent: Vec<AbsentBroker>,
}

/// Validates one end up to the brokers.
pub(crate) async fn reach(
    flag: &str,
    role: Role,
    connection: &Connection,
    output: &Output,
) -> Result<Reached, Failure> {
    let client = check::client(connection)?;
    let name = &connection.config.name;
    let report = preflight::run(&connection.config, &Options::reach(role), &mut |step: &Step| {
        tracing::debug!(step = %step.kind, subject = step.subject, outcome = ?step.outcome, "{role} validated");
    })
    .await;
    if let Some(step) = report.failures().next() {
        return Err(unusable(flag, name, step));
    }
    remark(role, name, &report, output);
    Ok(Reached { client, cluster_id: report.cluster_id, absent: report.absent })
}

/// Says which cluster was reached.
pub(crate) fn remark(role: Role, name: &str, report: &Report, output: &Output) {
    let brokers =
        report.steps.iter().filter(|step| step.kind == preflight::StepKind::Broker).count();
    let id = report.cluster_id.as_deref().unwrap_or("without an id");
    output.note(&format!(
        "{role} {}: cluster {id}, {brokers} {}",
        text::safe(name),
        if brokers == 1 { "broker" } else { "brokers" }
    ));
}

/// The failure of a step without which nothing can be done.
pub(crate) fn unusable(flag: &str, name: &str, step: &Step) -> Failure {
    let (cause, cure) = match &step.outcome {
        Outcome::Failed { cause, cure } => (cause.as_str(), cure.clone()),
        _ => ("", None),
    };
    let failure = Failure::failed(format!(
        "{flag} {name}: {} {}: {cause}",
        step.kind,
        text::safe(&step.subject)
    ));
    failure.maybe_cure(cure)
}
