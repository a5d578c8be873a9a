//! One direction of somebody's network: loss, bursts, delay, jitter, copies, a rate and outages.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use anteroom::base::{Random, Time};

/// What waits longer than this for its turn on a narrow link is dropped there.
const LONGEST_QUEUE: Duration = Duration::from_millis(200);

/// What a direction is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// The share of datagrams that is lost.
    pub(crate) loss: f64,
    /// How many in a row are lost together at the most.
    pub(crate) burst: u64,
    /// What each takes.
    pub(crate) delay_ms: u64,
    /// And what it takes more at the most, so that others overtake it.
    pub(crate) jitter_ms: u64,
    /// The share that comes twice.
    pub(crate) copies: f64,
    /// Bits a second; 0 for no limit.
    pub(crate) rate: u64,
}

pub(crate) const FINE: Weather =
    Weather { loss: 0.0, burst: 1, delay_ms: 0, jitter_ms: 0, copies: 0.0, rate: 0 };

/// When it arrives, the how manieth it is, its peer, and what it holds.
type Datagram = (Time, u64, SocketAddr, Vec<u8>);

pub(crate) struct Way {
    weather: Weather,
    seed: u64,
    random: Random,
    waiting: BinaryHeap<Reverse<Datagram>>,
    order: u64,
    burst_left: u64,
    free_at: Time,
    out_until: Time,
}

impl Way {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            weather: FINE,
            seed,
            random: Random::from_number(seed),
            waiting: BinaryHeap::new(),
            order: 0,
            burst_left: 0,
            free_at: Time(0),
            out_until: Time(0),
        }
    }

    /// From here on it is like this. What becomes of the next thousand datagrams is the same each time: that a
    /// hundredth of them is hardly any now and then would be held against the server.
    pub(crate) fn becomes(&mut self, weather: Weather) {
        self.weather = weather;
        self.random = Random::from_number(self.seed);
    }

    /// Lets nothing through until then.
    pub(crate) fn go_out(&mut self, until: Time) {
        self.out_until = until;
    }

    /// Puts a datagram on its way; answers whether it will arrive.
    pub(crate) fn send(&mut self, now: Time, peer: SocketAddr, bytes: &[u8]) -> bool {
        let weather = self.weather;
        let mut leaves = now;
        let bits = bytes.len() as u64 * 8;
        if let Some(takes) = (bits * 1_000_000).checked_div(weather.rate) {
            leaves = self.free_at.max(now);
            if leaves.since(now) > LONGEST_QUEUE {
                return false;
            }
            self.free_at = leaves + Duration::from_micros(takes);
        }
        if now < self.out_until || self.is_lost() {
            return false;
        }
        let takes = weather.delay_ms * 1_000 + self.random.below(weather.jitter_ms * 1_000 + 1);
        let arrives = leaves + Duration::from_micros(takes);
        self.put(arrives, peer, bytes);
        if self.draw() < weather.copies {
            let later = self.random.below(20_000);
            self.put(arrives + Duration::from_micros(later), peer, bytes);
        }
        true
    }

    fn is_lost(&mut self) -> bool {
        // A burst ends with its weather.
        self.burst_left = self.burst_left.min(self.weather.burst - 1);
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return true;
        }
        // Of n that may be lost together it is (n + 1) / 2 on the average.
        let begins = self.draw() < self.weather.loss * 2.0 / (self.weather.burst as f64 + 1.0);
        if begins {
            self.burst_left = self.random.below(self.weather.burst);
        }
        begins
    }

    fn put(&mut self, arrives: Time, peer: SocketAddr, bytes: &[u8]) {
        self.order += 1;
        self.waiting.push(Reverse((arrives, self.order, peer, bytes.to_vec())));
    }

    fn draw(&mut self) -> f64 {
        f64::from(self.random.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.waiting.peek().map(|Reverse((due, ..))| *due)
    }

    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(SocketAddr, Vec<u8>)> {
        self.next_due().filter(|due| *due <= now)?;
        self.waiting.pop().map(|Reverse((_, _, peer, bytes))| (peer, bytes))
    }
}
