//! Lost connections: a seat is kept for a while, and freed if its client does not come back.

use super::context::Context;
use super::deadline::{Deadline, HELD_FOR};
use super::denied::Denied;
use super::log::Audience;
use super::seat::Media;
use super::session::Session;
use crate::base::plant::{self, Plant};
use crate::base::{ClientId, Epoch, LinkId, WorkerId};
use crate::message::{Event, LossReason, Refusal};

impl Session {
    /// A signalling connection is gone. Media goes on.
    pub(super) fn link_lost(&mut self, cx: &mut Context, client: ClientId, link: LinkId) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        if seat.link == Some(link) {
            seat.link = None;
            self.hold(cx, client);
        }
    }

    /// ICE and DTLS are done.
    pub(super) fn transport_up(&mut self, cx: &mut Context, client: ClientId, epoch: Epoch) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        if seat.connection == epoch && seat.media == Media::Connecting {
            seat.media = Media::Up;
            self.resume_join(cx, client);
        }
    }

    /// A media connection is gone. Signalling goes on.
    pub(super) fn transport_lost(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        epoch: Epoch,
        reason: LossReason,
    ) {
        if self.seats.get(&client).is_some_and(|seat| seat.connection == epoch) {
            self.media_lost(cx, client, reason);
        }
    }

    pub(super) fn media_lost(&mut self, cx: &mut Context, client: ClientId, reason: LossReason) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        if seat.media == Media::Lost {
            return;
        }
        seat.media = Media::Lost;
        let (worker, participant) = (seat.worker, seat.participant);
        if let Some(restart) = seat.restarting.take() {
            self.deadlines.clear(&Deadline::Restart(client));
            let denied =
                Denied::new(Refusal::JoinFailed, "Your media connection is gone. Join again with `resume`.");
            self.ack_denied(cx, client, &restart.reply, &denied);
        }
        self.hide_from_others(cx, worker, participant);
        self.tell(cx, Event::TransportLost { client, reason }, Audience::one(client));
        self.hold(cx, client);
    }

    /// Keeps the seat of somebody who has lost a connection. The time runs from the first loss.
    fn hold(&mut self, cx: &mut Context, client: ClientId) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        if seat.held_until.is_some() {
            return;
        }
        let until = cx.now + HELD_FOR;
        seat.held_until = Some(until);
        let (person, room) = (seat.person(), seat.breakout());
        let waits = seat.join().is_some_and(|join| join.batch.is_none());
        let until_then = if plant::is(Plant::HeldTooShort) { cx.now + HELD_FOR / 30 } else { until };
        self.deadlines.set(Deadline::Held(client), until_then);
        self.tell(cx, Event::UserReconnecting { person, until }, Audience::Everyone);
        self.stop_presenting(cx, room, client);
        if waits {
            let denied =
                Denied::new(Refusal::JoinFailed, "Your connection was lost. Join again when you are back.");
            self.fail_join(cx, client, &denied);
        }
    }

    /// Ends the keeping of a seat if both its connections are there. The others are told; the
    /// participant has the ack of the own `joinRoom`.
    pub(super) fn unhold(&mut self, cx: &mut Context, client: ClientId) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        if seat.held_until.is_none() || seat.link.is_none() || seat.media == Media::Lost {
            return;
        }
        seat.held_until = None;
        let person = seat.person();
        self.deadlines.clear(&Deadline::Held(client));
        let audience = Audience::of(self.seats.keys().copied(), Some(client));
        self.tell(cx, Event::UserReconnected { person }, audience);
    }

    /// A worker is gone with everything that it knew: a new, empty one has taken its place. Joins of
    /// whoever was on it fail; what brings them back goes on without it.
    pub(super) fn worker_lost(&mut self, cx: &mut Context, worker: WorkerId) {
        let mut lost = Vec::new();
        for seat in self.seats.unsaved_values_mut().filter(|seat| seat.worker == worker) {
            seat.sent = None;
            lost.push(seat.client);
        }
        self.introduce(cx, worker);
        self.fail_fresh_on(cx, worker);
        for client in &lost {
            self.fail_reconnect(cx, *client);
            self.media_lost(cx, *client, LossReason::Worker);
            self.fail_join(cx, *client, &Denied::from(Refusal::JoinFailed));
        }
        self.go_on_without(cx, worker, &lost);
    }
}
