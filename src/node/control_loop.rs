//! The one owner of the control plane: a thread that feeds it and carries out what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::fault::Fault;
use super::gate::Gate;
use super::keeper::Keeper;
use super::worker_loop::{ToWorker, WorkerFault, WorkerReport, fail};
use super::worker_set::{WorkerEnded, WorkerSet};
use crate::api::{DoorInput, DoorReceiver, Doorway, LinkEnd, Outbox};
use crate::base::{BatchId, LinkId, Time, WorkerId};
use crate::control::Control;
use crate::message::{AdminReply, ControlInput, ControlOutput, Frame, Intake, MediaCommand, MediaReport};
use crate::telemetry::Clock;

/// Inputs of the doors that are taken before the other kinds have their turn again.
const INPUTS_PER_TURN: usize = 64;

/// A turn ends earlier once it has taken this long: some inputs cost a thousand times what others do.
const TURN: Duration = Duration::from_millis(4);

/// Moves that are timed: control has far fewer under way, since each ends within 3 s.
const MOVES_TIMED: usize = 10_000;

/// How long the loop sleeps at the most, so that it knows of its own pauses.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// From here on it has not just been busy: the process was stopped, or the machine slept.
const PAUSE: Duration = Duration::from_millis(250);

/// How soon it looks again whether workers that are behind have caught up.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What the engine tells the loop.
#[derive(Debug)]
pub(super) enum Order {
    /// Make something fail.
    Fail(Fault),
    /// Let nobody take a seat any more.
    LetNobodyIn,
    /// End all links.
    CloseLinks,
}

/// Everything the loop starts with.
pub(super) struct ControlJob {
    pub(super) control: Control,
    /// Nothing where nothing survives a crash.
    pub(super) keeper: Option<Keeper>,
    pub(super) clock: Clock,
    pub(super) doorway: Doorway,
    pub(super) doors: DoorReceiver,
    pub(super) reports: mpsc::Receiver<WorkerReport>,
    pub(super) ended: mpsc::Receiver<WorkerEnded>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) workers: WorkerSet,
    pub(super) gate: Gate,
}

/// The control plane with its links, workers and questions.
pub(super) struct ControlLoop {
    job: ControlJob,
    links: BTreeMap<LinkId, Outbox>,
    /// Operators who wait for an answer; each has a connection, which bounds them.
    tickets: BTreeMap<u64, oneshot::Sender<AdminReply>>,
    next_ticket: u64,
    moves: BTreeMap<(WorkerId, BatchId), Time>,
    /// When the clock was last looked at.
    looked_at: Time,
    /// Workers in whose place none could be started yet.
    missing: BTreeSet<WorkerId>,
}

impl ControlLoop {
    pub(super) fn new(job: ControlJob) -> Self {
        let (links, tickets, moves) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let looked_at = job.clock.now();
        Self { job, links, tickets, next_ticket: 0, moves, looked_at, missing: BTreeSet::new() }
    }

    /// Runs until the engine drops its end of `orders`; the workers are what is left, and the thread of
    /// the store.
    pub(super) async fn run(mut self) -> (WorkerSet, Option<JoinHandle<()>>) {
        self.take_up();
        loop {
            let keeper = self.job.keeper.as_ref().and_then(Keeper::poll_timeout);
            let due = self.job.control.poll_timeout().into_iter().chain(keeper).min();
            let longest = self.tell_load();
            let wait = due.map_or(longest, |due| self.job.clock.until(due).min(longest));
            // What workers say comes first: clients wait for it.
            tokio::select! {
                biased;
                order = self.job.orders.recv() => match order {
                    Some(order) => self.take_order(&order),
                    None => break,
                },
                written = Keeper::written(&mut self.job.keeper) => {
                    let now = self.job.clock.now();
                    self.job.keeper.iter_mut().for_each(|keeper| keeper.take(now, &written));
                }
                Some(ended) = self.job.ended.recv() => self.take_ended(&ended),
                Some(report) = self.job.reports.recv() => {
                    let now = self.look();
                    self.take_reports(now, Some(report));
                }
                Some(input) = self.job.doors.recv() => self.take_inputs(input),
                () = sleep(wait) => {}
            }
            let now = self.now();
            if self.job.control.poll_timeout().is_some_and(|due| due <= now) {
                self.job.control.handle_timeout(now);
                self.carry_out(now);
            }
            self.start_missing();
            if let Some(intake) = self.job.gate.look(now, self.job.doorway.metrics()) {
                self.let_in(intake);
            }
            self.keep();
        }
        self.close_links();
        let mut keeper = self.job.keeper;
        if let Some(keeper) = &mut keeper {
            keeper.finish(self.job.clock.now(), &mut self.job.control).await;
        }
        (self.job.workers, keeper.map(Keeper::stop))
    }

    /// Tells the workers of the rooms that were there before the start.
    fn take_up(&mut self) {
        let now = self.now();
        self.carry_out(now);
    }

    /// Has what has changed in this turn written, and tells people of what is kept.
    fn keep(&mut self) {
        loop {
            let now = self.job.clock.now();
            let Some(keeper) = &mut self.job.keeper else { return };
            let kept = keeper.turn(now, &mut self.job.control);
            if kept.is_empty() {
                return;
            }
            for output in kept {
                self.tell(now, output);
            }
            // Of somebody who reads too slowly control has heard just now.
            self.carry_out(now);
        }
    }

    /// Says whether a worker is behind; answers how long that holds without a look.
    fn tell_load(&self) -> Duration {
        let is_behind = self.job.workers.is_behind();
        self.job.doorway.set_media_behind(is_behind);
        if is_behind { LOOK_AGAIN_AFTER } else { LOOK_EVERY }
    }

    fn take_order(&mut self, order: &Order) {
        match order {
            Order::CloseLinks => self.close_links(),
            Order::LetNobodyIn => {
                let intake = self.job.gate.shut();
                self.let_in(intake);
            }
            Order::Fail(Fault::Control) => fail(WorkerFault::Panic),
            Order::Fail(Fault::Worker(worker, fault)) => {
                // One that takes nothing has failed already.
                let _ = self.job.workers.send_any(*worker, ToWorker::Fail(*fault));
            }
        }
    }

    /// Tells the doors and control whether people who have no seat may take one.
    fn let_in(&mut self, intake: Intake) {
        self.job.doorway.set_intake(intake);
        self.handle(ControlInput::Intake(intake));
    }

    fn close_links(&mut self) {
        for (link, outbox) in std::mem::take(&mut self.links) {
            outbox.end(LinkEnd::Stopped);
            self.handle(ControlInput::LinkClosed { link });
        }
    }

    /// The time, once every report is taken that was queued by then. Only at such a moment is it
    /// known of a worker that it has not reported.
    fn now(&mut self) -> Time {
        let now = self.look();
        if !self.job.reports.is_empty() {
            self.take_reports(now, None);
        }
        now
    }

    /// The time. A pause of this loop is one of the whole process, or of a machine that is too busy: workers
    /// are not to blame for it.
    fn look(&mut self) -> Time {
        let now = self.job.clock.now();
        let pause = now.since(self.looked_at + LOOK_EVERY);
        self.looked_at = now;
        if pause >= PAUSE {
            tracing::warn!(pause_ms = pause.as_millis(), "control could do nothing for a while");
            self.job.control.excuse_workers(pause);
        }
        now
    }

    /// Takes the reports that are queued, `first` before them.
    fn take_reports(&mut self, now: Time, first: Option<WorkerReport>) {
        let queued = self.job.reports.len();
        first.into_iter().for_each(|report| self.take_report(now, report));
        for _ in 0..queued {
            let Ok(report) = self.job.reports.try_recv() else { break };
            self.take_report(now, report);
        }
        // Only now: what follows from one report may be an input, and with that deadlines count.
        self.carry_out(now);
    }

    fn take_report(&mut self, now: Time, report: WorkerReport) {
        let WorkerReport { worker, generation, report } = report;
        if !self.job.workers.is_current(worker, generation) {
            return;
        }
        if let MediaReport::Moved { batch, .. } = &report
            && let Some(began) = self.moves.remove(&(worker, *batch))
        {
            self.job.doorway.metrics().move_apply_seconds.observe(now.since(began).as_secs_f64());
        }
        self.job.control.handle(now, ControlInput::Media { worker, report });
    }

    fn take_ended(&mut self, ended: &WorkerEnded) {
        let WorkerEnded { worker, generation, reason, cause } = ended;
        if !self.job.workers.is_current(*worker, *generation) {
            tracing::info!(worker = worker.0, cause, "a fenced media worker has ended");
            return;
        }
        let reason = reason.as_deref().unwrap_or("no reason");
        tracing::error!(
            worker = worker.0,
            cause,
            reason,
            "a media worker has ended; another takes its place"
        );
        self.replace(*worker, cause);
        self.handle(ControlInput::WorkerLost { worker: *worker });
    }

    fn replace(&mut self, worker: WorkerId, cause: &'static str) {
        self.moves.retain(|(of, _), _| *of != worker);
        self.job.doorway.metrics().worker_replaced(cause);
        if let Err(error) = self.start(worker) {
            tracing::error!(worker = worker.0, %error, "no media worker could be started; it is tried again");
        }
    }

    fn start(&mut self, worker: WorkerId) -> io::Result<()> {
        let started = self.job.workers.replace(worker);
        match started {
            Ok(()) => self.missing.remove(&worker),
            Err(_) => self.missing.insert(worker),
        };
        self.job.doorway.set_ready(self.missing.is_empty());
        started
    }

    /// Tries again what failed for want of files or threads.
    fn start_missing(&mut self) {
        for worker in self.missing.clone() {
            if self.start(worker).is_ok() {
                tracing::info!(worker = worker.0, "a media worker could be started after all");
                // What was said to nobody meanwhile is said again.
                self.handle(ControlInput::WorkerLost { worker });
            }
        }
    }

    fn take_inputs(&mut self, first: DoorInput) {
        let began = self.job.clock.now();
        let mut next = Some(first);
        for _ in 0..INPUTS_PER_TURN {
            let Some(input) = next.take() else { return };
            self.take_input(input);
            if self.job.clock.now().since(began) >= TURN {
                return;
            }
            next = self.job.doors.try_recv();
        }
        next.into_iter().for_each(|input| self.take_input(input));
    }

    fn take_input(&mut self, input: DoorInput) {
        match input {
            DoorInput::Opened { link, claims, outbox } => {
                self.links.insert(link, outbox);
                self.handle(ControlInput::LinkOpened { link, claims });
            }
            DoorInput::Request { link, request } if self.links.contains_key(&link) => {
                self.handle(ControlInput::Request { link, request });
            }
            // Control has closed the link already.
            DoorInput::Request { .. } => {}
            DoorInput::Told { link, epoch } => self.handle(ControlInput::Told { link, epoch }),
            DoorInput::Closed { link } => {
                if self.links.remove(&link).is_some() {
                    self.handle(ControlInput::LinkClosed { link });
                }
            }
            DoorInput::Admin { request, reply } => {
                self.next_ticket += 1;
                self.tickets.insert(self.next_ticket, reply);
                self.handle(ControlInput::Admin { ticket: self.next_ticket, request });
            }
        }
    }

    fn handle(&mut self, input: ControlInput) {
        let now = self.now();
        self.job.control.handle(now, input);
        self.carry_out(now);
    }

    /// Does all that control wants done. What follows from that is fed back here as well.
    fn carry_out(&mut self, now: Time) {
        while let Some(output) = self.job.control.poll_output() {
            match output {
                ControlOutput::Media { worker, command } => self.command(now, worker, command),
                ControlOutput::Fence { worker } => {
                    tracing::error!(
                        worker = worker.0,
                        "a media worker does not answer; another takes its place"
                    );
                    self.replace(worker, "fence");
                }
                told => match &mut self.job.keeper {
                    Some(keeper) => keeper.hold(told),
                    None => self.tell(now, told),
                },
            }
        }
    }

    /// Does what people notice of what control wants done.
    fn tell(&mut self, now: Time, output: ControlOutput) {
        match output {
            ControlOutput::Frame { link, frame } => self.deliver(now, link, frame),
            ControlOutput::CloseLink { link, reason } => {
                if let Some(outbox) = self.links.remove(&link) {
                    outbox.end(LinkEnd::Closed(reason));
                }
            }
            ControlOutput::Admin { ticket, reply } => {
                if let Some(asker) = self.tickets.remove(&ticket) {
                    // An operator who has hung up needs no answer.
                    let _ = asker.send(reply);
                }
            }
            // Workers are told at once.
            ControlOutput::Media { .. } | ControlOutput::Fence { .. } => {}
        }
    }

    fn deliver(&mut self, now: Time, link: LinkId, frame: Frame) {
        let Some(outbox) = self.links.get(&link) else { return };
        if outbox.push(frame).is_ok() {
            return;
        }
        self.job.doorway.metrics().links_too_slow.inc();
        if let Some(outbox) = self.links.remove(&link) {
            outbox.end(LinkEnd::TooSlow);
        }
        self.job.control.handle(now, ControlInput::LinkClosed { link });
    }

    fn command(&mut self, now: Time, worker: WorkerId, command: MediaCommand) {
        if let MediaCommand::Move { batch, .. } = &command
            && self.moves.len() < MOVES_TIMED
        {
            self.moves.insert((worker, *batch), now);
        }
        if self.job.workers.send(worker, command).is_err() {
            tracing::error!(worker = worker.0, "a media worker takes no commands; another takes its place");
            self.replace(worker, "stuck");
            self.job.control.handle(now, ControlInput::WorkerLost { worker });
        }
    }
}

#[cfg(test)]
mod tests;
