//! The network between a person and the server: delay, jitter, loss, bursts, reordering, duplication,
//! outages and a rate.

use std::time::Duration;

use crate::base::{Random, Time};

/// How one direction of a person's network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weather {
    /// Microseconds that every datagram takes.
    pub(super) delay: u64,
    /// Microseconds that one takes more at the most.
    pub(super) jitter: u64,
    /// Of 65,536 datagrams, those that are lost.
    pub(super) loss: u64,
    /// .. and those that begin a burst of loss.
    pub(super) burst: u64,
    /// .. and those that take a longer way, and are overtaken.
    pub(super) detour: u64,
    /// .. and those that come twice.
    pub(super) twice: u64,
    /// Microseconds between two datagrams at the least; 0 for no limit.
    pub(super) spacing: u64,
}

/// Datagrams that a burst swallows at the most.
const LONGEST_BURST: u64 = 6;
/// Microseconds that a longer way takes more at the most.
const LONGEST_DETOUR: u64 = 40_000;
/// What waits longer than this for its turn on a narrow link is dropped there.
const LONGEST_QUEUE: Duration = Duration::from_millis(200);

/// One direction of a person's network.
#[derive(Clone, Debug)]
pub(super) struct Way {
    weather: Weather,
    burst_left: u64,
    outage_until: Time,
    held_until: Time,
    /// Microseconds between two datagrams of what was held up.
    empties_by: u64,
    free_at: Time,
}

/// When a datagram arrives; the second moment is that of its copy.
pub(super) struct Arrival {
    pub(super) first: Option<Time>,
    pub(super) second: Option<Time>,
}

impl Way {
    /// A way in this weather.
    pub(super) const fn new(weather: Weather) -> Self {
        Self {
            weather,
            burst_left: 0,
            outage_until: Time(0),
            held_until: Time(0),
            empties_by: 0,
            free_at: Time(0),
        }
    }

    /// Lets nothing through for a while.
    pub(super) fn go_out(&mut self, until: Time) {
        self.outage_until = self.outage_until.max(until);
    }

    /// Lets nothing through for a while, and then all of it, with so many microseconds between two datagrams.
    pub(super) fn hold_up(&mut self, until: Time, empties_by: u64) {
        self.held_until = self.held_until.max(until);
        self.empties_by = empties_by;
    }

    /// Whether nothing came through at some time since then, or right before it.
    pub(super) fn was_out(&self, since: Time) -> bool {
        self.outage_until.max(self.held_until) + Duration::from_secs(1) >= since
    }

    /// What becomes of a datagram. It never depends on what is in it, nor on how long it is.
    pub(super) fn carry(&mut self, now: Time, random: &mut Random) -> Arrival {
        const NEVER: Arrival = Arrival { first: None, second: None };
        let dice = random.next_u64();
        let Weather { delay, jitter, loss, burst, detour, twice, spacing } = self.weather;
        let mut at = now;
        if spacing > 0 {
            at = self.free_at.max(now);
            if at.since(now) > LONGEST_QUEUE {
                return NEVER;
            }
            self.free_at = at + Duration::from_micros(spacing);
        }
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return NEVER;
        }
        let chance = dice & 0xffff;
        if now < self.outage_until || chance < loss {
            return NEVER;
        }
        if chance < loss + burst {
            self.burst_left = (dice >> 16) % LONGEST_BURST;
            return NEVER;
        }
        if at < self.held_until {
            at = self.held_until;
            self.held_until = at + Duration::from_micros(self.empties_by);
        }
        let mut takes = delay + share(dice >> 48, jitter);
        let other = (dice >> 16) & 0xffff;
        if other < detour {
            takes += share((dice >> 32) & 0xffff, LONGEST_DETOUR);
        }
        let first = at + Duration::from_micros(takes);
        let copied = other >= detour && other < detour + twice;
        let second = copied.then(|| first + Duration::from_micros(share((dice >> 32) & 0xffff, jitter)));
        Arrival { first: Some(first), second }
    }
}

/// A part of `whole`: `of` counts 65,536ths.
const fn share(of: u64, whole: u64) -> u64 {
    (of * whole) >> 16
}

impl Weather {
    /// A person's weather. Most people are well connected; some are far away, some on a bad radio.
    pub(super) fn draw(random: &mut Random, loss: u64) -> Self {
        let kind = random.below(10);
        let (delay, jitter) = match kind {
            0..6 => (2_000 + random.below(20_000), 1_000 + random.below(3_000)),
            6..9 => (20_000 + random.below(60_000), 2_000 + random.below(10_000)),
            _ => (10_000 + random.below(40_000), 8_000 + random.below(20_000)),
        };
        let is_narrow = random.below(12) == 0 && loss > 0;
        let spacing = if is_narrow { 1_200 } else { 0 };
        Self { delay, jitter, loss, burst: loss / 8, detour: 200, twice: 100, spacing }
    }

    /// Near, but for a third of all datagrams.
    pub(super) const fn uneven(self) -> Self {
        Self { delay: 5_000, jitter: 1_000, detour: 22_000, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Weather =
        Weather { delay: 1_000, jitter: 500, loss: 0, burst: 0, detour: 0, twice: 0, spacing: 0 };

    fn arrivals(weather: Weather, count: u64) -> Vec<Time> {
        let (mut way, mut random) = (Way::new(weather), Random::from_number(1));
        (0..count).filter_map(|at| way.carry(Time(at * 100), &mut random).first).collect()
    }

    #[test]
    fn nothing_is_lost_in_fine_weather() {
        let arrived = arrivals(FINE, 1_000);
        assert_eq!(arrived.len(), 1_000);
        let late = |(at, time): (usize, &Time)| time.0 - u64::try_from(at).unwrap() * 100;
        assert!(arrived.iter().enumerate().map(late).all(|took| (1_000..1_500).contains(&took)));
    }

    #[test]
    fn loss_is_as_much_as_was_asked_for() {
        let lost = 20_000 - arrivals(Weather { loss: 6_554, ..FINE }, 20_000).len();
        assert!((1_700..2_300).contains(&lost), "{lost}");
    }

    #[test]
    fn a_narrow_link_lets_no_more_through_than_it_can() {
        let arrived = arrivals(Weather { spacing: 1_000, ..FINE }, 10_000);
        assert!((1_000..1_300).contains(&arrived.len()), "{}", arrived.len());
    }

    #[test]
    fn what_is_held_up_comes_in_its_order() {
        let (mut way, mut random) = (Way::new(Weather { jitter: 0, ..FINE }), Random::from_number(1));
        way.hold_up(Time(500), 10);
        let arrived = [0, 100, 505, 1_000].map(|at| way.carry(Time(at), &mut random).first.unwrap().0);
        assert_eq!(arrived, [1_500, 1_510, 1_520, 2_000]);
    }

    #[test]
    fn nothing_comes_through_an_outage() {
        let (mut way, mut random) = (Way::new(FINE), Random::from_number(1));
        way.go_out(Time(500));
        assert!(way.carry(Time(499), &mut random).first.is_none());
        assert!(way.carry(Time(500), &mut random).first.is_some());
    }
}
