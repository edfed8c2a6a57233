//! Rules as files: read, judged, and everything wrong with them told at once.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use etl::{Compiled, Resources, Rule, RuleError, RuleErrors, Table};
use serde_json::json;

use crate::{
    cli::{NamedFile, TestArgs},
    failure::Failure,
    output::{Output, text},
};

/// Bytes of a file that is read whole.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Characters of a line of the rule that are shown.
const LINE_CHARS_MAX: usize = 120;

/// The bytes of a file, or of standard input.
///
/// # Errors
/// A usage [`Failure`] when it cannot be read, or is too large.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
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
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{}: byte {at} is no UTF-8", path.display()))
            .cure("save the file as UTF-8")
    })
}

/// Reads a rule.
///
/// # Errors
/// A usage [`Failure`]; what is wrong with the rule is told already.
pub(super) fn load(path: &Path, output: &Output) -> Result<Rule, Failure> {
    let text = text(path)?;
    Rule::parse(&text).map_err(|errors| tell(path, &text, &errors, output))
}

/// Makes a rule ready, with the secrets, tables and schemas of the command line.
///
/// # Errors
/// As [`load`].
pub(super) fn compile(rule: &Rule, args: &TestArgs, output: &Output) -> Result<Compiled, Failure> {
    let mut resources = Resources::new();
    for NamedFile { name, path } in &args.secrets {
        let secret = bytes(path)?;
        let end = if secret.ends_with(b"\n") { secret.len() - 1 } else { secret.len() };
        resources = resources.with_secret(name, &secret[..end]);
    }
    for named in &args.tables {
        let (name, table) = table(named)?;
        resources = resources.with_table(name, table);
    }
    let mut compiled =
        Compiled::new(rule, &resources).map_err(|errors| tell(&args.rule, "", &errors, output))?;
    for NamedFile { name, path } in &args.schemas {
        let schema = text(path)?;
        let wrong = |cause: String| {
            Failure::usage(format!("--schema {name}: {}: {cause}", path.display())).cure(
                "write the id of the schema in the registry, = and a file with its Avro schema",
            )
        };
        let id = name.parse().map_err(|_| wrong("the id is not a number".to_owned()))?;
        compiled.add_schema(id, &schema).map_err(wrong)?;
    }
    Ok(compiled)
}

fn table(named: &NamedFile) -> Result<(&str, Table), Failure> {
    let NamedFile { name, path } = named;
    let wrong = |cause: &str| {
        Failure::usage(format!("--table {name}: {}: {cause}", path.display())).cure(
            "write the table's name, a colon, the column that is looked up, = and a file: CSV with names in the first line, \
             or .json with an array of objects",
        )
    };
    let Some((table, key)) = name.split_once(':') else { return Err(wrong("no column is named")) };
    let text = text(path)?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let read = if is_json { Table::from_json(&text, key) } else { Table::from_csv(&text, key) };
    Ok((table, read.map_err(|cause| wrong(&cause))?))
}

/// Tells all that is wrong with a rule; `text` is what it was read from, or empty.
pub(super) fn tell(path: &Path, text: &str, errors: &RuleErrors, output: &Output) -> Failure {
    let name = path.display().to_string();
    for error in errors {
        output.json(&json!({
            "type": "rule_error", "file": name, "line": error.line, "path": error.path, "code": error.code.as_str(),
            "cause": error.cause, "cure": error.cure,
        }));
        output.note(&lines(&name, text, error));
    }
    let count = errors.iter().count();
    let what = if count == 1 { "1 error".to_owned() } else { format!("{count} errors") };
    output.note(&format!("error: {name}: {what} in the rule"));
    Failure::told_usage()
}

/// Place, cause, the line itself, cure.
fn lines(name: &str, text: &str, error: &RuleError) -> String {
    let RuleError { path, code, cause, cure, line } = error;
    let at = line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = if path.is_empty() { String::new() } else { format!(" {path}:") };
    let mut shown = text::safe(&format!("{name}{at}:{place} {cause} ({})", code.as_str()));
    let index =
        line.and_then(|line| usize::try_from(line).ok()).and_then(|line| line.checked_sub(1));
    if let Some(source) = index.and_then(|index| text.lines().nth(index)) {
        let source: String = source.chars().take(LINE_CHARS_MAX).collect();
        shown.push_str(&format!("\n  {} | {}", line.unwrap_or_default(), text::safe(&source)));
    }
    format!("{shown}\n  cure: {cure}")
}
