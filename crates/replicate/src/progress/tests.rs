use std::sync::Arc;
use std::time::Duration;

use super::{LaneStatus, Progress};
use crate::journal::LaneKey;

fn lane(topic: &str, partition: i32) -> Arc<LaneStatus> {
    LaneStatus::new(LaneKey {
        source_topic: topic.to_owned(),
        source_partition: partition,
        target_topic: topic.to_owned(),
        target_partition: partition,
    })
}

/// Topic, partition, records of each entry, as shown.
fn shown(progress: &Progress) -> Vec<(&str, i32, u64)> {
    let topics = progress.topics.iter();
    let entries = topics.flat_map(|topic| topic.partitions.iter().map(move |found| (topic, found)));
    entries
        .map(|(topic, found)| (topic.topic.as_str(), found.partition, found.records_copied))
        .collect()
}

#[test]
fn lanes_that_come_later_find_their_place_and_none_is_shown_twice() {
    let mut lanes = vec![lane("b", 1), lane("b", 0)];
    let mut progress = Progress::default();
    progress.update(&lanes, Arc::default(), Duration::from_secs(1));
    assert_eq!(shown(&progress), [("b", 0, 0), ("b", 1, 0)]);
    lanes.extend([lane("a", 3), lane("b", 2)]);
    lanes[0].copied(10, 1000, None, 10);
    lanes[2].copied(5, 500, None, 5);
    progress.update(&lanes, Arc::default(), Duration::from_secs(3));
    assert_eq!(shown(&progress), [("a", 3, 5), ("b", 0, 0), ("b", 1, 10), ("b", 2, 0)]);
    assert_eq!((progress.total.partitions, progress.total.records), (4, 15));
    assert!((progress.total.records_per_second - 7.5).abs() < 1e-9, "{:?}", progress.total);
    // What was copied before does not count again.
    progress.update(&lanes, Arc::default(), Duration::from_secs(4));
    assert_eq!((progress.total.partitions, progress.total.records), (4, 15));
    assert!(progress.total.records_per_second.abs() < 1e-9, "{:?}", progress.total);
}

#[test]
fn a_lane_whose_topic_is_no_more_counts_and_is_not_shown() {
    let (former, other) = (lane("a", 0), lane("b", 0));
    let mut progress = Progress::default();
    former.copied(3, 300, None, 3);
    let lanes = vec![Arc::clone(&former), other];
    progress.update(&lanes, Arc::default(), Duration::from_secs(1));
    former.retire();
    progress.update(&lanes, Arc::default(), Duration::from_secs(2));
    assert_eq!(shown(&progress), [("b", 0, 0)]);
    assert_eq!(progress.total.records, 3);
}
