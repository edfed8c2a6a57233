//! Results on standard output.

use std::fmt::Display;

/// Prints one line.
#[expect(clippy::print_stdout, reason = "the results of the verbs; the one place that prints")]
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}
