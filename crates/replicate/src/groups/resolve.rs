//! Where the groups' source offsets lie on the target.
//!
//! The lanes answer from memory what they have acknowledged; older offsets are in the journal's part of the offset
//! map; and before a lane has copied anything, the target's end is where its first record will be at the earliest.

use std::collections::{BTreeMap, BTreeSet};

use forward::SourceOffset;
use forward::planted::{Bug, has};
use kafka_client::{Isolation, OffsetSpec, TopicPartition};

use super::routes::{LaneRoute, Snapshot};
use super::state::Answer;
use super::{GroupSync, LookError};
use crate::journal::{JournalError, MapQuery};
use crate::lane::Translated;
use crate::progress::GroupState;
use crate::task::Role;

/// A source offset of a partition.
type Question = (TopicPartition, i64);

impl GroupSync {
    /// Finds out where all groups belong that have moved or wait.
    pub(super) async fn resolve(&mut self, routes: &Snapshot) -> Result<(), LookError> {
        let questions = self.questions(routes);
        let questions: Vec<Question> = questions.into_iter().collect();
        let translated = routes.translate(&questions).await;
        let mut answers = BTreeMap::new();
        let mut at_end = Vec::new();
        for (question, found) in questions.into_iter().zip(translated) {
            let Some(found) = found else { continue };
            match self.answer(&question, found, routes).await? {
                Some(answer) => _ = answers.insert(question, answer),
                None => at_end.push(question),
            }
        }
        let ends = self.target_ends(&at_end, routes).await?;
        // A lane that has begun to send since may have moved the end that was answered.
        let still = routes.translate(&at_end).await;
        answers.extend(at_end.into_iter().zip(still).filter_map(|(question, still)| {
            let target = *ends.get(&question.0)?;
            let answer = match still? {
                _ if has(Bug::GroupGuessesEnd) => Answer::At { target, is_record: false },
                Translated::Empty => Answer::At { target, is_record: false },
                _ => Answer::Unanswered,
            };
            Some((question, answer))
        }));
        let answer = |at: &TopicPartition, offset: i64| {
            answers.get(&(at.clone(), offset)).copied().unwrap_or(Answer::Unanswered)
        };
        for group in self.groups.values_mut() {
            for (at, seen) in &mut group.seen {
                if seen.questions().next().is_some() {
                    let held = seen.held.as_ref().map(|held| answer(at, held.offset));
                    seen.settle(answer(at, seen.committed.offset), held);
                }
            }
        }
        Ok(())
    }

    /// All offsets whose place must be asked. Offsets before the known range are told instead.
    fn questions(&mut self, routes: &Snapshot) -> BTreeSet<Question> {
        let mut questions = BTreeSet::new();
        for (name, group) in &mut self.groups {
            for (at, seen) in &mut group.seen {
                if routes.topic(&at.topic).is_none_or(|topic| topic.is_fan_in) {
                    seen.state = GroupState::Refused;
                    continue;
                }
                if seen.committed.offset < 0 {
                    seen.state = GroupState::Known;
                    continue;
                }
                let valid_from = routes.lane(at).and_then(LaneRoute::valid_from);
                if let Some(valid_from) = valid_from.filter(|from| seen.committed.offset < *from) {
                    seen.state = GroupState::Unknown;
                    (seen.resolved, seen.held) = (None, None);
                    if !std::mem::replace(&mut seen.is_unknown_told, true) {
                        self.tell.before_map(name, at, seen.committed.offset, valid_from);
                    }
                    continue;
                }
                if matches!(seen.state, GroupState::Unknown | GroupState::Known) {
                    seen.state = GroupState::Pending;
                }
                seen.is_unknown_told = false;
                questions.extend(seen.questions().map(|offset| (at.clone(), offset)));
            }
        }
        questions
    }

    /// What a lane's answer means; none when only the target knows.
    async fn answer(
        &self,
        question: &Question,
        found: Translated,
        routes: &Snapshot,
    ) -> Result<Option<Answer>, JournalError> {
        let wrong = i64::from(has(Bug::GroupOffByOne));
        let record = |target: i64| Some(Answer::At { target: target + wrong, is_record: true });
        Ok(match found {
            Translated::At(target) => record(target.0),
            Translated::End(target) if target.0 >= 0 => {
                Some(Answer::At { target: target.0, is_record: false })
            }
            Translated::End(_) | Translated::Empty => {
                let is_unplaced = routes.lane(&question.0).is_some_and(LaneRoute::is_unplaced);
                is_unplaced.then_some(Answer::Beyond)
            }
            Translated::Beyond => (!has(Bug::GroupGuessesEnd)).then_some(Answer::Beyond),
            Translated::Journaled(next) => {
                let (at, offset) = question;
                let Some(lane) = routes.lane(at) else { return Ok(Some(Answer::Unanswered)) };
                let source = SourceOffset(*offset);
                let query = MapQuery::Source(source);
                match self.journal.query_map(lane.key().clone(), query).await? {
                    Some(segment) => record(segment.target_at_or_after(source).0),
                    None => match next {
                        Some(next) if next.0 >= 0 => {
                            Some(Answer::At { target: next.0, is_record: false })
                        }
                        Some(_) => None,
                        // What was drained from the lane's memory is on its way to the disk.
                        None => Some(Answer::Unanswered),
                    },
                }
            }
        })
    }

    /// The end of each target partition, by source partition. A group that was given an end already keeps it until
    /// there is a record.
    async fn target_ends(
        &self,
        questions: &[Question],
        routes: &Snapshot,
    ) -> Result<BTreeMap<TopicPartition, i64>, LookError> {
        let mut ends = BTreeMap::new();
        let mut asked = BTreeMap::new();
        for (at, _) in questions {
            let given = self.groups.values().filter_map(|group| group.seen.get(at));
            let given = given.filter_map(|seen| seen.resolved.as_ref()).next();
            match (given, routes.target_of(at)) {
                (Some(given), _) => _ = ends.insert(at.clone(), given.target),
                (None, Some(target)) => _ = asked.insert(target, at.clone()),
                (None, None) => {}
            }
        }
        if asked.is_empty() {
            return Ok(ends);
        }
        let listed = self
            .target
            .list_offsets(
                asked.keys().map(|target| (target.clone(), OffsetSpec::Latest)).collect(),
                Isolation::ReadUncommitted,
            )
            .await
            .map_err(|error| LookError::Client(Role::Target, error))?;
        for (target, end) in listed {
            if let (Some(at), Ok(end)) = (asked.get(&target), end) {
                ends.insert(at.clone(), end.offset);
            }
        }
        Ok(ends)
    }
}
