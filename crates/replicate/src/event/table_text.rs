//! Events of lookup tables in words.

use std::fmt;

use super::Event;

impl Event {
    /// The events about lookup tables; the others are told elsewhere.
    pub(super) fn fmt_tables(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableRead { table, topic, rows, .. } => {
                write!(f, "table {table} is what topic {topic} says, and follows it: {rows} rows")
            }
            Self::TableUnavailable { table, topic, cause, .. } => {
                write!(
                    f,
                    "table {table}: topic {topic} cannot be read: {cause}; tried again until it can"
                )
            }
            Self::TableReread { table, topic, cause, .. } => write!(
                f,
                "table {table}: topic {topic} is read anew: {cause}; the rows that were read serve until then"
            ),
            Self::TableRowSkipped { table, topic, partition, offset, cause, count, .. } => {
                write!(
                    f,
                    "table {table}: {topic}-{partition} offset {offset} is no row: {cause}: it was left out, and its key has none"
                )?;
                if *count > 1 { write!(f, "; {count} like it since the last word") } else { Ok(()) }
            }
            Self::OutputsUncertain { topic, partition, offsets, .. } => write!(
                f,
                "{topic}-{partition}: offsets {} to {} were being processed when the process died, and are processed again with the tables as they are now: where a row changed meanwhile, what goes elsewhere now may be there twice, or not at all",
                offsets.start,
                offsets.end.saturating_sub(1)
            ),
            _ => self.fmt_acls(f),
        }
    }

    /// What an operator can do about them.
    pub(super) fn table_cure(&self) -> Option<String> {
        Some(match self {
            Self::TableUnavailable { cure, .. } => cure.clone(),
            Self::TableRowSkipped { .. } => {
                "keys are text, and values JSON objects: write a good record of the key, or one without a value, to the topic".to_owned()
            }
            Self::OutputsUncertain { .. } => {
                "nothing if the tables did not change just then; else compare the outputs of these offsets".to_owned()
            }
            _ => return self.acl_cure(),
        })
    }
}
