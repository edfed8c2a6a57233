//! The one place that decides on which threads the program runs.

use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;

/// Two workers: one can wait for the journal's disk or decode a batch while the other serves sockets.
const WORKERS: usize = 2;

/// Builds the runtime that every command runs on.
///
/// # Errors
/// When the system gives no threads.
pub(crate) fn build() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("kferry")
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("cannot start the runtime").because(&error))
}
