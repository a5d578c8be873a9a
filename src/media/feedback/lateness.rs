//! How much later a packet is than its source's fastest ones. In microseconds, because each packet is asked.

use std::time::Duration;

use crate::base::Time;
use crate::base::plant::{self, Plant};

/// How long the fastest packet counts: clocks drift, and ways change. Who was silent for longer is learnt again.
const REMEMBERED: u64 = 10_000_000;
/// What seems to be later than this is a clock that was set anew, or stood still, or was held up while nothing
/// came of its sender (see [`Silences`](crate::media::silence::Silences)). Up to here a packet is as late as it
/// seems, though its clock may just have stood still; then people hear the one who moves some seconds later, and
/// never from where it was.
const MOST_MS: u32 = 3_000;
const MOST: u64 = MOST_MS as u64 * 1_000;
/// So long a source, or a clock that was set anew, is listened to, and so many packets, before it is known how
/// late one is: fewer may all have taken a slow way.
const LEARNT_WITHIN: u64 = 500_000;
const LEARNT_FROM: u8 = 25;
/// Packets that come closer to each other than this count as one: what held one up held up all.
const APART: u64 = 10_000;
/// In milliseconds: who becomes faster by more than this while it is learnt, or by twice as much later, had not
/// been known. So does a queue that empties.
const FASTER_MS: u32 = 10;
/// In milliseconds: of who is learnt, what comes by more than this later than the fastest says nothing: a queue that
/// empties for the second time is as late. Where nothing else comes for a while, the way has become longer.
const NEAR_MS: u32 = 100;
const LONGER_SINCE: u64 = 2_000_000;

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

    /// The same, and where nobody knows, perhaps as late as `held` says.
    pub(in crate::media) fn or_held(self, held: impl FnOnce() -> Duration) -> Self {
        if self.is_known {
            return self;
        }
        let held = u64::try_from(held().as_micros()).unwrap_or(u64::MAX);
        Self { micros: self.micros.max(held), ..self }
    }

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
    learning: Learning,
    /// The last packet that came [apart](APART) from the one before.
    came_at: Time,
    /// Whether the clock was set anew, so that a packet may be as late as any.
    is_anew: bool,
}

/// What has to come before it is known how late a source's packets are.
#[derive(Clone, Copy, Debug, Default)]
struct Learning {
    packets: u8,
    until: Time,
    /// The transit of the first.
    from: u32,
}

impl Learning {
    const fn new(from: u32, now: Time) -> Self {
        Self { packets: LEARNT_FROM, until: Time(now.0 + LEARNT_WITHIN), from }
    }

    fn is_over(&self, now: Time) -> bool {
        self.packets == 0 && now >= self.until
    }
}

impl Lateness {
    fn new(transit: u32, now: Time, is_anew: bool) -> Self {
        let learning = Learning::new(transit, now);
        Self { least: Some(transit), least_before: None, since: now, learning, came_at: now, is_anew }
    }

    /// Takes a packet's transit in ticks: when it came less what its timestamp says. Answers how much
    /// longer it took than the fastest.
    pub(super) fn note(&mut self, transit: u32, now: Time, clock_rate: u32) -> Late {
        if now.0.saturating_sub(self.since.0) > REMEMBERED {
            self.least_before = self.least.take();
            self.since = now;
        }
        let longer = |least: u32| transit.wrapping_sub(least).cast_signed();
        let known = [self.least, self.least_before].into_iter().flatten().map(longer).max();
        let ticks_of = |millis: u32| (clock_rate / 1_000 * millis).cast_signed();
        let is_anew = known.is_some_and(|longer| longer.unsigned_abs() > ticks_of(MOST_MS).unsigned_abs());
        let Some(longer_now) = known.filter(|_| !is_anew) else {
            *self = Self::new(transit, now, is_anew);
            return Late { micros: if is_anew { MOST } else { 0 }, is_known: false };
        };
        if self.least.is_none_or(|least| longer(least) < 0) {
            self.least = Some(transit);
        }
        let (was_learnt, gap) = (self.learning.is_over(now), now.0.saturating_sub(self.came_at.0));
        if was_learnt {
            self.is_anew = false;
        }
        let than_first = longer(self.learning.from);
        let is_near = than_first <= ticks_of(NEAR_MS);
        let is_other = if was_learnt {
            longer_now < -2 * ticks_of(FASTER_MS)
        } else {
            than_first < -ticks_of(FASTER_MS) || !is_near && now.0 > self.learning.until.0 + LONGER_SINCE
        };
        if is_other || gap > REMEMBERED {
            self.learning = Learning::new(transit, now);
        } else if gap >= APART && is_near {
            self.learning.packets = self.learning.packets.saturating_sub(1);
        }
        if gap >= APART {
            self.came_at = now;
        }
        let ticks = u64::try_from(longer_now).unwrap_or(0);
        let micros = if ticks == 0 { 0 } else { ticks * 1_000_000 / u64::from(clock_rate.max(1)) };
        Late {
            micros: if self.is_anew { micros.max(MOST) } else { micros },
            is_known: self.learning.is_over(now),
        }
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
        let sent: Vec<_> = (0_u64..).zip(took).map(|(at, took)| (at * 20, *took)).collect();
        lateness_of(&sent)
    }

    /// Packets by when they were sent and what they took, in milliseconds.
    fn lateness_of(packets: &[(u64, u64)]) -> Vec<Late> {
        let mut lateness = Lateness::default();
        let each = packets.iter().map(|(sent, took)| {
            let came = 1_000_000 + sent + took;
            let transit = u32::try_from((came - sent) * 48).unwrap().wrapping_add(4_000_000_000);
            lateness.note(transit, Time(came * 1_000), 48_000)
        });
        each.collect()
    }

    /// A second of packets of 20 ms that took as long.
    fn second() -> Vec<(u64, u64)> {
        (0..50).map(|at| (at * 20, 20)).collect()
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
    fn a_picture_of_many_packets_tells_as_much_as_one() {
        let picture = |sent: u64, took| std::iter::repeat_n((sent, took), 30);
        let pictures: Vec<_> = picture(0, 60).chain(picture(1_000, 20)).chain(picture(2_000, 60)).collect();
        assert!(lateness_of(&pictures).iter().all(|late| !late.is_known));
    }

    #[test]
    fn who_was_silent_for_long_is_learnt_again() {
        let after = |pause: u64| {
            let packets = [second(), vec![(1_000 + pause, 20)]].concat();
            lateness_of(&packets).last().unwrap().is_known
        };
        assert!(after(9_000) && !after(11_000));
    }

    #[test]
    fn who_becomes_faster_was_not_known() {
        let after = |took| lateness_of(&[second(), vec![(1_000, took)]].concat()).last().unwrap().is_known;
        let slow: Vec<_> = second().iter().map(|(sent, _)| (*sent, 60)).collect();
        assert!(after(20) && after(5));
        assert!(!lateness_of(&[slow, vec![(1_000, 20)]].concat()).last().unwrap().is_known);
    }

    #[test]
    fn a_way_that_becomes_longer_while_it_is_learnt_is_learnt() {
        let took: Vec<u64> = (0..250).map(|at| if at == 0 { 20 } else { 220 }).collect();
        assert!(lateness(&took).last().unwrap().is_known);
    }

    #[test]
    fn a_queue_that_fills_again_is_not_taken_for_a_way() {
        // It empties by a packet each 2 ms, waits for 1.5 s, and goes on by one each 10 ms.
        let queues = (0..200).map(|at| 8_000 - at * 18).chain((0..80).map(|at| 5_900 - at * 10));
        let took: Vec<u64> = vec![20; 50].into_iter().chain(queues).collect();
        assert!(lateness(&took)[50..].iter().all(|late| !late.is_known));
    }

    #[test]
    fn the_fastest_is_forgotten_in_time() {
        let took: Vec<u64> = (0..2_000).map(|at| if at < 10 { 20 } else { 50 }).collect();
        let late = late(&took);
        assert_eq!((late.get(11), late.last()), (Some(&30), Some(&0)));
    }
}
