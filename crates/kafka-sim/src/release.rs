//! Which requests, in which versions, a broker of one release offers.
//!
//! The ranges are those of the releases' own `ApiVersions` answers, cut at what this crate can decode; a request outside them is treated as a broker treats it
//! (connection closed, or `UNSUPPORTED_VERSION` in the v0 form for ApiVersions itself).

use std::fmt;

use kafka_wire::messages::ApiKey;

/// An Apache Kafka release whose behaviour a simulated cluster follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// 0.11.0: the first with message format v2, idempotence and transactions.
    V0_11,
    /// 1.1: fetch sessions, SaslAuthenticate, CreatePartitions.
    V1_1,
    /// 2.8: leader epochs everywhere, IncrementalAlterConfigs, DescribeProducers; no topic ids in Fetch.
    V2_8,
    /// 3.9: the last of the 3.x line; Fetch by topic id.
    V3_9,
    /// 4.1: old request versions removed, Produce by topic id.
    V4_1,
    /// 4.2.
    V4_2,
}

impl Release {
    /// All releases, oldest first.
    pub const ALL: [Self; 6] =
        [Self::V0_11, Self::V1_1, Self::V2_8, Self::V3_9, Self::V4_1, Self::V4_2];

    /// The versions of `key` that a broker of this release offers, or `None` when it does not know the request.
    #[must_use]
    pub fn versions(self, key: ApiKey) -> Option<(i16, i16)> {
        let (_, ranges) = TABLE.iter().find(|(row, _)| *row == key)?;
        let (min, max) = ranges[self.index()];
        (min <= max).then_some((min, max))
    }

    /// Every request this release offers, with the lowest and highest version.
    pub fn offered(self) -> impl Iterator<Item = (ApiKey, i16, i16)> {
        TABLE.iter().filter_map(move |(key, ranges)| {
            let (min, max) = ranges[self.index()];
            (min <= max).then_some((*key, min, max))
        })
    }

    /// Whether clusters of this release run without ZooKeeper, and so name a random broker as controller.
    #[must_use]
    pub fn is_kraft(self) -> bool {
        self >= Self::V3_9
    }

    const fn index(self) -> usize {
        match self {
            Self::V0_11 => 0,
            Self::V1_1 => 1,
            Self::V2_8 => 2,
            Self::V3_9 => 3,
            Self::V4_1 => 4,
            Self::V4_2 => 5,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_11 => "0.11",
            Self::V1_1 => "1.1",
            Self::V2_8 => "2.8",
            Self::V3_9 => "3.9",
            Self::V4_1 => "4.1",
            Self::V4_2 => "4.2",
        })
    }
}

type Row = (ApiKey, [(i16, i16); 6]);

/// Not offered: an empty range.
const NO: (i16, i16) = (1, 0);

/// Columns: 0.11, 1.1, 2.8, 3.9, 4.1, 4.2. 4.x advertises Produce from 0 and refuses 0 to 2 (BF-1).
#[rustfmt::skip]
const TABLE: &[Row] = &[
    (ApiKey::Produce,                 [(0, 3), (0, 5), (0, 9), (0, 11), (0, 13), (0, 13)]),
    (ApiKey::Fetch,                   [(0, 5), (0, 7), (0, 12), (0, 17), (4, 18), (4, 18)]),
    (ApiKey::ListOffsets,             [(0, 2), (0, 2), (0, 6), (0, 9), (1, 10), (1, 10)]),
    (ApiKey::Metadata,                [(0, 4), (0, 5), (0, 11), (0, 12), (0, 13), (0, 13)]),
    (ApiKey::OffsetCommit,            [(0, 3), (0, 3), (0, 8), (0, 9), (2, 9), (2, 9)]),
    (ApiKey::OffsetFetch,             [(0, 3), (0, 3), (0, 7), (0, 9), (1, 9), (1, 9)]),
    (ApiKey::FindCoordinator,         [(0, 1), (0, 1), (0, 3), (0, 6), (0, 6), (0, 6)]),
    (ApiKey::JoinGroup,               [(0, 2), (0, 2), (0, 7), (0, 9), (0, 9), (0, 9)]),
    (ApiKey::Heartbeat,               [(0, 1), (0, 1), (0, 4), (0, 4), (0, 4), (0, 4)]),
    (ApiKey::LeaveGroup,              [(0, 1), (0, 1), (0, 4), (0, 5), (0, 5), (0, 5)]),
    (ApiKey::SyncGroup,               [(0, 1), (0, 1), (0, 5), (0, 5), (0, 5), (0, 5)]),
    (ApiKey::DescribeGroups,          [(0, 1), (0, 1), (0, 5), (0, 5), (0, 6), (0, 6)]),
    (ApiKey::ListGroups,              [(0, 1), (0, 1), (0, 4), (0, 5), (0, 5), (0, 5)]),
    (ApiKey::SaslHandshake,           [(0, 0), (0, 1), (0, 1), (0, 1), (0, 1), (0, 1)]),
    (ApiKey::ApiVersions,             [(0, 1), (0, 1), (0, 3), (0, 4), (0, 4), (0, 4)]),
    (ApiKey::CreateTopics,            [(0, 2), (0, 2), (0, 7), (0, 7), (2, 7), (2, 7)]),
    (ApiKey::DeleteTopics,            [(0, 1), (0, 1), (0, 6), (0, 6), (1, 6), (1, 6)]),
    (ApiKey::DeleteRecords,           [(0, 0), (0, 0), (0, 2), (0, 2), (0, 2), (0, 2)]),
    (ApiKey::InitProducerId,          [(0, 0), (0, 0), (0, 4), (0, 5), (0, 5), (0, 5)]),
    (ApiKey::OffsetForLeaderEpoch,    [(0, 0), (0, 0), (0, 4), (0, 4), (2, 4), (2, 4)]),
    (ApiKey::AddPartitionsToTxn,      [(0, 0), (0, 0), (0, 3), (0, 5), (0, 5), (0, 5)]),
    (ApiKey::AddOffsetsToTxn,         [(0, 0), (0, 0), (0, 3), (0, 4), (0, 4), (0, 4)]),
    (ApiKey::EndTxn,                  [(0, 0), (0, 0), (0, 3), (0, 4), (0, 5), (0, 5)]),
    (ApiKey::WriteTxnMarkers,         [(0, 0), (0, 0), (0, 1), (0, 1), (1, 1), (1, 1)]),
    (ApiKey::TxnOffsetCommit,         [(0, 0), (0, 0), (0, 3), (0, 4), (0, 5), (0, 5)]),
    (ApiKey::DescribeAcls,            [(0, 0), (0, 0), (0, 2), (0, 3), (1, 3), (1, 3)]),
    (ApiKey::CreateAcls,              [(0, 0), (0, 0), (0, 2), (0, 3), (1, 3), (1, 3)]),
    (ApiKey::DeleteAcls,              [(0, 0), (0, 0), (0, 2), (0, 3), (1, 3), (1, 3)]),
    (ApiKey::DescribeConfigs,         [(0, 0), (0, 1), (0, 4), (0, 4), (1, 4), (1, 4)]),
    (ApiKey::AlterConfigs,            [(0, 0), (0, 0), (0, 2), (0, 2), (0, 2), (0, 2)]),
    (ApiKey::SaslAuthenticate,        [NO,     (0, 0), (0, 2), (0, 2), (0, 2), (0, 2)]),
    (ApiKey::CreatePartitions,        [NO,     (0, 0), (0, 3), (0, 3), (0, 3), (0, 3)]),
    (ApiKey::DeleteGroups,            [NO,     (0, 0), (0, 2), (0, 2), (0, 2), (0, 2)]),
    (ApiKey::IncrementalAlterConfigs, [NO,     NO,     (0, 1), (0, 1), (0, 1), (0, 1)]),
    (ApiKey::DescribeCluster,         [NO,     NO,     (0, 0), (0, 1), (0, 2), (0, 2)]),
    (ApiKey::DescribeProducers,       [NO,     NO,     (0, 0), (0, 0), (0, 0), (0, 0)]),
];
