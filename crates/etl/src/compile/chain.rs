//! Chain items.

use super::Compiler;
use crate::{
    engine::{Body, Chain},
    error::{ErrorCode, Place},
    rule::{self, AnalyseMode, ChainBody},
    sample::{Dedupe, Sample, Throttle},
    schema,
    shape::Glob,
    table::Lookup,
};

/// What stands before a chain item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing has been parsed.
    Nothing,
    /// Something was parsed for records that meet a condition.
    Maybe,
    Document,
}

impl Compiler<'_> {
    pub(super) fn chains(&mut self, chains: &[rule::Chain]) -> Vec<Option<Chain>> {
        let mut before = Before::Nothing;
        let mut compiled = Vec::new();
        for (index, chain) in chains.iter().enumerate() {
            compiled.push(self.chain(chain, index, before));
            let parses = matches!(chain.body, ChainBody::Process(_) | ChainBody::Decode { .. });
            before = match (parses, &chain.when) {
                (true, None) => Before::Document,
                (true, Some(_)) if before == Before::Nothing => Before::Maybe,
                _ => before,
            };
        }
        compiled
    }

    fn chain(&mut self, chain: &rule::Chain, index: usize, before: Before) -> Option<Chain> {
        let path = format!("chains[{index}]");
        let when = chain.when.as_ref().map(|when| self.condition(when, &format!("{path}.when")));
        let body = self.body(&chain.body, &path, index, before);
        let is_array = matches!(&chain.body, ChainBody::Process(process) if matches!(process.analyse.mode, AnalyseMode::JsonArray { .. }));
        if is_array && chain.when.is_some() {
            self.error(
                format!("{path}.when"),
                ErrorCode::ArrayNotFirst,
                "the array mode takes no condition",
            );
        }
        let kind = match &chain.body {
            ChainBody::Process(_) => "process",
            ChainBody::Flatten { .. } => "flatten",
            ChainBody::Unflatten { .. } => "unflatten",
            ChainBody::Keep { .. } => "keep",
            ChainBody::Drop { .. } => "drop",
            ChainBody::Sample { .. } => "sample",
            ChainBody::Dedupe { .. } => "dedupe",
            ChainBody::Throttle { .. } => "throttle",
            ChainBody::Lookup { .. } => "lookup",
            ChainBody::Decode { .. } => "decode",
        };
        let place = Place::new(path, format!("chain[{index}]:{kind}"));
        let when = match when {
            Some(condition) => Some(condition?),
            None => None,
        };
        Some(Chain { place, when, body: body? })
    }

    fn body(&mut self, body: &ChainBody, path: &str, index: usize, before: Before) -> Option<Body> {
        let needs_document = matches!(
            body,
            ChainBody::Flatten { .. }
                | ChainBody::Unflatten { .. }
                | ChainBody::Keep { .. }
                | ChainBody::Drop { .. }
                | ChainBody::Lookup { .. }
        );
        if needs_document && before == Before::Nothing {
            self.error(path, ErrorCode::SourceInFirstChain, "nothing was parsed before");
        }
        let globs =
            |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Some(match body {
            ChainBody::Process(process) => {
                Body::Process(Box::new(self.process(process, path, index, before)?))
            }
            ChainBody::Flatten { separator, depth_max } => {
                self.not_empty(separator, path, "separator")?;
                let levels = depth_max
                    .map_or(usize::MAX, |depth| usize::try_from(depth).unwrap_or(usize::MAX));
                Body::Flatten { separator: separator.clone(), levels }
            }
            ChainBody::Unflatten { separator } => {
                self.not_empty(separator, path, "separator")?;
                Body::Unflatten { separator: separator.clone() }
            }
            ChainBody::Keep { fields } => Body::Select { patterns: globs(fields), keep: true },
            ChainBody::Drop { fields } => Body::Select { patterns: globs(fields), keep: false },
            ChainBody::Sample { percent, by_key } => {
                let Some(sample) = Sample::compile(percent, *by_key) else {
                    let cause = format!("{percent:?} is no number from 0 to 100");
                    self.error(format!("{path}.percent"), ErrorCode::OpParameter, cause);
                    return None;
                };
                Body::Sample(sample)
            }
            ChainBody::Dedupe { key, window_ms, keys_max } => {
                if *keys_max == 0 || *keys_max > 10_000_000 {
                    let cause = "max_keys is from 1 to 10000000";
                    self.error(format!("{path}.max_keys"), ErrorCode::OpParameter, cause);
                }
                if !key.is_empty() && before == Before::Nothing {
                    self.error(
                        format!("{path}.key"),
                        ErrorCode::SourceInFirstChain,
                        "nothing was parsed before",
                    );
                }
                Body::Dedupe(Dedupe {
                    index: self.memory(),
                    fields: key.clone(),
                    window_ms: i64::try_from(*window_ms).unwrap_or(i64::MAX),
                    keys_max: usize::try_from(*keys_max).unwrap_or(usize::MAX),
                })
            }
            ChainBody::Throttle { records_per_second } => {
                if *records_per_second == 0 {
                    let cause = "records_per_second is at least 1";
                    self.error(format!("{path}.records_per_second"), ErrorCode::OpParameter, cause);
                }
                Body::Throttle(Throttle {
                    index: self.memory(),
                    records_per_second: *records_per_second,
                })
            }
            ChainBody::Lookup { table, key, fields, on_missing } => {
                if !self.resources.unchecked && !self.resources.tables.contains_key(table) {
                    let cause = format!("there is no table {table:?}");
                    self.error(format!("{path}.table"), ErrorCode::TableUnknown, cause);
                    return None;
                }
                let columns = self.columns.entry(table.clone()).or_default();
                let mut column = |name: &str| {
                    columns.iter().position(|known| **known == *name).unwrap_or_else(|| {
                        columns.push(name.into());
                        columns.len() - 1
                    })
                };
                let fields =
                    fields.iter().map(|(member, name)| (member.clone(), column(name))).collect();
                let (table, key) = (table.clone(), key.clone());
                Body::Lookup(Lookup { table, key, fields, on_missing: *on_missing })
            }
            ChainBody::Decode { format } => {
                if before != Before::Nothing {
                    self.error(
                        path,
                        ErrorCode::ArrayNotFirst,
                        "decode belongs before everything that parses",
                    );
                }
                Body::Decode(schema::Decoder::new(*format))
            }
        })
    }

    fn memory(&mut self) -> usize {
        self.memories += 1;
        self.memories - 1
    }

    pub(super) fn not_empty(&mut self, text: &str, path: &str, name: &str) -> Option<()> {
        if text.is_empty() {
            self.error(
                format!("{path}.{name}"),
                ErrorCode::EmptyDelimiter,
                "the delimiter is empty",
            );
            return None;
        }
        Some(())
    }
}
