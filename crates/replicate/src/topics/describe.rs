//! Topic configurations, asked in portions.

use std::collections::BTreeMap;

use kafka_client::{Client, ClientError, TopicError};

use crate::topic_config::TopicConfig;

/// Topics in one DescribeConfigs request: an answer has about forty keys for each (BF-43).
const DESCRIBE_TOPICS_MAX: usize = 200;

/// Configurations by topic, or why one cannot be read.
pub(crate) type Described = BTreeMap<String, Result<TopicConfig, TopicError>>;

/// The configurations of `topics`.
pub(crate) async fn describe(
    client: &Client,
    topics: Vec<String>,
) -> Result<Described, ClientError> {
    let mut described = BTreeMap::new();
    for portion in topics.chunks(DESCRIBE_TOPICS_MAX) {
        let answers = client.describe_topic_configs(portion.to_vec()).await?;
        described
            .extend(answers.into_iter().map(|(name, result)| (name, result.map(TopicConfig::new))));
    }
    Ok(described)
}
