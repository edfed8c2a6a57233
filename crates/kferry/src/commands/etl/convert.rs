//! `kferry etl import` and `kferry etl export`: rules in other forms.

use etl::{Compiled, Resources, Rule};

use super::rule_file;
use crate::{
    cli::{ExportArgs, ImportArgs, RuleForm},
    failure::Failure,
    output::{Output, text},
};

/// Writes a rule of the vendor's API as YAML.
///
/// # Errors
/// A usage [`Failure`]; what does not map is told already.
pub(super) fn import(args: &ImportArgs, output: &Output) -> Result<(), Failure> {
    let text = rule_file::text(&args.file)?;
    let rule = Rule::import_api(&text)
        .map_err(|errors| rule_file::tell(&args.file, "", &errors, output))?;
    // Names of secrets and tables cannot come from there: it compiles as it is.
    if let Ok(compiled) = Compiled::new(&rule, &Resources::new()) {
        for warning in compiled.warnings() {
            output.note(&format!("warning: {}", text::safe(warning)));
        }
    }
    output.line(rule.to_yaml().trim_end());
    Ok(())
}

/// Writes a rule with every field.
///
/// # Errors
/// A usage [`Failure`]; what is wrong with the rule is told already.
pub(super) fn export(args: &ExportArgs, output: &Output) -> Result<(), Failure> {
    let rule = rule_file::load(&args.rule, output)?;
    let text = match args.to {
        RuleForm::Json => rule.to_json(),
        RuleForm::Yaml => rule.to_yaml(),
    };
    output.line(text.trim_end());
    Ok(())
}
