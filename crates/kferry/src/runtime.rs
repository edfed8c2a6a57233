//! The one place that decides on which threads the program runs.

use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;

/// Brokers in this process, and who writes to them and compares, keep two cores busy.
const THREADS: usize = 2;

/// What the program is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It asks brokers, or watches over workers, which have threads of their own.
    Watch,
    /// It is brokers.
    Serve,
}

/// Builds the runtime that a command runs on.
///
/// # Errors
/// When the system gives no threads.
pub(crate) fn build(work: Work) -> Result<Runtime, Failure> {
    let mut builder = match work {
        Work::Watch => Builder::new_current_thread(),
        Work::Serve => Builder::new_multi_thread(),
    };
    if work == Work::Serve {
        builder.worker_threads(THREADS).thread_name("kferry");
    }
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("cannot start the runtime").because(&error))
}
