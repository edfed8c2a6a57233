//! Rules as files: read, judged, and everything wrong with them told at once.

use std::path::Path;

use etl::{Compiled, Rule, RuleError, RuleErrors};
use serde_json::json;

pub(super) use crate::config::rule::{bytes, text};
use crate::{
    cli::TestArgs,
    config::{
        self,
        rule::{Named, Unready},
    },
    failure::Failure,
    output::{Output, text as shown_text},
};

/// Characters of a line of the rule that are shown.
const LINE_CHARS_MAX: usize = 120;

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
    let named = Named {
        secrets: &args.secrets,
        tables: &args.tables,
        schemas: &args.schemas,
        ..Named::default()
    };
    config::rule::compile(rule, &named).map_err(|unready| match unready {
        Unready::File(failure) => failure,
        Unready::Rule(errors) => tell(&args.rule, "", &errors, output),
    })
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
    let mut shown = shown_text::safe(&format!("{name}{at}:{place} {cause} ({})", code.as_str()));
    let index =
        line.and_then(|line| usize::try_from(line).ok()).and_then(|line| line.checked_sub(1));
    if let Some(source) = index.and_then(|index| text.lines().nth(index)) {
        let source: String = source.chars().take(LINE_CHARS_MAX).collect();
        shown.push_str(&format!(
            "\n  {} | {}",
            line.unwrap_or_default(),
            shown_text::safe(&source)
        ));
    }
    format!("{shown}\n  cure: {cure}")
}
