//! Attacks on DTLS of those whose addresses ICE has validated.

use std::time::Duration;

use anteroom::base::{Kind, Random};
use anteroom::telemetry::Clock;
use serde_json::{Value, json};

use super::apart::Apart;
use super::beside::{Attack, Beside, Part, has_taken, is_long, other_than_media};
use super::crafted;
use super::ear::name;
use super::herd::{FRAGMENTS, Half, come_half_way};
use super::hostile::{Hostile, Manners};
use super::tally::Tally;

/// Fragments that leave one socket one after the other.
const AT_ONCE: u16 = 10;

/// Of a herd so many send fragments, which takes less time than they have for their handshakes.
const FILLED: usize = 80;

/// The next `transportLost`, however long a handshake may take.
async fn lost(client: &mut super::ws::Client) -> Value {
    client.event("transportLost").await["reason"].take()
}

/// So many who begin a handshake at once and do not end it, in rooms of their own.
async fn half_handshakes(apart: &Apart, clock: Clock, round: u64, count: u64) -> Vec<Half> {
    let mut herd = Vec::new();
    for n in 0..count {
        let room = format!("half-{round}-{}", n / 50);
        herd.push(Half::join(apart.http, clock, &room, &format!("Half-{n}")).await);
    }
    come_half_way(&mut herd, clock);
    herd
}

/// Fills what the server keeps for so many handshakes; answers what that has taken of memory, in KiB.
async fn fill(apart: &Apart, herd: &[Half]) -> u64 {
    let (empty, taken, mut sent) = (apart.kib(), other_than_media(apart.metrics).await, 0);
    for first in (0..FRAGMENTS).step_by(usize::from(AT_ONCE)) {
        for half in herd {
            sent += half.send_fragments(first..first + AT_ONCE);
            // More at once would overflow the server's buffer, which is the call's as well.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!(sent, herd.len() as u64 * u64::from(FRAGMENTS));
    has_taken(apart.metrics, taken + sent * 9 / 10).await;
    apart.kib().saturating_sub(empty)
}

/// They leave once the server has given them up.
async fn are_given_up(mut herd: Vec<Half>) {
    for half in &mut herd {
        assert_eq!(half.is_lost().await, "handshake");
        half.client.succeed("leaveRoom", json!({})).await;
    }
}

#[tokio::test]
async fn a03_half_handshakes_end_in_time_and_give_their_memory_back() {
    let mut tally = Tally::of("attacks", "A3");
    // Whoever joins has 30 s to begin, and all of a round join before the first does.
    let (rounds, count) = if is_long() { (39, 250) } else { (1, 150) };
    let apart = Apart::start().await;
    let clock = Clock::start();
    // What a server takes once and keeps.
    let herd = half_handshakes(&apart, clock, 0, count).await;
    fill(&apart, &herd[..FILLED]).await;
    are_given_up(herd).await;
    let before = apart.kib_at_rest().await;
    for round in 1..=rounds {
        let mut call = apart.call(Duration::from_secs(3));
        let herd = half_handshakes(&apart, clock, round, count).await;
        let filled = fill(&apart, &herd[..FILLED]).await;
        assert!(call.is_on());
        // Each holds 64 KiB of the 156 that came, and what keeping them in pieces costs.
        let each = filled / FILLED as u64;
        assert!((40..=110).contains(&each), "{each} KiB for each of {FILLED}");
        let peak = apart.kib();
        assert!(peak < before + count * 130, "{before} KiB, then {peak} KiB with {count} half handshakes");
        are_given_up(herd).await;
        call.hang_up().await.assert_undisturbed();
        let after = apart.kib_at_rest().await;
        // A room that is empty keeps what has happened in it for a minute, which is up to four rounds of the long run.
        let kept = 2_048.max(count * 16);
        assert!(after <= before + kept, "{before} KiB, {peak} KiB, {after} KiB after {round} times");
    }
    apart.stop().await;
    tally.count((rounds + 1) * count, "half handshakes");
}

#[tokio::test]
async fn a04_a_wrong_certificate_ends_it_before_any_media() {
    let mut tally = Tally::of("attacks", "A4");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let mut listener = Hostile::join(beside.http, "certificates", "Listener", "participant").await;
    listener.is_up().await;
    listener.publish(Kind::Audio);
    for n in 0..10 {
        let rewrite = |offer: String| {
            let good = super::hostile::line_value(&offer, "a=fingerprint:sha-256 ");
            let wrong = good.chars().map(|c| {
                if c == '0' {
                    '1'
                } else if c == '1' {
                    '0'
                } else {
                    c
                }
            });
            let wrong: String = wrong.collect();
            assert_ne!(good, wrong);
            offer.replace(&good, &wrong)
        };
        let manners = Manners { rewrite, ..Manners::default() };
        let name = format!("Impostor-{n}");
        let mut impostor = Hostile::join_as(beside.http, "certificates", &name, "participant", manners).await;
        impostor.publish(Kind::Audio);
        assert_eq!(lost(&mut impostor.client).await, "fingerprint");
        impostor.hears(|ear| {
            assert_eq!((ear.count_of("rtp"), ear.count_of("rtcp")), (0, 0));
            assert!(ear.count_of("dtls") > 0);
        });
        listener.hears(|ear| assert!(ear.heard.is_empty() && ear.unmarked.is_empty(), "{ear:?}"));
    }
    listener.listen().await;
    assert!(listener.is_alive());
    beside.end(Attack::none()).await;
    beside.stop().await;
    tally.count(10, "impostors");
}

#[tokio::test]
async fn a05_what_is_in_plaintext_after_the_handshake_is_nobodys_word() {
    const RECORDS: u64 = 3_000;
    let mut tally = Tally::of("attacks", "A5");
    let mut beside = Beside::start(Part::shared().await, 3).await;
    let victim = Hostile::join(beside.http, "plaintext", "Victim", "participant").await;
    let listener = Hostile::join(beside.http, "plaintext", "Listener", "participant").await;
    victim.is_up().await;
    listener.is_up().await;
    victim.publish(Kind::Audio);
    listener.until("the victim is heard", |_, ear| !ear.heard.is_empty()).await;
    victim.forget();
    let (socket, media, mut random) = (victim.hand().socket(), beside.media, Random::from_number(6));
    beside.has_counted().await;
    let (before, strange) = (beside.other_than_media().await, beside.dropped("unknown_source").await);
    let attack = Attack::start(2_000, move |step| {
        let forged = match step % 5 {
            // Application data, in plaintext and of an epoch without keys.
            0 => crafted::record(23, 0, step, b"plaintext"),
            1 => crafted::record(23, 2, step, &crafted::noise(&mut random, 30, 60)),
            // Alerts: close_notify, and a fatal one.
            2 => crafted::record(21, 0, step, &[1, 0]),
            3 => crafted::record(21, 0, step, &[2, 40]),
            _ => crafted::client_hello(&mut random),
        };
        u64::from(socket.send_to(&forged, media).is_ok())
    });
    beside.has_taken(before + RECORDS).await;
    // They came from where the victim is: DTLS has looked at them.
    assert_eq!(beside.dropped("unknown_source").await, strange);
    assert!(beside.is_on());
    let (_, sent) = beside.end(attack).await;
    assert!(sent >= RECORDS * 9 / 10, "{sent}");
    assert!(victim.is_alive());
    assert_eq!(victim.hears(|ear| ear.count_of("dtls")), 0, "nothing is answered");
    listener.hears(|ear| ear.of(victim.id, Kind::Audio).assert_whole(100));
    beside.stop().await;
    tally.count(sent, "records");
}

#[tokio::test]
async fn a24_there_are_no_data_channels() {
    const RECORDS: u64 = 10_000;
    let mut tally = Tally::of("attacks", "A24");
    let apart = Apart::start().await;
    let rewrite = |offer: String| {
        let offer = offer.replacen("a=group:BUNDLE", "a=group:BUNDLE data", 1);
        let section = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
                       a=mid:data\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
        // The credentials of a bundle are those of every m-line.
        let of_session = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"]
            .map(|start| format!("{start}{}\r\n", super::hostile::line_value(&offer, start)));
        offer + section + &of_session.concat()
    };
    let manners = Manners { rewrite, ..Manners::default() };
    let hostile = Hostile::join_as(apart.http, "data", "Hostile", "participant", manners).await;
    let answer = hostile.joined["sdp"].as_str().unwrap();
    assert!(answer.contains("m=application 0 "), "the m-line is refused: {answer}");
    let listener = Hostile::join(apart.http, "data", "Listener", "participant").await;
    hostile.is_up().await;
    listener.is_up().await;
    hostile.publish(Kind::Audio);
    listener.until("it is heard", |_, ear| !ear.heard.is_empty()).await;
    hostile.forget();
    // What a call takes once and keeps.
    apart.call(Duration::from_secs(1)).hang_up().await.assert_undisturbed();
    let before = apart.kib_at_rest().await;
    let mut call = apart.call(Duration::from_secs(if is_long() { 60 } else { 3 }));
    let taken = other_than_media(apart.metrics).await;
    let (socket, media) = (hostile.hand().socket(), hostile.answer.candidates[0]);
    let mut random = Random::from_number(7);
    let attack = Attack::at_least(RECORDS, 3_000, move |step| {
        // It looks like sealed application data, and is as large as that comes.
        let forged = crafted::record(23, 1, 1 << 40 | step, &crafted::noise(&mut random, 24, 1_300));
        assert_eq!(name(&forged), "dtls");
        u64::from(socket.send_to(&forged, media).is_ok())
    });
    has_taken(apart.metrics, taken + RECORDS * 9 / 10).await;
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    let sent = attack.stop();
    assert!(sent >= RECORDS, "{sent}");
    let after = apart.kib_at_rest().await;
    assert!(after <= before + 1_024, "{before} KiB, {after} KiB after {sent} records");
    assert!(hostile.is_alive());
    assert_eq!(hostile.hears(|ear| ear.count_of("dtls")), 0);
    listener.hears(|ear| ear.of(hostile.id, Kind::Audio).assert_whole(100));
    apart.stop().await;
    tally.count(sent, "records");
}
