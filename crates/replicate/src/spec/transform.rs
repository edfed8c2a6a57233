//! What a task with a rule does: topic-level tasks.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use kafka_wire::compression::Compression;

use crate::registry::Registries;
use crate::task::Role;

/// Bytes of memory that the rows of a table may take, unless it is said otherwise.
pub const TABLE_BYTES_MAX: usize = 256 << 20;

/// To which partition of the target a record goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioning {
    /// The number that it has on the source, modulo the target's count; by its key when the rule made the key.
    #[default]
    Keep,
    /// By its key, as Kafka's own producers do; without one as `Keep`.
    Key,
    /// Evenly, in stretches of source offsets, whatever the key.
    Spread,
}

impl FromStr for Partitioning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "keep" => Ok(Self::Keep),
            "key" => Ok(Self::Key),
            "spread" => Ok(Self::Spread),
            _ => Err(format!("{text:?} is none of keep, key, spread")),
        }
    }
}

/// A lookup table of the rule that follows a topic: its keys are the records' keys, its rows their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableTopic {
    /// The name by which the rule knows the table.
    pub table: String,
    /// The topic.
    pub topic: String,
    /// The cluster that has the topic.
    pub from: Role,
    /// Bytes of memory that its rows may take: with more the task ends.
    pub bytes_max: usize,
}

/// A rule and how its outputs are written.
#[derive(Debug)]
pub struct TransformSpec {
    /// The rule, ready to work: it says what becomes of records that fail, and how often each output is written.
    pub rule: etl::Compiled,
    /// To which partition an output goes.
    pub partitioning: Partitioning,
    /// The codec of what is written; none for that of the batch that was read.
    pub compression: Option<Compression>,
    /// Whether the topic for dead letters is created when it is missing.
    pub create_dead_letter_topic: bool,
    /// Where schemas that the rule was not given come from.
    pub registries: Option<Registries>,
    /// Tables of the rule that follow topics. They are read before the first record is processed.
    pub tables: Vec<TableTopic>,
}

impl TransformSpec {
    /// Whether what a table says may decide to which partition something goes that is made of a record.
    pub(crate) fn tables_decide_places(&self) -> bool {
        let rule = self.rule.rule();
        !self.tables.is_empty()
            && (matches!(rule.failure, etl::rule::Failure::Dlq(_))
                || rule.route.is_some()
                || (rule.key.is_some() && self.partitioning != Partitioning::Spread))
    }
}

/// A shared [`TransformSpec`]. Two are equal when they are one.
#[derive(Clone)]
pub struct Transform(Arc<TransformSpec>);

impl Transform {
    /// Of `spec`.
    #[must_use]
    pub fn new(spec: TransformSpec) -> Self {
        Self(Arc::new(spec))
    }
}

impl Deref for Transform {
    type Target = TransformSpec;

    fn deref(&self) -> &TransformSpec {
        &self.0
    }
}

impl PartialEq for Transform {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform")
            .field("partitioning", &self.0.partitioning)
            .finish_non_exhaustive()
    }
}
