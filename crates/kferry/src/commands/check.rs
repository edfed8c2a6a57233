//! `kferry check`: a connection validated step by step.

use std::sync::Arc;

use kafka_client::{
    Client,
    preflight::{self, Options, Outcome, Report, Role, Step},
};
use replicate::spec::AclSync;
use serde::Serialize;

use crate::{
    cli::{CheckArgs, RoleArg, SyncArg},
    config,
    failure::Failure,
    output::{Output, text, text::Paint},
};

/// Validates one connection and prints each step as it ends.
///
/// # Errors
/// A [`Failure`] when the configuration is wrong, or when a step failed.
pub(crate) async fn run(args: CheckArgs, output: &Output) -> Result<(), Failure> {
    let connection = config::connection("CONNECTION", &args.connection)?;
    let role = match args.role {
        RoleArg::Source => Role::Source,
        RoleArg::Target => Role::Target,
    };
    if role == Role::Target && connection.kind == config::Kind::CrossNetwork {
        return Err(config::task::cross_network_target(&args.connection));
    }
    let paint = Paint::stdout();
    if let Some(description) = &connection.description {
        output.text(&format!("{}: {description}", text::safe(&connection.config.name)));
    }
    warn_unverified(&connection);
    let mut options = Options::full(role);
    if args.sync == SyncArg::MetadataDataOffsets {
        options = options.with_groups();
    }
    if args.acl_sync != AclSync::None {
        options = options.with_acls();
    }
    if let Some(topics) = args.topics {
        options = options.with_topics(Arc::new(move |name| topics.matches(name)));
    }
    let report =
        preflight::run(&connection.config, &options, &mut |step| show(step, output, paint)).await;
    finish(&report, role, output, paint)
}

/// The client of a connection; says so when certificates are not verified.
pub(crate) fn client(connection: &config::Connection) -> Result<Client, Failure> {
    warn_unverified(connection);
    Client::new(connection.config.clone()).map_err(|error| {
        Failure::usage(connection.config.name.clone()).because(&error).maybe_cure(error.cure())
    })
}

fn warn_unverified(connection: &config::Connection) {
    if connection.config.tls.as_ref().is_some_and(|tls| !tls.verify) {
        tracing::warn!(
            cluster = connection.config.name,
            "TLS certificates are not verified: the peer may be anyone"
        );
    }
}

fn finish(report: &Report, role: Role, output: &Output, paint: Paint) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Verdict<'a> {
        r#type: &'static str,
        ok: bool,
        role: Role,
        cluster_id: Option<&'a str>,
        steps: usize,
        failed: usize,
    }
    let failed = report.failures().count();
    output.json(&Verdict {
        r#type: "result",
        ok: failed == 0,
        role,
        cluster_id: report.cluster_id.as_deref(),
        steps: report.steps.len(),
        failed,
    });
    if failed == 0 {
        output.text(&paint.good(&format!("usable as {role}")));
        return Ok(());
    }
    let steps = if failed == 1 { "1 step".to_owned() } else { format!("{failed} steps") };
    output.text(&paint.bad(&format!("not usable as {role}: {steps} failed")));
    Err(Failure::told())
}

fn show(step: &Step, output: &Output, paint: Paint) {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        step: &'a Step,
    }
    output.json(&Line { r#type: "step", step });
    if !output.is_json() {
        for line in lines(step, paint) {
            output.text(&line);
        }
    }
}

/// A step as text: mark, name, subject, detail, time; the cure on a line of its own.
fn lines(step: &Step, paint: Paint) -> Vec<String> {
    let (mark, detail, cure) = match &step.outcome {
        Outcome::Passed { detail } => (paint.good("✓"), detail, None),
        Outcome::Warned { cause, cure } => (paint.odd("!"), cause, cure.as_ref()),
        Outcome::Failed { cause, cure } => (paint.bad("✗"), cause, cure.as_ref()),
        Outcome::Unknown { cause } => (paint.odd("?"), cause, None),
        _ => (paint.odd("?"), &step.subject, None),
    };
    let mut line = format!("{mark} {:<12} {}", step.kind.to_string(), text::safe(&step.subject));
    if !detail.is_empty() {
        line.push_str(": ");
        line.push_str(&text::safe(detail));
    }
    if !step.elapsed.is_zero() {
        line.push_str(&paint.dim(&format!("  ({})", text::duration(step.elapsed))));
    }
    let mut lines = vec![line];
    lines.extend(cure.map(|cure| format!("  cure: {}", text::safe(cure))));
    lines
}
