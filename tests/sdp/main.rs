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

mod answers;
mod mutations;
mod outcomes;
mod peers;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anteroom::base::{Kind, Mid};
use anteroom::message::Tracks;
use anteroom::transport::Fingerprint;
use anteroom::transport::sdp::LocalDescription;
use rtc::sdp::SessionDescription;

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

fn parse(text: &str) -> SessionDescription {
    SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes())).unwrap()
}
