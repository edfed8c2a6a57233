//! Operations on the offset map against a plain list of (source, target) pairs: the same things are accepted, every question
//! has the same answer both ways, answers grow with the question, and a map that keeps few segments in memory agrees or
//! sends its caller to the journal.
#![no_main]

use arbitrary::Arbitrary;
use forward::{Lookup, OffsetMap, Segment, SourceOffset, TargetOffset};
use libfuzzer_sys::fuzz_target;

/// One operation; positions are relative to the end of the map.
#[derive(Arbitrary, Debug)]
enum Operation {
    Append { source: i8, target: i8, len: u8 },
    Advance { source: u8, target: u8 },
    Drain,
}

/// The map as anybody would write it first.
struct Naive {
    pairs: Vec<(i64, i64)>,
    source_next: i64,
    target_next: i64,
}

impl Naive {
    /// Adds records one by one until one contradicts.
    fn append(&mut self, segment: Segment) -> bool {
        for index in 0..segment.len {
            let pair = (segment.source_start.0 + index, segment.target_start.0 + index);
            if self.pairs.contains(&pair) {
                continue;
            }
            if pair.0 < self.source_next || pair.1 < self.target_next {
                return false;
            }
            self.pairs.push(pair);
            (self.source_next, self.target_next) = (pair.0 + 1, pair.1 + 1);
        }
        true
    }

    fn translate(&self, source: i64) -> Lookup<TargetOffset> {
        if source > self.source_next {
            return Lookup::Beyond;
        }
        let next = self.pairs.iter().find(|pair| pair.0 >= source);
        Lookup::At(TargetOffset(next.map_or(self.target_next, |pair| pair.1)))
    }

    fn translate_back(&self, target: i64) -> Lookup<SourceOffset> {
        if target > self.target_next {
            return Lookup::Beyond;
        }
        let next = self.pairs.iter().find(|pair| pair.1 >= target);
        Lookup::At(SourceOffset(next.map_or(self.source_next, |pair| pair.0)))
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    let start = (SourceOffset(200), TargetOffset(150));
    let mut naive = Naive { pairs: Vec::new(), source_next: start.0.0, target_next: start.1.0 };
    let mut full = OffsetMap::new(start.0, start.1, usize::MAX);
    let mut small = OffsetMap::new(start.0, start.1, 2);
    let mut journal = std::collections::BTreeMap::new();
    for operation in operations.into_iter().take(40) {
        match operation {
            Operation::Append { source, target, len } => {
                let segment = Segment {
                    source_start: full.source_next().plus(i64::from(source)),
                    target_start: full.target_next().plus(i64::from(target)),
                    len: i64::from(len % 32),
                };
                let is_accepted = full.append(segment).is_ok();
                assert_eq!(is_accepted, naive.append(segment), "{segment:?}");
                assert_eq!((full.source_next().0, full.target_next().0), (naive.source_next, naive.target_next));
                // The small map may have forgotten what is repeated; it learns what was new.
                if small.append(segment).is_err() {
                    let known = small.source_next();
                    let news = full.segments().filter(|segment| segment.source_end() > known);
                    for news in news.copied().collect::<Vec<_>>() {
                        let skip = known.since(news.source_start).max(0);
                        let (source_start, target_start) = (news.source_start.plus(skip), news.target_start.plus(skip));
                        small.append(Segment { source_start, target_start, len: news.len - skip }).expect("news");
                    }
                }
            }
            Operation::Advance { source, target } => {
                naive.source_next += i64::from(source % 8);
                naive.target_next += i64::from(target % 8);
                for map in [&mut full, &mut small] {
                    map.advance(SourceOffset(naive.source_next), TargetOffset(naive.target_next));
                }
            }
            Operation::Drain => {
                journal.extend(small.drain().into_iter().map(|segment| (segment.source_start, segment)));
            }
        }
    }
    journal.extend(small.drain().into_iter().map(|segment| (segment.source_start, segment)));
    assert!(small.segments().count() <= 2);
    assert!(full.segments().eq(journal.values()), "the journal has the whole map");

    let mut last = i64::MIN;
    for source in 0..naive.source_next + 3 {
        let expected = naive.translate(source);
        assert_eq!(full.translate(SourceOffset(source)), expected);
        let found = small.translate(SourceOffset(source));
        assert!(found == expected || found == Lookup::Evicted);
        if let Lookup::At(target) = expected {
            assert!(target.0 >= last, "translation goes back");
            last = target.0;
        }
    }
    for target in 0..naive.target_next + 3 {
        let expected = naive.translate_back(target);
        assert_eq!(full.translate_back(TargetOffset(target)), expected);
        let found = small.translate_back(TargetOffset(target));
        assert!(found == expected || found == Lookup::Evicted);
    }
});
