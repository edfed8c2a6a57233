//! Rules as files, with the secrets, tables and schemas that they name.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use etl::{Compiled, Resources, Rule, RuleErrors, Table};

use super::schema_file;
use crate::{failure::Failure, output::text};

/// Bytes of a file that is read whole.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A file, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedFile {
    /// What it stands for.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// What a rule may name that is not in it.
#[derive(Debug, Default)]
pub(crate) struct Named<'a> {
    /// A secret's name, and the file that holds it.
    pub(crate) secrets: &'a [NamedFile],
    /// A table's name, a colon, and the column that is looked up.
    pub(crate) tables: &'a [NamedFile],
    /// Tables that follow a topic: they get their rows later.
    pub(crate) followed: &'a [&'a str],
    /// A schema's id in the registry of the source.
    pub(crate) schemas: &'a [NamedFile],
}

/// Why a rule is not ready.
pub(crate) enum Unready {
    /// A file of it cannot be used.
    File(Failure),
    /// The rule is wrong.
    Rule(RuleErrors),
}

impl From<Failure> for Unready {
    fn from(failure: Failure) -> Self {
        Self::File(failure)
    }
}

/// The bytes of a file, or of standard input.
///
/// # Errors
/// A usage [`Failure`] when it cannot be read, or is too large.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let unread = |error: io::Error| {
        Failure::usage(format!("cannot read {}: {error}", path.display()))
            .cure("give the path of a file that can be read, or - for standard input")
    };
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(unread)?)
    };
    let mut bytes = Vec::new();
    input.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unread)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        let most = text::bytes(FILE_BYTES_MAX);
        return Err(Failure::usage(format!("{} has more than {most}", path.display()))
            .cure("cut a smaller piece out of it"));
    }
    Ok(bytes)
}

/// The text of a file, or of standard input.
///
/// # Errors
/// As [`bytes()`], or it is no text.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{}: byte {at} is no UTF-8", path.display()))
            .cure("save the file as UTF-8")
    })
}

/// Makes a rule ready.
///
/// # Errors
/// Everything that is wrong with the rule, or the first of its files that cannot be used.
pub(crate) fn compile(rule: &Rule, named: &Named<'_>) -> Result<Compiled, Unready> {
    let mut resources = Resources::new();
    for NamedFile { name, path } in named.secrets {
        let secret = bytes(path)?;
        let end = if secret.ends_with(b"\n") { secret.len() - 1 } else { secret.len() };
        resources = resources.with_secret(name, &secret[..end]);
    }
    for named in named.tables {
        let (name, table) = table(named)?;
        resources = resources.with_table(name, table);
    }
    for name in named.followed {
        resources = resources.with_table(name, Table::new());
    }
    let compiled = Compiled::new(rule, &resources).map_err(Unready::Rule)?;
    for file in named.schemas {
        schema_file::add(&compiled, file)?;
    }
    Ok(compiled)
}

fn table(named: &NamedFile) -> Result<(&str, Table), Failure> {
    let NamedFile { name, path } = named;
    let wrong = |cause: &str| {
        Failure::usage(format!("table {name}: {}: {cause}", path.display())).cure(
            "name a table by its name, a colon and the column that is looked up, and a file: CSV with names in the first line, \
             or .json with an array of objects; a table that follows a topic in a task is a file here",
        )
    };
    let Some((table, key)) = name.split_once(':') else { return Err(wrong("no column is named")) };
    let text = text(path)?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let read = if is_json { Table::from_json(&text, key) } else { Table::from_csv(&text, key) };
    Ok((table, read.map_err(|cause| wrong(&cause))?))
}
