//! CreatePartitions: more partitions for topics that exist.

use std::{collections::BTreeMap, time::Duration};

use kafka_wire::messages::{
    CreatePartitionsRequest, create_partitions_request::CreatePartitionsTopic,
};

use super::{
    millis, topic_name,
    topics::{missing, patience},
};
use crate::{
    Client, ClientError, TopicError,
    client::route::{Repeat, Target, nothing_done},
};

impl Client {
    /// Raises topics to this total number of partitions (or with `validate_only` tries whether it could).
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] on 0.11, which has no such request; otherwise when the controller does not answer.
    /// [`ClientError::AnswerUnknown`] may mean that the partitions exist now.
    pub async fn create_partitions(
        &self,
        topics: Vec<(String, i32)>,
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<(), TopicError>>, ClientError> {
        let timeout = Duration::from_secs(30);
        let repeat = if validate_only { Repeat::Safe } else { Repeat::Unsafe };
        let (response, _) = self
            .ask::<CreatePartitionsRequest>(
                Target::Controller,
                repeat,
                patience(timeout),
                |_, _| {
                    let wanted = |(name, count): &(String, i32)| {
                        CreatePartitionsTopic::default()
                            .with_name(topic_name(name))
                            .with_count(*count)
                            .with_assignments(None)
                    };
                    Ok(CreatePartitionsRequest::default()
                        .with_topics(topics.iter().map(wanted).collect())
                        .with_timeout_ms(millis(timeout))
                        .with_validate_only(validate_only))
                },
                |response| nothing_done(response.results.iter().map(|topic| topic.error_code)),
            )
            .await?;
        let mut results = missing(topics.into_iter().map(|(name, _)| name));
        for topic in response.results {
            let result = TopicError::check(topic.error_code, topic.error_message.as_deref());
            results.insert(topic.name.to_string(), result);
        }
        Ok(results)
    }
}
