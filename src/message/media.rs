//! What control tells a media worker, and what the worker reports back.
//!
//! The media plane knows no rooms, roles or invitations: only groups, members, slots and kinds.

use std::collections::BTreeMap;

use crate::base::{BatchId, Epoch, GroupId, Kind, KindSet, Mid, ParticipantId, Ssrc, WorkerId};

/// Which m-line carries which kind, as the client says in `joinRoom`.
pub type Tracks = BTreeMap<Mid, Kind>;

/// What one group is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// The group.
    pub group: GroupId,
    /// How many talkers a member hears at once, 1..=16.
    pub max_active_talkers: u8,
    /// The kinds that nobody may send here: switched off, muted or paused for the whole group.
    pub blocked: KindSet,
}

/// Where one participant belongs from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Who.
    pub participant: ParticipantId,
    /// Into which group.
    pub group: GroupId,
    /// The number of this placement; higher than any before it for this participant.
    pub epoch: Epoch,
    /// The kinds that the participant may publish there now.
    pub publish: KindSet,
}

/// A new connection for a participant, new or known.
///
/// For a known participant it replaces the old connection in the same step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The client's SDP offer.
    pub offer: String,
    /// Which m-line carries what; `None` lets the first audio be the microphone and the first
    /// video the camera.
    pub tracks: Option<Tracks>,
    /// Where the participant belongs. Control gives a new epoch with each connection.
    pub placement: Placement,
}

/// From control to one media worker. A worker applies commands in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaCommand {
    /// Makes a group, or changes its settings. A kind that was blocked and is not any more has its
    /// publishers asked for a keyframe.
    SetGroup(GroupSettings),
    /// Forgets a group. Whoever is still in it is in no group afterwards.
    EndGroup(GroupId),
    /// Makes or replaces a participant's connection. Answered by [`MediaReport::Answered`].
    Connect(Connect),
    /// Renews ICE by a new offer on the same connection. Answered by
    /// [`MediaReport::IceRestarted`].
    RestartIce {
        /// Whose connection.
        participant: ParticipantId,
        /// Comes back in the report.
        number: u64,
        /// The new offer.
        offer: String,
    },
    /// Makes known somebody whose connection is another worker's, or puts that participant into
    /// another placement. A placement that is not newer than the known one has no effect.
    Mirror {
        /// Who, and where.
        placement: Placement,
        /// Whose the connection is.
        home: WorkerId,
    },
    /// The first half of a move of a room that several workers share: takes everything from the
    /// participants whose placement is older than the one given. Answered by one
    /// [`MediaReport::Revoked`].
    Revoke {
        /// Comes back in the report.
        batch: BatchId,
        /// Who, and the placement that is to follow.
        participants: Vec<(ParticipantId, Epoch)>,
    },
    /// Moves participants as one step: everything is revoked before anything is granted. Answered
    /// by one [`MediaReport::Moved`].
    Move {
        /// Comes back in the report.
        batch: BatchId,
        /// Who goes where.
        placements: Vec<Placement>,
    },
    /// Changes the kinds that a participant may publish where it is. A stale epoch has no effect.
    SetPublish {
        /// Whose.
        participant: ParticipantId,
        /// The placement that this is about.
        epoch: Epoch,
        /// The kinds allowed from now on.
        publish: KindSet,
    },
    /// The participant has been told of this placement: what it sends from now on is meant for its
    /// group. What it sent before belongs to no group. A stale epoch has no effect.
    Landed {
        /// Who.
        participant: ParticipantId,
        /// Which placement.
        epoch: Epoch,
    },
    /// Stops a participant's connection, if it is this worker's, and forgets the participant.
    Disconnect(ParticipantId),
}

/// The SRTP protection profile that DTLS agreed on (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// AEAD_AES_128_GCM.
    AeadAes128Gcm,
    /// AES128_CM_HMAC_SHA1_80.
    AesCm128HmacSha1_80,
}

impl SrtpProfile {
    /// The profile's registered name, as browsers show it in `srtpCipher`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }
}

/// A receive m-line of a participant, as the answer declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotLine {
    /// Its m-line.
    pub mid: Mid,
    /// Whether it is a video slot.
    pub video: bool,
    /// The SSRC that it keeps for ever.
    pub ssrc: Ssrc,
}

/// The server's half of an offer/answer exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The SDP answer.
    pub sdp: String,
    /// The slots, in the order of their m-lines.
    pub slots: Vec<SlotLine>,
}

/// Why an offer was refused, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SdpRefusal {
    /// What is wrong with the offer and what to change.
    pub reason: String,
}

/// Why a slot is empty although somebody is there to fill it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotReason {
    /// The listener negotiated no codec that the publisher sends.
    Codec,
    /// The listener's link does not bear it: its pictures pause and are tried again.
    Congestion,
}

/// What one slot carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotBinding {
    /// The slot's m-line.
    pub mid: Mid,
    /// Whether it is a video slot.
    pub video: bool,
    /// The slot's SSRC.
    pub ssrc: Ssrc,
    /// Who and what is bound to it.
    pub publisher: Option<(ParticipantId, Kind)>,
    /// Packets from this extended sequence number on are the publisher's.
    pub from_seq: u64,
    /// Why it is empty, where that is worth telling.
    pub reason: Option<SlotReason>,
}

/// One talker of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talker {
    /// Who.
    pub participant: ParticipantId,
    /// How loud, in -dBov: 0 is loudest, 127 is silence (RFC 6464 section 3).
    pub level: u8,
}

/// That a placement is applied: no packet of an older placement leaves any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Who.
    pub participant: ParticipantId,
    /// Which placement.
    pub epoch: Epoch,
    /// The participant's slots now; empty if it has no connection.
    pub slots: Vec<SlotBinding>,
}

/// Why a connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// No authenticated ICE check for 30 s (RFC 7675).
    Consent,
    /// DTLS failed, or was not done in time.
    Handshake,
    /// The peer's certificate is not the one of its offer.
    Fingerprint,
    /// The peer closed DTLS.
    Closed,
    /// The worker failed.
    Worker,
}

/// From a media worker to control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaReport {
    /// The answer to [`MediaCommand::Connect`]. On refusal nothing of the participant has changed.
    Answered {
        /// Whose.
        participant: ParticipantId,
        /// The placement that came with the offer.
        epoch: Epoch,
        /// The answer, or why there is none.
        result: Result<Answer, SdpRefusal>,
    },
    /// The answer to [`MediaCommand::RestartIce`].
    IceRestarted {
        /// Whose.
        participant: ParticipantId,
        /// The number of the command.
        number: u64,
        /// The SDP answer, or why there is none.
        result: Result<String, SdpRefusal>,
    },
    /// DTLS is done and media can flow.
    TransportUp {
        /// Whose.
        participant: ParticipantId,
        /// The placement of the [`Connect`] that made this connection.
        epoch: Epoch,
        /// What protects the media.
        srtp: SrtpProfile,
    },
    /// The connection is gone. The participant keeps its place in its group.
    TransportLost {
        /// Whose.
        participant: ParticipantId,
        /// The placement of the [`Connect`] that made this connection.
        epoch: Epoch,
        /// Why.
        reason: LossReason,
    },
    /// The answer to [`MediaCommand::Revoke`].
    Revoked {
        /// The batch.
        batch: BatchId,
    },
    /// The answer to [`MediaCommand::Move`].
    Moved {
        /// The batch.
        batch: BatchId,
        /// Each placement that was applied, of participants whose connections are this worker's.
        moved: Vec<Moved>,
        /// Participants that this worker does not know.
        unknown: Vec<ParticipantId>,
    },
    /// A participant's slots have changed for another reason than its own move. Always whole.
    Slots {
        /// Whose.
        participant: ParticipantId,
        /// In which placement.
        epoch: Epoch,
        /// In which group.
        group: GroupId,
        /// All slots.
        slots: Vec<SlotBinding>,
    },
    /// Who talks in a group, loudest first. Sent when it changes, at most every 200 ms.
    Talkers {
        /// The group.
        group: GroupId,
        /// At most `max_active_talkers`.
        talkers: Vec<Talker>,
    },
}
