//! Tasks as people write them: options, or a file with one task or a list of them.
//!
//! A file is checked whole before anything connects. What is wrong is told with line, column, the line itself and the cure.

mod process;
mod read;
mod section;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use clap::{Args as _, Command, FromArgMatches as _};
use replicate::spec::{
    RateLimit, Rename, SourcePolicies, StartPosition, TaskLimits, TaskSpec, TopicSelection,
    UnknownTarget, WorkerThreads,
};

use super::{Connection, Kind};
use crate::{
    cli::{StartArg, TaskArgs, TaskSettings, UnknownTargetArg},
    failure::Failure,
};

/// A task with everything it needs.
#[derive(Debug)]
pub(crate) struct TaskSetup {
    /// What is asked for.
    pub(crate) spec: TaskSpec,
    /// The cluster that is copied.
    pub(crate) source: Connection,
    /// The cluster it is copied to.
    pub(crate) target: Connection,
    /// Where it keeps its position.
    pub(crate) state: PathBuf,
    /// Whether the source is told how far the copy has come.
    pub(crate) has_position_group: bool,
}

/// The tasks of a command line: one, or those of its file.
///
/// # Errors
/// A usage [`Failure`] that says what is wrong, where, and how to put it right.
pub(crate) fn tasks(args: &TaskArgs) -> Result<Vec<TaskSetup>, Failure> {
    if let Some(file) = &args.file {
        return read::load(file);
    }
    let mut spec = spec(&args.settings);
    spec.validate().map_err(|error| Failure::usage("the options").because(&error))?;
    // The parser has seen to it that both are there.
    let source = super::connection("--source", args.source.as_deref().unwrap_or_default())?;
    let target = super::connection("--target", args.target.as_deref().unwrap_or_default())?;
    if target.kind == Kind::CrossNetwork {
        return Err(cross_network_target("--target"));
    }
    spec.group_auto_create = target.group_auto_create;
    let state = args.settings.state.clone().unwrap_or_else(|| default_state(&spec));
    let has_position_group = args.settings.position_group;
    Ok(vec![TaskSetup { spec, source, target, state, has_position_group }])
}

/// The tasks of a file.
///
/// # Errors
/// As [`tasks`].
pub(crate) fn load(file: &Path) -> Result<Vec<TaskSetup>, Failure> {
    read::load(file)
}

/// The tasks of a command line, which must be such that copy.
///
/// # Errors
/// As [`tasks`].
pub(crate) fn copies(args: &TaskArgs) -> Result<Vec<TaskSetup>, Failure> {
    let setups = tasks(args)?;
    match setups.iter().find(|setup| setup.spec.transform.is_some()) {
        None => Ok(setups),
        Some(found) => {
            let name = found.spec.name.as_str();
            Err(Failure::usage(format!("task {name} processes records: it makes no copy")).cure(
                "see what its rule does with: kferry etl test -f RULE --fetch CONNECTION TOPIC",
            ))
        }
    }
}

/// The JSON Schema of a task file.
pub(crate) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(section::EitherSection).to_value();
    tidy(&mut schema);
    schema
}

/// Doc comments are broken where the source code's lines end, and an `Option` counts as a default: nobody else wants either.
fn tidy(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.retain(|key, value| key != "default" || !value.is_null());
            for (key, value) in members {
                match value.as_str() {
                    Some(text) if key == "description" => *value = text.replace('\n', " ").into(),
                    _ => tidy(value),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// A connection of kind `cross_network` is reached through a gateway that forwards reads only.
pub(crate) fn cross_network_target(what: &str) -> Failure {
    Failure::usage(format!("{what}: a connection of kind cross_network can only be a source"))
        .cure("use a connection of kind direct as the target")
}

fn default_state(spec: &TaskSpec) -> PathBuf {
    Path::new("kferry-state").join(spec.name.as_str())
}

/// The settings of a command line that names none.
fn default_settings() -> Result<TaskSettings, Failure> {
    TaskSettings::augment_args(Command::new("task").no_binary_name(true))
        .try_get_matches_from::<_, &str>([])
        .and_then(|matches| TaskSettings::from_arg_matches(&matches))
        .map_err(|error| Failure::failed("the default settings").because(&error))
}

/// What the settings ask for; whether they go together is looked at by [`TaskSpec::validate`].
fn spec(settings: &TaskSettings) -> TaskSpec {
    let mut spec = TaskSpec::new(settings.name.clone());
    spec.worker_threads = WorkerThreads::Own;
    spec.sync = settings.sync.into();
    let include = settings.topics.iter().chain(&settings.include).cloned().collect();
    spec.topics = TopicSelection::of(include, settings.exclude.clone());
    spec.rename = Rename {
        prefix: settings.rename_prefix.clone(),
        suffix: settings.rename_suffix.clone(),
        replace: settings.rename_match.clone().zip(settings.rename_to.clone()),
        ..Rename::default()
    };
    spec.start = match settings.start {
        StartArg::Earliest => StartPosition::Earliest,
        StartArg::Latest => StartPosition::Latest,
        StartArg::Time(milliseconds) => StartPosition::Timestamp(milliseconds),
    };
    spec.same_partition = settings.same_partition;
    spec.config_sync = settings.config_sync;
    spec.acl_sync = settings.acl_sync;
    spec.acl_write = settings.acl_write;
    spec.refused_record = settings.on_refused_record;
    spec.source_policies = SourcePolicies {
        retention: settings.on_retention,
        truncation: settings.on_truncation,
        recreated: settings.on_recreated,
    };
    spec.on_unknown_target = match settings.on_unknown_target {
        UnknownTargetArg::Stop => UnknownTarget::Stop,
        UnknownTargetArg::Append => UnknownTarget::Append,
        UnknownTargetArg::Adopt => UnknownTarget::Adopt,
    };
    let limits = &mut spec.limits;
    limits.rate = RateLimit {
        bytes_per_second: settings.max_bytes_per_second,
        records_per_second: settings.max_records_per_second,
    };
    set_buffer(limits, settings.buffer);
    if !settings.merge_batches {
        limits.coalesce_below_bytes = 0;
        limits.coalesce_packed_below_bytes = 0;
    }
    limits.concurrency_max = settings.concurrency.get();
    limits.request_lifetime = settings.request_lifetime;
    limits.metadata_interval = settings.metadata_interval;
    limits.discovery_interval = settings.discovery_interval;
    limits.group_interval = settings.group_interval;
    limits.group_keep_alive = settings.group_keep_alive;
    spec
}

/// A size that was asked for is never exceeded.
fn set_buffer(limits: &mut TaskLimits, buffer: Option<NonZeroU64>) {
    if let Some(buffer) = buffer {
        let bytes = usize::try_from(buffer.get()).unwrap_or(usize::MAX);
        limits.in_flight_bytes_max = bytes;
        limits.in_flight_far_bytes_max = bytes;
    }
}
