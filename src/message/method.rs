//! The methods of the client protocol and the names of their acks.

use std::str::FromStr;

use super::AckName;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $name:literal => $ack:literal;)+) => {
        /// Every method that a client can call (docs/protocol.md).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)+
        }

        impl Method {
            /// All methods.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The method's name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The name of its ack, which it has in success; also in failure, but for
            /// [`Method::failure_ack`].
            #[must_use]
            pub const fn ack(self) -> AckName {
                match self { $(Self::$variant => $ack,)+ }
            }
        }

        impl FromStr for Method {
            type Err = ();

            fn from_str(name: &str) -> Result<Self, ()> {
                match name { $($name => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }
    };
}

methods! {
    /// Take a seat, or come back to one.
    JoinRoom = "joinRoom" => "didJoinRoom";
    /// Give the seat up.
    LeaveRoom = "leaveRoom" => "didAckLeaveRoom";
    /// Renew ICE by a new offer on the same connection.
    RestartIce = "restartIce" => "didRestartIce";
    /// The events from a number on, or a snapshot.
    Replay = "replay" => "didAckReplay";
    /// The breakout rooms that the caller may see.
    ListBreakoutRooms = "listBreakoutRooms" => "didAckListBreakoutRooms";
    /// The own microphone switch.
    SetMicrophone = "setMicrophone" => "didAckSetMicrophone";
    /// The own camera switch.
    SetCamera = "setCamera" => "didAckSetCamera";
    /// Moderators: change somebody's role.
    SetRole = "setRole" => "didAckSetRole";
    /// Moderators: remove somebody from the session.
    RemoveParticipant = "removeParticipant" => "didAckRemoveParticipant";
    /// Moderators: group or lecture.
    SetRoomMode = "setRoomMode" => "didAckSetRoomMode";
    /// Moderators: end the session for everybody.
    EndRoom = "endRoom" => "didAckEndRoom";
    /// Make breakout rooms.
    CreateBreakOutRoom = "createBreakOutRoom" => "didAckCreateBreakOutRoom";
    /// Make breakout rooms and deal the people round.
    CreateAndInviteBreakoutRoom = "createAndInviteBreakoutRoom" => "didAckCreateAndInviteBreakOutRoom";
    /// Invite, or force, people into a breakout room.
    InviteToBreakOutRoom = "inviteToBreakOutRoom" => "didAckInviteBreakOutRoom";
    /// Go into a breakout room.
    JoinBreakOutRoom = "joinBreakOutRoom" => "didConnectedBreakoutRoom";
    /// Turn an invitation down.
    RejectBreakOutRoom = "rejectBreakOutRoom" => "didAckRejectBreakoutRoom";
    /// Pause the parent room, or the own leg in it.
    Pause = "pause" => "didAckPause";
    /// Resume it.
    Resume = "resume" => "didAckResume";
    /// Mute audio, video or both of it.
    MuteRoom = "muteRoom" => "didAckMuteRoom";
    /// Unmute.
    UnmuteRoom = "unmuteRoom" => "didAckUnmuteRoom";
    /// Leave the breakout room for the parent.
    Disconnect = "disconnect" => "didDisconnectedBreakoutRoom";
    /// Bring everybody back and keep the rooms.
    ClearAllBreakOutSession = "clearAllBreakOutSession" => "didAckClearAllBreakOutSession";
    /// Bring everybody back and end the rooms.
    DestroyAllBreakOutSession = "destroyAllBreakOutSession" => "didAckDestroyAllBreakOutSession";
    /// Present a screen.
    StartScreenShare = "startScreenShare" => "didAckStartScreenShare";
    /// Stop presenting it.
    StopScreenShare = "stopScreenShare" => "didAckStopScreenShare";
    /// Present a canvas.
    StartCanvas = "startCanvas" => "didAckStartCanvas";
    /// Stop presenting it.
    StopCanvas = "stopCanvas" => "didAckStopCanvas";
}

impl Method {
    /// The ack under which an unknown method is refused.
    pub const UNKNOWN_ACK: AckName = "error";

    /// The name of its ack when it failed.
    #[must_use]
    pub const fn failure_ack(self) -> AckName {
        match self {
            Self::JoinBreakOutRoom => "didFailedJoinBreakOutRoom",
            other => other.ack(),
        }
    }
}
