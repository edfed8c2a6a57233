//! Where output goes: results to standard output, everything else to standard error, bars in between.
//!
//! A reader that went away (`kferry … | head`) is no error: what would be written is dropped, and commands that only
//! write may ask [`Output::is_closed`] and stop.

pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::cli::Format;

/// A cheap handle to both streams.
#[derive(Clone)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

struct Shared {
    format: Format,
    bars: MultiProgress,
    /// Bars are drawn at all.
    live: bool,
    closed: AtomicBool,
    /// One writer at a time, so that lines stay whole.
    writing: Mutex<()>,
}

impl Output {
    /// Output in this form to this process's streams.
    pub(crate) fn new(format: Format) -> Self {
        let live = format == Format::Text
            && io::stderr().is_terminal()
            && std::env::var("TERM").map_or(true, |term| term != "dumb");
        let target = if live {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            shared: Arc::new(Shared {
                format,
                bars: MultiProgress::with_draw_target(target),
                live,
                closed: AtomicBool::new(false),
                writing: Mutex::new(()),
            }),
        }
    }

    /// The form that was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.shared.format == Format::Json
    }

    /// Somebody watches standard error on a terminal.
    pub(crate) fn is_live(&self) -> bool {
        self.shared.live
    }

    /// The bars, for the progress display.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.shared.bars
    }

    /// The reader of standard output has gone away.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }

    /// Writes a line of result to standard output, whatever the form.
    pub(crate) fn line(&self, text: &str) {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        self.stdout(&bytes);
    }

    /// Writes a line of result when the form is text.
    pub(crate) fn text(&self, text: &str) {
        if !self.is_json() {
            self.line(text);
        }
    }

    /// Writes an object as one line when the form is JSON.
    pub(crate) fn json<T: Serialize>(&self, object: &T) {
        if !self.is_json() {
            return;
        }
        match serde_json::to_string(object) {
            Ok(text) => self.line(&text),
            Err(error) => tracing::error!(%error, "an object could not be written as JSON"),
        }
    }

    /// Writes a remark to standard error.
    pub(crate) fn note(&self, text: &str) {
        self.stderr(format!("{text}\n").as_bytes());
    }

    /// Writes bytes to standard error while the bars stand aside.
    pub(crate) fn stderr(&self, bytes: &[u8]) {
        self.aside(|| {
            // Nobody is left to be told that standard error is gone.
            let _gone = io::stderr().lock().write_all(bytes);
        });
    }

    fn stdout(&self, bytes: &[u8]) {
        if self.is_closed() {
            return;
        }
        self.aside(|| {
            let mut stdout = io::stdout().lock();
            if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
                self.shared.closed.store(true, Ordering::Relaxed);
            }
        });
    }

    fn aside(&self, write: impl FnOnce()) {
        let _guard = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.live { self.shared.bars.suspend(write) } else { write() }
    }
}

/// Colour unless `NO_COLOR` asks for none; whether the stream is a terminal is asked separately.
pub(crate) fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Colour on standard output.
pub(crate) fn stdout_colour() -> bool {
    io::stdout().is_terminal() && colour_wanted()
}
