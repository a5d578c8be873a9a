//! Measures a move as the mover feels it: from the message that says "done" to the first audio
//! packet of the new room.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::{Ssrc, Time};

/// Arrivals remembered per slot: more than can overtake the `slots` event that tells of them.
const MAX_ARRIVALS: usize = 64;

/// What is waited for after a move.
#[derive(Debug)]
struct Waiting {
    since: Time,
    /// The tag of the room.
    room: u64,
    /// The slots that carry somebody, from which sequence number on.
    talkers: Vec<(Ssrc, u64)>,
}

/// The clock of one participant's moves.
#[derive(Debug, Default)]
pub(super) struct FirstPacket {
    arrivals: BTreeMap<Ssrc, VecDeque<(u64, Time, Option<u64>)>>,
    moved_at: Option<Time>,
    waiting: Option<Waiting>,
    measured: Vec<Duration>,
}

impl FirstPacket {
    /// The message that ends a move has come.
    pub(super) fn moved(&mut self, now: Time) {
        self.moved_at = Some(now);
        self.waiting = None;
    }

    /// The first `slots` of the new room: its tag, and the audio slots that have a publisher, each with
    /// its `from_seq`. Without any, the move is into a room without talkers and is not measured.
    pub(super) fn slots(&mut self, room: u64, talkers: Vec<(Ssrc, u64)>) {
        let Some(moved_at) = self.moved_at.take() else { return };
        if talkers.is_empty() {
            return;
        }
        let arrived = talkers.iter().filter_map(|(ssrc, from)| self.first_arrival(room, *ssrc, *from)).min();
        match arrived {
            Some(at) => self.measured.push(at.since(moved_at)),
            None => self.waiting = Some(Waiting { since: moved_at, room, talkers }),
        }
    }

    /// An audio packet has come that was sent into the room of this tag. One of the room that comes
    /// after this one can overtake the message that tells of it, and is not waited for here.
    pub(super) fn packet(&mut self, now: Time, ssrc: Ssrc, seq: u64, room: Option<u64>) {
        let arrivals = self.arrivals.entry(ssrc).or_default();
        if arrivals.len() == MAX_ARRIVALS {
            arrivals.pop_front();
        }
        arrivals.push_back((seq, now, room));
        let Some(waiting) = &self.waiting else { return };
        let is_talker = waiting.talkers.iter().any(|(slot, from)| *slot == ssrc && seq >= *from);
        if is_talker && room == Some(waiting.room) {
            self.measured.push(now.since(waiting.since));
            self.waiting = None;
        }
    }

    /// The times from "done" to the first packet, one a move; zero where the packet came first.
    #[must_use]
    pub(super) fn measured(&self) -> &[Duration] {
        &self.measured
    }

    fn first_arrival(&self, room: u64, ssrc: Ssrc, from: u64) -> Option<Time> {
        let arrivals = self.arrivals.get(&ssrc)?;
        let of_room = arrivals.iter().filter(|(seq, _, of)| *seq >= from && *of == Some(room));
        of_room.map(|(_, at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Ssrc = Ssrc(1);
    const ROOM: u64 = 5;

    #[test]
    fn a_packet_after_the_message_is_measured_from_it() {
        let mut clock = FirstPacket::default();
        clock.moved(Time(1_000));
        clock.slots(ROOM, vec![(SLOT, 10)]);
        clock.packet(Time(2_000), SLOT, 9, Some(ROOM));
        clock.packet(Time(6_000), SLOT, 10, Some(ROOM));
        clock.packet(Time(9_000), SLOT, 11, Some(ROOM));
        assert_eq!(clock.measured(), [Duration::from_millis(5)]);
    }

    #[test]
    fn a_packet_that_overtook_the_message_counts_as_zero() {
        let mut clock = FirstPacket::default();
        clock.packet(Time(900), SLOT, 10, Some(ROOM));
        clock.moved(Time(1_000));
        clock.slots(ROOM, vec![(SLOT, 10)]);
        assert_eq!(clock.measured(), [Duration::ZERO]);
    }

    #[test]
    fn a_room_without_talkers_is_not_measured() {
        let mut clock = FirstPacket::default();
        clock.moved(Time(1_000));
        clock.slots(ROOM, Vec::new());
        clock.packet(Time(2_000), SLOT, 10, Some(ROOM));
        assert!(clock.measured().is_empty());
    }

    #[test]
    fn a_packet_of_the_next_room_is_not_this_ones_first() {
        let mut clock = FirstPacket::default();
        clock.moved(Time(1_000));
        clock.slots(ROOM, vec![(SLOT, 10)]);
        clock.packet(Time(900_000), SLOT, 12, Some(ROOM + 1));
        clock.moved(Time(901_000));
        clock.slots(ROOM + 1, vec![(SLOT, 12)]);
        assert_eq!(clock.measured(), [Duration::ZERO]);
    }
}
