//! The ways from one media worker to the others.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::base::WorkerId;
use crate::media::Handover;

/// Handovers that may wait for a worker: what its busiest peers make in a quarter of a second. More
/// are dropped, and counted.
const WAITING: usize = 256;

/// What one worker has for another.
#[derive(Debug)]
pub(super) struct HandedOver {
    pub(super) from: WorkerId,
    pub(super) handover: Handover,
}

/// The way to one worker.
pub(super) type PeerSender = mpsc::Sender<HandedOver>;

/// A way to a worker, and its end there.
pub(super) fn way() -> (PeerSender, mpsc::Receiver<HandedOver>) {
    mpsc::channel(WAITING)
}

/// The ways from one worker to all others.
#[derive(Debug)]
pub(super) struct Peers {
    own: WorkerId,
    ways: BTreeMap<WorkerId, PeerSender>,
}

impl Peers {
    /// The ways of a worker to those that are there already.
    pub(super) fn new(own: WorkerId, ways: impl Iterator<Item = (WorkerId, PeerSender)>) -> Self {
        Self { own, ways: ways.filter(|(worker, _)| *worker != own).collect() }
    }

    /// A worker was started, or took another's place.
    pub(super) fn set(&mut self, worker: WorkerId, way: PeerSender) {
        self.ways.insert(worker, way);
    }

    /// Hands something to a worker.
    ///
    /// # Errors
    /// Gives it back where the worker takes no more.
    pub(super) fn send(&self, worker: WorkerId, handover: Handover) -> Result<(), Handover> {
        let Some(way) = self.ways.get(&worker) else { return Err(handover) };
        way.try_send(HandedOver { from: self.own, handover }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back) => back.handover,
        })
    }
}
