//! Attacks that a reader meets by itself, by their numbers.

use std::time::{Duration, Instant};

use allocation_counter::measure;
use anteroom::api::readers::{FrameReader, Incoming, Violation};
use anteroom::api::settings::TokenSettings;
use anteroom::api::{TokenDoor, TokenRefusal};
use anteroom::base::{Random, Secret};
use anteroom::message::SrtpProfile;
use anteroom::transport::srtp::Inbound;
use anteroom::wire::rtp::RtpView;
use serde_json::{Value, json};

use crate::bodies::token::{NOW, SECRET, door, sign};
use crate::bodies::{heard, target};
use crate::runner;
use crate::tally::Tally;

/// Short SRTP and SRTCP packets: every length from 0 to 200 with every first byte.
#[test]
fn a09_every_short_packet_is_refused_without_a_trace() {
    let mut tally = Tally::of("attacks", "A9");
    let mut packets = 0;
    for (profile, salt) in [(SrtpProfile::AeadAes128Gcm, 12), (SrtpProfile::AesCm128HmacSha1_80, 14)] {
        let mut receiver = Inbound::new(profile, &[7; 16], &vec![9; salt]).unwrap();
        for (len, first) in (0..=200).flat_map(|len| (0..=255).map(move |first| (len, first))) {
            let mut packet = vec![0xa5; len];
            packet.iter_mut().take(1).for_each(|byte| *byte = first);
            assert!(receiver.open_rtp(&mut packet.clone()).is_err(), "{len} bytes, the first {first}");
            assert!(receiver.open_rtcp(&mut packet).is_err(), "{len} bytes, the first {first}");
            packets += 2;
        }
        assert_eq!(receiver.rtp_sources(), 0);
    }
    tally.count(packets, "packets");
}

#[test]
fn a12_bent_stun_attributes_are_read_or_refused() {
    let mut tally = Tally::of("attacks", "A12");
    let runs = runner::attack(target("stun"), runner::part(2_000, 10_000));
    tally.count(runs + runner::attack(target("ice"), runs / 4), "messages");
}

/// The fastest of a few, so that a busy machine does not count.
fn fastest(mut work: impl FnMut()) -> Duration {
    let mut once = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let first = once();
    if first < LONGEST_OFFER { first } else { (0..4).map(|_| once()).min().unwrap() }
}

/// What an offer may hold a worker up for.
const LONGEST_OFFER: Duration = Duration::from_millis(50);

#[test]
fn a16_ten_thousand_bent_offers_take_50_ms_each_at_the_most() {
    let mut tally = Tally::of("attacks", "A16");
    let offer = target("sdp_offer");
    let inputs = runner::inputs("sdp_offer");
    let (mut mutator, mut input) = (crate::mutator::Mutator::new(16), Vec::new());
    for _ in 0..10_000 {
        mutator.bend(&inputs, offer.longest, &mut input);
        let took = fastest(|| (offer.body)(&input));
        assert!(took < LONGEST_OFFER, "{took:?}: {}", String::from_utf8_lossy(&input));
    }
    tally.count(10_000, "offers");
}

/// Padding of 0 to 255 bytes, claimed by packets with 0 to 10 bytes of payload: of sound and of a picture,
/// through the whole worker, which forwards no packet of nothing.
#[test]
fn a18_padding_that_eats_its_packet_harms_nobody() {
    let mut tally = Tally::of("attacks", "A18");
    let mut packets = 0_u64;
    for (kind, payload) in [0, 1].into_iter().flat_map(|kind| (0..=10_u8).map(move |len| (kind, len))) {
        // Real packets first and last: whoever was heard before is heard afterwards.
        let voice = |who: u8| [0, who, 0, 0, 0, 3, 192, 1, 1, 20, 5, 1, 2, 3, 4, 5, 14, 13, 20, 1];
        let mut steps = voice(0).repeat(6);
        for claim in 0..=255 {
            // A packet of number `kind`, unmarked, that claims so much padding, and a flush.
            steps.extend([0, 0, kind, 0x18, 0, 3, 192, claim, 0, 0, payload]);
            steps.extend((0..payload).map(|at| 0x90 + at));
            steps.push(14);
            packets += 1;
        }
        let before = heard(&steps);
        steps.extend(voice(0).repeat(6));
        let after = heard(&steps);
        assert!(
            before >= 4 && after >= before + 6,
            "{before} packets were heard before, {after} with those after"
        );
        for claim in 0..=255_u8 {
            let mut packet = vec![0xa0, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
            packet.extend((0..payload).map(|_| claim));
            if let Ok(view) = RtpView::parse(&packet) {
                assert_eq!(view.payload().len() + view.padding_len(), usize::from(payload));
            }
        }
    }
    tally.count(packets, "packets");
}

#[test]
fn a23_bent_compounds_are_read_within_their_bounds() {
    let mut tally = Tally::of("attacks", "A23");
    tally.count(runner::attack(target("rtcp"), runner::part(2_000, 10_000)), "compounds");
}

/// A frame's bytes under a mask of zeros, with a length of its own.
fn frame(first: u8, len: u64, payload: &[u8]) -> Vec<u8> {
    let long = len.to_be_bytes();
    let (second, rest) = match len {
        0..=125 => (0x80 | long[7], &[][..]),
        126..=0xffff => (0xfe, &long[6..]),
        _ => (0xff, &long[..]),
    };
    [&[first, second][..], rest, &[0; 4], payload].concat()
}

#[test]
fn a26_lengths_that_overflow_and_compressed_messages_are_refused_and_take_no_memory() {
    let mut tally = Tally::of("attacks", "A26");
    const MOST: usize = 128 * 1_024;
    // A deflated stream of zeros is a thousandth of what it stands for; the reserved bit says deflated.
    let bomb = frame(0xc1, 1_000, &[0; 1_000]);
    let mut hostile = vec![(bomb, Violation::Protocol("a reserved bit is set"))];
    for len in [1 << 63, u64::MAX, (1 << 63) - 1, 1 << 32, u64::from(u32::MAX), MOST as u64 + 1] {
        hostile.push((frame(0x81, len, &[b'x'; 5_000]), Violation::TooLong));
        hostile.push((frame(0x01, len, &[b'x'; 5_000]), Violation::TooLong));
        let second = [frame(0x01, 10, &[b'x'; 10]), frame(0x80, len, &[b'x'; 5_000])].concat();
        hostile.push((second, Violation::TooLong));
        hostile
            .push((frame(0x89, len, &[0; 500]), Violation::Protocol("a control frame is long or in pieces")));
    }
    for reserved in [0x91, 0xa1, 0xc1, 0xf1] {
        hostile.push((frame(reserved, 3, b"abc"), Violation::Protocol("a reserved bit is set")));
    }
    for (bytes, expected) in &hostile {
        let mut found = None;
        let memory = measure(|| found = FrameReader::new(MOST).read(&mut &bytes[..]).err());
        assert_eq!(found, Some(*expected), "{:02x?}", &bytes[..9]);
        assert!(memory.bytes_max < 1_000, "{} bytes for {:02x?}", memory.bytes_max, &bytes[..9]);
    }
    // Pieces that together are too long.
    let mut reader = FrameReader::new(MOST);
    let mut first = &frame(0x01, 70_000, &[b'x'; 70_000])[..];
    assert_eq!(reader.read(&mut first), Ok(None));
    let second = frame(0x80, 70_000, &[b'x'; 70_000]);
    assert_eq!(reader.read(&mut &second[..]), Err(Violation::TooLong));
    let whole = frame(0x81, MOST as u64, &vec![b'x'; MOST]);
    let read = FrameReader::new(MOST).read(&mut &whole[..]);
    assert!(matches!(read, Ok(Some(Incoming::Text(text))) if text.len() == MOST), "the longest that may be");
    tally.count(hostile.len() as u64 + 1, "frames");
}

#[test]
fn a28_bent_requests_are_read_or_refused_by_an_ack() {
    let mut tally = Tally::of("attacks", "A28");
    // The edge cases by name: depth, keys twice, no number, half a character.
    let deep =
        format!("{{\"id\":\"1\",\"method\":\"pause\",\"params\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let odd = [
        deep.as_str(),
        r#"{"id":"1","id":"2","method":"pause"}"#,
        r#"{"id":"1","method":"pause","params":{"a":NaN}}"#,
        r#"{"id":"1","method":"pause","params":{"a":Infinity,"b":1e999}}"#,
        r#"{"id":"\ud800","method":"pause"}"#,
        r#"{"id":"1","method":"pause","params":{"a":"\udc00\ud800"}}"#,
        "{\"id\":\"1\",\"method\":\"pause\",\"params\":{\"a\":\"\u{0}\"}}",
    ];
    for text in odd {
        (target("request").body)(text.as_bytes());
    }
    tally.count(runner::attack(target("request"), runner::part(10_000, 20_000)), "messages");
}

const HEADER: &[u8] = br#"{"alg":"HS256","typ":"JWT"}"#;

fn claims() -> Value {
    json!({"room": "daily", "name": "Mia", "role": "moderator", "exp": NOW + 60})
}

fn signed(header: &str, claims: &Value) -> String {
    sign(header.as_bytes(), claims.to_string().as_bytes(), SECRET)
}

/// Tokens whose header names anything but the one algorithm, each under our own key and without a signature.
fn wrong_algorithms() -> Vec<String> {
    let names = [
        "\"none\"",
        "\"None\"",
        "\"NONE\"",
        "\"nOnE\"",
        "\"HS384\"",
        "\"HS512\"",
        "\"RS256\"",
        "\"RS384\"",
        "\"RS512\"",
        "\"PS256\"",
        "\"PS384\"",
        "\"PS512\"",
        "\"ES256\"",
        "\"ES384\"",
        "\"EdDSA\"",
        "\"hs256\"",
        "\"HS256 \"",
        "\"HS\\u0032\"",
        "\"\"",
        "null",
        "0",
        "[\"HS256\"]",
        "{\"alg\":\"HS256\"}",
    ];
    let headers = names.iter().map(|name| format!("{{\"alg\":{name},\"typ\":\"JWT\"}}"));
    let headers = headers.chain(["{}", "[]", "\"HS256\"", "", "{\"typ\":\"JWT\"}"].map(str::to_owned));
    let both = |header: String| {
        let token = signed(&header, &claims());
        let (message, _) = token.rsplit_once('.').unwrap();
        [format!("{message}."), message.to_owned(), token]
    };
    headers.flat_map(both).collect()
}

/// Tokens that are signed with our key and claim what does not hold.
fn wrong_claims() -> Vec<String> {
    let long = "x".repeat(129);
    let wrong = [
        ("exp", json!(NOW - 31)),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("exp", json!(null)),
        ("exp", json!(NOW + 3_631)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1e300)),
        ("nbf", json!(NOW + 31)),
        ("nbf", json!("x")),
        ("nbf", json!(u64::MAX)),
        ("room", json!("")),
        ("room", json!(" ")),
        ("room", json!("a\nb")),
        ("room", json!(long)),
        ("room", json!(["daily"])),
        ("room", json!(null)),
        ("name", json!("")),
        ("name", json!("\u{7}")),
        ("name", json!("Mia\u{202e}")),
        ("name", json!(long)),
        ("name", json!(7)),
        ("role", json!("admin")),
        ("role", json!("Moderator")),
        ("role", json!(1)),
        ("role", json!(["moderator"])),
        ("aud", json!("another service")),
    ];
    let mut tokens: Vec<String> = Vec::new();
    for (key, value) in wrong {
        let mut claims = claims();
        claims[key] = value;
        tokens.push(signed(std::str::from_utf8(HEADER).unwrap(), &claims));
    }
    for key in ["room", "name", "role", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(key);
        tokens.push(signed(std::str::from_utf8(HEADER).unwrap(), &claims));
    }
    for body in ["", "[]", "null", "\"daily\"", "{\"room\":\"daily\"", "{\"exp\":1}"] {
        tokens.push(sign(HEADER, body.as_bytes(), SECRET));
    }
    tokens
}

/// Tokens that somebody else signed, or that were changed after we signed them.
fn wrong_signatures() -> Vec<String> {
    let body = claims().to_string();
    let keys =
        ["", "another", "another secret of 32 bytes......", "a secret of thirty-two bytes...", SECRET_UPPER];
    let mut tokens: Vec<String> = keys.iter().map(|key| sign(HEADER, body.as_bytes(), key)).collect();
    for key in [
        "\"jku\":\"https://evil.example/keys\"",
        "\"kid\":\"../../dev/null\"",
        "\"x5u\":\"file:///x\"",
        "\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}",
        "\"crit\":[\"exp\"],\"exp\":0",
    ] {
        let header = format!("{{\"alg\":\"HS256\",{key}}}");
        tokens.push(sign(header.as_bytes(), body.as_bytes(), "another secret of 32 bytes......"));
    }
    let good = sign(HEADER, body.as_bytes(), SECRET);
    let parts: Vec<&str> = good.split('.').collect();
    let other = sign(HEADER, json!({"room": "x"}).to_string().as_bytes(), SECRET);
    let other: Vec<&str> = other.split('.').collect();
    tokens.push(format!("{}.{}.{}", parts[0], other[1], parts[2]));
    tokens.push(format!("{}.{}.{}", parts[0], parts[1], other[2]));
    tokens.push(format!("{}.{}.{}", parts[1], parts[0], parts[2]));
    tokens.push(format!("{good}.{}", parts[2]));
    tokens.push(format!(".{good}"));
    tokens.push(format!("{good}="));
    tokens.push(format!(" {good}"));
    tokens.push(format!("{good}\n"));
    tokens.push(good.replace('.', ".."));
    tokens.push(good.replace('.', ":"));
    tokens.push("a".repeat(5_000));
    tokens.extend((0..good.len()).step_by(9).map(|at| good[..at].to_owned()));
    tokens
}

const SECRET_UPPER: &str = "A SECRET OF THIRTY-TWO BYTES....";

#[test]
fn a29_bad_tokens_let_nobody_in() {
    let mut tally = Tally::of("attacks", "A29");
    let door = door();
    let good = sign(HEADER, claims().to_string().as_bytes(), SECRET);
    assert!(door.check(&good, NOW).is_ok(), "or none of this says anything");
    let bad: Vec<String> = [wrong_algorithms(), wrong_claims(), wrong_signatures()].concat();
    let mut refusals = bad.iter().filter(|token| door.check(token, NOW).is_err()).count();
    let accepted: Vec<&String> = bad.iter().filter(|token| door.check(token, NOW).is_ok()).collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
    // Where an audience is configured, it has to be named.
    let settings = TokenSettings {
        secret: Secret::new(SECRET),
        audience: "anteroom".to_owned(),
        ..TokenSettings::default()
    };
    let strict = TokenDoor::new(&settings, &mut Random::from_number(1));
    for audience in [json!("other"), json!(""), json!(["other"]), json!(7), json!(null)] {
        let mut claims = claims();
        claims["aud"] = audience;
        let token = signed(std::str::from_utf8(HEADER).unwrap(), &claims);
        assert!(matches!(strict.check(&token, NOW), Err(TokenRefusal::Invalid(_))));
        refusals += 1;
    }
    assert!(strict.check(&good, NOW).is_err());
    assert!(refusals >= 60, "{refusals}");
    tally.count(refusals as u64 + 1, "tokens");
}
