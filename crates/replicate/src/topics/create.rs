//! Creates topics on the target, whatever it thinks of their configuration; or asks it what it thinks, and creates nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_client::{Client, ClientError, ConfigChange, NewTopic, TopicError};
use kafka_wire::{ErrorCode, Retry};
use tokio::time::Instant;

use super::plan::Creation;
use crate::event::SkipReason;

/// Topics in one CreateTopics request.
const CREATE_TOPICS_MAX: usize = 50;

/// How long the broker may take for one request.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// First and longest pause before a creation is tried again.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Whether topics are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are.
    Apply,
    /// The target says what it would do (`validate_only`).
    Rehearse,
}

/// Is shown each topic that was made.
pub(crate) type OnMade<'a> = &'a (dyn Fn(&Made) + Sync);

/// What became of the creations.
#[derive(Debug, Default)]
pub(crate) struct Created {
    /// Topics that are there now, or would be.
    pub(crate) made: Vec<Made>,
    /// Topics that cannot be created.
    pub(crate) refused: Vec<Refused>,
}

/// A topic that was created.
#[derive(Debug)]
pub(crate) struct Made {
    /// As it was asked for in the end; its settings are those that it has.
    pub(crate) creation: Creation,
    /// Settings that the target refuses, and why.
    pub(crate) refused: Vec<((String, String), String)>,
    /// It was there by now, with settings of its own.
    pub(crate) existed: bool,
}

/// A topic that could not be created.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) topic: String,
    pub(crate) target_name: String,
    pub(crate) reason: SkipReason,
}

/// Creates topics, and remembers which settings the target does not take.
#[derive(Debug, Default)]
pub(crate) struct Creator {
    /// Key and value to the target's answer.
    refused: BTreeMap<(String, String), String>,
}

/// A topic on its way to be created.
struct Pending {
    creation: Creation,
    /// Settings that wait until the topic stands, since the target refused them all together.
    aside: Vec<(String, String)>,
}

/// What an answer to one creation means.
enum Outcome {
    Created,
    /// It is there by now: somebody else's, or our own whose answer was lost.
    Exists,
    Again,
    Refused(String),
}

impl Creator {
    /// Creates the topics, or asks what would come of it. `told` is shown each as soon as it is there.
    pub(crate) async fn create(
        &mut self,
        target: &Client,
        creations: Vec<Creation>,
        patience: Duration,
        mode: Mode,
        told: OnMade<'_>,
    ) -> Created {
        let mut created = Created::default();
        let mut creations = creations.into_iter().peekable();
        while creations.peek().is_some() {
            let portion = creations
                .by_ref()
                .take(CREATE_TOPICS_MAX)
                .map(|creation| self.prepare(creation))
                .collect();
            self.create_portion(target, portion, (patience, mode), told, &mut created).await;
        }
        created
    }

    /// Leaves out what the target has refused before.
    fn prepare(&self, mut creation: Creation) -> Pending {
        let (known, fine): (Vec<_>, Vec<_>) =
            creation.new.configs.into_iter().partition(|entry| self.refused.contains_key(entry));
        creation.new.configs = fine;
        Pending { creation, aside: known }
    }

    async fn create_portion(
        &mut self,
        target: &Client,
        mut pending: Vec<Pending>,
        (patience, mode): (Duration, Mode),
        told: OnMade<'_>,
        created: &mut Created,
    ) {
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE;
        loop {
            let asked: Vec<NewTopic> =
                pending.iter().map(|pending| pending.creation.new.clone()).collect();
            let answer = target.create_topics(asked, mode == Mode::Rehearse, CREATE_TIMEOUT).await;
            let is_late = Instant::now() + pause > deadline;
            let mut again = Vec::new();
            for mut topic in pending {
                let outcome = outcome(&answer, &mut topic);
                match outcome {
                    Outcome::Created | Outcome::Exists => {
                        let existed = matches!(outcome, Outcome::Exists);
                        let made = self.set_aside(target, topic, mode, existed).await;
                        told(&made);
                        created.made.push(made);
                    }
                    Outcome::Again if !is_late => again.push(topic),
                    Outcome::Again => created.refused.push(refuse(topic, last_cause(&answer))),
                    Outcome::Refused(cause) => created.refused.push(refuse(topic, cause)),
                }
            }
            if again.is_empty() {
                return;
            }
            pending = again;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Gives a topic that now stands the settings that were put aside, one by one.
    async fn set_aside(
        &mut self,
        target: &Client,
        topic: Pending,
        mode: Mode,
        existed: bool,
    ) -> Made {
        let Pending { mut creation, aside } = topic;
        let mut refused = Vec::new();
        for entry in aside {
            let result = match self.refused.get(&entry) {
                Some(cause) => Err(cause.clone()),
                None if mode == Mode::Rehearse && !existed => {
                    would_set(target, &creation.new, &entry).await
                }
                None => set(target, &creation.new.name, &entry, mode).await,
            };
            match result {
                Ok(()) => creation.new.configs.push(entry),
                Err(cause) => {
                    self.refused.insert(entry.clone(), cause.clone());
                    refused.push((entry, cause));
                }
            }
        }
        creation.new.configs.sort();
        Made { creation, refused, existed }
    }
}

async fn set(
    target: &Client,
    topic: &str,
    (key, value): &(String, String),
    mode: Mode,
) -> Result<(), String> {
    let changes = vec![(topic.to_owned(), vec![ConfigChange::set(key.clone(), value.clone())])];
    match target.alter_topic_configs(changes, mode == Mode::Rehearse).await {
        Ok(mut answers) => match answers.remove(topic) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the target did not answer for it".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a topic that does not stand yet could have this setting.
async fn would_set(
    target: &Client,
    topic: &NewTopic,
    entry: &(String, String),
) -> Result<(), String> {
    let asked = NewTopic { configs: vec![entry.clone()], ..topic.clone() };
    match target.create_topics(vec![asked], true, CREATE_TIMEOUT).await {
        Ok(mut answers) => match answers.remove(&topic.name) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the target did not answer for it".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    }
}

type Answer = Result<BTreeMap<String, Result<(), TopicError>>, ClientError>;

/// What the answer means for one topic; changes what is asked for when it is to be asked again.
fn outcome(answer: &Answer, topic: &mut Pending) -> Outcome {
    let new = &mut topic.creation.new;
    let error = match answer {
        Err(error) if error.retry() != Retry::Never || error.is_connection() => {
            return Outcome::Again;
        }
        Err(error) => return Outcome::Refused(error.to_string()),
        Ok(answers) => match answers.get(&new.name) {
            Some(Ok(())) => return Outcome::Created,
            Some(Err(error)) => error,
            None => return Outcome::Refused("the target did not answer for it".to_owned()),
        },
    };
    match error.code {
        ErrorCode::TOPIC_ALREADY_EXISTS => Outcome::Exists,
        // Brokers may be down, or excluded from new topics: the cluster's own default is the way out.
        ErrorCode::INVALID_REPLICATION_FACTOR if new.replication_factor > 1 => {
            new.replication_factor = -1;
            Outcome::Again
        }
        ErrorCode::INVALID_CONFIG | ErrorCode::INVALID_REQUEST | ErrorCode::POLICY_VIOLATION
            if !new.configs.is_empty() =>
        {
            topic.aside.append(&mut new.configs);
            Outcome::Again
        }
        code if code.retry() != Retry::Never => Outcome::Again,
        _ => Outcome::Refused(error.to_string()),
    }
}

fn last_cause(answer: &Answer) -> String {
    match answer {
        Err(error) => error.to_string(),
        Ok(_) => "the target was not ready for it in time".to_owned(),
    }
}

fn refuse(topic: Pending, cause: String) -> Refused {
    let Creation { topic, new, .. } = topic.creation;
    Refused { topic, target_name: new.name, reason: SkipReason::CreateRefused { cause } }
}
