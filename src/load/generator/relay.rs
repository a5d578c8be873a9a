//! A bad network between the participants and the server: datagrams are dropped and delayed, each way
//! alike, as a seed decides.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{Random, Time};
use crate::client::Sent;

/// Datagrams that may be on the way: what is beyond is dropped, as by a router.
const MAX_WAITING: usize = 65_536;
/// Media packets that are remembered by name.
const MAX_NAMED: usize = 1_000_000;

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NetworkModel {
    /// The share of datagrams that is dropped.
    pub(crate) loss: f64,
    /// Each is delayed by up to this, evenly spread, so that later ones overtake it.
    pub(crate) jitter: Duration,
    /// What decides.
    pub(crate) seed: u64,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Drop,
    Pass,
    Delay(Duration),
}

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    ToServer,
    ToParticipant,
}

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Delayed {
    pub(super) due: Time,
    /// Of those that are due together, the first in is the first out.
    order: u64,
    pub(super) way: Way,
    /// The participant's number.
    pub(super) id: usize,
    /// The server's address.
    pub(super) server: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// The network. It is asked for each datagram, and keeps those that are late.
pub(super) struct Relay {
    model: NetworkModel,
    random: Random,
    waiting: BinaryHeap<Reverse<Delayed>>,
    order: u64,
    dropped: u64,
    /// Media packets that were dropped on their way to the server.
    taken: BTreeSet<Sent>,
}

impl Relay {
    pub(super) fn new(model: NetworkModel) -> Self {
        Self {
            model,
            random: Random::from_number(model.seed),
            waiting: BinaryHeap::new(),
            order: 0,
            dropped: 0,
            taken: BTreeSet::new(),
        }
    }

    /// What becomes of the next datagram.
    pub(super) fn fate(&mut self) -> Fate {
        // Both are drawn for each, so that one setting does not change what the other does.
        let (drop, delay) = (self.draw(), self.draw());
        if drop < self.model.loss || self.waiting.len() >= MAX_WAITING {
            self.dropped += 1;
            return Fate::Drop;
        }
        if self.model.jitter.is_zero() { Fate::Pass } else { Fate::Delay(self.model.jitter.mul_f64(delay)) }
    }

    /// From 0 to 1.
    fn draw(&mut self) -> f64 {
        f64::from(self.random.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Keeps a datagram until it is due.
    pub(super) fn hold(&mut self, due: Time, way: Way, id: usize, server: SocketAddr, bytes: &[u8]) {
        self.order += 1;
        let delayed = Delayed { due, order: self.order, way, id, server, bytes: bytes.to_vec() };
        self.waiting.push(Reverse(delayed));
    }

    /// When the next datagram is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.waiting.peek().map(|Reverse(first)| first.due)
    }

    /// A datagram that is due.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Delayed> {
        self.next_due().filter(|due| *due <= now)?;
        self.waiting.pop().map(|Reverse(first)| first)
    }

    /// Notes which media packet it was that was dropped on its way to the server.
    pub(super) fn note_taken(&mut self, sent: Option<Sent>) {
        if self.taken.len() < MAX_NAMED {
            self.taken.extend(sent);
        }
    }

    /// Media packets that never reached the server.
    pub(super) fn taken(&self) -> &BTreeSet<Sent> {
        &self.taken
    }

    /// Datagrams of all kinds that were dropped, both ways.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: NetworkModel = NetworkModel { loss: 0.1, jitter: Duration::from_millis(10), seed: 7 };

    fn fates(model: NetworkModel) -> Vec<Fate> {
        let mut relay = Relay::new(model);
        (0..10_000).map(|_| relay.fate()).collect()
    }

    #[test]
    fn one_seed_gives_one_network() {
        assert_eq!(fates(MODEL), fates(MODEL));
        assert_ne!(fates(MODEL), fates(NetworkModel { seed: 8, ..MODEL }));
    }

    #[test]
    fn it_drops_and_delays_as_much_as_it_is_told() {
        let fates = fates(MODEL);
        let dropped = fates.iter().filter(|fate| **fate == Fate::Drop).count();
        assert!((900..1_100).contains(&dropped), "{dropped}");
        let delays: Vec<Duration> = fates
            .iter()
            .filter_map(|fate| if let Fate::Delay(delay) = fate { Some(*delay) } else { None })
            .collect();
        assert_eq!(delays.len() + dropped, 10_000);
        assert!(delays.iter().all(|delay| *delay < MODEL.jitter));
        let mean = delays.iter().sum::<Duration>() / u32::try_from(delays.len()).unwrap();
        assert!((4_500..5_500).contains(&mean.as_micros()), "{mean:?}");
    }

    #[test]
    fn a_network_without_faults_passes_everything() {
        let model = NetworkModel { loss: 0.0, jitter: Duration::ZERO, seed: 7 };
        assert!(fates(model).iter().all(|fate| *fate == Fate::Pass));
    }

    #[test]
    fn what_is_late_comes_in_the_order_of_its_time() {
        let mut relay = Relay::new(MODEL);
        let server = "127.0.0.1:9".parse().unwrap();
        for (due, byte) in [(30, 1), (10, 2), (30, 3)] {
            relay.hold(Time(due), Way::ToServer, 0, server, &[byte]);
        }
        assert_eq!(relay.next_due(), Some(Time(10)));
        assert_eq!(relay.pop_due(Time(9)), None);
        let popped: Vec<u8> =
            std::iter::from_fn(|| relay.pop_due(Time(30))).map(|delayed| delayed.bytes[0]).collect();
        assert_eq!(popped, [2, 1, 3]);
    }

    #[test]
    fn a_full_network_drops() {
        let mut relay = Relay::new(NetworkModel { loss: 0.0, ..MODEL });
        let server = "127.0.0.1:9".parse().unwrap();
        (0..MAX_WAITING).for_each(|_| relay.hold(Time(1), Way::ToServer, 0, server, &[]));
        assert_eq!((relay.fate(), relay.dropped()), (Fate::Drop, 1));
    }
}
