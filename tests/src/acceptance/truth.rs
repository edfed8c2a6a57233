//! A source that is not what was copied: each loss is told once with the exact offsets, the policy is followed, and the target has
//! what it should (ADR 0008).

mod recreated;
mod retention;
mod truncated;
