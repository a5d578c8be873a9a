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

    /// It without so much, if that is there.
    #[must_use]
    pub fn without(self, now: Time, amount: u64) -> Option<Self> {
        let less = self.in_debt(now, amount);
        (less.full_at.since(now) <= self.fills_in).then_some(less)
    }

    /// How long it takes to be full again.
    #[must_use]
    pub fn fills_up_in(&self, now: Time) -> Duration {
        self.full_at.since(now)
    }

    /// Takes so much out of it, if it is there.
    pub fn take(&mut self, now: Time, amount: u64) -> bool {
        let less = self.without(now, amount);
        *self = less.unwrap_or(*self);
        less.is_some()
    }

    /// Takes so much out of it, whether it is there or not; answers when the debt is paid, if there is one.
    pub fn charge(&mut self, now: Time, amount: u64) -> Option<Time> {
        *self = self.in_debt(now, amount);
        let fills_in = u64::try_from(self.fills_in.as_micros()).unwrap_or(u64::MAX);
        let paid_at = Time(self.full_at.0.saturating_sub(fills_in));
        (paid_at > now).then_some(paid_at)
    }

    fn in_debt(self, now: Time, amount: u64) -> Self {
        let micros = amount.saturating_mul(1_000_000).checked_div(self.per_second).unwrap_or(u64::MAX);
        Self { full_at: Time(self.full_at.max(now).0.saturating_add(micros)), ..self }
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
    fn what_is_charged_is_paid_later() {
        let start = Time::from_unix_seconds(1);
        let mut bucket = Bucket::new(1_000, Duration::from_secs(2));
        assert_eq!(bucket.charge(start, 2_000), None);
        assert_eq!(bucket.charge(start, 500), Some(start + Duration::from_millis(500)));
        let later = start + Duration::from_millis(500);
        assert_eq!(bucket.charge(later, 1), Some(later + Duration::from_millis(1)));
        let calm = start + Duration::from_secs(60);
        assert_eq!((bucket.charge(calm, 2_000), bucket.charge(calm, u64::MAX).is_some()), (None, true));
    }

    #[test]
    fn one_that_gets_nothing_gives_nothing() {
        assert!(!Bucket::new(0, Duration::from_secs(1)).take(Time(5), 1));
    }
}
