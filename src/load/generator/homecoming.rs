//! Times how long people whose breakout rooms end wait for their parent room's media.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Time;

/// Why people come home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HomeBy {
    /// Rooms are cleared.
    Clear,
    /// Rooms are destroyed.
    Destroy,
}

/// People who are about to be brought home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Homecoming {
    /// Their numbers.
    pub(crate) ids: Vec<usize>,
    /// Their parent room's tag.
    pub(crate) room: u64,
    /// When that is asked for.
    pub(crate) since: Time,
    /// How.
    pub(crate) by: HomeBy,
}

/// From each request to the first packet of the parent room, for each who was away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Homecomings {
    /// Of clears.
    pub(crate) clears: Vec<Duration>,
    /// Of destroys.
    pub(crate) destroys: Vec<Duration>,
    /// Those who left or were sent away again before they had heard anything.
    pub(crate) overtaken: u64,
    /// Those who have heard nothing.
    pub(crate) deaf: u64,
}

/// Who waits for what.
#[derive(Debug, Default)]
pub(super) struct HomeClock {
    waiting: BTreeMap<usize, (u64, Time, HomeBy)>,
    found: Homecomings,
}

impl HomeClock {
    /// People are about to be brought home.
    pub(super) fn expect(&mut self, Homecoming { ids, room, since, by }: Homecoming) {
        for id in ids {
            if self.waiting.insert(id, (room, since, by)).is_some() {
                self.found.overtaken += 1;
            }
        }
    }

    /// Whether anybody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A packet of a room has reached somebody.
    pub(super) fn heard(&mut self, now: Time, id: usize, room: u64) {
        let Some((home, since, by)) = self.waiting.get(&id).copied() else { return };
        if home != room {
            return;
        }
        self.waiting.remove(&id);
        let durations = match by {
            HomeBy::Clear => &mut self.found.clears,
            HomeBy::Destroy => &mut self.found.destroys,
        };
        durations.push(now.since(since));
    }

    /// Somebody has left or is sent away.
    pub(super) fn away(&mut self, id: usize) {
        if self.waiting.remove(&id).is_some() {
            self.found.overtaken += 1;
        }
    }

    /// The end: who waits still has heard nothing.
    pub(super) fn finish(mut self) -> Homecomings {
        self.found.deaf = u64::try_from(self.waiting.len()).unwrap_or(0);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_timed_by_the_first_packet_from_home() {
        let mut clock = HomeClock::default();
        let since = Time(1_000_000);
        clock.expect(Homecoming { ids: vec![1, 2, 3, 4], room: 9, since, by: HomeBy::Destroy });
        clock.heard(since + Duration::from_millis(5), 1, 8);
        clock.heard(since + Duration::from_millis(20), 1, 9);
        clock.heard(since + Duration::from_millis(40), 1, 9);
        clock.heard(since + Duration::from_millis(30), 2, 9);
        clock.heard(since + Duration::from_millis(30), 7, 9);
        clock.away(3);
        assert!(!clock.is_idle());
        let destroys = vec![Duration::from_millis(20), Duration::from_millis(30)];
        assert_eq!(clock.finish(), Homecomings { destroys, overtaken: 1, deaf: 1, ..Homecomings::default() });
    }
}
