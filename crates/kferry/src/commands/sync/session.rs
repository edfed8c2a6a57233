//! A task with its surroundings: events told, progress shown, an end that is waited for.

use std::{sync::Arc, time::Duration};

use kafka_client::{Client, preflight::AbsentBroker};
use replicate::{
    budget::ByteBudget,
    event::{Event, EventSink, Level},
    journal::Journal,
    progress::Progress,
    spec::TaskSpec,
    task::{Task, TaskReport},
};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Metrics, position::Position};
use crate::{
    failure::Failure,
    output::{Output, progress::Display},
};

/// How long a task may take to settle what is under way once it was told to stop.
const STOP_TIME_MAX: Duration = Duration::from_millis(1500);

/// One run of a task.
pub(crate) struct Session {
    /// What is asked for.
    pub(crate) spec: TaskSpec,
    /// The cluster that is copied.
    pub(crate) source: Client,
    /// The cluster it is copied to.
    pub(crate) target: Client,
    /// What must not be forgotten.
    pub(crate) journal: Arc<dyn Journal>,
    /// Ends the task cleanly.
    pub(crate) shutdown: CancellationToken,
    /// Brokers of the source and of the target that did not answer at the start.
    pub(crate) absent: Vec<(&'static str, Vec<AbsentBroker>)>,
    /// The budget of bytes in flight that it shares with others; one of its own without.
    pub(crate) budget: Option<ByteBudget>,
    /// Where what it does is counted.
    pub(crate) metrics: Option<Arc<Metrics>>,
    /// Whether the source is told how far the copy has come.
    pub(crate) has_position_group: bool,
}

impl Session {
    /// Runs the task to its end and shows it meanwhile.
    ///
    /// # Errors
    /// A [`Failure`] with what stopped the task.
    pub(crate) async fn run(self, output: &Output) -> Result<TaskReport, Failure> {
        let (progress, watching) = watch::channel(Arc::new(Progress::default()));
        self.run_watched(output, progress, watching).await
    }

    /// As [`Self::run`], with a progress channel that the caller also looks at.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) async fn run_watched(
        self,
        output: &Output,
        progress: watch::Sender<Arc<Progress>>,
        watching: watch::Receiver<Arc<Progress>>,
    ) -> Result<TaskReport, Failure> {
        let Self {
            spec,
            source,
            target,
            journal,
            shutdown,
            absent,
            budget,
            metrics,
            has_position_group,
        } = self;
        let budget = budget.unwrap_or_else(|| spec.limits.budget());
        if let Some(metrics) = &metrics {
            metrics.begin(spec.name.as_str(), watching.clone());
        }
        let position = has_position_group
            .then(|| Position::start(spec.name.as_str(), &source, watching.clone()));
        let display = Display::start(output, spec.name.as_str(), watching);
        let name = spec.name.clone();
        let tell = sink(output, metrics.clone());
        for (cluster, broker) in absent
            .into_iter()
            .flat_map(|(cluster, all)| all.into_iter().map(move |one| (cluster, one)))
        {
            tell(Event::ClusterUnavailable {
                task: name.clone(),
                cluster,
                broker_id: Some(broker.broker_id),
                cause: broker.cause,
                cure: broker.cure,
            });
        }
        let last = progress.clone();
        let task = Task {
            spec,
            source: source.clone(),
            target: target.clone(),
            journal,
            sink: tell,
            progress,
            shutdown: shutdown.clone(),
        };
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(STOP_TIME_MAX).await;
        };
        let result = tokio::select! {
            result = task.run_within(budget) => result.map_err(|error| Failure::failed(format!("task {name}")).because(&error).maybe_cure(error.cure())),
            // Dropping the task is safe at any moment: what was not settled is found out at the next start.
            () = overdue => {
                tracing::warn!(task = %name, "what was under way did not settle in time; the next run finds out what arrived");
                let mut report = TaskReport::default();
                report.progress = Arc::clone(&last.borrow());
                report.is_interrupted = true;
                Ok(report)
            }
        };
        if let Some(position) = position {
            position.finish().await;
        }
        if let Some(metrics) = &metrics {
            metrics.end(name.as_str());
        }
        display.finish().await;
        source.close().await;
        target.close().await;
        result
    }
}

/// Tells events: as objects on standard output, or as log lines.
fn sink(output: &Output, metrics: Option<Arc<Metrics>>) -> EventSink {
    let output = output.clone();
    Arc::new(move |event: Event| {
        if let Some(metrics) = &metrics {
            metrics.count(&event);
        }
        if output.is_json() {
            tell_json(&output, &event);
        } else {
            log(&event);
        }
    })
}

fn tell_json(output: &Output, event: &Event) {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        level: Level,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        cure: Option<String>,
        #[serde(flatten)]
        event: &'a Event,
    }
    output.json(&Line {
        r#type: "event",
        level: event.level(),
        message: event.to_string(),
        cure: event.cure(),
        event,
    });
}

fn log(event: &Event) {
    let task = event.task();
    let cure = event.cure().map(|cure| format!("; {cure}")).unwrap_or_default();
    match event.level() {
        // One per partition: of interest to whoever looks closely.
        _ if matches!(event, Event::LaneStarted { .. }) => tracing::debug!(%task, "{event}"),
        Level::Info => tracing::info!(%task, "{event}"),
        Level::Warn => tracing::warn!(%task, "{event}{cure}"),
        Level::Error => tracing::error!(%task, "{event}{cure}"),
    }
}
