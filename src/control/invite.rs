//! `inviteToBreakOutRoom`, `rejectBreakOutRoom`, and how invitations end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use super::deadline::Deadline;
use super::denied::Denied;
use super::log::Audience;
use super::params::Params;
use super::reply::{Answer, ReplyTo};
use super::seat::Place;
use super::session::Session;
use super::view::InvitationView;
use crate::base::plant::{self, Plant};
use crate::base::{BreakoutId, ClientId, Time};
use crate::control::settings::ForceBy;
use crate::message::{Event, Invitation, Refusal, RejectReason, Role, WithdrawReason};

/// How long an invitation holds unless the request says otherwise.
const EXPIRES_IN: Duration = Duration::from_secs(120);

/// Who was picked of those whom a request names, and who was not and why.
#[derive(Default)]
pub(super) struct Picked {
    pub(super) clients: Vec<ClientId>,
    pub(super) failed: BTreeMap<String, Refusal>,
}

/// `failed` of an ack.
pub(super) fn failures(failed: &BTreeMap<String, Refusal>) -> Vec<Value> {
    failed.iter().map(|(client, refusal)| json!({"clientId": client, "result": refusal.code()})).collect()
}

impl Session {
    pub(super) fn invite(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        let seat = self.breakout_caller(client)?;
        if seat.place != Place::Parent {
            return Err(Refusal::NotInParent.into());
        }
        let moderator = seat.is_moderator();
        let room = self.room(params.room_id()?)?.id;
        if !moderator && !self.owns(client, room) {
            return Err(Refusal::Forbidden.into());
        }
        let force = params.optional_bool("force_join")?.unwrap_or(false);
        let targets = self.check_force(cx, client, force, params)?;
        if targets.is_empty() {
            return Err(Refusal::EmptyList.into());
        }
        let expires_at = expiry(cx, params)?;
        let mut picked = Picked::default();
        for (text, target) in targets {
            match self.check_target(target, room, force, picked.clients.len()) {
                Ok(target) => picked.clients.push(target),
                Err(refusal) => {
                    picked.failed.insert(text.to_owned(), refusal);
                }
            }
        }
        if force {
            return Ok(self.force_invited(cx, client, reply, room, picked));
        }
        for target in &picked.clients {
            self.invite_one(cx, client, room, *target, expires_at);
        }
        Ok(Answer::Now(invited(&picked)))
    }

    /// Who is asked for, if the caller may do it to them.
    fn check_force<'a>(
        &self,
        cx: &Context,
        client: ClientId,
        force: bool,
        params: Params<'a>,
    ) -> Result<Vec<(&'a str, Option<ClientId>)>, Denied> {
        let moderator = self.moderators.contains(&client);
        if force && !moderator {
            if cx.settings.breakout.force_by == ForceBy::Moderators {
                return Err(Denied::new(
                    Refusal::Forbidden,
                    "Only moderators may move people without asking them.",
                ));
            }
            let targets = params.clients()?;
            if targets
                .iter()
                .any(|(_, target)| target.is_some_and(|target| self.moderators.contains(&target)))
            {
                return Err(Denied::new(Refusal::Forbidden, "Only a moderator may move a moderator."));
            }
        }
        params.clients()
    }

    /// Whether one person can be invited, or forced after `before` others.
    fn check_target(
        &self,
        target: Option<ClientId>,
        room: BreakoutId,
        force: bool,
        before: usize,
    ) -> Result<ClientId, Refusal> {
        let seat = target.and_then(|target| self.seats.get(&target)).ok_or(Refusal::UnknownClient)?;
        if seat.place != Place::Parent || seat.movement.is_some() {
            return Err(Refusal::TargetNotInParent);
        }
        if force && !seat.connected() {
            return Err(Refusal::NotConnected);
        }
        if force && self.free_seats(room) <= before && !plant::is(Plant::SeatTwice) {
            return Err(Refusal::RoomFull);
        }
        Ok(seat.client)
    }

    /// How many more participants a room can take.
    fn free_seats(&self, room: BreakoutId) -> usize {
        let Some(room) = self.rooms.get(&room) else { return 0 };
        let taken = room.members.values().chain(room.joining.values());
        let taken = taken.filter(|role| **role == Role::Participant).count();
        usize::try_from(room.participants).unwrap_or(usize::MAX).saturating_sub(taken)
    }

    /// Invites one person, or renews the invitation.
    pub(super) fn invite_one(
        &mut self,
        cx: &mut Context,
        inviter: ClientId,
        room: BreakoutId,
        target: ClientId,
        expires_at: Option<Time>,
    ) {
        let Some(found) = self.rooms.get_mut(&room) else { return };
        found.cleared = false;
        let name = Arc::clone(&found.name);
        self.invitations.insert((room, target), InvitationView { inviter, expires_at });
        self.expired.remove(&(room, target));
        match expires_at {
            Some(at) => self.deadlines.set(Deadline::Invitation(room, target), at),
            None => {
                self.deadlines.clear(&Deadline::Invitation(room, target));
            }
        }
        let invitation = Invitation { room, name, requestor: self.person(inviter), expires_at };
        let event = Event::InvitationForBreakoutRoom { client: target, invitation: invitation.clone() };
        self.tell(cx, event, Audience::one(target));
        let audience = self.hosts(room, None);
        self.tell(cx, Event::BreakoutRoomInvited { person: self.person(target), invitation }, audience);
    }

    pub(super) fn reject(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        let seat = self.breakout_caller(client)?;
        let room = self.room(params.room_id()?)?.id;
        if seat.is_joining(room) {
            let text = "You are on the way into this breakout room. Leave it with `disconnect`.";
            return Err(Denied::new(Refusal::NotInvited, text));
        }
        if !self.end_refused(cx, room, client, RejectReason::Rejected) {
            return Err(Refusal::NotInvited.into());
        }
        Ok(Answer::Now(json!({"msg": "Invitation rejected", "result": 0, "room_id": room})))
    }

    /// The invited person does not come; answers whether there was an invitation.
    fn end_refused(
        &mut self,
        cx: &mut Context,
        room: BreakoutId,
        client: ClientId,
        reason: RejectReason,
    ) -> bool {
        let Some(invitation) = self.invitations.remove(&(room, client)) else { return false };
        self.deadlines.clear(&Deadline::Invitation(room, client));
        if reason == RejectReason::Expired {
            self.expired.insert((room, client), ());
            let withdrawn = Event::InvitationWithdrawn { client, room, reason: WithdrawReason::Expired };
            self.tell(cx, withdrawn, Audience::one(client));
        }
        let owner = self.rooms.get(&room).and_then(|room| room.owner);
        let hosts = self.moderators.iter().copied().chain(owner).chain([invitation.inviter]);
        let audience = Audience::of(hosts.filter(|host| self.seats.contains_key(host)), None);
        let person = self.person(client);
        self.tell(cx, Event::BreakoutRoomInviteRejected { person, room, reason }, audience);
        true
    }

    /// Ends an invitation whose time is over, unless its join is under way.
    pub(super) fn expire_invitation(&mut self, cx: &mut Context, room: BreakoutId, client: ClientId) {
        let Some(InvitationView { expires_at: Some(at), .. }) = self.invitations.get(&(room, client)) else {
            return;
        };
        let joining = self.seats.get(&client).is_some_and(|seat| seat.is_joining(room));
        if *at <= cx.now && !joining {
            self.end_refused(cx, room, client, RejectReason::Expired);
        }
    }

    /// Takes an invitation back and says why.
    pub(super) fn withdraw(
        &mut self,
        cx: &mut Context,
        room: BreakoutId,
        client: ClientId,
        reason: WithdrawReason,
    ) {
        if self.invitations.remove(&(room, client)).is_none() {
            return;
        }
        self.deadlines.clear(&Deadline::Invitation(room, client));
        self.tell(cx, Event::InvitationWithdrawn { client, room, reason }, Audience::one(client));
    }

    /// Takes all invitations into a room back.
    pub(super) fn withdraw_all(&mut self, cx: &mut Context, room: BreakoutId, reason: WithdrawReason) {
        let range = (room, ClientId(0))..=(room, ClientId(u128::MAX));
        let invited: Vec<ClientId> =
            self.invitations.range(range.clone()).map(|((_, client), _)| *client).collect();
        for client in invited {
            self.withdraw(cx, room, client, reason);
        }
        let expired: Vec<ClientId> = self.expired.range(range).map(|((_, client), ())| *client).collect();
        for client in expired {
            self.expired.remove(&(room, client));
        }
    }

    /// Forgets the invitations of somebody who is gone.
    pub(super) fn forget_invitations(&mut self, client: ClientId) {
        for room in self.rooms.keys() {
            self.invitations.remove(&(*room, client));
            self.expired.remove(&(*room, client));
            self.deadlines.clear(&Deadline::Invitation(*room, client));
        }
    }

    /// When an invitation without a wish of its own ends.
    pub(super) fn default_expiry(cx: &Context) -> Option<Time> {
        Some(cx.now + EXPIRES_IN)
    }
}

/// `expires_in` in seconds; 0 is never.
fn expiry(cx: &Context, params: Params<'_>) -> Result<Option<Time>, Denied> {
    Ok(match params.optional_whole("expires_in")? {
        None => Session::default_expiry(cx),
        Some(0) => None,
        Some(seconds) => Some(cx.now + Duration::from_secs(seconds)),
    })
}

/// The ack of an invitation: it failed only if nobody could be invited.
pub(super) fn invited(picked: &Picked) -> Value {
    let mut data = match picked.failed.values().next() {
        Some(refusal) if picked.clients.is_empty() => {
            refusal.data_with(&format!("Nobody could be invited. {}", refusal.text()))
        }
        _ => json!({"msg": "Success", "result": 0}),
    };
    if let Value::Object(data) = &mut data {
        data.insert("invited".to_owned(), json!(picked.clients));
        data.insert("failed".to_owned(), json!(failures(&picked.failed)));
    }
    data
}
