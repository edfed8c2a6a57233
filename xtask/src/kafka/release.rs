//! The Kafka releases the tests know how to start.

use std::fmt;
use std::str::FromStr;

/// A release of Apache Kafka that can be fetched and started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the release numbers")]
pub enum Release {
    V0_10_2_2,
    V0_11_0_3,
    V1_1_1,
    V2_8_2,
    V3_9_1,
    V4_1_1,
    V4_2_0,
}

/// The text is not the number of a known release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRelease(String);

impl Release {
    /// Every release, oldest first.
    pub const ALL: [Self; 7] = [
        Self::V0_10_2_2,
        Self::V0_11_0_3,
        Self::V1_1_1,
        Self::V2_8_2,
        Self::V3_9_1,
        Self::V4_1_1,
        Self::V4_2_0,
    ];

    /// The release number as Apache writes it.
    pub const fn number(self) -> &'static str {
        match self {
            Self::V0_10_2_2 => "0.10.2.2",
            Self::V0_11_0_3 => "0.11.0.3",
            Self::V1_1_1 => "1.1.1",
            Self::V2_8_2 => "2.8.2",
            Self::V3_9_1 => "3.9.1",
            Self::V4_1_1 => "4.1.1",
            Self::V4_2_0 => "4.2.0",
        }
    }

    /// Whether we run it without ZooKeeper.
    pub const fn is_kraft(self) -> bool {
        matches!(self, Self::V3_9_1 | Self::V4_1_1 | Self::V4_2_0)
    }

    /// Maven coordinates (`group:artifact:version`) whose closure runs the broker and its tools.
    pub(super) fn coordinates(self) -> Vec<String> {
        let scala = match self {
            Self::V0_10_2_2 | Self::V0_11_0_3 | Self::V1_1_1 => "2.12",
            Self::V2_8_2 | Self::V3_9_1 | Self::V4_1_1 | Self::V4_2_0 => "2.13",
        };
        let mut all = vec![format!("org.apache.kafka:kafka_{scala}:{self}")];
        let mut add = |coordinates: &str| all.push(coordinates.to_owned());
        match self {
            Self::V0_10_2_2 | Self::V0_11_0_3 => {
                add("org.slf4j:slf4j-log4j12:1.7.25");
                add("javax.xml.bind:jaxb-api:2.3.1");
            }
            Self::V1_1_1 | Self::V2_8_2 => add("org.slf4j:slf4j-log4j12:1.7.25"),
            // Brings a log4j 1 binding of its own.
            Self::V3_9_1 => add("org.apache.kafka:kafka-tools:3.9.1"),
            Self::V4_1_1 | Self::V4_2_0 => {
                add(&format!("org.apache.kafka:kafka-tools:{self}"));
                add("org.apache.logging.log4j:log4j-slf4j-impl:2.24.3");
                add("org.apache.logging.log4j:log4j-core:2.24.3");
            }
        }
        all
    }

    /// JVM options without which the release does not run on Java 17.
    pub(super) const fn jvm_options(self) -> &'static [&'static str] {
        match self {
            Self::V3_9_1 | Self::V4_1_1 | Self::V4_2_0 => &[],
            Self::V0_10_2_2 | Self::V0_11_0_3 | Self::V1_1_1 | Self::V2_8_2 => &[
                "--add-opens=java.base/java.lang=ALL-UNNAMED",
                "--add-opens=java.base/java.nio=ALL-UNNAMED",
                "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
                "--add-opens=java.base/java.util=ALL-UNNAMED",
            ],
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|release| release.number() == text)
            .ok_or_else(|| UnknownRelease(text.to_owned()))
    }
}

impl fmt::Display for UnknownRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no known Kafka release is called {:?}; known:", self.0)?;
        Release::ALL.iter().try_for_each(|release| write!(f, " {release}"))
    }
}

impl std::error::Error for UnknownRelease {}
