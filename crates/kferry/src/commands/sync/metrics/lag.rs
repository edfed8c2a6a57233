//! How old the oldest record is that is not copied yet, as far as this process has seen the source grow.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use replicate::progress::{PartitionProgress, Progress};

/// Ends of one partition that are remembered; with more, every second one is forgotten.
const ENDS_MAX: usize = 32;

/// When each partition's end was where.
#[derive(Debug, Default)]
pub(super) struct LagClock {
    /// Ends that lie behind the position, and since when they are known, oldest first.
    ends: BTreeMap<(String, i32), VecDeque<(i64, Instant)>>,
}

impl LagClock {
    /// Looks at all partitions.
    pub(super) fn see(&mut self, progress: &Progress, now: Instant) {
        for topic in &progress.topics {
            for partition in &topic.partitions {
                let key = (topic.topic.clone(), partition.partition);
                self.end(key, partition.position, partition.source_end, now);
            }
        }
    }

    fn end(&mut self, key: (String, i32), position: i64, source_end: i64, now: Instant) {
        let is_behind = position >= 0 && source_end > position;
        if !is_behind {
            self.ends.remove(&key);
            return;
        }
        let ends = self.ends.entry(key).or_default();
        while ends.front().is_some_and(|(end, _)| *end <= position) {
            ends.pop_front();
        }
        if ends.back().is_none_or(|(end, _)| *end < source_end) {
            ends.push_back((source_end, now));
        }
        if ends.len() > ENDS_MAX {
            // The oldest stays, and so does the newest: what is between gets coarser.
            let last = ends.len() - 1;
            let mut index = 0;
            ends.retain(|_| {
                index += 1;
                index % 2 == 1 || index - 1 == last
            });
        }
    }

    /// For how long it is known that `partition` has something that is not copied; 0 when it has nothing.
    pub(super) fn seconds(&self, topic: &str, partition: &PartitionProgress, now: Instant) -> f64 {
        self.age(topic, partition.partition, partition.position, now)
    }

    fn age(&self, topic: &str, partition: i32, position: i64, now: Instant) -> f64 {
        let ends = self.ends.get(&(topic.to_owned(), partition));
        let oldest = ends.into_iter().flatten().find(|(end, _)| *end > position);
        oldest.map_or(0.0, |(_, since)| now.saturating_duration_since(*since).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_record_that_is_not_copied_counts() {
        let (start, mut clock) = (Instant::now(), LagClock::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut check = |position, end, seconds, expected: f64| {
            clock.end(("t".into(), 0), position, end, at(seconds));
            let age = clock.age("t", 0, position, at(seconds));
            assert!((age - expected).abs() < 0.001, "{position} {end}: {age}, not {expected}");
        };
        check(10, 10, 0, 0.0);
        check(10, 15, 1, 0.0);
        check(10, 20, 3, 2.0);
        check(14, 20, 5, 4.0);
        // What came at second 3 is the oldest now.
        check(15, 20, 7, 4.0);
        check(20, 20, 8, 0.0);
        check(-1, 30, 9, 0.0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_kept() {
        let (start, mut clock) = (Instant::now(), LagClock::default());
        for second in 0..10_000_u64 {
            let end = 100 + i64::try_from(second).unwrap();
            clock.end(("t".into(), 0), 1, end, start + Duration::from_secs(second));
            assert!(clock.ends[&("t".to_owned(), 0)].len() <= ENDS_MAX);
        }
        let age = clock.age("t", 0, 1, start + Duration::from_secs(10_000));
        assert!((age - 10_000.0).abs() < 0.001, "{age}");
    }
}
