//! How much later a packet is than its source's fastest ones.

use std::time::Duration;

use crate::base::Time;

/// How long the fastest packet counts: clocks drift, and ways change.
const REMEMBERED: Duration = Duration::from_secs(10);
/// What seems to be later than this is a clock that was set anew, or stood still: no queue of a network is as
/// long. Up to here a packet is as late as it seems, though its clock may just have stood still; then people
/// hear the one who moves some seconds later, and never from where it was.
const MOST_MS: u32 = 3_000;
const MOST: Duration = Duration::from_millis(3_000);
/// For so long after a clock was set anew it is not known how late a packet is.
const UNSURE: Duration = Duration::from_millis(500);

/// The least time that a source's packets took, up to what its clock differs from ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lateness {
    least: Option<u32>,
    /// The least of the time before.
    least_before: Option<u32>,
    since: Time,
    /// Until then it is not known how late a packet is.
    unsure_until: Option<Time>,
}

impl Lateness {
    /// Takes a packet's transit in ticks: when it came less what its timestamp says. Answers how much
    /// longer it took than the fastest.
    pub(super) fn note(&mut self, transit: u32, now: Time, clock_rate: u32) -> Duration {
        if now.since(self.since) > REMEMBERED {
            self.least_before = self.least.take();
            self.since = now;
        }
        let longer = |least: u32| transit.wrapping_sub(least).cast_signed();
        let known = [self.least, self.least_before].into_iter().flatten().map(longer).max();
        let most = clock_rate / 1_000 * MOST_MS;
        if known.is_some_and(|longer| longer.unsigned_abs() > most) {
            let unsure_until = Some(now + UNSURE);
            *self = Self { least: Some(transit), least_before: None, since: now, unsure_until };
            return MOST;
        }
        if self.least.is_none_or(|least| longer(least) < 0) {
            self.least = Some(transit);
        }
        let late = known.and_then(|longer| u64::try_from(longer).ok()).unwrap_or(0);
        let late = Duration::from_micros(late * 1_000_000 / u64::from(clock_rate.max(1)));
        if self.unsure_until.is_some_and(|until| now < until) { late.max(MOST) } else { late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms: what each took, in milliseconds, and what that makes of it.
    fn late(took: &[u64]) -> Vec<u128> {
        let mut lateness = Lateness::default();
        let each = (0_u64..).zip(took).map(|(at, took)| {
            let sent = 1_000_000 + at * 20;
            let transit = u32::try_from((sent + took) * 48 - at * 960).unwrap().wrapping_add(4_000_000_000);
            lateness.note(transit, Time((sent + took) * 1_000), 48_000).as_millis()
        });
        each.collect()
    }

    #[test]
    fn a_packet_is_late_by_what_it_took_more_than_the_fastest() {
        assert_eq!(late(&[20, 25, 18, 40, 18]), [0, 5, 0, 22, 0]);
    }

    #[test]
    fn a_clock_that_stood_still_is_not_late_for_ever() {
        let took: Vec<u64> = (0..40).map(|at| if at == 0 { 20 } else { 5_020 + at % 2 * 10 }).collect();
        let late = late(&took);
        assert!(late[1..26].iter().all(|late| *late == 3_000), "it may be that late: {late:?}");
        assert!(late[27..].iter().all(|late| *late <= 10), "{late:?}");
    }

    #[test]
    fn a_long_queue_is_not_taken_for_a_clock() {
        let took: Vec<u64> = (0..40).map(|at| if at == 0 { 20 } else { 2_020 }).collect();
        assert!(late(&took)[1..].iter().all(|late| *late == 2_000));
    }

    #[test]
    fn the_fastest_is_forgotten_in_time() {
        let took: Vec<u64> = (0..2_000).map(|at| if at < 10 { 20 } else { 50 }).collect();
        let late = late(&took);
        assert_eq!((late.get(11), late.last()), (Some(&30), Some(&0)));
    }
}
