//! The thread: what came in is judged, what is due is sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token, Waker};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::sockets::{Buffers, Sockets};
use super::timer::Timer;
use super::{Gathered, GeneratorSettings, Measured, MediaNews, MediaState, Order, Progress, StepSeen};
use crate::base::{Deadlines, Time};
use crate::client::Participant;
use crate::load::process::own_thread_cpu_ns;

const WAKER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
/// Orders carried out before sockets have their turn again.
const ORDERS_PER_TURN: usize = 256;
/// Batches of one socket before the others have their turn again.
const BATCHES_PER_TURN: usize = 16;
/// The longest wait.
const IDLE: Duration = Duration::from_millis(100);
/// Latencies above this many microseconds count as this.
const LONGEST_LATENCY: u64 = 60_000_000;

struct Client {
    participant: Box<Participant>,
    began: Time,
    news: MediaNews,
    state: MediaState,
    heard: bool,
    /// Whether it stands in the list of those to be looked at.
    is_touched: bool,
}

/// The thread's own things.
pub(super) struct MediaThread {
    settings: GeneratorSettings,
    inbox: mpsc::Receiver<Order>,
    progress: Arc<Progress>,
    poll: Poll,
    timer: Timer,
    sockets: Sockets,
    buffers: Buffers,
    clients: Vec<Option<Client>>,
    deadlines: Deadlines<usize>,
    touched: Vec<usize>,
    gathered: Gathered,
    latency: Option<Histogram<u64>>,
    /// Latencies of the present step of the measurement, and what had been received before it.
    step: Option<(Histogram<u64>, u64)>,
    sent: u64,
    received: u64,
    began: (u64, u64, u64),
}

impl MediaThread {
    pub(super) fn new(
        settings: GeneratorSettings,
        inbox: mpsc::Receiver<Order>,
        progress: Arc<Progress>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let sockets = Sockets::open(settings.addressing, settings.gro, poll.registry())?;
        let thread = Self {
            settings,
            inbox,
            progress,
            poll,
            timer,
            sockets,
            buffers: Buffers::new(settings.gro),
            clients: Vec::new(),
            deadlines: Deadlines::default(),
            touched: Vec::new(),
            gathered: Gathered::default(),
            latency: None,
            step: None,
            sent: 0,
            received: 0,
            began: (0, 0, 0),
        };
        Ok((thread, waker))
    }

    pub(super) fn run(mut self) -> Gathered {
        pin_to(self.settings.processor);
        let mut events = Events::with_capacity(1_024);
        loop {
            let wait = self.deadlines.next().map_or(IDLE, |due| self.settings.clock.until(due).min(IDLE));
            if self.timer.set(wait).is_err() || self.poll.poll(&mut events, Some(IDLE)).is_err() {
                continue;
            }
            if self.take_orders() {
                return self.finish();
            }
            for event in &events {
                if event.token() != WAKER && event.token() != TIMER {
                    self.receive(event.token().0);
                }
            }
            self.handle_timeouts();
            self.look_at_touched();
        }
    }

    /// Answers whether all is to end.
    fn take_orders(&mut self) -> bool {
        for _ in 0..ORDERS_PER_TURN {
            match self.inbox.try_recv() {
                Ok(Order::Finish) | Err(mpsc::error::TryRecvError::Disconnected) => return true,
                Ok(order) => self.take_order(order),
                Err(mpsc::error::TryRecvError::Empty) => return false,
            }
        }
        false
    }

    fn take_order(&mut self, order: Order) {
        let now = self.settings.clock.now();
        match order {
            Order::Add { id, participant, began, news } => {
                let state = MediaState::default();
                let client = Client { participant, began, news, state, heard: false, is_touched: false };
                self.add(id, client);
            }
            Order::Slots { id, place, claims, taken } => {
                self.with(id, |participant| participant.slots(place, &claims));
                let _ = taken.send(());
            }
            Order::Moved { id } => self.with(id, |participant| participant.moved(now)),
            Order::Publish { id, kind, on } => {
                self.with(id, |participant| participant.publish(now, kind, on))
            }
            Order::Rate(factor) => {
                self.clients.iter_mut().flatten().for_each(|client| client.participant.set_rate(factor));
            }
            Order::Level { id, level } => self.with(id, |participant| participant.set_level(level)),
            Order::Remove { id, report } => {
                self.deadlines.clear(&id);
                if let Some(client) = self.clients.get_mut(id).and_then(Option::take) {
                    let _ = report.send(client.participant.finish());
                }
            }
            Order::Begin => {
                self.latency = new_histogram();
                self.step = new_histogram().zip(Some(self.received));
                self.began = (self.sent, self.received, own_thread_cpu_ns());
            }
            Order::Step { seen } => _ = seen.send(self.end_step()),
            Order::End { measured } => {
                self.step = None;
                if let Some(latency) = self.latency.take().or_else(new_histogram) {
                    let (sent, received, cpu) = self.began;
                    let _ = measured.send(Measured {
                        sent: self.sent - sent,
                        received: self.received - received,
                        latency,
                        cpu_ns: own_thread_cpu_ns() - cpu,
                    });
                }
            }
            Order::Finish => {}
        }
    }

    fn end_step(&mut self) -> StepSeen {
        let missing = self.clients.iter().flatten().map(|client| client.participant.missing()).sum();
        let mut seen = StepSeen { missing, cpu_ns: own_thread_cpu_ns(), ..StepSeen::default() };
        if let Some((latency, received)) = &mut self.step {
            seen.received = self.received - *received;
            (seen.p50, seen.p99) = (latency.value_at_quantile(0.5), latency.value_at_quantile(0.99));
            *received = self.received;
            latency.reset();
        }
        seen
    }

    fn add(&mut self, id: usize, client: Client) {
        if let Err(error) = self.sockets.add(id, self.poll.registry()) {
            tracing::warn!(%error, "no socket for another participant");
            self.progress.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        while self.clients.len() <= id {
            self.clients.push(None);
        }
        if let Some(place) = self.clients.get_mut(id) {
            *place = Some(client);
        }
        self.touch(id);
    }

    fn with(&mut self, id: usize, act: impl FnOnce(&mut Participant)) {
        if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) {
            act(&mut client.participant);
            self.touch(id);
        }
    }

    fn touch(&mut self, id: usize) {
        if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut)
            && !std::mem::replace(&mut client.is_touched, true)
        {
            self.touched.push(id);
        }
    }

    fn receive(&mut self, at: usize) {
        for _ in 0..BATCHES_PER_TURN {
            let now = self.settings.clock.now();
            let Self { sockets, buffers, clients, touched, latency, step, received, gathered, .. } = self;
            let mut came = 0;
            let result = sockets.receive(at, buffers, |id, from, datagram| {
                let Some(client) = clients.get_mut(id).and_then(Option::as_mut) else { return };
                let Some(heard) = client.participant.handle_datagram(now, from, datagram) else {
                    if !std::mem::replace(&mut client.is_touched, true) {
                        touched.push(id);
                    }
                    return;
                };
                came += 1;
                if !std::mem::replace(&mut client.heard, true) {
                    gathered.first_packets.push(now.since(client.began));
                }
                let late = micros(now.since(heard.mark.sent_at)).max(1);
                if let Some(latency) = latency {
                    latency.saturating_record(late);
                }
                if let Some((latency, _)) = step {
                    latency.saturating_record(late);
                }
            });
            *received += came;
            if result.is_err() {
                return;
            }
        }
        // There may be more, and readiness is told once.
        self.sockets.rearm(at, self.poll.registry());
    }

    fn handle_timeouts(&mut self) {
        let now = self.settings.clock.now();
        while let Some(id) = self.deadlines.pop_due(now) {
            if let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) {
                client.participant.handle_timeout(now);
                self.touch(id);
            }
        }
    }

    fn look_at_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for id in touched.drain(..) {
            self.look_at(id);
        }
        self.touched = touched;
    }

    fn look_at(&mut self, id: usize) {
        let now = self.settings.clock.now();
        let Some(client) = self.clients.get_mut(id).and_then(Option::as_mut) else { return };
        client.is_touched = false;
        let mut buffer = [0; 2_048];
        let sent_before = client.participant.sent();
        while let Some((to, len)) = client.participant.poll_transmit(now, &mut buffer) {
            self.sockets.send(id, to, buffer.get(..len).unwrap_or_default());
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

    fn finish(mut self) -> Gathered {
        for client in std::mem::take(&mut self.clients).into_iter().flatten() {
            self.gathered.reports.push(client.participant.finish());
        }
        self.gathered
    }
}

fn new_histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_LATENCY, 3).ok()
}

/// Keeps the calling thread on a processor; one that may not be pinned works all the same.
pub(crate) fn pin_to(processor: Option<usize>) {
    let Some(processor) = processor else { return };
    let mut set = CpuSet::new();
    let _ = set.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
