//! `process` of a task: a rule, and the topics that it is applied to.

use std::{collections::BTreeMap, path::Path};

use etl::Rule;
use kafka_wire::compression::Compression;
use replicate::registry::{Needs, Registries};
use replicate::spec::{
    Partitioning, Rename, SyncMode, TableTopic, TaskSpec, TopicSelection, Transform, TransformSpec,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    read::Reader,
    section::{TaskSection, Text},
    tables::{TableSource, TablesSection},
};
use crate::{
    config::{
        registry::{self, RegistriesSection},
        rule::{self, Named, NamedFile, Unready},
    },
    failure::Failure,
};

/// The most that each output can be written.
const COPIES_MAX: u32 = 100;

/// A rule and the topics it is applied to: then records are processed, not copied.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Process")]
pub(super) struct ProcessSection {
    /// The rule's file, relative to this one; what a rule may say is in docs/etl.md.
    #[schemars(with = "String")]
    rule: Text,
    /// The topics that are read, each with the topic that its outputs are written to.
    #[schemars(with = "BTreeMap<String, String>", extend("minProperties" = 1))]
    topics: Spanned<BTreeMap<String, Text>>,
    /// How often each output is written, up to 100.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1, max = 100), extend("default" = 1))]
    copies: Option<Text>,
    /// To which partition an output goes: `keep` the number it has on the source (by its key when the rule makes one), `key` by its key,
    /// `spread` evenly.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["keep", "key", "spread"], "default" = "keep"))]
    partitioning: Option<Text>,
    /// Codec of what is written; `source` for that of the batch that was read.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["source", "none", "gzip", "snappy", "lz4", "zstd"], "default" = "source"))]
    compression: Option<Text>,
    /// Make the topic for dead letters, with the target's defaults, when it is missing.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    create_dead_letter_topic: Option<bool>,
    /// Secrets of the rule: name, and the file that holds it, relative to this one.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    secrets: BTreeMap<String, Text>,
    /// Lookup tables of the rule: `NAME:COLUMN`, and a CSV or JSON file, relative to this one; or `NAME`, and the topic that it
    /// follows.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, TableSource>", extend("default" = {}))]
    tables: TablesSection,
    /// Schemas: the id in the source's registry, and the file, relative to this one: Avro, or a .proto beside those it imports.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    schemas: BTreeMap<String, Text>,
    /// Schema registries: of the source, whose schemas the rule decodes by, and of the target, whose schemas outputs are written with.
    #[serde(default)]
    registries: Option<RegistriesSection>,
}

impl Reader<'_> {
    /// Makes a task that copies one that processes.
    pub(super) fn process(
        &self,
        section: &TaskSection,
        process: &ProcessSection,
        spec: &mut TaskSpec,
    ) -> Result<(), Failure> {
        self.without_copies(section)?;
        let names = self.topics(&process.topics)?;
        // Of what topic names may have, only the dot means something else in an expression.
        let sources = names.keys().map(|name| name.replace('.', "\\.").parse());
        let sources = sources.collect::<Result<Vec<_>, _>>();
        let include = sources.map_err(|error| Failure::failed("topics").because(&error))?;
        spec.sync = SyncMode::MetadataData;
        spec.topics = TopicSelection::of(include, Vec::new());
        let mut partitioning = Partitioning::default();
        self.choice(
            "partitioning",
            process.partitioning.as_ref(),
            &mut partitioning,
            &["keep", "key", "spread"],
            |text| text.parse().ok(),
        )?;
        let mut compression = None;
        self.choice(
            "compression",
            process.compression.as_ref(),
            &mut compression,
            &["source", "none", "gzip", "snappy", "lz4", "zstd"],
            codec,
        )?;
        spec.same_partition = partitioning == Partitioning::Keep;
        let mut copies: u32 = 1;
        self.set("copies", process.copies.as_ref(), &mut copies, copies_of, "leave it out for 1")?;
        let (table_files, tables) = self.tables(&process.tables)?;
        let mut rule = self.rule(process, &names, (&table_files, &tables))?;
        self.are_looked_up(&rule, &process.tables, &tables)?;
        let registries = self.registries(process, &rule, &names)?;
        rule.set_multiplier(copies);
        spec.rename = Rename { names, ..Rename::default() };
        spec.transform = Some(Transform::new(TransformSpec {
            rule,
            partitioning,
            compression,
            create_dead_letter_topic: process.create_dead_letter_topic.unwrap_or(false),
            tables,
            registries,
        }));
        Ok(())
    }

    /// The registries that are named, which must be those that the rule needs.
    fn registries(
        &self,
        process: &ProcessSection,
        rule: &etl::Compiled,
        topics: &BTreeMap<String, String>,
    ) -> Result<Option<Registries>, Failure> {
        let [source, target] = match &process.registries {
            Some(section) => registry::build(self.place, section, self.env)?,
            None => [None, None],
        };
        let needs = Needs::of(rule.rule());
        let has_schemas = !process.schemas.is_empty();
        if let Some((end, what)) = needs.lacks(source.is_some(), target.is_some(), has_schemas) {
            let message = format!("rule: it {what} and needs the schema registry of the {end}");
            let cure = if end == "source" && !needs.translates {
                "name it under process.registries.source.url, or the files of all schemas under process.schemas".to_owned()
            } else {
                format!("name it under process.registries.{end}.url")
            };
            return Err(self.place.failure(process.rule.referenced, &message).cure(cure));
        }
        let is_any = source.is_some() || target.is_some();
        Ok(is_any.then(|| Registries::new(needs, source, target, topics.clone())))
    }

    /// Fields that only mean something where records are copied.
    fn without_copies(&self, section: &TaskSection) -> Result<(), Failure> {
        let text = |field: &Option<Text>| field.as_ref().map(|text| text.referenced);
        let first = |list: &[Text]| list.first().map(|text| text.referenced);
        let given = [
            ("sync", text(&section.sync)),
            ("topics", text(&section.topics)),
            ("include", first(&section.include)),
            ("exclude", first(&section.exclude)),
            ("rename", section.rename.as_ref().map(|rename| rename.referenced)),
            ("config_sync", text(&section.config_sync)),
            ("acl_sync", text(&section.acl_sync)),
            ("acl_write", text(&section.acl_write)),
            ("on_refused_record", text(&section.on_refused_record)),
        ];
        let found = given.into_iter().find_map(|(field, at)| at.map(|at| (field, at)));
        let Some((field, at)) = found else { return Ok(()) };
        let message = format!("{field}: has no meaning beside process");
        Err(self.place.failure(at, &message).cure(match field {
            "topics" | "include" | "exclude" | "rename" => {
                "name the topics, and where their outputs go, under process.topics"
            }
            "on_refused_record" => "the rule says under failure what becomes of such records",
            _ => "leave it out",
        }))
    }

    fn topics(
        &self,
        topics: &Spanned<BTreeMap<String, Text>>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        if topics.value.is_empty() {
            return Err(self
                .place
                .failure(topics.referenced, "topics: no topic is named")
                .cure("name at least one: SOURCE_TOPIC: TARGET_TOPIC"));
        }
        let mut targets = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (source, target) in &topics.value {
            let wrong = [source, &target.value].into_iter().find(|name| !is_topic(name));
            if let Some(name) = wrong {
                let message = format!("topics: {name:?} is no topic name");
                return Err(self
                    .place
                    .failure(target.referenced, &message)
                    .cure("topic names have 1 to 249 letters, digits, '.', '_' and '-'"));
            }
            if let Some(other) = targets.insert(target.value.clone(), source) {
                let message = format!("topics: {other} and {source} both go to {}", target.value);
                return Err(self
                    .place
                    .failure(target.referenced, &message)
                    .cure("give each a topic of its own, or let a task of its own write to it"));
            }
            names.insert(source.clone(), target.value.clone());
        }
        Ok(names)
    }

    /// The rule, ready to work on records of `topics`.
    fn rule(
        &self,
        process: &ProcessSection,
        topics: &BTreeMap<String, String>,
        (tables, followed): (&[NamedFile], &[TableTopic]),
    ) -> Result<etl::Compiled, Failure> {
        let path = self.place.resolve(Path::new(&process.rule.value));
        let here = |cause: &str| {
            let message = format!("rule: {}: {cause}", path.display());
            self.place.failure(process.rule.referenced, &message)
        };
        let wrong = |errors: &etl::RuleErrors| {
            here(&errors.to_string()).cure("see what it does with: kferry etl test -f RULE")
        };
        let rule = Rule::parse(&rule::text(&path)?).map_err(|errors| wrong(&errors))?;
        for (source, target) in topics {
            rule.check_topics(source, target).map_err(|errors| wrong(&errors))?;
        }
        let files = |files: &BTreeMap<String, Text>| -> Vec<NamedFile> {
            let files = files.iter();
            files
                .map(|(name, path)| NamedFile {
                    name: name.clone(),
                    path: self.place.resolve(Path::new(&path.value)),
                })
                .collect()
        };
        let (secrets, schemas) = (files(&process.secrets), files(&process.schemas));
        let followed: Vec<&str> = followed.iter().map(|topic| topic.table.as_str()).collect();
        let named = Named { secrets: &secrets, tables, followed: &followed, schemas: &schemas };
        rule::compile(&rule, &named).map_err(|unready| match unready {
            Unready::File(failure) => failure,
            Unready::Rule(errors) => wrong(&errors),
        })
    }
}

pub(super) fn is_topic(name: &str) -> bool {
    let rename = Rename { prefix: name.to_owned(), ..Rename::default() };
    (1..=249).contains(&name.len()) && rename.validate().is_ok()
}

fn codec(text: &str) -> Option<Option<Compression>> {
    Some(match text {
        "source" => None,
        "none" => Some(Compression::None),
        "gzip" => Some(Compression::Gzip),
        "snappy" => Some(Compression::Snappy),
        "lz4" => Some(Compression::Lz4),
        "zstd" => Some(Compression::Zstd),
        _ => return None,
    })
}

fn copies_of(text: &str) -> Result<u32, String> {
    let copies = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (1..=COPIES_MAX).contains(&copies) {
        Ok(copies)
    } else {
        Err(format!("{copies} is not between 1 and {COPIES_MAX}"))
    }
}
