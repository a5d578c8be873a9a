//! Reading takes no memory on the way of a packet, and a small multiple of a client's text elsewhere.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use allocation_counter::{AllocationInfo, measure};
use anteroom::api::readers::{FrameReader, read_request};
use anteroom::base::Random;
use anteroom::message::SrtpProfile;
use anteroom::transport::sdp::{MAX_OFFER_BYTES, Offer, negotiate};
use anteroom::transport::srtp::Inbound;
use anteroom::wire::rtcp::{RtcpPacket, packets};
use anteroom::wire::rtp::RtpView;
use anteroom::wire::stun::{StunView, local_ufrag};
use anteroom::wire::{av1, demux, dependency_descriptor, h264, vp8, vp9};

use crate::mutator::Mutator;

/// Bent inputs for each reader.
const RUNS: usize = 20_000;

/// Runs a reader over its corpus and what is bent from it; `most` says what it may take for so many bytes.
fn each(target: &str, mut read: impl FnMut(&[u8]), most: impl Fn(usize, &AllocationInfo) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let (mut mutator, mut input) = (Mutator::new(4), Vec::new());
    for run in 0..RUNS {
        match corpus.get(run) {
            Some(file) => input.clone_from(file),
            None => mutator.bend(&corpus, 4_096, &mut input),
        }
        let taken = measure(|| read(&input));
        assert!(most(input.len(), &taken), "{target}: {taken:?} for {} bytes: {input:02x?}", input.len());
    }
}

/// Keeps the optimiser from leaving the reading out.
fn used<T>(value: T) {
    black_box(value);
}

fn nothing(_: usize, taken: &AllocationInfo) -> bool {
    taken.count_total == 0
}

#[test]
fn packets_are_read_without_allocating() {
    each("stun", |bytes| used((local_ufrag(bytes), StunView::parse(bytes).is_ok())), nothing);
    each(
        "rtp",
        |bytes| {
            used(demux::classify(bytes));
            let view = RtpView::parse(bytes);
            used(view.map_or(0, |view| view.extensions().map(|(_, data)| data.len()).sum::<usize>()));
        },
        nothing,
    );
    each("vp8", |bytes| used((vp8::Descriptor::parse(bytes).is_ok(), vp8::is_keyframe(bytes))), nothing);
    each("vp9", |bytes| used((vp9::Descriptor::parse(bytes).is_ok(), vp9::is_keyframe(bytes))), nothing);
    each("h264", |bytes| used(h264::is_keyframe(bytes)), nothing);
    each("av1", |bytes| used(av1::is_keyframe(bytes)), nothing);
    each(
        "dependency_descriptor",
        |bytes| used(dependency_descriptor::Descriptor::parse(bytes).is_ok()),
        nothing,
    );
    each("rtcp", |bytes| used(packets(bytes).map(items).sum::<usize>()), nothing);
}

fn items(packet: Result<RtcpPacket<'_>, anteroom::wire::WireError>) -> usize {
    match packet {
        Ok(RtcpPacket::SenderReport(report)) => report.blocks().count(),
        Ok(RtcpPacket::ReceiverReport(report)) => report.blocks().count(),
        Ok(RtcpPacket::Nack(nack)) => nack.sequences().count(),
        Ok(RtcpPacket::TransportFeedback(feedback)) => feedback.statuses().count(),
        Ok(RtcpPacket::Remb(remb)) => remb.ssrcs().count(),
        _ => 0,
    }
}

#[test]
fn forged_packets_are_refused_without_allocating() {
    for (profile, salt) in [(SrtpProfile::AeadAes128Gcm, 12), (SrtpProfile::AesCm128HmacSha1_80, 14)] {
        let mut receiver = Inbound::new(profile, &[7; 16], &vec![9; salt]).unwrap();
        for len in 0..400 {
            let (mut media, mut control) = (vec![0x80; len], vec![0x80; len]);
            let taken = measure(|| {
                assert!(receiver.open_rtp(&mut media).is_err() && receiver.open_rtcp(&mut control).is_err());
            });
            assert_eq!(taken.count_total, 0, "{len} bytes under {profile:?}");
        }
    }
}

/// A message of a client and its parts: a value of JSON takes 32 bytes and is written in 2; objects and lists
/// take more, and there are few.
#[test]
fn a_request_takes_a_small_multiple_of_its_text() {
    let most = |len: usize, taken: &AllocationInfo| taken.bytes_max <= 48 * len as u64 + 200_000;
    let read = |bytes: &[u8]| used(read_request(&String::from_utf8_lossy(bytes)));
    each("request", read, most);
    let many = |piece: &str, count: usize| {
        let list = vec![piece; count].join(",");
        format!("{{\"id\":\"1\",\"method\":\"pause\",\"params\":{{\"a\":[{list}]}}}}")
    };
    for piece in [
        "0",
        "[]",
        "{}",
        "\"\"",
        "{\"\":0}",
        "[[[[0]]]]",
        "{\"a\":{\"b\":{}}}",
        "[0]",
        "{\"\":{}}",
        "[[[[[[[[0]]]]]]]]",
    ] {
        for count in [100, 1_000, 10_000, 120_000 / (piece.len() + 1)] {
            let text = many(piece, count);
            let taken = measure(|| read(text.as_bytes()));
            assert!(most(text.len(), &taken), "{count} of {piece}: {taken:?} for {} bytes", text.len());
        }
    }
}

#[test]
fn a_frame_takes_what_it_has_and_not_what_it_claims() {
    each(
        "websocket",
        |bytes| {
            let (mut reader, mut rest) = (FrameReader::new(128 * 1_024), bytes);
            while let Ok(Some(incoming)) = reader.read(&mut rest) {
                used(incoming);
            }
        },
        |len, taken| taken.bytes_max <= 4 * len as u64 + 256,
    );
}

#[test]
fn an_offer_takes_a_small_multiple_of_its_text() {
    let read = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(offer) = Offer::parse(&text) {
            used(negotiate(&offer, None, &mut Random::from_number(1)).is_ok());
        }
    };
    let most = |len: usize, taken: &AllocationInfo| taken.bytes_max <= 64 * len as u64 + 16_384;
    each("sdp_offer", read, most);
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
    let lines = [
        "m=audio 9 x 0\r\n",
        "a=a\r\n",
        "a=ssrc:1 a\r\n",
        "a=rtpmap:1 a/1\r\n",
        "a=extmap:1 a\r\n",
        "a=group:BUNDLE\r\n",
    ];
    for line in lines {
        let text = head.to_owned() + &line.repeat((MAX_OFFER_BYTES - head.len()) / line.len());
        let taken = measure(|| read(text.as_bytes()));
        assert!(most(text.len(), &taken), "{line}: {taken:?} for {} bytes", text.len());
    }
}
