//! Messages to frames and back: the only way to `kafka-protocol`'s decoders.
//!
//! Those decoders believe every count they read and abort the process on an allocation that cannot
//! be met (9 bytes are enough), so nothing reaches them that [`crate::check`] did not walk first.
//! Header versions follow the message version; the one exception is the answer to `ApiVersions`,
//! whose header is always version 0 because the client does not yet know what the broker speaks.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, RequestKind, ResponseHeader,
    ResponseKind, api_versions_response::ApiVersion,
};
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, Request, StrBytes, VersionRange,
};
use thiserror::Error;

use crate::ErrorCode;
use crate::check::{self, CheckError};
use crate::describe_configs_v0;
use crate::frame::LENGTH_BYTES;
use crate::versions::known_versions;

/// Why a message could not be read or written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The frame ends inside its header.
    #[error("frame of {length} bytes is too short for a header")]
    Short {
        /// Bytes in the frame.
        length: usize,
    },
    /// An API key without a schema.
    #[error("unknown API key {api_key}")]
    UnknownApi {
        /// The key as it was read.
        api_key: i16,
    },
    /// A version this release cannot read or write.
    #[error("{api:?} version {api_version} is not supported here (known: {min} to {max})")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        api_version: i16,
        /// Lowest version known here.
        min: i16,
        /// Highest version known here.
        max: i16,
    },
    /// The bytes do not have the form the schema gives them.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The check passed and the decoder still refused: the two disagree about the schema.
    #[error("{api:?} v{api_version} passed the structural check and was not decoded: {cause}")]
    Decode {
        /// The API.
        api: ApiKey,
        /// The version decoded.
        api_version: i16,
        /// The decoder's own words.
        cause: String,
    },
    /// A value cannot be written in this version, for instance because it sets a field of a later one.
    #[error("{api:?} v{api_version} cannot be encoded: {cause}")]
    Encode {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        api_version: i16,
        /// The encoder's own words.
        cause: String,
    },
    /// The whole frame is longer than its `i32` length can say.
    #[error("message of {length} bytes does not fit into a frame")]
    TooLarge {
        /// Bytes of header and body.
        length: usize,
    },
}

/// The part of a request header that has one form in all versions: what a server needs to answer
/// even a request it cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPreamble {
    /// The API key, known or not.
    pub api_key: i16,
    /// The version the client chose.
    pub api_version: i16,
    /// The id its answer carries.
    pub correlation_id: i32,
}

impl RequestPreamble {
    /// Reads the first eight bytes of a request frame (after the length).
    ///
    /// # Errors
    /// [`MessageError::Short`].
    pub fn parse(frame: &[u8]) -> Result<Self, MessageError> {
        let &[k0, k1, v0, v1, c0, c1, c2, c3, ..] = frame else {
            return Err(MessageError::Short { length: frame.len() });
        };
        Ok(Self {
            api_key: i16::from_be_bytes([k0, k1]),
            api_version: i16::from_be_bytes([v0, v1]),
            correlation_id: i32::from_be_bytes([c0, c1, c2, c3]),
        })
    }
}

/// Encodes a request as a whole frame, length included.
///
/// # Errors
/// [`MessageError::UnsupportedVersion`], [`MessageError::Encode`], [`MessageError::TooLarge`].
pub fn encode_request<R: Request>(
    correlation_id: i32,
    client_id: &str,
    api_version: i16,
    request: &R,
) -> Result<Bytes, MessageError> {
    let api = api_of(R::KEY)?;
    supported(api, api_version)?;
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(api_version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut frame = BytesMut::with_capacity(FRAME_BYTES_TYPICAL);
    frame.put_i32(0);
    encode_into(&mut frame, api, api_version, |frame| {
        header.encode(frame, R::header_version(api_version))?;
        request.encode(frame, body_version(api, api_version))
    })?;
    if is_described_v0(api, api_version) {
        describe_configs_v0::request_to_v0(&mut frame);
    }
    finish(frame)
}

/// Decodes a response frame (after its length) to the correlation id and the body.
///
/// # Errors
/// Any [`MessageError`] but those of encoding.
pub fn decode_response<R: Request>(
    api_version: i16,
    mut frame: Bytes,
) -> Result<(i32, R::Response), MessageError> {
    let api = api_of(R::KEY)?;
    supported(api, api_version)?;
    let correlation_id = response_correlation_id(&frame)?;
    let header_version = R::Response::header_version(api_version);
    let (body, body_version) = checked_response(api, api_version, header_version, &mut frame)?;
    let response = R::Response::decode(body, body_version)
        .map_err(|cause| decode_error(api, api_version, &cause))?;
    Ok((correlation_id, response))
}

/// Checks header and body of a response; leaves the body in `frame`, with the version to decode.
fn checked_response(
    api: ApiKey,
    api_version: i16,
    header_version: i16,
    frame: &mut Bytes,
) -> Result<(&mut Bytes, i16), MessageError> {
    frame.advance(check::check_response_header(header_version, frame)?);
    check::check_response(api as i16, api_version, frame)?;
    if is_described_v0(api, api_version) {
        *frame = describe_configs_v0::response_to_v1(frame)
            .ok_or_else(|| decode_error(api, api_version, &TRANSLATION_FAILED))?;
    }
    Ok((frame, body_version(api, api_version)))
}

/// Decodes a response frame (after its length) whose API is known at run time only.
///
/// # Errors
/// As [`decode_response`].
pub fn decode_any_response(
    api: ApiKey,
    api_version: i16,
    mut frame: Bytes,
) -> Result<(i32, ResponseKind), MessageError> {
    supported(api, api_version)?;
    let correlation_id = response_correlation_id(&frame)?;
    let header_version = api.response_header_version(api_version);
    let (body, body_version) = checked_response(api, api_version, header_version, &mut frame)?;
    let response = ResponseKind::decode(api, body, body_version)
        .map_err(|cause| decode_error(api, api_version, &cause))?;
    Ok((correlation_id, response))
}

/// The correlation id of a response frame: all header versions begin with it.
///
/// # Errors
/// [`MessageError::Short`].
pub fn response_correlation_id(frame: &[u8]) -> Result<i32, MessageError> {
    let (id, _) = frame.split_first_chunk().ok_or(MessageError::Short { length: frame.len() })?;
    Ok(i32::from_be_bytes(*id))
}

/// Decodes the answer to an `ApiVersions` request sent in `api_version`.
///
/// A broker that does not know that version answers `UNSUPPORTED_VERSION` **in the form of
/// version 0**, with its own range for `ApiVersions` inside (older ones send no range). The error
/// code stands at the same place in every version, so it tells which form follows.
///
/// # Errors
/// As [`decode_response`].
/// # Source
/// KIP-511; `ApiVersionsResponse.parse` in Apache Kafka.
pub fn decode_api_versions(
    api_version: i16,
    frame: Bytes,
) -> Result<(i32, ApiVersionsResponse), MessageError> {
    let error_code = frame.get(4..6).map(|code| i16::from_be_bytes([code[0], code[1]]));
    if error_code == Some(ErrorCode::UNSUPPORTED_VERSION.0) && api_version != 0 {
        return decode_response::<ApiVersionsRequest>(0, frame);
    }
    decode_response::<ApiVersionsRequest>(api_version, frame)
}

/// The answer of a server to an `ApiVersions` request in a version it does not know: a whole
/// frame, always in the form of version 0.
///
/// `own` is the range of `ApiVersions` versions the server does know.
///
/// # Errors
/// None in practice; the encoder's are passed on.
/// # Source
/// KIP-511.
pub fn encode_unsupported_api_versions(
    correlation_id: i32,
    own: VersionRange,
) -> Result<Bytes, MessageError> {
    let range = ApiVersion::default()
        .with_api_key(ApiVersionsRequest::KEY)
        .with_min_version(own.min)
        .with_max_version(own.max);
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UNSUPPORTED_VERSION.0)
        .with_api_keys(vec![range]);
    encode_response(correlation_id, ApiKey::ApiVersions, 0, &ResponseKind::ApiVersions(response))
}

/// Decodes a request frame (after its length), as a server does.
///
/// When this fails, [`RequestPreamble::parse`] still tells whom to answer.
///
/// # Errors
/// Any [`MessageError`] but those of encoding.
pub fn decode_request(
    mut frame: Bytes,
) -> Result<(RequestHeader, ApiKey, RequestKind), MessageError> {
    let RequestPreamble { api_key, api_version, .. } = RequestPreamble::parse(&frame)?;
    let api = api_of(api_key)?;
    supported(api, api_version)?;
    let header_version = api.request_header_version(api_version);
    let header_bytes = check::check_request_header(header_version, &frame)?;
    let header = RequestHeader::decode(&mut frame.split_to(header_bytes), header_version)
        .map_err(|cause| decode_error(api, api_version, &cause))?;
    check::check_request(api_key, api_version, &frame)?;
    if is_described_v0(api, api_version) {
        frame = describe_configs_v0::request_to_v1(&frame);
    }
    let request = RequestKind::decode(api, &mut frame, body_version(api, api_version))
        .map_err(|cause| decode_error(api, api_version, &cause))?;
    Ok((header, api, request))
}

/// Encodes a response as a whole frame, length included.
///
/// # Errors
/// [`MessageError::UnsupportedVersion`], [`MessageError::Encode`], [`MessageError::TooLarge`].
pub fn encode_response(
    correlation_id: i32,
    api_key: ApiKey,
    api_version: i16,
    response: &ResponseKind,
) -> Result<Bytes, MessageError> {
    supported(api_key, api_version)?;
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    let mut frame = BytesMut::with_capacity(FRAME_BYTES_TYPICAL);
    frame.put_i32(0);
    encode_into(&mut frame, api_key, api_version, |frame| {
        header.encode(frame, api_key.response_header_version(api_version))
    })?;
    let body_at = frame.len();
    encode_into(&mut frame, api_key, api_version, |frame| {
        response.encode(frame, body_version(api_key, api_version))
    })?;
    if is_described_v0(api_key, api_version) {
        let body = frame.split_off(body_at);
        let body = describe_configs_v0::response_to_v0(&body).ok_or_else(|| {
            let cause = TRANSLATION_FAILED.to_owned();
            MessageError::Encode { api: api_key, api_version, cause }
        })?;
        frame.extend_from_slice(&body);
    }
    finish(frame)
}

/// The one version that is translated: see [`describe_configs_v0`].
fn is_described_v0(api: ApiKey, api_version: i16) -> bool {
    api == ApiKey::DescribeConfigs && api_version == 0
}

/// The version `kafka-protocol` reads and writes a body in.
fn body_version(api: ApiKey, api_version: i16) -> i16 {
    if is_described_v0(api, api_version) { 1 } else { api_version }
}

const TRANSLATION_FAILED: &str = "version 0 cannot be translated";

/// Where a frame buffer starts; it grows as needed.
const FRAME_BYTES_TYPICAL: usize = 256;

fn api_of(api_key: i16) -> Result<ApiKey, MessageError> {
    ApiKey::try_from(api_key).map_err(|()| MessageError::UnknownApi { api_key })
}

/// Refuses versions outside what `kafka-protocol` reads and writes.
fn supported(api: ApiKey, api_version: i16) -> Result<(), MessageError> {
    let VersionRange { min, max } = known_versions(api);
    if (min..=max).contains(&api_version) {
        return Ok(());
    }
    Err(MessageError::UnsupportedVersion { api, api_version, min, max })
}

/// Runs one encoder of `kafka-protocol`; its untyped errors become [`MessageError::Encode`].
fn encode_into<E: fmt::Display>(
    frame: &mut BytesMut,
    api: ApiKey,
    api_version: i16,
    encode: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<(), MessageError> {
    encode(frame).map_err(|cause| MessageError::Encode {
        api,
        api_version,
        cause: cause.to_string(),
    })
}

fn decode_error(api: ApiKey, api_version: i16, cause: &dyn fmt::Display) -> MessageError {
    MessageError::Decode { api, api_version, cause: cause.to_string() }
}

/// Fills in the length that the frame began with as a gap.
fn finish(mut frame: BytesMut) -> Result<Bytes, MessageError> {
    let length = frame.len() - LENGTH_BYTES;
    let prefix = i32::try_from(length).map_err(|_| MessageError::TooLarge { length })?;
    frame[..LENGTH_BYTES].copy_from_slice(&prefix.to_be_bytes());
    Ok(frame.freeze())
}

#[cfg(test)]
mod tests;
