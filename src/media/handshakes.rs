//! DTLS datagrams that wait for their turn.
//!
//! A step of a handshake costs as much as the forwarding of some hundred packets. So media goes first: what came
//! with a handshake is not behind it, and of many handshakes at once the worker takes one step between two looks
//! at its sockets.

use std::collections::VecDeque;

use super::participant::Participant;
use super::slab::Key;
use crate::base::{Epoch, Time};
use crate::transport::Path;

/// Datagrams that wait at the most, and those of one connection.
const MOST: usize = 2_048;
const MOST_OF_ONE: u8 = 16;
/// With so many waiting, one connection has no more than a flight: a room full of people who send as many as they
/// can leaves place for others.
const CROWDED: usize = 512;
const MOST_OF_ONE_IN_A_CROWD: u8 = 4;
/// A flight is cut to packets that pass everywhere; this is more than any has.
pub(super) const LONGEST: usize = 2_048;

/// One datagram from an address that ICE has validated.
pub(super) struct Step {
    pub(super) came: Time,
    pub(super) path: Path,
    pub(super) key: Key<Participant>,
    /// The placement that its connection was made with.
    pub(super) epoch: Epoch,
    pub(super) datagram: Vec<u8>,
}

/// How many of one connection's wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting(u8);

/// All that wait, the oldest first.
#[derive(Default)]
pub(super) struct Handshakes(VecDeque<Step>);

impl Handshakes {
    /// Lets a datagram wait; answers whether there was room. What is dropped its sender repeats.
    pub(super) fn add(&mut self, of_one: &mut Waiting, step: impl FnOnce() -> Step) -> bool {
        let most = if self.0.len() < CROWDED { MOST_OF_ONE } else { MOST_OF_ONE_IN_A_CROWD };
        let has_room = self.0.len() < MOST && of_one.0 < most;
        if has_room {
            of_one.0 += 1;
            self.0.push_back(step());
        }
        has_room
    }

    /// Takes the oldest.
    pub(super) fn take(&mut self) -> Option<Step> {
        self.0.pop_front()
    }

    /// Since when one waits.
    pub(super) fn since(&self) -> Option<Time> {
        self.0.front().map(|step| step.came)
    }
}

impl Waiting {
    /// One has been taken.
    pub(super) const fn taken(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::slab::Slab;

    fn step() -> Step {
        let (path, key) =
            (Path::new("127.0.0.1:9".parse().unwrap(), None), Slab::default().insert(()).cast());
        Step { came: Time(0), path, key, epoch: Epoch(1), datagram: Vec::new() }
    }

    #[test]
    fn a_room_of_people_who_send_all_they_can_leaves_place_for_others() {
        let mut handshakes = Handshakes::default();
        for _ in 0..200 {
            let mut greedy = Waiting::default();
            while handshakes.add(&mut greedy, step) {}
        }
        let mut other = Waiting::default();
        let taken = (0..10).filter(|_| handshakes.add(&mut other, step)).count();
        assert_eq!(taken, 4, "a flight");
    }
}
