//! How far an answer is likely to bring a lane.

use forward::SourceOffset;

use super::Lane;

/// What the last answer with batches brought: offsets, and bytes of the batches that held them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Advance {
    offsets: i64,
    bytes: usize,
}

impl Advance {
    fn likely(self, bytes: i32) -> Option<i64> {
        let known = i128::try_from(self.bytes).ok().filter(|known| *known > 0)?;
        let likely = i128::from(self.offsets) * i128::from(bytes) / known;
        i64::try_from(likely).ok().filter(|likely| *likely > 0)
    }
}

impl Lane {
    /// The lane has read `bytes` of batches from `from` up to its position.
    pub(super) fn note_advance(&mut self, from: SourceOffset, bytes: usize) {
        let offsets = self.position.since(from);
        if offsets > 0 && bytes > 0 {
            self.advance = Advance { offsets, bytes };
        }
    }

    /// The offsets that the next `bytes` of batches are likely to hold; none while nothing is known.
    pub(crate) fn likely_advance(&self, bytes: i32) -> Option<i64> {
        self.advance.likely(bytes)
    }

    /// Where what can be read ends, as far as is known.
    pub(crate) fn readable_end(&self) -> SourceOffset {
        let end = SourceOffset(self.status.source_end());
        self.end.map_or(end, |wanted| wanted.min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::Advance;

    #[test]
    fn uniform_batches_are_foretold_exactly() {
        let check = |offsets, bytes, next_bytes, expected| {
            assert_eq!(Advance { offsets, bytes }.likely(next_bytes), expected);
        };
        check(0, 0, 1000, None);
        check(300, 3 * 777, 5 * 777, Some(500));
        check(300, 3 * 777, 7, None);
        check(i64::MAX, 1, i32::MAX, None);
    }
}
