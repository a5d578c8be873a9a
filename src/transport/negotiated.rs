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
        /// The first two bytes of `profile-level-id`, as [`h264_profile`] spells them. Levels are
        /// not compared.
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

    /// Whether who receives this codec can show what was sent as `sent`.
    #[must_use]
    pub fn shows(self, sent: Self) -> bool {
        let (
            Self::H264 { profile, packetization_mode },
            Self::H264 { profile: sent_profile, packetization_mode: sent_mode },
        ) = (self, sent)
        else {
            return self == sent;
        };
        // Recommendation H.264, annex A.2: which profiles a decoder of another has to decode as well.
        let covers = match sent_profile {
            CONSTRAINED_BASELINE => matches!(profile, BASELINE | MAIN | CONSTRAINED_HIGH | HIGH),
            MAIN | CONSTRAINED_HIGH => profile == HIGH,
            _ => false,
        };
        // Mode 1 has the single NAL units of mode 0, and more besides (RFC 6184 section 6.2).
        (profile == sent_profile || covers) && sent_mode <= packetization_mode
    }
}

pub(super) const CONSTRAINED_BASELINE: u16 = 0x42e0;
const BASELINE: u16 = 0x4200;
const MAIN: u16 = 0x4d00;
const EXTENDED: u16 = 0x5800;
const CONSTRAINED_HIGH: u16 = 0x640c;
const HIGH: u16 = 0x6400;

/// The one spelling here of an H264 profile and its constraints, which have several (RFC 6184 table 5).
#[must_use]
pub const fn h264_profile(spelt: u16) -> u16 {
    match (spelt >> 8, spelt & 0xff) {
        (0x42, flags) if flags & 0x4f == 0x40 => CONSTRAINED_BASELINE,
        (0x4d, flags) if flags & 0x8f == 0x80 => CONSTRAINED_BASELINE,
        (0x58, flags) if flags & 0xcf == 0xc0 => CONSTRAINED_BASELINE,
        (0x42, flags) if flags & 0x4f == 0 => BASELINE,
        (0x58, flags) if flags & 0xcf == 0x80 => BASELINE,
        (0x4d, flags) if flags & 0xaf == 0 => MAIN,
        (0x58, flags) if flags & 0xcf == 0 => EXTENDED,
        _ => spelt,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_h264_profile_are_one() {
        for (spelt, profile) in [
            (0x42e0, CONSTRAINED_BASELINE),
            (0x42c0, CONSTRAINED_BASELINE),
            (0x4240, CONSTRAINED_BASELINE),
            (0x4d80, CONSTRAINED_BASELINE),
            (0x4de0, CONSTRAINED_BASELINE),
            (0x58c0, CONSTRAINED_BASELINE),
            (0x4200, BASELINE),
            (0x42a0, BASELINE),
            (0x5880, BASELINE),
            (0x4d00, MAIN),
            (0x4d40, MAIN),
            (0x5800, EXTENDED),
            (0x6400, HIGH),
            (0x640c, CONSTRAINED_HIGH),
            (0x4d20, 0x4d20),
            (0x42e1, 0x42e1),
        ] {
            assert_eq!(h264_profile(spelt), profile, "{spelt:04x}");
        }
    }

    #[test]
    fn h264_is_shown_by_who_can_decode_and_unpack_it() {
        let h264 = |profile, packetization_mode| Codec::H264 { profile, packetization_mode };
        for own in [CONSTRAINED_BASELINE, BASELINE, MAIN, CONSTRAINED_HIGH, HIGH] {
            assert!(h264(own, 1).shows(h264(CONSTRAINED_BASELINE, 1)), "{own:04x}");
            assert!(h264(own, 1).shows(h264(own, 0)), "{own:04x}");
            assert!(!h264(own, 0).shows(h264(own, 1)), "{own:04x}");
        }
        assert!(!h264(CONSTRAINED_BASELINE, 1).shows(h264(BASELINE, 1)));
        assert!(!h264(BASELINE, 1).shows(h264(MAIN, 1)) && !h264(MAIN, 1).shows(h264(BASELINE, 1)));
        for sent in [MAIN, CONSTRAINED_HIGH] {
            assert!(h264(HIGH, 1).shows(h264(sent, 1)) && !h264(sent, 1).shows(h264(HIGH, 1)), "{sent:04x}");
        }
        assert!(!h264(HIGH, 1).shows(h264(BASELINE, 1)), "slices in any order");
        assert!(!h264(HIGH, 1).shows(Codec::Vp8) && Codec::Vp8.shows(Codec::Vp8));
    }
}
