//! The process's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::base::Time;

/// A monotonic clock that was set once by the wall clock: [`Time`] never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at: Time,
    instant: Instant,
}

impl Clock {
    /// Reads both clocks.
    #[must_use]
    pub fn start() -> Self {
        let micros = since_epoch().as_micros();
        Self { at: Time(u64::try_from(micros).unwrap_or(u64::MAX)), instant: Instant::now() }
    }

    /// A clock for which it was `at` at an instant.
    #[must_use]
    pub const fn at(at: Time, instant: Instant) -> Self {
        Self { at, instant }
    }

    /// The moment of the start in both clocks.
    #[must_use]
    pub const fn anchor(&self) -> (Time, Instant) {
        (self.at, self.instant)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.at + self.instant.elapsed()
    }

    /// How long from now until `time`; zero if it has passed.
    #[must_use]
    pub fn until(&self, time: Time) -> Duration {
        time.since(self.now())
    }
}

/// Seconds since the Unix epoch by the wall clock, which may jump: for the expiry of tokens, whose
/// signers go by it as well.
#[must_use]
pub fn wall_clock_seconds() -> u64 {
    since_epoch().as_secs()
}

fn since_epoch() -> Duration {
    // A machine whose clock stands before 1970 has no better time than the epoch itself.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
