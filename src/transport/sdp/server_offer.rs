//! The offer of a server that asks its listeners, as Janus does, and a synthetic listener's answer.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use super::answer::write_rejected;
use super::client_offer::ClientCandidate;
use super::extensions::Extension;
use super::formats::{OfferedCodec, encoding};
use super::line::{Direction, OfferLine};
use super::security::fingerprint_text;
use super::server_answer::AnswerError;
use super::server_description::ServerDescription;
use crate::base::Mid;
use crate::transport::{Codec, Fingerprint};

/// An offer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOffer(ServerDescription);

/// A listener's side of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerDescription {
    /// The session id of the `o=` line.
    pub session_id: u64,
    /// Its ICE user name fragment.
    pub ufrag: String,
    /// Its ICE password.
    pub pwd: String,
    /// The fingerprint of its certificate.
    pub fingerprint: Fingerprint,
    /// Where it says that it can be reached.
    pub candidate: ClientCandidate,
    /// The codecs that it takes.
    pub codecs: Vec<Codec>,
}

impl ServerOffer {
    /// Reads an offer.
    ///
    /// # Errors
    /// If it is not SDP, has no m-line in use, no ICE credentials, no fingerprint of an accepted hash
    /// function, or wants to open DTLS itself.
    pub fn parse(text: &str) -> Result<Self, AnswerError> {
        let description = ServerDescription::parse(text)?;
        if !description.lets_open() {
            return Err(AnswerError("it says neither a=setup:actpass nor passive".to_owned()));
        }
        Ok(Self(description))
    }

    /// The server's ICE user name fragment and password.
    #[must_use]
    pub fn ice(&self) -> (&str, &str) {
        (&self.0.ufrag, &self.0.pwd)
    }

    /// The fingerprint of the server's certificate.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// Where the server can be reached over UDP, in the order of the offer.
    #[must_use]
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.0.candidates
    }

    /// The answer of somebody who takes all that is sent, sends nothing and opens DTLS.
    #[must_use]
    pub fn answer(&self, listener: &ListenerDescription) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _infallible = self.write_answer(listener, &mut text);
        text
    }

    fn write_answer(&self, listener: &ListenerDescription, out: &mut String) -> fmt::Result {
        write!(out, "v=0\r\no=- {} 1 IN IP4 127.0.0.1\r\n", listener.session_id)?;
        write!(out, "s=-\r\nt=0 0\r\n")?;
        let takes = |line: &&OfferLine| !codecs(line, listener).is_empty();
        let mids = self.0.in_use().filter(takes).filter_map(|line| line.mid.as_ref());
        let mids: Vec<&str> = mids.map(Mid::as_str).collect();
        write!(out, "a=group:BUNDLE {}\r\n", mids.join(" "))?;
        if self.0.mixed {
            write!(out, "a=extmap-allow-mixed\r\n")?;
        }
        for line in &self.0.lines {
            let codecs = codecs(line, listener);
            if line.rejected().is_some() || codecs.is_empty() {
                write_rejected(out, line)?;
            } else {
                write_line(out, line, &codecs, listener)?;
            }
        }
        Ok(())
    }
}

fn codecs<'a>(line: &'a OfferLine, listener: &ListenerDescription) -> Vec<&'a OfferedCodec> {
    line.codecs.iter().filter(|offered| listener.codecs.contains(&offered.line.codec)).collect()
}

fn write_line(
    out: &mut String,
    line: &OfferLine,
    codecs: &[&OfferedCodec],
    listener: &ListenerDescription,
) -> fmt::Result {
    write!(out, "m={} 9 {}", line.medium, line.protocol)?;
    for OfferedCodec { line, .. } in codecs {
        write!(out, " {}", line.payload_type)?;
        line.rtx_payload_type.map_or(Ok(()), |rtx| write!(out, " {rtx}"))?;
    }
    write!(out, "\r\nc=IN IP4 0.0.0.0\r\n")?;
    listener.candidate.write(out)?;
    write!(out, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", listener.ufrag, listener.pwd)?;
    write!(out, "a=fingerprint:{}\r\na=setup:active\r\n", fingerprint_text(&listener.fingerprint))?;
    line.mid.as_ref().map_or(Ok(()), |mid| write!(out, "a=mid:{mid}\r\n"))?;
    let received = line.usable().ids(&line.extensions, true);
    for extension in Extension::ALL {
        if let Some(id) = extension.id_in(&received) {
            write!(out, "a=extmap:{id} {}\r\n", extension.uri())?;
        }
    }
    let direction = Direction { sends: false, receives: line.direction.sends };
    write!(out, "a={}\r\na=rtcp-mux\r\n", direction.name())?;
    if line.reduced_size {
        write!(out, "a=rtcp-rsize\r\n")?;
    }
    codecs.iter().try_for_each(|codec| write_codec(out, codec, line.is_video()))
}

fn write_codec(out: &mut String, offered: &OfferedCodec, video: bool) -> fmt::Result {
    let number = offered.line.payload_type;
    write!(out, "a=rtpmap:{number} {}\r\n", encoding(offered.line.codec))?;
    if let Some(parameters) = &offered.parameters {
        write!(out, "a=fmtp:{number} {parameters}\r\n")?;
    }
    for words in offered.feedback.answered(video) {
        write!(out, "a=rtcp-fb:{number} {words}\r\n")?;
    }
    let Some(rtx) = offered.line.rtx_payload_type else { return Ok(()) };
    write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n")
}
