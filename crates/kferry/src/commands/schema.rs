//! `kferry schema`: the JSON Schema of what people write.

use crate::{
    cli::{SchemaArgs, SchemaOf},
    config,
    failure::Failure,
    output::Output,
};

/// Prints a schema.
///
/// # Errors
/// None in practice: a schema is plain JSON.
pub(crate) fn run(args: &SchemaArgs, output: &Output) -> Result<(), Failure> {
    let schema = match args.of {
        SchemaOf::Task => config::task::schema(),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::failed("the schema").because(&error))?;
    output.line(&text);
    Ok(())
}
