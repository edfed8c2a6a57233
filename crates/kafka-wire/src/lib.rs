//! Kafka's bytes and protocol state, without any I/O, clock or randomness.
//!
//! Everything that arrives from a peer passes through here first: frames are cut with a bound,
//! every frame is walked by a structural check before `kafka-protocol` decodes it, and record
//! batches are read by our own walker. Sockets, TLS, deadlines and caches are the client's.

pub mod check;
pub mod compression;
pub mod connection;
pub mod crc;
mod describe_configs_v0;
pub mod error_code;
pub mod fetch;
pub mod frame;
pub mod message;
mod primitive;
pub mod produce;
pub mod record;
pub mod sasl;
pub mod secret;
pub mod versions;

pub use error_code::{ErrorCode, Retry};
pub use kafka_protocol::{messages, protocol};

/// A topic id, directory id or member id, as `kafka-protocol` has it.
pub type Uuid = uuid::Uuid;
