//! One life of the task: from its start to its end or its murder.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_client::{Client, ClientLimits, ConnectionConfig};
use kafka_sim::Cluster;
use replicate::event::{Event, EventSink};
use replicate::journal::Journal;
use replicate::progress::Progress;
use replicate::spec::TaskSpec;
use replicate::task::{Task, TaskError, TaskReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::plan::START_MS;
use crate::trace::Trace;
use crate::wire::Wires;

/// Events in the order in which they were told.
pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

/// A task that runs.
pub(crate) struct Life {
    pub(crate) wires: Arc<Wires>,
    progress: watch::Receiver<Arc<Progress>>,
    shutdown: CancellationToken,
    handle: JoinHandle<Result<TaskReport, TaskError>>,
}

/// What a life is made from.
pub(crate) struct Birth<'a> {
    pub(crate) spec: &'a TaskSpec,
    pub(crate) limits: &'a ClientLimits,
    pub(crate) source: &'a Cluster,
    pub(crate) target: &'a Cluster,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) sink: EventSink,
    pub(crate) wires: Arc<Wires>,
}

impl Life {
    pub(crate) fn begin(birth: Birth<'_>) -> Self {
        let Birth { spec, limits, source, target, journal, sink, wires } = birth;
        let client = |cluster: &Cluster| {
            let config = ConnectionConfig::new(cluster.bootstrap()).with_limits(limits.clone());
            Client::with_connector(config, wires.connector(cluster.connector()))
        };
        let (sender, progress) = watch::channel(Arc::default());
        let shutdown = CancellationToken::new();
        let mut spec = spec.clone();
        // The copy's clock is the real one, the clusters' clocks began years ago.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let began = Duration::from_millis(START_MS.unsigned_abs());
        spec.limits.producer_memory += since.saturating_sub(began);
        let task = Task {
            spec,
            source: client(source),
            target: client(target),
            journal,
            sink,
            progress: sender,
            shutdown: shutdown.clone(),
        };
        Self { wires, progress, shutdown, handle: tokio::spawn(task.run()) }
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress.borrow())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for an end that has come or comes.
    pub(crate) async fn end(self) -> Result<TaskReport, String> {
        match self.handle.await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(format!("the task died: {error}")),
        }
    }

    /// Asks for a clean end.
    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Kill −9: nothing more is done; what was written to connections may still be carried out.
    pub(crate) async fn kill(self) {
        self.handle.abort();
        self.wires.kill();
        let _ = self.handle.await;
    }
}

/// Collects events and traces them.
pub(crate) fn sink(
    events: &Events,
    trace: &Trace,
    mut note: impl FnMut(&Event) + Send + 'static,
) -> EventSink {
    let (events, trace) = (Arc::clone(events), trace.clone());
    let note = Mutex::new(move |event: &Event| note(event));
    Arc::new(move |event| {
        trace.line(|| format!("  event {event:?}"));
        (note.lock().unwrap())(&event);
        events.lock().unwrap().push(event);
    })
}
