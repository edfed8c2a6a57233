use super::super::state::{Answer, Committed};
use super::*;
use crate::progress::GroupState;

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn committed(offset: i64) -> Committed {
    Committed { offset, metadata: "m".to_owned() }
}

/// A group that the source has at these offsets and that is translated to 100 more.
fn group(offsets: &[(i32, i64)]) -> Group {
    let mut group = Group::default();
    see(&mut group, offsets);
    group
}

fn see(group: &mut Group, offsets: &[(i32, i64)]) {
    let found = offsets.iter().map(|(partition, offset)| (at(*partition), committed(*offset)));
    group.see(found.collect(), &std::collections::BTreeSet::new());
    for seen in group.seen.values_mut() {
        let target = seen.committed.offset + 100;
        if seen.committed.offset >= 0 {
            seen.settle(Answer::At { target, is_record: true }, None);
        }
    }
}

fn found(offsets: &[(i32, i64)]) -> Found {
    let offsets = offsets.iter().map(|(partition, offset)| (at(*partition), *offset));
    Found { exists: true, has_members: false, offsets: offsets.collect() }
}

/// Meets and decides; what is committed is confirmed. The committed target offsets.
#[track_caller]
fn commit(group: &mut Group, found: &Found) -> Vec<(i32, i64)> {
    meet(group, found);
    match decide(group, found, true, false) {
        Decision::Commit { wishes, .. } => {
            for wish in &wishes {
                group.attempt(wish, 0);
                group.confirm(wish);
            }
            wishes.iter().map(|wish| (wish.at.partition, wish.target)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn claimed(group: &mut Group, found: &Found) -> (TakeOver, i64, i64) {
    meet(group, found);
    match decide(group, found, true, false) {
        Decision::Leave(claimed) => (claimed.reason, claimed.written, claimed.found),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_group_gets_everything_and_then_only_what_changed() {
    let mut group = group(&[(0, 5), (1, 7)]);
    assert_eq!(commit(&mut group, &Found::default()), [(0, 105), (1, 107)]);
    assert_eq!(commit(&mut group, &found(&[(0, 105), (1, 107)])), []);
    see(&mut group, &[(0, 5), (1, 9)]);
    assert_eq!(commit(&mut group, &found(&[(0, 105), (1, 107)])), [(1, 109)]);
    // Back on the source: followed.
    see(&mut group, &[(0, 2), (1, 9)]);
    assert_eq!(commit(&mut group, &found(&[(0, 105), (1, 109)])), [(0, 102)]);
}

#[test]
fn unchanged_offsets_are_committed_again_when_due() {
    let mut group = group(&[(0, 5)]);
    commit(&mut group, &Found::default());
    assert!(!group.is_due(999, 1000));
    assert!(group.is_due(1000, 1000));
    let again = decide(&mut group, &found(&[(0, 105)]), true, true);
    assert!(matches!(again, Decision::Commit { wishes, .. } if wishes.len() == 1));
}

#[test]
fn a_group_with_members_is_left_alone_also_when_they_are_gone() {
    let mut group = group(&[(0, 5)]);
    let in_use = Found { has_members: true, ..found(&[(0, 3)]) };
    assert_eq!(claimed(&mut group, &in_use), (TakeOver::Members, -1, -1));
    assert_eq!(claimed(&mut group, &found(&[(0, 4)])), (TakeOver::Moved, -1, 4));
}

#[test]
fn members_that_moved_nothing_give_the_group_back() {
    let mut group = group(&[(0, 5)]);
    commit(&mut group, &Found::default());
    see(&mut group, &[(0, 6)]);
    let in_use = Found { has_members: true, ..found(&[(0, 105)]) };
    assert_eq!(claimed(&mut group, &in_use).0, TakeOver::Members);
    assert_eq!(commit(&mut group, &found(&[(0, 105)])), [(0, 106)]);
}

#[test]
fn a_moved_offset_is_left_alone_until_the_group_is_gone() {
    let mut group = group(&[(0, 5), (1, 5)]);
    commit(&mut group, &Found::default());
    see(&mut group, &[(0, 6), (1, 6)]);
    let moved = found(&[(0, 105), (1, 99)]);
    assert_eq!(claimed(&mut group, &moved), (TakeOver::Moved, 105, 99));
    assert_eq!(claimed(&mut group, &moved), (TakeOver::Moved, 105, 99));
    assert_eq!(commit(&mut group, &Found::default()), [(0, 106), (1, 106)]);
}

#[test]
fn an_offset_for_a_partition_that_was_never_written_is_somebody_elses() {
    let mut group = group(&[(0, 5)]);
    commit(&mut group, &Found::default());
    assert_eq!(claimed(&mut group, &found(&[(0, 105), (1, 3)])), (TakeOver::Moved, -1, 3));
}

#[test]
fn a_lost_answer_is_not_somebody_else() {
    let mut group = group(&[(0, 5)]);
    commit(&mut group, &Found::default());
    see(&mut group, &[(0, 6)]);
    for wish in group.wishes().collect::<Vec<_>>() {
        group.attempt(&wish, 0);
    }
    // The commit did not arrive, and then it did.
    assert_eq!(commit(&mut group, &found(&[(0, 105)])), [(0, 106)]);
    see(&mut group, &[(0, 7)]);
    for wish in group.wishes().collect::<Vec<_>>() {
        group.attempt(&wish, 0);
    }
    // A restart remembers it too.
    let (_, mut group) = Group::load(group.record("g"));
    see(&mut group, &[(0, 7)]);
    commit(&mut group, &found(&[(0, 107)]));
    assert_eq!(group.known[&at(0)].target, 107);
}

#[test]
fn a_group_that_was_there_is_moved_forward_only() {
    let mut forward = group(&[(0, 5)]);
    meet(&mut forward, &found(&[(0, 50)]));
    match decide(&mut forward, &found(&[(0, 50)]), true, false) {
        Decision::Commit { wishes, adopted: Some(adopted) } => {
            assert_eq!((wishes.len(), adopted.former, adopted.target), (1, 50, 105));
        }
        other => panic!("{other:?}"),
    }
    let mut back = group(&[(0, 5)]);
    assert_eq!(claimed(&mut back, &found(&[(0, 500)])), (TakeOver::Ahead, 105, 500));
    // The same offset needs no event, and is ours from then on.
    let mut equal = group(&[(0, 5)]);
    assert_eq!(commit(&mut equal, &found(&[(0, 105)])), [(0, 105)]);
    see(&mut equal, &[(0, 1)]);
    assert_eq!(commit(&mut equal, &found(&[(0, 105)])), [(0, 101)]);
}

#[test]
fn a_group_without_position_is_made_known_and_may_not_be_made() {
    let mut unborn = group(&[(0, -1), (1, -1)]);
    assert_eq!(commit(&mut unborn, &Found::default()), [(0, -1), (1, -1)]);
    assert_eq!(commit(&mut unborn, &found(&[(0, -1)])), []);
    assert_eq!(decide(&mut unborn, &Found::default(), false, false), Decision::Skip);
}

#[test]
fn a_fast_group_is_followed_at_the_pace_of_the_copy() {
    let mut group = Group::default();
    let nothing = std::collections::BTreeSet::new();
    let mut commits = Vec::new();
    let mut copied = 0;
    for offset in [10, 20, 30, 30] {
        group.see([(at(0), committed(offset))].into(), &nothing);
        let seen = group.seen.get_mut(&at(0)).unwrap();
        let answer = |offset: i64| {
            if offset <= copied {
                Answer::At { target: offset, is_record: true }
            } else {
                Answer::Beyond
            }
        };
        let held = seen.held.as_ref().map(|held| answer(held.offset));
        seen.settle(answer(offset), held);
        commits.push((seen.resolved.as_ref().map(|r| r.target), seen.state));
        copied = offset + 5;
    }
    let held = GroupState::Held;
    let expected =
        [(None, held), (Some(10), held), (Some(20), held), (Some(30), GroupState::Synced)];
    assert_eq!(commits, expected);
}

/// The source went on to 28, back to where the target stands, and on to 58: 28 was taken back and is not followed.
#[test]
fn a_commit_that_was_taken_back_while_it_waited_is_not_followed() {
    let mut group = Group::default();
    let nothing = std::collections::BTreeSet::new();
    let mut step = |offset: i64, current: Answer, held: Option<Answer>| {
        group.see([(at(0), committed(offset))].into(), &nothing);
        let seen = group.seen.get_mut(&at(0)).unwrap();
        let held = seen.held.is_some().then_some(held).flatten();
        seen.settle(current, held);
        (seen.resolved.as_ref().map(|resolved| resolved.target), seen.state)
    };
    let found = |target| Answer::At { target, is_record: true };
    assert_eq!(step(3, found(3), None), (Some(3), GroupState::Synced));
    assert_eq!(step(28, Answer::Beyond, None), (Some(3), GroupState::Held));
    assert_eq!(step(3, Answer::Unanswered, Some(Answer::Beyond)), (Some(3), GroupState::Synced));
    assert_eq!(step(58, Answer::Beyond, Some(found(29))), (Some(3), GroupState::Held));
}
