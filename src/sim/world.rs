//! The simulated world itself: what is in it, and how time passes.

use std::time::Duration;

use super::event::{Event, Port, Uplink, link_of, person_of, worker_address, worker_of};
use super::homecoming::Homecoming;
use super::judge::Judge;
use super::network::{Way, Weather};
use super::options::SimulationOptions;
use super::person::Person;
use super::placements::Tag;
use super::queue::Queue;
use super::register::Register;
use super::report::SimulationReport;
use super::server::Server;
use super::storm::Storm;
use super::story::Story;
use super::trace::Trace;
use super::trouble::Trouble;
use super::violation::Invariant;
use crate::base::{Random, Time};
use crate::client::{Participant, TimeAnchor};

/// Why a simulation could not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SimulationError(pub String);

/// A worker takes what came since it looked last: moments are rounded up to this many microseconds.
pub(super) const TURN: u64 = 250;
/// How often counters are looked at.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// Buffers of datagrams that are kept.
const MOST_BUFFERS: usize = 4_096;
/// The parent room.
pub(super) const ROOM: &str = "sim";

/// What the run has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// People move.
    Storm,
    /// Everybody has been brought back, and talks.
    Settled,
    /// Everybody is silent.
    Silent,
    /// Everybody has left.
    Empty,
    /// It is over.
    Done,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Of workers that are no more.
    pub(super) past_moves: u64,
    pub(super) past_forwarded: u64,
    pub(super) past_connections: u64,
    pub(super) requests: u64,
    pub(super) refusals: u64,
    pub(super) past_repaired: u64,
    pub(super) crashes: u64,
    pub(super) stuck: u64,
    pub(super) fenced: u64,
    pub(super) forged: u64,
    pub(super) missed: u64,
    pub(super) undecrypted: u64,
    /// Packets that people got without having been told whose they are.
    pub(super) untold: u64,
}

/// A whole server with people around it, in virtual time.
pub struct Simulation {
    pub(super) options: SimulationOptions,
    pub(super) now: Time,
    pub(super) start: Time,
    pub(super) queue: Queue<Event>,
    pub(super) buffers: Vec<Vec<u8>>,
    /// The network's randomness.
    pub(super) random: Random,
    pub(super) anchor: TimeAnchor,
    pub(super) server: Server,
    pub(super) people: Vec<Person>,
    pub(super) judge: Judge,
    pub(super) storm: Storm,
    pub(super) trouble: Trouble,
    pub(super) story: Story,
    pub(super) register: Register,
    pub(super) homecoming: Homecoming,
    pub(super) trace: Trace,
    pub(super) tally: Tally,
    pub(super) phase: Phase,
    pub(super) scratch: Vec<u8>,
}

impl Simulation {
    /// A world at the beginning of its time: nobody has come yet. `anchor` is what the crates that
    /// insist on an `Instant` are told; no clock is read.
    ///
    /// # Errors
    /// Where the options are out of their bounds, or no certificate can be made.
    pub fn new(options: SimulationOptions, anchor: TimeAnchor) -> Result<Self, SimulationError> {
        options.check().map_err(SimulationError)?;
        let mut random = Random::from_number(options.seed);
        let start = anchor.at;
        let server = Server::new(&options, anchor, &mut random)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be 0 to 0.5")]
        let loss = (options.loss * 65_536.0) as u64;
        let person = |index| {
            let ways = [(); 2].map(|()| Weather::draw(&mut random, loss));
            let signal_delay = Duration::from_micros(2_000 + random.below(60_000));
            let (ways, signal_delay) = if options.first_words {
                (ways.map(Weather::uneven), Duration::from_millis(4))
            } else {
                (ways, signal_delay)
            };
            Person::new(index, ways.map(Way::new).into(), signal_delay)
        };
        let people: Vec<Person> = (0..options.participants).map(person).collect();
        let mut simulation = Self {
            now: start,
            start,
            queue: Queue::new(),
            buffers: Vec::new(),
            anchor,
            server,
            judge: Judge::new(start, usize::from(options.workers), people.len()),
            people,
            storm: Storm::new(random.fork()),
            trouble: Trouble::new(options.seed),
            story: Story::default(),
            register: Register::default(),
            homecoming: Homecoming::new(start),
            trace: Trace::new(start, options.trace),
            tally: Tally::default(),
            phase: Phase::Storm,
            scratch: vec![0; 65_536],
            random,
            options,
        };
        if simulation.options.first_words {
            // Its outages hold up what they do not lose.
            simulation.judge.woke(Time(u64::MAX));
        }
        for person in 0..simulation.people.len() {
            let at = Duration::from_millis(simulation.random.below(3_000));
            simulation.after(at, Event::Return { person });
        }
        simulation.after(Duration::from_secs(4), Event::Step);
        simulation.after(CHECK_EVERY, Event::Check);
        Ok(simulation)
    }

    /// Lets time pass; answers whether there is more to come.
    pub fn advance(&mut self, by: Duration) -> bool {
        let end = self.now + by;
        while self.phase != Phase::Done && self.queue.next_at().is_some_and(|at| at <= end) {
            let Some((at, event)) = self.queue.pop() else { break };
            self.now = at;
            self.happen(event);
        }
        self.now = self.now.max(if self.phase == Phase::Done { self.now } else { end });
        self.phase != Phase::Done
    }

    /// How many moves were made so far.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.tally.past_moves
            + self.server.nodes.iter().map(|node| node.worker.statistics().moves).sum::<u64>()
    }

    /// How much time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.since(self.start)
    }

    /// Violations so far.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.judge.violations.total()
    }

    /// The lines of the trace since the last time.
    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take_lines()
    }

    /// What was found.
    #[must_use]
    pub fn report(&self) -> SimulationReport {
        let (violations, tally) = (&self.judge.violations, &self.tally);
        let now = |count: fn(&crate::media::WorkerStatistics) -> u64| -> u64 {
            self.server.nodes.iter().map(|node| count(node.worker.statistics())).sum()
        };
        SimulationReport {
            ok: violations.total() == 0 && self.phase == Phase::Done,
            moves: self.moves(),
            wrong_group_packets: violations.count(Invariant::I2),
            violations: violations.total(),
            speedup: 0.0,
            simulated_seconds: self.elapsed().as_secs_f64(),
            forwarded_packets: tally.past_forwarded + now(|counters| counters.media_out),
            participants: self.people.len(),
            workers: self.options.workers,
            seed: self.options.seed,
            judged_packets: self.judge.heard,
            requests: tally.requests,
            refusals: tally.refusals,
            connections: tally.past_connections + now(|counters| counters.transports_up),
            crashes: tally.crashes,
            untold_packets: tally.untold,
            stuck: tally.stuck,
            fenced: tally.fenced,
            forged: tally.forged,
            missed_packets: tally.missed,
            undecrypted_packets: tally.undecrypted,
            repaired_packets: tally.past_repaired + now(|counters| counters.retransmitted),
            trace_hash: format!("{:016x}", self.trace.hash()),
            by_invariant: violations.counts().iter().map(|(of, count)| (of.to_string(), *count)).collect(),
            checks: self.judge.checks(),
            examples: violations.examples().to_vec(),
        }
    }

    /// Puts an event in.
    pub(super) fn at(&mut self, at: Time, event: Event) {
        if !self.queue.push(at.max(self.now), event) {
            self.judge.violations.note(self.now, Invariant::I17, || "too many events wait".to_owned());
        }
    }

    /// Puts an event in that happens a while from now.
    pub(super) fn after(&mut self, after: Duration, event: Event) {
        self.at(self.now + after, event);
    }

    pub(super) fn happen(&mut self, event: Event) {
        if self.is_for_stuck(&event) {
            return self.wait(event);
        }
        match event {
            Event::ToWorker { worker, from, is_forged, mut bytes } => {
                self.trace.note(self.now, 1, from.person as u64);
                self.worker_receives(worker, from, is_forged, &mut bytes);
                self.keep(bytes);
                // What comes at the same moment is one batch.
                let is_next =
                    |event: &Event| matches!(event, Event::ToWorker { worker: to, .. } if *to == worker);
                if !self.queue.peek().is_some_and(|(at, event)| at == self.now && is_next(event)) {
                    self.end_turn(worker);
                }
            }
            Event::ToPerson { to, worker, tag, bytes } => self.person_receives(to, worker, &tag, bytes),
            Event::Frame { link, frame } => self.frame_arrives(link, *frame),
            Event::LinkEnded { link } => self.link_ended(link),
            Event::Uplink { link, what } => self.uplink_arrives(link, *what),
            Event::Command { worker, generation, command } => {
                self.command_arrives(worker, generation, *command)
            }
            Event::Report { worker, generation, report } => self.report_arrives(worker, generation, *report),
            Event::Handover { to, from, handover } => self.handover_arrives(to, from, &handover),
            Event::PersonTimer { person } => self.person_timer(person),
            Event::WorkerTimer { worker } => self.worker_timer(worker),
            Event::ControlTimer => self.control_timer(),
            Event::Return { person } => self.come(person),
            Event::Reattach { person } => self.reattach(person),
            Event::ConnectAnew { person } => self.connect_anew(person),
            Event::Wake { worker, generation } => self.wake(worker, generation),
            Event::Step => self.step(),
            Event::Check => {
                self.check(false);
                self.after(CHECK_EVERY, Event::Check);
            }
        }
    }

    /// Holds all counters against each other, and what control says of itself.
    pub(super) fn check(&mut self, is_drained: bool) {
        self.register.look(self.now, &self.server.control, &mut self.judge.violations);
        self.judge.placements.check_homes(self.now, &mut self.judge.violations);
        self.check_homecomings();
        for (at, node) in self.server.nodes.iter().enumerate() {
            self.judge.check_counters(self.now, at, node.worker.statistics(), is_drained);
        }
    }

    /// A buffer for a datagram.
    pub(super) fn buffer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    fn keep(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() < MOST_BUFFERS {
            self.buffers.push(buffer);
        }
    }

    /// A datagram leaves a worker.
    pub(super) fn send_down(&mut self, to: Port, worker: usize, tag: Tag, datagram: &[u8]) {
        let Some(person) = self.people.get_mut(to.person) else {
            let text = || format!("worker {worker} sends to an intruder");
            return self.judge.violations.note(self.now, Invariant::I13, text);
        };
        let profile = person.profile;
        let arrival = person.down.carry(self.now, &mut self.random);
        self.judge.leaves(&tag, (worker, to.person), datagram, profile);
        for at in [arrival.first, arrival.second].into_iter().flatten() {
            let bytes = self.buffer(datagram);
            self.at(at, Event::ToPerson { to, worker, tag, bytes });
        }
    }

    fn person_receives(&mut self, to: Port, worker: usize, tag: &Tag, mut bytes: Vec<u8>) {
        self.trace.note(self.now, 2, to.person as u64);
        let person = self.people.get_mut(to.person).filter(|person| person.socket == to);
        if let Some(participant) = person.and_then(|person| {
            person.reached_since.get_or_insert(self.now);
            person.participant.as_mut()
        }) {
            match participant.handle_datagram(self.now, worker_address(worker), &mut bytes) {
                Some(heard) => {
                    let misses = participant.misses(self.now);
                    self.judge.heard(self.now, (worker, to.person), tag, &heard);
                    self.homecoming.heard(to.person, heard.mark.publisher);
                    if misses {
                        self.pump(to.person);
                    }
                }
                None => self.pump(to.person),
            }
        }
        self.keep(bytes);
    }

    /// Sends what a person has to send, and sets its timer.
    pub(super) fn pump(&mut self, at: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        while let Some((person, (to, len))) = self.people.get_mut(at).and_then(|person| {
            let sent = person.participant.as_mut()?.poll_transmit(self.now, &mut scratch)?;
            Some((person, sent))
        }) {
            let sent = person.participant.as_ref().and_then(Participant::last_sent);
            if let (Some((_, kind, _)), Some(packet)) = (sent, scratch.get(..len)) {
                person.sends(kind, packet);
            }
            let (from, arrival) = (person.socket, person.up.carry(self.now, &mut self.random));
            let (Some(worker), Some(datagram)) = (worker_of(to), scratch.get(..len)) else { continue };
            if self.options.trouble && self.tamper(worker, from, datagram) {
                continue;
            }
            for at in [arrival.first, arrival.second].into_iter().flatten() {
                let bytes = self.buffer(datagram);
                let turn = Time(at.0.div_ceil(TURN) * TURN);
                self.at(turn, Event::ToWorker { worker, from, is_forged: false, bytes });
            }
        }
        self.scratch = scratch;
        self.set_person_timer(at);
    }

    fn set_person_timer(&mut self, at: usize) {
        let Some(person) = self.people.get_mut(at) else { return };
        let Some(due) = person.participant.as_ref().and_then(Participant::poll_timeout) else { return };
        let due = due.max(self.now + Duration::from_micros(1));
        if person.timer.is_none_or(|timer| timer > due || timer <= self.now) {
            person.timer = Some(due);
            self.at(due, Event::PersonTimer { person: at });
        }
    }

    fn person_timer(&mut self, at: usize) {
        let Some(person) = self.people.get_mut(at) else { return };
        if person.timer != Some(self.now) {
            return;
        }
        person.timer = None;
        let mut has_failed = false;
        if let Some(participant) = &mut person.participant {
            participant.handle_timeout(self.now);
            has_failed = participant.has_failed();
        }
        if has_failed {
            self.reconnect_media(at);
        }
        self.pump(at);
    }

    /// Sends something on a person's link, behind what was sent before.
    pub(super) fn send_uplink(&mut self, at: usize, what: Uplink) {
        let jitter = Duration::from_micros(self.random.below(3_000));
        let Some(person) = self.people.get_mut(at) else { return };
        let Some(link) = person.link else { return };
        person.uplink_free = person.uplink_free.max(self.now + person.signal_delay + jitter);
        let arrives = person.uplink_free;
        self.at(arrives, Event::Uplink { link, what: Box::new(what) });
    }

    /// The person whose link this still is.
    pub(super) fn owner_of(&self, link: crate::base::LinkId) -> Option<usize> {
        let at = person_of(link);
        self.people.get(at).filter(|person| person.link == Some(link)).map(|_| at)
    }

    /// Opens a new link for a person.
    pub(super) fn open_link(&mut self, at: usize) {
        let Some(person) = self.people.get_mut(at) else { return };
        person.unlink();
        person.links += 1;
        person.link = Some(link_of(at, person.links));
        person.downlink_free = self.now;
        let claims = crate::message::Claims {
            room: ROOM.to_owned(),
            name: format!("Person {at}"),
            role: if person.is_moderator {
                crate::message::Role::Moderator
            } else {
                crate::message::Role::Participant
            },
            expires_at: Time(u64::MAX),
            lapsed: false,
        };
        self.send_uplink(at, Uplink::Opened(claims));
    }
}
