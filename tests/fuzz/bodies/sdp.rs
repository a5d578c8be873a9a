//! Offers, and what a synthetic participant reads.

use std::collections::BTreeMap;

use anteroom::base::{Kind, Mid, Random};
use anteroom::transport::Fingerprint;
use anteroom::transport::sdp::{
    LocalDescription, MAX_MEDIA_LINES, Offer, ServerAnswer, ServerOffer, check_restart, negotiate,
    write_answer,
};

use super::input::Input;

fn local() -> LocalDescription {
    LocalDescription {
        ufrag: "serverUfrag".to_owned(),
        pwd: "serverPasswordOfEnoughLength".to_owned(),
        fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), hash: vec![0x5a; 32] },
        candidates: vec!["192.0.2.7:40001".parse().unwrap()],
        session_id: 1,
        version: 1,
        cname: "anteroom".to_owned(),
    }
}

/// An offer is refused with a short reason, or answered m-line by m-line within the limits.
pub fn offer(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let text = String::from_utf8_lossy(input.rest());
    let offer = match Offer::parse(&text) {
        Ok(offer) => offer,
        Err(refusal) => return assert!(refusal.reason.len() < 1_000, "{}", refusal.reason),
    };
    let kinds: BTreeMap<Mid, Kind> = [("0", Kind::Audio), ("1", Kind::Video), ("2", Kind::Share)]
        .map(|(mid, kind)| (mid.into(), kind))
        .into();
    let tracks = (choice & 1 == 1).then_some(&kinds);
    let negotiated = match negotiate(&offer, tracks, &mut Random::from_number(1)) {
        Ok(negotiated) => negotiated,
        Err(refusal) => return assert!(refusal.reason.len() < 1_000, "{}", refusal.reason),
    };
    assert!(!negotiated.fingerprints.is_empty());
    assert!(negotiated.sends.len() <= Kind::ALL.len() && negotiated.slots.len() <= MAX_MEDIA_LINES);
    assert!(!negotiated.sends.is_empty() || !negotiated.slots.is_empty());
    let answer = write_answer(&offer, &negotiated, &local());
    let media = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(media(&answer), media(&text));
    assert!(answer.len() <= 4 * text.len() + 2_000, "{} bytes answer {}", answer.len(), text.len());
    assert!(check_restart(&offer, &negotiated).is_err(), "the credentials are the old ones");
    if let Ok(read) = ServerAnswer::parse(&answer) {
        assert_eq!(read.slots.len(), negotiated.slots.len());
        assert_eq!(read.sends.len(), negotiated.sends.len());
    }
}

/// A participant reads what a server says, or refuses it.
pub fn answer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(read) = ServerAnswer::parse(&text) {
        assert!(read.slots.len() + read.sends.len() <= 2 * MAX_MEDIA_LINES);
        assert!(read.slots.iter().all(|slot| read.slot(&slot.mid).is_some()));
    }
    if let Ok(read) = ServerOffer::parse(&text) {
        assert!(!read.ice().0.is_empty());
    }
}
