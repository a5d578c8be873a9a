//! What an operator sets for the control plane.

use serde::{Deserialize, Serialize};

pub use crate::message::RoomSettings;

/// Who may do something with breakout rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CreateBy {
    /// Everybody who is in the parent room.
    #[default]
    Any,
    /// Moderators only.
    Moderators,
}

/// Who may move people into a breakout room without asking them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForceBy {
    /// Moderators only.
    #[default]
    Moderators,
    /// Moderators, and a room's owner for that room; an owner never forces a moderator.
    Owner,
}

/// How breakout rooms work on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakoutSettings {
    /// Who may create breakout rooms.
    pub create_by: CreateBy,
    /// Who may force people into them.
    pub force_by: ForceBy,
    /// Whether breakout rooms may carry cameras.
    pub video: bool,
}

/// The control plane's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlSettings {
    /// What a room is like that is made by its first join, or by an operator who names no settings.
    pub room: RoomSettings,
    /// How breakout rooms work.
    pub breakout: BreakoutSettings,
    /// How many parent rooms the node holds at once.
    pub max_rooms: usize,
    /// How many participants of a room are on one media worker before it takes another.
    pub seats_per_worker: usize,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self {
            room: RoomSettings::default(),
            breakout: BreakoutSettings::default(),
            max_rooms: 10_000,
            seats_per_worker: Self::SEATS_PER_WORKER,
        }
    }
}

impl ControlSettings {
    /// Most seats of one session. A roster of more makes snapshots of megabytes.
    pub const MAX_PARTICIPANTS: u32 = 5_000;
    /// As many as a worker carries with half its core while three talk and one shares a screen.
    pub const SEATS_PER_WORKER: usize = 250;

    /// Checks a room's settings; the error names the field and its bounds.
    ///
    /// # Errors
    ///
    /// A text for people, where a number is out of its bounds.
    pub fn check_room(room: &RoomSettings) -> Result<(), String> {
        if !(1..=16).contains(&room.max_active_talkers) {
            return Err("`max_active_talkers` must be 1 to 16".to_owned());
        }
        if !(1..=Self::MAX_PARTICIPANTS).contains(&room.max_participants) {
            return Err(format!("`max_participants` must be 1 to {}", Self::MAX_PARTICIPANTS));
        }
        Ok(())
    }
}
