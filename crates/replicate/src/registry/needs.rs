//! What a rule needs of registries.

use etl::rule::{ChainBody, Output, Rule, SchemaFormat};

/// What a rule needs of the registries of its task's two ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The formats that it decodes by schemas of the source's registry.
    pub decodes: Vec<SchemaFormat>,
    /// Whether what it passes on gets the schema ids of the target's registry.
    pub translates: bool,
    /// The subject at the target by whose schema outputs are written, and in which format.
    pub subject: Option<(String, SchemaFormat)>,
}

impl Needs {
    /// Of `rule`.
    #[must_use]
    pub fn of(rule: &Rule) -> Self {
        let mut needs = Self::default();
        for chain in &rule.chains {
            // JSON is read without its schema.
            if let ChainBody::Decode { format } = &chain.body
                && *format != SchemaFormat::Json
                && !needs.decodes.contains(format)
            {
                needs.decodes.push(*format);
            }
        }
        match &rule.output {
            Output::Avro { subject } => needs.subject = Some((subject.clone(), SchemaFormat::Avro)),
            Output::Protobuf { subject, .. } => {
                needs.subject = Some((subject.clone(), SchemaFormat::Protobuf));
            }
            Output::JsonSchema { subject } => {
                needs.subject = Some((subject.clone(), SchemaFormat::Json));
            }
            Output::Original { translate_schema_id } => needs.translates = *translate_schema_id,
            Output::Json | Output::Row(_) => {}
        }
        needs
    }

    /// The registry that is missing, `source` or `target`, and what for.
    #[must_use]
    pub fn lacks(
        &self,
        has_source: bool,
        has_target: bool,
        has_schemas: bool,
    ) -> Option<(&'static str, String)> {
        let decodes = self.decodes.first().filter(|_| !has_source && !has_schemas);
        if let Some(format) = decodes {
            return Some(("source", format!("decodes {}", kind_of(*format))));
        }
        if self.translates && !has_source {
            return Some(("source", "translates schema ids".to_owned()));
        }
        if self.translates && !has_target {
            return Some(("target", "translates schema ids".to_owned()));
        }
        match &self.subject {
            Some((subject, _)) if !has_target => {
                Some(("target", format!("writes with the schema of the subject {subject}")))
            }
            _ => None,
        }
    }
}

/// A format in the words of registries.
pub(super) fn kind_of(format: SchemaFormat) -> &'static str {
    match format {
        SchemaFormat::Avro => "AVRO",
        SchemaFormat::Json => "JSON",
        SchemaFormat::Protobuf => "PROTOBUF",
    }
}
