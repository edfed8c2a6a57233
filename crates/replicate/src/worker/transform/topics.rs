//! The topics that outputs go to: how many partitions they have, and what they take.

use std::sync::Arc;
use std::time::Duration;

use etl::ErrorCode;
use etl::rule::{Failure, OnUnknownTopic};
use forward::TargetTraits;
use kafka_client::{Client, ClientError, NewTopic, TopicMetadata, TopicQuery};
use kafka_wire::ErrorCode as BrokerCode;
use tokio::time::{Instant, sleep};

use super::State;
use super::outlets::Refusal;
use crate::journal::{Journal, JournalError, JournalWrite};
use crate::spec::Transform;
use crate::topics::describe::describe;
use crate::topics::traits;
use crate::worker::{Done, LaneId, Worker};

/// A topic's index.
pub(super) type TopicId = usize;

/// How long a topic counts as missing until it is looked for again.
const ABSENT_TIME: Duration = Duration::from_secs(10);

/// The pause before an end that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a topic that was created may take until it is seen.
const CREATE_TIME_MAX: Duration = Duration::from_secs(30);

/// What goes to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Outputs that the rule does not route.
    Main,
    /// Outputs that it does.
    Routed,
    /// Records that failed.
    DeadLetter,
}

/// A topic that outputs go to.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    state: TopicState,
    /// Since when it cannot be written, which was told then.
    failing_since: Option<Instant>,
}

#[derive(Debug)]
enum TopicState {
    Unknown,
    Asked,
    Known(Known),
    Absent(Instant),
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its partitions when the task met it first: more of them would send outputs elsewhere after a restart.
    pub(super) partitions: i32,
    pub(super) traits: TargetTraits,
}

/// What was found out about a topic.
#[derive(Debug)]
pub(in crate::worker) enum Found {
    Known {
        partitions: i32,
        traits: TargetTraits,
    },
    /// It is not there.
    Absent,
    /// It has fewer partitions than it had.
    Shrunk {
        had: i32,
        has: i32,
    },
    /// It could not be made.
    Refused(String),
    Journal(JournalError),
}

impl Topic {
    pub(super) fn known(&self) -> Option<Known> {
        match self.state {
            TopicState::Known(known) => Some(known),
            _ => None,
        }
    }
}

impl State {
    /// The index of a topic.
    pub(super) fn topic_id(&mut self, name: &str) -> TopicId {
        self.topics.iter().position(|topic| &*topic.name == name).unwrap_or_else(|| {
            self.topics.push(Topic {
                name: name.into(),
                state: TopicState::Unknown,
                failing_since: None,
            });
            self.topics.len() - 1
        })
    }
}

impl Worker {
    /// A topic, if it is known already; otherwise it is asked for.
    pub(super) fn known_topic(
        &mut self,
        spec: &Transform,
        state: &mut State,
        id: TopicId,
        what: What,
    ) -> Result<Option<Known>, Refusal> {
        let topic = &mut state.topics[id];
        let route = spec.rule.rule().route.as_ref();
        let on_unknown = route.map_or(OnUnknownTopic::Fail, |route| route.on_unknown);
        match topic.state {
            TopicState::Known(known) => return Ok(Some(known)),
            TopicState::Asked => return Ok(None),
            TopicState::Absent(until) if what == What::Routed && Instant::now() < until => {
                return Err(unknown_topic(&topic.name, on_unknown, &spec.rule.rule().failure));
            }
            TopicState::Unknown | TopicState::Absent(_) => {}
        }
        topic.state = TopicState::Asked;
        let may_create = match what {
            What::Main => false,
            What::Routed => on_unknown == OnUnknownTopic::Create,
            What::DeadLetter => spec.create_dead_letter_topic,
        };
        let (client, name) = (self.ctx.target.clone(), Arc::clone(&topic.name));
        let journal = Arc::clone(&self.ctx.journal);
        self.start(async move {
            let result = look(&client, journal.as_ref(), &name, may_create).await;
            let is_clear = match result {
                Ok(Found::Known { .. } | Found::Journal(_)) => true,
                Ok(Found::Absent) => what == What::Routed,
                _ => false,
            };
            if !is_clear {
                sleep(PAUSE).await;
            }
            Done::OutputTopic { topic: id, result }
        });
        Ok(None)
    }

    /// A topic was looked for.
    pub(in crate::worker) fn output_topic(
        &mut self,
        id: TopicId,
        result: Result<Found, ClientError>,
    ) {
        let Some(mut transforms) = self.transforms.take() else { return };
        let state = &mut transforms.state;
        let topic = &mut state.topics[id];
        let mut cause = None;
        topic.state = match result {
            Ok(Found::Known { partitions, traits }) => {
                topic.failing_since = None;
                TopicState::Known(Known { partitions, traits })
            }
            Ok(Found::Absent) => {
                cause = Some("it does not exist".to_owned());
                TopicState::Absent(Instant::now() + ABSENT_TIME)
            }
            Ok(Found::Shrunk { had, has }) => {
                cause = Some(format!("it has {has} partitions and had {had}"));
                TopicState::Unknown
            }
            Ok(Found::Refused(why)) => {
                cause = Some(why);
                TopicState::Unknown
            }
            Ok(Found::Journal(error)) => {
                self.journal_error.get_or_insert(error);
                TopicState::Unknown
            }
            Err(error) => {
                cause = Some(error.to_string());
                TopicState::Unknown
            }
        };
        let is_news = cause.is_some() && topic.failing_since.is_none();
        let since = cause.as_ref().map(|_| *topic.failing_since.get_or_insert_with(Instant::now));
        let name = Arc::clone(&topic.name);
        let waiting: Vec<_> = state.readers.keys().copied().collect();
        // A task that is to end does not wait for ever.
        let is_over =
            since.zip(self.ctx.denial_time_max).is_some_and(|(at, max)| at.elapsed() >= max);
        let holds = |reader: &&LaneId| state.readers[*reader].holds_record();
        let given_up: Vec<LaneId> =
            if is_over { waiting.iter().filter(holds).copied().collect() } else { Vec::new() };
        for reader in waiting {
            if let Some(cause) = &cause {
                let text = format!("the target topic {name} cannot be written: {cause}");
                self.lanes[reader].status.set_error(Some(text));
            }
            state.enqueue(reader);
        }
        if let Some(cause) = cause.filter(|_| is_news) {
            self.tell_topic(&name, cause);
        }
        self.transforms = Some(transforms);
        for reader in given_up {
            let cause = format!("the target topic {name} has not come");
            self.stop_lane(reader, cause, "create the topic on the target, then run again");
        }
    }
}

fn unknown_topic(name: &str, on_unknown: OnUnknownTopic, failure: &Failure) -> Refusal {
    let cause = format!("the topic {name} does not exist on the target");
    let has_dead_letters = matches!(failure, Failure::Dlq(_));
    let to_dead_letters = on_unknown == OnUnknownTopic::Dlq && has_dead_letters;
    Refusal::new(ErrorCode::RouteTopic, "route", cause, to_dead_letters)
}

/// Looks for a topic, and makes it if it may.
async fn look(
    client: &Client,
    journal: &dyn Journal,
    name: &str,
    may_create: bool,
) -> Result<Found, ClientError> {
    let deadline = Instant::now() + CREATE_TIME_MAX;
    let mut is_made = false;
    let has = loop {
        let query = TopicQuery::Named(vec![name.to_owned()]);
        let metadata = client.refresh_metadata(query).await?;
        let found = metadata.topics.get(name).filter(|topic| is_led(topic));
        if let Some(found) = found {
            break i32::try_from(found.partitions.len()).unwrap_or(i32::MAX);
        }
        if !may_create || Instant::now() >= deadline {
            return Ok(Found::Absent);
        }
        if !is_made {
            let topics = vec![NewTopic::new(name, -1, -1)];
            let answers = client.create_topics(topics, false, CREATE_TIME_MAX).await?;
            match answers.into_values().next() {
                Some(Err(error)) if error.code != BrokerCode::TOPIC_ALREADY_EXISTS => {
                    return Ok(Found::Refused(error.to_string()));
                }
                _ => is_made = true,
            }
        }
        sleep(Duration::from_millis(100)).await;
    };
    let described = describe(client, vec![name.to_owned()]).await?;
    let config = described.into_values().next().and_then(Result::ok).unwrap_or_default();
    let known = match pinned(journal, name, has).await {
        Ok(known) => known,
        Err(error) => return Ok(Found::Journal(error)),
    };
    if has < known {
        return Ok(Found::Shrunk { had: known, has });
    }
    Ok(Found::Known { partitions: known, traits: traits(&config) })
}

/// How many partitions the topic had when the task met it first.
async fn pinned(journal: &dyn Journal, name: &str, has: i32) -> Result<i32, JournalError> {
    let note = format!("output_partitions/{name}");
    let known = journal.load_note(note.clone()).await?;
    if let Some(known) = known.and_then(|text| text.parse().ok()) {
        return Ok(known);
    }
    journal.write(vec![JournalWrite::Note { name: note, value: has.to_string() }]).await?;
    Ok(has)
}

fn is_led(topic: &TopicMetadata) -> bool {
    topic.error.is_ok() && !topic.partitions.is_empty()
}
