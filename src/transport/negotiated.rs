//! What an offer and its answer agreed on: plain data for the connection and the media plane.

use crate::base::{Kind, Mid, Ssrc};

/// A codec with the parameters that decide whether two ends understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9 {
        /// `profile-id`, 0 where it is not given.
        profile: u8,
    },
    /// RFC 6184.
    H264 {
        /// The first two bytes of `profile-level-id`: profile and constraints. Levels are not
        /// compared.
        profile: u16,
        /// `packetization-mode`, 0 where it is not given.
        packetization_mode: u8,
    },
    /// AV1 RTP payload format 1.0.
    Av1 {
        /// `profile`, 0 where it is not given.
        profile: u8,
    },
}

impl Codec {
    /// RTP clock rate in hertz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Vp8 | Self::Vp9 { .. } | Self::H264 { .. } | Self::Av1 { .. } => 90_000,
        }
    }
}

/// One codec of an m-line, under the numbers that this client gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecLine {
    /// The codec.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of its RTX (RFC 4588), if it has one.
    pub rtx_payload_type: Option<u8>,
}

/// The header extensions in use on one m-line, under the ids that this client gave them
/// (RFC 8285; 1..=14, or up to 255 with two-byte headers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 9143).
    pub mid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    pub audio_level: Option<u8>,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`.
    pub transport_cc: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`.
    pub abs_send_time: Option<u8>,
    /// The AV1 dependency descriptor.
    pub dependency_descriptor: Option<u8>,
}

/// An m-line on which the client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendLine {
    /// Its tag.
    pub mid: Mid,
    /// What the client sends on it.
    pub kind: Kind,
    /// The codecs that it may send, in the order of its preference.
    pub codecs: Vec<CodecLine>,
    /// The SSRCs that the offer declares, each with the SSRC of its RTX (`a=ssrc-group:FID`). May
    /// be empty.
    pub declared_ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
    /// Extensions on its packets.
    pub extensions: ExtensionIds,
}

/// An m-line on which the client receives: a slot with an SSRC that it keeps for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its tag.
    pub mid: Mid,
    /// Whether it is a video slot.
    pub video: bool,
    /// The SSRC that the answer declares.
    pub ssrc: Ssrc,
    /// The SSRC of its RTX; video slots only, and only if an RTX codec was negotiated.
    pub rtx_ssrc: Option<Ssrc>,
    /// The codecs that the client can receive there.
    pub codecs: Vec<CodecLine>,
    /// Extensions on its packets.
    pub extensions: ExtensionIds,
}

/// A certificate fingerprint of an `a=fingerprint` line (RFC 8122 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash function, in lower case: `sha-256`, `sha-384` or `sha-512`.
    pub algorithm: String,
    /// The hash.
    pub hash: Vec<u8>,
}

/// The outcome of one offer/answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The client's ICE user name fragment.
    pub remote_ufrag: String,
    /// The client's ICE password.
    pub remote_pwd: String,
    /// The fingerprints that the client's certificate may have; at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// Where the client sends.
    pub sends: Vec<SendLine>,
    /// Where it receives, in the order of m-lines.
    pub slots: Vec<Slot>,
}
