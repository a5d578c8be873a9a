//! Which packets of a publisher are missing and when to ask for them.

use std::time::Duration;

use crate::base::Time;

/// Packets missed at once. More are a burst that only a keyframe repairs.
const MAX_MISSING: usize = 128;
/// How often one packet is asked for.
const MAX_TRIES: u8 = 6;
/// After this a packet comes too late for any jitter buffer.
const GIVE_UP: Duration = Duration::from_secs(1);
/// The least time between two requests for one packet; a longer round trip counts.
const RETRY: Duration = Duration::from_millis(40);

#[derive(Clone, Copy, Debug)]
struct Gap {
    index: u64,
    since: Time,
    asked_at: Option<Time>,
    tries: u8,
}

/// What is missing of one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing(Vec<Gap>);

impl Missing {
    /// Notes that the packets between two numbers have not come; answers whether there were so many
    /// that all is given up.
    pub(crate) fn note(&mut self, after: u64, before: u64, now: Time) -> bool {
        let gap = after.saturating_add(1)..before;
        let len = usize::try_from(gap.end.saturating_sub(gap.start)).unwrap_or(usize::MAX);
        if len.saturating_add(self.0.len()) > MAX_MISSING {
            self.0.clear();
            return true;
        }
        self.0.extend(gap.map(|index| Gap { index, since: now, asked_at: None, tries: 0 }));
        false
    }

    /// Notes that a packet has come.
    pub(crate) fn arrived(&mut self, index: u64) {
        if let Ok(at) = self.0.binary_search_by_key(&index, |gap| gap.index) {
            self.0.remove(at);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether anything is missing.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything is to be asked for now.
    pub(crate) fn is_due(&self, now: Time, round_trip: Duration) -> bool {
        self.0.iter().any(|gap| gap.is_due(now, round_trip))
    }

    /// Fills `asked` with the numbers to ask for now, in rising order, and counts the tries.
    pub(crate) fn take_due(&mut self, now: Time, round_trip: Duration, asked: &mut Vec<u16>) {
        asked.clear();
        self.0.retain(|gap| gap.tries < MAX_TRIES && now.since(gap.since) < GIVE_UP);
        for gap in self.0.iter_mut().filter(|gap| gap.is_due(now, round_trip)) {
            gap.asked_at = Some(now);
            gap.tries += 1;
            asked.push(u16::try_from(gap.index & 0xffff).unwrap_or(0));
        }
    }
}

impl Gap {
    fn is_due(&self, now: Time, round_trip: Duration) -> bool {
        self.asked_at.is_none_or(|asked| now.since(asked) >= round_trip.max(RETRY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    fn at(ms: u64) -> Time {
        Time(1_000_000) + Duration::from_millis(ms)
    }

    #[test]
    fn a_gap_is_asked_for_again_and_then_given_up() {
        let (mut missing, mut asked) = (Missing::default(), Vec::new());
        missing.note(65_534, 65_538, at(0));
        missing.take_due(at(1), SOON, &mut asked);
        assert_eq!(asked, [65_535, 0, 1]);
        missing.take_due(at(30), SOON, &mut asked);
        assert!(asked.is_empty());
        missing.arrived(65_536);
        missing.take_due(at(45), SOON, &mut asked);
        assert_eq!(asked, [65_535, 1]);
        let tries = (0..50).filter(|step| {
            missing.take_due(at(100 + step * 50), SOON, &mut asked);
            !asked.is_empty()
        });
        assert_eq!(tries.count(), 4);
        assert!(missing.is_empty());
    }

    #[test]
    fn a_long_round_trip_delays_the_next_request() {
        let (mut missing, mut asked) = (Missing::default(), Vec::new());
        missing.note(1, 3, at(0));
        missing.take_due(at(0), SOON, &mut asked);
        assert!(!missing.is_due(at(150), Duration::from_millis(200)));
        assert!(missing.is_due(at(200), Duration::from_millis(200)));
    }

    #[test]
    fn a_burst_is_not_asked_for() {
        let mut missing = Missing::default();
        assert!(!missing.note(0, 100, at(0)));
        assert!(missing.note(100, 200, at(1)));
        assert!(missing.is_empty());
    }
}
