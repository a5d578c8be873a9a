//! Offers bent at random: whatever comes in, nothing panics, and whatever is accepted is answered
//! in SDP that can be read.

use std::time::{Duration, Instant};

use anteroom::base::Random;
use anteroom::transport::sdp::{MAX_OFFER_BYTES, Offer, negotiate, write_answer};

use crate::{local, names, offer_text, parse};

/// Pieces of SDP that stand where they should not.
const PIECES: [&str; 24] = [
    "a=",
    "m=",
    "=",
    ":",
    "/",
    " ",
    "\r\n",
    "\r\n\r\n",
    "0",
    "-1",
    "65536",
    "4294967296",
    "18446744073709551616",
    "a=mid:0\r\n",
    "a=group:BUNDLE\r\n",
    "a=inactive\r\n",
    "a=fmtp:97 apt=97\r\n",
    "a=ssrc-group:FID 1 1\r\n",
    "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n",
    "r=7d 1h\r\n",
    "z=0 0\r\n",
    "é",
    "\u{0}",
    "m=application 9 x y\r\n",
];

fn index(random: &mut Random, length: usize) -> usize {
    random.below(length as u64) as usize
}

/// A place in `text` where a character begins.
fn place(random: &mut Random, text: &str) -> usize {
    let at = index(random, text.len() + 1);
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap()
}

fn swap_or_repeat_lines(random: &mut Random, text: &str, repeat: bool) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return String::new();
    }
    let (from, to) = (index(random, lines.len()), index(random, lines.len()));
    if repeat {
        lines.insert(to, lines[from]);
    } else {
        lines.swap(from, to);
    }
    lines.concat()
}

fn bend(random: &mut Random, mut text: String) -> String {
    match random.below(7) {
        0 => text.truncate(place(random, &text)),
        1 => {
            let from = place(random, &text);
            let count = index(random, 40);
            let to = text[from..].char_indices().nth(count).map_or(text.len(), |(offset, _)| from + offset);
            text.replace_range(from..to, "");
        }
        2 | 3 => {
            let at = place(random, &text);
            text.insert_str(at, PIECES[index(random, PIECES.len())]);
        }
        4 => {
            // Any byte that keeps the text UTF-8.
            let at = place(random, &text);
            if text.as_bytes().get(at).is_some_and(u8::is_ascii) {
                text.replace_range(at..=at, char::from(random.below(128) as u8).encode_utf8(&mut [0; 4]));
            }
        }
        5 => text = swap_or_repeat_lines(random, &text, false),
        _ => text = swap_or_repeat_lines(random, &text, true),
    }
    text
}

/// Answers a bent offer; whether it was accepted.
fn answered(text: &str, random: &mut Random) -> bool {
    let Ok(offer) = Offer::parse(text) else { return false };
    let Ok(negotiated) = negotiate(&offer, None, random) else { return false };
    assert!(!negotiated.fingerprints.is_empty());
    assert!(!negotiated.sends.is_empty() || !negotiated.slots.is_empty());
    let answer = write_answer(&offer, &negotiated, &local());
    let media = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(media(&answer), media(text));
    // The grammar is unoptimised here: one answer in eight is read again.
    if random.below(8) == 0 {
        assert_eq!(parse(&answer).media_descriptions.len(), media(text));
    }
    true
}

/// Bends offers `rounds` times; answers how many were accepted.
fn storm(seed: u64, rounds: usize) -> usize {
    let mut random = Random::from_number(seed);
    // Long offers cost their parser most and bend no better than short ones.
    let names = names().into_iter().filter(|name| !name.starts_with("refused_"));
    let offers: Vec<String> = names.map(|name| offer_text(&name)).filter(|text| text.len() < 9_000).collect();
    let mut accepted = 0;
    for round in 0..rounds {
        let mut text = offers[round % offers.len()].clone();
        for _ in 0..=random.below(4) {
            text = bend(&mut random, text);
        }
        // The text is found again by the seed and the round.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| answered(&text, &mut random)));
        accepted += usize::from(outcome.unwrap_or_else(|_| panic!("seed {seed} round {round}:\n{text}")));
    }
    accepted
}

#[test]
fn no_bent_offer_panics() {
    // Two of this and the next run side by side.
    let accepted = storm(1, 10_000);
    assert!((1_000..9_000).contains(&accepted), "{accepted} accepted: the bending is too rough or too mild");
}

#[test]
fn no_other_bent_offer_panics() {
    let accepted = storm(2, 10_000);
    assert!((1_000..9_000).contains(&accepted), "{accepted} accepted: the bending is too rough or too mild");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it measures how long an offer holds the worker up")]
fn the_longest_offers_are_refused_or_read_quickly() {
    let head = offer_text("accepted_active_setup");
    let fill = |line: &str| head.clone() + &line.repeat((MAX_OFFER_BYTES - head.len()) / line.len());
    let lines = [
        "a=extmap:1 urn:x\r\n",
        "a=ssrc:1 a\r\n",
        "a=ssrc-group:FID 1 2\r\n",
        "a=fmtp:111 a=b\r\n",
        "a=rtcp-fb:111 x\r\n",
        "a=rtpmap:111 opus/48000/2\r\n",
        "a=candidate:1 1 udp 1 x.local 9 typ host\r\n",
        "a=group:BUNDLE 0\r\n",
        "a=mid:0\r\n",
        "a=fingerprint:sha-256 00\r\n",
        "a=bcdefghijklmn\r\n",
        "r=1 1 1\r\n",
        "\r\n",
    ];
    for line in lines {
        let text = fill(line);
        let once = || {
            let start = Instant::now();
            let _outcome =
                Offer::parse(&text).map(|offer| negotiate(&offer, None, &mut Random::from_number(3)));
            start.elapsed()
        };
        // The fastest of a few, so that a busy machine does not count. The grammar is unoptimised
        // here; optimised all this is some 50 times faster.
        let fastest = (0..4).map(|_| once()).min().unwrap();
        assert!(fastest < Duration::from_millis(200), "{line}: {fastest:?}");
    }
}
