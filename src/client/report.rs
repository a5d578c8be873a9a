//! What a synthetic participant tells of itself.

use std::time::Duration;

use super::judge::{Verdict, Wrong};
use super::mark::Mark;
use crate::base::Ssrc;
use crate::message::SrtpProfile;

/// A marked packet that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What its publisher wrote into it.
    pub mark: Mark,
    /// The extended sequence number that the server gave it.
    pub sequence: u64,
    /// Whether the payload is as its publisher made it, but for what a server may rewrite.
    pub intact: bool,
}

/// Why a synthetic participant cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParticipantError(pub String);

/// What a participant found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParticipantReport {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received and decrypted.
    pub received: u64,
    /// Packets that did not decrypt.
    pub decrypt_failures: u64,
    /// Packets that the network brought twice: the server never seals two under one index.
    pub replayed: u64,
    /// The judge's counts.
    pub verdict: Verdict,
    /// Publishers of whom something came, where the server tells of no slots.
    pub publishers: usize,
    /// The first wrong packets: slot, extended sequence number, why.
    pub examples: Vec<(Ssrc, u64, Wrong)>,
    /// From each move's "done" to the first packet of the new room.
    pub first_packets: Vec<Duration>,
    /// What protected the media.
    pub srtp: Option<SrtpProfile>,
}
