//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{failure::Failure, output::Output};

/// What a shell expects of a program that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;

/// Cancels the token that it returns on the first SIGINT or SIGTERM; ends the process on the second.
///
/// # Errors
/// When the handlers cannot be installed.
pub(crate) fn shutdown_token(output: &Output) -> Result<CancellationToken, Failure> {
    let token = CancellationToken::new();
    let install = |kind| {
        signal(kind)
            .map_err(|error| Failure::failed("cannot install a signal handler").because(&error))
    };
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut terminate = install(SignalKind::terminate())?;
    let cancel = token.clone();
    let output = output.clone();
    tokio::spawn(async move {
        next(&mut interrupt, &mut terminate).await;
        output.note(
            "stopping: what is under way is settled first; press Ctrl-C again to end at once",
        );
        cancel.cancel();
        next(&mut interrupt, &mut terminate).await;
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(token)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
