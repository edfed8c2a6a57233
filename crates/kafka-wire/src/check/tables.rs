//! Kafka's message schemas as generated tables; `cargo xtask schema` writes the files below.

mod headers;
mod requests;
mod responses;

pub(super) use headers::{REQUEST_HEADER, RESPONSE_HEADER};
pub(super) use requests::REQUESTS;
pub(super) use responses::RESPONSES;
