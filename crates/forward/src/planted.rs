//! Bugs that tests plant to prove that their oracles see them. In a build without the feature `planted` there are none: every
//! question is `false` at compile time, and nothing can switch one on.

/// A bug that can be planted. Each is one that a replicator could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// A batch is read and never sent.
    SkipBatch,
    /// Two batches change places.
    SwapBatches,
    /// A batch travels with the payload of the one before it.
    ReusePayload,
    /// The journal gets an offset map that is off by one.
    MapOffByOne,
    /// An offset inside a gap is translated as if there were none.
    TranslateInGap,
    /// Records behind a gap are mapped as if there were none.
    GapOffsets,
    /// Batches of aborted transactions are copied.
    ForgetAborted,
    /// An abort marker does not end the list of what it aborts.
    DropMarker,
    /// Control records count as data.
    CopyControl,
    /// Batches travel under another epoch than the journaled one.
    WrongEpoch,
    /// After a recovery the sequence goes on instead of beginning at 0.
    WrongSequence,
    /// What the tail shows to be there is sent again.
    ResendAcked,
    /// The epoch is raised without a fence (P2).
    NoFence,
    /// The tail counts before the fence's marker is in it (P16).
    TailWithoutMarker,
    /// The second batch travels before the first one is proved (P2).
    SecondBeforeProven,
    /// The journal hears of runs after their batches are sent.
    JournalAfterSend,
    /// A barrier is forgotten.
    ForgetBarrier,
    /// Runs are forgotten before they are acknowledged.
    PruneTooEarly,
    /// An acknowledgement is booked for another lane of the request.
    AckOfOtherLane,
    /// The base offset of an acknowledgement is not looked at.
    TrustExpectedOffset,
    /// The end of a task that runs once is not noticed.
    IgnoreEnd,
    /// What was read ahead is taken although something lies before it.
    GuessBehindGap,
    /// Behind a stretch that the source deleted the copy goes on one record too late.
    SkipTooFar,
    /// A rebuilt batch has one timestamp for all.
    TimestampLost,
    /// A rebuilt batch has no headers.
    HeadersLost,
    /// A rebuilt batch keeps the source's offset deltas.
    SparseDeltas,
    /// Batches stamped by the source's broker pass as they are.
    AppendTimeNotKept,
    /// A new lane begins one record too late.
    StartOffByOne,
    /// Partitions that are made later begin at their end.
    NewPartitionAtLatest,
    /// The record of a lane is journaled without the map segments it covers.
    LoseSegments,
    /// A group beyond what is copied is given the end of the target.
    GroupGuessesEnd,
    /// A commit that was carried over waits again when the next one has to.
    GroupKeepsFormer,
    /// Groups are given the offset behind the right one.
    GroupOffByOne,
    /// Members of a target group are not looked at.
    GroupIgnoresMembers,
    /// Offsets that others committed on the target are not noticed.
    GroupIgnoresMoves,
    /// A target group that was there before is given whatever its source has.
    GroupIgnoresFormer,
    /// A group at the end of what is copied is not asked about again.
    GroupEndIsFinal,
    /// Commits are sent without the journal having heard of them.
    GroupNotJournaled,
    /// Batches follow each other although the target may have forgotten their producer (P3).
    TrustMemory,
    /// A merged batch stands for one batch more than is in it.
    MergeOneMore,
    /// With the number of target partitions it changes where a source partition goes.
    MovePartitions,
    /// A lane changes workers with batches under way, and its new worker waits for their answers.
    LeaveUnsettled,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 42] = [
        Self::SkipBatch,
        Self::SwapBatches,
        Self::ReusePayload,
        Self::MapOffByOne,
        Self::TranslateInGap,
        Self::GapOffsets,
        Self::ForgetAborted,
        Self::DropMarker,
        Self::CopyControl,
        Self::WrongEpoch,
        Self::WrongSequence,
        Self::ResendAcked,
        Self::NoFence,
        Self::TailWithoutMarker,
        Self::SecondBeforeProven,
        Self::JournalAfterSend,
        Self::ForgetBarrier,
        Self::PruneTooEarly,
        Self::AckOfOtherLane,
        Self::TrustExpectedOffset,
        Self::IgnoreEnd,
        Self::GuessBehindGap,
        Self::SkipTooFar,
        Self::TimestampLost,
        Self::HeadersLost,
        Self::SparseDeltas,
        Self::AppendTimeNotKept,
        Self::StartOffByOne,
        Self::NewPartitionAtLatest,
        Self::LoseSegments,
        Self::GroupGuessesEnd,
        Self::GroupKeepsFormer,
        Self::GroupOffByOne,
        Self::GroupIgnoresMembers,
        Self::GroupIgnoresMoves,
        Self::GroupIgnoresFormer,
        Self::GroupEndIsFinal,
        Self::GroupNotJournaled,
        Self::TrustMemory,
        Self::MergeOneMore,
        Self::MovePartitions,
        Self::LeaveUnsettled,
    ];
}

/// Whether `bug` is planted in this thread.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn has(_bug: Bug) -> bool {
    false
}

/// As [`has`], but only every ninth time.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn strikes(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use switch::{has, plant, strikes};

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
        static QUESTIONS: Cell<u32> = const { Cell::new(0) };
    }

    /// Plants `bug` in this thread, or takes the one that is there out.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
        QUESTIONS.set(0);
    }

    /// Whether `bug` is planted in this thread.
    #[must_use]
    pub fn has(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// As [`has`], but only every ninth time.
    #[must_use]
    pub fn strikes(bug: Bug) -> bool {
        if !has(bug) {
            return false;
        }
        QUESTIONS.set(QUESTIONS.get() + 1);
        QUESTIONS.get().is_multiple_of(9)
    }
}
