//! What each offer of the corpus comes to.

use std::fmt::Write;

use anteroom::base::Random;
use anteroom::transport::sdp::{Offer, check_restart, negotiate};
use anteroom::transport::{Codec, CodecLine, ExtensionIds, Negotiated};

use crate::{Expected, expected, names, offer_text};

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
    if given.is_empty() { "none".to_owned() } else { given.join(" ") }
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

#[test]
fn a_browser_that_restarts_ice_offers_the_same_connection() {
    let offer = |name: &str| Offer::parse(&offer_text(name)).unwrap();
    let (before, after) = (offer("chromium_before_restart"), offer("chromium_restart"));
    let tracks = expected("chromium_before_restart").tracks;
    let negotiated = negotiate(&before, tracks.as_ref(), &mut Random::from_number(1)).unwrap();
    assert_eq!(check_restart(&after, &negotiated), Ok(()));
    assert!(check_restart(&before, &negotiated).is_err());
    assert!(check_restart(&offer("chromium_meeting"), &negotiated).is_err(), "another connection");
}
