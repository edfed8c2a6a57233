//! `kferry import`: task files out of the configuration of other tools.

mod connection;
mod mm2;
mod properties;

use std::fs;

use crate::{
    cli::{ConvertArgs, ConvertFrom},
    failure::Failure,
    output::Output,
};

/// Something that the task file does not say, or says differently.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    /// Where it stands in the file; none where a default is meant.
    line: Option<usize>,
    text: String,
}

/// Converts a file; the result goes to standard output, notes to standard error.
///
/// # Errors
/// When the file cannot be read, or is no such configuration.
pub(crate) fn run(args: &ConvertArgs, output: &Output) -> Result<(), Failure> {
    let ConvertFrom::Mm2 { file } = &args.from;
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::failed(format!("cannot read {shown}"))
            .because(&error)
            .cure("give the path of the properties file that MirrorMaker 2 is started with")
    })?;
    let properties = properties::parse(&text).map_err(|(line, message)| {
        Failure::usage(format!("{shown}:{line}: {message}"))
            .cure("it must be a Java properties file: KEY = VALUE in each line")
    })?;
    let converted = mm2::convert(properties)
        .map_err(|(message, cure)| Failure::usage(format!("{shown}: {message}")).cure(cure))?;
    output.text(&format!("# From {shown}, by `kferry import mm2`.\n{}", converted.yaml));
    for note in converted.notes {
        match note.line {
            Some(line) => output.note(&format!("{shown}:{line}: {}", note.text)),
            None => output.note(&format!("{shown}: {}", note.text)),
        }
    }
    Ok(())
}
