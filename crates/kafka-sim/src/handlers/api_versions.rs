//! ApiVersions: what this release offers.

use kafka_wire::message::{RequestPreamble, encode_unsupported_api_versions};
use kafka_wire::messages::ApiKey;
use kafka_wire::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_wire::protocol::VersionRange;

use super::{Peer, Reply, text};
use crate::release::Release;

pub(super) fn handle(peer: &Peer) -> ApiVersionsResponse {
    let release = peer.release();
    let keys = release.offered().map(|(key, min, max)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max)
    });
    let response = ApiVersionsResponse::default().with_api_keys(keys.collect());
    if !release.is_kraft() {
        return response;
    }
    let features = features(release);
    let supported = features.iter().map(|(name, min, max)| {
        SupportedFeatureKey::default()
            .with_name(text(*name))
            .with_min_version(*min)
            .with_max_version(*max)
    });
    let finalized = features.iter().map(|(name, _, max)| {
        FinalizedFeatureKey::default()
            .with_name(text(*name))
            .with_min_version_level(*max)
            .with_max_version_level(*max)
    });
    response
        .with_supported_features(supported.collect())
        .with_finalized_features(finalized.collect())
        .with_finalized_features_epoch(1)
}

/// Features of a freshly formatted cluster: name, lowest and highest level.
fn features(release: Release) -> Vec<(&'static str, i16, i16)> {
    match release {
        Release::V3_9 => vec![("metadata.version", 1, 21)],
        Release::V4_1 => vec![
            ("group.version", 0, 1),
            ("metadata.version", 7, 27),
            ("transaction.version", 0, 2),
        ],
        _ => vec![
            ("group.version", 0, 1),
            ("metadata.version", 7, 29),
            ("transaction.version", 0, 2),
        ],
    }
}

/// A version this release does not know is answered in version 0, which every client reads (KIP-511).
pub(super) fn unsupported(peer: &Peer, preamble: RequestPreamble) -> Reply {
    let (min, max) = peer.release().versions(ApiKey::ApiVersions).unwrap_or((0, 0));
    match encode_unsupported_api_versions(preamble.correlation_id, VersionRange { min, max }) {
        Ok(frame) => Reply::Chunks(vec![frame]),
        Err(_) => Reply::Close,
    }
}
