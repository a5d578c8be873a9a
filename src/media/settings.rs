//! What an operator may set of the media plane.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of every media worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaSettings {
    /// After a move the mover's own packets are dropped until its client has taken in where it is:
    /// they were sent before it could know. A client that never says so has this long, in
    /// milliseconds, at most 500; so late may the first packets of a source be, of which nobody knows.
    pub in_flight_ms: u64,
    /// How long, in milliseconds, a packet may be held so that more leave for its listener together:
    /// 0 to 20. It is what the operator pays in delay for processor time.
    pub hold_ms: u64,
    /// How much one participant may send, in kbit/s. What is more is dropped before anybody else is
    /// concerned. A packet counts as 800 bytes at least, because it costs processor time whatever its
    /// length.
    pub publisher_kbps: u64,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self { in_flight_ms: 500, hold_ms: 0, publisher_kbps: 20_000 }
    }
}

impl MediaSettings {
    /// How long packets are held.
    #[must_use]
    pub const fn hold(&self) -> Duration {
        Duration::from_millis(self.hold_ms)
    }

    /// The longest time for which the packets of a mover belong to no group whose client never answers, and
    /// for which packets may be on their way of whose source nobody knows the fastest.
    #[must_use]
    pub const fn in_flight(&self) -> Duration {
        Duration::from_millis(self.in_flight_ms)
    }
}
