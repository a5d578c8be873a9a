//! A bad network between the participants and the server: datagrams are dropped, delayed, overtaken and
//! doubled, each way alike, and participants come to other ports, as a seed decides.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{Random, Time};
use crate::client::Sent;

/// Datagrams that may be on the way: what is beyond is dropped, as by a router.
const MAX_WAITING: usize = 65_536;
/// Media packets that are remembered by name.
const MAX_NAMED: usize = 1_000_000;

/// A copy comes this much later than its datagram at the most.
const LATEST_COPY: Duration = Duration::from_millis(20);

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NetworkModel {
    /// The share of datagrams that is dropped.
    pub(crate) loss: f64,
    /// How many that follow each other on one way are dropped together at the most.
    pub(crate) burst: u32,
    /// Each takes this long.
    pub(crate) delay: Duration,
    /// And longer by up to this, evenly spread, so that later ones overtake it.
    pub(crate) jitter: Duration,
    /// The share of datagrams that comes twice.
    pub(crate) copies: f64,
    /// How often a second somebody comes to be at another port.
    pub(crate) rebinds: f64,
    /// What decides.
    pub(crate) seed: u64,
}

/// What a network has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Impaired {
    /// Datagrams of all kinds that were dropped, both ways.
    pub(crate) dropped: u64,
    /// Those that came twice.
    pub(crate) copied: u64,
    /// Changes of somebody's port.
    pub(crate) rebinds: u64,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Drop,
    Pass,
    Delay(Duration),
}

impl Fate {
    /// How long the datagram takes.
    pub(super) const fn takes(self) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::Pass | Self::Drop => Duration::ZERO,
        }
    }
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
    /// Which media packet it is, on its way to the server.
    pub(super) sent: Option<Sent>,
}

/// The network. It is asked for each datagram, and keeps those that are late.
pub(super) struct Relay {
    model: NetworkModel,
    random: Random,
    waiting: BinaryHeap<Reverse<Delayed>>,
    order: u64,
    impaired: Impaired,
    /// How many more of a participant's way are dropped.
    bursts: BTreeMap<(Way, usize), u32>,
    next_rebind: Option<Time>,
    /// Media packets that were dropped on their way to the server.
    taken: BTreeSet<Sent>,
}

impl Relay {
    pub(super) fn new(model: NetworkModel, now: Time) -> Self {
        let mut relay = Self {
            model,
            random: Random::from_number(model.seed),
            waiting: BinaryHeap::new(),
            order: 0,
            impaired: Impaired::default(),
            bursts: BTreeMap::new(),
            next_rebind: None,
            taken: BTreeSet::new(),
        };
        relay.next_rebind = relay.rebind_interval().map(|interval| now + interval);
        relay
    }

    /// What becomes of the next datagram of a participant on its way.
    pub(super) fn fate(&mut self, way: Way, id: usize) -> Fate {
        // All are drawn for each, so that one setting does not change what the others do.
        let (drop, delay, length) = (self.draw(), self.draw(), self.draw());
        if self.waiting.len() >= MAX_WAITING || self.is_dropped((way, id), drop, length) {
            self.impaired.dropped += 1;
            return Fate::Drop;
        }
        let takes = self.model.delay + self.model.jitter.mul_f64(delay);
        if takes.is_zero() { Fate::Pass } else { Fate::Delay(takes) }
    }

    fn is_dropped(&mut self, way: (Way, usize), drop: f64, length: f64) -> bool {
        if let Some(left) = self.bursts.get_mut(&way).filter(|left| **left > 0) {
            *left -= 1;
            return true;
        }
        // Of n that may be dropped together it is (n + 1) / 2 on the average.
        let burst = f64::from(self.model.burst.max(1));
        if drop >= self.model.loss * 2.0 / (burst + 1.0) {
            return false;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
        let more = (burst * length) as u32;
        if more > 0 {
            self.bursts.insert(way, more);
        }
        true
    }

    /// How much later than itself a datagram comes once more; nothing if it does not.
    pub(super) fn copy(&mut self) -> Option<Duration> {
        let (comes, late) = (self.draw(), self.draw());
        if comes >= self.model.copies {
            return None;
        }
        self.impaired.copied += 1;
        Some(LATEST_COPY.mul_f64(late))
    }

    /// One of `count` participants, whose port changes now, if it is time.
    pub(super) fn pop_rebind(&mut self, now: Time, count: usize) -> Option<usize> {
        self.next_rebind.filter(|due| *due <= now)?;
        self.next_rebind = self.rebind_interval().map(|interval| now + interval);
        let bound = u64::try_from(count).ok().filter(|count| *count > 0)?;
        usize::try_from(self.random.below(bound)).ok()
    }

    fn rebind_interval(&self) -> Option<Duration> {
        (self.model.rebinds > 0.0).then(|| Duration::from_secs_f64(1.0 / self.model.rebinds))
    }

    /// From 0 to 1.
    fn draw(&mut self) -> f64 {
        f64::from(self.random.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Keeps a datagram from the server to a participant until it is due.
    pub(super) fn hold_in(&mut self, due: Time, id: usize, server: SocketAddr, bytes: &[u8]) {
        self.hold(due, Way::ToParticipant, (id, server), bytes, None);
    }

    /// Keeps a datagram from a participant to the server until it is due; `sent` if it is media.
    pub(super) fn hold_out(
        &mut self,
        due: Time,
        participant: (usize, SocketAddr),
        bytes: &[u8],
        sent: Option<Sent>,
    ) {
        self.hold(due, Way::ToServer, participant, bytes, sent);
    }

    fn hold(
        &mut self,
        due: Time,
        way: Way,
        (id, server): (usize, SocketAddr),
        bytes: &[u8],
        sent: Option<Sent>,
    ) {
        self.order += 1;
        let delayed = Delayed { due, order: self.order, way, id, server, bytes: bytes.to_vec(), sent };
        self.waiting.push(Reverse(delayed));
    }

    /// When something is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        [self.next_datagram(), self.next_rebind].into_iter().flatten().min()
    }

    fn next_datagram(&self) -> Option<Time> {
        self.waiting.peek().map(|Reverse(first)| first.due)
    }

    /// A datagram that is due.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Delayed> {
        self.next_datagram().filter(|due| *due <= now)?;
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

    /// Notes that somebody's port has changed.
    pub(super) fn note_rebind(&mut self) {
        self.impaired.rebinds += 1;
    }

    /// What was done to datagrams of all kinds, both ways.
    pub(super) fn impaired(&self) -> Impaired {
        self.impaired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: NetworkModel = NetworkModel {
        loss: 0.0,
        burst: 1,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        copies: 0.0,
        rebinds: 0.0,
        seed: 7,
    };
    const MODEL: NetworkModel = NetworkModel { loss: 0.1, jitter: Duration::from_millis(10), ..FINE };

    fn relay(model: NetworkModel) -> Relay {
        Relay::new(model, Time(0))
    }

    fn fates(model: NetworkModel) -> Vec<Fate> {
        let mut relay = relay(model);
        (0..10_000).map(|_| relay.fate(Way::ToServer, 3)).collect()
    }

    #[test]
    fn one_seed_gives_one_network() {
        assert_eq!(fates(MODEL), fates(MODEL));
        assert_ne!(fates(MODEL), fates(NetworkModel { seed: 8, ..MODEL }));
    }

    #[test]
    fn it_drops_and_delays_as_much_as_it_is_told() {
        let delay = Duration::from_millis(5);
        let fates = fates(NetworkModel { delay, ..MODEL });
        let dropped = fates.iter().filter(|fate| **fate == Fate::Drop).count();
        assert!((900..1_100).contains(&dropped), "{dropped}");
        let delays: Vec<Duration> = fates
            .iter()
            .filter_map(|fate| if let Fate::Delay(delay) = fate { Some(*delay) } else { None })
            .collect();
        assert_eq!(delays.len() + dropped, 10_000);
        assert!(delays.iter().all(|takes| *takes >= delay && *takes < delay + MODEL.jitter));
        let mean = delays.iter().sum::<Duration>() / u32::try_from(delays.len()).unwrap();
        assert!((9_500..10_500).contains(&mean.as_micros()), "{mean:?}");
    }

    #[test]
    fn bursts_drop_as_much_and_together() {
        let fates = fates(NetworkModel { burst: 9, ..MODEL });
        let dropped = fates.iter().filter(|fate| **fate == Fate::Drop).count();
        assert!((800..1_200).contains(&dropped), "{dropped}");
        let runs = fates.windows(2).filter(|pair| pair[0] != Fate::Drop && pair[1] == Fate::Drop).count();
        assert!(dropped > 4 * runs, "{dropped} in {runs}");
    }

    #[test]
    fn a_network_without_faults_passes_everything() {
        assert!(fates(FINE).iter().all(|fate| *fate == Fate::Pass));
        let mut relay = relay(FINE);
        assert!((0..1_000).all(|_| relay.copy().is_none() && relay.pop_rebind(Time(u64::MAX), 5).is_none()));
    }

    #[test]
    fn some_come_twice_and_somebody_changes_port_in_time() {
        let mut relay = relay(NetworkModel { copies: 0.05, rebinds: 2.0, ..FINE });
        let copies: Vec<Duration> = (0..10_000).filter_map(|_| relay.copy()).collect();
        assert!((400..600).contains(&copies.len()) && copies.iter().all(|late| *late < LATEST_COPY));
        assert_eq!(relay.next_due(), Some(Time(500_000)));
        assert_eq!(relay.pop_rebind(Time(499_999), 5), None);
        assert!(relay.pop_rebind(Time(500_000), 5).is_some_and(|who| who < 5));
        assert_eq!(relay.pop_rebind(Time(500_001), 5), None);
    }

    #[test]
    fn what_is_late_comes_in_the_order_of_its_time() {
        let mut relay = relay(MODEL);
        let server = "127.0.0.1:9".parse().unwrap();
        for (due, byte) in [(30, 1), (10, 2), (30, 3)] {
            relay.hold_in(Time(due), 0, server, &[byte]);
        }
        assert_eq!(relay.next_due(), Some(Time(10)));
        assert_eq!(relay.pop_due(Time(9)), None);
        let popped: Vec<u8> =
            std::iter::from_fn(|| relay.pop_due(Time(30))).map(|delayed| delayed.bytes[0]).collect();
        assert_eq!(popped, [2, 1, 3]);
    }

    #[test]
    fn a_full_network_drops() {
        let mut relay = relay(FINE);
        let server = "127.0.0.1:9".parse().unwrap();
        (0..MAX_WAITING).for_each(|_| relay.hold_in(Time(1), 0, server, &[]));
        assert_eq!((relay.fate(Way::ToServer, 0), relay.impaired().dropped), (Fate::Drop, 1));
    }
}
