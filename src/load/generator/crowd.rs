//! All synthetic participants, what comes to them and what is due of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::homecoming::{HomeClock, Homecoming};
use super::relay::{Fate, Impaired, Relay, Way};
use super::sockets::Sockets;
use super::{Gathered, GeneratorSettings, Measured, MediaNews, MediaState, Progress, StepSeen};
use crate::base::{Deadlines, Time};
use crate::client::{Participant, ParticipantReport};
use crate::load::process::own_thread_cpu_ns;
use crate::telemetry::Clock;

/// Latencies above this many microseconds count as this.
const LONGEST_LATENCY: u64 = 60_000_000;

struct Client {
    participant: Box<Participant>,
    began: Time,
    news: MediaNews,
    state: MediaState,
    /// Whether what comes is for nobody.
    is_deaf: bool,
    /// Whether it stands in the list of those to be looked at.
    is_touched: bool,
    /// Whether its port has changed and the server has not answered to the new one.
    is_elsewhere: bool,
}

/// The participants, by number.
pub(super) struct Crowd {
    clock: Clock,
    progress: Arc<Progress>,
    clients: Vec<Option<Client>>,
    /// How much faster than usual everybody sends, whoever comes later as well.
    rate: f64,
    deadlines: Deadlines<usize>,
    touched: Vec<usize>,
    relay: Option<Relay>,
    home: HomeClock,
    gathered: Gathered,
    latency: Option<Histogram<u64>>,
    /// Latencies of the present step of the measurement, and what had been received before it.
    step: Option<(Histogram<u64>, u64)>,
    sent: u64,
    received: u64,
    /// Participants who have heard something.
    heard: u64,
    began: (u64, u64, u64),
}

impl Crowd {
    pub(super) fn new(settings: &GeneratorSettings, progress: Arc<Progress>) -> Self {
        Self {
            clock: settings.clock,
            progress,
            clients: Vec::new(),
            rate: 1.0,
            deadlines: Deadlines::default(),
            touched: Vec::new(),
            relay: settings.network.map(|model| Relay::new(model, settings.clock.now())),
            home: HomeClock::default(),
            gathered: Gathered::default(),
            latency: None,
            step: None,
            sent: 0,
            received: 0,
            heard: 0,
            began: (0, 0, 0),
        }
    }

    pub(super) fn add(&mut self, id: usize, mut participant: Box<Participant>, began: Time, news: MediaNews) {
        participant.set_rate(self.rate);
        while self.clients.len() <= id {
            self.clients.push(None);
        }
        if let Some(place) = self.clients.get_mut(id) {
            *place = Some(Client {
                participant,
                began,
                news,
                state: MediaState::default(),
                is_deaf: false,
                is_touched: false,
                is_elsewhere: false,
            });
        }
        self.touch(id);
    }

    /// Somebody is gone; answers what it found.
    pub(super) fn remove(&mut self, id: usize) -> Option<ParticipantReport> {
        self.deadlines.clear(&id);
        self.home.away(id);
        let mut client = self.clients.get_mut(id).and_then(Option::take)?;
        if client.state.joined_in.is_some() {
            self.progress.up.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(relay) = &self.relay {
            client.participant.explain(relay.taken());
        }
        Some(client.participant.finish())
    }

    pub(super) fn with(&mut self, id: usize, act: impl FnOnce(&mut Participant)) {
        if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) {
            act(&mut client.participant);
            self.touch(id);
        }
    }

    pub(super) fn set_rate(&mut self, factor: f64) {
        self.rate = factor;
        self.clients.iter_mut().flatten().for_each(|client| client.participant.set_rate(factor));
    }

    pub(super) fn expect_home(&mut self, homecoming: Homecoming) {
        self.home.expect(homecoming);
    }

    pub(super) fn send_away(&mut self, id: usize) {
        self.home.away(id);
    }

    pub(super) fn deafen(&mut self, id: usize) {
        if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) {
            client.is_deaf = true;
        }
    }

    fn touch(&mut self, id: usize) {
        if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut)
            && !std::mem::replace(&mut client.is_touched, true)
        {
            self.touched.push(id);
        }
    }

    /// A datagram has come out of a socket; an impaired network may keep or take it.
    pub(super) fn arrive(&mut self, now: Time, id: usize, from: SocketAddr, datagram: &mut [u8]) {
        if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) {
            client.is_elsewhere = false;
        }
        let Some(relay) = &mut self.relay else { return self.hear(now, id, from, datagram) };
        let fate = relay.fate(Way::ToParticipant, id);
        if let (Some(copy), false) = (relay.copy(), fate == Fate::Drop) {
            relay.hold_in(now + fate.takes() + copy, id, from, datagram);
        }
        match fate {
            Fate::Pass => self.hear(now, id, from, datagram),
            Fate::Delay(delay) => relay.hold_in(now + delay, id, from, datagram),
            Fate::Drop => self.lose(now, id, from, datagram),
        }
    }

    /// A datagram never reaches a participant: the network has dropped it, or it went to a port that is
    /// not the participant's any more.
    pub(super) fn lose(&mut self, now: Time, id: usize, from: SocketAddr, datagram: &mut [u8]) {
        let client = self.clients.get_mut(id).and_then(Option::as_mut);
        if let Some(client) = client.filter(|client| !client.is_deaf) {
            client.participant.lose(now, from, datagram);
        }
    }

    /// A datagram has reached a participant.
    fn hear(&mut self, now: Time, id: usize, from: SocketAddr, datagram: &mut [u8]) {
        let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) else { return };
        if client.is_deaf {
            return;
        }
        let Some(heard) = client.participant.handle_datagram(now, from, datagram) else {
            return self.touch(id);
        };
        self.received += 1;
        if client.state.heard_in.is_none() {
            self.heard += 1;
            client.state.heard_in = Some(now.since(client.began));
            client.news.state.send_replace(client.state);
        }
        if !self.home.is_idle() {
            self.home.heard(now, id, heard.mark.room);
        }
        let late = micros(now.since(heard.mark.sent_at)).max(1);
        if let Some(latency) = &mut self.latency {
            latency.saturating_record(late);
        }
        if let Some((latency, _)) = &mut self.step {
            latency.saturating_record(late);
        }
    }

    /// When something is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        let relay = self.relay.as_ref().and_then(Relay::next_due);
        [self.deadlines.next(), relay].into_iter().flatten().min()
    }

    /// Does what is due, and sends what there is to send.
    pub(super) fn go_on(&mut self, sockets: &mut Sockets) {
        let now = self.clock.now();
        let count = self.clients.len();
        if let Some(id) = self.relay.as_mut().and_then(|relay| relay.pop_rebind(now, count)) {
            self.rebind(now, id, sockets);
        }
        // What the impaired network has kept for long enough.
        while let Some(mut delayed) = self.relay.as_mut().and_then(|relay| relay.pop_due(now)) {
            match delayed.way {
                Way::ToServer => {
                    let client = self.clients.get(delayed.id).and_then(Option::as_ref);
                    if let (Some(relay), true) =
                        (&mut self.relay, client.is_some_and(|client| client.is_elsewhere))
                    {
                        relay.note_taken(delayed.sent);
                    }
                    sockets.send(delayed.id, delayed.server, &delayed.bytes);
                }
                Way::ToParticipant => self.hear(now, delayed.id, delayed.server, &mut delayed.bytes),
            }
        }
        while let Some(id) = self.deadlines.pop_due(now) {
            if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) {
                client.participant.handle_timeout(now);
                self.touch(id);
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        for id in touched.drain(..) {
            self.look_at(id, sockets);
        }
        self.touched = touched;
    }

    /// Somebody comes to be at another port.
    fn rebind(&mut self, now: Time, id: usize, sockets: &mut Sockets) {
        let client = self.clients.get_mut(id).and_then(Option::as_mut);
        // Before, there is nothing that could break.
        let Some(client) = client.filter(|client| client.participant.is_up()) else { return };
        sockets.rebind(id);
        client.is_elsewhere = true;
        client.participant.address_changed(now);
        self.relay.iter_mut().for_each(Relay::note_rebind);
        self.touch(id);
    }

    fn look_at(&mut self, id: usize, sockets: &Sockets) {
        let now = self.clock.now();
        let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) else { return };
        client.is_touched = false;
        let mut buffer = [0; 2_048];
        let sent_before = client.participant.sent();
        while let Some((to, len)) = client.participant.poll_transmit(now, &mut buffer) {
            let datagram = buffer.get(..len).unwrap_or_default();
            let Some(relay) = &mut self.relay else {
                sockets.send(id, to, datagram);
                continue;
            };
            let (fate, sent) = (relay.fate(Way::ToServer, id), client.participant.last_sent());
            if let (Some(copy), false) = (relay.copy(), fate == Fate::Drop) {
                relay.hold_out(now + fate.takes() + copy, (id, to), datagram, sent);
            }
            if fate == Fate::Drop || client.is_elsewhere {
                // The server believes no address that has not proved itself.
                relay.note_taken(sent);
            }
            match fate {
                Fate::Pass => sockets.send(id, to, datagram),
                Fate::Delay(delay) => relay.hold_out(now + delay, (id, to), datagram, sent),
                Fate::Drop => {}
            }
        }
        self.sent += client.participant.sent() - sent_before;
        client.news.received.store(client.participant.received(), Ordering::Relaxed);
        let before = client.state;
        if before.joined_in.is_none() && client.participant.is_up() {
            let took = now.since(client.began);
            client.state.joined_in = Some(took);
            self.gathered.joins.push(took);
            self.progress.up.fetch_add(1, Ordering::Relaxed);
        }
        if !before.failed && client.participant.has_failed() {
            client.state.failed = true;
            self.progress.failed.fetch_add(1, Ordering::Relaxed);
        }
        if client.state != before {
            client.news.state.send_replace(client.state);
        }
        match client.participant.poll_timeout() {
            Some(due) => self.deadlines.set(id, due),
            None => _ = self.deadlines.clear(&id),
        }
    }

    /// The measurement begins.
    pub(super) fn begin(&mut self) {
        self.latency = new_histogram();
        self.step = new_histogram().zip(Some(self.received));
        self.began = (self.sent, self.received, own_thread_cpu_ns());
    }

    /// A step of the measurement ends and the next begins.
    pub(super) fn end_step(&mut self) -> StepSeen {
        let missing = self.clients.iter().flatten().map(|client| client.participant.missing()).sum();
        let (cpu_ns, heard, dropped) = (own_thread_cpu_ns(), self.heard, self.impaired().dropped);
        let mut seen = StepSeen { missing, cpu_ns, heard, dropped, ..StepSeen::default() };
        if let Some((latency, received)) = &mut self.step {
            seen.received = self.received - *received;
            (seen.p50, seen.p99) = (latency.value_at_quantile(0.5), latency.value_at_quantile(0.99));
            *received = self.received;
            latency.reset();
        }
        seen
    }

    /// The measurement ends.
    pub(super) fn end(&mut self) -> Option<Measured> {
        self.step = None;
        let latency = self.latency.take().or_else(new_histogram)?;
        let (sent, received, cpu) = self.began;
        Some(Measured {
            sent: self.sent - sent,
            received: self.received - received,
            latency,
            cpu_ns: own_thread_cpu_ns() - cpu,
        })
    }

    fn impaired(&self) -> Impaired {
        self.relay.as_ref().map(Relay::impaired).unwrap_or_default()
    }

    /// Everything ends.
    pub(super) fn finish(mut self) -> Gathered {
        for id in 0..self.clients.len() {
            let found = self.remove(id);
            self.gathered.reports.extend(found);
        }
        self.gathered.impaired = self.impaired();
        self.gathered.homecomings = self.home.finish();
        self.gathered
    }
}

fn new_histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_LATENCY, 3).ok()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
