//! How many requests one link may make.

use crate::base::Time;

/// Requests a second that a link may go on making: far above what a person's client does.
const REQUESTS_PER_SECOND: u64 = 200;

/// Requests that it may make at once.
const BURST: u64 = 400;

/// Microseconds that pay for one request.
const COST: u64 = 1_000_000 / REQUESTS_PER_SECOND;

/// A token bucket, kept as the moment at which it would be full again.
#[derive(Debug)]
pub(super) struct RequestRate {
    full_at: Time,
}

impl RequestRate {
    pub(super) const fn new(now: Time) -> Self {
        Self { full_at: now }
    }

    /// Whether one more request is allowed now; counts it if so.
    pub(super) fn allow(&mut self, now: Time) -> bool {
        let full_at = Time(self.full_at.max(now).0.saturating_add(COST));
        if full_at.since(now).as_micros() > u128::from(BURST * COST) {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_allowed_and_a_flood_is_not() {
        let start = Time::from_unix_seconds(1);
        let mut rate = RequestRate::new(start);
        let allowed = (0..1_000).filter(|_| rate.allow(start)).count();
        assert_eq!(allowed, 400);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| rate.allow(later)).count(), 200);
        let calm = later + Duration::from_secs(60);
        assert_eq!((0..1_000).filter(|_| rate.allow(calm)).count(), 400);
    }
}
