//! Written, then read: the same.

use anteroom::api::TokenDoor;
use anteroom::api::readers::{FrameReader, Incoming, read_request};
use anteroom::api::settings::TokenSettings;
use anteroom::base::{Kind, Mid, Random, Secret, Ssrc};
use anteroom::config::Config;
use anteroom::message::Request;
use anteroom::transport::sdp::{
    LocalDescription, Numbering, Offer, OfferBuilder, OfferedSend, ServerAnswer, check_restart, negotiate,
    write_answer,
};
use anteroom::transport::{Codec, ExtensionIds, Fingerprint};
use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const SECRET: &str = "a secret of thirty-two bytes....";
const NOW: u64 = 1_800_000_000;

/// An offer of a synthetic participant: who sends what, how many slots, and all numbers that a client may
/// choose.
fn any_offer() -> impl Strategy<Value = OfferBuilder> {
    let names = ("[a-zA-Z0-9+/]{4,40}", "[a-zA-Z0-9+/]{22,80}", "[a-zA-Z0-9-]{1,20}");
    let numbers =
        (any::<u64>(), 96_u8..=105, 110_u8..=115, Just((1..=14_u8).collect::<Vec<_>>()).prop_shuffle());
    let lines = (vec(any::<bool>(), 4), 0_usize..17, 0_usize..10, any::<u32>());
    (names, numbers, lines, any::<[u8; 32]>()).prop_map(|(names, numbers, lines, hash)| {
        let (session_id, first_video, audio, ids) = numbers;
        let (sends, audio_slots, video_slots, ssrc) = lines;
        let ssrc = |at: usize| Ssrc(ssrc.wrapping_add(at as u32) | 1 << 20);
        let kinds = Kind::ALL.into_iter().zip(sends).filter(|(_, sends)| *sends).map(|(kind, _)| kind);
        let sends = kinds.enumerate().map(|(at, kind)| OfferedSend {
            mid: Mid::from(format!("m{at}").as_str()),
            kind,
            ssrc: ssrc(2 * at),
            rtx: kind.is_video().then(|| ssrc(2 * at + 1)),
        });
        let extensions = ExtensionIds {
            mid: Some(ids[0]),
            audio_level: Some(ids[1]),
            transport_cc: Some(ids[2]),
            abs_send_time: Some(ids[3]),
            dependency_descriptor: Some(ids[4]),
        };
        OfferBuilder {
            session_id: session_id >> 1,
            version: 1,
            ufrag: names.0,
            pwd: names.1,
            fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), hash: hash.to_vec() },
            sends: sends.collect(),
            audio_slots,
            video_slots,
            codecs: vec![Codec::Opus, Codec::Vp8],
            numbering: Numbering { audio, first_video, extensions },
            cname: names.2,
            explicit: None,
        }
    })
}

fn local(hash: [u8; 32], port: u16) -> LocalDescription {
    LocalDescription {
        ufrag: "serverUfrag".to_owned(),
        pwd: "serverPasswordOfEnoughLength".to_owned(),
        fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), hash: hash.to_vec() },
        candidates: vec![([192, 0, 2, 7], port).into(), "[2001:db8::7]:40001".parse().unwrap()],
        session_id: 7,
        version: 1,
        cname: "anteroom".to_owned(),
    }
}

/// Any JSON but fractions, which are not written to the last digit.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            vec((any::<String>(), inner), 0..8).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

proptest! {
    #[test]
    fn an_offer_and_its_answer_say_what_was_written(
        builder in any_offer(), hash in any::<[u8; 32]>(), port in 1_u16.., pwd in "[a-z]{22,30}",
    ) {
        let text = builder.write();
        if builder.sends.is_empty() && builder.audio_slots + builder.video_slots == 0 {
            prop_assert!(Offer::parse(&text).is_err());
            return Ok(());
        }
        let offer = Offer::parse(&text).unwrap();
        let negotiated = negotiate(&offer, Some(&builder.tracks()), &mut Random::from_number(1)).unwrap();
        prop_assert_eq!(&negotiated.remote_ufrag, &builder.ufrag);
        prop_assert_eq!(&negotiated.remote_pwd, &builder.pwd);
        prop_assert_eq!(&negotiated.fingerprints[..], std::slice::from_ref(&builder.fingerprint));
        let sends: Vec<_> = negotiated.sends.iter().map(|s| (s.mid.clone(), s.kind, s.declared_ssrcs.clone())).collect();
        let written: Vec<_> = builder.sends.iter().map(|s| (s.mid.clone(), s.kind, vec![(s.ssrc, s.rtx)])).collect();
        prop_assert_eq!(sends, written);
        let videos = negotiated.slots.iter().filter(|slot| slot.video).count();
        prop_assert_eq!((negotiated.slots.len() - videos, videos), (builder.audio_slots, builder.video_slots));

        let local = local(hash, port);
        let answer = ServerAnswer::parse(&write_answer(&offer, &negotiated, &local)).unwrap();
        prop_assert_eq!((&answer.ufrag, &answer.pwd), (&local.ufrag, &local.pwd));
        prop_assert_eq!((&answer.fingerprint, &answer.candidates), (&local.fingerprint, &local.candidates));
        let slots: Vec<_> = answer.slots.iter().map(|slot| (&slot.mid, slot.video, slot.ssrc, slot.rtx_ssrc)).collect();
        let given: Vec<_> = negotiated.slots.iter().map(|slot| (&slot.mid, slot.video, slot.ssrc, slot.rtx_ssrc)).collect();
        prop_assert_eq!(slots, given);
        let mids: Vec<_> = answer.sends.iter().map(|send| &send.mid).collect();
        prop_assert_eq!(mids, builder.sends.iter().map(|send| &send.mid).collect::<Vec<_>>());

        // Nothing but ICE may change in a restart.
        let restart = OfferBuilder { ufrag: format!("{}2", builder.ufrag), pwd, version: 2, ..builder };
        prop_assert!(check_restart(&Offer::parse(&restart.write()).unwrap(), &negotiated).is_ok());
        let more = OfferBuilder { audio_slots: restart.audio_slots + 1, ..restart };
        prop_assert!(check_restart(&Offer::parse(&more.write()).unwrap(), &negotiated).is_err());
    }

    #[test]
    fn a_request_reads_back_as_it_was_written(
        id in "\\PC{1,40}", method in "[a-zA-Z]{1,128}", params in vec((any::<String>(), any_json()), 0..6),
    ) {
        let params: Map<String, Value> = params.into_iter().collect();
        let id = id.chars().scan(0, |len, c| { *len += c.len_utf8(); (*len <= 128).then_some(c) }).collect::<String>();
        let request = Request::new(id, method, Value::Object(params));
        prop_assert_eq!(read_request(&serde_json::to_string(&request).unwrap()).unwrap(), request);
    }

    #[test]
    fn texts_read_back_in_whichever_pieces_they_come(
        texts in vec(any::<String>(), 1..6), mask in any::<[u8; 4]>(), cut in 1_usize..60, step in 1_usize..40,
    ) {
        let mut bytes = Vec::new();
        for text in &texts {
            let mut pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            if pieces.is_empty() {
                pieces.push(&[]);
            }
            for (at, piece) in pieces.iter().enumerate() {
                let first = u8::from(at == 0) | u8::from(at + 1 == pieces.len()) << 7;
                bytes.extend(frame(first, mask, piece));
                bytes.extend(frame(0x89, mask, b"there?"));
            }
        }
        let (mut reader, mut found) = (FrameReader::new(10_000), Vec::new());
        for mut piece in bytes.chunks(step) {
            while let Some(incoming) = reader.read(&mut piece).unwrap() {
                match incoming {
                    Incoming::Text(text) => found.push(text),
                    other => prop_assert_eq!(other, Incoming::Ping(b"there?".to_vec())),
                }
            }
        }
        prop_assert_eq!(found, texts);
    }

    #[test]
    fn a_token_says_what_was_signed(
        room in "[a-zA-Z0-9äöü]{1,60}", name in "[a-zA-Z0-9 ]{0,50}[a-z]", moderator in any::<bool>(), left in 0_u64..3_600,
    ) {
        let role = if moderator { "moderator" } else { "participant" };
        let claims = json!({"room": room, "name": name, "role": role, "exp": NOW + left, "nbf": NOW});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::default(), &claims, &key).unwrap();
        let settings = TokenSettings { secret: Secret::new(SECRET), ..TokenSettings::default() };
        let found = TokenDoor::new(&settings, &mut Random::from_number(1)).check(&token, NOW).unwrap();
        prop_assert_eq!((&found.room, &found.name), (&room, &name));
        prop_assert_eq!(serde_json::to_value(found.role).unwrap(), role);
        prop_assert_eq!(found.expires_at.as_micros(), (NOW + left) * 1_000_000);
    }

    #[test]
    fn settings_read_back_as_they_were_written(
        port in 1_u16..60_000, workers in 1_u16..=64, rooms in 1_usize..10_000, hold in 0_u8..=20,
        origins in vec("https://[a-z]{1,20}\\.example", 0..4),
    ) {
        let mut config = Config::default();
        config.listen.port = port;
        config.node.workers = workers;
        config.node.max_rooms = rooms;
        config.media.hold_ms = hold.into();
        config.http.allowed_origins = origins;
        let text = toml::to_string(&config).unwrap();
        match config.check() {
            Ok(()) => prop_assert_eq!(Config::from_toml(&text).unwrap(), config),
            Err(_) => prop_assert!(Config::from_toml(&text).is_err()),
        }
    }
}
