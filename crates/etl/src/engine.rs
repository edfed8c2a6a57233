//! One record through a compiled rule.

mod array;
mod process;

use std::{cell::RefCell, collections::HashMap};

use jiff::Timestamp;

use crate::{
    Scratch,
    analyse::{Secondary, TextMode},
    charset::Charset,
    condition::{Condition, Field},
    context::{Context, Limits},
    error::{ErrorCode, Fault, Place, RecordError},
    explain::{Step, StepStatus, trace, trace_match},
    jsonpath::JsonPath,
    output::Format,
    record::{DropReason, Output, Outputs, Record},
    row::Row,
    rule::{self, ArrayOutput, GuardAction, Rule, SchemaFormat},
    sample::{Dedupe, Sample, Throttle},
    schema,
    shape::{self, Glob},
    table::{Lookup, SharedTable},
    target::Target,
    value::{Map, Value},
};

/// Memory that is kept from record to record.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// The largest multiplier.
const COPIES_MAX: u32 = 100;

/// A rule that is ready to work. It holds no state but its tables: the same record, rule, tables and time give the same bytes, save for
/// the chain items `dedupe` and `throttle`, whose memory is in the [`Scratch`].
#[derive(Debug)]
pub struct Compiled {
    pub(crate) rule: Rule,
    pub(crate) guard_place: Place,
    pub(crate) charset: Charset,
    pub(crate) chains: Vec<Chain>,
    pub(crate) filter: Option<Filter>,
    pub(crate) output: Format,
    pub(crate) target: Target,
    pub(crate) tables: HashMap<String, SharedTable>,
    pub(crate) schemas: schema::Schemas,
    pub(crate) limits: Limits,
    pub(crate) warnings: Vec<String>,
    pub(crate) copies: u32,
}

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) place: Place,
    pub(crate) when: Option<Condition>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Process(Box<Process>),
    Flatten { separator: String, levels: usize },
    Unflatten { separator: String },
    Select { patterns: Vec<Glob>, keep: bool },
    Sample(Sample),
    Dedupe(Dedupe),
    Throttle(Throttle),
    Lookup(Lookup),
    Decode(schema::Decoder),
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) analyse_place: Place,
    pub(crate) secondary_place: Place,
    pub(crate) input: Input,
    pub(crate) mode: Mode,
    pub(crate) secondary: Option<Secondary>,
    pub(crate) is_patch: bool,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug)]
pub(crate) enum Input {
    Message,
    /// The result of the chain before.
    Document,
    Field {
        field: Field,
        key: String,
    },
}

#[derive(Debug)]
pub(crate) enum Mode {
    Text(TextMode),
    Array { output: ArrayOutput, path: Option<JsonPath> },
    Source,
}

#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) any: bool,
    pub(crate) rules: Vec<(Place, Condition)>,
}

/// A record, or an element of its array, behind the chains.
enum Flow<'a> {
    /// `None`: no chain has parsed it.
    Document(Option<Map<'a>>),
    Drop(DropReason),
}

/// The message, as text when somebody asks for it.
struct Message<'a> {
    bytes: &'a [u8],
    text: RefCell<Option<&'a str>>,
}

impl Compiled {
    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Sets the bounds of the work on one record.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Sets how often each output is written (the multiplier of the task's target), 1 to 100. Outputs that the guard passes on
    /// untouched are multiplied, too.
    pub fn set_multiplier(&mut self, copies: u32) {
        self.copies = copies.clamp(1, COPIES_MAX);
    }

    /// Makes the schema with this id of the source's registry known; other threads may apply records meanwhile. The schema
    /// that an id had first stays.
    ///
    /// `references` are the schemas that this one names, each with the name of the reference; those that they name, too.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn add_schema(
        &self,
        id: u32,
        format: SchemaFormat,
        text: &str,
        references: &[(String, String)],
    ) -> Result<(), String> {
        self.schemas.add(id, format, text, references)
    }

    /// Whether the schema with this id of the source's registry was added.
    pub fn is_schema_known(&self, id: u32) -> bool {
        self.schemas.is_known(id)
    }

    /// Sets the schema of the output, and its id in the target's registry; it takes the place of the one before.
    ///
    /// # Errors
    /// What is wrong with the schema, or that it lacks the message that the rule writes.
    pub fn set_target_schema(
        &self,
        id: u32,
        format: SchemaFormat,
        text: &str,
        references: &[(String, String)],
    ) -> Result<(), String> {
        let message = match &self.rule.output {
            rule::Output::Protobuf { message, .. } => message.as_deref(),
            _ => None,
        };
        self.schemas.set_target(id, format, text, references, message)
    }

    /// Sets the id of the JSON Schema of the output in the target's registry.
    pub fn set_target_schema_id(&self, id: u32) {
        self.schemas.set_target_id(id);
    }

    /// Says which id a schema of the source's registry has in the target's.
    pub fn translate_schema_id(&self, source: u32, target: u32) {
        self.schemas.add_translation(source, target);
    }

    /// Whether it was said which id this schema of the source's registry has in the target's.
    pub fn is_schema_id_translated(&self, source: u32) -> bool {
        self.schemas.is_translated(source)
    }

    /// A table that a `lookup` of the rule names: its rows may change between records, and while records are processed.
    pub fn table(&self, name: &str) -> Option<&SharedTable> {
        self.tables.get(name)
    }

    /// What `record` becomes at the time `now`. The outputs live in `scratch` until the next record.
    ///
    /// # Errors
    /// Why the record cannot be processed: always the same for the same record, so that trying again is of no use.
    pub fn apply<'a>(
        &'a self,
        record: &Record<'a>,
        now: Timestamp,
        scratch: &'a mut Scratch,
    ) -> Result<Outputs<'a>, RecordError> {
        self.run(record, now, scratch, false).0
    }

    pub(crate) fn run<'a>(
        &'a self,
        record: &Record<'a>,
        now: Timestamp,
        scratch: &'a mut Scratch,
        with_steps: bool,
    ) -> (Result<Outputs<'a>, RecordError>, Vec<Step>) {
        // What one huge record needed is given back.
        if scratch.bump.allocated_bytes() > KEPT_BYTES_MAX {
            scratch.bump = bumpalo::Bump::new();
        }
        scratch.bump.reset();
        let Scratch { bump, memory } = scratch;
        let mut ctx = Context::new(bump, *record, now, self.limits, memory);
        ctx.steps = with_steps.then(RefCell::default);
        let result = self.record(&ctx);
        (result, ctx.steps.map(RefCell::into_inner).unwrap_or_default())
    }

    fn record<'a>(&'a self, ctx: &Context<'a>) -> Result<Outputs<'a>, RecordError> {
        let guard = |fault: Box<Fault>| fault.place(&self.guard_place);
        let Some(bytes) = ctx.record.value else {
            let refused = (ErrorCode::Tombstone, "the record has no value");
            return self.guarded(ctx, self.rule.guard.tombstone, refused);
        };
        if bytes.is_empty() && self.rule.guard.empty != GuardAction::Fail {
            let refused = (ErrorCode::EmptyValue, "the value is empty");
            return self.guarded(ctx, self.rule.guard.empty, refused);
        }
        let max = self.limits.value_bytes_max;
        if bytes.len() > max {
            let cause = format!("the value has {} bytes, more than {max}", bytes.len());
            return Err(guard(Fault::new(ErrorCode::RecordTooLarge, cause)));
        }
        let message = Message { bytes, text: RefCell::new(None) };
        let array = self.chains.iter().position(|chain| {
            matches!(&chain.body, Body::Process(process) if matches!(process.mode, Mode::Array { .. }))
        });
        if let Some(at) = array {
            return self.array(ctx, &message, at);
        }
        match self.chains(ctx, Some(&message), &self.chains, None)? {
            Flow::Drop(reason) => Ok(dropped(reason)),
            Flow::Document(document) => self.finish(ctx, document),
        }
    }

    /// What the guard's action says about a record without a value that can be parsed.
    fn guarded<'a>(
        &'a self,
        ctx: &Context<'a>,
        action: GuardAction,
        refused: (ErrorCode, &str),
    ) -> Result<Outputs<'a>, RecordError> {
        match action {
            GuardAction::Fail => Err(Fault::new(refused.0, refused.1).place(&self.guard_place)),
            GuardAction::Drop => Ok(dropped(DropReason::Guard)),
            GuardAction::Pass => {
                let topic = match &self.target.route {
                    None => None,
                    Some(_) => self.target.output(ctx, Map::default(), None, false, 1)?.topic,
                };
                let outputs = written(ctx, &[untouched(&ctx.record, topic, self.copies)]);
                Ok(Outputs { is_untouched: true, ..outputs })
            }
        }
    }

    /// The message as text.
    fn text<'a>(&self, ctx: &Context<'a>, message: &Message<'a>) -> Result<&'a str, RecordError> {
        if let Some(text) = *message.text.borrow() {
            return Ok(text);
        }
        let decoded = self.charset.decode(message.bytes, self.rule.guard.replace_invalid);
        let text = match decoded {
            Ok(std::borrow::Cow::Borrowed(text)) => Ok(text),
            Ok(std::borrow::Cow::Owned(text)) => ctx.text(&text),
            Err(at) => {
                let cause = format!("byte {at} is not {}", self.rule.guard.charset);
                Err(Fault::at(ErrorCode::InvalidUtf8, at, cause))
            }
        };
        let text = text.map_err(|fault| fault.place(&self.guard_place))?;
        *message.text.borrow_mut() = Some(text);
        Ok(text)
    }

    /// The chain items of `chains`, from `document` on. Elements of an array have no message.
    fn chains<'a>(
        &'a self,
        ctx: &Context<'a>,
        message: Option<&Message<'a>>,
        chains: &'a [Chain],
        document: Option<Map<'a>>,
    ) -> Result<Flow<'a>, RecordError> {
        let mut document = document;
        for chain in chains {
            if let Some(when) = &chain.when {
                let holds = when.holds(ctx, document.unwrap_or_default());
                let holds = holds.map_err(|fault| fault.place(&chain.place))?;
                trace_match(ctx, &chain.place, holds);
                if !holds {
                    continue;
                }
            }
            if let Body::Process(process) = &chain.body {
                // Another chain has parsed the message already.
                if !(matches!(process.input, Input::Message) && document.is_some()) {
                    document = Some(self.process(ctx, process, message, document)?);
                }
                continue;
            }
            let before = document;
            match self
                .item(ctx, chain, message, document)
                .map_err(|fault| fault.place(&chain.place))?
            {
                Flow::Document(after) => document = after,
                Flow::Drop(reason) => {
                    trace_match(ctx, &chain.place, false);
                    return Ok(Flow::Drop(reason));
                }
            }
            trace(
                ctx,
                &chain.place,
                StepStatus::Ok,
                before.map(Value::Map),
                document.map(Value::Map),
            );
        }
        Ok(Flow::Document(document))
    }

    /// Every chain item but `process`.
    fn item<'a>(
        &'a self,
        ctx: &Context<'a>,
        chain: &'a Chain,
        message: Option<&Message<'a>>,
        document: Option<Map<'a>>,
    ) -> crate::error::Fallible<Flow<'a>> {
        let known = document.unwrap_or_default();
        let drop_unless = |keep: bool, reason: DropReason| {
            if keep { Flow::Document(document) } else { Flow::Drop(reason) }
        };
        Ok(match &chain.body {
            Body::Process(_) => Flow::Document(document),
            Body::Sample(sample) => drop_unless(sample.keeps(ctx), DropReason::Sampled),
            Body::Dedupe(dedupe) => {
                drop_unless(!dedupe.is_duplicate(ctx, known)?, DropReason::Duplicate)
            }
            Body::Throttle(throttle) => drop_unless(throttle.keeps(ctx), DropReason::Throttled),
            Body::Decode(decoder) => {
                let bytes = message.map_or(&[][..], |message| message.bytes);
                Flow::Document(Some(decoder.decode(ctx, &self.schemas, bytes)?))
            }
            // Nothing was parsed for this record: there is nothing to change.
            _ if document.is_none() => Flow::Document(None),
            Body::Flatten { separator, levels } => {
                Flow::Document(Some(shape::flatten(ctx, known, separator, *levels)?))
            }
            Body::Unflatten { separator } => {
                Flow::Document(Some(shape::unflatten(ctx, known, separator)?))
            }
            Body::Select { patterns, keep } => {
                Flow::Document(Some(shape::select(ctx, known, patterns, *keep)?))
            }
            Body::Lookup(lookup) => Flow::Document(Some(lookup.apply(ctx, &self.tables, known)?)),
        })
    }

    /// Whether the filter lets the document through.
    fn passes<'a>(&'a self, ctx: &Context<'a>, document: Map<'a>) -> Result<bool, RecordError> {
        let Some(filter) = &self.filter else { return Ok(true) };
        let mut passes = !filter.any;
        for (place, condition) in &filter.rules {
            let holds = condition.holds(ctx, document).map_err(|fault| fault.place(place))?;
            trace_match(ctx, place, holds);
            if holds == filter.any {
                passes = filter.any;
                // All rules are shown to who watches.
                if ctx.steps.is_none() {
                    break;
                }
            }
        }
        Ok(passes)
    }

    fn finish<'a>(
        &'a self,
        ctx: &Context<'a>,
        document: Option<Map<'a>>,
    ) -> Result<Outputs<'a>, RecordError> {
        if !self.passes(ctx, document.unwrap_or_default())? {
            return Ok(dropped(DropReason::Filtered));
        }
        let output = self.single_output(ctx, document)?;
        Ok(written(ctx, &[output]))
    }

    fn single_output<'a>(
        &'a self,
        ctx: &Context<'a>,
        document: Option<Map<'a>>,
    ) -> Result<Output<'a>, RecordError> {
        let metadata = &self.target.metadata;
        let place = || Place::new("output", "output");
        let Some(document) = document else {
            // Nothing was parsed: metadata can only stand in headers.
            let bytes = self.output.original(ctx, &self.schemas);
            let bytes = bytes.map_err(|fault| fault.place(&place()))?;
            return self.target.output(
                ctx,
                Map::default(),
                Some(bytes),
                metadata.keep,
                self.copies,
            );
        };
        let is_original = matches!(self.output, Format::Original { .. });
        let in_headers = metadata.keep && (metadata.in_headers || is_original);
        let shown = self.target.without_moved(ctx, document);
        let shown = self.target.with_metadata(ctx, shown).map_err(|fault| fault.place(&place()))?;
        let bytes =
            self.output.single(ctx, &self.schemas, shown).map_err(|fault| fault.place(&place()))?;
        self.target.output(ctx, document, Some(bytes), in_headers, self.copies)
    }
}

fn dropped<'a>(reason: DropReason) -> Outputs<'a> {
    Outputs { dropped: Some(reason), ..Outputs::default() }
}

fn written<'a>(ctx: &Context<'a>, records: &[Output<'a>]) -> Outputs<'a> {
    Outputs { records: ctx.bump.alloc_slice_copy(records), ..Outputs::default() }
}

fn untouched<'a>(record: &Record<'a>, topic: Option<&'a str>, copies: u32) -> Output<'a> {
    let Record { key, value, headers, timestamp_ms, .. } = *record;
    Output { key, value, headers, timestamp_ms, topic, is_rekeyed: false, copies }
}
