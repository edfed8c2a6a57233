//! Kafka's message schemas as generated tables; `cargo xtask schema` writes all files below but
//! `legacy`, which has by hand what 4.x schemas no longer describe.

mod headers;
mod legacy;
mod requests;
mod responses;

pub(super) use headers::{REQUEST_HEADER, RESPONSE_HEADER};
pub(super) use legacy::{LEGACY_REQUESTS, LEGACY_RESPONSES};
pub(super) use requests::REQUESTS;
pub(super) use responses::RESPONSES;
