//! Control, a fake worker and the model, side by side. Every input goes to all of them; whatever
//! differs afterwards is an error.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use anteroom::base::{
    BatchId, BreakoutId, ClientId, Epoch, Kind, KindSet, LinkId, ParticipantId, Random, Time, WorkerId,
};
use anteroom::control::settings::{BreakoutSettings, ControlSettings, CreateBy, ForceBy};
use anteroom::control::{Control, SessionView};
use anteroom::message::{Claims, ControlInput, Frame, Request, Role, RoomSettings};
use serde_json::{Map, Value, json};

use super::crash::Disk;
use super::observe::Outputs;
use super::session::{Seat, Session};
use super::step::{Offer, PEOPLE, Step};
use super::tale::Tale;
use super::worker::{FakeWorker, write_offer};

pub type Check<T = ()> = Result<T, String>;

/// The one parent room of every script.
pub const ROOM: &str = "standup";
const WORKER: WorkerId = WorkerId(0);
/// After so many steps it is seen what a crash would leave.
const CRASH_EVERY: u64 = 8;

/// One of the people.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// The open signalling connections; the newest is used.
    pub links: Vec<LinkId>,
    pub client: Option<ClientId>,
    pub secret: Option<String>,
    pub secret_before: Option<String>,
    pub last: Option<Request>,
}

/// A `joinRoom` whose offer the worker has not answered.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub id: String,
    pub link: LinkId,
    pub at: Time,
    pub role: Role,
    pub participant: ParticipantId,
    /// Nothing until the worker is told of it.
    pub epoch: Option<Epoch>,
    /// The seat that it comes back to, and whether the worker knew it before.
    pub back: Option<(ClientId, bool)>,
    /// By which secret.
    pub given: Option<String>,
}

/// An ack that is due in this input.
#[derive(Clone, Debug)]
pub struct Due {
    /// Nothing if nobody is there to hear it.
    pub link: Option<LinkId>,
    pub client: Option<ClientId>,
    pub id: String,
    pub code: u16,
}

/// A request of a seat: when and where it was first made, its code once it has one, and its ack once
/// somebody has heard it.
#[derive(Clone, Debug)]
pub struct Known {
    pub at: Time,
    pub link: LinkId,
    pub code: Option<u16>,
    /// Whether it was the loss of the worker that settled it: nobody may have heard of it then.
    pub is_degraded: bool,
    pub ack: Option<Frame>,
}

fn draw_settings(random: &mut Random) -> ControlSettings {
    let mut one_in = |bound| random.below(bound) == 0;
    let room = RoomSettings {
        max_participants: if one_in(4) { 6 } else { 200 },
        share: !one_in(8),
        canvas: !one_in(8),
        ..RoomSettings::default()
    };
    let breakout = BreakoutSettings {
        create_by: if one_in(5) { CreateBy::Moderators } else { CreateBy::Any },
        force_by: if one_in(3) { ForceBy::Owner } else { ForceBy::Moderators },
        video: one_in(3),
    };
    let max_active_talkers = [6, 6, 6, 4, 3, 2][usize::try_from(random.below(6)).unwrap()];
    let room = RoomSettings { max_active_talkers, ..room };
    ControlSettings { room, breakout, ..ControlSettings::default() }
}

pub struct World {
    pub control: Control,
    pub session: Session,
    /// How a session begins.
    pub fresh: Session,
    pub settings: RoomSettings,
    pub worker: FakeWorker,
    pub tale: Tale,
    pub now: Time,
    pub people: Vec<Person>,
    /// Whether there is a session.
    pub started: bool,
    pub empty_since: Option<Time>,
    /// Signalling connections that are open at both ends, whose they are, and the seat each speaks for.
    pub links: BTreeMap<LinkId, usize>,
    pub attached: BTreeMap<LinkId, ClientId>,
    /// Links that control has to close.
    pub leaving: BTreeSet<LinkId>,
    pub clients: BTreeMap<ParticipantId, ClientId>,
    pub secrets: BTreeMap<ClientId, String>,
    /// Those by which seats were come back to, until their links show that they know the newest.
    pub given: BTreeMap<ClientId, String>,
    /// The placement that each client was told last.
    pub heard_of: BTreeMap<ClientId, Epoch>,
    /// The connection that each participant uses, and the newest epoch that the worker was told.
    pub connections: BTreeMap<ParticipantId, Epoch>,
    pub told: BTreeMap<ParticipantId, Epoch>,
    pub arrivals: Vec<Arrival>,
    /// ICE restarts that wait: the request, when it came, and the number that the worker is to report.
    pub restarts: BTreeMap<ClientId, (String, Time, u64)>,
    /// When the worker reported last.
    pub heard: Option<Time>,
    pub batches: BTreeMap<BatchId, (Time, Vec<ParticipantId>)>,
    pub latest: BTreeMap<ParticipantId, BatchId>,
    /// Requests that wait until everybody is brought back.
    pub deferred: VecDeque<(LinkId, ClientId, Request)>,
    pub known: BTreeMap<(ClientId, String), Known>,
    pub due: Vec<Due>,
    /// The request that this input is.
    pub asked: Option<String>,
    pub made: Vec<BreakoutId>,
    pub out: Outputs,
    disk: Disk,
    /// What control showed after the last input.
    pub view: Option<SessionView>,
    prompt: bool,
    count: u64,
    steps: u64,
}

impl World {
    /// A new world; everything about it follows from the seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::from_number(seed);
        let settings = draw_settings(&mut random);
        let (room, breakout) = (settings.room.clone(), settings.breakout);
        let on = [room.audio, room.video, room.share, room.canvas];
        let carried = Kind::ALL.into_iter().zip(on).filter(|(_, on)| *on).map(|(kind, _)| kind);
        let fresh = Session {
            create_by_moderators: breakout.create_by == CreateBy::Moderators,
            force_by_owner: breakout.force_by == ForceBy::Owner,
            breakout_video: breakout.video,
            carried: carried.fold(KindSet::NONE, KindSet::with),
            talkers: u64::from(room.max_active_talkers),
            ..Session::default()
        };
        let now = Time::from_unix_seconds(1_000_000);
        Self {
            disk: Disk::new(settings.clone()),
            control: Control::restore(settings, 1, random, (Time::default(), BTreeMap::new())).unwrap(),
            session: Session { now, ..fresh.clone() },
            fresh,
            settings: room,
            worker: FakeWorker::default(),
            tale: Tale::default(),
            now,
            people: vec![Person::default(); PEOPLE.len()],
            started: false,
            links: BTreeMap::new(),
            attached: BTreeMap::new(),
            leaving: BTreeSet::new(),
            clients: BTreeMap::new(),
            secrets: BTreeMap::new(),
            given: BTreeMap::new(),
            heard_of: BTreeMap::new(),
            connections: BTreeMap::new(),
            told: BTreeMap::new(),
            arrivals: Vec::new(),
            restarts: BTreeMap::new(),
            heard: None,
            batches: BTreeMap::new(),
            latest: BTreeMap::new(),
            deferred: VecDeque::new(),
            known: BTreeMap::new(),
            due: Vec::new(),
            asked: None,
            made: Vec::new(),
            empty_since: None,
            out: Outputs::default(),
            view: None,
            prompt: true,
            count: 0,
            steps: 0,
        }
    }

    /// Does one step and checks everything after each input that it is made of.
    pub fn step(&mut self, step: &Step) -> Check {
        self.steps += 1;
        match step {
            Step::Join { who, role, offer } => self.join(*who, *role, *offer)?,
            Step::Resume { who, offer, over_new, by_old } => {
                let person = &self.people[*who];
                let secret = if *by_old { &person.secret_before } else { &person.secret };
                if let Some(secret) = secret.clone() {
                    self.resume(*who, &secret, *offer, *over_new)?;
                }
            }
            Step::Unplug { who } => {
                if let Some(link) = self.link(*who) {
                    self.unplug(link)?;
                }
            }
            Step::LoseMedia { who } => {
                if let Some(participant) = self.participant_of(*who) {
                    self.worker.lose(participant);
                }
            }
            Step::DtlsDone { who } => {
                if let Some(participant) = self.participant_of(*who) {
                    self.worker.finish_dtls(participant);
                }
            }
            Step::Ask { who, method, params } => {
                if let Some(link) = self.link(*who) {
                    let Value::Object(params) = self.named(params) else { unreachable!("an object") };
                    let request = Request { id: self.next_id(), method: method.clone(), params };
                    self.people[*who].last = Some(request.clone());
                    self.request(link, request, None)?;
                }
            }
            Step::Repeat { who } => {
                if let (Some(link), Some(request)) = (self.link(*who), self.people[*who].last.clone()) {
                    self.request(link, request, None)?;
                }
            }
            Step::Prompt(prompt) => self.prompt = *prompt,
            Step::Work { commands, reports, overtake } => self.work(*commands, *reports, *overtake)?,
            Step::Chatter => {
                self.worker.chatter();
                self.landed()?;
            }
            Step::Crash => {
                self.worker.crash();
                self.feed(ControlInput::WorkerLost { worker: WORKER }, Self::worker_is_lost)?;
            }
            Step::Wait { millis } => self.advance(self.now + Duration::from_micros(millis * 1_000 + 7))?,
        }
        while self.prompt && !self.worker.is_idle() {
            self.work(usize::MAX, 1, false)?;
        }
        self.check_media()?;
        self.disk.save(&mut self.control);
        if self.steps.is_multiple_of(CRASH_EVERY) {
            self.disk.check(&self.control, self.now, ROOM)
        } else {
            Ok(())
        }
    }

    /// The end of a script: the worker is prompt, time passes, and everything has come to rest.
    pub fn finish(&mut self) -> Check {
        self.step(&Step::Prompt(true))?;
        self.step(&Step::Wait { millis: 20_000 })?;
        self.tale.check_from_scratch(self.view.as_ref())
    }

    fn next_id(&mut self) -> String {
        self.count += 1;
        format!("r{}", self.count)
    }

    fn participant_of(&self, who: usize) -> Option<ParticipantId> {
        let client = self.people[who].client?;
        self.clients.iter().find(|(_, c)| **c == client).map(|(participant, _)| *participant)
    }

    /// The parameters with ids for `@roomN` and `@NAME`.
    fn named(&self, value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                Value::Object(map.iter().map(|(k, v)| (k.clone(), self.named(v))).collect::<Map<_, _>>())
            }
            Value::Array(list) => Value::Array(list.iter().map(|value| self.named(value)).collect()),
            Value::String(text) => match text.strip_prefix('@') {
                Some(name) => json!(self.id_of(name)),
                None => value.clone(),
            },
            other => other.clone(),
        }
    }

    fn id_of(&self, name: &str) -> String {
        let nobody = || "ffffffffffffffffffffffffffffffff".to_owned();
        if let Some(age) = name.strip_prefix("room") {
            let room = self.made.iter().rev().nth(age.parse().unwrap());
            return room.map_or_else(nobody, ToString::to_string);
        }
        let who = PEOPLE.iter().position(|person| *person == name).unwrap();
        self.people[who].client.map_or_else(nobody, |client| client.to_string())
    }

    /// Everybody who was told of the newest slots says to have taken them in.
    fn landed(&mut self) -> Check {
        for (link, client) in self.attached.clone() {
            let participant = self.clients.iter().find(|(_, c)| **c == client).map(|(p, _)| *p);
            let newest = participant.and_then(|p| self.told.get(&p)).copied();
            // The answer to an offer whose link is gone is heard by nobody.
            if let Some(epoch) = newest.filter(|epoch| self.heard_of.get(&client) == Some(epoch)) {
                self.feed(ControlInput::Told { link, epoch }, |world| {
                    world.given.remove(&client);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    // Connections.

    fn link(&self, who: usize) -> Option<LinkId> {
        self.people[who].links.last().copied()
    }

    fn open(&mut self, who: usize, role: Role) -> Check<LinkId> {
        self.count += 1;
        let link = LinkId(self.count);
        let (room, name, expires_at) = (ROOM.to_owned(), PEOPLE[who].to_owned(), Time(u64::MAX));
        let claims = Claims { room, name, role, expires_at, lapsed: false };
        self.people[who].links.push(link);
        self.links.insert(link, who);
        self.feed(ControlInput::LinkOpened { link, claims }, |_| Ok(()))?;
        Ok(link)
    }

    fn unplug(&mut self, link: LinkId) -> Check {
        self.forget_link(link);
        let client = self.attached.remove(&link);
        self.feed(ControlInput::LinkClosed { link }, |world| {
            world.arrivals.retain(|arrival| arrival.link != link || arrival.back.is_some());
            // What the worker was not told of is nobody's wish any more.
            let given_up = |one: &mut Arrival| one.link == link && one.epoch.is_none();
            for arrival in world.arrivals.extract_if(.., given_up).collect::<Vec<_>>() {
                world.owe(link, arrival.back.map(|(client, _)| client), &arrival.id, 1729);
            }
            if let Some(client) = client {
                let media = world.session.seats[&client].media;
                world.session.connections(client, false, media);
            }
            Ok(())
        })
    }

    pub fn forget_link(&mut self, link: LinkId) {
        if let Some(who) = self.links.remove(&link) {
            self.people[who].links.retain(|other| *other != link);
        }
    }

    fn join(&mut self, who: usize, role: Role, offer: Offer) -> Check {
        if self.link(who).is_some() {
            return Ok(());
        }
        let link = self.open(who, role)?;
        let request = Request::new(self.next_id(), "joinRoom", json!({"sdp": write_offer(offer)}));
        self.request(link, request, Some(role))
    }

    fn resume(&mut self, who: usize, secret: &str, offer: Option<Offer>, over_new: bool) -> Check {
        let mut params = json!({"resume": secret});
        if let Some(offer) = offer {
            params["sdp"] = json!(write_offer(offer));
        }
        let link = match self.link(who) {
            Some(link) if !over_new => link,
            _ => self.open(who, Role::Participant)?,
        };
        let request = Request::new(self.next_id(), "joinRoom", params);
        self.request(link, request, None)
    }

    fn request(&mut self, link: LinkId, request: Request, role: Option<Role>) -> Check {
        let input = ControlInput::Request { link, request: request.clone() };
        self.feed(input, |world| world.take(link, request, role))
    }

    // The worker and time.

    fn work(&mut self, commands: usize, reports: usize, overtake: bool) -> Check {
        for _ in 0..commands {
            if !self.worker.apply()? {
                break;
            }
        }
        for _ in 0..reports {
            let Some(report) = self.worker.report(overtake) else { break };
            let input = ControlInput::Media { worker: WORKER, report: report.clone() };
            self.feed(input, |world| world.reported(report))?;
        }
        Ok(())
    }

    /// Time passes, and everything that is due until then happens in order.
    fn advance(&mut self, to: Time) -> Check {
        loop {
            let (control, model) = (self.control.poll_timeout(), self.next_deadline());
            if model.is_some_and(|at| at <= to && control.is_none_or(|control| control > at)) {
                return Err(format!("control sleeps until {control:?}, but something is due at {model:?}"));
            }
            let Some(next) = control.filter(|at| *at <= to) else { break };
            if next < self.now {
                return Err(format!("control wants to be woken at {next}, before {}", self.now));
            }
            self.now = next;
            self.asked = None;
            self.control.handle_timeout(next);
            if self.control.poll_timeout().is_some_and(|at| at <= next) {
                return Err(format!("control wants to be woken at {next} again and again"));
            }
            self.settle(Self::tick)?;
        }
        self.now = to;
        Ok(())
    }

    /// Gives control an input, and the model what it means.
    fn feed(&mut self, input: ControlInput, model: impl FnOnce(&mut Self) -> Check) -> Check {
        // Some inputs come at the same moment.
        let later = u64::from(!self.steps.is_multiple_of(3));
        self.advance(self.now + Duration::from_micros(later))?;
        self.asked = match &input {
            ControlInput::Request { request, .. } => Some(request.id.clone()),
            _ => None,
        };
        self.control.handle(self.now, input);
        self.settle(model)
    }
}

impl super::generate::Known for World {
    fn session(&self) -> &Session {
        &self.session
    }

    fn seat_of(&self, who: usize) -> Option<&Seat> {
        self.session.seats.get(&self.people[who].client?)
    }

    fn may_resume(&self, who: usize) -> bool {
        self.people[who].secret.is_some()
    }

    fn is_prompt(&self) -> bool {
        self.prompt
    }
}
