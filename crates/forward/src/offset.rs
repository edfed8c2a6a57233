//! Three counters that must never be taken for one another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines one counter newtype; the three differ in meaning only.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// This position moved `count` forward (backward when negative), stopping at the ends of `i64`.
            #[must_use]
            pub const fn plus(self, count: i64) -> Self {
                Self(self.0.saturating_add(count))
            }

            /// How far `self` lies behind `start`; negative when it lies before it.
            #[must_use]
            pub const fn since(self, start: Self) -> i64 {
                self.0.saturating_sub(start.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// An offset in a source partition.
    SourceOffset
}

counter! {
    /// An offset in a target partition.
    TargetOffset
}

counter! {
    /// The number of a record among those a lane has sent, from 0, without gaps, over the lane's whole life.
    Ordinal
}
