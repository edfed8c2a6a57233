//! Negotiation and release detection, on the tables of 26 releases.

use kafka_protocol::messages::api_versions_response::ApiVersion;

use super::*;

/// Each line: a release, then `key:min-max` for every API its brokers offer.
const TABLES: &str = include_str!("../../testdata/api-versions.tsv");

fn releases() -> impl Iterator<Item = (&'static str, BrokerVersions)> {
    let lines = TABLES.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (release, offers) = line.split_once('\t').unwrap();
        (release, broker(offers))
    })
}

fn broker(offers: &str) -> BrokerVersions {
    let ranges = offers.split(' ').map(|offer| {
        let (key, range) = offer.split_once(':').unwrap();
        let (min, max) = range.split_once('-').unwrap();
        ApiVersion::default()
            .with_api_key(key.parse().unwrap())
            .with_min_version(min.parse().unwrap())
            .with_max_version(max.parse().unwrap())
    });
    BrokerVersions::from_response(&ApiVersionsResponse::default().with_api_keys(ranges.collect()))
}

fn release(name: &str) -> BrokerVersions {
    releases().find(|(release, _)| *release == name).unwrap().1
}

#[test]
fn every_release_is_recognised() {
    let mut count = 0;
    for (release, versions) in releases() {
        let minor = match release.split('.').collect::<Vec<_>>()[..] {
            ["0", minor, ..] => format!("0.{minor}"),
            [major, minor, ..] => format!("{major}.{minor}"),
            _ => unreachable!("releases have two numbers at least"),
        };
        let expected = match minor.as_str() {
            "0.10" => "0.10.2 or older".to_owned(),
            "3.3" | "3.4" => "3.3 to 3.4".to_owned(),
            "4.2" => "4.2 or newer".to_owned(),
            _ => minor,
        };
        assert_eq!(versions.release_range().to_string(), expected, "{release}");
        assert_eq!(versions.check_supported().is_ok(), release != "0.10.2.2", "{release}");
        count += 1;
    }
    assert_eq!(count, 26);
}

#[test]
fn old_brokers_are_refused_with_the_reason() {
    assert_eq!(
        release("0.10.2.2").check_supported().unwrap_err().to_string(),
        "Kafka 0.10.2 or older is not supported (this broker looks like 0.10.x: it offers Fetch up to v3 and \
         Produce up to v2; kferry needs Fetch v4 and Produce v3, Kafka 0.11 or newer)"
    );
}

#[test]
fn other_brokers_are_refused_with_their_ranges() {
    let check = |offers: &str, expected: &str| {
        assert_eq!(broker(offers).check_supported().unwrap_err().to_string(), expected);
    };
    let ours = "kferry speaks Fetch v4 to v18 and Produce v3 to v13";
    check(
        "0:20-25 1:30-31",
        &format!(
            "this broker is not supported: it offers Fetch v30 to v31 and Produce v20 to v25, and {ours}"
        ),
    );
    // A KRaft controller serves Fetch, but takes no records.
    check(
        "1:4-17",
        &format!(
            "this broker is not supported: it offers Fetch v4 to v17 and Produce not at all, and {ours}"
        ),
    );
}

#[test]
fn highest_is_what_both_speak() {
    let check = |name: &str, key: ApiKey, expected: Option<i16>| {
        assert_eq!(release(name).highest(key), expected, "{name} {key:?}");
    };
    check("4.2.0", ApiKey::Fetch, Some(18));
    check("4.2.0", ApiKey::Produce, Some(13));
    check("4.1.1", ApiKey::Produce, Some(13));
    check("2.8.2", ApiKey::Produce, Some(9));
    check("0.11.0.3", ApiKey::Produce, Some(3));
    check("0.11.0.3", ApiKey::Fetch, Some(5));
    // 4.2 offers these, the decoder does not know them.
    check("4.2.0", ApiKey::ListOffsets, Some(10));
    check("4.2.0", ApiKey::OffsetCommit, Some(9));
    check("4.2.0", ApiKey::OffsetFetch, Some(9));
    // Old brokers offer only what is no longer known, or not the API at all.
    check("0.11.0.3", ApiKey::OffsetForLeaderEpoch, None);
    check("0.11.0.3", ApiKey::DescribeConfigs, Some(0));
    check("1.1.1", ApiKey::DescribeConfigs, Some(1));
    check("1.1.1", ApiKey::DescribeProducers, None);
}

#[test]
fn caps_and_single_versions() {
    let versions = release("4.1.1");
    assert_eq!(versions.highest_capped(ApiKey::AddPartitionsToTxn, 3), Some(3));
    assert_eq!(versions.highest_capped(ApiKey::Fetch, 3), None);
    assert!(versions.offers(ApiKey::Produce, 3));
    // 4.x advertises Produce 0 to 2 and refuses them (BF-1): never use them.
    assert_eq!(versions.range(ApiKey::Produce), Some((0, 13)));
    assert!(!versions.offers(ApiKey::Produce, 2));
    assert!(!versions.offers(ApiKey::Fetch, 19));
}

/// The clamps are as wide as what the messages accept, no wider and no narrower.
#[test]
fn known_versions_are_those_of_the_messages() {
    use kafka_protocol::messages::{
        InitProducerIdRequest, OffsetCommitRequest, OffsetFetchRequest,
    };
    use kafka_protocol::protocol::Message;
    let known = |key| known_versions(key);
    assert_eq!(known(ApiKey::OffsetCommit), OffsetCommitRequest::VERSIONS);
    assert_eq!(known(ApiKey::OffsetFetch), OffsetFetchRequest::VERSIONS);
    assert_eq!(known(ApiKey::InitProducerId), InitProducerIdRequest::VERSIONS);
}
