//! Why a table cannot be read, and what to do about it.

use std::time::Duration;

use kafka_client::ClientError;
use kafka_wire::ErrorCode;

use super::place;
use crate::spec::TableTopic;
use crate::verify::reading::ReadError;

/// Something in the way of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) cause: String,
    pub(super) cure: String,
}

impl Trouble {
    /// The brokers cannot be asked.
    pub(super) fn client(table: &TableTopic, error: &ClientError) -> Self {
        if let Some(code) = error.code() {
            return Self::code(table, code);
        }
        let cure = error.cure().unwrap_or_else(|| WAIT_CURE.to_owned());
        Self { cause: error.to_string(), cure }
    }

    /// Nobody answers.
    pub(super) fn silence(table: &TableTopic, time: Duration) -> Self {
        let cause = format!("no answer about the {} for {} s", place(table), time.as_secs());
        Self {
            cause,
            cure: "see to the cluster's brokers, and that they can be reached from here".to_owned(),
        }
    }

    /// A broker says no.
    pub(super) fn code(table: &TableTopic, code: ErrorCode) -> Self {
        let place = place(table);
        let cure = match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => format!(
                "create the {place}, or correct its name under process.tables; where topics are hidden from who has no right, grant DESCRIBE and READ on it"
            ),
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                format!("grant DESCRIBE and READ on the {place}")
            }
            _ => WAIT_CURE.to_owned(),
        };
        Self { cause: format!("{code}: {}", code.meaning()), cure }
    }

    /// A partition cannot be read.
    pub(super) fn read(table: &TableTopic, partition: i32, error: &ReadError) -> Self {
        let known = match error {
            ReadError::Client(error) => Self::client(table, error),
            ReadError::Code { code } => Self::code(table, *code),
            ReadError::Batch { .. } | ReadError::Nothing(_) => {
                Self { cause: error.to_string(), cure: CORRUPT_CURE.to_owned() }
            }
        };
        Self { cause: format!("partition {partition}: {}", known.cause), cure: known.cure }
    }
}

const WAIT_CURE: &str = "nothing if it ends by itself within minutes; else see to what the cause names: it is tried again until then";

const CORRUPT_CURE: &str =
    "look at the batch with `kferry inspect`; a damaged replica is repaired on its cluster";
