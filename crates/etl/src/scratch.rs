//! What is reused from record to record.

use bumpalo::Bump;

use crate::sample::Seen;

/// Buffers, and what the chain items `dedupe` and `throttle` remember. One for each source partition of a task: their
/// memory is not shared and is lost with the process.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) bump: Bump,
    pub(crate) memory: Memory,
}

impl Scratch {
    /// An empty scratch.
    pub fn new() -> Self {
        Self::default()
    }
}

/// What a rule remembers from earlier records, by the index of the chain item.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) seen: Vec<Seen>,
}

impl Memory {
    /// What the chain item `index` remembers.
    pub(crate) fn at(&mut self, index: usize) -> &mut Seen {
        if self.seen.len() <= index {
            self.seen.resize_with(index + 1, Seen::default);
        }
        &mut self.seen[index]
    }
}
