//! DTLS datagrams that wait for their turn.
//!
//! A step of a handshake costs as much as the forwarding of some hundred packets. So media goes first: what came
//! with a handshake is not behind it, and of many handshakes at once the worker takes one step between two looks
//! at its sockets.

use std::collections::VecDeque;

use super::participant::Participant;
use super::slab::Key;
use crate::base::Time;
use crate::transport::Path;

/// Datagrams that wait at the most, and those of one connection: a flight is of three or four.
const MOST: usize = 1_024;
const MOST_OF_ONE: u8 = 16;

/// One datagram from an address that ICE has validated.
pub(super) struct Step {
    pub(super) came: Time,
    pub(super) path: Path,
    pub(super) key: Key<Participant>,
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
    pub(super) fn add(&mut self, of_one: &mut Waiting, step: Step) -> bool {
        let has_room = self.0.len() < MOST && of_one.0 < MOST_OF_ONE;
        if has_room {
            of_one.0 += 1;
            self.0.push_back(step);
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
