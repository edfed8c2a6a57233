//! Frames there and back, hostile frames, and the two special answers.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, FetchRequest, MetadataRequest,
    MetadataResponse,
};
use proptest::prelude::*;

use super::*;
use crate::frame::{FrameLimits, next_frame};

/// Takes the length off a whole frame, after holding it against the bytes.
fn unframed(frame: &[u8]) -> Bytes {
    let mut input = BytesMut::from(frame);
    let inner = next_frame(&mut input, &FrameLimits::default()).unwrap().unwrap();
    assert!(input.is_empty());
    inner
}

#[test]
fn requests_arrive_as_they_were_sent() {
    let request =
        MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
    for version in 4..=13 {
        let frame = encode_request(7, "kferry", version, &request).unwrap();
        let (header, api, found) = decode_request(unframed(&frame)).unwrap();
        assert_eq!(api, ApiKey::Metadata);
        assert_eq!((header.request_api_version, header.correlation_id), (version, 7));
        assert_eq!(header.client_id.as_deref(), Some("kferry"));
        assert_eq!(found, RequestKind::Metadata(request.clone()));
    }
}

#[test]
fn responses_arrive_as_they_were_sent() {
    let response = MetadataResponse::default().with_cluster_id(Some("c".to_owned().into()));
    for version in 2..=13 {
        let kind = ResponseKind::Metadata(response.clone());
        let frame = unframed(&encode_response(-3, ApiKey::Metadata, version, &kind).unwrap());
        assert_eq!(response_correlation_id(&frame), Ok(-3));
        assert_eq!(decode_response::<MetadataRequest>(version, frame), Ok((-3, response.clone())));
    }
}

#[test]
fn nine_hostile_bytes_are_an_error_value() {
    let mut frame = BytesMut::new();
    frame.put_i32(1); // correlation id
    frame.put_u8(0); // no tagged fields in the header
    frame.put_slice(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let error = decode_response::<MetadataRequest>(12, frame.freeze()).unwrap_err();
    assert!(matches!(error, MessageError::Check(_)), "{error}");
}

#[test]
fn unknown_apis_and_versions_are_refused() {
    let check = |frame: &[u8], expected: &str| {
        let error = decode_request(Bytes::copy_from_slice(frame)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(b"", "frame of 0 bytes is too short for a header");
    check(b"\0\x03\0\x0c\0\0\0", "frame of 7 bytes is too short for a header");
    check(b"\x7f\0\0\0\0\0\0\x01", "unknown API key 32512");
    check(
        b"\0\x01\0\x03\0\0\0\x01\xff\xff",
        "Fetch version 3 is not supported here (known: 4 to 18)",
    );
    check(
        b"\0\x03\0\x0c\0\0\0\x01\0\x05abc",
        "RequestHeader v2: client_id: 5 bytes wanted, 3 left (byte 10)",
    );
    let error = encode_request(1, "", 3, &FetchRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "Fetch version 3 is not supported here (known: 4 to 18)");
}

/// A server cannot decode such a request, yet can name the API, the version and whom to answer.
#[test]
fn preamble_of_an_unknown_version() {
    let frame = b"\0\x12\0\x63\0\0\0\x05\0\x01a\x01";
    let expected = RequestPreamble { api_key: 18, api_version: 99, correlation_id: 5 };
    assert_eq!(RequestPreamble::parse(frame), Ok(expected));
}

#[test]
fn unsupported_api_versions_answer_in_version_0() {
    let own = VersionRange { min: 0, max: 3 };
    let frame = unframed(&encode_unsupported_api_versions(9, own).unwrap());
    // Exactly the bytes of version 0: code, one range, nothing else.
    assert_eq!(&frame[..], b"\0\0\0\x09\0\x23\0\0\0\x01\0\x12\0\0\0\x03");
    for version in 0..=4 {
        let (id, response) = decode_api_versions(version, frame.clone()).unwrap();
        assert_eq!((id, response.error_code), (9, ErrorCode::UNSUPPORTED_VERSION.0));
        assert_eq!(response.api_keys[0].max_version, 3);
    }
    // Brokers before 2.4 send no range.
    let (_, response) =
        decode_api_versions(3, Bytes::from_static(b"\0\0\0\x09\0\x23\0\0\0\0")).unwrap();
    assert!(response.api_keys.is_empty());
}

#[test]
fn api_versions_answer_in_the_version_asked_for() {
    let response = ApiVersionsResponse::default()
        .with_api_keys(vec![ApiVersion::default().with_api_key(1).with_max_version(17)]);
    for version in 0..=4 {
        let kind = ResponseKind::ApiVersions(response.clone());
        let frame = unframed(&encode_response(1, ApiKey::ApiVersions, version, &kind).unwrap());
        assert_eq!(decode_api_versions(version, frame), Ok((1, response.clone())));
    }
}

/// Kafka 0.11 and 1.0 speak version 0 only.
#[test]
fn describe_configs_v0_is_translated() {
    let resource = |kind: i8| {
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name("t".to_owned().into())
            .with_configuration_keys(Some(vec!["k".to_owned().into()]))
    };
    let request = DescribeConfigsRequest::default().with_resources(vec![resource(2), resource(4)]);
    let frame = unframed(&encode_request(1, "", 0, &request).unwrap());
    let body = b"\0\0\0\x02\x02\0\x01t\0\0\0\x01\0\x01k\x04\0\x01t\0\0\0\x01\0\x01k";
    assert_eq!(&frame[10..], body);
    let (header, _, found) = decode_request(frame).unwrap();
    assert_eq!(header.request_api_version, 0);
    assert_eq!(found, RequestKind::DescribeConfigs(request));

    let config = |source: i8| {
        DescribeConfigsResourceResult::default()
            .with_name("k".to_owned().into())
            .with_value(None)
            .with_config_source(source)
            .with_is_sensitive(true)
    };
    let result = |kind: i8, sources: [i8; 2]| {
        DescribeConfigsResult::default()
            .with_resource_type(kind)
            .with_resource_name("t".to_owned().into())
            .with_configs(sources.map(config).to_vec())
    };
    let response =
        DescribeConfigsResponse::default().with_results(vec![result(2, [1, 5]), result(4, [4, 5])]);
    let kind = ResponseKind::DescribeConfigs(response.clone());
    let frame = unframed(&encode_response(1, ApiKey::DescribeConfigs, 0, &kind).unwrap());
    // correlation, throttle, count; then of the first result: 0 "" 2 "t", two configs,
    // the first one "k" null, not read-only, not default, sensitive
    assert_eq!(&frame[12..32], b"\0\0\0\0\x02\0\x01t\0\0\0\x02\0\x01k\xff\xff\0\0\x01");
    assert_eq!(decode_response::<DescribeConfigsRequest>(0, frame), Ok((1, response)));
}

proptest! {
    /// Whatever arrives is a value or an error value.
    #[test]
    fn any_bytes_are_survived(
        api in 0_i16..100,
        version in -1_i16..20,
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut frame = BytesMut::new();
        frame.put_i16(api);
        frame.put_i16(version);
        frame.put_slice(&tail);
        let frame = frame.freeze();
        let _ = decode_request(frame.clone());
        let _ = decode_response::<MetadataRequest>(version, frame.clone());
        let _ = decode_response::<FetchRequest>(version, frame.clone());
        let _ = decode_response::<DescribeConfigsRequest>(version, frame.clone());
        let _ = decode_api_versions(version, frame);
    }
}
