//! Where the answer to a request goes.

use serde_json::Value;

use super::context::Context;
use super::denied::Denied;
use super::session::Session;
use crate::base::{BreakoutId, ClientId, LinkId};
use crate::message::{Frame, Method};

/// A request that is owed an ack.
#[derive(Clone, Debug)]
pub(super) struct ReplyTo {
    pub(super) link: LinkId,
    pub(super) id: String,
    pub(super) method: Method,
}

/// What a request came to.
pub(super) enum Answer {
    /// Done: the `data` of its ack.
    Now(Value),
    /// Under way: its ack comes later.
    Later,
}

impl Session {
    /// Acks a request that succeeded; `seq` is the number of the change that it made.
    pub(super) fn ack(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        seq: Option<u64>,
        data: Value,
    ) {
        let frame = Frame::Ack { id: reply.id.clone(), ack: reply.method.ack(), seq, data };
        self.answer(cx, client, reply, frame);
    }

    /// Acks a request that changed what happened after the event `before`.
    pub(super) fn ack_since(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        before: u64,
        data: Value,
    ) {
        let seq = Some(self.log.seq()).filter(|seq| *seq > before);
        self.ack(cx, client, reply, seq, data);
    }

    /// Acks a request that failed.
    pub(super) fn ack_denied(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        denied: &Denied,
    ) {
        self.ack_failure(cx, client, reply, None, denied.data());
    }

    /// Acks a request that failed, with more in its `data`; a join with the room that it was for.
    pub(super) fn ack_failure(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        room: Option<BreakoutId>,
        data: Value,
    ) {
        let frame = Frame::failure(reply.id.clone(), Some(reply.method), room, data);
        self.answer(cx, client, reply, frame);
    }

    /// The ack goes to the link that asked, or to the one that took its place.
    fn answer(&mut self, cx: &mut Context, client: ClientId, reply: &ReplyTo, frame: Frame) {
        let mut target = cx.link(reply.link).map(|_| reply.link);
        if let Some(seat) = self.seats.get_unsaved_mut(&client) {
            seat.answers.answered(&frame);
            target = target.or(seat.link);
        }
        if let Some(link) = target {
            cx.send(link, frame);
        }
        cx.paid(reply.link);
    }
}
