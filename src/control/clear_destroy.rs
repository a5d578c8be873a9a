//! `clearAllBreakOutSession` and `destroyAllBreakOutSession`: everybody comes back in one step.
//!
//! While the media plane is at it, other requests of the session wait, so that commands are serial.

use serde_json::{Value, json};

use super::context::Context;
use super::denied::Denied;
use super::log::Audience;
use super::reply::{Answer, ReplyTo};
use super::seat::{Movement, Return};
use super::session::Session;
use crate::base::{BatchId, BreakoutId, ClientId};
use crate::message::{EndReason, Event, ParentFlags, Refusal, ReturnReason, WithdrawReason};

/// A clear or destroy that is under way.
pub(super) struct Barrier {
    reply: ReplyTo,
    by: ClientId,
    destroy: bool,
    rooms: Vec<BreakoutId>,
    /// Who comes back.
    clients: Vec<ClientId>,
    pub(super) batch: Option<BatchId>,
    /// The flags of the parent room are lifted already.
    lifted: bool,
    /// The number of the event before the request.
    before: u64,
}

impl Session {
    pub(super) fn clear_all(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
    ) -> Result<Answer, Denied> {
        let moderator = self.breakout_caller(client)?.is_moderator();
        let rooms: Vec<BreakoutId> = self
            .rooms
            .values()
            .filter(|room| moderator || room.owner == Some(client))
            .map(|room| room.id)
            .collect();
        if !moderator && rooms.is_empty() {
            return Err(Refusal::Forbidden.into());
        }
        self.bring_back(cx, client, reply, rooms, false);
        Ok(Answer::Later)
    }

    pub(super) fn destroy_all(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
    ) -> Result<Answer, Denied> {
        if !self.breakout_caller(client)?.is_moderator() {
            return Err(Refusal::Forbidden.into());
        }
        let rooms = self.rooms.keys().copied().collect();
        self.bring_back(cx, client, reply, rooms, true);
        Ok(Answer::Later)
    }

    fn bring_back(
        &mut self,
        cx: &mut Context,
        by: ClientId,
        reply: &ReplyTo,
        rooms: Vec<BreakoutId>,
        destroy: bool,
    ) {
        let denied = if destroy {
            Denied::from(Refusal::RoomDestroyed)
        } else {
            Denied::new(Refusal::JoinFailed, "The breakout room was cleared while you were joining it.")
        };
        let reason = if destroy { ReturnReason::Destroyed } else { ReturnReason::Cleared };
        let before = self.log.seq();
        let (mut clients, mut to_move) = (Vec::new(), Vec::new());
        for room in rooms.iter().filter_map(|room| self.rooms.get(room)) {
            clients.extend(room.members.keys().copied());
            to_move.extend(room.joining.keys().copied());
        }
        to_move.retain(|client| self.abort_join(cx, *client, &denied, None));
        let taken_back = self.seats.values().filter(
            |seat| matches!(&seat.movement, Some(Movement::TakeBack { room, .. }) if rooms.contains(room)),
        );
        to_move.extend(taken_back.map(|seat| seat.client));
        to_move.extend(clients.iter().copied());
        to_move.sort_unstable();
        to_move.dedup();
        self.begin_returns(&clients, &Return { batch: None, reason, by: Some(by), reply: None });
        let batch = self.send_batch(cx, &to_move);
        self.barrier =
            Some(Barrier { reply: reply.clone(), by, destroy, rooms, clients, batch, lifted: false, before });
        if batch.is_none() {
            self.complete_barrier(cx, &[]);
        }
    }

    /// A destroy resumes and unmutes the parent room before anybody of its batch is told to be back
    /// there: nobody returns to a muted room.
    pub(super) fn lift_flags(&mut self, cx: &mut Context, batch: Option<BatchId>) {
        let Some(barrier) = self.barrier.as_mut().filter(|barrier| barrier.batch == batch) else { return };
        if !barrier.destroy || std::mem::replace(&mut barrier.lifted, true) {
            return;
        }
        let by = barrier.by;
        self.flags = ParentFlags::default();
        self.sync_group(cx, self.group);
        self.tell(cx, Event::ParentStateChanged { state: self.flags, by }, Audience::Everyone);
    }

    /// Completes the clear or destroy that waits for this batch.
    pub(super) fn finish_barrier(&mut self, cx: &mut Context, batch: BatchId, degraded: &[ClientId]) {
        if self.barrier.as_ref().is_some_and(|barrier| barrier.batch == Some(batch)) {
            self.complete_barrier(cx, degraded);
        }
    }

    /// Commits what the barrier stands for; `degraded` names those whose move the media plane has
    /// not reported.
    fn complete_barrier(&mut self, cx: &mut Context, degraded: &[ClientId]) {
        self.lift_flags(cx, self.barrier.as_ref().and_then(|barrier| barrier.batch));
        let Some(barrier) = self.barrier.take() else { return };
        let Barrier { reply, by, destroy, rooms, clients, before, .. } = barrier;
        // Those whom the worker did not know were in no batch.
        self.commit_returns(cx, &clients, degraded);
        for room in &rooms {
            if destroy {
                self.destroy_room(cx, *room, EndReason::Destroyed);
            } else {
                self.clear_room(cx, *room, by);
            }
        }
        let degraded: Vec<ClientId> =
            degraded.iter().copied().filter(|client| clients.contains(client)).collect();
        let msg = if destroy { "Breakout rooms destroyed" } else { "Breakout rooms cleared" };
        let data: Value =
            json!({"msg": msg, "result": 0, "rooms": rooms, "clients": clients, "degraded": degraded});
        self.ack_since(cx, by, &reply, before, data);
        for client in clients {
            self.send_offer(cx, client);
        }
    }

    fn clear_room(&mut self, cx: &mut Context, room: BreakoutId, by: ClientId) {
        self.withdraw_all(cx, room, WithdrawReason::Cleared);
        let Some(found) = self.rooms.get_mut(&room) else { return };
        if !std::mem::replace(&mut found.cleared, true) {
            let audience = self.hosts(room, None);
            self.tell(cx, Event::ClearedBreakoutRoom { room, by }, audience);
        }
    }

    /// Ends a room that nobody is in any more.
    pub(super) fn destroy_room(&mut self, cx: &mut Context, room: BreakoutId, reason: EndReason) {
        self.withdraw_all(cx, room, WithdrawReason::Destroyed);
        let audience = self.hosts(room, None);
        let Some(found) = self.rooms.remove(&room) else { return };
        self.remember_destroyed(room);
        self.end_group(cx, found.group);
        self.tell(cx, Event::DestroyedBreakoutRoom { room, reason }, audience);
    }
}
