//! Which ACLs travel.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Which ACLs travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AclSync {
    /// None; those that were made stay.
    #[default]
    None,
    /// Those of the topics that travel.
    Topics,
    /// Those of consumer groups and transactional ids, too.
    All,
}

/// What becomes of the right to write to topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AclWrite {
    /// Nobody gets it on the target.
    #[default]
    Withhold,
    /// It travels like every other right.
    Copy,
}

impl AclSync {
    /// The name on the command line and in task files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Topics => "topics",
            Self::All => "all",
        }
    }
}

impl fmt::Display for AclSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AclSync {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::None, Self::Topics, Self::All]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| format!("{text:?} is none of none, topics, all"))
    }
}

impl FromStr for AclWrite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "withhold" => Ok(Self::Withhold),
            "copy" => Ok(Self::Copy),
            _ => Err(format!("{text:?} is none of withhold, copy")),
        }
    }
}
