//! One participant: a place in a group, and a connection while there is one.

use super::session::Session;
use super::slab::Key;
use super::stream::Stream;
use crate::base::{Epoch, GroupId, KindSet, ParticipantId, WorkerId};
use crate::message::{Placement, SlotBinding};

/// One participant.
pub(super) struct Participant {
    pub(super) id: ParticipantId,
    /// The current placement. The group is `None` once it has ended.
    pub(super) group: Option<GroupId>,
    pub(super) epoch: Epoch,
    /// A placement that other workers may grant as soon as this one has revoked everything: none before
    /// it is applied any more.
    pub(super) awaits: Epoch,
    pub(super) publish: KindSet,
    pub(super) session: Option<Session>,
    /// The worker whose its connection is, if that is another.
    pub(super) home: Option<WorkerId>,
    /// What it publishes; of another worker's, what that has handed over: one of each kind.
    pub(super) streams: Vec<Key<Stream>>,
    /// Whether its client has ever said that it knows of a placement.
    pub(super) confirms: bool,
    /// Whether control is still to be told of changed slots.
    pub(super) slots_changed: bool,
}

impl Participant {
    /// A participant that is placed nowhere yet.
    pub(super) const fn new(placement: &Placement) -> Self {
        Self {
            id: placement.participant,
            group: None,
            epoch: placement.epoch,
            awaits: Epoch(0),
            publish: KindSet::NONE,
            session: None,
            home: None,
            streams: Vec::new(),
            confirms: false,
            slots_changed: false,
        }
    }

    /// What control is told of its slots.
    pub(super) fn slots(&self) -> Vec<SlotBinding> {
        self.session.iter().flat_map(|session| session.slots.iter().map(super::slot::Slot::report)).collect()
    }
}
