//! `kferry etl regex`: an expression from what is marked in a sample.

use etl::{Selection, generate_regex};
use serde_json::json;

use crate::{
    cli::RegexArgs,
    failure::Failure,
    output::{Output, text},
};

/// Writes the expression and what it finds in the sample.
///
/// # Errors
/// A usage [`Failure`] when a part is not in the sample, or no expression tells the parts apart.
pub(super) fn run(args: &RegexArgs, output: &Output) -> Result<(), Failure> {
    let selections = selections(&args.sample, &args.selections)?;
    let made = generate_regex(&args.sample, &selections).map_err(|error| {
        let cause = text::safe(&error.cause);
        Failure::usage(format!("{}: {cause} ({})", error.path, error.code.as_str()))
            .cure(error.cure)
    })?;
    let fields: serde_json::Map<String, serde_json::Value> =
        made.fields.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    output.json(&json!({ "type": "regex", "regex": made.regex, "fields": fields }));
    output.text(&made.regex);
    for (name, text) in &made.fields {
        output.text(&format!("  {name}: {}", text::safe(text)));
    }
    // In single quotes YAML knows one escape only.
    let quoted = made.regex.replace('\'', "''");
    output.text(&format!("in a rule: analyse: {{mode: regex, regex: '{quoted}'}}"));
    Ok(())
}

/// Finds the parts in the sample, each behind the one before where it stands there.
fn selections(sample: &str, wanted: &[String]) -> Result<Vec<Selection>, Failure> {
    let mut found: Vec<Selection> = Vec::new();
    let mut from = 0;
    for (index, text) in wanted.iter().enumerate() {
        let (name, part) = named(text, index);
        if part.is_empty() {
            return Err(Failure::usage(format!("--select {text}: nothing is marked"))
                .cure("give a piece of the sample, such as --select method=GET"));
        }
        let behind = sample[from..].find(part).map(|at| from + at);
        let Some(at) = behind.or_else(|| sample.find(part)) else {
            return Err(Failure::usage(format!("--select {text}: {part:?} is not in the sample"))
                .cure("copy the piece from the sample; NAME= before it gives it a name"));
        };
        from = at + part.len();
        let start = sample[..at].chars().count();
        found.push(Selection { start, end: start + part.chars().count(), name });
    }
    Ok(found)
}

/// The name of the field, and what is marked.
fn named(text: &str, index: usize) -> (String, &str) {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match text.split_once('=') {
        Some((name, part)) if is_name(name) => (name.to_owned(), part),
        _ => (format!("field{}", index + 1), text),
    }
}

#[cfg(test)]
mod tests {
    use super::selections;

    #[test]
    fn parts_are_found_from_left_to_right() {
        let check = |sample: &str, wanted: &[&str], expected: &[(usize, usize, &str)]| {
            let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
            let found = selections(sample, &wanted).unwrap();
            let found: Vec<(usize, usize, &str)> =
                found.iter().map(|one| (one.start, one.end, one.name.as_str())).collect();
            assert_eq!(found, expected, "{sample}");
        };
        check("a 1 1", &["x=1", "1"], &[(2, 3, "x"), (4, 5, "field2")]);
        check("ä=1 b", &["b", "ä=1"], &[(4, 5, "field1"), (0, 3, "field2")]);
        assert!(selections("a", &["b".to_owned()]).is_err());
        assert!(selections("a", &["x=".to_owned()]).is_err());
    }
}
