//! How a seat ends, and how a session does.

use super::context::Context;
use super::deadline::Deadline;
use super::denied::Denied;
use super::log::Audience;
use super::seat::{Movement, Return};
use super::session::Session;
use crate::base::{BreakoutId, ClientId};
use crate::message::{
    CloseReason, EndReason, Event, LeaveReason, MediaCommand, ParentFlags, Refusal, ReturnReason,
};

impl Session {
    /// Ends a seat: whatever is under way with it is answered first.
    pub(super) fn remove_seat(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reason: LeaveReason,
        close: CloseReason,
    ) {
        self.drop_pending(cx, client);
        let Some(seat) = self.seats.get(&client) else { return };
        let (person, room) = (seat.person(), seat.breakout());
        self.stop_presenting(cx, room, client);
        if let Some(room) = room {
            if let Some(found) = self.rooms.get_mut(&room) {
                found.members.remove(&client);
            }
            let left = Event::UserDisconnectedFromBreakoutRoom {
                person: person.clone(),
                room,
                reason: ReturnReason::Seat(reason),
            };
            let audience = self.members_and_hosts(room, Some(client));
            self.tell(cx, left, audience);
        }
        self.forget_invitations(client);
        self.deadlines.clear(&Deadline::Held(client));
        self.parent.remove(&client);
        self.moderators.remove(&client);
        let Some(seat) = self.seats.remove(&client) else { return };
        self.tell(cx, Event::UserDisconnected { person, reason }, Audience::Everyone);
        self.pass_ownership(cx, Some(client));
        self.tell_workers(cx, &MediaCommand::Disconnect(seat.participant));
        cx.depart(seat.participant);
        self.release_worker(cx, seat.worker);
        if let Some(link) = seat.link {
            cx.close_link(link, close);
        }
        self.mind_emptiness(cx);
    }

    /// Answers everything that waits for this participant.
    fn drop_pending(&mut self, cx: &mut Context, client: ClientId) {
        let denied = Denied::new(Refusal::JoinFailed, "The participant's seat has ended.");
        self.abort_join(cx, client, &denied, None);
        match self.seats.get(&client).and_then(|seat| seat.movement.as_ref()) {
            Some(Movement::TakeBack { .. }) => self.commit_take_back(cx, client, None, false),
            Some(Movement::Return(_)) => self.commit_return(cx, client, None, false),
            _ => {}
        }
        self.fail_reconnect(cx, client);
        self.fail_restart(cx, client);
    }

    /// Ends the session: all breakout rooms are destroyed, then everybody's seat ends.
    pub(super) fn end(&mut self, cx: &mut Context, reason: EndReason) {
        self.drop_all_fresh(cx);
        // As with every destroy, nobody comes back to a muted room. The event that follows is the end.
        self.flags = ParentFlags::default();
        let clients: Vec<ClientId> = self.seats.keys().copied().collect();
        for client in &clients {
            self.drop_pending(cx, *client);
        }
        for seat in self.seats.unsaved_values_mut() {
            seat.sent = None;
        }
        for seat in self.seats.values() {
            self.tell_workers(cx, &MediaCommand::Disconnect(seat.participant));
        }
        if let Some(batch) = self.barrier.as_ref().and_then(|barrier| barrier.batch) {
            self.finish_barrier(cx, batch, &[]);
        }
        let returning = Return { batch: None, reason: ReturnReason::Destroyed, by: None, reply: None };
        self.begin_returns(&clients, &returning);
        self.commit_returns(cx, &clients, &[]);
        let rooms: Vec<BreakoutId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.destroy_room(cx, room, reason);
        }
        self.tell(cx, Event::RoomEnded { reason }, Audience::Everyone);
        for (_, seat) in self.seats.take() {
            cx.depart(seat.participant);
            self.release_worker(cx, seat.worker);
            if let Some(link) = seat.link {
                cx.close_link(link, CloseReason::RoomEnded);
            }
        }
        for batch in self.batches.keys() {
            cx.batches.remove(batch);
        }
        self.end_group(cx, self.group);
        if let Some(first) = self.spread.workers().next() {
            cx.load_less(first);
        }
        self.ended = Some(reason);
    }
}
