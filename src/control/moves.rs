//! Moving people: a batch goes to the worker, and what it stands for is committed when the worker
//! reports it applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::{Context, SeatRef};
use super::deadline::{BATCH_WAIT, Deadline, STEP_WAIT};
use super::denied::Denied;
use super::disconnect::Returned;
use super::log::Audience;
use super::seat::{Movement, Seat};
use super::session::Session;
use crate::base::plant::{self, Plant};
use crate::base::{BatchId, ClientId, Epoch, GroupId, Kind, ParticipantId, Time, WorkerId};
use crate::message::{Event, MediaCommand, Moved, Placement, Refusal, SlotBinding, SlotState};

/// How often slots may change between a mover's own worker and the last one.
const MOST_CHANGES: usize = 16;

/// What a batch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// All workers take everything from the people: only of a session on several workers.
    Revoking,
    /// All workers place them anew.
    Granting,
}

/// People who move as one step.
pub(super) struct Batch {
    pub(super) clients: Vec<ClientId>,
    placements: Vec<Placement>,
    workers: Vec<WorkerId>,
    /// The workers that have not reported the step yet.
    pub(super) waiting: BTreeSet<WorkerId>,
    step: Step,
    pub(super) began: Time,
    /// What has been reported.
    moved: Vec<Moved>,
    /// Those whose worker has failed meanwhile.
    degraded: Vec<ClientId>,
}

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
        let id = cx.next_batch(self.id);
        for client in &known {
            if let Some(movement) = self.seats.get_unsaved_mut(client).and_then(|seat| seat.movement.as_mut())
            {
                *movement.batch_mut() = Some(id);
            }
        }
        let placements = known.iter().filter_map(|client| self.place(cx, *client)).collect();
        let leaves_out = plant::is(Plant::GrantUnrevoked) || plant::is(Plant::AckEarly);
        let step = if self.spread.is_wide() && !leaves_out { Step::Revoking } else { Step::Granting };
        let batch = Batch {
            clients: known,
            placements,
            workers: self.spread.workers().collect(),
            waiting: BTreeSet::new(),
            step,
            began: cx.now,
            moved: Vec::new(),
            degraded: Vec::new(),
        };
        self.batches.insert(id, batch);
        self.send_step(cx, id);
        Some(id)
    }

    /// The second step, after all workers that are left have done the first.
    fn grant(&mut self, cx: &mut Context, id: BatchId) {
        let Self { batches, seats, .. } = self;
        let Some(batch) = batches.get_mut(&id) else { return };
        batch.step = Step::Granting;
        // What somebody may publish can have changed since the first step: workers take no word about a
        // placement that nobody is in yet.
        for placement in &mut batch.placements {
            let client = cx.participants.get(&placement.participant).map(|seat| seat.client);
            let sent = client.and_then(|client| seats.get(&client)).and_then(|seat| seat.sent);
            if let Some(sent) = sent.filter(|sent| sent.epoch == placement.epoch) {
                placement.publish = sent.publish;
            }
        }
        self.send_step(cx, id);
    }

    /// Sends a batch's step to all its workers.
    fn send_step(&mut self, cx: &mut Context, id: BatchId) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let command = match batch.step {
            Step::Revoking => MediaCommand::Revoke {
                batch: id,
                participants: batch.placements.iter().map(|one| (one.participant, one.epoch)).collect(),
            },
            Step::Granting => MediaCommand::Move { batch: id, placements: batch.placements.clone() },
        };
        batch.waiting = batch.workers.iter().copied().collect();
        for worker in &batch.workers {
            cx.media(*worker, command.clone());
        }
        let due = (cx.now + STEP_WAIT).min(batch.began + BATCH_WAIT);
        self.deadlines.set(Deadline::Batch(id), due);
    }

    /// Whether a move of somebody is under way, which some workers may have applied and others not, and which another
    /// move may overtake; also who waits for others with whom to be brought back.
    pub(super) fn is_between_rooms(&self, client: ClientId) -> bool {
        let Some(seat) = self.seats.get(&client) else { return false };
        // Who is brought back without a connection is in no batch, and is back with the others.
        let with_others =
            self.barrier.as_ref().and_then(|barrier| barrier.batch).filter(|_| seat.is_returning());
        let batch = seat.movement.as_ref().and_then(Movement::batch).or(with_others);
        batch.is_some_and(|id| self.batches.contains_key(&id)) && !plant::is(Plant::ConnectBetween)
    }

    /// A worker has taken everything from the people of a batch. Once all have, they are placed anew.
    pub(super) fn revoked(&mut self, cx: &mut Context, id: BatchId, worker: WorkerId) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        if batch.step == Step::Revoking && batch.waiting.remove(&worker) && batch.waiting.is_empty() {
            self.grant(cx, id);
        }
    }

    /// A worker has applied a batch.
    pub(super) fn moved(&mut self, cx: &mut Context, id: BatchId, worker: WorkerId, moved: Vec<Moved>) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        if batch.step == Step::Granting && batch.waiting.remove(&worker) {
            batch.moved.extend(moved);
            if batch.waiting.is_empty() || plant::is(Plant::AckEarly) {
                self.finish_batch(cx, id);
            }
        }
    }

    /// A worker is gone, and with it the connections of `lost`: no batch waits for it any more.
    pub(super) fn go_on_without(&mut self, cx: &mut Context, worker: WorkerId, lost: &[ClientId]) {
        let ids: Vec<BatchId> = self.batches.keys().copied().collect();
        for id in ids {
            let Some(batch) = self.batches.get_mut(&id) else { continue };
            let is_lost = |client: &&ClientId| lost.contains(client);
            batch.degraded.extend(batch.clients.iter().filter(is_lost));
            batch.workers.retain(|known| *known != worker);
            let was_waited_for = batch.waiting.remove(&worker);
            if !was_waited_for || !batch.waiting.is_empty() {
                continue;
            }
            if batch.step == Step::Revoking && !batch.workers.is_empty() {
                self.grant(cx, id);
            } else {
                self.finish_batch(cx, id);
            }
        }
    }

    /// Every worker has applied a batch, or is gone.
    fn finish_batch(&mut self, cx: &mut Context, id: BatchId) {
        let Some(batch) = self.batches.remove(&id) else { return };
        cx.batches.remove(&id);
        self.deadlines.clear(&Deadline::Batch(id));
        let Batch { clients, placements, moved, degraded, .. } = batch;
        self.lift_flags(cx, Some(id));
        // Movers first: each has to know where it is before it is heard there, and in a crowd it takes
        // long to tell everybody of everybody.
        let (mut returned, movers) = (Vec::new(), clients.clone());
        let is_of_this = |seat: &Seat| seat.movement.as_ref().and_then(Movement::batch) == Some(id);
        let returns =
            |client: &ClientId| self.seats.get(client).is_some_and(|s| s.is_returning() && is_of_this(s));
        let together: BTreeSet<ClientId> = clients.iter().copied().filter(returns).collect();
        for client in clients {
            let Some(seat) = self.seats.get(&client).filter(|seat| is_of_this(seat)) else {
                self.pass_on_moved(client, &placements, &moved);
                continue;
            };
            let participant = seat.participant;
            let slots = moved.iter().find(|moved| moved.participant == participant);
            returned.extend(self.settle(cx, client, slots, degraded.contains(&client), &together));
            for later in moved.iter().filter(|moved| moved.participant == participant).skip(1) {
                if self.seats.get(&client).is_some_and(|seat| seat.confirmed <= later.epoch) {
                    self.tell_moved_slots(cx, client, later);
                }
            }
        }
        self.tell_returned(cx, returned, &together);
        self.finish_barrier(cx, id, &degraded);
        for client in movers {
            self.send_offer(cx, client);
        }
    }

    /// Somebody's way home was overtaken by another one: packets have left by the slots of the first, so
    /// these are told with those of the second.
    fn pass_on_moved(&mut self, client: ClientId, placements: &[Placement], moved: &[Moved]) {
        let Self { seats, batches, group, .. } = self;
        let Some(seat) = seats.get(&client).filter(|seat| seat.is_returning()) else { return };
        let goes_home =
            placements.iter().any(|one| one.participant == seat.participant && one.group == *group);
        let overtaking = seat.movement.as_ref().and_then(Movement::batch);
        if let Some(batch) = overtaking.and_then(|id| batches.get_mut(&id)).filter(|_| goes_home) {
            let before = moved.iter().filter(|one| one.participant == seat.participant).cloned();
            batch.moved.splice(0..0, before.take(MOST_CHANGES));
        }
    }

    /// Ends a movement: the worker has applied it, or does not know the participant. Answers what the
    /// others are still to be told.
    fn settle(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        moved: Option<&Moved>,
        degraded: bool,
        together: &BTreeSet<ClientId>,
    ) -> Option<Returned> {
        let seat = self.seats.get_mut(&client)?;
        match (seat.movement.as_ref(), moved) {
            (Some(Movement::Join(_)), Some(moved)) => self.commit_join(cx, client, moved),
            (Some(Movement::Join(_)), None) => {
                self.fail_join(cx, client, &Denied::from(Refusal::JoinFailed));
            }
            (Some(Movement::Return(_)), moved) => {
                return self.take_return(cx, client, moved, degraded, together);
            }
            (Some(Movement::TakeBack { .. }), moved) => self.commit_take_back(cx, client, moved, degraded),
            (None, _) => {}
        }
        None
    }

    /// Tells a participant what its slots carry after its own move; also one that has none, because
    /// it says by this in which room it is.
    pub(super) fn tell_moved_slots(&mut self, cx: &mut Context, client: ClientId, moved: &Moved) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        let Some(group) = seat.sent.map(|sent| sent.group) else { return };
        if moved.epoch < seat.confirmed {
            // A new connection has overtaken the move: its slots hold, and those of the old one are gone.
            let (epoch, slots) = (seat.confirmed, Arc::clone(&seat.slots));
            let Some(room) = self.room_of(group) else { return };
            self.tell(cx, Event::Slots { client, epoch, room, slots }, Audience::one(client));
            return;
        }
        seat.confirmed = moved.epoch;
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
        let Some(seat) = self.seats.get(&client) else { return };
        if seat.confirmed == epoch {
            return self.tell_slots(cx, client, epoch, group, slots);
        }
        // Applied by its own worker, and not yet by all: the participant is to be told then, one after the
        // other, for packets have left by each of them.
        let participant = seat.participant;
        let is_it = |moved: &Moved| moved.participant == participant && moved.epoch == epoch;
        let Some(batch) = self.batches.values_mut().find(|batch| batch.moved.iter().any(is_it)) else {
            return;
        };
        let slots = slots.to_vec();
        if batch.moved.iter().filter(|moved| is_it(moved)).count() < MOST_CHANGES {
            batch.moved.push(Moved { participant, epoch, slots });
        } else if let Some(last) = batch.moved.iter_mut().rfind(|moved| is_it(moved)) {
            last.slots = slots;
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
        if let Some(seat) = self.seats.get_unsaved_mut(&client) {
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
        let audience =
            if plant::is(Plant::OutsiderTold) { Audience::Everyone } else { self.members(breakout) };
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
