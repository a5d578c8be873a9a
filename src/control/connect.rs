//! `joinRoom` and `restartIce`: taking a seat, coming back to one, and renewing its connection.

use serde_json::{Value, json};

use super::answers::Answers;
use super::context::{Context, SeatRef};
use super::deadline::{ANSWER_WAIT, Deadline};
use super::denied::Denied;
use super::log::Audience;
use super::moves::slot_states;
use super::params::Params;
use super::reconnect::returns;
use super::reply::{Answer, ReplyTo};
use super::seat::{Media, Place, Restart, Seat};
use super::session::Session;
use crate::base::{ClientId, Epoch, LinkId, ParticipantId, WorkerId};
use crate::message::{
    self as protocol, CloseReason, Connect, Event, Frame, MediaCommand, Person, Placement, Refusal, Role,
    SdpRefusal, SlotBinding, SlotState, Tracks,
};

/// What a `joinRoom` asks for.
pub(super) struct JoinRoom<'a> {
    pub(super) sdp: Option<&'a str>,
    pub(super) tracks: Option<Tracks>,
    pub(super) resume: Option<&'a str>,
}

impl<'a> JoinRoom<'a> {
    pub(super) fn read(params: Params<'a>) -> Result<Self, Denied> {
        let resume = params.optional_text("resume")?;
        let sdp = params.optional_text("sdp")?;
        if sdp.is_none() && resume.is_none() {
            return Err(Denied::field("sdp", "an SDP offer"));
        }
        Ok(Self { sdp, tracks: params.tracks()?, resume })
    }
}

/// A join whose offer is being answered. Its seat is reserved.
pub(super) struct Fresh {
    person: Person,
    role: Role,
    reply: ReplyTo,
    sent: super::seat::Sent,
    worker: WorkerId,
}

impl Fresh {
    /// The worker that answers the offer.
    pub(super) const fn worker(&self) -> WorkerId {
        self.worker
    }
}

impl Session {
    /// Takes a seat, or comes back to one, for a link that speaks for none yet.
    pub(super) fn join_room(
        &mut self,
        cx: &mut Context,
        reply: &ReplyTo,
        join: JoinRoom<'_>,
    ) -> Result<(), Denied> {
        match join.resume {
            Some(secret) => {
                let opened = |seat: &Seat| Some((seat.client, seat.opened_by(secret)?));
                let (client, secret) = self.seats.values().find_map(opened).ok_or_else(seat_gone)?;
                let before = self.log.seq();
                if let Answer::Now(data) = self.come_back(cx, client, reply, join, secret)? {
                    self.ack_since(cx, client, reply, before, data);
                }
                Ok(())
            }
            None => self.take_seat(cx, reply, join),
        }
    }

    /// `joinRoom` from a link that has its seat: its media connection is made anew.
    pub(super) fn rejoin(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        let join = JoinRoom::read(params)?;
        let secret = join.resume.ok_or(Refusal::AlreadyActive)?;
        let seat = self.seat(client)?;
        if seat.link != Some(reply.link) {
            // It waited, and the link was lost or replaced meanwhile: it takes the seat from nobody.
            return Err(Denied::new(Refusal::JoinFailed, "This connection has lost its seat."));
        }
        let secret = seat.opened_by(secret).ok_or_else(seat_gone)?;
        self.come_back(cx, client, reply, join, secret)
    }

    fn take_seat(&mut self, cx: &mut Context, reply: &ReplyTo, join: JoinRoom<'_>) -> Result<(), Denied> {
        let Some((claims, offer)) = cx.link(reply.link).map(|link| link.claims.clone()).zip(join.sdp) else {
            return Err(Refusal::Internal.into());
        };
        let seats = usize::try_from(self.settings.max_participants).unwrap_or(usize::MAX);
        if self.seats.len() + self.fresh.len() >= seats {
            return Err(Denied::new(Refusal::RoomFull, "This room is full."));
        }
        let client = ClientId(cx.random.next_u128());
        let participant = cx.next_participant(SeatRef { session: self.id, client });
        let publish = self.first_publish(claims.role);
        let sent = super::seat::Sent { epoch: Epoch(cx.now.as_micros().max(1)), group: self.group, publish };
        let placement = Placement { participant, group: sent.group, epoch: sent.epoch, publish };
        let connect = Connect { offer: offer.to_owned(), tracks: join.tracks, placement };
        let worker = self.take_worker(cx);
        cx.media(worker, MediaCommand::Connect(connect));
        let person = Person { id: client, name: claims.name.into() };
        let fresh = Fresh { person, role: claims.role, reply: reply.clone(), sent, worker };
        self.fresh.insert(participant, fresh);
        self.deadlines.set(Deadline::Fresh(participant), cx.now + ANSWER_WAIT);
        if let Some(link) = cx.link_mut(reply.link) {
            link.joining = Some((self.id, reply.id.clone()));
        }
        self.mind_emptiness(cx);
        Ok(())
    }

    /// Lets a link speak for a seat. The link before it is closed; the secret is a new one. The ack that
    /// tells it may be lost, so the one that was given stays good until the link shows that it was not.
    pub(super) fn attach(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        given: Option<u128>,
    ) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        (seat.resume, seat.previous) = (cx.random.next_u128(), given);
        seat.answers.begin(cx.now, &reply.id, Some(reply.method));
        let before = seat.link.replace(reply.link);
        if let Some(before) = before.filter(|before| *before != reply.link) {
            cx.replace_link(before, CloseReason::Replaced);
        }
        if let Some(link) = cx.link_mut(reply.link) {
            link.seat = Some(SeatRef { session: self.id, client });
            seat.token = (link.claims.name.clone(), link.claims.expires_at);
        }
        self.unhold(cx, client);
    }

    /// A seat's link shows that its client was told the newest secret: the one before it is used up.
    pub(super) fn secret_is_known(&mut self, client: ClientId) {
        // Looked at first: a seat that is reached for is written anew.
        if self.seats.get(&client).is_some_and(|seat| seat.previous.is_some())
            && let Some(seat) = self.seats.get_mut(&client)
        {
            seat.previous = None;
        }
    }

    /// The worker has answered an offer.
    pub(super) fn answered(
        &mut self,
        cx: &mut Context,
        participant: ParticipantId,
        client: ClientId,
        epoch: Epoch,
        result: Result<protocol::Answer, SdpRefusal>,
    ) {
        if self.fresh.get(&participant).is_some_and(|fresh| fresh.sent.epoch == epoch) {
            self.fresh_answered(cx, participant, result);
        } else if let Some(seat) = self.seats.get_mut(&client)
            && let Some(connecting) = seat.connecting.take_if(|connecting| connecting.epoch == Some(epoch))
        {
            self.deadlines.clear(&Deadline::Reconnect(client));
            self.reconnect_answered(cx, client, &connecting, epoch, result);
        }
    }

    fn fresh_answered(
        &mut self,
        cx: &mut Context,
        participant: ParticipantId,
        result: Result<protocol::Answer, SdpRefusal>,
    ) {
        let answer = match result {
            Ok(answer) => answer,
            Err(refusal) => {
                let denied = Denied::new(Refusal::BadParameter, refusal.reason);
                return self.fail_fresh(cx, participant, &denied);
            }
        };
        let Some(fresh) = self.fresh.remove(&participant) else { return };
        self.deadlines.clear(&Deadline::Fresh(participant));
        let Fresh { person, role, reply, sent, worker } = fresh;
        let client = person.id;
        let connected = Event::UserConnected { person: person.clone(), participant, role };
        let since = self.tell(cx, connected, Audience::Everyone);
        let slots = empty_slots(cx, self, &answer);
        let seat = Seat {
            client,
            participant,
            worker,
            name: person.name,
            role,
            since,
            microphone: true,
            camera: true,
            place: Place::Parent,
            movement: None,
            link: None,
            media: Media::Connecting,
            held_until: None,
            sent: Some(sent),
            epoch: sent.epoch,
            confirmed: sent.epoch,
            connection: sent.epoch,
            connecting: None,
            restarting: None,
            slots,
            resume: 0,
            previous: None,
            token: (String::new(), cx.now),
            answers: Answers::default(),
            returns: returns(),
            last_event: 0,
            last_forgotten: 0,
        };
        self.seats.insert(client, seat);
        self.parent.insert(client);
        self.set_role(client, role);
        self.attach(cx, client, &reply, None);
        self.show_to_others(cx, client);
        if let Some(link) = cx.link_mut(reply.link) {
            link.joining = None;
        }
        let data = self.joined(client, Some(&answer.sdp));
        self.ack(cx, client, &reply, Some(since), data);
        if role == Role::Moderator {
            self.pass_ownership(cx, None);
        }
        self.sync_publish(cx, client);
    }

    fn fail_fresh(&mut self, cx: &mut Context, participant: ParticipantId, denied: &Denied) {
        let Some(fresh) = self.fresh.remove(&participant) else { return };
        self.deadlines.clear(&Deadline::Fresh(participant));
        cx.participants.remove(&participant);
        self.release_worker(cx, fresh.worker);
        if let Some(link) = cx.link_mut(fresh.reply.link) {
            link.joining = None;
        }
        let ReplyTo { link, id, method } = fresh.reply;
        cx.ack(link, Frame::failure(id, Some(method), None, denied.data()));
        self.mind_emptiness(cx);
    }

    /// Fails the first joins that a worker took with it.
    pub(super) fn fail_fresh_on(&mut self, cx: &mut Context, worker: WorkerId) {
        let on_worker = self.fresh.iter().filter(|(_, fresh)| fresh.worker == worker);
        let lost: Vec<ParticipantId> = on_worker.map(|(participant, _)| *participant).collect();
        for participant in lost {
            self.fail_fresh(cx, participant, &Denied::from(Refusal::JoinFailed));
        }
    }

    /// Gives up every first join, in the media plane as well.
    pub(super) fn drop_all_fresh(&mut self, cx: &mut Context) {
        while let Some((participant, _)) = self.fresh.first_key_value() {
            self.fresh_unanswered(cx, *participant);
        }
    }

    pub(super) fn fresh_unanswered(&mut self, cx: &mut Context, participant: ParticipantId) {
        if let Some(fresh) = self.fresh.get(&participant) {
            cx.media(fresh.worker, MediaCommand::Disconnect(participant));
        }
        self.fail_fresh(cx, participant, &Denied::from(Refusal::JoinFailed));
    }

    /// The link of a first join is gone before its answer.
    pub(super) fn forget_fresh(&mut self, cx: &mut Context, link: LinkId) {
        let fresh = self.fresh.iter().find(|(_, fresh)| fresh.reply.link == link);
        if let Some(participant) = fresh.map(|(participant, _)| *participant) {
            self.fresh_unanswered(cx, participant);
        }
    }

    pub(super) fn restart_ice(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.connected(client)?;
        let offer = params.text("sdp")?.to_owned();
        let seat = self.seats.get_mut(&client).ok_or(Refusal::NotConnected)?;
        if seat.restarting.is_some() || seat.connecting.is_some() {
            return Err(Refusal::RequestInProgress.into());
        }
        let number = cx.next_operation();
        seat.restarting = Some(Restart { number, reply: reply.clone() });
        let (participant, worker) = (seat.participant, seat.worker);
        self.deadlines.set(Deadline::Restart(client), cx.now + ANSWER_WAIT);
        cx.media(worker, MediaCommand::RestartIce { participant, number, offer });
        Ok(Answer::Later)
    }

    pub(super) fn ice_restarted(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        number: u64,
        result: Result<String, SdpRefusal>,
    ) {
        let is_it = |restart: &mut Restart| restart.number == number;
        let restarting = self.seats.get_mut(&client).and_then(|seat| seat.restarting.take_if(is_it));
        let Some(Restart { reply, .. }) = restarting else { return };
        self.deadlines.clear(&Deadline::Restart(client));
        match result {
            Ok(sdp) => {
                self.ack(cx, client, &reply, None, json!({"msg": "Success", "result": 0, "sdp": sdp}));
            }
            Err(refusal) => {
                self.ack_denied(cx, client, &reply, &Denied::new(Refusal::BadParameter, refusal.reason));
            }
        }
    }

    pub(super) fn fail_restart(&mut self, cx: &mut Context, client: ClientId) {
        let restarting = self.seats.get_mut(&client).and_then(|seat| seat.restarting.take());
        let Some(Restart { reply, .. }) = restarting else { return };
        self.deadlines.clear(&Deadline::Restart(client));
        self.ack_denied(cx, client, &reply, &Denied::from(Refusal::JoinFailed));
    }

    pub(super) fn restart_unanswered(&mut self, cx: &mut Context, client: ClientId) {
        self.fail_restart(cx, client);
    }

    /// The ack of a join.
    pub(super) fn joined(&self, client: ClientId, sdp: Option<&str>) -> Value {
        let Some(seat) = self.seats.get(&client) else { return Refusal::Internal.data() };
        json!({
            "msg": "Success",
            "result": 0,
            "clientId": client,
            "resume": format!("{:032x}", seat.resume),
            "sdp": sdp,
            "epoch": seat.confirmed,
            "slots": seat.slots_json(),
            "room": self.snapshot(client),
            "seq": self.log.seq(),
        })
    }
}

/// The slots of a new connection: nothing is bound yet.
pub(super) fn empty_slots(
    cx: &Context,
    session: &Session,
    answer: &protocol::Answer,
) -> std::sync::Arc<[SlotState]> {
    let bindings: Vec<SlotBinding> = answer
        .slots
        .iter()
        .map(|line| SlotBinding {
            mid: line.mid.clone(),
            video: line.video,
            ssrc: line.ssrc,
            publisher: None,
            from_seq: 0,
            reason: None,
        })
        .collect();
    slot_states(cx, session.id, &bindings)
}

pub(super) fn seat_gone() -> Denied {
    Denied::new(
        Refusal::JoinFailed,
        "This seat is gone, or the secret was used already. Join without `resume`.",
    )
}
