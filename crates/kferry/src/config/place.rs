//! A YAML file that is being read: where an error in it is, and what paths in it mean.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Spanned};

use super::{nearest, snippet};
use crate::failure::Failure;

/// No certificate bundle or configuration file is larger; a device file given by mistake is noticed.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where an error in the file is, and how to show it.
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Place<'_> {
    /// A mistake that we found: our words quote no value that may be secret.
    pub(super) fn failure(&self, location: Location, message: &str) -> Failure {
        self.show(location, message, snippet::Words::Ours)
    }

    fn show(&self, location: Location, message: &str, words: snippet::Words) -> Failure {
        let (line, column) = (location.line(), location.column());
        let (message, snippet) = snippet::render(self.text, line, column, message, words);
        Failure::usage(format!("{}:{line}:{column}: {message}", self.path.display()))
            .snippet(snippet)
    }

    /// Reads the text as YAML.
    ///
    /// # Errors
    /// A usage [`Failure`] with line, column, and what is known instead of an unknown word.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let options = serde_saphyr::options! { with_snippet: false, no_schema: false };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| {
            let (message, cure) = nearest::cure(&snippet::message_of(&error));
            match error.location() {
                Some(location) => self.show(location, &message, snippet::Words::Parsers).cure(cure),
                None => Failure::usage(format!("{}: {message}", self.path.display())).cure(cure),
            }
        })
    }

    /// A path in the file is meant from where the file is.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_path_buf(), |parent| parent.join(path))
    }

    pub(super) fn read(&self, path: &Spanned<PathBuf>) -> Result<Vec<u8>, Failure> {
        let resolved = self.resolve(&path.value);
        read(&resolved).map_err(|error| {
            self.failure(path.referenced, &format!("cannot read {}: {error}", resolved.display()))
                .cure("name a readable file; its path is meant from where this file is")
        })
    }
}

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// The text of a file that a command was given; `what` it is, for messages.
///
/// # Errors
/// A usage [`Failure`] that names the file.
pub(super) fn read_text(path: &Path, what: &str, cure: &str) -> Result<String, Failure> {
    let bytes = read(path).map_err(|error| {
        Failure::usage(format!("cannot read the {what} {}: {error}", path.display())).cure(cure)
    })?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{}: the file is not UTF-8 text", path.display())))
}
