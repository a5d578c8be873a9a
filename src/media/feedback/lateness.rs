//! How much later a packet is than its source's fastest ones. In microseconds, because each packet is asked.

use std::time::Duration;

use crate::base::Time;
use crate::base::plant::{self, Plant};

/// How long the fastest packet counts: clocks drift, and ways change.
const REMEMBERED: u64 = 10_000_000;
/// What seems to be later than this is a clock that was set anew, or stood still: no queue of a network is as
/// long. Up to here a packet is as late as it seems, though its clock may just have stood still; then people
/// hear the one who moves some seconds later, and never from where it was.
const MOST_MS: u32 = 3_000;
const MOST: u64 = MOST_MS as u64 * 1_000;
/// So long a source, or a clock that was set anew, is listened to, and so many packets, before it is known how
/// late one is: fewer may all have taken a slow way.
const LEARNT_WITHIN: u64 = 500_000;
const LEARNT_FROM: u8 = 25;

/// How much later than its source's fastest ones a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) struct Late {
    micros: u64,
    /// Whether the source's fastest way is known.
    is_known: bool,
}

impl Late {
    /// Not late at all.
    pub(in crate::media) const NOT: Self = Self { micros: 0, is_known: true };

    /// When a packet that comes now would have come on the fastest way. Where nobody knows that, it may have
    /// taken `unknown` longer.
    pub(in crate::media) fn due(self, now: Time, unknown: Duration) -> Time {
        if self.is_known || plant::is(Plant::FirstPacketBelieved) {
            return Time(now.0.saturating_sub(self.micros));
        }
        now - unknown.max(Duration::from_micros(self.micros))
    }
}

/// The least time that a source's packets took, up to what its clock differs from ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lateness {
    least: Option<u32>,
    /// The least of the time before.
    least_before: Option<u32>,
    since: Time,
    /// Packets that are still to come, and when, before it is known how late they are.
    unknown: u8,
    unknown_until: Time,
    /// Whether the clock was set anew, so that a packet may be as late as any.
    is_anew: bool,
}

impl Lateness {
    /// Takes a packet's transit in ticks: when it came less what its timestamp says. Answers how much
    /// longer it took than the fastest.
    pub(super) fn note(&mut self, transit: u32, now: Time, clock_rate: u32) -> Late {
        if now.0.saturating_sub(self.since.0) > REMEMBERED {
            self.least_before = self.least.take();
            self.since = now;
        }
        let longer = |least: u32| transit.wrapping_sub(least).cast_signed();
        let known = [self.least, self.least_before].into_iter().flatten().map(longer).max();
        let most = clock_rate / 1_000 * MOST_MS;
        let is_anew = known.is_some_and(|longer| longer.unsigned_abs() > most);
        let Some(longer_now) = known.filter(|_| !is_anew) else {
            let unknown_until = Time(now.0 + LEARNT_WITHIN);
            let (least, least_before) = (Some(transit), None);
            *self = Self { least, least_before, since: now, unknown: LEARNT_FROM, unknown_until, is_anew };
            return Late { micros: if is_anew { MOST } else { 0 }, is_known: false };
        };
        if self.least.is_none_or(|least| longer(least) < 0) {
            self.least = Some(transit);
        }
        let ticks = u64::try_from(longer_now).unwrap_or(0);
        let micros = if ticks == 0 { 0 } else { ticks * 1_000_000 / u64::from(clock_rate.max(1)) };
        let is_known = self.unknown == 0 && now >= self.unknown_until;
        if !is_known {
            self.unknown = self.unknown.saturating_sub(1);
        }
        Late { micros: if self.is_anew && !is_known { micros.max(MOST) } else { micros }, is_known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms: what each took, in milliseconds, and what that makes of it, behind a second of others
    /// that took as long as the first.
    fn late(took: &[u64]) -> Vec<u128> {
        let before = vec![took[0]; 50];
        lateness(&[before, took.to_vec()].concat())
            .iter()
            .skip(50)
            .map(|late| u128::from(late.micros / 1_000))
            .collect()
    }

    fn lateness(took: &[u64]) -> Vec<Late> {
        let mut lateness = Lateness::default();
        let each = (0_u64..).zip(took).map(|(at, took)| {
            let sent = 1_000_000 + at * 20;
            let transit = u32::try_from((sent + took) * 48 - at * 960).unwrap().wrapping_add(4_000_000_000);
            lateness.note(transit, Time((sent + took) * 1_000), 48_000)
        });
        each.collect()
    }

    #[test]
    fn a_packet_is_late_by_what_it_took_more_than_the_fastest() {
        assert_eq!(late(&[20, 25, 18, 40, 18]), [0, 5, 0, 22, 0]);
    }

    #[test]
    fn how_late_the_first_packets_of_a_source_are_nobody_knows() {
        let took: Vec<u64> = (0..100).map(|at| if at % 10 == 0 { 25 } else { 20 }).collect();
        let (now, unknown) = (Time(10_000_000), Duration::from_millis(500));
        let late: Vec<_> = lateness(&took).iter().map(|late| now.since(late.due(now, unknown))).collect();
        assert!(late[..25].iter().all(|late| late.as_millis() == 500), "{late:?}");
        assert!(late[27..].iter().all(|late| late.as_millis() <= 5), "{late:?}");
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
