//! Lookup tables of a task's rule: files, or topics that are followed.

use std::{collections::BTreeMap, fmt, path::Path};

use replicate::{
    spec::{TABLE_BYTES_MAX, TableTopic},
    task::Role,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use serde_saphyr::Spanned;

use super::{
    process::is_topic,
    read::{Reader, SIZE},
    section::Text,
};
use crate::{cli::values::size, config::rule::NamedFile, failure::Failure};

const FORMS: &str = "write NAME:COLUMN: FILE for a CSV or JSON file, or NAME: {topic: TOPIC} for a topic whose records are \
                     the rows, by their keys";

/// A lookup table that follows a topic: read before the first record is processed, and kept up to date from then on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TableTopic")]
pub(super) struct TableTopicSection {
    /// The topic. The key of a record is the key of a row, its value a JSON object with the row's columns; one without a value removes
    /// the row.
    #[schemars(with = "String")]
    topic: Text,
    /// The cluster that has the topic.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["source", "target"], "default" = "source"))]
    from: Option<Text>,
    /// Memory that the rows may take: with more the task ends.
    #[serde(default)]
    #[schemars(schema_with = "bytes", extend("default" = "256MiB"))]
    max_bytes: Option<Text>,
}

fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "examples": ["64MiB", "1GiB"] })
}

/// What a table is read from.
pub(super) enum TableSource {
    /// A file's path.
    File(String),
    Topic(Box<TableTopicSection>),
    /// Neither: told with the place, which an error of the visitor would not have.
    Other,
}

/// Tables by name, or name and column.
pub(super) type TablesSection = BTreeMap<String, Spanned<TableSource>>;

impl JsonSchema for TableSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Table".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let topic = generator.subschema_for::<TableTopicSection>();
        json_schema!({ "anyOf": [{ "type": "string" }, topic] })
    }
}

impl<'de> Deserialize<'de> for TableSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> de::Visitor<'de> for SourceVisitor {
    type Value = TableSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a file, or a topic")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TableSource::File(text.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(TableSource::Other)
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(TableSource::Other)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(TableSource::Other)
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(TableSource::Other)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(TableSource::Other)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(TableSource::Other)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let section = TableTopicSection::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TableSource::Topic(Box::new(section)))
    }
}

impl Reader<'_> {
    /// The tables that are files, and those that follow topics.
    pub(super) fn tables(
        &self,
        section: &TablesSection,
    ) -> Result<(Vec<NamedFile>, Vec<TableTopic>), Failure> {
        let (mut files, mut topics) = (Vec::new(), Vec::new());
        for (name, source) in section {
            let wrong = |cause: &str, cure: String| {
                let message = format!("tables: {name}: {cause}");
                Err(self.place.failure(source.referenced, &message).cure(cure))
            };
            match &source.value {
                TableSource::Other => return wrong("neither a file nor a topic", FORMS.to_owned()),
                TableSource::File(_) if !name.contains(':') => {
                    return wrong("no column is named", FORMS.to_owned());
                }
                TableSource::File(path) => files.push(NamedFile {
                    name: name.clone(),
                    path: self.place.resolve(Path::new(path)),
                }),
                TableSource::Topic(_) if name.contains(':') => {
                    let (table, _) = name.split_once(':').unwrap_or_default();
                    let cure = format!("write {table} alone: the key is that of the records");
                    return wrong("a topic has no column to look up", cure);
                }
                TableSource::Topic(topic) => topics.push(self.table_topic(name, topic)?),
            }
        }
        let table_of = |file: &NamedFile| file.name.split(':').next().map(str::to_owned);
        let both = topics.iter().find(|topic| {
            files.iter().any(|file| table_of(file).as_deref() == Some(topic.table.as_str()))
        });
        if let Some(TableTopic { table, .. }) = both
            && let Some(source) = section.get(table)
        {
            let message = format!("tables: {table}: it is a file as well");
            let cure = "take one of the two out, or give it another name";
            return Err(self.place.failure(source.referenced, &message).cure(cure));
        }
        Ok((files, topics))
    }

    fn table_topic(&self, table: &str, section: &TableTopicSection) -> Result<TableTopic, Failure> {
        let topic = &section.topic;
        if !is_topic(&topic.value) {
            let message = format!("topic: {:?} is no topic name", topic.value);
            return Err(self
                .place
                .failure(topic.referenced, &message)
                .cure("topic names have 1 to 249 letters, digits, '.', '_' and '-'"));
        }
        let mut from = Role::Source;
        self.choice("from", section.from.as_ref(), &mut from, &["source", "target"], role)?;
        let mut bytes_max = TABLE_BYTES_MAX;
        let bytes =
            |text: &str| size(text).map(|size| usize::try_from(size.get()).unwrap_or(usize::MAX));
        self.set("max_bytes", section.max_bytes.as_ref(), &mut bytes_max, bytes, SIZE)?;
        Ok(TableTopic { table: table.to_owned(), topic: topic.value.clone(), from, bytes_max })
    }

    /// Every table that follows a topic is one that the rule looks something up in.
    pub(super) fn are_looked_up(
        &self,
        rule: &etl::Compiled,
        section: &TablesSection,
        topics: &[TableTopic],
    ) -> Result<(), Failure> {
        let unused = topics.iter().find(|topic| rule.table(&topic.table).is_none());
        let Some(TableTopic { table, .. }) = unused else { return Ok(()) };
        let Some(source) = section.get(table) else { return Ok(()) };
        let message = format!("tables: {table}: no lookup of the rule names it");
        Err(self
            .place
            .failure(source.referenced, &message)
            .cure("correct the name, or take the table out"))
    }
}

fn role(text: &str) -> Option<Role> {
    match text {
        "source" => Some(Role::Source),
        "target" => Some(Role::Target),
        _ => None,
    }
}
