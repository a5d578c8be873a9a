//! The bridge between our time and that of crates which insist on `Instant`.

use std::time::Instant;

use crate::base::Time;

/// One moment in both clocks, read at the edge and handed in.
#[derive(Clone, Copy, Debug)]
pub struct TimeAnchor {
    /// The moment in our time.
    pub at: Time,
    /// The same moment as an `Instant`.
    pub instant: Instant,
}

impl TimeAnchor {
    /// `time` as an `Instant`; the anchor's own moment for what is before it.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        self.instant.checked_add(time.since(self.at)).unwrap_or(self.instant)
    }

    /// `instant` in our time; the anchor's own moment for what is before it.
    #[must_use]
    pub fn time(&self, instant: Instant) -> Time {
        self.at + instant.saturating_duration_since(self.instant)
    }
}
