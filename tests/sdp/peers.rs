//! A peer connection that is not ours offers, and takes our answer.

#![expect(clippy::disallowed_methods, reason = "the peer connection wants an Instant")]

use std::time::Instant;

use anteroom::base::{Kind, Mid, Random};
use anteroom::message::Tracks;
use anteroom::transport::Negotiated;
use anteroom::transport::sdp::{LocalDescription, Offer, check_restart, negotiate, write_answer};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};

use crate::{local, parse};

fn peer_connection() -> RTCPeerConnection {
    let mut media = MediaEngine::default();
    media.register_default_codecs().unwrap();
    let registry = register_default_interceptors(rtc::interceptor::Registry::new(), &mut media).unwrap();
    RTCPeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .build(Instant::now())
        .unwrap()
}

fn track(kind: RtpCodecKind, ssrc: u32) -> MediaStreamTrack {
    let (mime_type, clock_rate, channels) =
        if kind == RtpCodecKind::Audio { ("audio/opus", 48_000, 2) } else { ("video/VP8", 90_000, 0) };
    let codec = RTCRtpCodec { mime_type: mime_type.to_owned(), clock_rate, channels, ..Default::default() };
    let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
    let encoding = RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec, ..Default::default() };
    MediaStreamTrack::new(
        format!("stream{ssrc}"),
        format!("track{ssrc}"),
        format!("label{ssrc}"),
        kind,
        vec![encoding],
    )
}

fn one_way(direction: RTCRtpTransceiverDirection) -> Option<RTCRtpTransceiverInit> {
    Some(RTCRtpTransceiverInit { direction, streams: vec![], send_encodings: vec![] })
}

fn send(peer: &mut RTCPeerConnection, kind: RtpCodecKind, ssrc: u32) {
    let init = one_way(RTCRtpTransceiverDirection::Sendonly);
    peer.add_transceiver_from_track(track(kind, ssrc), init).unwrap();
}

fn receive(peer: &mut RTCPeerConnection, kind: RtpCodecKind) {
    peer.add_transceiver_from_kind(kind, one_way(RTCRtpTransceiverDirection::Recvonly)).unwrap();
}

fn offer(peer: &mut RTCPeerConnection) -> String {
    let offer = peer.create_offer(None).unwrap();
    peer.set_local_description(Instant::now(), offer).unwrap();
    peer.local_description().unwrap().sdp
}

/// Answers the peer connection, which must take the answer.
fn join(peer: &mut RTCPeerConnection, tracks: Option<&Tracks>) -> Negotiated {
    let text = offer(peer);
    let offer = Offer::parse(&text).unwrap_or_else(|refusal| panic!("{refusal}\n{text}"));
    let negotiated = negotiate(&offer, tracks, &mut Random::from_number(5)).unwrap();
    take(peer, &write_answer(&offer, &negotiated, &local()));
    negotiated
}

fn take(peer: &mut RTCPeerConnection, answer: &str) {
    let description = RTCSessionDescription::answer(answer.to_owned()).unwrap();
    let taken = peer.set_remote_description(Instant::now(), description);
    taken.unwrap_or_else(|error| panic!("{error}\n{answer}"));
}

/// A participant with a microphone, a screen, four audio slots and two video slots.
fn participant() -> (RTCPeerConnection, Tracks) {
    let mut peer = peer_connection();
    send(&mut peer, RtpCodecKind::Audio, 1111);
    send(&mut peer, RtpCodecKind::Video, 2222);
    for _ in 0..4 {
        receive(&mut peer, RtpCodecKind::Audio);
    }
    for _ in 0..2 {
        receive(&mut peer, RtpCodecKind::Video);
    }
    (peer, Tracks::from([(Mid::from("0"), Kind::Audio), (Mid::from("1"), Kind::Share)]))
}

#[test]
fn a_participant_takes_our_answer() {
    let (mut peer, tracks) = participant();
    let negotiated = join(&mut peer, Some(&tracks));
    let kinds: Vec<Kind> = negotiated.sends.iter().map(|send| send.kind).collect();
    assert_eq!(kinds, [Kind::Audio, Kind::Share]);
    assert_eq!(
        negotiated.slots.iter().map(|slot| slot.video).collect::<Vec<_>>(),
        [false, false, false, false, true, true]
    );
    assert!(negotiated.sends.iter().all(|send| send.declared_ssrcs.len() == 1));
}

#[test]
fn a_publisher_and_a_listener_take_our_answer() {
    let mut publisher = peer_connection();
    send(&mut publisher, RtpCodecKind::Audio, 1);
    send(&mut publisher, RtpCodecKind::Video, 2);
    assert!(join(&mut publisher, None).slots.is_empty());
    let mut listener = peer_connection();
    receive(&mut listener, RtpCodecKind::Audio);
    receive(&mut listener, RtpCodecKind::Video);
    assert!(join(&mut listener, None).sends.is_empty());
}

#[test]
fn a_data_channel_is_refused_and_the_rest_goes_on() {
    let (mut peer, tracks) = participant();
    peer.create_data_channel("chat", None).unwrap();
    assert_eq!(join(&mut peer, Some(&tracks)).slots.len(), 6);
}

#[test]
fn ice_restarts_on_the_same_lines() {
    let (mut peer, tracks) = participant();
    let negotiated = join(&mut peer, Some(&tracks));

    let same = Offer::parse(&peer.local_description().unwrap().sdp).unwrap();
    assert!(check_restart(&same, &negotiated).unwrap_err().reason.contains("restartIce()"));

    peer.restart_ice();
    let text = offer(&mut peer);
    let again = Offer::parse(&text).unwrap();
    check_restart(&again, &negotiated).unwrap();
    assert_ne!(again.ice().unwrap().0, negotiated.remote_ufrag);
    let renewed = LocalDescription {
        ufrag: "renewed".to_owned(),
        pwd: "renewedPasswordOfEnoughLength".to_owned(),
        version: 2,
        ..local()
    };
    let answer = write_answer(&again, &negotiated, &renewed);
    for slot in &negotiated.slots {
        assert!(answer.contains(&format!("a=ssrc:{} ", slot.ssrc)), "the slot keeps its SSRC");
    }
    take(&mut peer, &answer);
}

#[test]
fn a_restart_that_changes_more_than_ice_is_refused() {
    let (mut peer, tracks) = participant();
    let negotiated = join(&mut peer, Some(&tracks));
    peer.restart_ice();
    let text = offer(&mut peer);
    let fingerprint = parse(&text).attribute("fingerprint").unwrap().clone();
    let other_certificate = format!("sha-256 {}", vec!["00"; 32].join(":"));
    let changes = [
        ("a=recvonly", "a=inactive", "does not receive on it any more"),
        ("a=sendonly", "a=sendrecv", "differs"),
        ("a=sendonly", "a=inactive", "does not send on it any more"),
        (fingerprint.as_str(), other_certificate.as_str(), "another certificate"),
        ("opus/48000/2", "opux/48000/2", "does not receive on it any more"),
        ("VP8/90000", "H264/90000", "payload type 96 now means another codec"),
        ("urn:ietf:params:rtp-hdrext:sdes:mid", "urn:x", "header extensions"),
    ];
    for (from, to, reason) in changes {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        let refusal = check_restart(&Offer::parse(&changed).unwrap(), &negotiated).unwrap_err();
        assert!(refusal.reason.contains(reason), "{from}: {refusal}");
    }
}
