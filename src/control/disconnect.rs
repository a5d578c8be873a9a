//! `disconnect`: out of the breakout room, back into the parent room.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::context::Context;
use super::denied::Denied;
use super::log::Audience;
use super::params::Params;
use super::reply::{Answer, ReplyTo};
use super::seat::{Movement, Place, Return, Seat};
use super::session::Session;
use crate::base::plant::{self, Plant};
use crate::base::{BreakoutId, ClientId};
use crate::message::{DisconnectedBreakoutRoom, Event, Moved, Person, Refusal, ReturnReason};

/// Somebody is back in the parent room, and those who are there do not know yet.
pub(super) struct Returned(Person);

impl Session {
    pub(super) fn disconnect(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        let seat = self.breakout_caller(client)?;
        let asked = if params.has("room_id") { Some(params.room_id()) } else { None };
        let asked = match asked {
            Some(Err(denied)) if denied.refusal == Refusal::UnknownRoom => {
                return Err(Refusal::NotInBreakout.into());
            }
            asked => asked.transpose()?,
        };
        let is_here = |room: BreakoutId| asked.is_none_or(|asked| asked == room);
        match (&seat.movement, seat.breakout()) {
            (None, Some(room)) if is_here(room) => {
                let returning =
                    Return { batch: None, reason: ReturnReason::Own, by: None, reply: Some(reply.clone()) };
                self.begin_returns(&[client], &returning);
                if self.send_batch(cx, &[client]).is_none() {
                    self.commit_return(cx, client, None, true);
                }
                Ok(Answer::Later)
            }
            (Some(Movement::Join(join)), None) if is_here(join.stay.room) => {
                Ok(self.give_up_join(cx, client, reply, join.stay.room))
            }
            (Some(Movement::Return(_)), Some(room)) if is_here(room) => {
                Err(Refusal::RequestInProgress.into())
            }
            (Some(Movement::TakeBack { room, .. }), _) if is_here(*room) => {
                Err(Refusal::RequestInProgress.into())
            }
            _ => Err(Refusal::NotInBreakout.into()),
        }
    }

    /// Who is still on the way in changes the mind.
    fn give_up_join(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        room: BreakoutId,
    ) -> Answer {
        let denied = Denied::new(Refusal::JoinFailed, "You left before you were in the room.");
        if self.abort_join(cx, client, &denied, Some(reply.clone())) {
            self.send_batch(cx, &[client]);
            Answer::Later
        } else {
            Answer::Now(self.returned_data(client, room, false))
        }
    }

    /// Puts people on the way back. Who is on it already keeps the own reason and reply.
    pub(super) fn begin_returns(&mut self, clients: &[ClientId], returning: &Return) {
        for client in clients {
            let Some(seat) = self.seats.get_mut(client) else { continue };
            if !matches!(seat.movement, Some(Movement::Return(_))) {
                seat.movement = Some(Movement::Return(returning.clone()));
            }
        }
    }

    /// The media plane has moved the participant back, or cannot be waited for: it is in the parent
    /// room now, and people are told.
    pub(super) fn commit_return(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        moved: Option<&Moved>,
        degraded: bool,
    ) {
        let alone = BTreeSet::from([client]);
        let returned = self.take_return(cx, client, moved, degraded, &alone);
        self.tell_returned(cx, returned, &alone);
    }

    /// As [`Self::commit_return`], of all who are on the way back, as one step; the media plane has moved
    /// none of them.
    pub(super) fn commit_returns(&mut self, cx: &mut Context, clients: &[ClientId], degraded: &[ClientId]) {
        let is_returning = |client: &ClientId| self.seats.get(client).is_some_and(Seat::is_returning);
        let together: BTreeSet<ClientId> = clients.iter().copied().filter(is_returning).collect();
        let returned: Vec<Returned> = together
            .iter()
            .filter_map(|client| self.take_return(cx, *client, None, degraded.contains(client), &together))
            .collect();
        self.tell_returned(cx, returned, &together);
    }

    /// As [`Self::commit_return`], but those in the parent room are still to be told, with
    /// [`Self::tell_returned`]. Of `together`, who come back in one step, nobody is told of the others:
    /// their own events do not name them as away any more.
    pub(super) fn take_return(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        moved: Option<&Moved>,
        degraded: bool,
        together: &BTreeSet<ClientId>,
    ) -> Option<Returned> {
        let seat = self.seats.get_mut(&client)?;
        let room = seat.breakout()?;
        let returning = seat.movement.take_if(|movement| matches!(movement, Movement::Return(_)));
        let Some(Movement::Return(returning)) = returning else { return None };
        let person = seat.person();
        self.stop_presenting(cx, Some(room), client);
        if let Some(seat) = self.seats.get_mut(&client) {
            seat.place = Place::Parent;
        }
        self.parent.insert(client);
        if let Some(found) = self.rooms.get_mut(&room).filter(|_| !plant::is(Plant::MemberKept)) {
            found.members.remove(&client);
        }
        let event = self.returned(client, room, &returning, together);
        match &returning.reply {
            None => {
                self.tell(cx, event, Audience::one(client));
            }
            Some(reply) => {
                let mut data = event.data();
                add_degraded(&mut data, client, degraded);
                let seq = self.tell(cx, event, Audience::Nobody);
                self.ack(cx, client, reply, Some(seq), data);
            }
        }
        if let Some(moved) = moved {
            self.tell_moved_slots(cx, client, moved);
        }
        let left = Event::UserDisconnectedFromBreakoutRoom {
            person: person.clone(),
            room,
            reason: returning.reason,
        };
        let audience = match returning.reason {
            // Everybody goes: who still stands in the list is on the way, too.
            ReturnReason::Cleared | ReturnReason::Destroyed => self.hosts(room, Some(client)),
            ReturnReason::Own | ReturnReason::Seat(_) => self.members_and_hosts(room, Some(client)),
        };
        self.tell(cx, left, audience);
        Some(Returned(person))
    }

    /// Tells those who were in the parent room before that people are back.
    pub(super) fn tell_returned(
        &mut self,
        cx: &mut Context,
        returned: impl IntoIterator<Item = Returned>,
        together: &BTreeSet<ClientId>,
    ) {
        let here = Audience::of(self.parent.difference(together).copied(), None);
        for Returned(person) in returned {
            let client = person.id;
            self.tell(cx, Event::UserResumed { person }, here.clone());
            self.sync_publish(cx, client);
        }
    }

    fn returned(
        &self,
        client: ClientId,
        room: BreakoutId,
        returning: &Return,
        together: &BTreeSet<ClientId>,
    ) -> Event {
        let away = self.seats.values().filter(|seat| seat.stay().is_some()).map(|seat| seat.client);
        Event::DisconnectedBreakoutRoom(Box::new(DisconnectedBreakoutRoom {
            client,
            room,
            moderator: returning.by,
            reason: returning.reason,
            state: self.flags,
            away: away.filter(|client| !together.contains(client)).collect(),
            presenter: self.presenter.map(|(client, kind)| (self.person(client), kind)),
        }))
    }

    /// The ack's data for who gave a join up.
    pub(super) fn returned_data(&self, client: ClientId, room: BreakoutId, degraded: bool) -> Value {
        let returning = Return { batch: None, reason: ReturnReason::Own, by: None, reply: None };
        let mut data = self.returned(client, room, &returning, &BTreeSet::new()).data();
        add_degraded(&mut data, client, degraded);
        data
    }
}

fn add_degraded(data: &mut Value, client: ClientId, degraded: bool) {
    if degraded && let Value::Object(data) = data {
        data.insert("degraded".to_owned(), json!([client]));
    }
}
