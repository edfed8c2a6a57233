//! Parsing and rows of a chain.

use std::collections::BTreeSet;

use super::{Compiler, chain::Before};
use crate::{
    analyse::{Delimiter, Expression, Secondary, TextMode},
    condition::{Condition, Field},
    engine::{Body, Chain, Filter, Input, Mode, Process},
    error::{ErrorCode, Place},
    expression,
    op::{Kind, Kv, Op},
    row::{Row, Source},
    rule::{self, AnalyseMode, Operate, RowsMode},
};

/// Members of the root that are looked for one by one; with more, all are kept.
const WANTED_MAX: usize = 32;

impl Compiler<'_> {
    pub(super) fn process(
        &mut self,
        process: &rule::Process,
        path: &str,
        index: usize,
        before: Before,
    ) -> Option<Process> {
        let analyse_path = format!("{path}.analyse");
        let input = self.input(&process.analyse, &analyse_path, before);
        let mode = self.mode(&process.analyse.mode, &analyse_path, before);
        let secondary_path = format!("{path}.secondary");
        let secondary = process.secondary.as_ref();
        let secondary = secondary.map(|secondary| self.secondary(secondary, &secondary_path));
        let is_patch = process.rows_mode == RowsMode::Patch;
        let rows: Vec<Option<Row>> = process
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| self.row(row, &format!("{path}.rows[{at}]"), index, is_patch))
            .collect();
        self.check_keys(process, path);
        let rows = rows.into_iter().collect::<Option<Vec<Row>>>()?;
        let secondary = match secondary {
            Some(secondary) => Some(secondary?),
            None => None,
        };
        let mut mode = mode?;
        if let Mode::Text(TextMode::Json { wanted }) = &mut mode
            && secondary.is_none()
            && !is_patch
            && matches!(input, Some(Input::Message))
        {
            *wanted = self::wanted(&rows);
        }
        let name = mode_name(&process.analyse.mode);
        Some(Process {
            analyse_place: Place::new(analyse_path, format!("chain[{index}].analyse:{name}")),
            secondary_place: Place::new(secondary_path, format!("chain[{index}].secondary")),
            input: input?,
            mode,
            secondary,
            is_patch,
            rows,
        })
    }

    fn input(&mut self, analyse: &rule::Analyse, path: &str, before: Before) -> Option<Input> {
        let is_source = analyse.mode == AnalyseMode::Source;
        if before == Before::Nothing {
            if is_source {
                self.error(
                    format!("{path}.mode"),
                    ErrorCode::SourceInFirstChain,
                    "nothing was parsed before",
                );
                return None;
            }
            if analyse.input.is_some() {
                let cause = "the first chain parses the message";
                self.error(format!("{path}.input"), ErrorCode::SourceInFirstChain, cause);
                return None;
            }
            return Some(Input::Message);
        }
        match (&analyse.input, is_source) {
            (None, true) => Some(Input::Document),
            // Several chains, each for some of the messages: those that nothing has parsed yet are parsed here.
            (None, false) if before == Before::Maybe => Some(Input::Message),
            (None, false) => {
                let cause =
                    "a later chain parses a field (input) or takes everything (mode: source)";
                self.error(format!("{path}.input"), ErrorCode::InputRequired, cause);
                None
            }
            (Some(_), true) => {
                let cause = "mode: source takes everything, not a field";
                self.error(format!("{path}.input"), ErrorCode::InputRequired, cause);
                None
            }
            (Some(key), false) => {
                let field = self.field(key, &format!("{path}.input"))?;
                Some(Input::Field { field, key: key.clone() })
            }
        }
    }

    /// A flat key, or a path when it begins with `$`.
    pub(super) fn field(&mut self, key: &str, path: &str) -> Option<Field> {
        if key.starts_with('$') {
            self.jsonpath(key, path).map(Field::Path)
        } else {
            Some(Field::Key(key.to_owned()))
        }
    }

    fn mode(&mut self, mode: &AnalyseMode, path: &str, before: Before) -> Option<Mode> {
        Some(match mode {
            AnalyseMode::Json => Mode::Text(TextMode::Json { wanted: None }),
            AnalyseMode::Source => Mode::Source,
            AnalyseMode::Delimiter(mode) => {
                self.not_empty(&mode.delimiter, path, "delimiter")?;
                if mode.quote.is_some_and(|quote| mode.delimiter.contains(quote)) {
                    self.error(
                        format!("{path}.quote"),
                        ErrorCode::OpParameter,
                        "the delimiter holds the quote",
                    );
                    return None;
                }
                let distinct: BTreeSet<&String> = mode.columns.iter().collect();
                if distinct.len() < mode.columns.len() {
                    self.error(
                        format!("{path}.columns"),
                        ErrorCode::DuplicateKey,
                        "two columns have one name",
                    );
                }
                Mode::Text(TextMode::Delimiter(Delimiter::new(mode)))
            }
            AnalyseMode::Regex { regex, no_match_empty } => {
                let regex = self.regex(regex, &format!("{path}.regex"))?;
                Mode::Text(TextMode::Regex(Expression::new(regex, *no_match_empty)))
            }
            AnalyseMode::JsonArray { output, path: inner } => {
                if before != Before::Nothing {
                    self.error(
                        format!("{path}.mode"),
                        ErrorCode::ArrayNotFirst,
                        "the array mode reads the message",
                    );
                    return None;
                }
                let inner_path = match inner {
                    Some(text) => Some(self.jsonpath(text, &format!("{path}.path"))?),
                    None => None,
                };
                Mode::Array { output: *output, path: inner_path }
            }
        })
    }

    fn secondary(&mut self, secondary: &rule::Secondary, path: &str) -> Option<Secondary> {
        self.not_empty(&secondary.delimiter, path, "delimiter")?;
        let keep = secondary.keep_original;
        if secondary.is_regex {
            let regex = self.regex(&secondary.delimiter, &format!("{path}.delimiter"))?;
            return Some(Secondary::regex(regex, keep));
        }
        Some(Secondary::literal(&secondary.delimiter, keep))
    }

    /// Output keys are not empty and, where no condition chooses between rows, unique.
    fn check_keys(&mut self, process: &rule::Process, path: &str) {
        let mut seen = BTreeSet::new();
        for (index, row) in process.rows.iter().enumerate() {
            let path = format!("{path}.rows[{index}].key");
            if row.key.is_empty() {
                self.error(path, ErrorCode::EmptyKey, "the key is empty");
            } else if row.when.is_none() && !seen.insert(&row.key) {
                self.error(
                    path,
                    ErrorCode::DuplicateKey,
                    format!("another row writes {:?}, too", row.key),
                );
            }
        }
    }

    fn row(&mut self, row: &rule::Row, path: &str, chain: usize, is_patch: bool) -> Option<Row> {
        let source = match &row.operate {
            Operate::Mapping(key) => Some(Source::Field(key.clone())),
            Operate::JsonPath(text) => {
                self.jsonpath(text, &format!("{path}.value")).map(Source::Path)
            }
            Operate::SystemTime => Some(Source::SystemTime),
            Operate::Custom(text) => Some(Source::Custom(text.clone())),
            Operate::Header(name) => Some(Source::Header(name.clone())),
            Operate::Delete | Operate::RenameFrom(_) if !is_patch => {
                let cause = "rows of the mode project are the result: leave the row out, or use rows_mode: patch";
                self.error(format!("{path}.operate"), ErrorCode::TemplateValue, cause);
                None
            }
            Operate::Delete => Some(Source::Delete),
            Operate::RenameFrom(from) => Some(Source::Rename(from.clone())),
        };
        let when = row.when.as_ref().map(|when| self.condition(when, &format!("{path}.when")));
        let element = format!("chain[{chain}].row[{}]", row.key);
        let mut ops: Vec<Option<Op>> = Vec::new();
        let mut kv = None;
        for (index, op) in row.ops.iter().enumerate() {
            let op_path = format!("{path}.ops[{index}]");
            let place = Place::new(op_path.clone(), format!("{element}.op[{index}]:{}", op.name()));
            if let rule::Op::Kv { delimiter, separator, keep_original_key } = op {
                self.kv(row, index, delimiter, separator, &op_path);
                kv = Some(Kv {
                    place,
                    delimiter: delimiter.clone(),
                    separator: separator.clone(),
                    keep_original_key: *keep_original_key,
                });
            } else {
                ops.push(self.op(op, &op_path).map(|kind| Op { place, kind }));
            }
        }
        let when = match when {
            Some(condition) => Some(condition?),
            None => None,
        };
        Some(Row {
            place: Place::new(path, element),
            key: row.key.clone(),
            source: source?,
            ops: ops.into_iter().collect::<Option<Vec<_>>>()?,
            kv,
            value_type: row.value_type,
            truncate: row.truncate,
            on_missing: row.on_missing,
            when,
        })
    }

    fn kv(&mut self, row: &rule::Row, index: usize, delimiter: &str, separator: &str, path: &str) {
        if index + 1 < row.ops.len() {
            self.error(path, ErrorCode::KvNotLast, "another op follows");
        }
        let _ = self.not_empty(delimiter, path, "delimiter");
        let _ = self.not_empty(separator, path, "regex");
    }
}

fn mode_name(mode: &AnalyseMode) -> &'static str {
    match mode {
        AnalyseMode::Json => "json",
        AnalyseMode::Delimiter(_) => "delimiter",
        AnalyseMode::Regex { .. } => "regex",
        AnalyseMode::JsonArray { .. } => "json_array",
        AnalyseMode::Source => "source",
    }
}

/// The members of the root that the rows can ask for; `None`: all of them.
fn wanted(rows: &[Row]) -> Option<Vec<Box<str>>> {
    let mut wanted = BTreeSet::new();
    for row in rows {
        match &row.source {
            Source::Field(key) => want(key, &mut wanted),
            Source::Path(path) => path.root_members(&mut wanted)?,
            Source::SystemTime | Source::Custom(_) | Source::Header(_) => {}
            Source::Delete | Source::Rename(_) => return None,
        }
        if let Some(when) = &row.when {
            want_condition(when, &mut wanted)?;
        }
        for op in &row.ops {
            if let Kind::Math(expression) = &op.kind {
                expression::fields(expression, &mut |field| want(field, &mut wanted));
            }
        }
    }
    let useful = !rows.is_empty() && wanted.len() <= WANTED_MAX;
    useful.then(|| wanted.into_iter().map(String::into_boxed_str).collect())
}

/// Where the bytes that were read are written again, a single parse serves the filter alone: no other member is kept.
pub(super) fn narrow(chains: &mut [Chain], filter: Option<&Filter>) {
    let [Chain { body: Body::Process(process), .. }] = chains else { return };
    let is_bare = matches!(process.input, Input::Message)
        && process.rows.is_empty()
        && process.secondary.is_none();
    if let Mode::Text(TextMode::Json { wanted }) = &mut process.mode
        && is_bare
    {
        let mut asked = BTreeSet::new();
        let mut rules = filter.into_iter().flat_map(|filter| &filter.rules);
        let known = rules.try_for_each(|(_, condition)| want_condition(condition, &mut asked));
        if known.is_some() && asked.len() <= WANTED_MAX {
            *wanted = Some(asked.into_iter().map(String::into_boxed_str).collect());
        }
    }
}

/// A key with dots may be a path: each of its beginnings may be the member.
fn want(key: &str, wanted: &mut BTreeSet<String>) {
    wanted.insert(key.to_owned());
    wanted.extend(key.match_indices('.').map(|(dot, _)| key[..dot].to_owned()));
}

fn want_condition(condition: &Condition, wanted: &mut BTreeSet<String>) -> Option<()> {
    match condition {
        Condition::All(inner) | Condition::Any(inner) => {
            inner.iter().try_for_each(|inner| want_condition(inner, wanted))
        }
        Condition::Not(inner) => want_condition(inner, wanted),
        Condition::Field(Field::Key(key), _) => {
            want(key, wanted);
            Some(())
        }
        Condition::Field(Field::Path(path), _) => path.root_members(wanted),
        Condition::Tombstone | Condition::TopicMatches(_) | Condition::Header { .. } => Some(()),
    }
}
