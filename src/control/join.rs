//! `joinBreakOutRoom`, and what every way into a breakout room has in common.

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::Context;
use super::deadline::{Deadline, JOIN_WAIT};
use super::denied::Denied;
use super::log::Audience;
use super::params::Params;
use super::reply::{Answer, ReplyTo};
use super::seat::{Cause, Join, Media, Movement, Place, Seat, Stay, Stream};
use super::session::Session;
use crate::base::plant::{self, Plant};
use crate::base::{BreakoutId, ClientId, Kind, KindSet};
use crate::message::{
    ConnectedBreakoutRoom, Event, Member, Moved, ParentFlags, Refusal, Role, WithdrawReason,
};

/// What was asked with `streamInfo`.
struct Wish {
    audio: bool,
    video: bool,
    share: bool,
    canvas: bool,
}

impl Wish {
    fn read(params: Params<'_>) -> Result<Self, Denied> {
        let stream = params.object("streamInfo")?;
        Ok(Self {
            audio: stream.bool("audio")?,
            video: stream.bool("video")?,
            share: stream.optional_bool("share")?.unwrap_or(false),
            canvas: stream.optional_bool("canvas")?.unwrap_or(false),
        })
    }

    /// Refuses what the room does not carry. Camera is dropped with a warning instead.
    fn check(&self, kinds: KindSet) -> Result<(), Denied> {
        for (asked, kind) in
            [(self.audio, Kind::Audio), (self.share, Kind::Share), (self.canvas, Kind::Canvas)]
        {
            if asked && !kinds.contains(kind) {
                return Err(Denied::new(
                    Refusal::FeatureOff,
                    format!("`{kind}` is switched off in this breakout room. Join without it."),
                ));
            }
        }
        Ok(())
    }
}

impl Session {
    pub(super) fn join_breakout_room(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        let seat = self.breakout_caller(client)?;
        if seat.breakout().is_some() {
            return Err(Refusal::AlreadyInBreakout.into());
        }
        if seat.movement.is_some() {
            return Err(Refusal::RequestInProgress.into());
        }
        let room = self.room(params.room_id()?)?;
        let role = params.role("role")?;
        let host = seat.is_moderator() || room.owner == Some(client);
        if role == Role::Moderator && !host {
            return Err(Refusal::Forbidden.into());
        }
        if !(host || room.open || self.invitations.contains_key(&(room.id, client))) {
            let expired = self.expired.contains_key(&(room.id, client));
            if !(expired && plant::is(Plant::InvitationOutlives)) {
                return Err(if expired { Refusal::InvitationExpired } else { Refusal::NotInvited }.into());
            }
        }
        if !room.has_seat(role, self.settings.max_active_talkers) {
            return Err(Refusal::RoomFull.into());
        }
        let wish = Wish::read(params)?;
        wish.check(room.kinds)?;
        let carries_video = room.kinds.contains(Kind::Video);
        let stream = Stream { audio: wish.audio, video: wish.video && carries_video };
        let stay = Stay { room: room.id, role, stream, leg: ParentFlags::default() };
        let join = Join {
            stay,
            cause: Cause::Own(reply.clone()),
            video_dropped: wish.video && !carries_video,
            batch: None,
        };
        if self.begin_join(cx, client, join) {
            self.send_batch(cx, &[client]);
        }
        Ok(Answer::Later)
    }

    /// Reserves the seat; answers whether the participant can be moved now, or waits for its own
    /// media connection first.
    pub(super) fn begin_join(&mut self, cx: &mut Context, client: ClientId, join: Join) -> bool {
        let Stay { room, role, .. } = join.stay;
        let forced = matches!(join.cause, Cause::Forced(_));
        let Some(seat) = self.seats.get_mut(&client) else { return false };
        seat.movement = Some(Movement::Join(join));
        let ready = seat.media == Media::Up;
        let Some(found) = self.rooms.get_mut(&room) else { return false };
        found.joining.insert(client, role);
        if forced {
            found.cleared = false;
        }
        let name = Arc::clone(&found.name);
        let audience = if forced { Audience::one(client) } else { Audience::Nobody };
        self.tell(cx, Event::BreakoutRoomJoining { client, room, name, role, forced }, audience);
        if !ready {
            self.deadlines.set(Deadline::Join(client), cx.now + JOIN_WAIT);
        }
        ready
    }

    /// The participant's media connection is there: a join that waited for it goes on.
    pub(super) fn resume_join(&mut self, cx: &mut Context, client: ClientId) {
        if self.deadlines.clear(&Deadline::Join(client)) {
            self.send_batch(cx, &[client]);
        }
    }

    /// The media plane has moved the participant: it is in the room now, and people are told.
    pub(super) fn commit_join(&mut self, cx: &mut Context, client: ClientId, moved: &Moved) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        let join = seat.movement.take_if(|movement| matches!(movement, Movement::Join(_)));
        let Some(Movement::Join(join)) = join else { return };
        let Stay { room, role, .. } = join.stay;
        seat.place = Place::Breakout(join.stay);
        let person = seat.person();
        self.parent.remove(&client);
        if let Some(found) = self.rooms.get_mut(&room) {
            found.joining.remove(&client);
            found.members.insert(client, role);
            found.cleared = false;
        }
        let parent = self.in_parent(Some(client));
        self.tell(cx, Event::UserPaused { person: person.clone() }, parent);
        self.stop_presenting(cx, None, client);
        self.tell_connected(cx, client, &join);
        self.tell_moved_slots(cx, client, moved);
        let audience = self.members_and_hosts(room, Some(client));
        self.tell(cx, Event::UserJoinedBreakoutRoom { person, role, room }, audience);
        if !plant::is(Plant::InvitationKept) {
            self.invitations.remove(&(room, client));
            self.deadlines.clear(&Deadline::Invitation(room, client));
            self.expired.remove(&(room, client));
            self.withdraw_others(cx, client);
        }
        self.settle_forced(cx, client, &join.cause, None);
        self.sync_publish(cx, client);
    }

    /// The newcomer's own notice: the ack of the own join, or an event for who was forced.
    fn tell_connected(&mut self, cx: &mut Context, client: ClientId, join: &Join) {
        let Some(room) = self.rooms.get(&join.stay.room) else { return };
        let users = room.members.iter();
        let users =
            users.map(|(client, role)| Member { person: self.person(*client), role: *role }).collect();
        let event = Event::ConnectedBreakoutRoom(Box::new(ConnectedBreakoutRoom {
            client,
            role: join.stay.role,
            details: room.details(),
            parent: Arc::clone(&self.name),
            users,
            presenter: room.presenter.map(|(client, kind)| (self.person(client), kind)),
            max_active_talkers: self.settings.max_active_talkers,
        }));
        match &join.cause {
            Cause::Forced(_) => {
                self.tell(cx, event, Audience::one(client));
            }
            Cause::Own(reply) => {
                let mut data = event.data();
                if join.video_dropped
                    && let Value::Object(data) = &mut data
                {
                    data.insert("warnings".to_owned(), json!([super::create::VIDEO_WARNING]));
                }
                let seq = self.tell(cx, event, Audience::Nobody);
                self.ack(cx, client, reply, Some(seq), data);
            }
        }
    }

    fn withdraw_others(&mut self, cx: &mut Context, client: ClientId) {
        let rooms: Vec<BreakoutId> = self
            .rooms
            .keys()
            .copied()
            .filter(|room| self.invitations.contains_key(&(*room, client)))
            .collect();
        for room in rooms {
            self.withdraw(cx, room, client, WithdrawReason::JoinedOther);
        }
    }

    /// Gives a join up: the seat is free again and whoever asked is told. What the media plane was
    /// told meanwhile is taken back.
    pub(super) fn fail_join(&mut self, cx: &mut Context, client: ClientId, denied: &Denied) {
        if self.abort_join(cx, client, denied, None) {
            self.send_batch(cx, &[client]);
        }
    }

    /// As [`Self::fail_join`], but answers whether the media plane still has to take the participant
    /// back. `reply` is the participant's own wish to give up.
    pub(super) fn abort_join(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        denied: &Denied,
        reply: Option<ReplyTo>,
    ) -> bool {
        let Some(seat) = self.seats.get_mut(&client) else { return false };
        let join = seat.movement.take_if(|movement| matches!(movement, Movement::Join(_)));
        let Some(Movement::Join(join)) = join else { return false };
        let room = join.stay.room;
        let misplaced = seat.sent.is_some_and(|sent| sent.group != self.group);
        self.deadlines.clear(&Deadline::Join(client));
        if let Some(found) = self.rooms.get_mut(&room) {
            found.joining.remove(&client);
        }
        let forced = matches!(join.cause, Cause::Forced(_));
        let audience = if forced { Audience::one(client) } else { Audience::Nobody };
        let failed = Event::FailedJoinBreakoutRoom { client, room, refusal: denied.refusal };
        let seq = self.tell(cx, failed, audience);
        if misplaced && let Some(seat) = self.seats.get_mut(&client) {
            let wish = reply.map(|reply| (reply, seq));
            seat.movement = Some(Movement::TakeBack { batch: None, wish, room });
        }
        if let Cause::Own(reply) = &join.cause {
            self.ack_failure(cx, client, reply, Some(room), denied.data());
        }
        self.settle_forced(cx, client, &join.cause, Some(denied.refusal));
        // An invitation does not end while its join is under way.
        self.expire_invitation(cx, room, client);
        misplaced
    }

    /// The media plane has taken a participant back whose join was given up.
    pub(super) fn commit_take_back(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        moved: Option<&Moved>,
        degraded: bool,
    ) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        let taken_back = seat.movement.take_if(|movement| matches!(movement, Movement::TakeBack { .. }));
        let Some(Movement::TakeBack { wish, room, .. }) = taken_back else { return };
        if let Some(moved) = moved {
            self.tell_moved_slots(cx, client, moved);
        }
        if let Some((reply, seq)) = wish {
            let data = self.returned_data(client, room, degraded);
            self.ack(cx, client, &reply, Some(seq), data);
        }
        self.sync_publish(cx, client);
    }
}

impl Seat {
    /// Whether a join into this room is under way.
    pub(super) fn is_joining(&self, room: BreakoutId) -> bool {
        self.join().is_some_and(|join| join.stay.room == room)
    }
}
