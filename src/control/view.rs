//! A session as plain data: for tests, model checks and figures. Nothing here changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{BreakoutId, ClientId, GroupId, KindSet, ParticipantId, Time};
use crate::message::{ParentFlags, Presentation, Role, RoomMode, RoomSettings};

/// A parent room with its breakout rooms.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// The parent room's name.
    pub name: Arc<str>,
    /// Group or lecture.
    pub mode: RoomMode,
    /// The settings that the room was made with.
    pub settings: RoomSettings,
    /// Whether an operator made it.
    pub by_admin: bool,
    /// The number of the last change.
    pub seq: u64,
    /// The room layer of the parent room.
    pub flags: ParentFlags,
    /// Who presents in the parent room.
    pub presenter: Option<(ClientId, Presentation)>,
    /// Every seat.
    pub seats: BTreeMap<ClientId, SeatView>,
    /// The live breakout rooms.
    pub rooms: BTreeMap<BreakoutId, RoomView>,
    /// The newest destroyed breakout rooms, at most 1,000.
    pub destroyed: BTreeSet<BreakoutId>,
    /// The pending invitations.
    pub invitations: BTreeMap<(BreakoutId, ClientId), InvitationView>,
    /// What the media plane was told last; not part of what events tell.
    pub media: BTreeMap<ClientId, MediaView>,
}

/// One seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatView {
    /// The seat's name in the media plane.
    pub participant: ParticipantId,
    /// The participant's name.
    pub name: Arc<str>,
    /// The role in the parent room.
    pub role: Role,
    /// Where the participant is.
    pub place: PlaceView,
    /// Until when the seat is kept, if it is Held.
    pub held_until: Option<Time>,
    /// The own flags on the leg in the parent room; only set while away.
    pub leg: ParentFlags,
    /// The own microphone switch.
    pub microphone: bool,
    /// The own camera switch.
    pub camera: bool,
}

/// Where a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceView {
    /// In the parent room.
    Parent,
    /// Still in the parent room, with a seat reserved in a breakout room.
    Joining {
        /// Which.
        room: BreakoutId,
        /// Which kind of seat.
        role: Role,
    },
    /// In a breakout room.
    Breakout {
        /// Which.
        room: BreakoutId,
        /// On which kind of seat.
        role: Role,
    },
}

/// The state of a participant, as the contract names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// In the parent room, without invitations.
    InParent,
    /// In the parent room, with invitations: each room and when its invitation ends.
    Invited(Vec<(BreakoutId, Option<Time>)>),
    /// A seat is reserved, the move is under way.
    Joining {
        /// In which room.
        room: BreakoutId,
    },
    /// In a breakout room.
    InBreakout {
        /// Which.
        room: BreakoutId,
        /// On which kind of seat.
        role: Role,
    },
    /// Lost; the seat is kept.
    Held {
        /// Where.
        place: PlaceView,
        /// How long.
        until: Time,
    },
}

impl SeatView {
    /// Whether the participant counts as away from the parent room.
    #[must_use]
    pub const fn away(&self) -> bool {
        matches!(self.place, PlaceView::Breakout { .. })
    }

    /// The breakout room that the participant is in, Held or not.
    #[must_use]
    pub const fn breakout(&self) -> Option<BreakoutId> {
        match self.place {
            PlaceView::Breakout { room, .. } => Some(room),
            PlaceView::Parent | PlaceView::Joining { .. } => None,
        }
    }
}

/// One live breakout room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// Its name.
    pub name: Arc<str>,
    /// Its state.
    pub state: BreakoutState,
    /// Its owner.
    pub owner: Option<ClientId>,
    /// How many seats it has for the role `participant`.
    pub participants: u32,
    /// The kinds that it carries.
    pub kinds: KindSet,
    /// Whether it can be joined without invitation.
    pub open: bool,
    /// Who is in it, and on which kind of seat.
    pub members: BTreeMap<ClientId, Role>,
    /// Who has a seat reserved.
    pub joining: BTreeMap<ClientId, Role>,
    /// Who presents there.
    pub presenter: Option<(ClientId, Presentation)>,
}

/// The state of a live breakout room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakoutState {
    /// Empty and joinable.
    Created,
    /// Has members.
    Active,
    /// Cleared: empty, invitations withdrawn.
    Cleared,
}

impl BreakoutState {
    /// The state's name in the client protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::Cleared => "cleared",
        }
    }
}

/// One pending invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvitationView {
    /// Who invited last.
    pub inviter: ClientId,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
}

/// What control knows of a seat's connections, and told the media plane last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaView {
    /// Whether signalling lives.
    pub signalling: bool,
    /// Whether the media connection lives or is being made.
    pub media: bool,
    /// The group of the last placement; nothing if the worker does not know the participant.
    pub group: Option<GroupId>,
    /// The kinds that the participant may publish there.
    pub publish: KindSet,
}

impl SessionView {
    /// A participant's state as the contract names it.
    #[must_use]
    pub fn state(&self, client: ClientId) -> Option<SeatState> {
        let seat = self.seats.get(&client)?;
        if let Some(until) = seat.held_until {
            return Some(SeatState::Held { place: seat.place, until });
        }
        Some(match seat.place {
            PlaceView::Joining { room, .. } => SeatState::Joining { room },
            PlaceView::Breakout { room, role } => SeatState::InBreakout { room, role },
            PlaceView::Parent => {
                let invited: Vec<_> = self.invitations_of(client).collect();
                if invited.is_empty() { SeatState::InParent } else { SeatState::Invited(invited) }
            }
        })
    }

    /// The rooms that invite a participant, each with the end of its invitation.
    pub fn invitations_of(&self, client: ClientId) -> impl Iterator<Item = (BreakoutId, Option<Time>)> {
        self.invitations
            .iter()
            .filter(move |((_, invited), _)| *invited == client)
            .map(|((room, _), invitation)| (*room, invitation.expires_at))
    }
}

/// How much there is on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Parent rooms.
    pub rooms: usize,
    /// Live breakout rooms.
    pub breakouts: usize,
    /// Seats, Held ones included.
    pub participants: usize,
    /// Held seats.
    pub held: usize,
}
