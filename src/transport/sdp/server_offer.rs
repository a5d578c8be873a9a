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
    for words in offered.feedback.answered(video, true) {
        write!(out, "a=rtcp-fb:{number} {words}\r\n")?;
    }
    let Some(rtx) = offered.line.rtx_payload_type else { return Ok(()) };
    write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Janus 1.1.2 offered a subscriber of a microphone and a screen, but for one of two audio
    /// lines.
    const JANUS: &str = "v=0\r\n\
        o=- 1795679105327840 1 IN IP4 127.0.0.1\r\n\
        s=VideoRoom 23370000\r\n\
        t=0 0\r\n\
        a=group:BUNDLE 0 1\r\n\
        a=ice-options:trickle\r\n\
        a=fingerprint:sha-256 9A:95:F3:7F:A2:0F:BB:60:CB:A2:B2:07:98:5B:48:CE:1A:E1:E5:8F:02:77:BD:7A:DE:E2:B1:5B:66:ED:BD:32\r\n\
        a=extmap-allow-mixed\r\n\
        a=msid-semantic: WMS *\r\n\
        a=ice-lite\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
        c=IN IP4 127.0.0.1\r\n\
        a=sendonly\r\n\
        a=mid:0\r\n\
        a=rtcp-mux\r\n\
        a=ice-ufrag:74pX\r\n\
        a=ice-pwd:XIDJkHx+xJyYLZwyI5eBLC\r\n\
        a=ice-options:trickle\r\n\
        a=setup:actpass\r\n\
        a=rtpmap:111 opus/48000/2\r\n\
        a=rtcp-fb:111 transport-cc\r\n\
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
        a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
        a=fmtp:111 useinbandfec=1\r\n\
        a=msid:janus janus0\r\n\
        a=ssrc:3484986711 cname:janus\r\n\
        a=candidate:1 1 udp 2015363327 10.211.77.1 40072 typ host\r\n\
        a=end-of-candidates\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n\
        c=IN IP4 127.0.0.1\r\n\
        a=sendonly\r\n\
        a=mid:1\r\n\
        a=rtcp-mux\r\n\
        a=ice-ufrag:74pX\r\n\
        a=ice-pwd:XIDJkHx+xJyYLZwyI5eBLC\r\n\
        a=ice-options:trickle\r\n\
        a=setup:actpass\r\n\
        a=rtpmap:96 VP8/90000\r\n\
        a=rtcp-fb:96 ccm fir\r\n\
        a=rtcp-fb:96 nack\r\n\
        a=rtcp-fb:96 nack pli\r\n\
        a=rtcp-fb:96 goog-remb\r\n\
        a=rtcp-fb:96 transport-cc\r\n\
        a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
        a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
        a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
        a=rtpmap:97 rtx/90000\r\n\
        a=fmtp:97 apt=96\r\n\
        a=ssrc-group:FID 3930456517 3013845991\r\n\
        a=msid:janus janus0\r\n\
        a=ssrc:3930456517 cname:janus\r\n\
        a=ssrc:3013845991 cname:janus\r\n\
        a=candidate:1 1 udp 2015363327 10.211.77.1 40072 typ host\r\n\
        a=end-of-candidates\r\n";

    fn listener(codecs: &[Codec]) -> ListenerDescription {
        ListenerDescription {
            session_id: 7,
            ufrag: "mine".to_owned(),
            pwd: "myPasswordOfEnoughLength".to_owned(),
            fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), hash: vec![1; 32] },
            candidate: ClientCandidate("192.0.2.1:9".parse().unwrap()),
            codecs: codecs.to_vec(),
        }
    }

    #[test]
    fn what_janus_offers_is_read() {
        let offer = ServerOffer::parse(JANUS).unwrap();
        assert_eq!(offer.ice(), ("74pX", "XIDJkHx+xJyYLZwyI5eBLC"));
        assert_eq!(offer.fingerprint().hash.first(), Some(&0x9a));
        let expected: SocketAddr = "10.211.77.1:40072".parse().unwrap();
        assert_eq!(offer.candidates()[0], expected);
    }

    #[test]
    fn a_listener_takes_all_under_the_numbers_of_the_offer() {
        let answer = ServerOffer::parse(JANUS).unwrap().answer(&listener(&[Codec::Opus, Codec::Vp8]));
        for line in [
            "a=group:BUNDLE 0 1",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
            "a=fmtp:97 apt=96",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            "a=rtcp-fb:96 nack pli",
        ] {
            assert_eq!(answer.matches(&format!("{line}\r\n")).count(), 1, "{line}");
        }
        for line in ["a=setup:active", "a=recvonly", "a=rtcp-mux", "a=ice-ufrag:mine", "a=end-of-candidates"]
        {
            assert_eq!(answer.matches(&format!("{line}\r\n")).count(), 2, "{line}");
        }
    }

    #[test]
    fn a_line_without_a_common_codec_keeps_its_place() {
        let answer = ServerOffer::parse(JANUS).unwrap().answer(&listener(&[Codec::Opus]));
        assert!(answer.contains("a=group:BUNDLE 0\r\n"), "{answer}");
        assert!(answer.contains("m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"));
    }

    #[test]
    fn a_server_that_wants_to_open_dtls_is_refused() {
        let error = ServerOffer::parse(&JANUS.replace("a=setup:actpass", "a=setup:active")).unwrap_err();
        assert!(error.to_string().contains("setup"), "{error}");
        assert!(ServerOffer::parse("v=0").is_err());
    }
}
