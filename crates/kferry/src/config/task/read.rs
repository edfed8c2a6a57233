//! From what stands in a task file to what it means.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
};

use clap::ValueEnum as _;
use kafka_client::BrokerAddress;
use replicate::spec::{Rename, SpecError, TaskSpec, TopicPattern};
use serde::de::IgnoredAny;
use serde_saphyr::{Location, Spanned};

use super::{
    Connection, Kind, TaskSetup, default_settings, default_state,
    section::{Endpoint, ListSection, RenameSection, TaskSection, Text},
    set_buffer, spec,
};
use crate::{
    cli::{
        SyncArg, TaskSettings, UnknownTargetArg,
        values::{duration, request_lifetime, size, start},
    },
    config::{
        connection, file, looks_like_file, nearest,
        place::{Place, read_text},
    },
    failure::Failure,
};

pub(super) const SIZE: &str = "write a number with its unit, such as 500kB, 20MB or 64MiB";
const DURATION: &str = "write a number with its unit, such as 500ms, 30s, 5m or 24h";
const COUNT: &str = "write a whole number above 0";
const PATTERN: &str = "mend the expression; in single quotes a backslash is one: 'orders\\..*'";
const ENDPOINT: &str = "give HOST:PORT, several separated by commas, the path of a connection file ending in .yaml, or a connection with bootstrap";
const NAME: &str = "use letters, digits, '_', '-' and '.', up to 64";

/// The environment, as a question.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads and checks a task file, with everything it refers to.
pub(super) fn load(path: &Path) -> Result<Vec<TaskSetup>, Failure> {
    let text = read_text(path, "task file", "give the path of a readable task file")?;
    parse(path, &text, &|name| std::env::var(name).ok())
}

pub(super) fn parse(path: &Path, text: &str, env: Env<'_>) -> Result<Vec<TaskSetup>, Failure> {
    let place = Place { path, text };
    let reader = Reader { place: &place, env };
    if is_list(text) { reader.list(place.parse()?) } else { Ok(vec![reader.task(place.parse()?)?]) }
}

/// Whether the file holds a list of tasks. What cannot be read at all is told by whoever reads it as a task.
fn is_list(text: &str) -> bool {
    serde_saphyr::from_str::<BTreeMap<String, IgnoredAny>>(text)
        .is_ok_and(|members| members.contains_key("tasks"))
}

pub(super) struct Reader<'a> {
    pub(super) place: &'a Place<'a>,
    pub(super) env: Env<'a>,
}

impl Reader<'_> {
    fn list(&self, list: ListSection) -> Result<Vec<TaskSetup>, Failure> {
        let ListSection { tasks, buffer } = list;
        if tasks.value.is_empty() {
            return Err(self
                .place
                .failure(tasks.referenced, "the list of tasks is empty")
                .cure("describe at least one task"));
        }
        let mut shared = default_settings()?.buffer;
        self.set("buffer", buffer.as_ref(), &mut shared, |text| size(text).map(Some), SIZE)?;
        let mut names = BTreeMap::new();
        let mut states = BTreeMap::new();
        let mut setups = Vec::new();
        for task in tasks.value {
            if let Some(buffer) = &task.value.buffer {
                return Err(self
                    .place
                    .failure(buffer.referenced, "buffer: the tasks of a list share one buffer")
                    .cure("write buffer beside tasks, for all of them together"));
            }
            let place_of = |field: &Option<Text>| {
                field.as_ref().map_or(task.referenced, |text| text.referenced)
            };
            let (name_at, state_at) = (place_of(&task.value.name), place_of(&task.value.state));
            let mut setup = self.task(task.value)?;
            set_buffer(&mut setup.spec.limits, shared);
            if let Some(line) = names.insert(setup.spec.name.to_string(), name_at.line()) {
                let message = format!(
                    "two tasks are named {}: the other one is on line {line}",
                    setup.spec.name
                );
                return Err(self
                    .place
                    .failure(name_at, &message)
                    .cure("give every task of the list a name of its own"));
            }
            if let Some(other) = states.insert(setup.state.clone(), setup.spec.name.to_string()) {
                let message = format!(
                    "state: {} is the state of task {other} already",
                    setup.state.display()
                );
                return Err(self
                    .place
                    .failure(state_at, &message)
                    .cure("give every task a directory of its own, or leave state out"));
            }
            setups.push(setup);
        }
        Ok(setups)
    }

    fn task(&self, section: TaskSection) -> Result<TaskSetup, Failure> {
        let settings = self.settings(&section)?;
        let mut spec = spec(&settings);
        spec.once = section.once.unwrap_or(false);
        self.goes_together(&section, &spec)?;
        if let Some(process) = &section.process {
            self.process(&section, process, &mut spec)?;
        }
        let TaskSection { source, target, .. } = section;
        let (source_at, target_at) = (source.referenced, target.referenced);
        let source = self.endpoint("source", source)?.0;
        let (target, kind_at) = self.endpoint("target", target)?;
        if target.kind == Kind::CrossNetwork {
            let message = "target: a connection of kind cross_network can only be a source";
            return Err(self
                .place
                .failure(kind_at.unwrap_or(target_at), message)
                .cure("use a connection of kind direct as the target"));
        }
        let shared =
            source.config.bootstrap.iter().find(|one| target.config.bootstrap.contains(one));
        if let Some(address) = shared.filter(|_| spec.rename.is_none()) {
            let message = format!(
                "source (line {}) and target both name {address}: the copy would feed on itself",
                source_at.line()
            );
            return Err(self
                .place
                .failure(target_at, &message)
                .cure("name two different clusters, or rename the topics"));
        }
        spec.group_auto_create = target.group_auto_create;
        let has_position_group = settings.position_group;
        let state = settings.state.unwrap_or_else(|| default_state(&spec));
        Ok(TaskSetup { spec, source, target, state, has_position_group })
    }

    /// The settings of a section, each read as the command line reads it.
    fn settings(&self, section: &TaskSection) -> Result<TaskSettings, Failure> {
        let mut to = default_settings()?;
        self.set("name", section.name.as_ref(), &mut to.name, str::parse, NAME)?;
        self.choice(
            "sync",
            section.sync.as_ref(),
            &mut to.sync,
            &["metadata", "metadata_data", "metadata_data_offsets"],
            |text| SyncArg::from_str(text, false).ok(),
        )?;
        to.topics = section.topics.as_ref().map(|text| self.pattern("topics", text)).transpose()?;
        to.include = self.patterns("include", &section.include)?;
        to.exclude = self.patterns("exclude", &section.exclude)?;
        if let Some(rename) = &section.rename {
            self.rename(rename, &mut to)?;
        }
        self.set(
            "start",
            section.start.as_ref(),
            &mut to.start,
            start,
            "leave start out for the whole history",
        )?;
        self.choice(
            "config_sync",
            section.config_sync.as_ref(),
            &mut to.config_sync,
            &["once", "follow"],
            |text| text.parse().ok(),
        )?;
        self.choice(
            "acl_sync",
            section.acl_sync.as_ref(),
            &mut to.acl_sync,
            &["none", "topics", "all"],
            |text| text.parse().ok(),
        )?;
        self.choice(
            "acl_write",
            section.acl_write.as_ref(),
            &mut to.acl_write,
            &["withhold", "copy"],
            |text| text.parse().ok(),
        )?;
        self.choice(
            "on_refused_record",
            section.on_refused_record.as_ref(),
            &mut to.on_refused_record,
            &["stop", "skip"],
            |text| text.parse().ok(),
        )?;
        let loss = ["stop", "continue"];
        self.choice(
            "on_retention",
            section.on_retention.as_ref(),
            &mut to.on_retention,
            &loss,
            |text| text.parse().ok(),
        )?;
        self.choice(
            "on_truncation",
            section.on_truncation.as_ref(),
            &mut to.on_truncation,
            &loss,
            |text| text.parse().ok(),
        )?;
        self.choice(
            "on_recreated",
            section.on_recreated.as_ref(),
            &mut to.on_recreated,
            &["stop", "continue", "new_topic"],
            |text| text.parse().ok(),
        )?;
        self.choice(
            "on_unknown_target",
            section.on_unknown_target.as_ref(),
            &mut to.on_unknown_target,
            &["stop", "append", "adopt"],
            |text| UnknownTargetArg::from_str(text, false).ok(),
        )?;
        if let Some(state) = &section.state {
            to.state = Some(self.state(state)?);
        }
        self.set(
            "max_bytes_per_second",
            section.max_bytes_per_second.as_ref(),
            &mut to.max_bytes_per_second,
            |text| size(text).map(Some),
            SIZE,
        )?;
        self.set(
            "max_records_per_second",
            section.max_records_per_second.as_ref(),
            &mut to.max_records_per_second,
            |text| text.parse().map(Some),
            COUNT,
        )?;
        let buffer = |text: &str| size(text).map(Some);
        self.set("buffer", section.buffer.as_ref(), &mut to.buffer, buffer, SIZE)?;
        self.set(
            "concurrency",
            section.concurrency.as_ref(),
            &mut to.concurrency,
            str::parse,
            COUNT,
        )?;
        self.set(
            "request_lifetime",
            section.request_lifetime.as_ref(),
            &mut to.request_lifetime,
            request_lifetime,
            DURATION,
        )?;
        for (field, given, slot) in [
            ("metadata_interval", &section.metadata_interval, &mut to.metadata_interval),
            ("discovery_interval", &section.discovery_interval, &mut to.discovery_interval),
            ("group_interval", &section.group_interval, &mut to.group_interval),
            ("group_keep_alive", &section.group_keep_alive, &mut to.group_keep_alive),
        ] {
            self.set(field, given.as_ref(), slot, duration, DURATION)?;
        }
        to.same_partition = section.same_partition.unwrap_or(to.same_partition);
        to.position_group = section.position_group.unwrap_or(to.position_group);
        to.merge_batches = section.merge_batches.unwrap_or(to.merge_batches);
        Ok(to)
    }

    /// Reads a field that is there.
    pub(super) fn set<T, E: Display>(
        &self,
        field: &str,
        given: Option<&Text>,
        slot: &mut T,
        read: impl Fn(&str) -> Result<T, E>,
        cure: &str,
    ) -> Result<(), Failure> {
        let Some(given) = given else { return Ok(()) };
        *slot = read(&given.value).map_err(|error| {
            self.place.failure(given.referenced, &format!("{field}: {error}")).cure(cure)
        })?;
        Ok(())
    }

    /// Reads a field that takes one of a few words.
    pub(super) fn choice<T>(
        &self,
        field: &str,
        given: Option<&Text>,
        slot: &mut T,
        known: &[&str],
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<(), Failure> {
        let Some(given) = given else { return Ok(()) };
        *slot = read(&given.value).ok_or_else(|| {
            let message = format!("{field}: {:?} is none of {}", given.value, known.join(", "));
            self.place.failure(given.referenced, &message).cure(nearest::among(&given.value, known))
        })?;
        Ok(())
    }

    fn pattern(&self, field: &str, text: &Text) -> Result<TopicPattern, Failure> {
        text.value.parse().map_err(|error: SpecError| {
            self.place.failure(text.referenced, &format!("{field}: {error}")).cure(PATTERN)
        })
    }

    fn patterns(&self, field: &str, list: &[Text]) -> Result<Vec<TopicPattern>, Failure> {
        list.iter().map(|text| self.pattern(field, text)).collect()
    }

    fn rename(
        &self,
        section: &Spanned<RenameSection>,
        to: &mut TaskSettings,
    ) -> Result<(), Failure> {
        let RenameSection { prefix, suffix, r#match, to: text } = &section.value;
        for (given, slot) in [(prefix, &mut to.rename_prefix), (suffix, &mut to.rename_suffix)] {
            if let Some(given) = given {
                slot.clone_from(&given.value);
                let rename = Rename { prefix: given.value.clone(), ..Rename::default() };
                self.renames("rename", given, &rename)?;
            }
        }
        match (r#match, text) {
            (None, None) => {}
            (Some(pattern), Some(text)) => {
                let pattern = self.pattern("match", pattern)?;
                let replace = Some((pattern.clone(), text.value.clone()));
                self.renames("to", text, &Rename { replace, ..Rename::default() })?;
                to.rename_match = Some(pattern);
                to.rename_to = Some(text.value.clone());
            }
            (Some(alone), None) | (None, Some(alone)) => {
                let message = "rename: match and to go together";
                return Err(self
                    .place
                    .failure(alone.referenced, message)
                    .cure("write both, or prefix and suffix alone"));
            }
        }
        Ok(())
    }

    /// Whether names come out of it that topics can have.
    fn renames(&self, field: &str, text: &Text, rename: &Rename) -> Result<(), Failure> {
        rename.validate().map_err(|error| {
            self.place
                .failure(text.referenced, &format!("{field}: {error}"))
                .cure("use letters, digits, '_', '-', '.', and ${1} for the first group of match")
        })
    }

    fn state(&self, state: &Text) -> Result<PathBuf, Failure> {
        if state.value.trim().is_empty() {
            return Err(self
                .place
                .failure(state.referenced, "state: the path is empty")
                .cure("name a directory, or leave state out for kferry-state/NAME"));
        }
        Ok(self.place.resolve(Path::new(&state.value)))
    }

    /// Whether the settings go together; the place is that of the one that does not.
    fn goes_together(&self, section: &TaskSection, spec: &TaskSpec) -> Result<(), Failure> {
        // The command line cannot tell a start that was given from the default.
        let start = section.start.as_ref().filter(|_| !spec.sync.copies_data());
        let error = match (start, spec.validate()) {
            (Some(_), Ok(())) => SpecError::StartNeedsData,
            (None, Ok(())) => return Ok(()),
            (_, Err(error)) => error,
        };
        let mut selection = section.topics.iter().chain(&section.include).chain(&section.exclude);
        let topics = selection.next().cloned();
        let (field, cure) = match &error {
            SpecError::OffsetsNeedAllTopics => {
                (&topics, "leave topics, include and exclude out, or write sync: metadata_data")
            }
            SpecError::PatternNeedsData => {
                (&topics, "leave topics, include and exclude out, or write sync: metadata_data")
            }
            SpecError::StartNeedsData => {
                (&section.start, "leave start out, or write sync: metadata_data")
            }
            SpecError::AclsNeedCopies => (&section.acl_sync, "leave acl_sync out"),
            SpecError::Limit { name, .. } => match *name {
                "metadata_interval" => {
                    (&section.metadata_interval, "write at least 5s, or leave it out for 3m")
                }
                "discovery_interval" => {
                    (&section.discovery_interval, "write more than 0, or leave it out for 10s")
                }
                "group_interval" => {
                    (&section.group_interval, "write at least 500ms, or leave it out for 2s")
                }
                "group_keep_alive" => {
                    (&section.group_keep_alive, "write at least 1m, or leave it out for 24h")
                }
                _ => (&None, ""),
            },
            _ => (&None, ""),
        };
        Err(match field {
            Some(text) => self.place.failure(text.referenced, &error.to_string()).cure(cure),
            None => Failure::usage(self.place.path.display().to_string()).because(&error),
        })
    }

    /// A connection, and where its kind stands if it stands here.
    fn endpoint(
        &self,
        field: &str,
        given: Spanned<Endpoint>,
    ) -> Result<(Connection, Option<Location>), Failure> {
        let at = given.referenced;
        match given.value {
            Endpoint::Inline(section) => {
                let kind_at = section.kind.as_ref().map(|kind| kind.referenced);
                Ok((connection::build(self.place, *section, field, self.env)?, kind_at))
            }
            Endpoint::Text(text) => Ok((self.named(field, &text, at)?, None)),
            Endpoint::Other => {
                let message = format!("{field}: neither addresses nor a connection");
                Err(self.place.failure(at, &message).cure(ENDPOINT))
            }
        }
    }

    /// A connection by its addresses or the path of its file.
    fn named(&self, field: &str, text: &str, at: Location) -> Result<Connection, Failure> {
        let path = self.place.resolve(Path::new(text));
        if looks_like_file(text) || path.is_file() {
            if let Err(error) = std::fs::metadata(&path) {
                let message =
                    format!("{field}: cannot read the connection file {}: {error}", path.display());
                return Err(self
                    .place
                    .failure(at, &message)
                    .cure("a path is meant from where the task file is"));
            }
            return file::load(&path);
        }
        BrokerAddress::parse_list(text)
            .map(Connection::at)
            .map_err(|error| self.place.failure(at, &format!("{field}: {error}")).cure(ENDPOINT))
    }
}
