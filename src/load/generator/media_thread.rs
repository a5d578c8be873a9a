//! The thread: it waits on sockets, timer and orders, and lets the participants go on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::crowd::Crowd;
use super::sockets::{Buffers, Sockets};
use super::timer::Timer;
use super::{Gathered, GeneratorSettings, MediaNews, Order, Progress};
use crate::base::Time;
use crate::client::Participant;

const WAKER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
/// Orders carried out before sockets have their turn again.
const ORDERS_PER_TURN: usize = 256;
/// Batches of one socket before the others have their turn again.
const BATCHES_PER_TURN: usize = 16;
/// The longest wait.
const IDLE: Duration = Duration::from_millis(100);

/// The thread's own things.
pub(super) struct MediaThread {
    settings: GeneratorSettings,
    inbox: mpsc::Receiver<Order>,
    progress: Arc<Progress>,
    poll: Poll,
    timer: Timer,
    sockets: Sockets,
    buffers: Buffers,
    crowd: Crowd,
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
        let crowd = Crowd::new(&settings, Arc::clone(&progress));
        let buffers = Buffers::new(settings.gro);
        Ok((Self { settings, inbox, progress, poll, timer, sockets, buffers, crowd }, waker))
    }

    pub(super) fn run(mut self) -> Gathered {
        pin_to(self.settings.processor);
        let mut events = Events::with_capacity(1_024);
        loop {
            let due = self.crowd.next_due();
            let wait = due.map_or(IDLE, |due| self.settings.clock.until(due).min(IDLE));
            // One wake-up stands for all orders that came before it.
            let wait = if self.inbox.is_empty() { wait } else { Duration::ZERO };
            if self.timer.set(wait).is_err() || self.poll.poll(&mut events, Some(IDLE)).is_err() {
                continue;
            }
            if self.take_orders() {
                return self.crowd.finish();
            }
            for event in &events {
                if event.token() != WAKER && event.token() != TIMER {
                    self.receive(event.token().0);
                }
            }
            self.crowd.go_on(&mut self.sockets);
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
        let (now, crowd) = (self.settings.clock.now(), &mut self.crowd);
        match order {
            Order::Add { id, participant, began, news } => self.add(id, participant, began, news),
            Order::Slots { id, place, claims, taken } => {
                crowd.with(id, |participant| participant.slots(place, &claims));
                let _ = taken.send(());
            }
            Order::Moved { id } => crowd.with(id, |participant| participant.moved(now)),
            Order::Publish { id, kind, on } => {
                crowd.with(id, |participant| participant.publish(now, kind, on));
            }
            Order::Rate(factor) => crowd.set_rate(factor),
            Order::Level { id, level } => crowd.with(id, |participant| participant.set_level(level)),
            Order::Homecoming(homecoming) => crowd.expect_home(homecoming),
            Order::Away { id } => crowd.send_away(id),
            Order::Deafen { id, done } => {
                crowd.deafen(id);
                let _ = done.send(());
            }
            Order::Remove { id, report } => {
                if let Some(found) = crowd.remove(id) {
                    let _ = report.send(found);
                }
            }
            Order::Begin => crowd.begin(),
            Order::Step { seen } => _ = seen.send(crowd.end_step()),
            Order::End { measured } => {
                if let Some(found) = crowd.end() {
                    let _ = measured.send(found);
                }
            }
            Order::Finish => {}
        }
    }

    fn add(&mut self, id: usize, participant: Box<Participant>, began: Time, news: MediaNews) {
        if let Err(error) = self.sockets.add(id, self.poll.registry()) {
            tracing::warn!(%error, "no socket for another participant");
            self.progress.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.crowd.add(id, participant, began, news);
    }

    fn receive(&mut self, at: usize) {
        for _ in 0..BATCHES_PER_TURN {
            let now = self.settings.clock.now();
            let Self { sockets, buffers, crowd, .. } = self;
            let result = sockets.receive(at, buffers, |id, from, datagram| {
                if sockets.is_own(at, id) {
                    crowd.arrive(now, id, from, datagram);
                } else {
                    crowd.lose(now, id, from, datagram);
                }
            });
            if result.is_err() {
                return;
            }
        }
        // There may be more, and readiness is told once.
        self.sockets.rearm(at, self.poll.registry());
    }
}

/// Keeps the calling thread on a processor; one that may not be pinned works all the same.
pub(crate) fn pin_to(processor: Option<usize>) {
    let Some(processor) = processor else { return };
    let mut set = CpuSet::new();
    let _ = set.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
}
