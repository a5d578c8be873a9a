//! The answer (RFC 8829 section 5.3).

use std::fmt::{self, Write};
use std::net::SocketAddr;

use super::extensions::Extension;
use super::formats::encoding;
use super::line::{Direction, OfferLine};
use super::negotiate::bundle_of;
use super::offer::Offer;
use super::security::fingerprint_text;
use crate::base::Mid;
use crate::transport::{CodecLine, ExtensionIds, Fingerprint, Negotiated, SendLine, Slot};

/// The server's side of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDescription {
    /// Our ICE user name fragment.
    pub ufrag: String,
    /// Our ICE password.
    pub pwd: String,
    /// Our certificate's fingerprint.
    pub fingerprint: Fingerprint,
    /// Where we can be reached, the best address first.
    pub candidates: Vec<SocketAddr>,
    /// The session id of the `o=` line, the same in each answer of one connection.
    pub session_id: u64,
    /// The version in the `o=` line, higher in each answer of one connection.
    pub version: u64,
    /// The RTCP canonical name of everything we send (RFC 7022).
    pub cname: String,
}

/// Writes the answer to `offer`. For an ICE restart `negotiated` is that of the first offer.
#[must_use]
pub fn write_answer(offer: &Offer, negotiated: &Negotiated, local: &LocalDescription) -> String {
    let mut text = String::with_capacity(1024 * (1 + offer.lines.len()));
    let writer = Answer { offer, negotiated, local };
    // Writing to a String cannot fail.
    let _infallible = writer.write(&mut text);
    text
}

struct Answer<'a> {
    offer: &'a Offer,
    negotiated: &'a Negotiated,
    local: &'a LocalDescription,
}

/// What was agreed for one m-line.
#[derive(Clone, Copy)]
struct Agreed<'a> {
    line: &'a OfferLine,
    send: Option<&'a SendLine>,
    slot: Option<&'a Slot>,
}

impl Answer<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let Self { offer, negotiated, local } = self;
        write!(out, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\n", local.session_id, local.version)?;
        write!(out, "s=-\r\nt=0 0\r\n")?;
        if bundle_of(offer).is_some() {
            let mids: Vec<&str> =
                offer.accepted().filter_map(|line| line.mid.as_ref()).map(Mid::as_str).collect();
            write!(out, "a=group:BUNDLE {}\r\n", mids.join(" "))?;
        }
        write!(out, "a=ice-lite\r\n")?;
        // For the m-lines that are not used, which say nothing of a transport themselves: aiortc reads
        // credentials, a fingerprint and a role for each of them, or takes no part of the answer.
        self.write_transport(out)?;
        if offer.mixed {
            write!(out, "a=extmap-allow-mixed\r\n")?;
        }
        for line in &offer.lines {
            if line.rejected().is_some() {
                write_rejected(out, line)?;
                continue;
            }
            let mid = line.tag();
            let agreed = Agreed {
                line,
                send: negotiated.sends.iter().find(|send| send.mid == mid),
                slot: negotiated.slots.iter().find(|slot| slot.mid == mid),
            };
            self.write_line(out, agreed)?;
        }
        Ok(())
    }

    /// The one transport of the bundle, without its candidates.
    fn write_transport(&self, out: &mut String) -> fmt::Result {
        let local = self.local;
        write!(out, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", local.ufrag, local.pwd)?;
        write!(out, "a=fingerprint:{}\r\na=setup:passive\r\n", fingerprint_text(&local.fingerprint))
    }

    fn write_line(&self, out: &mut String, agreed: Agreed<'_>) -> fmt::Result {
        let Agreed { line, send, slot } = agreed;
        let local = self.local;
        let numbers: Vec<String> = agreed.codecs().flat_map(payload_types).map(|n| n.to_string()).collect();
        let (port, address) = default_destination(&local.candidates);
        write!(out, "m={} {port} {} {}\r\n{address}\r\n", line.medium, line.protocol, numbers.join(" "))?;
        // On each m-line, although those of the first are enough by RFC 8843: aiortc keeps only what the
        // last one of a transport says.
        write_candidates(out, &local.candidates)?;
        self.write_transport(out)?;
        if let Some(mid) = &line.mid {
            write!(out, "a=mid:{mid}\r\n")?;
        }
        if line.mixed && !self.offer.mixed {
            write!(out, "a=extmap-allow-mixed\r\n")?;
        }
        agreed.write_extensions(out)?;
        let direction = Direction { sends: slot.is_some(), receives: send.is_some() };
        write!(out, "a={}\r\n", direction.name())?;
        if let Some(slot) = slot {
            // A stream of its own per slot: a browser plays the tracks of one stream in step, and
            // the publishers of two slots have nothing to do with each other.
            write!(out, "a=msid:slot-{0} track-{0}\r\n", slot.mid)?;
        }
        write!(out, "a=rtcp-mux\r\n")?;
        if line.reduced_size {
            write!(out, "a=rtcp-rsize\r\n")?;
        }
        agreed.write_codecs(out)?;
        slot.map_or(Ok(()), |slot| write_sources(out, slot, &local.cname))
    }
}

impl Agreed<'_> {
    /// The codecs in use: those agreed, or those offered where nothing flows.
    fn codecs(&self) -> impl Iterator<Item = &CodecLine> {
        let agreed = self.slot.map(|slot| &slot.codecs).or(self.send.map(|send| &send.codecs));
        let in_use = move |codec: &&CodecLine| agreed.is_none_or(|agreed| agreed.contains(codec));
        self.line.codecs.iter().map(|codec| &codec.line).filter(in_use)
    }

    fn write_extensions(&self, out: &mut String) -> fmt::Result {
        let none = ExtensionIds::default();
        let sent = self.send.map_or(&none, |send| &send.extensions);
        let received = self.slot.map_or(&none, |slot| &slot.extensions);
        for extension in Extension::ALL {
            let uri = extension.uri();
            match (extension.id_in(sent), extension.id_in(received)) {
                (Some(up), Some(down)) if up == down => write!(out, "a=extmap:{up} {uri}\r\n")?,
                (up, down) => {
                    // A direction is said only where the offer said one.
                    let plain =
                        |id: u8| self.line.extensions.iter().any(|o| o.id == id && o.send && o.receive);
                    let suffix = |id: u8, text: &'static str| if plain(id) { "" } else { text };
                    if let Some(id) = up {
                        write!(out, "a=extmap:{id}{} {uri}\r\n", suffix(id, "/recvonly"))?;
                    }
                    if let Some(id) = down {
                        write!(out, "a=extmap:{id}{} {uri}\r\n", suffix(id, "/sendonly"))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_codecs(&self, out: &mut String) -> fmt::Result {
        let video = self.line.is_video();
        for codec in self.codecs() {
            let number = codec.payload_type;
            write!(out, "a=rtpmap:{number} {}\r\n", encoding(codec.codec))?;
            let offered = self.line.codecs.iter().find(|offered| offered.line == *codec);
            if let Some(parameters) = offered.and_then(|offered| offered.parameters.as_ref()) {
                write!(out, "a=fmtp:{number} {parameters}\r\n")?;
            }
            // What a slot sends is repaired by RTX alone; a client that waits for more waits in vain.
            let repairs = self.slot.is_none() || codec.rtx_payload_type.is_some();
            for words in offered.into_iter().flat_map(|offered| offered.feedback.answered(video, repairs)) {
                write!(out, "a=rtcp-fb:{number} {words}\r\n")?;
            }
            if let Some(rtx) = codec.rtx_payload_type {
                write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n")?;
            }
        }
        Ok(())
    }
}

fn payload_types(codec: &CodecLine) -> impl Iterator<Item = u8> {
    [Some(codec.payload_type), codec.rtx_payload_type].into_iter().flatten()
}

/// The port of the m-line and its `c=` line: our best address (RFC 8839 section 4.2.1.2), or what
/// stands for none (RFC 8840 section 4.1.1).
fn default_destination(candidates: &[SocketAddr]) -> (u16, String) {
    let Some(best) = candidates.first() else { return (9, "c=IN IP4 0.0.0.0".to_owned()) };
    let address = best.ip().to_canonical();
    (best.port(), format!("c=IN {} {address}", if address.is_ipv4() { "IP4" } else { "IP6" }))
}

/// Host candidates over UDP, of descending priority (RFC 8445 section 5.1.2).
fn write_candidates(out: &mut String, candidates: &[SocketAddr]) -> fmt::Result {
    const HOST_TYPE_PREFERENCE: u32 = 126;
    const RTP_COMPONENT: u32 = 1;
    if candidates.is_empty() {
        return Ok(());
    }
    // Descending local preference; each address is a base of its own, so has its own foundation.
    for (foundation, (preference, candidate)) in (1_u32..).zip((0..=65_535_u32).rev().zip(candidates)) {
        let priority = (HOST_TYPE_PREFERENCE << 24) | (preference << 8) | (256 - RTP_COMPONENT);
        let (address, port) = (candidate.ip().to_canonical(), candidate.port());
        write!(out, "a=candidate:{foundation} {RTP_COMPONENT} udp {priority} {address} {port} typ host\r\n")?;
    }
    write!(out, "a=end-of-candidates\r\n")
}

fn write_sources(out: &mut String, slot: &Slot, cname: &str) -> fmt::Result {
    if let Some(rtx) = slot.rtx_ssrc {
        write!(out, "a=ssrc-group:FID {} {rtx}\r\n", slot.ssrc)?;
    }
    for ssrc in [Some(slot.ssrc), slot.rtx_ssrc].into_iter().flatten() {
        write!(out, "a=ssrc:{ssrc} cname:{cname}\r\n")?;
    }
    Ok(())
}

/// An m-line that is not used (RFC 3264 section 6). It keeps its place and its tag.
pub(super) fn write_rejected(out: &mut String, line: &OfferLine) -> fmt::Result {
    let format = line.formats.first().map_or("0", String::as_str);
    write!(out, "m={} 0 {} {format}\r\nc=IN IP4 0.0.0.0\r\n", line.medium, line.protocol)?;
    if let Some(mid) = &line.mid {
        write!(out, "a=mid:{mid}\r\n")?;
    }
    write!(out, "a=inactive\r\n")
}
