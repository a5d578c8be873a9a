//! The clock of the load generator: wall time once, monotonic afterwards.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::base::Time;
use crate::client::TimeAnchor;

/// Turns monotonic time into [`Time`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(TimeAnchor);

impl Clock {
    /// A clock that is anchored now.
    #[must_use]
    pub(super) fn start() -> Self {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let at = Time(u64::try_from(micros).unwrap_or(u64::MAX));
        Self(TimeAnchor { at, instant: Instant::now() })
    }

    /// Now.
    #[must_use]
    pub(super) fn now(self) -> Time {
        self.0.at + self.0.instant.elapsed()
    }

    /// The two readings that belong together.
    #[must_use]
    pub(super) fn anchor(self) -> TimeAnchor {
        self.0
    }

    /// The monotonic instant of `time`, for timers.
    #[must_use]
    pub(super) fn instant(self, time: Time) -> tokio::time::Instant {
        (self.0.instant + time.since(self.0.at)).into()
    }
}
