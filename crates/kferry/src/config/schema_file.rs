//! Schemas as files, with the files that they import.

use std::{collections::BTreeSet, path::Path};

use etl::{
    Compiled, Rule,
    rule::{ChainBody, SchemaFormat},
};

use super::rule::{NamedFile, text};
use crate::failure::Failure;

/// Files that one schema may import.
const IMPORTS_MAX: usize = 100;

/// Makes the schema of a file known to a rule, under its id in the registry of the source.
///
/// # Errors
/// A usage [`Failure`]: the file, or one that it imports, cannot be used.
pub(super) fn add(
    compiled: &Compiled,
    NamedFile { name, path }: &NamedFile,
) -> Result<(), Failure> {
    let schema = text(path)?;
    let wrong = |cause: String| {
        Failure::usage(format!("schema {name}: {}: {cause}", path.display())).cure(
            "name a schema by its id in the registry, and a file with its Avro schema or its .proto",
        )
    };
    let id = name.parse().map_err(|_| wrong("the id is not a number".to_owned()))?;
    let format = format(compiled.rule(), path).map_err(wrong)?;
    let references = match format {
        SchemaFormat::Protobuf => imported(&schema, path, &wrong)?,
        SchemaFormat::Avro | SchemaFormat::Json => Vec::new(),
    };
    compiled.add_schema(id, format, &schema, &references).map_err(wrong)
}

/// What the rule decodes; where it decodes nothing, what the file's name says.
fn format(rule: &Rule, path: &Path) -> Result<SchemaFormat, String> {
    let has = |wanted: &str| {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
    };
    let named = match () {
        () if has("proto") => Some(SchemaFormat::Protobuf),
        () if has("avsc") => Some(SchemaFormat::Avro),
        () => None,
    };
    let decoded = rule.chains.iter().find_map(|chain| match &chain.body {
        ChainBody::Decode { format } => Some(*format),
        _ => None,
    });
    match (decoded, named) {
        (Some(decoded), Some(named)) if decoded != named => {
            Err(format!("the file is {}, the rule decodes {}", named.name(), decoded.name()))
        }
        (decoded, named) => Ok(decoded.or(named).unwrap_or(SchemaFormat::Avro)),
    }
}

/// The files that a `.proto` imports, and those that they import; all lie beside it.
fn imported(
    schema: &str,
    path: &Path,
    wrong: &impl Fn(String) -> Failure,
) -> Result<Vec<(String, String)>, Failure> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut names = BTreeSet::new();
    let mut waiting = etl::protobuf_imports(schema).map_err(wrong)?;
    while let Some(name) = waiting.pop() {
        if !names.insert(name.clone()) {
            continue;
        }
        if names.len() > IMPORTS_MAX {
            return Err(wrong(format!("it imports more than {IMPORTS_MAX} files")));
        }
        // The parser refuses names that lead out of the directory.
        let inner = text(&path.with_file_name(&name))?;
        let more = etl::protobuf_imports(&inner);
        waiting.extend(more.map_err(|cause| wrong(format!("it imports {name:?}: {cause}")))?);
        found.push((name, inner));
    }
    Ok(found)
}
