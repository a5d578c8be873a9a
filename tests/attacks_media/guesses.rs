//! Guessing names of streams and rooms, and using others' credentials.

use anteroom::base::{Kind, Random, Ssrc};
use anteroom::client::Pattern;
use anteroom::wire::rtcp::{write_nack, write_pli};
use serde_json::json;

use super::attacker::Stranger;
use super::beside::{Attack, Beside, Part};
use super::crafted;
use super::hostile::Hostile;
use super::reports::three;
use super::tally::Tally;

/// What a publisher sends and listeners are sent goes by these names.
fn names_of(publisher: &Hostile, listeners: [&Hostile; 2]) -> Vec<Ssrc> {
    let sent = [Kind::Audio, Kind::Video].map(|kind| publisher.declared(kind));
    let mut names: Vec<Ssrc> =
        sent.iter().flat_map(|declared| [Some(declared.ssrc), declared.repair]).flatten().collect();
    for listener in listeners {
        names.extend(listener.answer.slots.iter().map(|slot| slot.ssrc));
    }
    names
}

/// A compound packet that asks for a keyframe, and for the last three packets again, of each.
fn asking(of: impl Iterator<Item = (Ssrc, u16)>) -> Vec<u8> {
    let mut body = Vec::new();
    for (ssrc, last) in of {
        let mut packet = [0; 64];
        let sequences = [2, 1, 0].map(|back| last.wrapping_sub(back));
        let len = write_pli(Ssrc(1), ssrc, &mut packet).unwrap();
        body.extend_from_slice(&packet[..len]);
        let len = write_nack(Ssrc(1), ssrc, &sequences, &mut packet).unwrap();
        body.extend_from_slice(&packet[..len]);
    }
    body
}

#[tokio::test]
async fn a33_nothing_is_had_by_guessing_nor_after_a_removal() {
    const GUESSES: u64 = 100_000;
    // Fewer than one may ask for at once, however fast they are answered.
    const ROOMS: u64 = 50;
    let mut tally = Tally::of("attacks", "A33");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let [mut publisher, mut removed, honest] = three(beside.http, "closed", Pattern::SCREEN).await;
    let mut guesser = Hostile::join(beside.http, "elsewhere", "Guesser", "participant").await;
    guesser.is_up().await;
    publisher.forget();
    honest.forget();
    // A third of the guesses are right: names there are, and numbers that somebody has just got.
    let names = names_of(&publisher, [&honest, &removed]);
    assert!(guesser.answer.slots.iter().all(|slot| !names.contains(&slot.ssrc)));
    let (hand, theirs, mut random) = (guesser.hand(), honest.hand(), Random::from_number(9));
    // Each packet holds as many as a compound packet may; so spread that hits would show as requests.
    let attack = Attack::at_least(GUESSES.div_ceil(60), 600, move |step| {
        let newest = theirs.newest();
        let guesses = (0..30).map(|guess| {
            let known = names[(step as usize * 10 + guess / 3) % names.len()];
            let ssrc = if guess % 3 == 0 { known } else { Ssrc(random.next_u32()) };
            (ssrc, newest.get(&ssrc).copied().unwrap_or(3))
        });
        let body = asking(guesses);
        if hand.feedback(&body) { 60 } else { 0 }
    });
    let mut random = Random::from_number(11);
    for _ in 0..ROOMS {
        let room = format!("{:032x}", random.next_u128());
        let wish =
            json!({"role": "participant", "room_id": room, "streamInfo": {"audio": true, "video": false}});
        let refused = guesser.client.request("joinBreakOutRoom", wish).await;
        assert_eq!(refused["data"]["result"], 9702);
    }

    let gone = json!({"clientId": removed.joined["clientId"]});
    publisher.client.succeed("removeParticipant", gone).await;
    assert_eq!(removed.client.closed().await.0, 4001);
    removed.falls_silent().await;
    removed.forget();
    let slots: Vec<Ssrc> = removed.answer.slots.iter().map(|slot| slot.ssrc).collect();
    let username = format!("{}:{}", removed.answer.ufrag, removed.ufrag);
    for slot in slots.into_iter().cycle().take(200) {
        let mut packet = [0; 64];
        let len = write_pli(Ssrc(1), slot, &mut packet).unwrap();
        removed.hand().feedback(&packet[..len]);
        let check = crafted::check(&username, Some(&removed.answer.pwd), &mut random);
        assert!(removed.hand().raw(&check, beside.media));
    }
    publisher.listen().await;
    let publisher_id = publisher.id;
    let (_, guessed) = beside.end(attack).await;
    assert!(guessed >= GUESSES, "{guessed}");
    // What is dropped before it is read guesses nothing.
    assert_eq!(beside.dropped("over_rate").await, 0);
    // One may have been under way, for whoever came last.
    let asked = publisher.hears(|ear| ear.keyframe_requests);
    assert!(asked <= 1, "{asked}");
    guesser.hears(|ear| {
        assert!(ear.heard.is_empty() && ear.unmarked.is_empty() && ear.repair_count() == 0, "{ear:?}");
    });
    removed.hears(|ear| {
        assert!(ear.heard.is_empty() && ear.unmarked.is_empty() && ear.repair_count() == 0, "{ear:?}");
        assert_eq!(ear.count_of("stun"), 0);
    });
    honest.hears(|ear| {
        ear.of(publisher_id, Kind::Audio).assert_whole(100);
        assert_eq!(ear.repair_count(), 0);
    });
    beside.stop().await;
    tally.count(guessed + ROOMS, "guesses");
}

#[tokio::test]
async fn a35_a_sessions_name_without_its_secret_is_nothing() {
    let mut tally = Tally::of("attacks", "A35");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let [publisher, victim, _honest] = three(beside.http, "names", Pattern::SCREEN).await;
    let hostile = Hostile::join(beside.http, "names", "Hostile", "participant").await;
    let mut left = Hostile::join(beside.http, "names", "Left", "participant").await;
    hostile.is_up().await;
    left.is_up().await;
    left.client.succeed("leaveRoom", json!({})).await;
    assert_eq!(left.client.closed().await.0, 1000);
    let (own, theirs, gone) = (&hostile.answer, &victim.answer, &left.answer);
    let stranger = Stranger::on(8, 4);
    let mut sender = stranger.share();
    let mut random = Random::from_number(10);
    let attempts = [
        // The victim's name with the own password, and all mixtures of both.
        (format!("{}:{}", theirs.ufrag, victim.ufrag), own.pwd.clone()),
        (format!("{}:{}", theirs.ufrag, hostile.ufrag), own.pwd.clone()),
        (format!("{}:{}", theirs.ufrag, hostile.ufrag), theirs.pwd.clone()),
        (format!("{}:{}", own.ufrag, victim.ufrag), own.pwd.clone()),
        (format!("{}:{}", own.ufrag, victim.ufrag), theirs.pwd.clone()),
        (format!("{}:{}", victim.ufrag, theirs.ufrag), theirs.pwd.clone()),
        // All of a session that has ended.
        (format!("{}:{}", gone.ufrag, left.ufrag), gone.pwd.clone()),
    ];
    victim.forget();
    let mut sent = 0;
    for (username, pwd) in attempts.iter().cycle().take(700) {
        let check = crafted::check(username, Some(pwd), &mut random);
        sent += sender.send(beside.media, &check);
        assert!(hostile.hand().raw(&crafted::client_hello(&mut random), beside.media));
    }
    let (publisher_id, before) = (publisher.id, hostile.hears(|ear| ear.count_of("dtls")));
    assert!(beside.is_on() && sent == 700, "{sent}");
    beside.end(Attack::none()).await;
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
    assert_eq!(hostile.hears(|ear| ear.count_of("dtls")), before);
    victim.hears(|ear| ear.of(publisher_id, Kind::Video).assert_whole(60));
    assert!(victim.is_alive() && hostile.is_alive());
    beside.stop().await;
    tally.count(sent, "checks");
}
