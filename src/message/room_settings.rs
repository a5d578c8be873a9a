//! What a parent room allows.

use serde::{Deserialize, Serialize};

/// What a participant may do in the parent room and, through it, everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes part.
    Participant,
    /// Runs the meeting.
    Moderator,
}

/// How a parent room works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomMode {
    /// Everybody may publish.
    #[default]
    Group,
    /// Only moderators publish; no breakout rooms.
    Lecture,
}

/// The settings of one parent room: the configured defaults, or the body of `POST /v1/rooms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomSettings {
    /// Group or lecture.
    pub mode: RoomMode,
    /// How many remote talkers a participant hears at once, 1..=16.
    pub max_active_talkers: u8,
    /// Whether microphones are carried.
    pub audio: bool,
    /// Whether cameras are carried.
    pub video: bool,
    /// Whether screens are carried.
    pub share: bool,
    /// Whether canvases are carried.
    pub canvas: bool,
    /// How many seats the session has.
    pub max_participants: u32,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            mode: RoomMode::Group,
            max_active_talkers: 6,
            audio: true,
            video: true,
            share: true,
            canvas: true,
            max_participants: 200,
        }
    }
}
