//! What the edge tells control, and what control wants done.

use serde::{Deserialize, Serialize};

use super::{Frame, MediaCommand, MediaReport, Request, Role, RoomMode, RoomSettings};
use crate::base::{Epoch, LinkId, Time, WorkerId};

/// What a checked token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The parent room.
    pub room: String,
    /// The participant's name, for people.
    pub name: String,
    /// The participant's role.
    pub role: Role,
    /// When the token ends; a seat taken before that stays.
    pub expires_at: Time,
    /// Whether it has ended: its bearer may come back to a seat and take none.
    pub lapsed: bool,
}

/// What is asked beside meetings: by an operator with the admin key, or by a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminRequest {
    /// Makes a parent room that stays until it is deleted.
    CreateRoom {
        /// Its name; the configured default settings apply where `None`.
        name: String,
        /// Its settings.
        settings: Option<RoomSettings>,
    },
    /// Ends a parent room and everything in it.
    DeleteRoom {
        /// Its name.
        name: String,
    },
    /// Ends what goes on in a parent room. One that an operator made starts over.
    EndRoom {
        /// Its name.
        name: String,
    },
    /// Lists the parent rooms.
    ListRooms,
    /// Asks whether somebody has a seat to which these claims let them in.
    IsSeated(Claims),
    /// Whether somebody of this name has a seat in this room.
    IsKnown {
        /// The room.
        room: String,
        /// The name.
        name: String,
    },
}

/// The answer to an [`AdminRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminReply {
    /// The room was made.
    Created {
        /// Its name.
        name: String,
        /// Its settings.
        settings: RoomSettings,
        /// Whether that survives a crash.
        kept: bool,
    },
    /// A room of this name is there already.
    Exists,
    /// The room was ended.
    Deleted {
        /// Whether that survives a crash.
        kept: bool,
    },
    /// What went on in the room was ended.
    Ended,
    /// There is no room of this name.
    Unknown,
    /// The settings cannot be had; the text says which and why.
    Invalid(String),
    /// The rooms: name, mode, connected or Held participants, live breakout rooms.
    Rooms(Vec<(String, RoomMode, usize, usize)>),
    /// Whether there is such a seat.
    Seated(bool),
}

/// Whether people who have no seat may take one. Who has one keeps it, and may come back to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intake {
    /// They may.
    #[default]
    Open,
    /// There may soon be no memory for those who are here.
    ShortOfMemory,
    /// The server is stopping.
    Stopping,
}

impl Intake {
    /// What a person is told who may not.
    #[must_use]
    pub const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::ShortOfMemory => Some("This server has no memory for more people. Try again later."),
            Self::Stopping => Some("This server is stopping. Try again soon."),
        }
    }
}

/// Into control.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlInput {
    /// A client with a checked token is there.
    LinkOpened {
        /// Its signalling connection.
        link: LinkId,
        /// What its token says.
        claims: Claims,
    },
    /// It asks something.
    Request {
        /// Its signalling connection.
        link: LinkId,
        /// What it asks.
        request: Request,
    },
    /// It has taken in the `slots` of a placement: it knows in which room it is.
    Told {
        /// Its signalling connection.
        link: LinkId,
        /// The placement.
        epoch: Epoch,
    },
    /// It is gone.
    LinkClosed {
        /// Its signalling connection.
        link: LinkId,
    },
    /// A media worker reports.
    Media {
        /// Which.
        worker: WorkerId,
        /// What.
        report: MediaReport,
    },
    /// A media worker has crashed; a new, empty one takes its place under the same id.
    WorkerLost {
        /// Which.
        worker: WorkerId,
    },
    /// Whether people who have no seat may take one from now on.
    Intake(Intake),
    /// An operator asks something.
    Admin {
        /// Comes back with the reply.
        ticket: u64,
        /// What.
        request: AdminRequest,
    },
}

/// Why control closes a signalling connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The participant left.
    Left,
    /// A moderator removed the participant.
    Removed,
    /// The room has ended.
    RoomEnded,
    /// Another connection took this seat.
    Replaced,
    /// The seat was freed because the client did not come back.
    SeatFreed,
}

/// Out of control.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlOutput {
    /// Send this to a client.
    Frame {
        /// To whom.
        link: LinkId,
        /// What.
        frame: Frame,
    },
    /// Close a signalling connection after what was sent to it.
    CloseLink {
        /// Which.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Tell a media worker.
    Media {
        /// Which.
        worker: WorkerId,
        /// What.
        command: MediaCommand,
    },
    /// A worker has not reported in time: let none of its packets leave any more, and replace it.
    Fence {
        /// Which.
        worker: WorkerId,
    },
    /// Answer an operator.
    Admin {
        /// The ticket of the request.
        ticket: u64,
        /// The answer.
        reply: AdminReply,
    },
}
