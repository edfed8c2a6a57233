//! The verbs, one module each.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod etl;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod offsets;
pub(crate) mod plan;
pub(crate) mod reader;
pub(crate) mod sandbox;
pub(crate) mod schema;
pub(crate) mod sync;
pub(crate) mod verify;
