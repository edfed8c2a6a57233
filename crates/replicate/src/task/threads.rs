//! On which threads workers run.

use tokio::runtime::{Builder, RuntimeMetrics};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::TaskError;
use crate::journal::JournalError;
use crate::spec::WorkerThreads;
use crate::worker::{Command, Worker};

/// Starts `worker` and lets `running` wait for its end. With a thread of its own, also what tells how busy that is.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(
    threads: WorkerThreads,
    worker: Worker,
    inbox: mpsc::UnboundedReceiver<Command>,
    stop: CancellationToken,
    running: &mut JoinSet<Result<(), JournalError>>,
) -> Result<Option<RuntimeMetrics>, TaskError> {
    match threads {
        WorkerThreads::Shared | WorkerThreads::Shuffled => {
            running.spawn(worker.run(inbox, stop));
            Ok(None)
        }
        WorkerThreads::Own => own_thread(worker, inbox, stop, running).map(Some),
    }
}

fn own_thread(
    worker: Worker,
    inbox: mpsc::UnboundedReceiver<Command>,
    stop: CancellationToken,
    running: &mut JoinSet<Result<(), JournalError>>,
) -> Result<RuntimeMetrics, TaskError> {
    let failed = |error: std::io::Error| TaskError::Worker { cause: error.to_string() };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let metrics = runtime.metrics();
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("kferry-worker".to_owned())
        .spawn(move || {
            // Nobody waits for a task that was dropped.
            drop(ended.send(runtime.block_on(worker.run(inbox, stop))));
            // What still runs are connections that end with it.
            runtime.shutdown_background();
        })
        .map_err(failed)?;
    running.spawn(async move {
        // A worker that panicked sends nothing; its message is on standard error already.
        end.await.expect("a worker says how it ended")
    });
    Ok(metrics)
}
