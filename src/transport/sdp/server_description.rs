//! What a server says of itself, in an answer or in an offer, as a synthetic participant reads it.

use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};

use rtc_sdp::SessionDescription;
use rtc_sdp::description::common::Attribute;

use super::limits::{self, quoted};
use super::line::{Defaults, Direction, OfferLine};
use super::security::Security;
use super::server_answer::AnswerError;
use crate::transport::Fingerprint;

/// The most candidates kept.
const MAX_CANDIDATES: usize = 20;

/// A server's description of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerDescription {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) fingerprint: Fingerprint,
    /// Where the server can be reached over UDP, in its own order.
    pub(super) candidates: Vec<SocketAddr>,
    /// All m-lines, those out of use too.
    pub(super) lines: Vec<OfferLine>,
    /// `a=extmap-allow-mixed` for the whole session.
    pub(super) mixed: bool,
    session: Security,
}

impl ServerDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// If it is not SDP, has no m-line in use, no ICE credentials, or no fingerprint of an accepted
    /// hash function.
    pub(super) fn parse(text: &str) -> Result<Self, AnswerError> {
        limits::check(text)?;
        let description = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()))
            .map_err(|error| AnswerError(quoted(&error.to_string())))?;
        let mixed = description.has_attribute("extmap-allow-mixed");
        let defaults = Defaults { direction: Direction { sends: true, receives: true }, mixed };
        let media = description.media_descriptions.iter();
        let lines = media.clone().map(|media| OfferLine::read(media, defaults));
        let lines: Vec<OfferLine> = lines.collect::<Result<_, _>>()?;
        let mut candidates = Vec::new();
        for told in media.flat_map(|media| media.attributes.iter().filter_map(candidate)) {
            // A bundle has one transport, and many servers describe it on each of its m-lines.
            if candidates.len() < MAX_CANDIDATES && !candidates.contains(&told) {
                candidates.push(told);
            }
        }
        let mut session = Security::default();
        description.attributes.iter().for_each(|attribute| session.read(attribute));
        let Some(first) = lines.iter().find(|line| line.rejected().is_none()) else {
            return Err(AnswerError("no m-line is in use".to_owned()));
        };
        let peer = first.security.peer(&session)?;
        let Some(fingerprint) = peer.fingerprints.into_iter().next() else {
            return Err(AnswerError("there is no a=fingerprint".to_owned()));
        };
        Ok(Self { ufrag: peer.ufrag, pwd: peer.pwd, fingerprint, candidates, lines, mixed, session })
    }

    /// The m-lines in use.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &OfferLine> {
        self.lines.iter().filter(|line| line.rejected().is_none())
    }

    /// Whether the server waits for the participant to open DTLS.
    pub(super) fn is_passive(&self) -> bool {
        self.in_use().next().is_some_and(|first| first.security.is_passive(&self.session))
    }

    /// Whether the server lets the participant open DTLS.
    pub(super) fn lets_open(&self) -> bool {
        self.in_use().next().is_some_and(|first| first.security.lets_open(&self.session))
    }
}

/// The address of an `a=candidate` line, if it is a host candidate for RTP over UDP (RFC 8839
/// section 5.1). Names are not resolved.
fn candidate(attribute: &Attribute) -> Option<SocketAddr> {
    if attribute.key != "candidate" {
        return None;
    }
    let words: Vec<&str> = attribute.value.as_deref()?.split_ascii_whitespace().collect();
    let [_foundation, "1", transport, _priority, address, port, "typ", "host", ..] = words.as_slice() else {
        return None;
    };
    if !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?))
}
