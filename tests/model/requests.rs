//! The reference model, second half: what each request is answered, by the contract's checks in the
//! contract's order, and what follows.

use std::collections::BTreeSet;
use std::time::Duration;

use anteroom::base::{BreakoutId, ClientId, Kind, KindSet};
use anteroom::message::{Method, ParentFlags, Refusal};
use serde_json::{Map, Value};

use super::params::{Check, Params, ensure, whole};
use super::session::{Invitation, Place, Room, RoomState, Session};

/// How a request that passed its checks is answered.
#[derive(Debug)]
pub enum Outcome {
    Now,
    /// With the end of a move.
    Later,
    /// After rooms were made; for people to be dealt out, whether by force.
    Made {
        rooms: u64,
        like: Room,
        force: Option<bool>,
    },
}

impl Session {
    /// What `who` is answered, and what follows.
    pub fn ask(&mut self, who: ClientId, id: &str, method: &str, params: &Map<String, Value>) -> Outcome {
        let method: Check<Method> = method.parse().map_err(|()| Refusal::BadParameter);
        let answer = method.and_then(|method| self.answer(who, id, method, Params(params)));
        if !matches!(answer, Ok(Outcome::Later | Outcome::Made { force: Some(_), .. })) {
            let code = answer.as_ref().err().map_or(0, |refusal| refusal.code());
            self.acks.push((who, id.to_owned(), code));
        }
        answer.unwrap_or(Outcome::Now)
    }

    fn answer(&mut self, who: ClientId, id: &str, method: Method, p: Params<'_>) -> Check<Outcome> {
        match method {
            Method::JoinBreakOutRoom => return self.join(who, id, p),
            Method::Disconnect => return self.disconnect(who, id, p),
            Method::InviteToBreakOutRoom => return self.invite_all(who, id, p),
            Method::CreateBreakOutRoom => return self.create(who, p, false),
            Method::CreateAndInviteBreakoutRoom => return self.create(who, p, true),
            Method::ClearAllBreakOutSession => return self.empty(who, id, RoomState::Cleared),
            Method::DestroyAllBreakOutSession => return self.empty(who, id, RoomState::Destroyed),
            // About connections and the log, which are not in the model.
            Method::JoinRoom | Method::LeaveRoom | Method::RestartIce | Method::Replay => {}
            Method::ListBreakoutRooms => self.connected(who)?,
            Method::SetMicrophone => self.switch(who, p, true)?,
            Method::SetCamera => self.switch(who, p, false)?,
            Method::SetRole => self.set_role(who, p)?,
            Method::RemoveParticipant => self.remove(who, p)?,
            Method::SetRoomMode => self.set_mode(who, p)?,
            Method::EndRoom => self.moderator(who)?,
            Method::RejectBreakOutRoom => self.reject(who, p)?,
            Method::Pause => self.layer(who, p)?.paused = true,
            Method::Resume => self.layer(who, p)?.paused = false,
            Method::MuteRoom => self.mute(who, p, true)?,
            Method::UnmuteRoom => self.mute(who, p, false)?,
            Method::StartScreenShare => self.present(who, Kind::Share)?,
            Method::StopScreenShare => self.stop(who, Kind::Share)?,
            Method::StartCanvas => self.present(who, Kind::Canvas)?,
            Method::StopCanvas => self.stop(who, Kind::Canvas)?,
        }
        Ok(Outcome::Now)
    }

    // Checks that many have in common.

    fn connected(&self, who: ClientId) -> Check {
        let held = self.seats.get(&who).is_none_or(|seat| seat.held_since.is_some());
        ensure(!held, Refusal::NotConnected)
    }

    fn moderator(&self, who: ClientId) -> Check {
        self.connected(who)?;
        ensure(self.is_moderator(who), Refusal::Forbidden)
    }

    fn grouped(&self, who: ClientId) -> Check {
        self.connected(who)?;
        ensure(!self.lecture, Refusal::LectureMode)
    }

    fn in_parent(&self, who: ClientId) -> Check {
        ensure(self.seats[&who].place == Place::Parent, Refusal::NotInParent)
    }

    fn room(&self, p: Params<'_>) -> Check<BreakoutId> {
        let id = p.id("room_id", Refusal::UnknownRoom)?;
        let room = self.rooms.get(&id).ok_or(Refusal::UnknownRoom)?;
        ensure(room.state != RoomState::Destroyed, Refusal::RoomDestroyed)?;
        Ok(id)
    }

    fn client(&self, p: Params<'_>) -> Check<ClientId> {
        let id = p.id("clientId", Refusal::UnknownClient)?;
        ensure(self.seats.contains_key(&id), Refusal::UnknownClient)?;
        Ok(id)
    }

    fn may_run(&self, who: ClientId, room: BreakoutId) -> bool {
        self.is_moderator(who) || self.rooms[&room].owner == Some(who)
    }

    fn may_force(&self, who: ClientId) -> bool {
        self.is_moderator(who) || self.force_by_owner
    }

    // The meeting.

    fn switch(&mut self, who: ClientId, p: Params<'_>, microphone: bool) -> Check {
        self.connected(who)?;
        let (on, seat) = (p.bool("on")?, self.seat(who));
        *if microphone { &mut seat.microphone } else { &mut seat.camera } = on;
        Ok(())
    }

    fn set_role(&mut self, who: ClientId, p: Params<'_>) -> Check {
        self.moderator(who)?;
        let client = self.client(p)?;
        self.seat(client).moderator = p.either("role", ["participant", "moderator"], Refusal::BadRole)?;
        self.pass_ownership(None);
        self.silence_listeners();
        Ok(())
    }

    fn remove(&mut self, who: ClientId, p: Params<'_>) -> Check {
        self.moderator(who)?;
        let client = self.client(p)?;
        self.stand_up(client);
        Ok(())
    }

    fn set_mode(&mut self, who: ClientId, p: Params<'_>) -> Check {
        self.moderator(who)?;
        let lecture = p.either("mode", ["group", "lecture"], Refusal::BadParameter)?;
        ensure(!lecture || self.live().is_empty(), Refusal::LectureMode)?;
        self.lecture = lecture;
        self.silence_listeners();
        Ok(())
    }

    /// In lecture mode only moderators present.
    fn silence_listeners(&mut self) {
        let (lecture, seats) = (self.lecture, &self.seats);
        self.presenting.retain(|_, (who, _)| !lecture || seats[who].moderator);
    }

    // Breakout rooms.

    fn create(&mut self, who: ClientId, p: Params<'_>, deal: bool) -> Check<Outcome> {
        self.grouped(who)?;
        self.in_parent(who)?;
        ensure(!self.create_by_moderators || self.is_moderator(who), Refusal::Forbidden)?;
        let mut kinds = KindSet::NONE;
        for kind in Kind::ALL {
            kinds = if p.bool(kind.as_str())? { kinds.with(kind) } else { kinds };
        }
        p.optional("name", |name| name.as_str().filter(|name| !name.trim().is_empty()))?;
        let open = p.optional_bool("open")?.unwrap_or(false);
        let rooms = p.required("max_rooms", |rooms| rooms.is_number().then_some(rooms))?;
        let rooms = whole(rooms).filter(|rooms| *rooms >= 1);
        let mut force = None;
        if deal {
            force = Some(p.optional_bool("force_join")?.unwrap_or(self.may_force(who)));
            p.optional_bool("include_moderators")?;
            p.optional_whole("seed")?;
        }
        let participants = p.0.get("participants").and_then(whole).filter(|n| *n >= 2);
        let participants = participants.ok_or(Refusal::ParticipantsMissing)?;
        ensure(participants < self.talkers, Refusal::ParticipantsAboveLimit)?;
        let rooms = rooms.ok_or(Refusal::BadParameter)?;
        ensure(rooms.saturating_add(self.live().len() as u64) <= 10, Refusal::TooManyRooms)?;
        ensure(force != Some(true) || self.may_force(who), Refusal::Forbidden)?;
        kinds = if self.breakout_video { kinds } else { kinds.without(Kind::Video) };
        let kinds = kinds.and(self.carried.with(Kind::Audio).with(Kind::Video));
        let like = Room { state: RoomState::Open, participants, kinds, open, owner: Some(who) };
        Ok(Outcome::Made { rooms, like, force })
    }

    fn invite_all(&mut self, who: ClientId, id: &str, p: Params<'_>) -> Check<Outcome> {
        self.grouped(who)?;
        self.in_parent(who)?;
        let room = self.room(p)?;
        ensure(self.may_run(who, room), Refusal::Forbidden)?;
        let force = p.optional_bool("force_join")?.unwrap_or(false);
        ensure(!force || self.may_force(who), Refusal::Forbidden)?;
        let clients = p.required("clients", Value::as_array)?.iter().map(Value::as_str);
        let mut clients = clients.collect::<Option<Vec<&str>>>().ok_or(Refusal::BadParameter)?;
        let moderator = |client: &&str| client.parse().is_ok_and(|id| self.is_moderator(id));
        ensure(!force || self.is_moderator(who) || !clients.iter().any(moderator), Refusal::Forbidden)?;
        ensure(!clients.is_empty(), Refusal::EmptyList)?;
        let seconds = p.optional_whole("expires_in")?.unwrap_or(120);
        let deadline = (seconds > 0).then(|| self.now + Duration::from_secs(seconds));
        let op = self.start_op(who, id);
        let mut seen = BTreeSet::new();
        clients.retain(|client| seen.insert(*client));
        for client in clients {
            match self.may_invite(client, room, force) {
                Ok(client) if force => self.force(client, op, room),
                Ok(client) => {
                    self.invite(client, room, (who, deadline));
                    self.op(op).succeeded = true;
                }
                Err(why) => drop(self.op(op).failures.insert(client.to_owned(), why)),
            }
        }
        self.finish(op);
        Ok(Outcome::Later)
    }

    fn may_invite(&self, client: &str, room: BreakoutId, force: bool) -> Check<ClientId> {
        let client = client.parse().map_err(|_| Refusal::UnknownClient)?;
        let seat = self.seats.get(&client).ok_or(Refusal::UnknownClient)?;
        ensure(seat.stays_in_parent(), Refusal::TargetNotInParent)?;
        ensure(!force || seat.held_since.is_none(), Refusal::NotConnected)?;
        ensure(!force || self.has_seat(room, false), Refusal::RoomFull)?;
        Ok(client)
    }

    /// A forced move begins: as participant, with what the room allows.
    pub fn force(&mut self, client: ClientId, op: u64, room: BreakoutId) {
        let found = self.rooms.get_mut(&room).unwrap();
        found.state = RoomState::Open;
        let stream = found.kinds;
        self.send(client, op, room, false, stream);
    }

    pub fn invite(&mut self, client: ClientId, room: BreakoutId, by: Invitation) {
        self.rooms.get_mut(&room).unwrap().state = RoomState::Open;
        let seat = self.seat(client);
        seat.expired.remove(&room);
        seat.invited.insert(room, by);
    }

    fn join(&mut self, who: ClientId, id: &str, p: Params<'_>) -> Check<Outcome> {
        self.grouped(who)?;
        let seat = &self.seats[&who];
        ensure(seat.place == Place::Parent, Refusal::AlreadyInBreakout)?;
        ensure(seat.stays_in_parent(), Refusal::RequestInProgress)?;
        let named = self.room(p)?;
        let room = &self.rooms[&named];
        let as_moderator = p.either("role", ["participant", "moderator"], Refusal::BadRole)?;
        let runs = self.may_run(who, named);
        ensure(!as_moderator || runs, Refusal::Forbidden)?;
        let invited = runs || room.open || seat.invited.contains_key(&named);
        ensure(invited || !seat.expired.contains(&named), Refusal::InvitationExpired)?;
        ensure(invited, Refusal::NotInvited)?;
        ensure(self.has_seat(named, as_moderator), Refusal::RoomFull)?;
        let wish = Params(p.required("streamInfo", Value::as_object)?);
        let (audio, video) = (wish.bool("audio")?, wish.bool("video")?);
        let share = wish.optional_bool("share")?.unwrap_or(false);
        let canvas = wish.optional_bool("canvas")?.unwrap_or(false);
        for (kind, asked) in [(Kind::Audio, audio), (Kind::Share, share), (Kind::Canvas, canvas)] {
            ensure(!asked || room.kinds.contains(kind), Refusal::FeatureOff)?;
        }
        let stream = if audio { KindSet::ALL } else { KindSet::ALL.without(Kind::Audio) };
        let stream = if video { stream } else { stream.without(Kind::Video) };
        let op = self.start_op(who, id);
        self.send(who, op, named, as_moderator, stream);
        Ok(Outcome::Later)
    }

    fn reject(&mut self, who: ClientId, p: Params<'_>) -> Check {
        self.grouped(who)?;
        let room = self.room(p)?;
        let seat = self.seat(who);
        // An invitation is being used by the join that is under way; a forced one needs none.
        let joins = seat.moving.is_some_and(|moving| moving.to == Place::Breakout(room));
        ensure(!joins, Refusal::NotInvited)?;
        seat.invited.remove(&room).map(|_| ()).ok_or(Refusal::NotInvited)
    }

    fn disconnect(&mut self, who: ClientId, id: &str, p: Params<'_>) -> Check<Outcome> {
        self.grouped(who)?;
        let named = p.optional("room_id", Value::as_str)?;
        let seat = &self.seats[&who];
        // Who is on the way in may give it up.
        let there = match (seat.place, seat.moving, seat.taken_back) {
            (Place::Parent, Some(moving), _) => moving.to,
            (Place::Parent, None, Some((room, _))) => Place::Breakout(room),
            (place, ..) => place,
        };
        let Place::Breakout(room) = there else { return Err(Refusal::NotInBreakout) };
        ensure(named.is_none_or(|named| named == room.to_string()), Refusal::NotInBreakout)?;
        let returns = seat.moving.is_some_and(|moving| moving.to == Place::Parent);
        ensure(!returns && seat.taken_back.is_none(), Refusal::RequestInProgress)?;
        let (enters, known) = (seat.place == Place::Parent, seat.known);
        let op = self.start_op(who, id);
        if enters {
            self.cancel(who, Refusal::JoinFailed);
        } else {
            self.bring_back(who, op);
        }
        if let Some((_, waits)) = &mut self.seat(who).taken_back {
            *waits = Some(op);
        }
        self.op(op).succeeded = true;
        if known && !self.seats[&who].stays_in_parent() {
            self.op(op).left.insert(who);
        } else {
            self.applied(who);
        }
        self.finish(op);
        Ok(Outcome::Later)
    }

    fn empty(&mut self, who: ClientId, id: &str, state: RoomState) -> Check<Outcome> {
        self.grouped(who)?;
        let mut rooms = self.live();
        rooms.retain(|room| self.may_run(who, *room));
        let owner = state == RoomState::Cleared && !rooms.is_empty();
        ensure(owner || self.is_moderator(who), Refusal::Forbidden)?;
        let op = self.start_op(who, id);
        let why = if state == RoomState::Destroyed { Refusal::RoomDestroyed } else { Refusal::JoinFailed };
        let inside = |place| matches!(place, Place::Breakout(room) if rooms.contains(&room));
        for client in self.people() {
            if inside(self.seats[&client].place) {
                self.bring_back(client, op);
            } else if self.seats[&client].moving.is_some_and(|moving| inside(moving.to)) {
                self.cancel(client, why);
            }
            let seat = &self.seats[&client];
            let taken_back = seat.taken_back.is_some_and(|(room, _)| rooms.contains(&room));
            if seat.known && (taken_back || inside(seat.place)) {
                self.op(op).left.insert(client);
            }
        }
        (self.op(op).close, self.op(op).succeeded) = (Some((rooms, state)), true);
        self.finish(op);
        Ok(Outcome::Later)
    }

    // The parent's flags.

    /// The layer that the caller's request is about, if the caller may change it.
    fn layer(&mut self, who: ClientId, p: Params<'_>) -> Check<&mut ParentFlags> {
        self.connected(who)?;
        let asked = p.optional("scope", |scope| (scope == "room").then_some(true))?;
        let whole = asked.is_some() || self.seats[&who].place == Place::Parent;
        ensure(!whole || self.is_moderator(who), Refusal::Forbidden)?;
        Ok(if whole { &mut self.flags } else { &mut self.seat(who).leg })
    }

    fn mute(&mut self, who: ClientId, p: Params<'_>, on: bool) -> Check {
        let flags = self.layer(who, p)?;
        let (audio, video) = (p.optional_bool("audio")?, p.optional_bool("video")?);
        let both = !on && audio.is_none() && video.is_none();
        flags.audio_muted = if both || audio == Some(true) { on } else { flags.audio_muted };
        flags.video_muted = if both || video == Some(true) { on } else { flags.video_muted };
        Ok(())
    }

    // Presenting.

    fn present(&mut self, who: ClientId, kind: Kind) -> Check {
        self.connected(who)?;
        let place = self.seats[&who].place;
        let carried = if let Place::Breakout(room) = place { self.rooms[&room].kinds } else { self.carried };
        ensure(carried.contains(kind), Refusal::FeatureOff)?;
        ensure(!self.lecture || self.is_moderator(who), Refusal::Forbidden)?;
        let active = self.presenting.get(&place);
        ensure(active != Some(&(who, kind)), Refusal::AlreadyActive)?;
        ensure(active.is_none(), Refusal::ShareOrCanvasActive)?;
        self.presenting.insert(place, (who, kind));
        Ok(())
    }

    fn stop(&mut self, who: ClientId, kind: Kind) -> Check {
        self.connected(who)?;
        self.presenting.retain(|_, active| *active != (who, kind));
        Ok(())
    }
}
