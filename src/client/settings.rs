//! What a synthetic participant is like.

use super::source::{Pattern, StreamStart};
use crate::base::Kind;
use crate::message::SrtpProfile;

/// What can be sent, and on which m-line.
pub(super) const SENT_KINDS: [(Kind, &str); 4] =
    [(Kind::Audio, "0"), (Kind::Video, "1"), (Kind::Share, "2"), (Kind::Canvas, "3")];

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Tells by `slots` events who is heard where, and the judge takes it at its word.
    Anteroom,
    /// Tells nothing: packets are counted by the marks of their publishers.
    Other,
}

/// What a synthetic participant is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantSettings {
    /// Whose server it meets.
    pub server: ServerKind,
    /// What it may send.
    pub sends: Vec<Kind>,
    /// Audio slots.
    pub audio_slots: usize,
    /// Video slots.
    pub video_slots: usize,
    /// The SRTP profiles that it offers in DTLS, in its order.
    pub profiles: Vec<SrtpProfile>,
    /// How it speaks.
    pub audio: Pattern,
    /// How it sends its camera, screen and canvas.
    pub video: Pattern,
    /// Whether it tells the server of each packet whether it has come, as browsers do. Servers are
    /// compared without.
    pub feedback: bool,
    /// Where its streams begin; anywhere if nothing is said.
    pub start: Option<StreamStart>,
    /// Whether it asks for packets of video that do not come, and answers who asks for its own.
    pub repairs: bool,
}

impl Default for ParticipantSettings {
    fn default() -> Self {
        // Browsers list CM first as well.
        let profiles = vec![SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AeadAes128Gcm];
        Self {
            server: ServerKind::Anteroom,
            sends: SENT_KINDS.into_iter().map(|(kind, _)| kind).collect(),
            audio_slots: 6,
            video_slots: 3,
            profiles,
            audio: Pattern::AUDIO,
            video: Pattern::SCREEN,
            feedback: false,
            start: None,
            repairs: false,
        }
    }
}
