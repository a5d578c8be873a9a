//! One participant: a place in a group, and a connection while there is one.

use super::session::Session;
use super::slab::Key;
use super::stream::Stream;
use crate::base::{Epoch, GroupId, KindSet, ParticipantId, WorkerId};
use crate::message::{Placement, SlotBinding};

/// What is known of somebody whose connection is another worker's.
pub(super) struct Mirrored {
    /// Whose.
    pub(super) home: WorkerId,
    /// What the participant publishes, as far as that worker has handed it over: one of each kind.
    pub(super) streams: Vec<Key<Stream>>,
}

/// One participant.
pub(super) struct Participant {
    pub(super) id: ParticipantId,
    /// The current placement. The group is `None` once it has ended.
    pub(super) group: Option<GroupId>,
    pub(super) epoch: Epoch,
    pub(super) publish: KindSet,
    pub(super) session: Option<Session>,
    /// Nothing for this worker's own.
    pub(super) mirrored: Option<Mirrored>,
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
            publish: KindSet::NONE,
            session: None,
            mirrored: None,
            slots_changed: false,
        }
    }

    /// What it publishes.
    pub(super) fn streams(&self) -> impl Iterator<Item = Key<Stream>> + '_ {
        let own = self.session.iter().flat_map(|session| session.intake.lines.iter().map(|line| line.stream));
        own.chain(self.mirrored.iter().flat_map(|mirrored| mirrored.streams.iter().copied()))
    }

    /// The worker whose its connection is, if that is another.
    pub(super) fn home(&self) -> Option<WorkerId> {
        self.mirrored.as_ref().map(|mirrored| mirrored.home)
    }

    /// What control is told of its slots.
    pub(super) fn slots(&self) -> Vec<SlotBinding> {
        self.session.iter().flat_map(|session| session.slots.iter().map(super::slot::Slot::report)).collect()
    }
}
