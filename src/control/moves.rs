//! Moving people: a batch goes to the worker, and what it stands for is committed when the worker
//! reports it applied.

use std::sync::Arc;

use super::context::{Context, SeatRef};
use super::deadline::{BATCH_WAIT, Deadline};
use super::denied::Denied;
use super::log::Audience;
use super::seat::Movement;
use super::session::Session;
use crate::base::{BatchId, ClientId, Epoch, GroupId, Kind, ParticipantId};
use crate::message::{Event, MediaCommand, Moved, Refusal, SlotBinding, SlotState};

impl Session {
    /// Sends the people of one step to where their movements point, and answers the batch. Nobody
    /// whom the worker does not know is in it; nothing if nobody is left.
    pub(super) fn send_batch(&mut self, cx: &mut Context, clients: &[ClientId]) -> Option<BatchId> {
        let known: Vec<ClientId> = clients
            .iter()
            .copied()
            .filter(|client| self.seats.get(client).is_some_and(|seat| seat.sent.is_some()))
            .collect();
        if known.is_empty() {
            return None;
        }
        let batch = cx.next_batch(self.id);
        for client in &known {
            if let Some(movement) = self.seats.get_mut(client).and_then(|seat| seat.movement.as_mut()) {
                *movement.batch_mut() = Some(batch);
            }
        }
        let placements = known.iter().filter_map(|client| self.place(cx, *client)).collect();
        self.batches.insert(batch, known);
        self.deadlines.set(Deadline::Batch(batch), cx.now + BATCH_WAIT);
        cx.media(self.worker, MediaCommand::Move { batch, placements });
        Some(batch)
    }

    /// The worker has applied a batch.
    pub(super) fn moved(&mut self, cx: &mut Context, batch: BatchId, moved: &[Moved]) {
        let Some(clients) = self.batches.remove(&batch) else { return };
        cx.batches.remove(&batch);
        self.deadlines.clear(&Deadline::Batch(batch));
        self.lift_flags(cx, Some(batch));
        for client in clients {
            let Some(seat) = self.seats.get(&client) else { continue };
            if seat.movement.as_ref().and_then(Movement::batch) != Some(batch) {
                continue;
            }
            let participant = seat.participant;
            let slots = moved.iter().find(|moved| moved.participant == participant);
            self.settle(cx, client, slots);
        }
        self.finish_barrier(cx, batch, &[]);
    }

    /// Ends a movement: the worker has applied it, or does not know the participant.
    fn settle(&mut self, cx: &mut Context, client: ClientId, moved: Option<&Moved>) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        match (seat.movement.as_ref(), moved) {
            (Some(Movement::Join(_)), Some(moved)) => self.commit_join(cx, client, moved),
            (Some(Movement::Join(_)), None) => {
                self.fail_join(cx, client, &Denied::from(Refusal::JoinFailed));
            }
            (Some(Movement::Return(_)), moved) => self.commit_return(cx, client, moved, false),
            (Some(Movement::TakeBack { .. }), moved) => self.commit_take_back(cx, client, moved, false),
            (None, _) => {}
        }
    }

    /// Tells a participant what its slots carry after its own move; also one that has none, because
    /// it says by this in which room it is.
    pub(super) fn tell_moved_slots(&mut self, cx: &mut Context, client: ClientId, moved: &Moved) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        seat.confirmed = moved.epoch;
        let Some(group) = seat.sent.map(|sent| sent.group) else { return };
        self.tell_slots(cx, client, moved.epoch, group, &moved.slots);
    }

    /// A participant's slots changed where it is known to be. That holds while a move is on its way as
    /// well: the worker sent by these slots until it applied the move.
    pub(super) fn slots_changed(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        epoch: Epoch,
        group: GroupId,
        slots: &[SlotBinding],
    ) {
        if self.seats.get(&client).is_some_and(|seat| seat.confirmed == epoch) {
            self.tell_slots(cx, client, epoch, group, slots);
        }
    }

    fn tell_slots(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        epoch: Epoch,
        group: GroupId,
        bindings: &[SlotBinding],
    ) {
        let Some(room) = self.room_of(group) else { return };
        let slots = slot_states(cx, self.id, bindings);
        if let Some(seat) = self.seats.get_mut(&client) {
            seat.slots = Arc::clone(&slots);
        }
        self.tell(cx, Event::Slots { client, epoch, room, slots }, Audience::one(client));
    }

    /// Who talks in a group.
    pub(super) fn talkers(&mut self, cx: &mut Context, group: GroupId, talkers: &[(ParticipantId, u8)]) {
        let Some(room) = self.room_of(group) else { return };
        let breakout = self.rooms.values().find(|room| room.group == group).map(|room| room.id);
        let active = talkers
            .iter()
            .filter_map(|(participant, level)| {
                let SeatRef { session, client } = *cx.participants.get(participant)?;
                let seat = self.seats.get(&client).filter(|_| session == self.id)?;
                Some((seat.person(), *level))
            })
            .collect();
        let audience = self.members(breakout);
        self.tell(cx, Event::ActiveTalkers { room, active }, audience);
    }
}

/// Slots as clients see them.
pub(super) fn slot_states(
    cx: &Context,
    session: super::context::SessionId,
    bindings: &[SlotBinding],
) -> Arc<[SlotState]> {
    let (mut audio, mut video) = (0_u32, 0_u32);
    bindings
        .iter()
        .map(|binding| {
            let position = if binding.video { &mut video } else { &mut audio };
            *position += 1;
            let publisher = binding.publisher.and_then(|(participant, kind)| {
                let seat = cx.publisher(participant).filter(|seat| seat.session == session)?;
                Some((seat.client, kind))
            });
            let empty = if binding.video { Kind::Video } else { Kind::Audio };
            let stream_id = publisher.map(|(_, kind)| match kind {
                Kind::Share => 101,
                Kind::Canvas => 102,
                Kind::Audio | Kind::Video => *position,
            });
            SlotState {
                mid: binding.mid.clone(),
                kind: publisher.map_or(empty, |(_, kind)| kind),
                client: publisher.map(|(client, _)| client),
                stream_id,
                ssrc: binding.ssrc,
                from_seq: binding.from_seq,
                reason: binding.reason,
            }
        })
        .collect()
}
