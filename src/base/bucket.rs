//! How much may be taken in a time.

use std::time::Duration;

use super::Time;

/// A token bucket, kept as the moment at which it would be full again.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    per_second: u64,
    /// How long an empty one takes to fill.
    fills_in: Duration,
    full_at: Time,
}

impl Bucket {
    /// A full one that gets so much a second; it holds what it gets in `fills_in`.
    #[must_use]
    pub const fn new(per_second: u64, fills_in: Duration) -> Self {
        Self { per_second, fills_in, full_at: Time(0) }
    }

    /// Whether so much is there.
    #[must_use]
    pub fn has(&self, now: Time, amount: u64) -> bool {
        self.full_without(now, amount).since(now) <= self.fills_in
    }

    /// Takes so much out of it, if it is there.
    pub fn take(&mut self, now: Time, amount: u64) -> bool {
        let is_there = self.has(now, amount);
        if is_there {
            self.full_at = self.full_without(now, amount);
        }
        is_there
    }

    /// When it would be full again without so much.
    fn full_without(&self, now: Time, amount: u64) -> Time {
        let micros = amount.saturating_mul(1_000_000).checked_div(self.per_second).unwrap_or(u64::MAX);
        Time(self.full_at.max(now).0.saturating_add(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_in_time() {
        let start = Time::from_unix_seconds(1);
        let mut bucket = Bucket::new(1_000, Duration::from_millis(500));
        assert!(bucket.take(start, 400) && bucket.take(start, 100) && !bucket.take(start, 1));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(later, 100) && !bucket.take(later, 1));
        let calm = later + Duration::from_secs(60);
        assert!(bucket.take(calm, 500) && !bucket.take(calm, 1));
    }

    #[test]
    fn one_that_gets_nothing_gives_nothing() {
        assert!(!Bucket::new(0, Duration::from_secs(1)).take(Time(5), 1));
    }
}
