//! Header extensions of an m-line (RFC 8285).

use rtc_sdp::description::common::Attribute;

use crate::transport::ExtensionIds;

/// The most `a=extmap` lines looked at on one m-line. Chromium offers 18.
const MAX_EXTENSIONS: usize = 64;

/// The highest id of the one-byte form.
const MAX_ONE_BYTE_ID: u8 = 14;

/// A header extension that is answered; others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    Mid,
    AudioLevel,
    TransportCc,
    AbsSendTime,
    DependencyDescriptor,
}

impl Extension {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Mid, Self::AudioLevel, Self::TransportCc, Self::AbsSendTime, Self::DependencyDescriptor];

    /// Its registered name.
    pub(super) const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }

    /// The extension of this name.
    pub(super) fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.uri() == uri)
    }

    /// Whether it means something on an m-line of this medium.
    pub(super) const fn fits(self, video: bool) -> bool {
        match self {
            Self::AudioLevel => !video,
            Self::DependencyDescriptor => video,
            Self::Mid | Self::TransportCc | Self::AbsSendTime => true,
        }
    }

    /// Its id among those in use.
    pub(super) const fn id_in(self, ids: &ExtensionIds) -> Option<u8> {
        match self {
            Self::Mid => ids.mid,
            Self::AudioLevel => ids.audio_level,
            Self::TransportCc => ids.transport_cc,
            Self::AbsSendTime => ids.abs_send_time,
            Self::DependencyDescriptor => ids.dependency_descriptor,
        }
    }

    /// Where its id is kept among those in use.
    pub(super) const fn id_in_mut(self, ids: &mut ExtensionIds) -> &mut Option<u8> {
        match self {
            Self::Mid => &mut ids.mid,
            Self::AudioLevel => &mut ids.audio_level,
            Self::TransportCc => &mut ids.transport_cc,
            Self::AbsSendTime => &mut ids.abs_send_time,
            Self::DependencyDescriptor => &mut ids.dependency_descriptor,
        }
    }
}

/// One `a=extmap` line, as the offer has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OfferedExtension {
    /// Which; `None` if it is none of ours.
    pub(super) extension: Option<Extension>,
    /// Its id.
    pub(super) id: u8,
    /// Whether the client may send it.
    pub(super) send: bool,
    /// Whether the client may receive it.
    pub(super) receive: bool,
}

/// Reads an `a=extmap` value: `<id>["/"<direction>] <URI> [<attributes>]`. `None` where it cannot be
/// answered: malformed, or an id that no packet can carry.
pub(super) fn parse_extmap(value: &str) -> Option<OfferedExtension> {
    let mut words = value.split_ascii_whitespace();
    let (head, uri) = (words.next()?, words.next()?);
    let (id, direction) = head.split_once('/').unwrap_or((head, "sendrecv"));
    let (send, receive) = match direction {
        "sendrecv" => (true, true),
        "sendonly" => (true, false),
        "recvonly" => (false, true),
        "inactive" => (false, false),
        _ => return None,
    };
    let id = id.parse().ok().filter(|id| *id != 0)?;
    Some(OfferedExtension { extension: Extension::from_uri(uri), id, send, receive })
}

/// The `a=extmap` lines among `attributes`.
pub(super) fn read(attributes: &[Attribute]) -> Vec<OfferedExtension> {
    let values = attributes.iter().filter(|attribute| attribute.key == "extmap");
    let values = values.filter_map(|attribute| attribute.value.as_deref());
    values.take(MAX_EXTENSIONS).filter_map(parse_extmap).collect()
}

/// What can be used of what was offered on one m-line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usable {
    /// Whether it is a video line.
    pub(super) video: bool,
    /// Whether `a=extmap-allow-mixed` was offered, so that ids above 14 can be carried.
    pub(super) mixed: bool,
    /// Whether transport-wide feedback was offered; without it the numbers serve nobody.
    pub(super) feedback: bool,
}

impl Usable {
    /// Whether this offered extension is answered.
    pub(super) const fn answers(self, offered: &OfferedExtension) -> Option<Extension> {
        let Some(extension) = offered.extension else { return None };
        let carried = offered.id <= MAX_ONE_BYTE_ID || self.mixed && offered.id != MAX_ONE_BYTE_ID + 1;
        let useful = self.feedback || !matches!(extension, Extension::TransportCc);
        if carried && useful && extension.fits(self.video) { Some(extension) } else { None }
    }

    /// The ids on packets in one direction: those that the client sends, or those that it receives.
    pub(super) fn ids(self, offered: &[OfferedExtension], client_sends: bool) -> ExtensionIds {
        let mut ids = ExtensionIds::default();
        for line in offered {
            let allowed = if client_sends { line.send } else { line.receive };
            let Some(extension) = self.answers(line) else { continue };
            let id = extension.id_in_mut(&mut ids);
            if allowed && id.is_none() {
                *id = Some(line.id);
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: Usable = Usable { video: true, mixed: false, feedback: true };

    fn offered(head: &str, extension: Extension) -> OfferedExtension {
        parse_extmap(&format!("{head} {}", extension.uri())).unwrap()
    }

    #[test]
    fn direction_is_the_clients() {
        let lines = [offered("3/sendonly", Extension::Mid), offered("4/recvonly", Extension::AbsSendTime)];
        assert_eq!(VIDEO.ids(&lines, true), ExtensionIds { mid: Some(3), ..Default::default() });
        assert_eq!(VIDEO.ids(&lines, false), ExtensionIds { abs_send_time: Some(4), ..Default::default() });
        assert_eq!(VIDEO.ids(&[offered("3/inactive", Extension::Mid)], true), ExtensionIds::default());
    }

    #[test]
    fn ids_above_fourteen_need_mixed_headers() {
        let high = [offered("200", Extension::Mid)];
        assert_eq!(VIDEO.ids(&high, true).mid, None);
        let mixed = Usable { mixed: true, ..VIDEO };
        assert_eq!(mixed.ids(&high, true).mid, Some(200));
        assert_eq!(mixed.ids(&[offered("15", Extension::Mid)], true).mid, None);
    }

    #[test]
    fn each_medium_has_its_own() {
        let lines = [offered("1", Extension::AudioLevel), offered("2", Extension::DependencyDescriptor)];
        assert_eq!(VIDEO.ids(&lines, true).audio_level, None);
        let audio = Usable { video: false, ..VIDEO };
        assert_eq!(audio.ids(&lines, true), ExtensionIds { audio_level: Some(1), ..Default::default() });
    }

    #[test]
    fn transport_wide_numbers_need_feedback() {
        let lines = [offered("5", Extension::TransportCc)];
        assert_eq!(VIDEO.ids(&lines, true).transport_cc, Some(5));
        assert_eq!(Usable { feedback: false, ..VIDEO }.ids(&lines, true).transport_cc, None);
    }

    #[test]
    fn what_no_packet_can_carry_is_not_read() {
        for wrong in ["", "1", "0 urn:x", "256 urn:x", "-1 urn:x", "1/up urn:x", "4096 urn:x"] {
            assert_eq!(parse_extmap(wrong), None, "{wrong}");
        }
    }
}
