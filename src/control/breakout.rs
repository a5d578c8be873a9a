//! One live breakout room.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::view::{BreakoutState, RoomView};
use crate::base::plant::{self, Plant};
use crate::base::{BreakoutId, ClientId, GroupId, Kind, KindSet};
use crate::message::{BreakoutDetails, Presentation, Role};

pub(super) struct Breakout {
    pub(super) id: BreakoutId,
    pub(super) name: Arc<str>,
    pub(super) group: GroupId,
    pub(super) owner: Option<ClientId>,
    /// Seats for the role `participant`.
    pub(super) participants: u32,
    pub(super) kinds: KindSet,
    pub(super) open: bool,
    /// Cleared, and nobody invited or joined since.
    pub(super) cleared: bool,
    pub(super) members: BTreeMap<ClientId, Role>,
    /// Reserved seats.
    pub(super) joining: BTreeMap<ClientId, Role>,
    pub(super) presenter: Option<(ClientId, Presentation)>,
}

impl Breakout {
    pub(super) fn state(&self) -> BreakoutState {
        if !self.members.is_empty() {
            BreakoutState::Active
        } else if self.cleared {
            BreakoutState::Cleared
        } else {
            BreakoutState::Created
        }
    }

    pub(super) fn details(&self) -> BreakoutDetails {
        BreakoutDetails {
            room: self.id,
            name: Arc::clone(&self.name),
            participants: self.participants,
            audio: self.kinds.contains(Kind::Audio),
            video: self.kinds.contains(Kind::Video),
            canvas: self.kinds.contains(Kind::Canvas),
            share: self.kinds.contains(Kind::Share),
            open: self.open,
            owner: self.owner,
        }
    }

    /// Whether a seat of this kind is free; reserved seats are taken. Moderators take none of the
    /// `participants` seats, and there are at most as many as one can hear.
    pub(super) fn has_seat(&self, role: Role, max_active_talkers: u8) -> bool {
        let taken = self.members.values().chain(self.joining.values()).filter(|seat| **seat == role).count();
        let seats = match role {
            Role::Participant => usize::try_from(self.participants).unwrap_or(usize::MAX),
            Role::Moderator => usize::from(max_active_talkers),
        };
        taken < seats || plant::is(Plant::SeatTwice)
    }

    pub(super) fn view(&self) -> RoomView {
        RoomView {
            name: Arc::clone(&self.name),
            state: self.state(),
            owner: self.owner,
            participants: self.participants,
            kinds: self.kinds,
            open: self.open,
            members: self.members.clone(),
            joining: self.joining.clone(),
            presenter: self.presenter,
        }
    }
}
