//! The server's answer, as a synthetic participant reads it.

use std::net::SocketAddr;

use super::line::OfferLine;
use super::server_description::ServerDescription;
use crate::base::Mid;
use crate::message::SdpRefusal;
use crate::transport::{CodecLine, ExtensionIds, Fingerprint, Slot};

/// An answer, or an offer, of the server that a synthetic participant cannot use, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the server answered cannot be used: {0}")]
pub struct AnswerError(pub(super) String);

impl From<SdpRefusal> for AnswerError {
    fn from(refusal: SdpRefusal) -> Self {
        Self(refusal.reason)
    }
}

/// An m-line on which the server takes what the participant sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredSend {
    /// Its tag.
    pub mid: Mid,
    /// Whether it is a video m-line.
    pub video: bool,
    /// The codecs that may be sent, in the order of preference.
    pub codecs: Vec<CodecLine>,
    /// The header extensions to write.
    pub extensions: ExtensionIds,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// The server's ICE user name fragment.
    pub ufrag: String,
    /// The server's ICE password.
    pub pwd: String,
    /// The fingerprint of the server's certificate.
    pub fingerprint: Fingerprint,
    /// Where the server can be reached over UDP, in the order of the answer.
    pub candidates: Vec<SocketAddr>,
    /// Where the participant may send.
    pub sends: Vec<AnsweredSend>,
    /// Its slots.
    pub slots: Vec<Slot>,
}

impl ServerAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if it is not SDP, has no m-line in use, no ICE credentials, no fingerprint of
    /// an accepted hash function, is not passive in DTLS, or sends on an m-line without `a=ssrc`.
    pub fn parse(text: &str) -> Result<Self, AnswerError> {
        let description = ServerDescription::parse(text)?;
        if !description.is_passive() {
            return Err(AnswerError("it does not say a=setup:passive".to_owned()));
        }
        let lines: Vec<&OfferLine> = description.in_use().collect();
        // Directions are the server's here: where it receives, the participant sends.
        let sends =
            lines.iter().filter(|line| line.direction.receives).map(|line| answered_send(line)).collect();
        let slots = lines.iter().filter(|line| line.direction.sends);
        let slots = slots.map(|line| slot(line)).collect::<Result<_, _>>()?;
        let ServerDescription { ufrag, pwd, fingerprint, candidates, .. } = description;
        Ok(Self { ufrag, pwd, fingerprint, candidates, sends, slots })
    }

    /// The slot of this m-line.
    #[must_use]
    pub fn slot(&self, mid: &Mid) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.mid == *mid)
    }

    /// What may be sent on this m-line.
    #[must_use]
    pub fn send(&self, mid: &Mid) -> Option<&AnsweredSend> {
        self.sends.iter().find(|send| send.mid == *mid)
    }
}

fn codecs(line: &OfferLine) -> Vec<CodecLine> {
    line.codecs.iter().map(|codec| codec.line).collect()
}

fn answered_send(line: &OfferLine) -> AnsweredSend {
    let extensions = line.usable().ids(&line.extensions, false);
    AnsweredSend { mid: line.tag(), video: line.is_video(), codecs: codecs(line), extensions }
}

fn slot(line: &OfferLine) -> Result<Slot, AnswerError> {
    let Some((ssrc, rtx_ssrc)) = line.sources.first().copied() else {
        return Err(AnswerError(format!("mid `{}` sends without a=ssrc", line.tag())));
    };
    let extensions = line.usable().ids(&line.extensions, true);
    Ok(Slot { mid: line.tag(), video: line.is_video(), ssrc, rtx_ssrc, codecs: codecs(line), extensions })
}

#[cfg(test)]
mod tests {
    use super::super::{
        ClientCandidate, LocalDescription, Numbering, Offer, OfferBuilder, OfferedSend, check_restart,
        negotiate, write_answer,
    };
    use super::*;
    use crate::base::{Kind, Random, Ssrc};
    use crate::transport::{Codec, Negotiated};

    fn fingerprint(byte: u8) -> Fingerprint {
        Fingerprint { algorithm: "sha-256".to_owned(), hash: vec![byte; 32] }
    }

    fn participant() -> OfferBuilder {
        let send = |mid: &str, kind, ssrc, rtx| OfferedSend { mid: mid.into(), kind, ssrc: Ssrc(ssrc), rtx };
        OfferBuilder {
            session_id: 1,
            version: 1,
            ufrag: "client".to_owned(),
            pwd: "clientPasswordOfEnoughLength".to_owned(),
            fingerprint: fingerprint(1),
            sends: vec![
                send("mic", Kind::Audio, 10, None),
                send("cam", Kind::Video, 20, Some(Ssrc(21))),
                send("slot1", Kind::Share, 30, Some(Ssrc(31))),
            ],
            audio_slots: 5,
            video_slots: 3,
            codecs: vec![
                Codec::Opus,
                Codec::Vp8,
                Codec::Vp9 { profile: 2 },
                Codec::H264 { profile: 0x42e0, packetization_mode: 1 },
                Codec::Av1 { profile: 0 },
            ],
            numbering: Numbering::default(),
            cname: "participant".to_owned(),
            explicit: None,
        }
    }

    fn local() -> LocalDescription {
        LocalDescription {
            ufrag: "server".to_owned(),
            pwd: "serverPasswordOfEnoughLength".to_owned(),
            fingerprint: fingerprint(2),
            candidates: vec!["127.0.0.1:4000".parse().unwrap(), "[::1]:4000".parse().unwrap()],
            session_id: 2,
            version: 1,
            cname: "anteroom".to_owned(),
        }
    }

    fn exchange(builder: &OfferBuilder) -> (Offer, Negotiated, String) {
        let offer = Offer::parse(&builder.write()).unwrap();
        let negotiated = negotiate(&offer, Some(&builder.tracks()), &mut Random::from_number(1)).unwrap();
        let answer = write_answer(&offer, &negotiated, &local());
        (offer, negotiated, answer)
    }

    #[test]
    fn both_ends_agree_on_everything() {
        let builder = participant();
        let (_, negotiated, text) = exchange(&builder);
        let answer = ServerAnswer::parse(&text).unwrap();
        assert_eq!((answer.ufrag, answer.pwd), (local().ufrag, local().pwd));
        assert_eq!(answer.fingerprint, local().fingerprint);
        assert_eq!(answer.candidates, local().candidates);
        assert_eq!(answer.slots, negotiated.slots);
        assert_eq!(negotiated.slots.len(), 8);
        assert_eq!(answer.sends.len(), 3);
        for (sent, taken) in answer.sends.iter().zip(&negotiated.sends) {
            assert_eq!(
                (&sent.mid, &sent.codecs, sent.extensions),
                (&taken.mid, &taken.codecs, taken.extensions)
            );
        }
        for (declared, taken) in builder.sends.iter().zip(&negotiated.sends) {
            assert_eq!(
                (declared.kind, vec![(declared.ssrc, declared.rtx)]),
                (taken.kind, taken.declared_ssrcs.clone())
            );
        }
        assert_eq!(negotiated.fingerprints, [builder.fingerprint]);
    }

    #[test]
    fn a_participant_may_number_as_it_likes() {
        let extensions = ExtensionIds { mid: Some(9), audio_level: Some(7), ..ExtensionIds::default() };
        let numbering = Numbering { audio: 99, first_video: 97, extensions };
        let (_, negotiated, text) = exchange(&OfferBuilder { numbering, ..participant() });
        assert_eq!(ServerAnswer::parse(&text).unwrap().slots, negotiated.slots);
        let microphone = &negotiated.sends[0];
        assert_eq!((microphone.codecs[0].payload_type, microphone.extensions), (99, extensions));
        let numbers: Vec<u8> = negotiated.sends[1].codecs.iter().map(|codec| codec.payload_type).collect();
        assert_eq!(numbers, [97, 100, 102, 104]);
    }

    #[test]
    fn a_participant_restarts_ice() {
        let builder = participant();
        let (offer, negotiated, _) = exchange(&builder);
        assert!(check_restart(&offer, &negotiated).is_err());
        let renewed = OfferBuilder {
            version: 2,
            ufrag: "clientAgain".to_owned(),
            pwd: "anotherPasswordOfEnoughLength".to_owned(),
            ..builder
        };
        assert_eq!(check_restart(&Offer::parse(&renewed.write()).unwrap(), &negotiated), Ok(()));
    }

    #[test]
    fn a_pure_publisher_and_a_pure_listener_are_answered() {
        let publisher = OfferBuilder { audio_slots: 0, video_slots: 0, ..participant() };
        let answer = ServerAnswer::parse(&exchange(&publisher).2).unwrap();
        assert_eq!((answer.sends.len(), answer.slots.len()), (3, 0));
        assert!(answer.send(&"cam".into()).unwrap().video);
        let listener = OfferBuilder { sends: vec![], ..participant() };
        let answer = ServerAnswer::parse(&exchange(&listener).2).unwrap();
        assert_eq!((answer.sends.len(), answer.slots.len()), (0, 8));
        assert!(!answer.slot(&"slot0".into()).unwrap().video);
    }

    #[test]
    fn a_participant_may_insist_on_opening_dtls_and_name_an_address() {
        let address = "192.0.2.1:9".parse().unwrap();
        let builder = OfferBuilder { explicit: Some(ClientCandidate(address)), ..participant() };
        let text = builder.write();
        let lines = builder.sends.len() + builder.audio_slots + builder.video_slots;
        let candidate = "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n";
        assert_eq!(text.matches(candidate).count(), lines);
        assert_eq!(text.matches("a=setup:active\r\n").count(), lines);
        assert_eq!(text.matches("a=setup:").count(), lines);
        assert_eq!(exchange(&builder).1.slots.len(), exchange(&participant()).1.slots.len());
    }

    #[test]
    fn an_answer_that_leaves_something_out_is_refused() {
        let text = exchange(&participant()).2;
        for (from, to, why) in [
            ("a=setup:passive", "a=setup:active", "passive"),
            ("a=ssrc:", "a=x:", "without a=ssrc"),
            ("a=fingerprint:", "a=x:", "fingerprint"),
            ("a=ice-pwd:", "a=x:", "ice-pwd"),
            ("v=0", "v=1", "SdpInvalid"),
            (" UDP/TLS", " X", "no m-line is in use"),
        ] {
            let error = ServerAnswer::parse(&text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(why), "{from}: {error}");
        }
    }
}
