//! The offer of a synthetic participant.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use super::extensions::Extension;
use super::formats::encoding;
use super::security::fingerprint_text;
use crate::base::{Kind, Mid, Ssrc};
use crate::message::Tracks;
use crate::transport::{Codec, CodecLine, ExtensionIds, Fingerprint};

/// An m-line on which a synthetic participant sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedSend {
    /// Its tag: a token of at most 16 characters, different from the others'.
    pub mid: Mid,
    /// What is sent on it.
    pub kind: Kind,
    /// The source that is declared for it.
    pub ssrc: Ssrc,
    /// The source of its retransmissions; video only.
    pub rtx: Option<Ssrc>,
}

/// The numbers that an offer gives to codecs and header extensions. Two participants with different
/// numbers show whether the server translates them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// The payload type of Opus.
    pub audio: u8,
    /// The payload type of the first video codec; its RTX has the next one, and so on.
    pub first_video: u8,
    /// The ids of the header extensions; `None` is not offered.
    pub extensions: ExtensionIds,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            audio: 111,
            first_video: 96,
            extensions: ExtensionIds {
                mid: Some(4),
                audio_level: Some(1),
                transport_cc: Some(3),
                abs_send_time: Some(2),
                dependency_descriptor: Some(5),
            },
        }
    }
}

/// What a synthetic participant offers: the m-lines of `sends` in their order, then the audio slots,
/// then the video slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferBuilder {
    /// The session id of the `o=` line.
    pub session_id: u64,
    /// The version in the `o=` line, higher in each offer of one connection.
    pub version: u64,
    /// The ICE user name fragment, 4..=256 characters.
    pub ufrag: String,
    /// The ICE password, 22..=256 characters. An ICE restart changes it and `ufrag`, nothing else.
    pub pwd: String,
    /// The fingerprint of the participant's certificate.
    pub fingerprint: Fingerprint,
    /// Where the participant sends.
    pub sends: Vec<OfferedSend>,
    /// How many audio m-lines it only receives on.
    pub audio_slots: usize,
    /// How many video m-lines it only receives on.
    pub video_slots: usize,
    /// The codecs in the order of preference, audio and video alike; at least one of each medium
    /// that has an m-line.
    pub codecs: Vec<Codec>,
    /// Their numbers.
    pub numbering: Numbering,
    /// The RTCP canonical name of what is sent.
    pub cname: String,
    /// What the server has to be told besides; `None` for one that reads no candidates and leaves
    /// DTLS to the participant.
    pub explicit: Option<ClientCandidate>,
}

/// Where a participant says that it can be reached. A server that is lite answers where a check came
/// from, but some do nothing before they have read a candidate. An offer with one also insists on
/// opening DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCandidate(pub SocketAddr);

impl ClientCandidate {
    pub(super) fn write(self, out: &mut String) -> fmt::Result {
        let Self(address) = self;
        write!(out, "a=candidate:1 1 udp 2130706431 {} {} typ host\r\n", address.ip(), address.port())?;
        write!(out, "a=end-of-candidates\r\n")
    }
}

impl OfferBuilder {
    /// The offer.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _infallible = self.write_to(&mut text);
        text
    }

    /// Which m-line carries what, for `joinRoom`.
    #[must_use]
    pub fn tracks(&self) -> Tracks {
        self.sends.iter().map(|send| (send.mid.clone(), send.kind)).collect()
    }

    /// The tags of the slots that are only received on, each with whether it is video.
    fn slots(&self) -> Vec<(Mid, bool)> {
        let media =
            std::iter::repeat_n(false, self.audio_slots).chain(std::iter::repeat_n(true, self.video_slots));
        let taken = |mid: &Mid| self.sends.iter().any(|send| send.mid == *mid);
        let tags = (0_u32..).map(|n| Mid::from(format!("slot{n}").as_str())).filter(|mid| !taken(mid));
        tags.zip(media).collect()
    }

    fn write_to(&self, out: &mut String) -> fmt::Result {
        let slots = self.slots();
        write!(out, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\n", self.session_id, self.version)?;
        write!(out, "s=-\r\nt=0 0\r\na=group:BUNDLE")?;
        for mid in self.sends.iter().map(|send| &send.mid).chain(slots.iter().map(|(mid, _)| mid)) {
            write!(out, " {mid}")?;
        }
        write!(out, "\r\n")?;
        if self.explicit.is_none() {
            self.write_security(out, "actpass")?;
        }
        for send in &self.sends {
            self.write_line(out, &send.mid, send.kind.is_video(), "sendonly")?;
            if let Some(rtx) = send.rtx {
                write!(out, "a=ssrc-group:FID {} {rtx}\r\n", send.ssrc)?;
            }
            for ssrc in [Some(send.ssrc), send.rtx].into_iter().flatten() {
                write!(out, "a=ssrc:{ssrc} cname:{}\r\n", self.cname)?;
            }
        }
        for (mid, video) in &slots {
            self.write_line(out, mid, *video, "recvonly")?;
        }
        Ok(())
    }

    fn write_security(&self, out: &mut String, setup: &str) -> fmt::Result {
        write!(out, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", self.ufrag, self.pwd)?;
        write!(out, "a=fingerprint:{}\r\na=setup:{setup}\r\n", fingerprint_text(&self.fingerprint))
    }

    fn write_line(&self, out: &mut String, mid: &Mid, video: bool, direction: &str) -> fmt::Result {
        let codecs = if video { self.video_codecs() } else { self.audio_codecs() };
        write!(out, "m={} 9 UDP/TLS/RTP/SAVPF", if video { "video" } else { "audio" })?;
        for codec in &codecs {
            write!(out, " {}", codec.payload_type)?;
            codec.rtx_payload_type.map_or(Ok(()), |rtx| write!(out, " {rtx}"))?;
        }
        write!(
            out,
            "\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
        )?;
        if let Some(candidate) = self.explicit {
            // As browsers do; some servers look for it nowhere else.
            self.write_security(out, "active")?;
            candidate.write(out)?;
        }
        for extension in Extension::ALL.into_iter().filter(|extension| extension.fits(video)) {
            if let Some(id) = extension.id_in(&self.numbering.extensions) {
                write!(out, "a=extmap:{id} {}\r\n", extension.uri())?;
            }
        }
        codecs.iter().try_for_each(|codec| write_codec(out, codec))
    }

    fn audio_codecs(&self) -> Vec<CodecLine> {
        let codecs = self.codecs.iter().filter(|codec| **codec == Codec::Opus).take(1);
        let line = |codec: &Codec| CodecLine {
            codec: *codec,
            payload_type: self.numbering.audio,
            rtx_payload_type: None,
        };
        codecs.map(line).collect()
    }

    fn video_codecs(&self) -> Vec<CodecLine> {
        // In one bundle a number stands for one codec, so the one of Opus is left out.
        let mut free = (self.numbering.first_video..=127).filter(|number| *number != self.numbering.audio);
        let mut lines = Vec::new();
        for codec in self.codecs.iter().filter(|codec| **codec != Codec::Opus) {
            let (Some(payload_type), Some(rtx)) = (free.next(), free.next()) else { break };
            lines.push(CodecLine { codec: *codec, payload_type, rtx_payload_type: Some(rtx) });
        }
        lines
    }
}

fn write_codec(out: &mut String, line: &CodecLine) -> fmt::Result {
    let number = line.payload_type;
    write!(out, "a=rtpmap:{number} {}\r\n", encoding(line.codec))?;
    match line.codec {
        Codec::Opus => write!(out, "a=fmtp:{number} minptime=10;useinbandfec=1\r\n")?,
        Codec::Vp8 => {}
        Codec::Vp9 { profile } => write!(out, "a=fmtp:{number} profile-id={profile}\r\n")?,
        Codec::H264 { profile, packetization_mode } => write!(
            out,
            "a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode={packetization_mode};\
             profile-level-id={profile:04x}1f\r\n"
        )?,
        Codec::Av1 { profile } => write!(out, "a=fmtp:{number} level-idx=5;profile={profile};tier=0\r\n")?,
    }
    write!(out, "a=rtcp-fb:{number} transport-cc\r\n")?;
    if line.codec != Codec::Opus {
        for words in ["ccm fir", "nack", "nack pli"] {
            write!(out, "a=rtcp-fb:{number} {words}\r\n")?;
        }
    }
    let Some(rtx) = line.rtx_payload_type else { return Ok(()) };
    write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n")
}
