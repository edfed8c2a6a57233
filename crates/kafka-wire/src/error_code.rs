//! Kafka's error codes as a typed value.
//!
//! Answers carry a bare `i16`. A newtype keeps codes of later releases intact (they print as
//! `UNKNOWN (n)`), gives every known one its name, and says what a caller does next. What each
//! call does with its items' codes is left to the client.

use std::fmt;

/// What a caller does after an error; the only thing callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same request fails again: somebody must change something first.
    Never,
    /// The same request to the same broker, later.
    Backoff,
    /// The leader, the controller or the topic moved: refresh metadata, then ask again.
    RefreshMetadata,
    /// The coordinator moved: ask `FindCoordinator`, then ask again.
    FindCoordinator,
}

/// An error code as a broker sent it; 0 is success.
///
/// # Source
/// `org.apache.kafka.common.protocol.Errors` of Apache Kafka 4.2.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// Whether the code says success.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::NONE
    }

    /// The code as a result, for `?`.
    ///
    /// # Errors
    /// The code itself, unless it is [`ErrorCode::NONE`].
    pub fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ErrorCode {}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

/// One line per code: `code NAME Retry "meaning";`.
macro_rules! error_codes {
    ($($code:literal $name:ident $retry:ident $meaning:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Code ", stringify!($code), ": ", $meaning, ".")]
                pub const $name: Self = Self($code);
            )*

            /// Every code this release knows, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Kafka's own name of the code, `UNKNOWN` for one of a later release.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }

            /// What the code says, as one short lower-case sentence without a full stop.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self.0 {
                    $($code => $meaning,)*
                    _ => "an error code this release does not know",
                }
            }

            /// What the caller does next.
            ///
            /// This follows Kafka's own exception classes (`RetriableException` and its
            /// descendants). It differs where the class does not say who must move: a partition
            /// under reassignment and an operation that was not attempted may be tried again, a
            /// missing broker or an old controller asks for fresh metadata, and an election that
            /// is not needed is final.
            #[must_use]
            pub fn retry(self) -> Retry {
                match self.0 {
                    $($code => Retry::$retry,)*
                    _ => Retry::Never,
                }
            }
        }
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR Never "the broker failed unexpectedly; its log has the cause";
    0 NONE Never "no error";
    1 OFFSET_OUT_OF_RANGE Never "the requested offset is not within the range of offsets maintained by the server";
    2 CORRUPT_MESSAGE Backoff "the batch failed its checksum, has a null key for a compacted topic, or is otherwise corrupt";
    3 UNKNOWN_TOPIC_OR_PARTITION RefreshMetadata "this server does not host this topic-partition";
    4 INVALID_FETCH_SIZE Never "the requested fetch size is invalid";
    5 LEADER_NOT_AVAILABLE RefreshMetadata "the partition has no leader at the moment";
    6 NOT_LEADER_OR_FOLLOWER RefreshMetadata "this broker is not the leader (or not a replica) of the partition";
    7 REQUEST_TIMED_OUT Backoff "the request timed out";
    8 BROKER_NOT_AVAILABLE RefreshMetadata "the broker is not available";
    9 REPLICA_NOT_AVAILABLE RefreshMetadata "this broker is not a replica of the partition";
    10 MESSAGE_TOO_LARGE Never "the request included a message larger than the max message size the server will accept";
    11 STALE_CONTROLLER_EPOCH RefreshMetadata "the controller moved to another broker";
    12 OFFSET_METADATA_TOO_LARGE Never "the metadata field of the offset request was too large";
    13 NETWORK_EXCEPTION RefreshMetadata "the server disconnected before a response was received";
    14 COORDINATOR_LOAD_IN_PROGRESS Backoff "the coordinator is loading and hence cannot process requests";
    15 COORDINATOR_NOT_AVAILABLE FindCoordinator "the coordinator is not available";
    16 NOT_COORDINATOR FindCoordinator "this is not the correct coordinator";
    17 INVALID_TOPIC_EXCEPTION Never "the request attempted to perform an operation on an invalid topic";
    18 RECORD_LIST_TOO_LARGE Never "the request included message batch larger than the configured segment size on the server";
    19 NOT_ENOUGH_REPLICAS Backoff "messages are rejected since there are fewer in-sync replicas than required";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Backoff "messages are written to the log, but to fewer in-sync replicas than required";
    21 INVALID_REQUIRED_ACKS Never "acks has an invalid value";
    22 ILLEGAL_GENERATION Never "specified group generation id is not valid";
    23 INCONSISTENT_GROUP_PROTOCOL Never "the member's protocols do not fit those of the group";
    24 INVALID_GROUP_ID Never "the group id is invalid";
    25 UNKNOWN_MEMBER_ID Never "the coordinator is not aware of this member";
    26 INVALID_SESSION_TIMEOUT Never "the session timeout lies outside group.min.session.timeout.ms and group.max.session.timeout.ms";
    27 REBALANCE_IN_PROGRESS Never "the group is rebalancing, so a rejoin is needed";
    28 INVALID_COMMIT_OFFSET_SIZE Never "the committing offset data size is not valid";
    29 TOPIC_AUTHORIZATION_FAILED Never "topic authorization failed";
    30 GROUP_AUTHORIZATION_FAILED Never "group authorization failed";
    31 CLUSTER_AUTHORIZATION_FAILED Never "cluster authorization failed";
    32 INVALID_TIMESTAMP Never "the timestamp of the message is out of acceptable range";
    33 UNSUPPORTED_SASL_MECHANISM Never "the broker does not support the requested SASL mechanism";
    34 ILLEGAL_SASL_STATE Never "request is not valid given the current SASL state";
    35 UNSUPPORTED_VERSION Never "the broker does not support this version of the API";
    36 TOPIC_ALREADY_EXISTS Never "topic with this name already exists";
    37 INVALID_PARTITIONS Never "number of partitions is below 1";
    38 INVALID_REPLICATION_FACTOR Never "replication factor is below 1 or larger than the number of available brokers";
    39 INVALID_REPLICA_ASSIGNMENT Never "replica assignment is invalid";
    40 INVALID_CONFIG Never "configuration is invalid";
    41 NOT_CONTROLLER RefreshMetadata "this is not the correct controller for this cluster";
    42 INVALID_REQUEST Never "the request is malformed or does not suit this broker; its log has the cause";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Never "the message format version on the broker does not support the request";
    44 POLICY_VIOLATION Never "request parameters do not satisfy the configured policy";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Never "the broker received an out of order sequence number";
    46 DUPLICATE_SEQUENCE_NUMBER Never "the broker received a duplicate sequence number";
    47 INVALID_PRODUCER_EPOCH Never "the producer used an old epoch";
    48 INVALID_TXN_STATE Never "the operation does not fit the state of the transaction";
    49 INVALID_PRODUCER_ID_MAPPING Never "the producer attempted to use a producer id which is not currently assigned to its transactional id";
    50 INVALID_TRANSACTION_TIMEOUT Never "the transaction timeout exceeds transaction.max.timeout.ms";
    51 CONCURRENT_TRANSACTIONS Backoff "another operation on the same transaction is still running";
    52 TRANSACTION_COORDINATOR_FENCED Never "the coordinator that sent the transaction marker is no longer the current one";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Never "transactional id authorization failed";
    54 SECURITY_DISABLED Never "security features are disabled on the broker (no authorizer is configured)";
    55 OPERATION_NOT_ATTEMPTED Backoff "the broker did not attempt this operation because another one of the same request failed";
    56 KAFKA_STORAGE_ERROR RefreshMetadata "disk error when trying to access log file on the disk";
    57 LOG_DIR_NOT_FOUND Never "the user-specified log directory is not found in the broker config";
    58 SASL_AUTHENTICATION_FAILED Never "SASL authentication failed";
    59 UNKNOWN_PRODUCER_ID Never "the broker has no state for this producer id: its records were deleted or it expired";
    60 REASSIGNMENT_IN_PROGRESS Backoff "a partition reassignment is in progress";
    61 DELEGATION_TOKEN_AUTH_DISABLED Never "delegation tokens are not enabled";
    62 DELEGATION_TOKEN_NOT_FOUND Never "the delegation token is unknown";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Never "the principal is neither owner nor renewer of the delegation token";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Never "delegation tokens cannot be requested over this kind of connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Never "delegation token authorization failed";
    66 DELEGATION_TOKEN_EXPIRED Never "the delegation token is expired";
    67 INVALID_PRINCIPAL_TYPE Never "supplied principalType is not supported";
    68 NON_EMPTY_GROUP Never "the group is not empty";
    69 GROUP_ID_NOT_FOUND Never "the group id does not exist";
    70 FETCH_SESSION_ID_NOT_FOUND Backoff "the fetch session ID was not found";
    71 INVALID_FETCH_SESSION_EPOCH Backoff "the fetch session epoch is invalid";
    72 LISTENER_NOT_FOUND RefreshMetadata "the leader has no listener of the kind the metadata request came through";
    73 TOPIC_DELETION_DISABLED Never "topic deletion is disabled";
    74 FENCED_LEADER_EPOCH RefreshMetadata "the leader epoch in the request is older than the epoch on the broker";
    75 UNKNOWN_LEADER_EPOCH Backoff "the leader epoch in the request is newer than the epoch on the broker";
    76 UNSUPPORTED_COMPRESSION_TYPE Never "the requesting client does not support the compression type of given partition";
    77 STALE_BROKER_EPOCH Never "broker epoch has changed";
    78 OFFSET_NOT_AVAILABLE Backoff "the new leader's high watermark has not caught up yet";
    79 MEMBER_ID_REQUIRED Never "the member needs a member id before it joins the group";
    80 PREFERRED_LEADER_NOT_AVAILABLE RefreshMetadata "the preferred leader was not available";
    81 GROUP_MAX_SIZE_REACHED Never "the group has reached its maximum size";
    82 FENCED_INSTANCE_ID Never "another member registered with the same group.instance.id";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE RefreshMetadata "eligible topic partition leaders are not available";
    84 ELECTION_NOT_NEEDED Never "leader election not needed for topic partition";
    85 NO_REASSIGNMENT_IN_PROGRESS Never "no partition reassignment is in progress";
    86 GROUP_SUBSCRIBED_TO_TOPIC Never "deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it";
    87 INVALID_RECORD Never "this record has failed the validation on broker and hence will be rejected";
    88 UNSTABLE_OFFSET_COMMIT Backoff "there are unstable offsets that need to be cleared";
    89 THROTTLING_QUOTA_EXCEEDED Backoff "the throttling quota has been exceeded";
    90 PRODUCER_FENCED Never "there is a newer producer with the same transactionalId which fences the current one";
    91 RESOURCE_NOT_FOUND Never "a request illegally referred to a resource that does not exist";
    92 DUPLICATE_RESOURCE Never "a request illegally referred to the same resource twice";
    93 UNACCEPTABLE_CREDENTIAL Never "requested credential would not meet criteria for acceptability";
    94 INCONSISTENT_VOTER_SET Never "the sender or the recipient is not one of the expected voters";
    95 INVALID_UPDATE_VERSION Never "the given update version was invalid";
    96 FEATURE_UPDATE_FAILED Never "unable to update finalized features due to an unexpected server error";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Never "the forwarded principal could not be read: the cluster's internal security set-up is at fault";
    98 SNAPSHOT_NOT_FOUND Never "requested snapshot was not found";
    99 POSITION_OUT_OF_RANGE Never "the requested position is outside the snapshot";
    100 UNKNOWN_TOPIC_ID RefreshMetadata "this server does not host this topic ID";
    101 DUPLICATE_BROKER_REGISTRATION Never "this broker ID is already in use";
    102 BROKER_ID_NOT_REGISTERED Never "the given broker ID was not registered";
    103 INCONSISTENT_TOPIC_ID RefreshMetadata "the log's topic ID did not match the topic ID in the request";
    104 INCONSISTENT_CLUSTER_ID Never "the cluster id in the request does not match that found on the server";
    105 TRANSACTIONAL_ID_NOT_FOUND Never "the transactionalId could not be found";
    106 FETCH_SESSION_TOPIC_ID_ERROR Backoff "the fetch session encountered inconsistent topic ID usage";
    107 INELIGIBLE_REPLICA Never "the new ISR contains at least one ineligible replica";
    108 NEW_LEADER_ELECTED Never "the partition state was updated, but the leader changed";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Never "the requested offset is moved to tiered storage";
    110 FENCED_MEMBER_EPOCH Never "the group coordinator fenced the member epoch; the member must give up its partitions and rejoin";
    111 UNRELEASED_INSTANCE_ID Never "the instance id is still used by another member, which must leave first";
    112 UNSUPPORTED_ASSIGNOR Never "the assignor or its version range is not supported by the consumer group";
    113 STALE_MEMBER_EPOCH Never "the member epoch is stale; retry after the next heartbeat";
    114 MISMATCHED_ENDPOINT_TYPE Never "the request was sent to an endpoint of the wrong type";
    115 UNSUPPORTED_ENDPOINT_TYPE Never "this endpoint type is not supported yet";
    116 UNKNOWN_CONTROLLER_ID Never "this controller ID is not known";
    117 UNKNOWN_SUBSCRIPTION_ID Never "the telemetry subscription id is invalid or outdated";
    118 TELEMETRY_TOO_LARGE Never "the telemetry push is larger than the broker accepts";
    119 INVALID_REGISTRATION Never "the controller has considered the broker registration to be invalid";
    120 TRANSACTION_ABORTABLE Never "the transaction met an error; abort it to go on with this transactional id";
    121 INVALID_RECORD_STATE Never "the state of the record does not allow this acknowledgement";
    122 SHARE_SESSION_NOT_FOUND Backoff "the share session was not found";
    123 INVALID_SHARE_SESSION_EPOCH Backoff "the share session epoch is invalid";
    124 FENCED_STATE_EPOCH Never "the epoch of the share group state does not match";
    125 INVALID_VOTER_KEY Never "the voter key doesn't match the receiving replica's key";
    126 DUPLICATE_VOTER Never "the voter is already part of the set of voters";
    127 VOTER_NOT_FOUND Never "the voter is not part of the set of voters";
    128 INVALID_REGULAR_EXPRESSION Never "the regular expression is not valid";
    129 REBOOTSTRAP_REQUIRED RefreshMetadata "the client's metadata is stale and must be bootstrapped again";
    130 STREAMS_INVALID_TOPOLOGY Never "the supplied topology is invalid";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Never "the supplied topology epoch is invalid";
    132 STREAMS_TOPOLOGY_FENCED Never "the supplied topology epoch is outdated";
    133 SHARE_SESSION_LIMIT_REACHED Backoff "the limit of share sessions has been reached";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: i16, shown: &str, retry: Retry) {
        let code = ErrorCode(code);
        assert_eq!(code.to_string(), shown);
        assert_eq!(format!("{code:?}"), shown);
        assert_eq!(code.retry(), retry);
    }

    #[test]
    fn names_and_next_steps() {
        check(0, "NONE (0)", Retry::Never);
        check(-1, "UNKNOWN_SERVER_ERROR (-1)", Retry::Never);
        check(6, "NOT_LEADER_OR_FOLLOWER (6)", Retry::RefreshMetadata);
        check(14, "COORDINATOR_LOAD_IN_PROGRESS (14)", Retry::Backoff);
        check(16, "NOT_COORDINATOR (16)", Retry::FindCoordinator);
        check(41, "NOT_CONTROLLER (41)", Retry::RefreshMetadata);
        check(75, "UNKNOWN_LEADER_EPOCH (75)", Retry::Backoff);
        check(133, "SHARE_SESSION_LIMIT_REACHED (133)", Retry::Backoff);
        check(3000, "UNKNOWN (3000)", Retry::Never);
    }

    #[test]
    fn codes_are_ascending_without_gaps() {
        let expected: Vec<i16> = (-1..=133).collect();
        let found: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.0).collect();
        assert_eq!(found, expected);
    }

    /// Meanings end up inside longer messages: one lower-case clause without a full stop.
    #[test]
    fn meanings_fit_into_messages() {
        for code in ErrorCode::ALL {
            let meaning = code.meaning();
            assert!(
                !meaning.is_empty() && !meaning.ends_with('.') && meaning.len() < 120,
                "{code}: {meaning}"
            );
            assert!(
                meaning.starts_with("SASL") || !meaning.starts_with(char::is_uppercase),
                "{code}: {meaning}"
            );
        }
    }

    #[test]
    fn only_none_is_success() {
        assert_eq!(ErrorCode::NONE.ok(), Ok(()));
        assert_eq!(ErrorCode::INVALID_RECORD.ok(), Err(ErrorCode(87)));
    }
}
