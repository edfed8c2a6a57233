//! How the program ends when it does not end well: what, where, why, and the cure, in words for the person who typed
//! the command.

use std::{error::Error, fmt, process::ExitCode};

use crate::output::Output;

/// Everything went as asked.
pub(crate) const EXIT_DONE: u8 = 0;
/// It was asked correctly, and did not work.
pub(crate) const EXIT_FAILED: u8 = 1;
/// It was not asked correctly: arguments or a configuration file.
pub(crate) const EXIT_USAGE: u8 = 2;
/// It worked, and found what it was to look for: something in the way of a plan, a difference.
pub(crate) const EXIT_FOUND: u8 = 3;

/// An error report and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: u8,
    message: String,
    snippet: Option<String>,
    cure: Option<String>,
    shown: bool,
}

impl Failure {
    /// The command was right, the work failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: EXIT_FAILED, message: message.into(), snippet: None, cure: None, shown: false }
    }

    /// Arguments or configuration are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: EXIT_USAGE, ..Self::failed(message) }
    }

    /// A failure that the command's own output has already told.
    pub(crate) fn told() -> Self {
        Self { shown: true, ..Self::failed("") }
    }

    /// Wrong usage or configuration that the command's own output has already told.
    pub(crate) fn told_usage() -> Self {
        Self { exit: EXIT_USAGE, ..Self::told() }
    }

    /// A command has looked, and its own output has told what it found.
    pub(crate) fn found() -> Self {
        Self { exit: EXIT_FOUND, ..Self::told() }
    }

    /// Adds an error and all its causes to the message.
    #[must_use]
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let chain = chain(error);
        if !self.message.is_empty() && !chain.is_empty() {
            self.message.push_str(": ");
        }
        self.message.push_str(&chain);
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Adds what to do about it, if anything is known.
    #[must_use]
    pub(crate) fn maybe_cure(self, cure: Option<String>) -> Self {
        match cure {
            Some(cure) => self.cure(cure),
            None => self,
        }
    }

    /// Adds the place in a file.
    #[must_use]
    pub(crate) fn snippet(mut self, snippet: String) -> Self {
        self.snippet = Some(snippet);
        self
    }

    /// Tells the user, and of which task it is when there are several; with JSON also as an object, so that a reader of standard
    /// output learns of it.
    pub(crate) fn tell(&self, output: &Output, task: Option<&str>) {
        if self.shown {
            return;
        }
        let mut object =
            serde_json::json!({ "type": "error", "message": self.message, "cure": self.cure });
        let mut prefix = String::new();
        if let Some(task) = task {
            object["task"] = task.into();
            prefix = format!("task {task}: ");
        }
        output.json(&object);
        output.note(&format!("error: {prefix}{self}"));
    }

    /// The exit code for it.
    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(snippet) = &self.snippet {
            write!(f, "\n{snippet}")?;
        }
        if let Some(cure) = &self.cure {
            write!(f, "\n  cure: {cure}")?;
        }
        Ok(())
    }
}

/// An error and its causes on one line; a cause that the text above it already quotes is not said twice.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_are_chained() {
        let outer = Outer(std::io::Error::other("inner"));
        assert_eq!(chain(&outer), "outer: inner");
        let failure = Failure::failed("cannot start").because(&outer).cure("try again");
        assert_eq!(failure.to_string(), "cannot start: outer: inner\n  cure: try again");
    }
}
