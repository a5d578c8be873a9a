//! Coming back to a seat: by signalling alone, or with a new media connection.

use std::time::Duration;

use super::connect::{JoinRoom, empty_slots, seat_gone};
use super::context::Context;
use super::deadline::{ANSWER_WAIT, Deadline};
use super::denied::Denied;
use super::reply::{Answer, ReplyTo};
use super::seat::{Media, Offer, Reconnect, Seat};
use super::session::Session;
use crate::base::{Bucket, ClientId, Epoch, LinkId, WorkerId};
use crate::message::{self as protocol, Connect, LossReason, MediaCommand, Refusal, SdpRefusal};

/// How often one may come back to a seat: 10 times at once, and then once a second. Everybody in the meeting is
/// told of a loss and of a return, and each new link has all the requests of a link.
pub(super) const fn returns() -> Bucket {
    Bucket::new(1, Duration::from_secs(10))
}

impl Session {
    /// Brings a client back to its seat: signalling only, or a new media connection as well.
    pub(super) fn come_back(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        join: JoinRoom<'_>,
        secret: u128,
    ) -> Result<Answer, Denied> {
        let seat = self.seats.get_unsaved_mut(&client).ok_or_else(seat_gone)?;
        if seat.connecting.is_some() {
            return Err(Refusal::RequestInProgress.into());
        }
        if !seat.returns.take(cx.now, 1) {
            let text = "Too many returns to this seat. Wait a second and ask again.";
            return Err(Denied::new(Refusal::RequestInProgress, text));
        }
        let Some(offer) = join.sdp else {
            if seat.media == Media::Lost {
                let text = "Your media connection is gone. Join with `resume` and a new `sdp`.";
                return Err(Denied::new(Refusal::JoinFailed, text));
            }
            self.attach(cx, client, reply, Some(secret));
            return Ok(Answer::Now(self.joined(client, None)));
        };
        let offer = Some(Offer { sdp: offer.to_owned(), tracks: join.tracks });
        seat.connecting =
            Some(Reconnect { reply: reply.clone(), offer, epoch: None, previous: None, secret });
        if let Some(link) = cx.link_mut(reply.link) {
            link.joining = Some((self.id, reply.id.clone()));
        }
        self.deadlines.set(Deadline::Reconnect(client), cx.now + ANSWER_WAIT);
        self.send_offer(cx, client);
        Ok(Answer::Later)
    }

    /// Sends the offer of a reconnection to its worker, unless a move is under way: some workers may have
    /// applied it and others not, and a connection that is placed anew meanwhile would be in both rooms. With one
    /// worker it would be where the move goes, and its owner be told the room from where.
    pub(super) fn send_offer(&mut self, cx: &mut Context, client: ClientId) {
        if self.is_between_rooms(client) {
            return;
        }
        let Some(seat) = self.seats.get_mut(&client) else { return };
        let Some(connecting) = seat.connecting.as_mut() else { return };
        let Some(Offer { sdp, tracks }) = connecting.offer.take() else { return };
        connecting.previous = seat.sent;
        let (worker, link) = (seat.worker, connecting.reply.link);
        // Who has left meanwhile keeps the connection that is there.
        if cx.link_mut(link).is_none() {
            return self.fail_reconnect(cx, client);
        }
        let Some(placement) = self.place(cx, client) else { return self.fail_reconnect(cx, client) };
        cx.media(worker, MediaCommand::Connect(Connect { offer: sdp, tracks, placement }));
        if let Some(connecting) = self.seats.get_mut(&client).and_then(|seat| seat.connecting.as_mut()) {
            connecting.epoch = Some(placement.epoch);
        }
    }

    /// A link is gone: what it asked for and the worker has not been told of is nobody's wish any more.
    pub(super) fn forget_offer(&mut self, cx: &mut Context, link: LinkId) {
        let is_its = |seat: &&Seat| {
            let connecting = seat.connecting.as_ref().filter(|connecting| connecting.offer.is_some());
            connecting.is_some_and(|connecting| connecting.reply.link == link)
        };
        if let Some(client) = self.seats.values().find(is_its).map(|seat| seat.client) {
            self.fail_reconnect(cx, client);
        }
    }

    pub(super) fn reconnect_answered(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        connecting: &Reconnect,
        epoch: Epoch,
        result: Result<protocol::Answer, SdpRefusal>,
    ) {
        let reply = &connecting.reply;
        let here = cx.link_mut(reply.link).map(|link| link.joining = None).is_some();
        let answer = match result {
            Ok(answer) => answer,
            Err(refusal) => {
                self.restore_placement(client, connecting, epoch);
                let denied = Denied::new(Refusal::BadParameter, refusal.reason);
                self.ack_denied(cx, client, reply, &denied);
                return self.sync_publish(cx, client);
            }
        };
        let slots = empty_slots(cx, self, &answer);
        if let Some(seat) = self.seats.get_mut(&client) {
            seat.connection = epoch;
            seat.confirmed = epoch.max(seat.confirmed);
            seat.media = Media::Connecting;
            seat.slots = slots;
            if let Some(restart) = seat.restarting.take() {
                self.deadlines.clear(&Deadline::Restart(client));
                self.ack_denied(cx, client, &restart.reply, &Denied::from(Refusal::JoinFailed));
            }
        }
        if here {
            self.show_to_others(cx, client);
            let before = self.log.seq();
            self.attach(cx, client, reply, Some(connecting.secret));
            let data = self.joined(client, Some(&answer.sdp));
            self.ack_since(cx, client, reply, before, data);
        } else {
            // Nobody has the answer, so that this connection never comes up; the one before it is gone.
            self.ack_denied(cx, client, reply, &Denied::from(Refusal::JoinFailed));
            self.media_lost(cx, client, LossReason::Closed);
        }
        self.sync_publish(cx, client);
    }

    /// The offer was refused: what the worker knew before holds on, unless it was told more since.
    fn restore_placement(&mut self, client: ClientId, connecting: &Reconnect, epoch: Epoch) {
        if let Some(seat) = self.seats.get_mut(&client)
            && seat.sent.is_some_and(|sent| sent.epoch == epoch)
        {
            seat.sent = connecting.previous;
        }
    }

    /// Refuses a reconnection that waits for its answer.
    pub(super) fn fail_reconnect(&mut self, cx: &mut Context, client: ClientId) {
        let Some(connecting) = self.seats.get_mut(&client).and_then(|seat| seat.connecting.take()) else {
            return;
        };
        self.deadlines.clear(&Deadline::Reconnect(client));
        if let Some(link) = cx.link_mut(connecting.reply.link) {
            link.joining = None;
        }
        self.ack_denied(cx, client, &connecting.reply, &Denied::from(Refusal::JoinFailed));
    }

    /// Whether the worker has taken the new connection is unknown, so the seat waits for another one, unless it
    /// was not told of it. Answers the worker that has not answered.
    pub(super) fn reconnect_unanswered(&mut self, cx: &mut Context, client: ClientId) -> Option<WorkerId> {
        let seat = self.seats.get(&client)?;
        let (worker, was_told) =
            (seat.worker, seat.connecting.as_ref().is_some_and(|one| one.offer.is_none()));
        self.fail_reconnect(cx, client);
        if was_told {
            self.media_lost(cx, client, LossReason::Worker);
        }
        was_told.then_some(worker)
    }
}
