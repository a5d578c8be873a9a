//! Offers as Chromium, Firefox, Safari and GStreamer make them, and what comes of each.
//!
//! Each `tests/sdp_corpus/NAME.sdp` has a `NAME.expected` beside it: an optional line `tracks
//! MID=KIND ...`, then either the outcome or `refused` and a part of the reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anteroom::base::{Kind, Mid, Random};
use anteroom::message::Tracks;
use anteroom::transport::sdp::{LocalDescription, Offer, negotiate, write_answer};
use anteroom::transport::{Codec, CodecLine, ExtensionIds, Fingerprint, Negotiated};
use rtc::sdp::{MediaDescription, SessionDescription};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdp_corpus")
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path());
    let offers = files.filter(|path| path.extension().is_some_and(|ending| ending == "sdp"));
    let mut names: Vec<String> =
        offers.map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The files have plain line ends, so that they are easy to read; SDP has CRLF.
fn offer_text(name: &str) -> String {
    std::fs::read_to_string(corpus().join(format!("{name}.sdp"))).unwrap().replace('\n', "\r\n")
}

fn local() -> LocalDescription {
    LocalDescription {
        ufrag: "serverUfrag".to_owned(),
        pwd: "serverPasswordOfEnoughLength".to_owned(),
        fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), hash: vec![0x5a; 32] },
        candidates: vec!["192.0.2.7:40001".parse().unwrap(), "[2001:db8::7]:40001".parse().unwrap()],
        session_id: 4_611_686_018_427_387_905,
        version: 1,
        cname: "anteroom".to_owned(),
    }
}

struct Expected {
    tracks: Option<Tracks>,
    outcome: String,
}

fn expected(name: &str) -> Expected {
    let text = std::fs::read_to_string(corpus().join(format!("{name}.expected"))).unwrap_or_default();
    let Some(rest) = text.strip_prefix("tracks") else { return Expected { tracks: None, outcome: text } };
    let (first, outcome) = rest.split_once('\n').unwrap();
    let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap();
    let track = |pair: &str| pair.split_once('=').map(|(mid, name)| (Mid::from(mid), kind(name))).unwrap();
    Expected { tracks: Some(first.split_whitespace().map(track).collect()), outcome: outcome.to_owned() }
}

fn codec_text(line: &CodecLine) -> String {
    let name = match line.codec {
        Codec::Opus => "opus".to_owned(),
        Codec::Vp8 => "vp8".to_owned(),
        Codec::Vp9 { profile } => format!("vp9.{profile}"),
        Codec::H264 { profile, packetization_mode } => format!("h264.{profile:04x}.{packetization_mode}"),
        Codec::Av1 { profile } => format!("av1.{profile}"),
    };
    match line.rtx_payload_type {
        Some(rtx) => format!("{name}={}+{rtx}", line.payload_type),
        None => format!("{name}={}", line.payload_type),
    }
}

fn extension_text(ids: &ExtensionIds) -> String {
    let all = [
        ("mid", ids.mid),
        ("level", ids.audio_level),
        ("twcc", ids.transport_cc),
        ("time", ids.abs_send_time),
        ("dd", ids.dependency_descriptor),
    ];
    let given: Vec<String> = all.iter().filter_map(|(name, id)| Some(format!("{name}={}", (*id)?))).collect();
    given.join(" ")
}

fn line_text(out: &mut String, codecs: &[CodecLine], extensions: &ExtensionIds) {
    let codecs: Vec<String> = codecs.iter().map(codec_text).collect();
    writeln!(out, "  codecs {}\n  extensions {}", codecs.join(" "), extension_text(extensions)).unwrap();
}

/// The outcome as the `.expected` files have it.
fn outcome_text(negotiated: &Negotiated) -> String {
    let hashes: Vec<&str> = negotiated.fingerprints.iter().map(|f| f.algorithm.as_str()).collect();
    let mut out =
        format!("peer {} {} {}\n", negotiated.remote_ufrag, negotiated.remote_pwd, hashes.join(" "));
    for send in &negotiated.sends {
        write!(out, "send {} {}", send.mid, send.kind).unwrap();
        for (ssrc, rtx) in &send.declared_ssrcs {
            write!(out, " {ssrc}").unwrap();
            if let Some(rtx) = rtx {
                write!(out, "+{rtx}").unwrap();
            }
        }
        out.push('\n');
        line_text(&mut out, &send.codecs, &send.extensions);
    }
    for slot in &negotiated.slots {
        let medium = if slot.video { "video" } else { "audio" };
        let rtx = if slot.rtx_ssrc.is_some() { " with rtx" } else { "" };
        writeln!(out, "slot {} {medium}{rtx}", slot.mid).unwrap();
        line_text(&mut out, &slot.codecs, &slot.extensions);
    }
    out
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes())).unwrap()
}

#[test]
fn each_offer_of_the_corpus_comes_to_what_is_expected() {
    let mut wrong = Vec::new();
    for name in names() {
        let Expected { tracks, outcome } = expected(&name);
        let offer = Offer::parse(&offer_text(&name));
        let result = offer
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|offer| negotiate(offer, tracks.as_ref(), &mut Random::from_number(1)));
        let fits = match &result {
            Ok(negotiated) => outcome_text(negotiated) == outcome,
            Err(refusal) => outcome
                .strip_prefix("refused ")
                .is_some_and(|part| !part.trim().is_empty() && refusal.reason.contains(part.trim())),
        };
        if !fits {
            let got = result.map_or_else(|refusal| format!("refused {refusal}\n"), |n| outcome_text(&n));
            wrong.push(format!("=== {name}: expected\n{outcome}--- got\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

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
fn an_answer_describes_a_lite_passive_transport_once() {
    for (name, _, _, answer) in accepted() {
        assert!(answer.has_attribute("ice-lite"), "{name}");
        let mut described = 0;
        for media in answer.media_descriptions.iter().filter(|media| media.media_name.port.value != 0) {
            assert_eq!(values(media, "setup"), ["passive"], "{name}");
            assert_eq!(values(media, "ice-ufrag"), ["serverUfrag"], "{name}");
            assert_eq!(values(media, "ice-pwd"), ["serverPasswordOfEnoughLength"], "{name}");
            assert_eq!(values(media, "rtcp-mux"), [""], "{name}");
            assert!(values(media, "fingerprint")[0].starts_with("sha-256 5A:5A:"), "{name}");
            described += values(media, "end-of-candidates").len();
            if !values(media, "candidate").is_empty() {
                assert_eq!(
                    values(media, "candidate"),
                    [
                        "1 1 udp 2130706431 192.0.2.7 40001 typ host",
                        "2 1 udp 2130706175 2001:db8::7 40001 typ host"
                    ],
                    "{name}"
                );
            }
        }
        assert_eq!(described, 1, "{name}");
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
