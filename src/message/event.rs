//! The events of the client protocol: what happened in a session, typed.
//!
//! An event says enough to rebuild the session's state from events alone; what it shows to clients
//! is its [`Event::data`], which may be less.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::event_data;
use super::{LossReason, Refusal, Role, RoomMode, RoomSettings};
use crate::base::{BreakoutId, ClientId, Epoch, Kind, Mid, ParticipantId, Ssrc, Time};

macro_rules! event_names {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// The names of all events (docs/protocol.md).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventName {
            $($(#[$doc])* $variant,)+
        }

        impl EventName {
            /// All names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

event_names! {
    /// A session began. Nobody is told, because nobody is there yet.
    RoomStarted = "didRoomStarted";
    /// The session is over.
    RoomEnded = "didRoomEnded";
    /// Group or lecture.
    RoomModeChanged = "didRoomModeChanged";
    /// The room layer of the parent room: paused, muted.
    ParentStateChanged = "parentStateChanged";
    /// Somebody took a seat.
    UserConnected = "didUserConnected";
    /// Somebody gave a seat up, or lost it.
    UserDisconnected = "didUserDisconnected";
    /// Somebody's connection is lost; the seat is kept.
    UserReconnecting = "didUserReconnecting";
    /// Somebody is back on a kept seat.
    UserReconnected = "didUserReconnected";
    /// A role changed.
    RoleChanged = "didRoleChanged";
    /// Somebody's own microphone switch.
    MicrophoneChanged = "didMicrophoneChanged";
    /// Somebody's own camera switch.
    CameraChanged = "didCameraChanged";
    /// The receiver's own media connection is gone.
    TransportLost = "transportLost";
    /// Somebody away changed the flags of the own leg in the parent room.
    LegStateChanged = "didUserStateChanged";
    /// Somebody went away from the parent room into a breakout room.
    UserPaused = "didUserPaused";
    /// Somebody came back into the parent room.
    UserResumed = "didUserResumed";
    /// Breakout rooms were made.
    BreakoutRoomCreated = "didBreakoutRoomCreated";
    /// The receiver is invited.
    InvitationForBreakoutRoom = "didInvitationForBreakoutRoom";
    /// Somebody is invited.
    BreakoutRoomInvited = "didBreakoutRoomInvited";
    /// An invitation of the receiver ended without being used.
    InvitationWithdrawn = "didInvitationWithdrawn";
    /// Somebody turned an invitation down, or let it expire.
    BreakoutRoomInviteRejected = "didBreakoutRoomInviteRejected";
    /// The receiver is being moved into a breakout room.
    BreakoutRoomJoining = "didBreakoutroomjoining";
    /// The receiver's forced move failed.
    FailedJoinBreakoutRoom = "didFailedJoinBreakOutRoom";
    /// The receiver is in a breakout room.
    ConnectedBreakoutRoom = "didConnectedBreakoutRoom";
    /// Somebody came into a breakout room.
    UserJoinedBreakoutRoom = "didUserJoinedBreakoutRoom";
    /// The receiver was brought back into the parent room.
    DisconnectedBreakoutRoom = "didDisconnectedBreakoutRoom";
    /// Somebody left a breakout room.
    UserDisconnectedFromBreakoutRoom = "didUserDisconnectedFromBreakoutRoom";
    /// A breakout room was cleared.
    ClearedBreakoutRoom = "didClearedBreakoutRoom";
    /// A breakout room was destroyed.
    DestroyedBreakoutRoom = "didDestroyedBreakoutRoom";
    /// A breakout room has another owner.
    OwnerChanged = "didOwnerChanged";
    /// Somebody presents a screen.
    ScreenShareStarted = "didScreenShareStarted";
    /// Nobody presents a screen any more.
    ScreenShareStopped = "didScreenShareStopped";
    /// Somebody presents a canvas.
    CanvasStarted = "didCanvasStarted";
    /// Nobody presents a canvas any more.
    CanvasStopped = "didCanvasStopped";
    /// What the receiver's slots carry.
    Slots = "slots";
    /// Who talks where the receiver is.
    ActiveTalkers = "active-talkers-updated";
}

/// Somebody, for people: an id and a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The seat.
    pub id: ClientId,
    /// The name.
    pub name: Arc<str>,
}

/// A room as clients name it: the parent room by its name, a breakout room by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomRef {
    /// The parent room.
    Parent(Arc<str>),
    /// A breakout room.
    Breakout(BreakoutId),
}

impl fmt::Display for RoomRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent(name) => f.write_str(name),
            Self::Breakout(id) => id.fmt(f),
        }
    }
}

/// The flags that both layers of the parent room have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParentFlags {
    /// All media stopped.
    pub paused: bool,
    /// Microphones stopped.
    pub audio_muted: bool,
    /// Cameras stopped.
    pub video_muted: bool,
}

/// What a breakout room is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakoutDetails {
    /// Its id.
    pub room: BreakoutId,
    /// Its name.
    pub name: Arc<str>,
    /// How many seats it has for the role `participant`.
    pub participants: u32,
    /// Whether microphones are carried.
    pub audio: bool,
    /// Whether cameras are carried.
    pub video: bool,
    /// Whether canvases are carried.
    pub canvas: bool,
    /// Whether screens are carried.
    pub share: bool,
    /// Whether whoever is in the parent room may join without invitation.
    pub open: bool,
    /// Who owns it; nobody if the owner left and no moderator was there.
    pub owner: Option<ClientId>,
}

/// One member of a breakout room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Person,
    /// Which kind of seat it has there.
    pub role: Role,
}

/// Why somebody's seat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// By own wish.
    Left,
    /// By a moderator.
    Removed,
    /// The seat was kept for a lost connection that did not come back.
    Expired,
}

/// Why an invitation ended without being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawReason {
    /// Its time was over.
    Expired,
    /// The invited person went into another breakout room.
    JoinedOther,
    /// The room was cleared.
    Cleared,
    /// The room was destroyed.
    Destroyed,
}

/// How an invitation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// Turned down.
    Rejected,
    /// Its time was over.
    Expired,
}

/// Why somebody left a breakout room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnReason {
    /// By own wish.
    Own,
    /// The room was cleared.
    Cleared,
    /// The room was destroyed.
    Destroyed,
    /// The person's seat in the session ended.
    Seat(LeaveReason),
}

/// Why a session or a breakout room is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// A moderator destroyed all breakout rooms.
    Destroyed,
    /// A moderator ended the session.
    Ended,
    /// An operator deleted the room.
    Deleted,
    /// Nobody was there for a while.
    Empty,
}

/// One slot as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// Its m-line.
    pub mid: Mid,
    /// The bound kind; of an empty slot `Audio` or `Video`.
    pub kind: Kind,
    /// Whose media it carries.
    pub client: Option<ClientId>,
    /// 101 for a shared screen, 102 for a canvas, otherwise the slot's place, counted from 1, among
    /// the slots of its media type; nothing for an empty slot.
    pub stream_id: Option<u32>,
    /// The slot's SSRC.
    pub ssrc: Ssrc,
    /// Packets from this extended sequence number on are the publisher's.
    pub from_seq: u64,
    /// Why it is empty, where that is worth telling.
    pub reason: Option<super::SlotReason>,
}

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "a field is what its name and EventName say; docs/protocol.md explains each")]
pub enum Event {
    RoomStarted { name: Arc<str>, settings: RoomSettings, by_admin: bool },
    RoomEnded { reason: EndReason },
    RoomModeChanged { mode: RoomMode, by: ClientId },
    ParentStateChanged { state: ParentFlags, by: ClientId },
    UserConnected { person: Person, participant: ParticipantId, role: Role },
    UserDisconnected { person: Person, reason: LeaveReason },
    UserReconnecting { person: Person, until: Time },
    UserReconnected { person: Person },
    RoleChanged { person: Person, role: Role, by: ClientId },
    MicrophoneChanged { person: Person, on: bool },
    CameraChanged { person: Person, on: bool },
    TransportLost { client: ClientId, reason: LossReason },
    LegStateChanged { person: Person, state: ParentFlags },
    UserPaused { person: Person },
    UserResumed { person: Person },
    BreakoutRoomCreated { creator: Person, rooms: Vec<BreakoutDetails> },
    InvitationForBreakoutRoom { client: ClientId, invitation: Invitation },
    BreakoutRoomInvited { person: Person, invitation: Invitation },
    InvitationWithdrawn { client: ClientId, room: BreakoutId, reason: WithdrawReason },
    BreakoutRoomInviteRejected { person: Person, room: BreakoutId, reason: RejectReason },
    BreakoutRoomJoining { client: ClientId, room: BreakoutId, name: Arc<str>, role: Role, forced: bool },
    FailedJoinBreakoutRoom { client: ClientId, room: BreakoutId, refusal: Refusal },
    ConnectedBreakoutRoom(Box<ConnectedBreakoutRoom>),
    UserJoinedBreakoutRoom { person: Person, role: Role, room: BreakoutId },
    DisconnectedBreakoutRoom(Box<DisconnectedBreakoutRoom>),
    UserDisconnectedFromBreakoutRoom { person: Person, room: BreakoutId, reason: ReturnReason },
    ClearedBreakoutRoom { room: BreakoutId, by: ClientId },
    DestroyedBreakoutRoom { room: BreakoutId, reason: EndReason },
    OwnerChanged { room: BreakoutId, owner: Option<Person> },
    PresentationStarted { person: Person, kind: Presentation, room: RoomRef },
    PresentationStopped { person: Person, kind: Presentation, room: RoomRef },
    Slots { client: ClientId, epoch: Epoch, room: RoomRef, slots: Arc<[SlotState]> },
    ActiveTalkers { room: RoomRef, active: Vec<(Person, u8)> },
}

/// What is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presentation {
    /// A screen.
    Screen,
    /// A canvas.
    Canvas,
}

impl Presentation {
    /// The kind of media that carries it.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Screen => Kind::Share,
            Self::Canvas => Kind::Canvas,
        }
    }
}

/// An invitation into a breakout room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The room.
    pub room: BreakoutId,
    /// Its name.
    pub name: Arc<str>,
    /// Who invites.
    pub requestor: Person,
    /// When it ends by itself; never if `None`.
    pub expires_at: Option<Time>,
}

/// What somebody who came into a breakout room finds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedBreakoutRoom {
    /// Who came.
    pub client: ClientId,
    /// Onto which kind of seat.
    pub role: Role,
    /// The room.
    pub details: BreakoutDetails,
    /// Its parent room.
    pub parent: Arc<str>,
    /// Everybody in the room, the newcomer included.
    pub users: Vec<Member>,
    /// Who presents there.
    pub presenter: Option<(Person, Presentation)>,
    /// How many remote talkers one hears there at once.
    pub max_active_talkers: u8,
}

/// What somebody who came back into the parent room finds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisconnectedBreakoutRoom {
    /// Who came back.
    pub client: ClientId,
    /// From which room.
    pub room: BreakoutId,
    /// The moderator or owner who brought the person back.
    pub moderator: Option<ClientId>,
    /// Why.
    pub reason: ReturnReason,
    /// The room layer of the parent room.
    pub state: ParentFlags,
    /// Who is still away.
    pub away: Vec<ClientId>,
    /// Who presents in the parent room.
    pub presenter: Option<(Person, Presentation)>,
}

impl Event {
    /// Which event this is.
    #[must_use]
    pub const fn kind(&self) -> EventName {
        match self {
            Self::RoomStarted { .. } => EventName::RoomStarted,
            Self::RoomEnded { .. } => EventName::RoomEnded,
            Self::RoomModeChanged { .. } => EventName::RoomModeChanged,
            Self::ParentStateChanged { .. } => EventName::ParentStateChanged,
            Self::UserConnected { .. } => EventName::UserConnected,
            Self::UserDisconnected { .. } => EventName::UserDisconnected,
            Self::UserReconnecting { .. } => EventName::UserReconnecting,
            Self::UserReconnected { .. } => EventName::UserReconnected,
            Self::RoleChanged { .. } => EventName::RoleChanged,
            Self::MicrophoneChanged { .. } => EventName::MicrophoneChanged,
            Self::CameraChanged { .. } => EventName::CameraChanged,
            Self::TransportLost { .. } => EventName::TransportLost,
            Self::LegStateChanged { .. } => EventName::LegStateChanged,
            Self::UserPaused { .. } => EventName::UserPaused,
            Self::UserResumed { .. } => EventName::UserResumed,
            Self::BreakoutRoomCreated { .. } => EventName::BreakoutRoomCreated,
            Self::InvitationForBreakoutRoom { .. } => EventName::InvitationForBreakoutRoom,
            Self::BreakoutRoomInvited { .. } => EventName::BreakoutRoomInvited,
            Self::InvitationWithdrawn { .. } => EventName::InvitationWithdrawn,
            Self::BreakoutRoomInviteRejected { .. } => EventName::BreakoutRoomInviteRejected,
            Self::BreakoutRoomJoining { .. } => EventName::BreakoutRoomJoining,
            Self::FailedJoinBreakoutRoom { .. } => EventName::FailedJoinBreakoutRoom,
            Self::ConnectedBreakoutRoom(_) => EventName::ConnectedBreakoutRoom,
            Self::UserJoinedBreakoutRoom { .. } => EventName::UserJoinedBreakoutRoom,
            Self::DisconnectedBreakoutRoom(_) => EventName::DisconnectedBreakoutRoom,
            Self::UserDisconnectedFromBreakoutRoom { .. } => EventName::UserDisconnectedFromBreakoutRoom,
            Self::ClearedBreakoutRoom { .. } => EventName::ClearedBreakoutRoom,
            Self::DestroyedBreakoutRoom { .. } => EventName::DestroyedBreakoutRoom,
            Self::OwnerChanged { .. } => EventName::OwnerChanged,
            Self::PresentationStarted { kind: Presentation::Screen, .. } => EventName::ScreenShareStarted,
            Self::PresentationStarted { kind: Presentation::Canvas, .. } => EventName::CanvasStarted,
            Self::PresentationStopped { kind: Presentation::Screen, .. } => EventName::ScreenShareStopped,
            Self::PresentationStopped { kind: Presentation::Canvas, .. } => EventName::CanvasStopped,
            Self::Slots { .. } => EventName::Slots,
            Self::ActiveTalkers { .. } => EventName::ActiveTalkers,
        }
    }

    /// The event's name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().as_str()
    }

    /// What clients are shown of it.
    #[must_use]
    pub fn data(&self) -> Value {
        event_data::of(self)
    }
}
