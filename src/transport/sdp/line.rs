//! One m-line of an offer.

use rtc_sdp::MediaDescription;
use rtc_sdp::description::common::Attribute;

use super::extensions::{self, OfferedExtension, Usable};
use super::formats::{self, OfferedCodec};
use super::limits::quoted;
use super::refusal;
use super::security::Security;
use super::sources;
use crate::base::{Mid, Ssrc};
use crate::message::SdpRefusal;

/// The longest tag: what the one-byte form of the MID header extension can carry (RFC 8285).
const MAX_MID_BYTES: usize = 16;

/// Which way media flows on an m-line, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) sends: bool,
    pub(super) receives: bool,
}

impl Direction {
    /// The direction that `attributes` name, if they name one.
    pub(super) fn read(attributes: &[Attribute]) -> Option<Self> {
        attributes.iter().find_map(|attribute| match attribute.key.as_str() {
            "sendrecv" => Some(Self { sends: true, receives: true }),
            "sendonly" => Some(Self { sends: true, receives: false }),
            "recvonly" => Some(Self { sends: false, receives: true }),
            "inactive" => Some(Self { sends: false, receives: false }),
            _ => None,
        })
    }

    /// Its attribute.
    pub(super) const fn name(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }
}

/// What holds for every m-line that does not say otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) direction: Direction,
    pub(super) mixed: bool,
}

/// One m-line, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfferLine {
    /// The tag that `a=mid` gives.
    pub(super) mid: Option<Mid>,
    /// `audio`, `video`, or another medium.
    pub(super) medium: String,
    /// The transport protocol, as it was written.
    pub(super) protocol: String,
    /// The formats, as they were written.
    pub(super) formats: Vec<String>,
    /// Whether the client itself switched it off: port 0 without `a=bundle-only`.
    pub(super) off: bool,
    /// Which way media flows.
    pub(super) direction: Direction,
    /// The codecs that are answered.
    pub(super) codecs: Vec<OfferedCodec>,
    /// The header extensions offered.
    pub(super) extensions: Vec<OfferedExtension>,
    /// The sources declared.
    pub(super) sources: Vec<(Ssrc, Option<Ssrc>)>,
    /// Its transport.
    pub(super) security: Security,
    /// `a=rtcp-mux` or `a=rtcp-mux-only`.
    pub(super) rtcp_mux: bool,
    /// `a=rtcp-rsize`.
    pub(super) reduced_size: bool,
    /// `a=extmap-allow-mixed`, here or for all.
    pub(super) mixed: bool,
}

impl OfferLine {
    /// Reads an m-line. Only its tag can make it refused; what is not understood is not answered.
    pub(super) fn read(media: &MediaDescription, defaults: Defaults) -> Result<Self, SdpRefusal> {
        let attributes = media.attributes.as_slice();
        let has = |key: &str| attributes.iter().any(|attribute| attribute.key == key);
        let name = &media.media_name;
        let video = name.media == "video";
        let mut security = Security::default();
        attributes.iter().for_each(|attribute| security.read(attribute));
        Ok(Self {
            mid: mid(attributes)?,
            medium: name.media.clone(),
            protocol: name.protos.join("/"),
            formats: name.formats.clone(),
            off: name.port.value == 0 && !has("bundle-only"),
            direction: Direction::read(attributes).unwrap_or(defaults.direction),
            codecs: formats::read(&name.formats, attributes, video),
            extensions: extensions::read(attributes),
            sources: sources::read(attributes),
            security,
            rtcp_mux: has("rtcp-mux") || has("rtcp-mux-only"),
            reduced_size: has("rtcp-rsize"),
            mixed: defaults.mixed || has("extmap-allow-mixed"),
        })
    }

    /// Whether it is a video m-line.
    pub(super) fn is_video(&self) -> bool {
        self.medium == "video"
    }

    /// Why it is answered with port 0, if it is.
    pub(super) fn rejected(&self) -> Option<&'static str> {
        const PROTOCOLS: [&str; 6] = [
            "UDP/TLS/RTP/SAVPF",
            "UDP/TLS/RTP/SAVP",
            "TCP/DTLS/RTP/SAVPF",
            "TCP/DTLS/RTP/SAVP",
            "RTP/SAVPF",
            "RTP/SAVP",
        ];
        if self.off {
            return Some("it has port 0");
        }
        if self.medium != "audio" && self.medium != "video" {
            return Some("it is neither audio nor video");
        }
        if !PROTOCOLS.contains(&self.protocol.as_str()) {
            return Some("its protocol is not UDP/TLS/RTP/SAVPF");
        }
        if self.codecs.is_empty() {
            return Some(if self.is_video() {
                "it offers none of VP8, VP9, H264 and AV1"
            } else {
                "it does not offer Opus (opus/48000/2)"
            });
        }
        None
    }

    /// What of its header extensions can be used.
    pub(super) fn usable(&self) -> Usable {
        let feedback = self.codecs.iter().any(|codec| codec.feedback.transport_cc);
        Usable { video: self.is_video(), mixed: self.mixed, feedback }
    }

    /// The tag under which it is known here: `0` for an only m-line without a tag.
    pub(super) fn tag(&self) -> Mid {
        self.mid.clone().unwrap_or_else(|| Mid::from("0"))
    }
}

/// The tag of `a=mid`: a token (RFC 5888 section 4).
fn mid(attributes: &[Attribute]) -> Result<Option<Mid>, SdpRefusal> {
    let Some(attribute) = attributes.iter().find(|attribute| attribute.key == "mid") else { return Ok(None) };
    let text = attribute.value.as_deref().unwrap_or("");
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    if text.is_empty() || text.len() > MAX_MID_BYTES || !text.bytes().all(token) {
        return Err(refusal(format!(
            "a=mid `{}` is not a token of 1 to {MAX_MID_BYTES} characters.",
            quoted(text)
        )));
    }
    Ok(Some(Mid::from(text)))
}
