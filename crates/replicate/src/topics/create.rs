//! Creates topics on the target, whatever it thinks of their configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_client::{Client, ClientError, ConfigChange, NewTopic, TopicError};
use kafka_wire::{ErrorCode, Retry};
use tokio::time::Instant;

use super::plan::Creation;
use super::tell::Teller;
use crate::event::{ConfigSkipReason, SkipReason};

/// Topics in one CreateTopics request.
const CREATE_TOPICS_MAX: usize = 50;

/// How long the broker may take for one request.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// First and longest pause before a creation is tried again.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// A topic that could not be created.
pub(super) struct Refused {
    pub(super) topic: String,
    pub(super) target_name: String,
    pub(super) reason: SkipReason,
}

/// Creates topics, and remembers which settings the target does not take.
#[derive(Debug, Default)]
pub(super) struct Creator {
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
    /// Creates the topics; tells of those that were. Returns those that cannot be.
    pub(super) async fn create(
        &mut self,
        target: &Client,
        creations: Vec<Creation>,
        patience: Duration,
        tell: &Teller,
    ) -> Vec<Refused> {
        let mut refused = Vec::new();
        let mut creations = creations.into_iter().peekable();
        while creations.peek().is_some() {
            let portion = creations
                .by_ref()
                .take(CREATE_TOPICS_MAX)
                .map(|creation| self.prepare(creation))
                .collect();
            refused.extend(self.create_portion(target, portion, patience, tell).await);
        }
        refused
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
        patience: Duration,
        tell: &Teller,
    ) -> Vec<Refused> {
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE;
        let mut refused = Vec::new();
        loop {
            let asked: Vec<NewTopic> =
                pending.iter().map(|pending| pending.creation.new.clone()).collect();
            let answer = target.create_topics(asked, false, CREATE_TIMEOUT).await;
            let is_late = Instant::now() + pause > deadline;
            let mut again = Vec::new();
            for mut topic in pending {
                match outcome(&answer, &mut topic) {
                    Outcome::Created => {
                        tell.created(&topic.creation);
                        self.set_aside(target, topic, tell).await;
                    }
                    Outcome::Exists => self.set_aside(target, topic, tell).await,
                    Outcome::Again if !is_late => again.push(topic),
                    Outcome::Again => refused.push(refuse(topic, last_cause(&answer))),
                    Outcome::Refused(cause) => refused.push(refuse(topic, cause)),
                }
            }
            if again.is_empty() {
                return refused;
            }
            pending = again;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Gives a topic that now stands the settings that were put aside, one by one; tells which ones the target refuses.
    async fn set_aside(&mut self, target: &Client, topic: Pending, tell: &Teller) {
        let name = &topic.creation.new.name;
        for (key, value) in topic.aside {
            let entry = (key, value);
            let cause = match self.refused.get(&entry) {
                Some(cause) => cause.clone(),
                None => match set(target, name, &entry).await {
                    Ok(()) => continue,
                    Err(cause) => cause,
                },
            };
            let reason = ConfigSkipReason::Refused { cause: cause.clone() };
            tell.config_skipped(
                &topic.creation.topic,
                name,
                &entry.0,
                Some(entry.1.clone()),
                reason,
            );
            self.refused.insert(entry, cause);
        }
    }
}

async fn set(target: &Client, topic: &str, (key, value): &(String, String)) -> Result<(), String> {
    let changes = vec![(topic.to_owned(), vec![ConfigChange::set(key.clone(), value.clone())])];
    match target.alter_topic_configs(changes, false).await {
        Ok(mut answers) => match answers.remove(topic) {
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
