//! Differences that are one record in two places: what is missing here and too much there.

use std::collections::HashMap;

use super::report::{Kind, PartitionReport};

/// Finds records that stand elsewhere in their partition.
///
/// Without more than the content's hash and time it is a finding, not a proof: two equal records are taken for one.
pub(super) fn within(partition: &mut PartitionReport) {
    let (mut wanted, mut extras) = (HashMap::new(), HashMap::<u64, Vec<usize>>::new());
    for (index, found) in partition.differences.iter().enumerate() {
        match (&found.kind, found.contents.source, found.contents.target) {
            (Kind::Changed { .. } | Kind::Missing, Some(hash), _) => {
                wanted.entry(hash).or_insert(index);
            }
            (Kind::Extra, _, Some(hash)) => extras.entry(hash).or_default().push(index),
            _ => {}
        }
    }
    let mut is_gone = vec![false; partition.differences.len()];
    for index in 0..partition.differences.len() {
        let found = &partition.differences[index];
        match (&found.kind, found.contents.source, found.contents.target) {
            (Kind::Changed { .. }, _, Some(hash)) if wanted.contains_key(&hash) => {
                partition.tally.changed -= 1;
            }
            (Kind::Missing, Some(hash), _) => {
                let Some(extra) = extras.get_mut(&hash).and_then(Vec::pop) else { continue };
                is_gone[extra] = true;
                partition.tally.missing -= 1;
                partition.tally.extra -= 1;
                let at = partition.differences[extra].target_offset;
                partition.differences[index].target_offset = at;
            }
            _ => continue,
        }
        partition.tally.out_of_order += 1;
        partition.differences[index].kind = Kind::OutOfOrder;
    }
    drop_marked(partition, &is_gone);
}

/// Finds records that stand in another partition of their topic: `partitions` are those of one target topic.
pub(super) fn across(partitions: &mut [&mut PartitionReport]) {
    let mut extras: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
    for (number, partition) in partitions.iter().enumerate() {
        for (index, found) in partition.differences.iter().enumerate() {
            if let (Kind::Extra, Some(hash)) = (&found.kind, found.contents.target) {
                extras.entry(hash).or_default().push((number, index));
            }
        }
    }
    if extras.is_empty() {
        return;
    }
    let mut is_gone: Vec<Vec<bool>> =
        partitions.iter().map(|partition| vec![false; partition.differences.len()]).collect();
    for number in 0..partitions.len() {
        for index in 0..partitions[number].differences.len() {
            let found = &partitions[number].differences[index];
            let (Kind::Missing, Some(hash)) = (&found.kind, found.contents.source) else {
                continue;
            };
            let candidates = extras.get_mut(&hash);
            let Some(extra) = candidates.and_then(|found| {
                let place = found.iter().position(|(other, _)| *other != number)?;
                Some(found.swap_remove(place))
            }) else {
                continue;
            };
            is_gone[extra.0][extra.1] = true;
            let there = &mut partitions[extra.0];
            there.tally.extra -= 1;
            let found_partition = there.target_partition;
            let found_offset = there.differences[extra.1].target_offset.unwrap_or(-1);
            let here = &mut partitions[number];
            here.tally.missing -= 1;
            here.tally.wrong_partition += 1;
            here.differences[index].kind = Kind::WrongPartition { found_partition, found_offset };
        }
    }
    for (partition, is_gone) in partitions.iter_mut().zip(&is_gone) {
        drop_marked(partition, is_gone);
    }
}

fn drop_marked(partition: &mut PartitionReport, is_gone: &[bool]) {
    let mut marks = is_gone.iter();
    partition.differences.retain(|_| !marks.next().copied().unwrap_or_default());
}
