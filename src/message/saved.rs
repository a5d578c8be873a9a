//! What of a meeting survives a crash: plain records, each under a key of its own.
//!
//! Only what is settled is in them. A join that is under way is not saved, and who is on the way back is
//! still in the breakout room: a move is there wholly or not at all. Nor is saved who presents, because
//! a presenter who is Held has stopped, and after a restart everybody is.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::{ParentFlags, Role, RoomMode, RoomSettings};
use crate::base::{BreakoutId, ClientId, Epoch, KindSet, Time};

/// The version of these records. A store of a later one is not touched, and earlier ones are read: since 2
/// a seat may have the secret before its newest.
pub const VERSION: u32 = 2;

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The session's number in the store; from 1 on.
    pub session: u64,
    /// What of the session it is.
    pub part: Part,
}

/// One part of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What every session has.
    Head,
    /// The breakout rooms that were destroyed.
    Destroyed,
    /// A seat.
    Seat(ClientId),
    /// A live breakout room.
    Room(BreakoutId),
    /// An invitation that can be used.
    Invitation(BreakoutId, ClientId),
    /// One that has expired.
    Expired(BreakoutId, ClientId),
}

/// The length of a key as bytes.
pub const KEY_BYTES: usize = 41;

/// A record that is not one of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The key is none.
    #[error("a key of {0} bytes that is none")]
    Key(usize),
    /// The record is not what its key says.
    #[error("a record of a {part} that is none: {error}")]
    Record {
        /// What it should be.
        part: &'static str,
        /// What is wrong with it.
        error: String,
    },
}

impl Key {
    /// The key as bytes, in the order of keys.
    #[must_use]
    pub fn to_bytes(self) -> [u8; KEY_BYTES] {
        let (kind, first, second) = match self.part {
            Part::Head => (0, 0, 0),
            Part::Destroyed => (1, 0, 0),
            Part::Seat(client) => (2, client.0, 0),
            Part::Room(room) => (3, room.0, 0),
            Part::Invitation(room, client) => (4, room.0, client.0),
            Part::Expired(room, client) => (5, room.0, client.0),
        };
        let mut bytes = [0; KEY_BYTES];
        let (session, rest) = bytes.split_at_mut(8);
        session.copy_from_slice(&self.session.to_be_bytes());
        let (tag, rest) = rest.split_at_mut(1);
        tag.copy_from_slice(&[kind]);
        let (one, two) = rest.split_at_mut(16);
        one.copy_from_slice(&first.to_be_bytes());
        two.copy_from_slice(&second.to_be_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] writes and nothing else.
    ///
    /// # Errors
    /// For any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let none = || Unreadable::Key(bytes.len());
        let (session, rest) = bytes.split_first_chunk::<8>().ok_or_else(none)?;
        let (kind, rest) = rest.split_first().ok_or_else(none)?;
        let (first, rest) = rest.split_first_chunk::<16>().ok_or_else(none)?;
        let second: &[u8; 16] = rest.try_into().map_err(|_| none())?;
        let (first, second) = (u128::from_be_bytes(*first), u128::from_be_bytes(*second));
        let part = match kind {
            0 => Part::Head,
            1 => Part::Destroyed,
            2 => Part::Seat(ClientId(first)),
            3 => Part::Room(BreakoutId(first)),
            4 => Part::Invitation(BreakoutId(first), ClientId(second)),
            5 => Part::Expired(BreakoutId(first), ClientId(second)),
            _ => return Err(none()),
        };
        let key = Self { session: u64::from_be_bytes(*session), part };
        if key.session > 0 && key.to_bytes() == bytes { Ok(key) } else { Err(none()) }
    }
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Head => "session",
            Self::Destroyed => "list of destroyed rooms",
            Self::Seat(_) => "seat",
            Self::Room(_) => "breakout room",
            Self::Invitation(..) => "invitation",
            Self::Expired(..) => "expired invitation",
        }
    }
}

/// What every session has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedHead {
    /// The parent room's name.
    pub name: String,
    /// The settings that it was made with.
    pub settings: RoomSettings,
    /// Its mode now.
    pub mode: RoomMode,
    /// Whether an operator made it.
    pub by_admin: bool,
    /// The room layer of its flags.
    pub flags: SavedFlags,
    /// How many breakout rooms were ever made.
    pub made: u64,
    /// The number of an event; those that came since are at most [`SavedHead::UNSAVED_EVENTS`] more.
    pub seq: u64,
}

impl SavedHead {
    /// How far numbers of events may run ahead of what is saved. Who talks and what slots carry has
    /// numbers as well, and would otherwise be written several times a second for each room.
    pub const UNSAVED_EVENTS: u64 = 1_000;
}

/// Paused and muted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFlags {
    /// All media stopped.
    pub paused: bool,
    /// Microphones stopped.
    pub audio_muted: bool,
    /// Cameras stopped.
    pub video_muted: bool,
}

impl From<ParentFlags> for SavedFlags {
    fn from(flags: ParentFlags) -> Self {
        let ParentFlags { paused, audio_muted, video_muted } = flags;
        Self { paused, audio_muted, video_muted }
    }
}

impl From<SavedFlags> for ParentFlags {
    fn from(flags: SavedFlags) -> Self {
        let SavedFlags { paused, audio_muted, video_muted } = flags;
        Self { paused, audio_muted, video_muted }
    }
}

/// One seat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSeat {
    /// The participant's name.
    pub name: String,
    /// The role in the parent room.
    pub role: Role,
    /// The number of the event with which it was taken.
    pub since: u64,
    /// The own microphone switch.
    pub microphone: bool,
    /// The own camera switch.
    pub camera: bool,
    /// The stay in a breakout room.
    pub stay: Option<SavedStay>,
    /// The secret that brings a client back.
    #[serde(with = "hexadecimal")]
    pub resume: u128,
    /// The one before it, while nobody has shown to know this one.
    #[serde(default, with = "perhaps_hexadecimal", skip_serializing_if = "Option::is_none")]
    pub previous: Option<u128>,
    /// The name in the token that its last link was opened with.
    pub token_name: String,
    /// The end of that token.
    pub token_expires: Time,
    /// The newest placement that its client was told of.
    pub epoch: Epoch,
}

/// A stay in a breakout room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedStay {
    /// Which room.
    pub room: BreakoutId,
    /// On which kind of seat.
    pub role: Role,
    /// Whether the microphone is published there.
    pub audio: bool,
    /// Whether the camera is.
    pub video: bool,
    /// The own flags in the parent room.
    pub leg: SavedFlags,
}

/// One live breakout room. Who is in it is in the seats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRoom {
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: Option<ClientId>,
    /// Its seats for the role `participant`.
    pub participants: u32,
    /// The kinds that it carries.
    pub kinds: KindSet,
    /// Whether it can be joined without invitation.
    pub open: bool,
    /// Cleared, and nobody invited or joined since.
    pub cleared: bool,
}

/// One invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedInvitation {
    /// Who invited last.
    pub inviter: ClientId,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
}

/// What is saved under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Under [`Part::Head`].
    Head(SavedHead),
    /// Under [`Part::Destroyed`], oldest first.
    Destroyed(Vec<BreakoutId>),
    /// Under [`Part::Seat`].
    Seat(SavedSeat),
    /// Under [`Part::Room`].
    Room(SavedRoom),
    /// Under [`Part::Invitation`].
    Invitation(SavedInvitation),
    /// Under [`Part::Expired`].
    Expired,
}

/// A record that is to be saved, or forgotten where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub key: Key,
    /// What.
    pub record: Option<Record>,
}

impl Record {
    /// The record as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = match self {
            Self::Head(head) => serde_json::to_vec(head),
            Self::Destroyed(rooms) => serde_json::to_vec(rooms),
            Self::Seat(seat) => serde_json::to_vec(seat),
            Self::Room(room) => serde_json::to_vec(room),
            Self::Invitation(invitation) => serde_json::to_vec(invitation),
            Self::Expired => Ok(Vec::new()),
        };
        // None of them has a key that is no text or a value that JSON has not.
        written.unwrap_or_default()
    }

    /// Reads the record of a key.
    ///
    /// # Errors
    /// For bytes that are no such record.
    pub fn from_bytes(part: Part, bytes: &[u8]) -> Result<Self, Unreadable> {
        let read = match part {
            Part::Head => serde_json::from_slice(bytes).map(Self::Head),
            Part::Destroyed => serde_json::from_slice(bytes).map(Self::Destroyed),
            Part::Seat(_) => serde_json::from_slice(bytes).map(Self::Seat),
            Part::Room(_) => serde_json::from_slice(bytes).map(Self::Room),
            Part::Invitation(..) => serde_json::from_slice(bytes).map(Self::Invitation),
            Part::Expired(..) if bytes.is_empty() => Ok(Self::Expired),
            Part::Expired(..) => {
                let error = "it should be empty".to_owned();
                return Err(Unreadable::Record { part: part.name(), error });
            }
        };
        read.map_err(|error| Unreadable::Record { part: part.name(), error: error.to_string() })
    }

    /// Tells this record from others, within one process: by it is known what has to be written.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            // Its number is saved by a rule of its own.
            Self::Head(head) => {
                let SavedHead { name, settings, mode, by_admin, flags, made, seq: _ } = head;
                let rest = (settings.max_active_talkers, settings.max_participants, settings.mode);
                let kinds = (settings.audio, settings.video, settings.share, settings.canvas);
                (name, rest, kinds, mode, by_admin, flags, made).hash(&mut hasher);
            }
            Self::Destroyed(rooms) => rooms.hash(&mut hasher),
            Self::Seat(seat) => seat.hash(&mut hasher),
            Self::Room(room) => room.hash(&mut hasher),
            Self::Invitation(invitation) => invitation.hash(&mut hasher),
            Self::Expired => {}
        }
        hasher.finish()
    }
}

/// JSON has no whole numbers of 128 bits.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        format!("{number:032x}").serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() != 32 || text.starts_with('+') {
            return Err(D::Error::custom("expected 32 hexadecimal digits"));
        }
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// The same where there may be none.
mod perhaps_hexadecimal {
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &Option<u128>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => super::hexadecimal::serialize(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u128>, D::Error> {
        super::hexadecimal::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests;
