//! What an operator may set of the media plane.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of every media worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaSettings {
    /// For at least this long after a move, in milliseconds, the mover's own packets are dropped:
    /// they may have been sent before the mover could know. It covers the way of the news through
    /// the server and its signalling; where a longer round trip has been measured, that counts, up
    /// to 500 ms.
    pub in_flight_ms: u64,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self { in_flight_ms: 10 }
    }
}

impl MediaSettings {
    /// The least time for which a mover's packets belong to no group.
    #[must_use]
    pub const fn in_flight(&self) -> Duration {
        Duration::from_millis(self.in_flight_ms)
    }
}
