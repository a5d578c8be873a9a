//! A node's control plane with people who use it and a media worker that answers at once, or when
//! told.

#[path = "control_media.rs"]
mod media;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anteroom::base::{
    BatchId, ClientId, Epoch, GroupId, KindSet, LinkId, ParticipantId, Random, Time, WorkerId,
};
use anteroom::control::{Control, ControlSettings, Replica, SessionView};
use anteroom::message::saved::{Key, Record};
use anteroom::message::{
    Claims, CloseReason, ControlInput, ControlOutput, Frame, GroupSettings, LossReason, MediaReport, Method,
    Placement, Request, Role, SrtpProfile,
};
use serde_json::{Value, json};

/// The parent room of these stories.
pub(crate) const ROOM: &str = "standup";

/// An offer that the worker refuses.
pub(crate) const BAD_OFFER: &str = "refuse me";

/// Somebody with a signalling connection, and mostly with a seat.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) link: LinkId,
    pub(crate) id: String,
    pub(crate) resume: String,
}

impl Person {
    pub(crate) fn client(&self) -> ClientId {
        self.id.parse().unwrap()
    }
}

/// What the worker knows of one participant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) placement: Placement,
    pub(crate) connection: Epoch,
}

/// What the worker does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manners {
    /// It answers offers and ICE restarts.
    pub(crate) answers: bool,
    /// DTLS is done right after the answer.
    pub(crate) connects: bool,
    /// It applies moves.
    pub(crate) moves: bool,
}

/// A step of a batch on one worker.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Revoke(BatchId, Vec<(ParticipantId, Epoch)>),
    Move(BatchId, Vec<Placement>),
}

pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) now: Time,
    pub(crate) manners: Manners,
    pub(crate) groups: BTreeMap<GroupId, GroupSettings>,
    pub(crate) known: BTreeMap<ParticipantId, Known>,
    /// Whose the connection of each is.
    pub(crate) homes: BTreeMap<ParticipantId, WorkerId>,
    /// What each worker knows of others' participants.
    pub(crate) mirrors: BTreeMap<(WorkerId, ParticipantId), Placement>,
    /// Batches that wait for [`World::move_now`].
    pub(crate) waiting: VecDeque<(BatchId, Vec<Placement>)>,
    /// Steps of batches that wait for [`World::step`], on nodes with several workers.
    pub(crate) steps: Vec<(WorkerId, Step)>,
    /// Offers that wait for [`World::answer_now`].
    pub(crate) unanswered: VecDeque<(String, Placement)>,
    /// ICE restarts that the worker was asked for, with their numbers.
    pub(crate) restarts: Vec<(ParticipantId, u64)>,
    /// Of whom the worker was told that they know of which placement.
    pub(crate) landed: Vec<(ParticipantId, Epoch)>,
    pub(crate) closed: BTreeMap<LinkId, CloseReason>,
    pub(crate) fenced: Vec<WorkerId>,
    pub(crate) replies: Vec<anteroom::message::AdminReply>,
    /// Whether the events are held against the session after every step: slow with a crowd.
    pub(crate) checks: bool,
    settings: (ControlSettings, u16),
    /// What survives a crash.
    pub(crate) saved: BTreeMap<Key, Record>,
    replica: Replica,
    /// The number of the next event for the replica.
    next_event: u64,
    frames: BTreeMap<LinkId, Vec<Frame>>,
    requests: u64,
    links: u64,
}

impl Default for World {
    fn default() -> Self {
        Self::new(ControlSettings::default())
    }
}

impl World {
    pub(crate) fn new(settings: ControlSettings) -> Self {
        Self::on(settings, 1)
    }

    /// A node with several workers, of which each takes one seat of a room before the next has its turn.
    pub(crate) fn wide(workers: u16) -> Self {
        Self::on(ControlSettings { seats_per_worker: 1, ..ControlSettings::default() }, workers)
    }

    fn on(settings: ControlSettings, workers: u16) -> Self {
        let nothing = (Time::default(), BTreeMap::new());
        Self {
            control: Control::restore(settings.clone(), workers, Random::from_number(1), nothing).unwrap(),
            settings: (settings, workers),
            saved: BTreeMap::new(),
            now: Time::from_unix_seconds(1_800_000_000),
            manners: Manners { answers: true, connects: true, moves: true },
            groups: BTreeMap::new(),
            known: BTreeMap::new(),
            homes: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            waiting: VecDeque::new(),
            steps: Vec::new(),
            unanswered: VecDeque::new(),
            restarts: Vec::new(),
            landed: Vec::new(),
            closed: BTreeMap::new(),
            fenced: Vec::new(),
            replies: Vec::new(),
            checks: true,
            replica: Replica::default(),
            next_event: 1,
            frames: BTreeMap::new(),
            requests: 0,
            links: 0,
        }
    }

    // People.

    /// Opens a signalling connection.
    pub(crate) fn open(&mut self, name: &str, role: Role) -> LinkId {
        self.links += 1;
        let link = LinkId(self.links);
        let expires_at = self.now + Duration::from_secs(600);
        let claims = Claims { room: ROOM.to_owned(), name: name.to_owned(), role, expires_at, lapsed: false };
        self.input(ControlInput::LinkOpened { link, claims });
        link
    }

    pub(crate) fn close(&mut self, link: LinkId) {
        self.input(ControlInput::LinkClosed { link });
    }

    /// Takes a seat.
    pub(crate) fn join(&mut self, name: &str, role: Role) -> Person {
        let link = self.open(name, role);
        let ack = self.ask(link, Method::JoinRoom, json!({"sdp": "offer"}));
        assert_eq!(ack["result"], 0, "{name} joins: {ack}");
        self.seated(link, &ack)
    }

    pub(crate) fn moderator(&mut self, name: &str) -> Person {
        self.join(name, Role::Moderator)
    }

    pub(crate) fn participant(&mut self, name: &str) -> Person {
        self.join(name, Role::Participant)
    }

    pub(crate) fn seated(&self, link: LinkId, ack: &Value) -> Person {
        let text = |name: &str| ack[name].as_str().unwrap().to_owned();
        Person { link, id: text("clientId"), resume: text("resume") }
    }

    /// Comes back on a new signalling connection, with or without a new offer.
    pub(crate) fn come_back(&mut self, person: &Person, offer: Option<&str>) -> Person {
        let link = self.open("back", Role::Participant);
        let ack = self.ask(link, Method::JoinRoom, json!({"resume": person.resume, "sdp": offer}));
        assert_eq!(ack["result"], 0, "comes back: {ack}");
        self.seated(link, &ack)
    }

    // Requests.

    /// Sends a request and answers its id.
    pub(crate) fn send(&mut self, link: LinkId, method: Method, params: Value) -> String {
        self.requests += 1;
        let id = format!("r{}", self.requests);
        self.request(link, Request::new(&id, method.name(), params));
        id
    }

    pub(crate) fn request(&mut self, link: LinkId, request: Request) {
        self.input(ControlInput::Request { link, request });
    }

    /// The acks to a request: name, seq and data.
    pub(crate) fn acks(&self, link: LinkId, id: &str) -> Vec<(&'static str, Option<u64>, Value)> {
        let frames = self.frames.get(&link).map_or(&[][..], Vec::as_slice);
        frames
            .iter()
            .filter_map(|frame| match frame {
                Frame::Ack { id: other, ack, seq, data } if other == id => Some((*ack, *seq, data.clone())),
                _ => None,
            })
            .collect()
    }

    /// The one ack to a request.
    pub(crate) fn ack(&self, link: LinkId, id: &str) -> Value {
        let acks = self.acks(link, id);
        assert_eq!(acks.len(), 1, "one ack to {id}: {acks:?}");
        acks[0].2.clone()
    }

    /// Sends a request and answers the data of its ack, which must be there.
    pub(crate) fn ask(&mut self, link: LinkId, method: Method, params: Value) -> Value {
        let id = self.send(link, method, params);
        let acks = self.acks(link, &id);
        assert_eq!(acks.len(), 1, "one ack to {}: {acks:?}", method.name());
        let (name, seq, data) = acks[0].clone();
        let failed = data["result"] != 0;
        assert_eq!(name, if failed { method.failure_ack() } else { method.ack() });
        assert!(!failed || seq.is_none(), "a failed request changes nothing");
        data
    }

    /// As [`World::ask`]; it has to succeed.
    pub(crate) fn must(&mut self, person: &Person, method: Method, params: Value) -> Value {
        let data = self.ask(person.link, method, params);
        assert_eq!(data["result"], 0, "{}: {data}", method.name());
        data
    }

    /// As [`World::ask`]; answers the code.
    pub(crate) fn code(&mut self, person: &Person, method: Method, params: Value) -> u64 {
        self.ask(person.link, method, params)["result"].as_u64().unwrap()
    }

    // What people heard.

    /// Takes what a link was sent since the last look.
    pub(crate) fn take(&mut self, link: LinkId) -> Vec<Frame> {
        self.frames.remove(&link).unwrap_or_default()
    }

    /// Takes the names of the acks and events that somebody was sent since the last look.
    pub(crate) fn heard(&mut self, person: &Person) -> Vec<&'static str> {
        let name = |frame: Frame| match frame {
            Frame::Ack { ack, .. } => ack,
            Frame::Event { event, .. } => event,
        };
        self.take(person.link).into_iter().map(name).collect()
    }

    /// Takes the data of the events of one name that somebody was sent; forgets the others.
    pub(crate) fn told(&mut self, person: &Person, name: &str) -> Vec<Value> {
        let data = |frame: Frame| match frame {
            Frame::Event { event, data, .. } if event == name => Some(Value::clone(&data)),
            _ => None,
        };
        self.take(person.link).into_iter().filter_map(data).collect()
    }

    pub(crate) fn forget_frames(&mut self) {
        self.frames.clear();
    }

    pub(crate) fn view(&self) -> SessionView {
        self.control.inspect(ROOM).unwrap()
    }

    // Time and the worker.

    /// Lets time pass, from deadline to deadline.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.control.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.control.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        self.control.handle_timeout(end);
        self.drain();
        self.check_events();
    }

    pub(crate) fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, input);
        self.drain();
        self.check_events();
    }

    /// The session's events add up to the session.
    fn check_events(&mut self) {
        let Some(view) = self.control.inspect(ROOM).filter(|_| self.checks) else { return };
        if self.replica.view().is_some_and(|replica| replica.seq > view.seq) {
            (self.replica, self.next_event) = (Replica::default(), 1);
        }
        for logged in self.control.events(ROOM, self.next_event) {
            assert!(logged.event.data().is_object(), "{} shows nothing", logged.event.name());
            self.replica.apply(logged).unwrap();
            self.next_event = logged.seq + 1;
        }
        let difference = self.replica.difference(&view);
        assert!(difference.is_none(), "{}", difference.unwrap());
    }

    /// The one worker, or the one that a participant is on, reports.
    pub(crate) fn report(&mut self, report: MediaReport) {
        let worker = match &report {
            MediaReport::Answered { participant, .. }
            | MediaReport::IceRestarted { participant, .. }
            | MediaReport::TransportUp { participant, .. }
            | MediaReport::TransportLost { participant, .. }
            | MediaReport::Slots { participant, .. } => self.homes.get(participant).copied(),
            _ => None,
        };
        self.report_from(worker.unwrap_or_default(), report);
    }

    pub(crate) fn report_from(&mut self, worker: WorkerId, report: MediaReport) {
        self.input(ControlInput::Media { worker, report });
    }

    /// The worker applies the oldest batch that waits.
    pub(crate) fn move_now(&mut self) {
        let (batch, placements) = self.waiting.pop_front().unwrap();
        self.apply(batch, &placements);
    }

    /// The participant's client answers the ping behind what it was told last.
    pub(crate) fn has_read(&mut self, person: &Person) {
        let participant = self.view().seats[&person.client()].participant;
        let epoch = self.known[&participant].placement.epoch;
        self.input(ControlInput::Told { link: person.link, epoch });
    }

    /// The participant's DTLS is done.
    pub(crate) fn connect(&mut self, person: &Person) {
        let participant = self.view().seats[&person.client()].participant;
        let epoch = self.known[&participant].connection;
        let srtp = SrtpProfile::AeadAes128Gcm;
        self.report(MediaReport::TransportUp { participant, epoch, srtp });
    }

    /// The participant's media connection is gone.
    pub(crate) fn lose_media(&mut self, person: &Person) {
        let participant = self.view().seats[&person.client()].participant;
        let epoch = self.known[&participant].connection;
        self.report(MediaReport::TransportLost { participant, epoch, reason: LossReason::Consent });
    }

    /// The worker crashes; an empty one takes its place.
    pub(crate) fn crash(&mut self) {
        self.forget_worker();
        self.input(ControlInput::WorkerLost { worker: WorkerId(0) });
    }

    /// Saves what has changed; answers how many records that were.
    pub(crate) fn save(&mut self) -> usize {
        let changes = self.control.take_changes();
        let count = changes.len();
        for change in changes {
            match change.record {
                Some(record) => self.saved.insert(change.key, record),
                None => self.saved.remove(&change.key),
            };
        }
        count
    }

    /// The server crashes and starts again with what was saved. Nobody is connected any more.
    pub(crate) fn restart(&mut self) {
        self.forget_worker();
        self.homes.clear();
        self.mirrors.clear();
        self.steps.clear();
        self.frames.clear();
        self.closed.clear();
        let (settings, workers) = self.settings.clone();
        let saved = (self.now, self.saved.clone());
        self.control = Control::restore(settings, workers, Random::from_number(2), saved).unwrap();
        // The log begins anew, behind a gap.
        self.checks = false;
        self.drain();
    }

    fn forget_worker(&mut self) {
        self.known.clear();
        self.groups.clear();
        self.waiting.clear();
    }

    /// What the worker lets a participant publish where it is, and the group.
    pub(crate) fn flows(&self, person: &Person) -> (GroupId, KindSet) {
        let participant = self.view().seats[&person.client()].participant;
        let placement = self.known[&participant].placement;
        (placement.group, placement.publish.minus(self.groups[&placement.group].blocked))
    }

    fn drain(&mut self) {
        while let Some(output) = self.control.poll_output() {
            match output {
                ControlOutput::Frame { link, frame } => {
                    assert!(!self.closed.contains_key(&link), "a frame after the close: {frame:?}");
                    self.frames.entry(link).or_default().push(frame);
                }
                ControlOutput::CloseLink { link, reason } => {
                    self.closed.insert(link, reason);
                }
                ControlOutput::Media { worker, command } => self.command(worker, command),
                ControlOutput::Fence { worker } => {
                    self.fenced.push(worker);
                    self.forget(worker);
                    if self.homes.values().all(|home| *home == worker) {
                        self.forget_worker();
                    }
                }
                ControlOutput::Admin { reply, .. } => self.replies.push(reply),
            }
        }
    }
}
