//! `kferry sync`: one task from command line arguments, shown while it runs.

mod session;
mod summary;

use std::{path::PathBuf, sync::Arc, time::Duration};

use kafka_client::{
    Client,
    preflight::{self, AbsentBroker, Options, Outcome, Role, Step},
};
use replicate::{
    journal::{Journal, RedbJournal},
    spec::{
        RateLimit, SourcePolicies, StartPosition, SyncMode, TaskSpec, TopicSelection, UnknownTarget,
    },
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::session::Session;
use crate::{
    cli::{StartArg, SyncArg, SyncArgs, UnknownTargetArg},
    commands::{check, offsets},
    config::{self, Connection},
    failure::Failure,
    output::{Output, text},
    signals,
};

/// The file in the state directory.
pub(crate) const STATE_FILE: &str = "task.redb";

/// Copies one cluster to another until done or told to stop.
///
/// # Errors
/// A usage [`Failure`] for arguments that do not go together; otherwise what stopped the task.
pub(crate) async fn run(args: SyncArgs, output: &Output) -> Result<(), Failure> {
    let mut spec = spec(&args)?;
    let source = config::connection("--source", &args.source)?;
    let target = config::connection("--target", &args.target)?;
    if target.kind == config::Kind::CrossNetwork {
        return Err(check::cross_network_target("--target"));
    }
    spec.group_auto_create = target.group_auto_create;
    let state =
        args.state.unwrap_or_else(|| PathBuf::from("kferry-state").join(spec.name.as_str()));
    // Before anything connects: a second process on the same state is told so at once.
    let journal = RedbJournal::open(state.join(STATE_FILE)).map_err(|error| {
        Failure::failed(format!("--state {}", state.display()))
            .because(&error)
            .maybe_cure(error.cure())
    })?;
    let shutdown = signals::shutdown_token(output)?;
    let Some((source, target)) = connect(&source, &target, output, &shutdown).await? else {
        return Err(interrupted());
    };
    let absent = [("source", source.absent), ("target", target.absent)];
    let (source, target) = (source.client, target.client);
    let once = spec.once;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let _served = offsets::serve(&state, Arc::clone(&journal))
        .inspect_err(|error| {
            tracing::warn!(%error, "`kferry offsets` cannot ask this process: no socket in the state directory");
        })
        .ok();
    let session = Session { spec, source, target, journal, shutdown, absent: absent.into() };
    let report = session.run(output).await?;
    summary::show(&report, output);
    if report.is_interrupted && once {
        return Err(interrupted());
    }
    summary::verdict(&report, once)
}

fn interrupted() -> Failure {
    Failure::failed("interrupted before everything was copied")
        .cure("run the same command again: it continues where this run ended")
}

fn spec(args: &SyncArgs) -> Result<TaskSpec, Failure> {
    let mut spec = TaskSpec::new(args.name.clone());
    spec.sync = match args.sync {
        SyncArg::Metadata => SyncMode::Metadata,
        SyncArg::MetadataData => SyncMode::MetadataData,
        SyncArg::MetadataDataOffsets => SyncMode::MetadataDataOffsets,
    };
    spec.topics = args.topics.clone().map_or(TopicSelection::All, TopicSelection::Regex);
    spec.start = match args.start {
        StartArg::Earliest => StartPosition::Earliest,
        StartArg::Latest => StartPosition::Latest,
        StartArg::Time(milliseconds) => StartPosition::Timestamp(milliseconds),
    };
    spec.same_partition = args.same_partition;
    spec.once = args.once;
    spec.refused_record = args.on_refused_record;
    spec.source_policies = SourcePolicies {
        retention: args.on_retention,
        truncation: args.on_truncation,
        recreated: args.on_recreated,
    };
    spec.on_unknown_target = match args.on_unknown_target {
        UnknownTargetArg::Stop => UnknownTarget::Stop,
        UnknownTargetArg::Append => UnknownTarget::Append,
        UnknownTargetArg::Adopt => UnknownTarget::Adopt,
    };
    spec.limits.rate = RateLimit {
        bytes_per_second: args.max_bytes_per_second,
        records_per_second: args.max_records_per_second,
    };
    spec.limits.in_flight_bytes_max = usize::try_from(args.buffer.get()).unwrap_or(usize::MAX);
    if !args.merge_batches {
        spec.limits.coalesce_below_bytes = 0;
        spec.limits.coalesce_packed_below_bytes = 0;
    }
    spec.limits.concurrency_max = args.concurrency.get();
    spec.limits.request_lifetime = Duration::from_secs(args.request_lifetime);
    spec.validate().map_err(|error| Failure::usage("--sync and --topics").because(&error))?;
    Ok(spec)
}

/// Validates both ends up to the brokers, at the same time; nothing when told to stop meanwhile.
async fn connect(
    source: &Connection,
    target: &Connection,
    output: &Output,
    shutdown: &CancellationToken,
) -> Result<Option<(Reached, Reached)>, Failure> {
    let ends = async {
        tokio::join!(
            reach("--source", Role::Source, source, output),
            reach("--target", Role::Target, target, output)
        )
    };
    let (source, target) = tokio::select! {
        ends = ends => ends,
        () = shutdown.cancelled() => return Ok(None),
    };
    let (source, target) = (source?, target?);
    if let (Some(source_id), Some(target_id)) = (&source.cluster_id, &target.cluster_id)
        && source_id == target_id
    {
        return Err(Failure::failed(format!("--source and --target are the same cluster ({source_id}): the copy would feed on itself"))
            .cure("give two different clusters"));
    }
    Ok(Some((source, target)))
}

/// An end that can be worked with.
struct Reached {
    client: Client,
    cluster_id: Option<String>,
    /// Brokers that do not answer yet.
    absent: Vec<AbsentBroker>,
}

async fn reach(
    flag: &str,
    role: Role,
    connection: &Connection,
    output: &Output,
) -> Result<Reached, Failure> {
    let client = check::client(connection)?;
    let name = &connection.config.name;
    let report = preflight::run(&connection.config, &Options::reach(role), &mut |step: &Step| {
        tracing::debug!(step = %step.kind, subject = step.subject, outcome = ?step.outcome, "{role} validated");
    })
    .await;
    let Some(step) = report.failures().next() else {
        let brokers =
            report.steps.iter().filter(|step| step.kind == preflight::StepKind::Broker).count();
        let id = report.cluster_id.as_deref().unwrap_or("without an id");
        output.note(&format!(
            "{role} {}: cluster {id}, {brokers} {}",
            text::safe(name),
            if brokers == 1 { "broker" } else { "brokers" }
        ));
        return Ok(Reached { client, cluster_id: report.cluster_id, absent: report.absent });
    };
    let (cause, cure) = match &step.outcome {
        Outcome::Failed { cause, cure } => (cause.as_str(), cure.clone()),
        _ => ("", None),
    };
    let failure = Failure::failed(format!(
        "{flag} {name}: {} {}: {cause}",
        step.kind,
        text::safe(&step.subject)
    ));
    Err(failure.maybe_cure(cure))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(rest: &str) -> Result<TaskSpec, String> {
        let line = format!("kferry sync --source a:1 --target b:1 {rest}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Command::Sync(args) => spec(&args).map_err(|failure| failure.to_string()),
            _ => panic!("not a sync"),
        }
    }

    #[test]
    fn defaults() {
        let spec = parse("").unwrap();
        assert_eq!(
            (spec.name.as_str(), spec.sync, spec.start, spec.same_partition, spec.once),
            ("sync", SyncMode::MetadataData, StartPosition::Earliest, true, false)
        );
        assert_eq!(spec.topics, TopicSelection::All);
    }

    #[test]
    fn expressions_match_whole_names() {
        let spec = parse("--topics a|b --same-partition false --once --start 5").unwrap();
        assert!(spec.topics.matches("a") && !spec.topics.matches("ab"));
        assert_eq!(
            (spec.same_partition, spec.once, spec.start),
            (false, true, StartPosition::Timestamp(5))
        );
    }

    #[test]
    fn offsets_need_all_topics() {
        let spec = parse("--sync metadata_data_offsets").unwrap();
        assert_eq!(spec.sync, SyncMode::MetadataDataOffsets);
        let error = parse("--sync metadata_data_offsets --topics a").unwrap_err();
        assert!(error.contains("all topics"), "{error}");
        let error = parse("--sync metadata --topics a").unwrap_err();
        assert!(error.contains("metadata_data"), "{error}");
    }
}
