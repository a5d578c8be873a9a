//! An offer: what a client sent, checked and read.

use std::collections::BTreeSet;
use std::io::Cursor;

use rtc_sdp::SessionDescription;

use super::limits::{self, quoted};
use super::line::{Defaults, Direction, OfferLine};
use super::refusal;
use super::security::{Peer, Security};
use crate::base::Mid;
use crate::message::SdpRefusal;

/// The most `a=group:BUNDLE` lines looked at: as many as there can be m-lines.
const MAX_GROUPS: usize = limits::MAX_MEDIA_LINES;

/// A client's offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub(super) lines: Vec<OfferLine>,
    pub(super) groups: Vec<Vec<Mid>>,
    /// `a=extmap-allow-mixed` for the whole session.
    pub(super) mixed: bool,
    security: Security,
}

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    ///
    /// Refuses what is above our limits ([`super::MAX_OFFER_BYTES`] and the others), is not SDP
    /// (RFC 8866), has no m-line, or does not tag its m-lines with distinct `a=mid` values.
    pub fn parse(text: &str) -> Result<Self, SdpRefusal> {
        limits::check(text)?;
        let session = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes())).map_err(|error| {
            refusal(format!("The offer is not valid SDP (RFC 8866): {}", quoted(&error.to_string())))
        })?;
        if session.has_attribute("ice-lite") {
            return Err(refusal(
                "The offer says a=ice-lite, and so does the server: nobody would send checks. Offer full ICE.",
            ));
        }
        let both = Direction { sends: true, receives: true };
        let defaults = Defaults {
            direction: Direction::read(&session.attributes).unwrap_or(both),
            mixed: session.has_attribute("extmap-allow-mixed"),
        };
        let media = session.media_descriptions.iter();
        let lines = media.map(|media| OfferLine::read(media, defaults)).collect::<Result<Vec<_>, _>>()?;
        check_tags(&lines)?;
        let mut security = Security::default();
        session.attributes.iter().for_each(|attribute| security.read(attribute));
        Ok(Self { lines, groups: bundle_groups(&session), mixed: defaults.mixed, security })
    }

    /// The client's ICE user name fragment and password.
    ///
    /// # Errors
    ///
    /// Refuses an offer whose transport cannot be used; [`super::negotiate`] does so too.
    pub fn ice(&self) -> Result<(String, String), SdpRefusal> {
        self.peer().map(|peer| (peer.ufrag, peer.pwd))
    }

    /// The m-lines that are not answered with port 0.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &OfferLine> {
        self.lines.iter().filter(|line| line.rejected().is_none())
    }

    /// The m-line of this tag.
    pub(super) fn line(&self, mid: &Mid) -> Option<&OfferLine> {
        let tagged = self.lines.iter().find(|line| line.mid.as_ref() == Some(mid));
        tagged.or_else(|| self.accepted().find(|line| line.tag() == *mid))
    }

    /// The client's transport: that of the first m-line in use, which speaks for the whole bundle
    /// (RFC 9143 section 7.3).
    pub(super) fn peer(&self) -> Result<Peer, SdpRefusal> {
        let Some(first) = self.accepted().next() else { return Err(self.nothing_usable()) };
        first.security.resolve(&self.security)
    }

    /// Why no m-line can be used.
    pub(super) fn nothing_usable(&self) -> SdpRefusal {
        let because = self.lines.iter().find_map(|line| Some((line.tag(), line.rejected()?)));
        refusal(match because {
            Some((mid, why)) => {
                format!("No m-line of the offer can be used: mid `{mid}` cannot, because {why}.")
            }
            None => "The offer has no m-line. Offer audio or video to send or to receive.".to_owned(),
        })
    }
}

/// The members of each `a=group:BUNDLE` line (RFC 9143 section 7).
fn bundle_groups(session: &SessionDescription) -> Vec<Vec<Mid>> {
    let values = session.attributes.iter().filter(|attribute| attribute.key == "group");
    let values = values.filter_map(|attribute| attribute.value.as_deref()?.strip_prefix("BUNDLE"));
    let members = |text: &str| -> Vec<Mid> { text.split_ascii_whitespace().map(Mid::from).collect() };
    values.take(MAX_GROUPS).map(members).collect()
}

/// Each m-line needs a tag of its own, unless there is but one m-line.
fn check_tags(lines: &[OfferLine]) -> Result<(), SdpRefusal> {
    if lines.is_empty() {
        return Err(refusal("The offer has no m-line. Offer audio or video to send or to receive."));
    }
    let mut seen = BTreeSet::new();
    for (number, line) in lines.iter().enumerate() {
        match &line.mid {
            Some(mid) if !seen.insert(mid) => {
                return Err(refusal(format!("Two m-lines have a=mid:{mid}. Give each its own.")));
            }
            None if lines.len() > 1 && !line.off => {
                return Err(refusal(format!(
                    "m-line {} of the offer has no a=mid. Give each m-line one.",
                    number.saturating_add(1)
                )));
            }
            _ => {}
        }
    }
    Ok(())
}
