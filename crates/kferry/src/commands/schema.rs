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
    let text = match args.of {
        SchemaOf::Task => serde_json::to_string_pretty(&config::task::schema())
            .map_err(|error| Failure::failed("the schema").because(&error))?,
        SchemaOf::Etl => etl::Rule::JSON_SCHEMA.trim_end().to_owned(),
    };
    output.line(&text);
    Ok(())
}
