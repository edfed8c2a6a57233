//! `kferry etl test`: what a rule makes of messages.

use std::collections::BTreeMap;

use etl::{Compiled, Scratch};
use jiff::Timestamp;
use replicate::registry::{Needs, Registries, RegistryClient, RegistryConfig};
use serde::Serialize;

use super::{
    rule_file,
    sample::{self, Sample},
    show, topic,
};
use crate::{
    cli::{TestArgs, TopicAt},
    failure::Failure,
    output::{
        Output,
        text::{self, Paint},
    },
};

/// How messages ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Delivered,
    /// The rule leaves it out.
    Left,
    Failed,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    messages: usize,
    delivered: usize,
    filtered: usize,
    failed: usize,
    /// Records that would be written.
    outputs: usize,
}

/// Tries a rule on each message.
///
/// # Errors
/// A [`Failure`]: the rule or the command line is wrong, or a message fails (told already).
pub(super) async fn run(args: &TestArgs, output: &Output) -> Result<(), Failure> {
    let rule = rule_file::load(&args.rule, output)?;
    let compiled = rule_file::compile(&rule, args, output)?;
    let now = args.now.unwrap_or_else(Timestamp::now);
    let samples = samples(args, rule.sample.as_deref(), now).await?;
    for warning in compiled.warnings() {
        output.note(&format!("warning: {}", text::safe(warning)));
    }
    // What is remembered is remembered for each partition, as in a task.
    let mut memories: BTreeMap<i32, Scratch> = BTreeMap::new();
    let mut totals = Totals::default();
    let paint = Paint::stdout();
    let registries = registries(args, &compiled)?;
    for (index, sample) in samples.iter().enumerate() {
        fetch_schema(sample, &compiled, now, registries.as_ref(), output).await?;
        let scratch = memories.entry(sample.partition).or_default();
        let (ending, records) = sample.explain(&compiled, now, scratch, |explanation| {
            show::message(index + 1, sample, explanation, output, paint)
        });
        totals.messages += 1;
        totals.outputs += records;
        match ending {
            Ending::Delivered => totals.delivered += 1,
            Ending::Left => totals.filtered += 1,
            Ending::Failed => totals.failed += 1,
        }
        if output.is_closed() {
            break;
        }
    }
    finish(&totals, output)
}

async fn samples(
    args: &TestArgs,
    content: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Sample>, Failure> {
    let [connection, place] = args.fetch.as_slice() else {
        return sample::of_command_line(args, content, now);
    };
    let at: TopicAt =
        place.parse().map_err(|cause| Failure::usage(format!("--fetch {place}: {cause}")))?;
    let count = usize::try_from(args.count).unwrap_or(usize::MAX);
    topic::fetch("--fetch", connection, &at, count).await
}

/// The registry of the command line. Nothing is registered anywhere: ids are not translated.
fn registries(args: &TestArgs, compiled: &Compiled) -> Result<Option<Registries>, Failure> {
    let Some(url) = &args.registry else { return Ok(None) };
    let client = RegistryClient::new(RegistryConfig::new(url.clone()))
        .map_err(|error| Failure::failed("--registry").because(&error))?;
    let needs = Needs { translates: false, subject: None, ..Needs::of(compiled.rule()) };
    Ok(Some(Registries::new(needs, Some(client), None, BTreeMap::new())))
}

/// Gets the schema that the rule lacks for a message.
async fn fetch_schema(
    sample: &Sample,
    compiled: &Compiled,
    now: Timestamp,
    registries: Option<&Registries>,
    output: &Output,
) -> Result<(), Failure> {
    let Some(registries) = registries else { return Ok(()) };
    let Some(id) = sample.missing_schema(compiled, now) else { return Ok(()) };
    match registries.fetch(compiled, id, &sample.topic).await {
        Ok(None) => Ok(()),
        Ok(Some(cause)) => {
            output.note(&format!("warning: {}", text::safe(&cause)));
            Ok(())
        }
        Err(error) => Err(Failure::failed("--registry").because(&error).cure(error.cure())),
    }
}

fn finish(totals: &Totals, output: &Output) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        totals: &'a Totals,
    }
    output.json(&Line { r#type: "result", totals });
    let many = if totals.messages == 1 { "" } else { "s" };
    output.text(&format!(
        "{} message{many}: {} delivered, {} left out by the rule, {} failed",
        totals.messages, totals.delivered, totals.filtered, totals.failed
    ));
    if totals.failed == 0 { Ok(()) } else { Err(Failure::told()) }
}
