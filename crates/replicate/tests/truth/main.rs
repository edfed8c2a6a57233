//! A source that is not what was copied any more: retention, truncation, another topic under the name. Each is one event
//! with the exact range; the policy decides, also across a restart, also on releases without ids or epochs. Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

mod chance;
mod events;
mod histories;
mod recreated;
mod world;
