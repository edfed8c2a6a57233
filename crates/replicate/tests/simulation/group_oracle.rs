//! The judge of groups: whether the task gave the target's groups what the source's had, and touched nobody else's.
//!
//! The target's coordinator tells what was asked and what it accepted, in order. Requests of one connection are carried out in the
//! order in which they were sent; across connections a request may come late, after its sender has given it up. So
//! what must not follow something else is looked for on one connection.

use std::collections::{BTreeMap, HashMap};

use kafka_sim::{GroupRequest, GroupRequestKind};
use kafka_wire::record::Record;

use crate::group_story::GroupStep;
use crate::history::{At, History, LaneStory, id_of};
use crate::oracle::{Finding, Kind};

/// Source and target offsets of the records that were copied from each source partition, in the target's order.
pub(crate) type Copied = BTreeMap<At, Vec<(i64, i64)>>;

/// What is there in the end.
#[derive(Debug, Default)]
pub(crate) struct GroupsSeen {
    pub(crate) copied: Copied,
    /// Ends of the target's partitions.
    pub(crate) ends: BTreeMap<At, i64>,
    /// What the target has for each group that the source ever had.
    pub(crate) stands: BTreeMap<(String, At), i64>,
}

/// Finds the source's records on the target.
pub(crate) fn copied(history: &History, target: &BTreeMap<At, Vec<Record>>) -> Copied {
    let written: HashMap<u64, (&At, i64)> = history
        .source
        .iter()
        .flat_map(|(at, records)| records.iter().map(move |found| (found.id, (at, found.offset))))
        .collect();
    let mut copied = Copied::new();
    for record in target.values().flatten() {
        if let Some((at, offset)) = id_of(record).and_then(|id| written.get(&id)) {
            copied.entry((*at).clone()).or_default().push((*offset, record.offset));
        }
    }
    copied
}

/// Whose an offset of a target group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Task,
    /// It was there before the task.
    Former(i64),
    Others,
}

/// One group while its story is read.
#[derive(Debug, Default)]
struct Group {
    /// The source's commits, in order.
    commits: BTreeMap<String, (usize, At, i64)>,
    /// Where the source stands.
    source: BTreeMap<At, i64>,
    target: BTreeMap<At, Owner>,
    /// The youngest commit that each connection carried over.
    carried: BTreeMap<(u64, At), usize>,
    /// Looks of each connection since somebody moved the target's group.
    looks: BTreeMap<u64, u32>,
    /// As `looks`, since somebody joined.
    looks_at_members: BTreeMap<u64, u32>,
    has_members: bool,
    /// The task has committed to it.
    was_given: bool,
    /// Others moved it before that: it is theirs as a whole, or in that partition only.
    is_unclear: bool,
}

/// Everything that is wrong with groups.
pub(crate) fn judge(
    history: &History,
    stories: &BTreeMap<At, LaneStory>,
    seen: &GroupsSeen,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let groups = read(history, stories, seen, &mut findings);
    findings.extend(groups.iter().flat_map(|(name, group)| missing_of(name, group, stories, seen)));
    findings
}

/// Groups that do not stand where they should, yet.
pub(crate) fn missing(
    history: &History,
    stories: &BTreeMap<At, LaneStory>,
    seen: &GroupsSeen,
) -> Vec<Finding> {
    let groups = read(history, stories, seen, &mut Vec::new());
    groups.iter().flat_map(|(name, group)| missing_of(name, group, stories, seen)).collect()
}

fn read<'a>(
    history: &'a History,
    stories: &BTreeMap<At, LaneStory>,
    seen: &GroupsSeen,
    findings: &mut Vec<Finding>,
) -> BTreeMap<&'a str, Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for (number, step) in history.groups.iter().enumerate() {
        let group = groups.entry(name_of(step)).or_default();
        match step {
            GroupStep::Committed { at, offset, text, .. } => {
                group.commits.insert(text.clone(), (number, at.clone(), *offset));
                group.source.insert(at.clone(), *offset);
            }
            GroupStep::Deleted { .. } => group.source.clear(),
            GroupStep::Existed { at, offset, .. } => {
                group.looks.clear();
                group.target.insert(at.clone(), Owner::Former(*offset));
            }
            GroupStep::Moved { at, offset, .. } => {
                // Before the task has met the group, it is ground: nobody knows when it looked first.
                group.is_unclear |= !group.was_given;
                let owner = if group.was_given { Owner::Others } else { Owner::Former(*offset) };
                group.target.insert(at.clone(), owner);
                group.looks.clear();
            }
            GroupStep::PutBack { at, .. } => _ = group.target.insert(at.clone(), Owner::Task),
            GroupStep::Joined { .. } => {
                group.has_members = true;
                group.looks_at_members.clear();
            }
            GroupStep::Left { .. } => group.has_members = false,
            GroupStep::Forgotten { .. } => group.target.clear(),
            GroupStep::Asked(request) => group.asked(request, stories, seen, findings),
        }
    }
    groups
}

fn name_of(step: &GroupStep) -> &str {
    match step {
        GroupStep::Committed { group, .. }
        | GroupStep::Deleted { group }
        | GroupStep::Existed { group, .. }
        | GroupStep::Moved { group, .. }
        | GroupStep::PutBack { group, .. }
        | GroupStep::Joined { group }
        | GroupStep::Left { group }
        | GroupStep::Forgotten { group } => group,
        GroupStep::Asked(request) => &request.group,
    }
}

impl Group {
    fn asked(
        &mut self,
        request: &GroupRequest,
        stories: &BTreeMap<At, LaneStory>,
        seen: &GroupsSeen,
        findings: &mut Vec<Finding>,
    ) {
        let looks = |looks: &BTreeMap<u64, u32>| looks.get(&request.connection).copied();
        let name = &request.group;
        match &request.what {
            GroupRequestKind::Fetched => {
                *self.looks.entry(request.connection).or_default() += 1;
                *self.looks_at_members.entry(request.connection).or_default() += 1;
            }
            GroupRequestKind::RefusedForMembers => {
                // The first look may have listed the groups before somebody joined.
                if self.has_members && looks(&self.looks_at_members) >= Some(2) {
                    let at = (String::new(), 0);
                    let what = format!("{name} was to be moved, and has members");
                    findings.push(Finding { kind: Kind::GroupInUse, at, what });
                }
            }
            GroupRequestKind::Committed { topic, partition, committed, high_watermark } => {
                let at = (topic.clone(), *partition);
                let mut say = |kind, what: String| {
                    let what = format!(
                        "{name} was given {} ({}): {what}",
                        committed.offset, committed.metadata
                    );
                    findings.push(Finding { kind, at: at.clone(), what });
                };
                let is_others = self.target.values().any(|owner| *owner == Owner::Others);
                if is_others && looks(&self.looks) >= Some(1) {
                    say(Kind::GroupOverwritten, "others had moved it".to_owned());
                }
                if let Some(Owner::Former(former)) = self.target.get(&at)
                    && looks(&self.looks) >= Some(1)
                    && committed.offset < *former
                {
                    say(Kind::GroupOverwritten, format!("it stood at {former} before"));
                }
                self.was_given = true;
                self.target.insert(at.clone(), Owner::Task);
                if committed.offset < 0 {
                    return;
                }
                let Some((number, _, source)) =
                    self.commits.get(&committed.metadata).filter(|(_, known, _)| *known == at)
                else {
                    return say(Kind::GroupWrong, "no commit of the source".to_owned());
                };
                let last = self.carried.insert((request.connection, at.clone()), *number);
                if last.is_some_and(|last| last > *number) {
                    say(Kind::GroupBack, "a later commit was carried over before".to_owned());
                }
                if committed.offset > *high_watermark {
                    say(Kind::GroupAhead, format!("the target had records to {high_watermark}"));
                }
                let story = stories.get(&at);
                if story.and_then(|story| story.map_start).is_some_and(|start| *source < start) {
                    say(Kind::GroupWrong, format!("where {source} lies cannot be known"));
                }
                if let Some((kind, what)) = wrong(seen, &at, *source, committed.offset) {
                    say(kind, what);
                }
            }
        }
    }
}

/// What is wrong with `target` as the place of `source`: a record before it that has to be read, or one behind it that was.
fn wrong(seen: &GroupsSeen, at: &At, source: i64, target: i64) -> Option<(Kind, String)> {
    let copied = seen.copied.get(at).map(Vec::as_slice).unwrap_or_default();
    let index = copied.partition_point(|(_, found)| *found < target);
    if let Some((skipped, _)) = index.checked_sub(1).and_then(|index| copied.get(index))
        && *skipped >= source
    {
        return Some((
            Kind::GroupAhead,
            format!("source offset {skipped} lies before it, {source} was committed"),
        ));
    }
    let (next, _) = copied.get(index)?;
    (*next < source).then(|| {
        (Kind::GroupWrong, format!("source offset {next} lies behind it, {source} was committed"))
    })
}

fn missing_of(
    name: &str,
    group: &Group,
    stories: &BTreeMap<At, LaneStory>,
    seen: &GroupsSeen,
) -> Vec<Finding> {
    if group.is_unclear
        || group.has_members
        || group.target.values().any(|owner| *owner == Owner::Others)
    {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, source) in &group.source {
        let story = stories.get(at);
        if story.and_then(|story| story.map_start).is_some_and(|start| *source < start) {
            continue;
        }
        let copied = seen.copied.get(at).map(Vec::as_slice).unwrap_or_default();
        if copied.is_empty() && story.is_some_and(|story| story.map_start.is_some()) {
            // Whether what lies on the target is the copy's own is found out with the first record.
            continue;
        }
        let index = copied.partition_point(|(found, _)| found < source);
        let first = match (copied.get(index), index.checked_sub(1)) {
            (Some((_, target)), _) => *target,
            (None, Some(last)) => copied[last].1 + 1,
            (None, None) => 0,
        };
        let last = match copied.get(index) {
            Some((_, target)) => *target,
            None => seen.ends.get(at).copied().unwrap_or(0),
        };
        if let Some(Owner::Former(former)) = group.target.get(at)
            && *former > first
        {
            // Ahead of the source's: somebody else's as a whole.
            return Vec::new();
        }
        let found = seen.stands.get(&(name.to_owned(), at.clone())).copied().unwrap_or(-1);
        if !(first..=last).contains(&found) {
            let what = format!(
                "{name} stands at {found}, not at {first} to {last}: the source's is at {source}"
            );
            findings.push(Finding { kind: Kind::GroupMissing, at: at.clone(), what });
        }
    }
    findings
}
