//! The server's side of the world: control, its workers, and the ways between them.

use std::time::Duration;

use serde_json::Value;

use super::event::{Event, Port, Uplink, worker_address};
use super::listening::Counted;
use super::options::SimulationOptions;
use super::placements::Tag;
use super::violation::Invariant;
use super::world::{ROOM, Simulation, SimulationError};
use crate::base::{LinkId, Random, Time, WorkerId};
use crate::client::{SlotClaim, TimeAnchor};
use crate::control::{Control, ControlSettings};
use crate::media::settings::MediaSettings;
use crate::media::{Handover, Transmit, Worker, WorkerSettings};
use crate::message::{ControlInput, ControlOutput, Frame, MediaCommand, MediaReport, Moved, SlotLine};
use crate::transport::Path;

/// A worker and the ways to and from it.
pub(super) struct Node {
    pub(super) worker: Worker,
    /// Counts the workers in this place; what was meant for one before is dropped.
    pub(super) generation: u64,
    timer: Option<Time>,
    commands_free: Time,
    reports_free: Time,
    /// What waits for a worker that is stuck.
    pub(super) backlog: Option<Vec<Event>>,
}

/// Control and its workers.
pub(super) struct Server {
    pub(super) control: Control,
    control_timer: Option<Time>,
    pub(super) nodes: Vec<Node>,
    /// Workers that were fenced while they were stuck: each with its place.
    pub(super) fenced: Vec<(usize, Node)>,
    anchor: TimeAnchor,
    random: Random,
    hold_ms: u64,
}

/// Microseconds that something takes from one thread to another, but for a busy moment.
const THREAD: u64 = 400;
/// .. and in a busy moment, which one of so many is.
const BUSY: u64 = 30_000;
const BUSY_ONE_OF: u64 = 50;

impl Server {
    pub(super) fn new(
        options: &SimulationOptions,
        anchor: TimeAnchor,
        random: &mut Random,
    ) -> Result<Self, SimulationError> {
        let workers = usize::from(options.workers);
        let settings = ControlSettings {
            // A room takes all workers that there are.
            seats_per_worker: options.participants.div_ceil(workers),
            ..ControlSettings::default()
        };
        let control = Control::new(settings, options.workers, random.fork());
        let mut random = random.fork();
        let hold_ms = options.hold_ms;
        let nodes = (0..workers).map(|at| Node::new(at, anchor, &mut random, (1, hold_ms)));
        let nodes = nodes.collect::<Result<_, _>>()?;
        Ok(Self { control, control_timer: None, nodes, fenced: Vec::new(), anchor, random, hold_ms })
    }

    /// What a worker has counted so far.
    pub(super) fn counted(&self, worker: usize) -> Counted {
        self.nodes.get(worker).map(|node| Counted::of(node.worker.statistics())).unwrap_or_default()
    }

    /// A worker takes a datagram.
    pub(super) fn receive(&mut self, now: Time, worker: usize, from: Port, bytes: &mut [u8]) {
        if let Some(node) = self.nodes.get_mut(worker) {
            node.worker.handle_datagram(now, Path::new(from.address(), None), bytes);
        }
    }

    /// How long something takes from one thread to another.
    fn hop(&mut self) -> Duration {
        let most = if self.random.below(BUSY_ONE_OF) == 0 { BUSY } else { THREAD };
        Duration::from_micros(20 + self.random.below(most))
    }
}

impl Node {
    fn new(
        at: usize,
        anchor: TimeAnchor,
        random: &mut Random,
        (generation, hold_ms): (u64, u64),
    ) -> Result<Self, SimulationError> {
        let settings = WorkerSettings {
            advertised: vec![worker_address(at)],
            media: MediaSettings { hold_ms, ..MediaSettings::default() },
        };
        let worker = Worker::new(settings, random.fork(), anchor)
            .map_err(|error| SimulationError(error.to_string()))?;
        Ok(Self {
            worker,
            generation,
            timer: None,
            commands_free: Time(0),
            reports_free: Time(0),
            backlog: None,
        })
    }
}

fn id_of(worker: usize) -> WorkerId {
    WorkerId(u16::try_from(worker).unwrap_or(u16::MAX))
}

impl Simulation {
    /// A worker has taken what there was: it hands over, sends and reports.
    pub(super) fn end_turn(&mut self, at: usize) {
        let now = self.now;
        let mut scratch = std::mem::take(&mut self.scratch);
        if let Some(node) = self.server.nodes.get_mut(at) {
            node.worker.end_batch(now);
            if node.worker.poll_timeout().is_some_and(|due| due <= now) {
                node.worker.handle_timeout(now);
            }
        }
        while let Some((to, handover)) =
            self.server.nodes.get_mut(at).and_then(|node| node.worker.poll_handover())
        {
            let (hop, handover) = (self.server.hop(), Box::new(handover));
            self.after(hop, Event::Handover { to: usize::from(to.0), from: id_of(at), handover });
        }
        while let Some(transmit) =
            self.server.nodes.get_mut(at).and_then(|node| node.worker.poll_transmit(now, &mut scratch))
        {
            self.transmit(at, &transmit, &scratch);
        }
        self.scratch = scratch;
        self.take_reports(at);
        self.set_worker_timer(at);
    }

    /// Datagrams leave a worker's socket.
    pub(super) fn transmit(&mut self, at: usize, transmit: &Transmit, buffer: &[u8]) {
        let Some(to) = Port::of(transmit.path.remote) else { return };
        let meant = self.people.get(to.person).map(|person| person.meant_by(to.port));
        let (listener, is_past) = meant.unwrap_or_default();
        let tag = Tag { is_past, ..self.judge.placements.tag(self.now, at, listener) };
        let segment = transmit.segment_size.unwrap_or(transmit.len).max(1);
        for datagram in buffer.get(..transmit.len).unwrap_or_default().chunks(segment) {
            self.send_down(to, at, tag, datagram);
        }
    }

    /// What a worker says of placements has to be what its commands have made of them.
    fn hold_against_commands(&mut self, at: usize, report: &MediaReport) {
        let MediaReport::Moved { moved, .. } = report else { return };
        self.judge.violations.checked(Invariant::I8, u64::try_from(moved.len()).unwrap_or(0));
        for moved in moved {
            let applied = self.judge.placements.epoch_on(at, moved.participant);
            if applied != Some(moved.epoch) {
                self.judge.violations.note(self.now, Invariant::I8, || {
                    let Moved { participant, epoch, .. } = moved;
                    format!("worker {at} says that {participant} is in placement {epoch}, not {applied:?}")
                });
            }
        }
    }

    fn take_reports(&mut self, at: usize) {
        loop {
            let Some(node) = self.server.nodes.get_mut(at) else { return };
            let Some(report) = node.worker.poll_report() else {
                return self.judge.listening.is_read(at);
            };
            let generation = node.generation;
            self.hold_against_commands(at, &report);
            self.judge.listening.reported(at, &report);
            let hop = self.server.hop();
            let Some(node) = self.server.nodes.get_mut(at) else { return };
            node.reports_free = node.reports_free.max(self.now + hop);
            let (arrives, report) = (node.reports_free, Box::new(report));
            self.at(arrives, Event::Report { worker: at, generation, report });
        }
    }

    fn set_worker_timer(&mut self, at: usize) {
        let Some(node) = self.server.nodes.get_mut(at) else { return };
        let Some(due) = node.worker.poll_timeout() else { return };
        let due = due.max(self.now + Duration::from_micros(1));
        if node.timer.is_none_or(|timer| timer > due || timer <= self.now) {
            node.timer = Some(due);
            self.at(due, Event::WorkerTimer { worker: at });
        }
    }

    pub(super) fn worker_timer(&mut self, at: usize) {
        let Some(node) = self.server.nodes.get_mut(at) else { return };
        if node.timer != Some(self.now) {
            return;
        }
        node.timer = None;
        self.end_turn(at);
    }

    pub(super) fn command_arrives(&mut self, at: usize, generation: u64, command: MediaCommand) {
        let Some(node) = self.server.nodes.get_mut(at).filter(|node| node.generation == generation) else {
            return;
        };
        self.trace.note(self.now, 3, at as u64);
        if self.trace.keeps_lines() && is_worth_reading(&command) {
            self.trace.line(self.now, format_args!("worker {at} applies {}", brief(&command)));
        }
        node.worker.handle_command(self.now, command.clone());
        self.judge.applied(self.now, at, &command);
        self.trouble.remember(at, command);
        self.end_turn(at);
    }

    pub(super) fn handover_arrives(&mut self, to: usize, from: WorkerId, handover: &Handover) {
        let Some(node) = self.server.nodes.get_mut(to) else { return };
        self.trace.note(self.now, 4, to as u64);
        let before = Counted::of(node.worker.statistics());
        node.worker.handle_handover(self.now, from, handover);
        let counted = (before, Counted::of(node.worker.statistics()));
        let taken: Vec<_> = handover.published().map(Some).collect();
        self.judge.took(self.now, to, counted, &taken);
        self.end_turn(to);
    }

    pub(super) fn report_arrives(&mut self, at: usize, generation: u64, report: MediaReport) {
        if self.server.nodes.get(at).is_none_or(|node| node.generation != generation) {
            return;
        }
        self.trace.note(self.now, 5, at as u64);
        self.server.control.handle(self.now, ControlInput::Media { worker: id_of(at), report });
        self.carry_out();
    }

    pub(super) fn uplink_arrives(&mut self, link: LinkId, what: Uplink) {
        self.trace.note(self.now, 6, link.0);
        let input = match what {
            Uplink::Opened(claims) => ControlInput::LinkOpened { link, claims },
            Uplink::Request(request) => {
                self.tally.requests += 1;
                ControlInput::Request { link, request }
            }
            Uplink::Told(epoch) => ControlInput::Told { link, epoch },
            Uplink::Closed => ControlInput::LinkClosed { link },
        };
        self.server.control.handle(self.now, input);
        self.carry_out();
    }

    pub(super) fn control_timer(&mut self) {
        if self.server.control_timer != Some(self.now) {
            return;
        }
        self.server.control_timer = None;
        self.server.control.handle_timeout(self.now);
        self.carry_out();
    }

    /// Does all that control wants done.
    fn carry_out(&mut self) {
        while let Some(output) = self.server.control.poll_output() {
            match output {
                ControlOutput::Frame { link, frame } => self.send_frame(link, frame),
                ControlOutput::CloseLink { link, .. } => {
                    let arrives = self.downlink(link);
                    self.at(arrives, Event::LinkEnded { link });
                }
                ControlOutput::Media { worker, command } => self.send_command(usize::from(worker.0), command),
                ControlOutput::Fence { worker } => {
                    self.trace.line(self.now, format_args!("worker {} is fenced", worker.0));
                    self.tally.fenced += 1;
                    self.homecoming.disturbed(self.now);
                    self.replace_worker(usize::from(worker.0));
                }
                ControlOutput::Admin { .. } => {}
            }
        }
        let due = self.server.control.poll_timeout();
        if let Some(due) = due.map(|due| due.max(self.now + Duration::from_micros(1)))
            && self.server.control_timer.is_none_or(|timer| timer > due || timer <= self.now)
        {
            self.server.control_timer = Some(due);
            self.at(due, Event::ControlTimer);
        }
    }

    fn send_command(&mut self, at: usize, command: MediaCommand) {
        self.judge.placements.said(&command);
        let hop = self.server.hop();
        let Some(node) = self.server.nodes.get_mut(at) else { return };
        node.commands_free = node.commands_free.max(self.now + hop);
        let (arrives, generation, command) = (node.commands_free, node.generation, Box::new(command));
        self.at(arrives, Event::Command { worker: at, generation, command });
    }

    /// When what is sent to a link now arrives, behind what was sent before.
    fn downlink(&mut self, link: LinkId) -> Time {
        let jitter = Duration::from_micros(self.random.below(3_000));
        let Some(person) = self.owner_of(link).and_then(|at| self.people.get_mut(at)) else {
            return self.now;
        };
        person.downlink_free = person.downlink_free.max(self.now + person.signal_delay + jitter);
        person.downlink_free
    }

    fn send_frame(&mut self, link: LinkId, frame: Frame) {
        if let Some(at) = self.owner_of(link) {
            self.learn_seat(at, &frame);
            self.hold_against_media(at, &frame);
            self.hold_against_log(at, &frame);
            self.expect_home(at, &frame);
        }
        let arrives = self.downlink(link);
        self.at(arrives, Event::Frame { link, frame: Box::new(frame) });
    }

    /// A join is answered: what the media plane calls this person is known from now on.
    fn learn_seat(&mut self, at: usize, frame: &Frame) {
        let Frame::Ack { ack: "didJoinRoom", data, .. } = frame else { return };
        let Some(client) = data.get("clientId").and_then(Value::as_str).and_then(|id| id.parse().ok()) else {
            return;
        };
        let view = self.server.control.inspect(ROOM);
        let Some(participant) = view.and_then(|view| view.seats.get(&client).map(|seat| seat.participant))
        else {
            self.judge
                .violations
                .note(self.now, Invariant::I19, || format!("person {at} joined and has no seat"));
            return;
        };
        self.judge.seated(client, participant);
        if let Some(person) = self.people.get_mut(at) {
            person.sits(participant);
        }
        if data.get("sdp").is_some_and(Value::is_string) {
            let slots = data.get("slots").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let slots: Vec<SlotLine> = slots.iter().filter_map(read_line).collect();
            let is_impostor = self.people.get(at).is_some_and(|person| person.is_impostor);
            self.judge.connected(at, &slots, is_impostor);
        }
    }

    /// What a person is told of its placement has to be true in the media plane when it is said.
    fn hold_against_media(&mut self, at: usize, frame: &Frame) {
        let Some(id) = self.people.get(at).and_then(|person| person.id) else { return };
        let data: &Value = match frame {
            Frame::Ack { ack: "didConnectedBreakoutRoom", data, .. } => data,
            Frame::Event { event: "slots" | "didConnectedBreakoutRoom", data, .. } => data,
            _ => return,
        };
        let is_failure = data.get("result").and_then(Value::as_u64).is_some_and(|result| result != 0);
        if !is_failure {
            let epoch = data.get("epoch").and_then(Value::as_u64).map(crate::base::Epoch);
            self.judge.told(self.now, id, epoch);
        }
    }

    /// Events come to a link in the order of their numbers.
    fn hold_against_log(&mut self, at: usize, frame: &Frame) {
        let Frame::Event { seq, event, .. } = frame else { return };
        let Some(person) = self.people.get_mut(at) else { return };
        let before = std::mem::replace(&mut person.last_event, *seq);
        self.judge.violations.checked(Invariant::I19, 1);
        if before >= *seq {
            let text = || format!("person {at} is told {event} as number {seq} after {before}");
            self.judge.violations.note(self.now, Invariant::I19, text);
        }
    }

    /// Puts a new worker in the place of one.
    pub(super) fn replace_worker(&mut self, at: usize) {
        let Some(old) = self.server.nodes.get(at) else { return };
        let counters = old.worker.statistics();
        self.tally.past_moves += counters.moves;
        self.tally.past_forwarded += counters.media_out;
        self.tally.past_connections += counters.transports_up;
        self.tally.past_repaired += counters.retransmitted;
        let generation = old.generation + 1;
        let anchor = self.server.anchor;
        match Node::new(at, anchor, &mut self.server.random, (generation, self.server.hold_ms)) {
            Ok(node) => {
                if let Some(place) = self.server.nodes.get_mut(at) {
                    let old = std::mem::replace(place, node);
                    self.keep_stuck(at, old);
                }
            }
            Err(error) => self.judge.violations.note(self.now, Invariant::I7, || error.to_string()),
        }
        self.judge.replaced(at);
    }

    /// A worker crashes.
    pub(super) fn crash(&mut self, at: usize) {
        self.trace.line(self.now, format_args!("worker {at} crashes"));
        self.tally.crashes += 1;
        self.homecoming.disturbed(self.now);
        self.replace_worker(at);
        self.server.control.handle(self.now, ControlInput::WorkerLost { worker: id_of(at) });
        self.carry_out();
    }
}

fn read_line(slot: &Value) -> Option<SlotLine> {
    let claim = SlotClaim::read(slot)?;
    let video = slot.get("kind").and_then(Value::as_str) != Some("audio");
    Some(SlotLine { mid: slot.get("mid")?.as_str()?.into(), video, ssrc: claim.ssrc })
}

const fn is_worth_reading(command: &MediaCommand) -> bool {
    !matches!(command, MediaCommand::Landed { .. })
}

fn brief(command: &MediaCommand) -> String {
    match command {
        MediaCommand::Connect(connect) => format!("Connect {:?}", connect.placement),
        MediaCommand::RestartIce { participant, .. } => format!("RestartIce {participant}"),
        other => format!("{other:?}"),
    }
}
