//! `kferry inspect`: what is in record batches, header by header, from a file or from a broker.

mod entries;
mod fetch;
mod show;

use std::{fs::File, io, path::Path};

use serde::Serialize;
use serde_json::json;

use self::{
    entries::{Entries, Entry, What},
    show::{BatchFacts, Detail},
};
use crate::{
    cli::InspectArgs,
    failure::Failure,
    output::{Output, text},
};

/// Shows the batches of a file, of standard input, or of a partition.
///
/// # Errors
/// A [`Failure`] when the input cannot be read, or when something in it is damaged (told already).
pub(crate) async fn run(args: InspectArgs, output: &Output) -> Result<(), Failure> {
    let detail = Detail { records: args.records, values: args.show_values };
    let mut summary = Summary::new(output.clone(), detail, args.batches);
    match &args.partition {
        Some(partition) => fetch::partition(&args.input, partition, &mut summary).await?,
        None if args.input == "-" => {
            read(Entries::new(io::stdin().lock()), "standard input", &mut summary)?
        }
        None => {
            let path = Path::new(&args.input);
            let file = File::open(path).map_err(|error| unopened(&args.input, &error))?;
            read(Entries::new(file), &args.input, &mut summary)?;
        }
    }
    summary.finish()
}

fn unopened(input: &str, error: &io::Error) -> Failure {
    let failure = Failure::usage(format!("cannot open {input}: {error}"));
    if kafka_client::BrokerAddress::parse_list(input).is_ok() {
        failure.cure(format!(
            "to look into a partition, name it: kferry inspect {input} TOPIC:PARTITION"
        ))
    } else {
        failure.cure("give the path of a segment file, - for standard input, or a connection and TOPIC:PARTITION")
    }
}

fn read<R: io::Read>(
    mut entries: Entries<R>,
    name: &str,
    summary: &mut Summary,
) -> Result<(), Failure> {
    loop {
        match entries.next_entry() {
            Ok(Some(entry)) => {
                if !summary.entry(entry) {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                return Err(Failure::failed(format!("cannot read {name}")).because(&error));
            }
        }
    }
}

/// Shows findings as they come and keeps the totals.
struct Summary {
    output: Output,
    detail: Detail,
    batches_max: u64,
    totals: Totals,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    batches: u64,
    records: i64,
    bytes: u64,
    damaged: u64,
    first_offset: Option<i64>,
    last_offset: Option<i64>,
}

impl Summary {
    fn new(output: Output, detail: Detail, batches: Option<u64>) -> Self {
        Self { output, detail, batches_max: batches.unwrap_or(u64::MAX), totals: Totals::default() }
    }

    /// Shows one finding; tells whether more are wanted.
    fn entry(&mut self, entry: Entry) -> bool {
        let Entry { position, what } = entry;
        match what {
            What::Batch(batch) => {
                return self.batch(&BatchFacts::of(&batch, Some(position), self.detail));
            }
            What::Damage { bytes, cause } => {
                self.totals.damaged += 1;
                self.output.json(&json!({ "type": "damage", "position": position, "bytes": bytes, "cause": cause }));
                self.output.text(&format!(
                    "@{position}  {bytes} bytes are no batch: {}",
                    text::safe(&cause)
                ));
            }
            What::Padding { bytes } => {
                self.output
                    .json(&json!({ "type": "padding", "position": position, "bytes": bytes }));
                self.output.text(&format!(
                    "@{position}  {bytes} zero bytes to the end (allocated, not written)"
                ));
            }
            What::Cut { bytes, wanted } => {
                self.output.json(&json!({ "type": "cut", "position": position, "bytes": bytes, "wanted": wanted }));
                let wanted = wanted.map(|wanted| format!(" of {wanted}")).unwrap_or_default();
                self.output.text(&format!(
                    "@{position}  {bytes}{wanted} bytes of a batch that is cut off here"
                ));
            }
        }
        !self.output.is_closed()
    }

    /// Shows one batch; tells whether more are wanted.
    fn batch(&mut self, facts: &BatchFacts) -> bool {
        self.output.json(facts);
        if !self.output.is_json() {
            for line in facts.lines() {
                self.output.text(&line);
            }
        }
        let (first, last) = facts.offsets();
        self.totals.batches += 1;
        self.totals.records += facts.count();
        self.totals.bytes += facts.size_bytes();
        self.totals.damaged += u64::from(!facts.is_sound());
        self.totals.first_offset.get_or_insert(first);
        self.totals.last_offset = Some(last);
        self.totals.batches < self.batches_max && !self.output.is_closed()
    }

    fn finish(self) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Line<'a> {
            r#type: &'static str,
            #[serde(flatten)]
            totals: &'a Totals,
        }
        let totals = &self.totals;
        self.output.json(&Line { r#type: "result", totals });
        let damaged = if totals.damaged == 0 {
            "nothing damaged".to_owned()
        } else {
            format!("{} damaged", text::count(totals.damaged))
        };
        self.output.text(&format!(
            "{} batches, {} records, {damaged}",
            text::count(totals.batches),
            text::count(totals.records)
        ));
        if totals.damaged == 0 { Ok(()) } else { Err(Failure::told()) }
    }
}
