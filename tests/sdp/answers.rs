//! What holds for every answer.

use std::collections::BTreeSet;

use anteroom::base::{Mid, Random};
use anteroom::transport::sdp::{Offer, negotiate, write_answer};
use anteroom::transport::{CodecLine, Negotiated};
use rtc::sdp::{MediaDescription, SessionDescription};

use crate::{expected, local, names, offer_text, parse};

/// Each offer of the corpus that is accepted, with what was negotiated and answered.
fn accepted() -> Vec<(String, SessionDescription, Negotiated, SessionDescription)> {
    let mut all = Vec::new();
    for name in names() {
        let text = offer_text(&name);
        let Ok(offer) = Offer::parse(&text) else { continue };
        let tracks = expected(&name).tracks;
        let Ok(negotiated) = negotiate(&offer, tracks.as_ref(), &mut Random::from_number(2)) else {
            continue;
        };
        let answer = write_answer(&offer, &negotiated, &local());
        all.push((name, parse(&text), negotiated, parse(&answer)));
    }
    assert!(all.len() >= 4);
    all
}

fn values<'a>(media: &'a MediaDescription, key: &str) -> Vec<&'a str> {
    let lines = media.attributes.iter().filter(|attribute| attribute.key == key);
    lines.map(|attribute| attribute.value.as_deref().unwrap_or("")).collect()
}

fn mid(media: &MediaDescription) -> Mid {
    values(media, "mid").first().map_or(Mid::from("0"), |mid| Mid::from(*mid))
}

/// Whether one side can send and receive on an m-line.
fn direction(media: &MediaDescription) -> (bool, bool) {
    let has = |key: &str| !values(media, key).is_empty();
    match (has("sendonly"), has("recvonly"), has("inactive")) {
        (true, _, _) => (true, false),
        (_, true, _) => (false, true),
        (_, _, true) => (false, false),
        _ => (true, true),
    }
}

#[test]
fn an_answer_mirrors_the_m_lines_of_its_offer() {
    for (name, offer, negotiated, answer) in accepted() {
        assert_eq!(offer.media_descriptions.len(), answer.media_descriptions.len(), "{name}");
        for (asked, given) in offer.media_descriptions.iter().zip(&answer.media_descriptions) {
            let at = format!("{name}, mid {}", mid(asked));
            assert_eq!(asked.media_name.media, given.media_name.media, "{at}");
            assert_eq!(asked.media_name.protos, given.media_name.protos, "{at}");
            assert_eq!(values(asked, "mid"), values(given, "mid"), "{at}");
            let ((client_sends, client_receives), (sends, receives)) = (direction(asked), direction(given));
            assert!(client_sends || !receives, "{at}");
            assert!(client_receives || !sends, "{at}");
            let tag = mid(asked);
            assert_eq!(receives, negotiated.sends.iter().any(|send| send.mid == tag), "{at}");
            assert_eq!(sends, negotiated.slots.iter().any(|slot| slot.mid == tag), "{at}");
        }
    }
}

#[test]
fn an_answer_has_one_bundle_with_every_line_in_use_and_no_other() {
    for (name, offer, _, answer) in accepted() {
        let in_use = answer.media_descriptions.iter().filter(|media| media.media_name.port.value != 0);
        let in_use: Vec<Mid> = in_use.map(mid).collect();
        assert!(!in_use.is_empty(), "{name}");
        let group = answer.attribute("group").map(|group| group.strip_prefix("BUNDLE ").unwrap());
        assert_eq!(group.is_some(), offer.attribute("group").is_some(), "{name}");
        if let Some(group) = group {
            assert_eq!(group.split(' ').map(Mid::from).collect::<Vec<_>>(), in_use, "{name}");
        }
        for media in &answer.media_descriptions {
            let usable = matches!(media.media_name.media.as_str(), "audio" | "video");
            assert!(usable || media.media_name.port.value == 0, "{name}");
        }
    }
}

#[test]
fn an_answer_describes_its_lite_passive_transport_on_each_line() {
    for (name, _, _, answer) in accepted() {
        assert!(answer.has_attribute("ice-lite"), "{name}");
        for media in answer.media_descriptions.iter().filter(|media| media.media_name.port.value != 0) {
            assert_eq!(values(media, "setup"), ["passive"], "{name}");
            assert_eq!(values(media, "ice-ufrag"), ["serverUfrag"], "{name}");
            assert_eq!(values(media, "ice-pwd"), ["serverPasswordOfEnoughLength"], "{name}");
            assert_eq!(values(media, "rtcp-mux"), [""], "{name}");
            assert!(values(media, "fingerprint")[0].starts_with("sha-256 5A:5A:"), "{name}");
            assert_eq!(values(media, "end-of-candidates"), [""], "{name}");
            assert_eq!(
                values(media, "candidate"),
                [
                    "1 1 udp 2130706431 192.0.2.7 40001 typ host",
                    "2 1 udp 2130706175 2001:db8::7 40001 typ host"
                ],
                "{name}"
            );
        }
        for media in answer.media_descriptions.iter().filter(|media| media.media_name.port.value == 0) {
            assert_eq!(values(media, "candidate").len() + values(media, "ice-ufrag").len(), 0, "{name}");
        }
    }
}

#[test]
fn lines_out_of_use_have_a_transport_by_the_session() {
    for (name, _, _, answer) in accepted() {
        let of_session = |key: &str| answer.attribute(key).map(String::as_str);
        assert_eq!(of_session("setup"), Some("passive"), "{name}");
        assert_eq!(of_session("ice-ufrag"), Some("serverUfrag"), "{name}");
        assert_eq!(of_session("ice-pwd"), Some("serverPasswordOfEnoughLength"), "{name}");
        assert!(of_session("fingerprint").unwrap().starts_with("sha-256 5A:5A:"), "{name}");
    }
}

#[test]
fn an_answer_has_only_codecs_and_extensions_of_its_offer_under_their_numbers() {
    const UNANSWERED: [&str; 6] = ["red", "ulpfec", "flexfec-03", "telephone-event", "CN", "H265"];
    for (name, offer, _, answer) in accepted() {
        for (asked, given) in offer.media_descriptions.iter().zip(&answer.media_descriptions) {
            if given.media_name.port.value == 0 {
                continue;
            }
            let at = format!("{name}, mid {}", mid(asked));
            let offered: BTreeSet<String> =
                values(asked, "rtpmap").iter().map(|v| v.to_lowercase()).collect();
            for map in values(given, "rtpmap") {
                assert!(offered.contains(&map.to_lowercase()), "{at}: {map}");
                assert!(!UNANSWERED.iter().any(|codec| map.contains(codec)), "{at}: {map}");
            }
            assert_eq!(values(given, "rtpmap").len(), given.media_name.formats.len(), "{at}");
            for feedback in values(given, "rtcp-fb") {
                let every = feedback.split_once(' ').map(|(_, words)| format!("* {words}")).unwrap();
                let offered = values(asked, "rtcp-fb");
                assert!(offered.contains(&feedback) || offered.contains(&every.as_str()), "{at}: {feedback}");
                assert!(!feedback.contains("remb"), "{at}");
            }
            for extension in values(given, "extmap") {
                let (id, uri) = extension.split_once(' ').unwrap();
                let id = id.split('/').next().unwrap();
                let same = |line: &&str| {
                    let mut words = line.split(' ');
                    words.next().unwrap().split('/').next() == Some(id) && words.next() == Some(uri)
                };
                assert!(values(asked, "extmap").iter().any(same), "{at}: {extension}");
                assert!(!uri.contains("stream-id") && !uri.contains("toffset"), "{at}: {extension}");
            }
            for absent in ["simulcast", "rid", "sctp-port"] {
                assert_eq!(values(given, absent).len(), 0, "{at}: {absent}");
            }
        }
    }
}

#[test]
fn a_nack_is_answered_where_it_is_heeded() {
    let (mut without_rtx, mut kept) = (0, 0);
    for (name, offer, negotiated, answer) in accepted() {
        for (asked, given) in offer.media_descriptions.iter().zip(&answer.media_descriptions) {
            let lists = |media, codec: &CodecLine| {
                let words = [format!("{} nack", codec.payload_type), "* nack".to_owned()];
                values(media, "rtcp-fb").iter().any(|line| words.iter().any(|words| words == line))
            };
            let tag = mid(asked);
            let slot = negotiated.slots.iter().find(|slot| slot.video && slot.mid == tag);
            for codec in slot.into_iter().flat_map(|slot| &slot.codecs).filter(|codec| lists(asked, codec)) {
                assert_eq!(lists(given, codec), codec.rtx_payload_type.is_some(), "{name}, mid {tag}");
                without_rtx += usize::from(codec.rtx_payload_type.is_none());
            }
            let send = negotiated.sends.iter().find(|send| send.kind.is_video() && send.mid == tag);
            let send = send.filter(|_| slot.is_none());
            for codec in send.into_iter().flat_map(|send| &send.codecs).filter(|codec| lists(asked, codec)) {
                assert!(lists(given, codec), "{name}, mid {tag}");
                kept += usize::from(codec.rtx_payload_type.is_none());
            }
        }
    }
    assert!(without_rtx > 0 && kept > 0, "the corpus shows neither: {without_rtx}, {kept}");
}

#[test]
fn each_slot_has_sources_and_a_stream_of_its_own() {
    for (name, _, negotiated, answer) in accepted() {
        let (mut sources, mut streams) = (BTreeSet::new(), BTreeSet::new());
        for slot in &negotiated.slots {
            let media = answer.media_descriptions.iter().find(|media| mid(media) == slot.mid).unwrap();
            let both = [Some(slot.ssrc), slot.rtx_ssrc].into_iter().flatten();
            let lines: Vec<String> = both.clone().map(|ssrc| format!("{ssrc} cname:anteroom")).collect();
            assert_eq!(values(media, "ssrc"), lines, "{name}");
            let group = slot.rtx_ssrc.map(|rtx| format!("FID {} {rtx}", slot.ssrc));
            assert_eq!(values(media, "ssrc-group"), Vec::from_iter(group), "{name}");
            assert!(both.into_iter().all(|ssrc| sources.insert(ssrc)), "{name}");
            let stream = values(media, "msid")[0].split(' ').next().unwrap();
            assert!(streams.insert(stream.to_owned()), "{name}");
        }
        let unique: usize = answer.media_descriptions.iter().map(|media| values(media, "msid").len()).sum();
        assert_eq!(unique, negotiated.slots.len(), "{name}");
    }
}
