//! Source batches to target batches without touching record bytes.
//!
//! This crate decides what happens to each batch that a source partition delivers ([`decide()`]), makes
//! the 61 header bytes under which an untouched payload travels ([`patched_header`]), rebuilds the few
//! batches that cannot travel as they are ([`rebuild()`]), and keeps the books that make the copy exact:
//! [`Runs`] (which source offset carries which ordinal), [`sequence`] (ordinal to producer sequence),
//! [`OffsetMap`] (source offset to target offset and back), [`tail`] (what the target's log says
//! after an interruption) and [`content`] (where the copy stands when the books are lost).
//!
//! It does no I/O, reads no clock and decides nothing about policy: what to do with a batch that cannot
//! be copied, or with a source that was truncated, is left to `replicate`.

mod offset;
#[cfg(test)]
mod testing;

pub mod planted;

pub mod decide;
pub mod patch;
pub mod rebuild;

pub mod content;
pub mod offset_map;
pub mod runs;
pub mod sequence;
pub mod tail;

pub use decide::{AbortedFilter, Decision, DropReason, RebuildReason, TargetTraits, decide};
pub use offset::{Ordinal, SourceOffset, TargetOffset};
pub use offset_map::{Lookup, MapConflict, OffsetMap, Segment};
pub use patch::{Stamp, patched_header};
pub use rebuild::{RebuildError, Rebuilt, rebuild};
pub use runs::{Run, RunError, Runs};
pub use tail::{EpochBase, Tail, TailFault, TailStart, read_tail};
