//! Configuration entries as DescribeConfigs shows them and AlterConfigs takes them.

/// One configuration entry of a topic or broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; none for secrets, and for what has no value.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether the broker hides the value.
    pub is_sensitive: bool,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
}

/// Where a configuration value comes from (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set on this topic.
    Topic,
    /// Set on this broker while it ran.
    Broker,
    /// Set for all brokers while they ran.
    ClusterDefault,
    /// In the broker's configuration file.
    StaticBroker,
    /// Kafka's own default. Before 1.1 this stands for everything that is not set on the topic itself.
    Default,
    /// Set for this broker's loggers, or in a way that later releases have.
    Other(i8),
}

impl ConfigSource {
    pub(super) fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::ClusterDefault,
            4 => Self::StaticBroker,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }

    /// Whether somebody set the value on the topic itself: what a copy of the topic takes over (BF-38).
    #[must_use]
    pub fn is_topic_override(self) -> bool {
        self == Self::Topic
    }
}

/// One change of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The entry's name.
    pub name: String,
    /// Its new value; none takes the override away.
    pub value: Option<String>,
}

impl ConfigChange {
    /// Sets a value.
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }

    /// Takes an override away.
    pub fn delete(name: impl Into<String>) -> Self {
        Self { name: name.into(), value: None }
    }
}
