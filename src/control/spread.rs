//! Which media workers a session is on.
//!
//! A session starts on one worker and takes another when it has as many seats on each as the operator
//! lets it have there. A seat stays on its worker; every worker of the session knows everybody in it:
//! its own by their connections, the others as mirrors.

use super::context::Context;
use super::session::Session;
use crate::base::{ClientId, ParticipantId, WorkerId};
use crate::message::{MediaCommand, Placement};

/// The workers of a session and how many seats each has.
#[derive(Clone, Debug)]
pub(super) struct Spread(Vec<(WorkerId, usize)>);

impl Spread {
    /// A session on one worker.
    pub(super) fn on(worker: WorkerId) -> Self {
        Self(vec![(worker, 0)])
    }

    /// The workers, the first one first.
    pub(super) fn workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.0.iter().map(|(worker, _)| *worker)
    }

    /// Whether there are several.
    pub(super) const fn is_wide(&self) -> bool {
        self.0.len() > 1
    }

    /// Whether a worker is among them.
    pub(super) fn contains(&self, worker: WorkerId) -> bool {
        self.workers().any(|known| known == worker)
    }

    fn seats_mut(&mut self, worker: WorkerId) -> Option<&mut usize> {
        self.0.iter_mut().find(|(known, _)| *known == worker).map(|(_, seats)| seats)
    }
}

impl Session {
    /// The worker for one more seat: one that the session is on while it has room there, then another,
    /// and once it is on all the one with the fewest of its seats.
    pub(super) fn take_worker(&mut self, cx: &mut Context) -> WorkerId {
        let most = cx.settings.seats_per_worker;
        let first_with_room = self.spread.0.iter().find(|(_, seats)| *seats < most);
        let another = || cx.idlest_worker_but(|worker| self.spread.contains(worker));
        let fewest = || self.spread.0.iter().min_by_key(|(_, seats)| *seats).map(|(worker, _)| *worker);
        let worker = first_with_room.map(|(worker, _)| *worker).or_else(another).or_else(fewest);
        let worker = worker.unwrap_or_default();
        if !self.spread.contains(worker) {
            self.spread.0.push((worker, 0));
            self.introduce(cx, worker);
        }
        if let Some(seats) = self.spread.seats_mut(worker) {
            *seats += 1;
        }
        cx.load_more(worker);
        worker
    }

    /// A seat is gone.
    pub(super) fn release_worker(&mut self, cx: &mut Context, worker: WorkerId) {
        if let Some(seats) = self.spread.seats_mut(worker) {
            *seats = seats.saturating_sub(1);
        }
        cx.load_less(worker);
    }

    /// Tells a worker that knows nothing of the session what its groups are like and who is in them.
    pub(super) fn introduce(&self, cx: &mut Context, worker: WorkerId) {
        for settings in self.groups.values() {
            cx.media(worker, MediaCommand::SetGroup(*settings));
        }
        for seat in self.seats.values().filter(|seat| seat.worker != worker) {
            if let Some(mirror) = seat.mirror() {
                cx.media(worker, mirror);
            }
        }
    }

    /// Tells every worker of the session.
    pub(super) fn tell_workers(&self, cx: &mut Context, command: &MediaCommand) {
        for worker in self.spread.workers() {
            cx.media(worker, command.clone());
        }
    }

    /// Makes a participant known to the session's other workers, where it is now.
    pub(super) fn show_to_others(&self, cx: &mut Context, client: ClientId) {
        let Some(seat) = self.seats.get(&client) else { return };
        let Some(mirror) = seat.mirror() else { return };
        for worker in self.spread.workers().filter(|worker| *worker != seat.worker) {
            cx.media(worker, mirror.clone());
        }
    }

    /// Lets the session's other workers forget a participant.
    pub(super) fn hide_from_others(&self, cx: &mut Context, home: WorkerId, participant: ParticipantId) {
        for worker in self.spread.workers().filter(|worker| *worker != home) {
            cx.media(worker, MediaCommand::Disconnect(participant));
        }
    }

    /// Whether a participant's connection is on this worker.
    pub(super) fn is_on(&self, worker: WorkerId, participant: ParticipantId, client: ClientId) -> bool {
        let fresh = self.fresh.get(&participant).map(super::connect::Fresh::worker);
        fresh.or_else(|| self.seats.get(&client).map(|seat| seat.worker)) == Some(worker)
    }
}

impl super::seat::Seat {
    /// What another worker is told of this seat; nothing while there is no connection.
    fn mirror(&self) -> Option<MediaCommand> {
        // Whether a new connection's placement holds is known when its offer is answered.
        let sent = match &self.connecting {
            Some(connecting) if self.sent.is_some_and(|sent| connecting.epoch == Some(sent.epoch)) => {
                connecting.previous
            }
            _ => self.sent,
        };
        let sent = sent.filter(|_| self.media != super::seat::Media::Lost)?;
        let super::seat::Sent { epoch, group, publish } = sent;
        let placement = Placement { participant: self.participant, group, epoch, publish };
        Some(MediaCommand::Mirror { placement, home: self.worker })
    }
}
