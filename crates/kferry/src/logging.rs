//! Logs to standard error, around the progress bars when there are any.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{failure::Failure, output::Output};

/// Starts logging with the filter that the user gave.
///
/// # Errors
/// A usage [`Failure`] when `filter` is not a level or a filter.
pub(crate) fn start(filter: &str, output: &Output) -> Result<(), Failure> {
    let parsed = EnvFilter::builder().parse(filter).map_err(|error| {
        Failure::usage(format!("--log {filter}")).because(&error).cure(
            "give error, warn, info, debug or trace, or a filter such as info,kafka_client=debug",
        )
    })?;
    let colour = io::stderr().is_terminal() && crate::output::colour_wanted();
    // A second initialisation happens in no path of the program; were it to, the first one serves.
    let _already_set = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(colour)
        .with_target(false)
        .with_writer(Around(output.clone()))
        .try_init();
    Ok(())
}

/// Writes log lines while the bars stand aside.
#[derive(Clone)]
struct Around(Output);

impl Write for Around {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.stderr(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Around {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}
