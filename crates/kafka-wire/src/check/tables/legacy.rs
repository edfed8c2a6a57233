//! Versions that Kafka 4.x removed and old brokers need: `DescribeConfigs` v0, the only one before 1.1.
//!
//! # Source
//! `DescribeConfigsRequest.json` and `DescribeConfigsResponse.json` of Apache Kafka 3.9.

use crate::check::table::*;

pub(crate) static LEGACY_REQUESTS: &[Message] =
    &[message("DescribeConfigsRequest", 32, (0, 0), LATEST, REQUEST)];

pub(crate) static LEGACY_RESPONSES: &[Message] =
    &[message("DescribeConfigsResponse", 32, (0, 0), LATEST, RESPONSE)];

static REQUEST: &[Field] = &[field("resources", Kind::Array(&Kind::Struct(&RESOURCE)), 0, 0)];

static RESOURCE: Struct = structure(&[
    field("resource_type", Kind::Int8, 0, 0),
    field("resource_name", Kind::String, 0, 0),
    field("configuration_keys", Kind::Array(&Kind::String), 0, 0).null(0, 0),
]);

static RESPONSE: &[Field] = &[
    field("throttle_time_ms", Kind::Int32, 0, 0),
    field("results", Kind::Array(&Kind::Struct(&RESULT)), 0, 0),
];

static RESULT: Struct = structure(&[
    field("error_code", Kind::Int16, 0, 0),
    field("error_message", Kind::String, 0, 0).null(0, 0),
    field("resource_type", Kind::Int8, 0, 0),
    field("resource_name", Kind::String, 0, 0),
    field("configs", Kind::Array(&Kind::Struct(&CONFIG)), 0, 0),
]);

static CONFIG: Struct = structure(&[
    field("name", Kind::String, 0, 0),
    field("value", Kind::String, 0, 0).null(0, 0),
    field("read_only", Kind::Bool, 0, 0),
    field("is_default", Kind::Bool, 0, 0),
    field("is_sensitive", Kind::Bool, 0, 0),
    // Not on the wire: the decoded structure has fields of later versions.
    field("synonyms", Kind::Array(&Kind::String), 1, 0),
    field("documentation", Kind::String, 1, 0),
]);
