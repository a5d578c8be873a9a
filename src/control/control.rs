//! The owner of all rooms of a node: takes inputs to their session, and lets time pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::connect::JoinRoom;
use super::context::{Context, SeatRef, SessionId};
use super::denied::Denied;
use super::log::LoggedEvent;
use super::params::Params;
use super::reply::ReplyTo;
use super::requests::refuse;
use super::save::Misfit;
use super::session::Session;
use super::settings::ControlSettings;
use super::view::{SessionView, Totals};
use crate::base::{Deadlines, Epoch, LinkId, MAX_NAME, ParticipantId, Random, Time, WorkerId, is_name};
use crate::message::saved::{Change, Key, Record};
use crate::message::{
    AdminReply, AdminRequest, Claims, ControlInput, ControlOutput, EndReason, MediaCommand, MediaReport,
    Method, Refusal, Request, RoomSettings,
};

/// Longest id of a request, in bytes. Ids are kept for two minutes.
const MAX_REQUEST_ID: usize = 128;

/// All rooms of a node.
///
/// Fed with [`Control::handle`] and [`Control::handle_timeout`]; after them [`Control::poll_output`]
/// is drained, in order. Time never goes back: an earlier `now` counts as the latest one.
///
/// What a worker reports counts before what is due at the same moment, so that a worker is not taken
/// for silent whose report waited in a queue: deadlines stay as they are in [`Control::handle`] of a
/// report, until another input or [`Control::handle_timeout`].
pub struct Control {
    cx: Context,
    /// At most `max_rooms`.
    sessions: BTreeMap<SessionId, Session>,
    names: BTreeMap<String, SessionId>,
    deadlines: Deadlines<SessionId>,
    /// Sessions of which something may differ from what is saved.
    unsaved: BTreeSet<SessionId>,
    /// What is to be forgotten of sessions that have ended.
    ended: Vec<Change>,
}

impl Control {
    /// An empty node with `workers` media workers, at least one. Every secret and id is drawn from
    /// `random`.
    #[must_use]
    pub fn new(settings: ControlSettings, workers: u16, random: Random) -> Self {
        Self {
            cx: Context::new(settings, workers, random),
            sessions: BTreeMap::new(),
            names: BTreeMap::new(),
            deadlines: Deadlines::default(),
            unsaved: BTreeSet::new(),
            ended: Vec::new(),
        }
    }

    /// A node as it was when all changes up to some moment had been saved; of it everything is saved, too.
    /// Its people are Held from `now` on.
    ///
    /// # Errors
    /// [`Misfit`] where the records are not what one node has saved.
    pub fn restore(
        settings: ControlSettings,
        workers: u16,
        random: Random,
        (now, saved): (Time, BTreeMap<Key, Record>),
    ) -> Result<Self, Misfit> {
        let mut control = Self::new(settings, workers, random);
        (control.cx.now, control.cx.saves) = (now, true);
        control.cx.skip_ids(saved.last_key_value().map_or(0, |(key, _)| key.session));
        let mut rest = saved.into_iter().peekable();
        while let Some((key, record)) = rest.next() {
            let Record::Head(head) = record else { return Err(Misfit::headless(&key)) };
            let id = SessionId(key.session);
            if control.names.insert(head.name.clone(), id).is_some() {
                return Err(Misfit::twice(&key));
            }
            let mut session = Session::restored(&mut control.cx, id, head);
            let mut parts = Vec::new();
            while let Some(part) = rest.next_if(|(other, _)| other.session == key.session) {
                parts.push(part);
            }
            session.restore_parts(&mut control.cx, parts)?;
            control.sessions.insert(id, session);
            control.with(id, |_, _| ());
        }
        Ok(control)
    }

    /// What has changed since the last call and is to be saved, as one step, before anybody is told.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.ended);
        while let Some(id) = self.unsaved.pop_first() {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.changes(&mut changes);
            }
        }
        changes
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Time, input: ControlInput) {
        if matches!(input, ControlInput::Media { .. }) {
            self.cx.now = self.cx.now.max(now);
        } else {
            self.handle_timeout(now);
        }
        match input {
            ControlInput::LinkOpened { link, claims } => self.cx.open_link(link, claims),
            ControlInput::Request { link, request } => self.request(link, request),
            ControlInput::Told { link, epoch } => self.told(link, epoch),
            ControlInput::LinkClosed { link } => self.link_closed(link),
            ControlInput::Media { worker, report } => self.report(worker, report),
            ControlInput::WorkerLost { worker } => self.worker_lost(worker),
            ControlInput::Intake(intake) => self.cx.intake = intake,
            ControlInput::Admin { ticket, request } => {
                let reply = self.admin(request);
                self.cx.emit(ControlOutput::Admin { ticket, reply });
            }
        }
        self.settle_silent();
    }

    /// The next thing to be done outside, if any.
    pub fn poll_output(&mut self) -> Option<ControlOutput> {
        self.cx.poll_output()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        self.cx.now = self.cx.now.max(now);
        while let Some(id) = self.deadlines.pop_due(self.cx.now) {
            self.with(id, Session::handle_deadlines);
        }
        self.settle_silent();
    }

    /// Says that the whole process did nothing for so long, up to now. Its workers did not either: their
    /// silence in that time says nothing about them.
    pub fn excuse_workers(&mut self, pause: Duration) {
        self.cx.excuse_workers(pause);
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.with(id, |session, _| session.excuse_workers(pause));
        }
    }

    /// A session as plain data; nothing if there is no room of this name.
    #[must_use]
    pub fn inspect(&self, room: &str) -> Option<SessionView> {
        self.sessions.get(self.names.get(room)?).map(Session::view)
    }

    /// The changes of a session from a number on, oldest first, as far as its log reaches back.
    pub fn events(&self, room: &str, from_seq: u64) -> impl Iterator<Item = &LoggedEvent> {
        let session = self.names.get(room).and_then(|id| self.sessions.get(id));
        session.into_iter().flat_map(move |session| session.log.from(from_seq))
    }

    /// How much there is.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { rooms: self.sessions.len(), ..Totals::default() };
        for session in self.sessions.values() {
            totals.breakouts += session.rooms.len();
            totals.participants += session.seats.len();
            totals.held += session.seats.values().filter(|seat| !seat.connected()).count();
        }
        totals
    }

    /// Does something with a session, and then what follows from it.
    fn with<T>(&mut self, id: SessionId, act: impl FnOnce(&mut Session, &mut Context) -> T) -> Option<T> {
        let session = self.sessions.get_mut(&id)?;
        let outcome = act(session, &mut self.cx);
        while session.ended.is_none() && session.run_deferred(&mut self.cx) {}
        if self.cx.saves {
            self.unsaved.insert(id);
        } else {
            session.save_nothing();
        }
        match session.next_deadline() {
            Some(at) => self.deadlines.set(id, at),
            None => {
                self.deadlines.clear(&id);
            }
        }
        if let Some(reason) = session.ended {
            self.forget(id, reason);
        }
        Some(outcome)
    }

    /// A session has ended. A room that an operator made starts over, until it is deleted.
    fn forget(&mut self, id: SessionId, reason: EndReason) {
        self.deadlines.clear(&id);
        let Some(mut session) = self.sessions.remove(&id) else { return };
        session.forget_saved(&mut self.ended);
        self.unsaved.remove(&id);
        for (link, _, request) in &session.deferred {
            refuse(&mut self.cx, *link, request, Refusal::NotConnected);
        }
        self.names.remove(&*session.name);
        if session.by_admin && reason != EndReason::Deleted {
            self.start(&session.name, session.settings, true);
        }
    }

    fn start(&mut self, name: &str, settings: RoomSettings, by_admin: bool) -> SessionId {
        let id = self.cx.next_session();
        let session = Session::new(&mut self.cx, id, name, settings, by_admin);
        self.sessions.insert(id, session);
        self.names.insert(name.to_owned(), id);
        self.with(id, |_, _| ());
        id
    }

    fn request(&mut self, link: LinkId, request: Request) {
        let Some(known) = self.cx.link(link) else { return };
        let (seat, joining, closing) = (known.seat, known.joining.clone(), known.is_closing());
        self.cx.owe(link);
        if closing {
            return refuse(&mut self.cx, link, &request, Refusal::NotConnected);
        }
        if !(1..=MAX_REQUEST_ID).contains(&request.id.len()) {
            let denied = Denied::field("id", "a text of 1 to 128 bytes");
            return self.cx.ack(link, request.failure(denied.data()));
        }
        if let Some(SeatRef { session, client }) = seat {
            self.with(session, |session, cx| session.request(cx, link, client, request));
            return;
        }
        match (joining, request.method.parse()) {
            // The one ack is still to come.
            (Some((_, id)), _) if id == request.id => self.cx.paid(link),
            (Some(_), Ok(Method::JoinRoom)) => {
                refuse(&mut self.cx, link, &request, Refusal::RequestInProgress)
            }
            (None, Ok(Method::JoinRoom)) => {
                if let Err(denied) = self.join_room(link, &request) {
                    self.cx.ack(link, request.failure(denied.data()));
                }
            }
            _ => refuse(&mut self.cx, link, &request, Refusal::NotConnected),
        }
    }

    fn join_room(&mut self, link: LinkId, request: &Request) -> Result<(), Denied> {
        let claims = self.cx.link(link).map(|link| link.claims.clone()).ok_or(Refusal::Internal)?;
        check_names(&claims)?;
        let join = JoinRoom::read(Params(&request.params))?;
        if claims.lapsed && join.resume.is_none() {
            let text =
                "The token has expired: get a new one to take a seat, or come back to yours with `resume`.";
            return Err(Denied::new(Refusal::Forbidden, text));
        }
        if join.resume.is_none()
            && let Some(text) = self.cx.intake.refusal()
        {
            return Err(Denied::new(Refusal::JoinFailed, text));
        }
        let id = match self.names.get(&claims.room) {
            Some(id) => *id,
            None if join.resume.is_some() => {
                return Err(Denied::new(Refusal::JoinFailed, "This room is gone. Join without `resume`."));
            }
            None if self.sessions.len() >= self.cx.settings.max_rooms => {
                return Err(Denied::new(Refusal::JoinFailed, "This server has no place for another room."));
            }
            None => self.start(&claims.room, self.cx.settings.room.clone(), false),
        };
        let reply = ReplyTo { link, id: request.id.clone(), method: Method::JoinRoom };
        self.with(id, |session, cx| session.join_room(cx, &reply, join))
            .unwrap_or(Err(Refusal::Internal.into()))
    }

    /// A client says in which placement it knows itself; one that is past has no effect.
    fn told(&mut self, link: LinkId, epoch: Epoch) {
        let seat = self.cx.link(link).and_then(|known| known.seat);
        let Some(SeatRef { session, client }) = seat else { return };
        let Some(session) = self.sessions.get(&session) else { return };
        let Some(seat) = session.seats.get(&client).filter(|seat| seat.confirmed == epoch) else { return };
        let (participant, worker, is_new) = (seat.participant, seat.worker, seat.previous.is_some());
        if is_new {
            let id = session.id;
            self.with(id, |session, _| session.secret_is_known(client));
        }
        self.cx.media(worker, MediaCommand::Landed { participant, epoch });
    }

    fn link_closed(&mut self, link: LinkId) {
        let Some(known) = self.cx.forget_link(link) else { return };
        if let Some((session, _)) = known.joining {
            self.with(session, |session, cx| {
                session.forget_fresh(cx, link);
                session.forget_offer(cx, link);
            });
        }
        if let Some(SeatRef { session, client }) = known.seat {
            self.with(session, |session, cx| session.link_lost(cx, client, link));
        }
    }

    fn report(&mut self, worker: WorkerId, report: MediaReport) {
        self.cx.hear(worker);
        match report {
            MediaReport::Answered { participant, epoch, result } => {
                self.at(worker, participant, |session, cx, seat| {
                    session.answered(cx, participant, seat, epoch, result);
                });
            }
            MediaReport::IceRestarted { participant, number, result } => {
                self.at(worker, participant, |session, cx, seat| {
                    session.ice_restarted(cx, seat, number, result);
                });
            }
            MediaReport::TransportUp { participant, epoch, .. } => {
                self.at(worker, participant, |session, cx, seat| session.transport_up(cx, seat, epoch));
            }
            MediaReport::TransportLost { participant, epoch, reason } => {
                self.at(worker, participant, |session, cx, seat| {
                    session.transport_lost(cx, seat, epoch, reason)
                });
            }
            MediaReport::Slots { participant, epoch, group, slots } => {
                self.at(worker, participant, |session, cx, seat| {
                    session.slots_changed(cx, seat, epoch, group, &slots);
                });
            }
            MediaReport::Revoked { batch } => {
                if let Some(id) = self.cx.batches.get(&batch).copied() {
                    self.with(id, |session, cx| session.revoked(cx, batch, worker));
                }
            }
            MediaReport::Moved { batch, moved, .. } => {
                if let Some(id) = self.cx.batches.get(&batch).copied() {
                    self.with(id, |session, cx| session.moved(cx, batch, worker, moved));
                }
            }
            MediaReport::Talkers { group, talkers } => {
                if let Some(id) = self.cx.groups.get(&group).copied() {
                    let talkers: Vec<(ParticipantId, u8)> =
                        talkers.iter().map(|talker| (talker.participant, talker.level)).collect();
                    self.with(id, |session, cx| session.talkers(cx, group, &talkers));
                }
            }
        }
    }

    /// Does something with the seat whose media this is. Reports of a worker that the seat is not on
    /// are ignored.
    fn at(
        &mut self,
        worker: WorkerId,
        participant: ParticipantId,
        act: impl FnOnce(&mut Session, &mut Context, crate::base::ClientId),
    ) {
        let Some(SeatRef { session, client }) = self.cx.participants.get(&participant).copied() else {
            return;
        };
        let is_on = |session: &Session| session.is_on(worker, participant, client);
        if self.sessions.get(&session).is_some_and(is_on) {
            self.with(session, |session, cx| act(session, cx, client));
        }
    }

    /// Workers that did not report in time are fenced, and then count as crashed.
    fn settle_silent(&mut self) {
        while let Some(worker) = self.cx.silent.pop() {
            self.cx.silent.retain(|other| *other != worker);
            self.cx.emit(ControlOutput::Fence { worker });
            self.worker_lost(worker);
        }
    }

    fn worker_lost(&mut self, worker: WorkerId) {
        let concerned: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|session| session.spread.contains(worker))
            .map(|session| session.id)
            .collect();
        for id in concerned {
            self.with(id, |session, cx| session.worker_lost(cx, worker));
        }
    }

    fn admin(&mut self, request: AdminRequest) -> AdminReply {
        match request {
            AdminRequest::CreateRoom { name, settings } => {
                let settings = settings.unwrap_or_else(|| self.cx.settings.room.clone());
                if let Err(text) =
                    check_name("name", &name).and_then(|()| ControlSettings::check_room(&settings))
                {
                    return AdminReply::Invalid(text);
                }
                if self.names.contains_key(&name) {
                    return AdminReply::Exists;
                }
                if self.sessions.len() >= self.cx.settings.max_rooms {
                    return AdminReply::Invalid("this server has no place for another room".to_owned());
                }
                self.start(&name, settings.clone(), true);
                AdminReply::Created { name, settings, kept: true }
            }
            AdminRequest::DeleteRoom { name } => {
                let Some(id) = self.names.get(&name).copied() else { return AdminReply::Unknown };
                self.with(id, |session, cx| session.end(cx, EndReason::Deleted));
                AdminReply::Deleted { kept: true }
            }
            AdminRequest::EndRoom { name } => {
                let Some(id) = self.names.get(&name).copied() else { return AdminReply::Unknown };
                self.with(id, |session, cx| session.end(cx, EndReason::Ended));
                AdminReply::Ended
            }
            AdminRequest::ListRooms => {
                let rooms = self.names.iter().filter_map(|(name, id)| {
                    let session = self.sessions.get(id)?;
                    Some((name.clone(), session.mode, session.seats.len(), session.rooms.len()))
                });
                AdminReply::Rooms(rooms.collect())
            }
            AdminRequest::IsKnown { room, name } => {
                let session = self.names.get(&room).and_then(|id| self.sessions.get(id));
                let is_it = |seat: &super::seat::Seat| *seat.name == *name;
                AdminReply::Seated(session.is_some_and(|one| one.seats.values().any(is_it)))
            }
            AdminRequest::IsSeated(claims) => {
                let session = self.names.get(&claims.room).and_then(|id| self.sessions.get(id));
                let token = (claims.name, claims.expires_at);
                AdminReply::Seated(session.is_some_and(|one| one.seats.values().any(|s| s.token == token)))
            }
        }
    }
}

fn check_names(claims: &Claims) -> Result<(), Denied> {
    check_name("room", &claims.room)
        .and_then(|()| check_name("name", &claims.name))
        .map_err(|text| Denied::new(Refusal::BadParameter, format!("The token's {text}.")))
}

fn check_name(field: &str, name: &str) -> Result<(), String> {
    if !is_name(name) {
        return Err(format!(
            "`{field}` must be a text of 1 to {MAX_NAME} characters, none of which control or turn text"
        ));
    }
    Ok(())
}
