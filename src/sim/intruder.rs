//! Somebody on the way who copies, changes and forges datagrams, and has none of the keys.

use std::time::Duration;

use super::egress::{Sort, sort_of};
use super::event::{Event, Port};
use super::violation::Invariant;
use super::world::{Simulation, TURN};
use crate::base::Time;

/// Nobody's number.
const INTRUDER: usize = 60_000;
/// Of so many datagrams one is tampered with.
const ONE_OF: u64 = 1_024;
/// A goodbye in SRTCP without the E bit: header, SSRC, and a tag and an index that are made up.
const GOODBYE: [u8; 4] = [0x81, 203, 0, 1];
const MADE_UP: [u8; 20] = [0; 20];

impl Simulation {
    /// The intruder sees a datagram on its way to a worker; answers whether it took it out.
    pub(super) fn tamper(&mut self, worker: usize, from: Port, datagram: &[u8]) -> bool {
        let random = &mut self.trouble.random;
        if sort_of(datagram) == Sort::Other || random.below(ONE_OF) != 0 {
            return false;
        }
        let (how, port) = (random.below(4), u16::try_from(1_024 + random.below(60_000)).unwrap_or(1_024));
        let arrives = self.now + Duration::from_micros(500 + random.below(40_000));
        let elsewhere = Port { person: INTRUDER, port };
        let (from, bytes) = match how {
            0 | 1 => (elsewhere, datagram.to_vec()),
            2 => {
                let mut changed = datagram.to_vec();
                if let Some(last) = changed.last_mut() {
                    *last ^= 1;
                }
                (from, changed)
            }
            _ => {
                let at = if sort_of(datagram) == Sort::Media { 8 } else { 4 };
                let ssrc = datagram.get(at..at + 4).unwrap_or_default();
                (from, [&GOODBYE[..], ssrc, &MADE_UP[..]].concat())
            }
        };
        self.tally.forged += 1;
        let turn = Time(arrives.0.div_ceil(TURN) * TURN);
        self.at(turn, Event::ToWorker { worker, from, is_forged: true, bytes });
        // Only what is not there already can be believed.
        how == 0
    }

    /// A worker takes a datagram; a forged one has to be dropped and counted.
    pub(super) fn worker_receives(&mut self, worker: usize, from: Port, is_forged: bool, bytes: &mut [u8]) {
        if !is_forged && sort_of(bytes) == Sort::Media {
            return self.worker_receives_media(worker, from, bytes);
        }
        self.judge.listening.may_change(worker);
        if !is_forged {
            return self.server.receive(self.now, worker, from, bytes);
        }
        let before = self.drops_of(worker);
        self.server.receive(self.now, worker, from, bytes);
        self.judge.violations.checked(Invariant::I13, 1);
        if self.drops_of(worker) != before + 1 {
            let text = || format!("worker {worker} believes a forged datagram from {}", from.address());
            self.judge.violations.note(self.now, Invariant::I13, text);
        }
    }

    fn worker_receives_media(&mut self, worker: usize, from: Port, bytes: &mut [u8]) {
        let published = self.people.get_mut(from.person).and_then(|person| {
            person.arrived += 1;
            person.meant_by(from.port).0.zip(person.kind_of(bytes))
        });
        let before = self.server.counted(worker);
        self.server.receive(self.now, worker, from, bytes);
        self.judge.took(self.now, worker, (before, self.server.counted(worker)), &[published]);
    }

    fn drops_of(&self, worker: usize) -> u64 {
        let node = self.server.nodes.get(worker);
        node.map_or(0, |node| node.worker.statistics().drops.iter().map(|(_, count)| count).sum())
    }
}
