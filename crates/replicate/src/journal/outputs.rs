//! What a rule made of a source partition, as far as a lane must remember it (ADR 0016).

use forward::{Ordinal, SourceOffset};
use serde::{Deserialize, Serialize};

/// A place among what a rule makes of a source partition: before output number `part` of the record at `offset`. Outputs are
/// numbered per target partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourcePlace {
    /// How often the source partition was begun anew: its offsets may be other records then.
    #[serde(default)]
    pub era: u32,
    /// The source offset.
    pub offset: SourceOffset,
    /// Outputs of that record that lie before.
    #[serde(default)]
    pub part: u32,
}

/// The outputs up to an ordinal are those up to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputCut {
    /// The ordinal behind them.
    pub ordinal: Ordinal,
    /// The place behind them.
    pub place: SourcePlace,
}

/// What a lane remembers of a rule's outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Of a lane that reads: how often its source partition was begun anew.
    #[serde(default)]
    pub era: u32,
    /// Of a lane that writes: where its batches end, from the last acknowledged one on.
    #[serde(default)]
    pub cuts: Vec<OutputCut>,
}

impl Outputs {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.era == 0 && self.cuts.is_empty()
    }
}
