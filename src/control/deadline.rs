//! What a session waits for with a deadline.

use std::time::Duration;

use super::context::Context;
use super::denied::Denied;
use super::session::Session;
use crate::base::{BatchId, BreakoutId, ClientId, ParticipantId, Time};
use crate::message::{CloseReason, EndReason, LeaveReason, Refusal};

/// How long a seat is kept for a lost connection.
pub(super) const HELD_FOR: Duration = Duration::from_secs(30);

/// How long a join waits for its own media connection.
pub(super) const JOIN_WAIT: Duration = Duration::from_secs(10);

/// How long a worker may take to report one step of a batch ..
pub(super) const STEP_WAIT: Duration = Duration::from_secs(2);

/// .. and all workers to report both: no ack waits longer than 3 s.
pub(super) const BATCH_WAIT: Duration = Duration::from_millis(2_800);

/// How long a worker may take to answer an offer.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// The room has no seats.
    Empty,
    /// An invitation ends.
    Invitation(BreakoutId, ClientId),
    /// A Held seat is freed.
    Held(ClientId),
    /// A join that waits for its media connection fails.
    Join(ClientId),
    /// A worker is silent.
    Batch(BatchId),
    /// A first offer was not answered.
    Fresh(ParticipantId),
    /// A new offer for a known seat was not answered.
    Reconnect(ClientId),
    /// An ICE restart was not answered.
    Restart(ClientId),
}

impl Deadline {
    /// Whether it is a media worker that is waited for.
    const fn is_for_a_worker(&self) -> bool {
        match self {
            Self::Batch(_) | Self::Fresh(_) | Self::Reconnect(_) | Self::Restart(_) | Self::Join(_) => true,
            Self::Empty | Self::Invitation(..) | Self::Held(_) => false,
        }
    }
}

impl Session {
    /// Workers get back the time that they could not use.
    pub(super) fn excuse_workers(&mut self, pause: Duration) {
        self.deadlines.postpone(pause, Deadline::is_for_a_worker);
        for batch in self.batches.values_mut() {
            batch.began = batch.began + pause;
        }
    }

    pub(super) fn handle_deadlines(&mut self, cx: &mut Context) {
        while self.ended.is_none()
            && let Some(deadline) = self.deadlines.pop_due(cx.now)
        {
            self.handle_deadline(cx, deadline);
        }
    }

    fn handle_deadline(&mut self, cx: &mut Context, deadline: Deadline) {
        match deadline {
            Deadline::Empty => self.end(cx, EndReason::Empty),
            Deadline::Invitation(room, client) => self.expire_invitation(cx, room, client),
            Deadline::Held(client) => {
                self.remove_seat(cx, client, LeaveReason::Expired, CloseReason::SeatFreed)
            }
            Deadline::Join(client) => self.fail_join(cx, client, &Denied::from(Refusal::JoinTimeout)),
            // Control lets every session of the workers know, this one too.
            Deadline::Batch(batch) => {
                let batch = self.batches.get(&batch);
                cx.silent.extend(batch.into_iter().flat_map(|batch| batch.waiting.iter().copied()));
            }
            Deadline::Fresh(participant) => {
                let worker = self.fresh.get(&participant).map(super::connect::Fresh::worker);
                self.fresh_unanswered(cx, participant);
                worker.into_iter().for_each(|worker| cx.doubt(worker));
            }
            Deadline::Reconnect(client) => {
                let worker = self.reconnect_unanswered(cx, client);
                worker.into_iter().for_each(|worker| cx.doubt(worker));
            }
            Deadline::Restart(client) => {
                let worker = self.seats.get(&client).map(|seat| seat.worker);
                self.restart_unanswered(cx, client);
                worker.into_iter().for_each(|worker| cx.doubt(worker));
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }
}
