//! Why a request was refused: a code, a stable name, and a text that a person can act on.

use serde_json::{Value, json};

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $text:literal;)+) => {
        /// Every way in which the contract refuses a request (docs/protocol.md).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[$doc])* $variant,)+
        }

        impl Refusal {
            /// All refusals, in the order of their codes' table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The `result` code.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The `error` name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The default `msg`.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

refusals! {
    /// Breakout operations in lecture mode.
    LectureMode = 5067, "lecture_mode", "Breakout rooms are not supported in Lecture Mode.";
    /// The caller, or a client to be forced, is not connected.
    NotConnected = 1171, "not_connected", "You are not connected to the room. Join it first.";
    /// The role or ownership does not allow this.
    Forbidden = 5007, "forbidden", "Your role does not allow this.";
    /// `participants` is absent, not a number, or below 2.
    ParticipantsMissing = 1724, "participants_missing", "Say how many participants a room takes: `participants`, a whole number of at least 2.";
    /// `participants` is above `max_active_talkers - 1`.
    ParticipantsAboveLimit = 1725, "participants_above_limit", "`participants` is above what a breakout room may hold here.";
    /// Live rooms and asked rooms together are more than 10.
    TooManyRooms = 1726, "too_many_rooms", "A room has at most 10 breakout rooms. Destroy some first.";
    /// A seat or media could not be had.
    JoinFailed = 1729, "join_failed", "The room could not be joined. Try again.";
    /// A breakout room could not be made.
    CreateFailed = 1731, "create_failed", "The breakout room could not be created. Try again.";
    /// A parameter is missing or has the wrong type; also an unknown method.
    BadParameter = 1734, "bad_parameter", "A parameter is missing or has the wrong type.";
    /// A fault of the server.
    Internal = 1138, "internal", "The server failed to do this. Try again.";
    /// Audio, share or canvas is off in this room.
    FeatureOff = 1170, "feature_off", "This kind of media is switched off in this room.";
    /// The same operation is under way for this participant.
    RequestInProgress = 5107, "request_in_progress", "A request of this kind is in progress. Wait for its answer.";
    /// One presenter per room.
    ShareOrCanvasActive = 5103, "share_or_canvas_active", "Somebody is already presenting in this room.";
    /// The caller already does this.
    AlreadyActive = 5105, "already_active", "You are already doing this.";
    /// The caller is not in the parent room.
    NotInParent = 9701, "not_in_parent", "You have to be in the main room for this.";
    /// No breakout room of this id.
    UnknownRoom = 9702, "unknown_room", "There is no such breakout room.";
    /// The breakout room was destroyed.
    RoomDestroyed = 9703, "room_destroyed", "This breakout room was closed.";
    /// No seat is free.
    RoomFull = 9704, "room_full", "This breakout room is full.";
    /// No invitation.
    NotInvited = 9705, "not_invited", "You need an invitation to this breakout room.";
    /// The invitation has expired.
    InvitationExpired = 9706, "invitation_expired", "The invitation to this breakout room has expired.";
    /// The caller is in a breakout room already.
    AlreadyInBreakout = 9707, "already_in_breakout", "You are already in a breakout room. Leave it first.";
    /// No participant of this `clientId`.
    UnknownClient = 9708, "unknown_client", "There is no such participant.";
    /// The target is in a breakout room or joining one.
    TargetNotInParent = 9709, "target_not_in_parent", "This participant is in a breakout room or joining one.";
    /// A role that does not exist or may not be taken.
    BadRole = 9710, "bad_role", "The role must be `participant` or `moderator`.";
    /// Media did not connect in time.
    JoinTimeout = 9711, "join_timeout", "Your media connection did not come up in time. Check your network and try again.";
    /// An empty list of clients.
    EmptyList = 9712, "empty_list", "Name at least one participant.";
    /// The caller is not in this breakout room.
    NotInBreakout = 9713, "not_in_breakout", "You are not in this breakout room.";
}

impl Refusal {
    /// The `data` of a failed request's ack, with the default text.
    #[must_use]
    pub fn data(self) -> Value {
        self.data_with(self.text())
    }

    /// The `data` of a failed request's ack, with a text that names the culprit.
    #[must_use]
    pub fn data_with(self, text: &str) -> Value {
        json!({"result": self.code(), "msg": text, "error": self.name()})
    }
}
