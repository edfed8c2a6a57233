//! The text files of the repository.

use crate::run::read;
use anyhow::Result;
use std::fs;
use std::process::Command;
use xtask::workspace::root;

/// A text file: path relative to the repository, and content.
#[derive(Debug)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Everything git knows or would take, without binary files.
pub(crate) fn all() -> Result<Vec<TextFile>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let list = read(Command::new("git").current_dir(root()).args(arguments))?;
    let mut files = Vec::new();
    for path in list.lines() {
        // A deleted file that is not committed yet is listed but not there.
        if let Ok(text) = fs::read_to_string(root().join(path)) {
            files.push(TextFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

impl TextFile {
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }
}
