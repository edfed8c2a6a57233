//! Topics of the source beside those of the target, for comparing.

use std::sync::Arc;

use kafka_client::{Client, ClusterMetadata, TopicQuery};

use super::describe::{Described, describe};
use crate::task::{Role, TaskError};

/// Topics compared at a time: bounds what is held of their configurations.
pub(crate) const PAIRS_MAX: usize = 200;

/// Both sides of some topics.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// Configurations on the source, by its names.
    pub(crate) sources: Described,
    /// Configurations on the target, by its names.
    pub(crate) targets: Described,
    /// What the target shows of them.
    pub(crate) found: Arc<ClusterMetadata>,
}

impl Pairs {
    /// Asks about `topics`, each a source name with its target name.
    pub(crate) async fn ask(
        source: &Client,
        target: &Client,
        topics: &[(String, String)],
    ) -> Result<Self, TaskError> {
        let source_names = topics.iter().map(|(name, _)| name.clone()).collect();
        let target_names: Vec<_> = topics.iter().map(|(_, name)| name.clone()).collect();
        let sources =
            describe(source, source_names).await.map_err(TaskError::client(Role::Source))?;
        let targets = describe(target, target_names.clone())
            .await
            .map_err(TaskError::client(Role::Target))?;
        let found = target
            .metadata(TopicQuery::Named(target_names))
            .await
            .map_err(TaskError::client(Role::Target))?;
        Ok(Self { sources, targets, found })
    }
}
