//! Attacks on DTLS of those whose addresses ICE has validated.

use anteroom::base::{Kind, Random};
use anteroom::telemetry::Clock;
use serde_json::Value;

use super::beside::{Attack, Beside, Part, is_long};
use super::crafted;
use super::ear::name;
use super::herd::{Half, come_half_way, resident_kib};
use super::hostile::{Hostile, Manners};
use super::tally::Tally;

/// The next `transportLost`, however long a handshake may take.
async fn lost(client: &mut super::ws::Client) -> Value {
    client.event("transportLost").await["reason"].take()
}

#[tokio::test]
async fn a03_half_handshakes_end_in_time_and_take_little() {
    let mut tally = Tally::of("attacks", "A3");
    let count = if is_long() { 1_000 } else { 100 };
    // Alone: what others take of this process's memory would count.
    let mut beside = Beside::start(Part::whole().await, 2).await;
    let clock = Clock::start();
    let before = resident_kib();
    let mut herd = Vec::new();
    for n in 0..count {
        let room = format!("half-{}", n / 50);
        herd.push(Half::join(beside.http, clock, &room, &format!("Half-{n}")).await);
    }
    come_half_way(&mut herd, clock);
    let fragments: u64 = herd.iter().map(|half| half.send_fragments(beside.media, 100)).sum();
    for half in &mut herd {
        assert_eq!(half.is_lost().await, "handshake");
    }
    let peak = resident_kib().saturating_sub(before);
    assert!(peak < count * 400, "{peak} KiB for {count} half handshakes and {fragments} fragments");
    beside.end(Attack::none()).await;
    beside.stop().await;
    tally.count(count, "half handshakes");
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
    let mut tally = Tally::of("attacks", "A5");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let victim = Hostile::join(beside.http, "plaintext", "Victim", "participant").await;
    let listener = Hostile::join(beside.http, "plaintext", "Listener", "participant").await;
    victim.is_up().await;
    listener.is_up().await;
    victim.publish(Kind::Audio);
    listener.until("the victim is heard", |_, ear| !ear.heard.is_empty()).await;
    victim.forget();
    let (socket, media, mut random) = (victim.hand().socket(), beside.media, Random::from_number(6));
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
    let (_, sent) = beside.end(attack).await;
    assert!(victim.is_alive());
    assert_eq!(victim.hears(|ear| ear.count_of("dtls")), 0, "nothing is answered");
    listener.hears(|ear| ear.of(victim.id, Kind::Audio).assert_whole(100));
    beside.stop().await;
    tally.count(sent, "records");
}

#[tokio::test]
async fn a24_there_are_no_data_channels() {
    let mut tally = Tally::of("attacks", "A24");
    let mut beside = Beside::start(Part::whole().await, 2).await;
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
    let hostile = Hostile::join_as(beside.http, "data", "Hostile", "participant", manners).await;
    let answer = hostile.joined["sdp"].as_str().unwrap();
    assert!(answer.contains("m=application 0 "), "the m-line is refused: {answer}");
    let listener = Hostile::join(beside.http, "data", "Listener", "participant").await;
    hostile.is_up().await;
    listener.is_up().await;
    hostile.publish(Kind::Audio);
    listener.until("it is heard", |_, ear| !ear.heard.is_empty()).await;
    let (socket, media, mut random) = (hostile.hand().socket(), beside.media, Random::from_number(7));
    hostile.forget();
    let before = resident_kib();
    let attack = Attack::start(3_000, move |step| {
        // Sealed application data, and as large as it comes.
        let forged = crafted::record(23, 1, 1 << 40 | step, &crafted::noise(&mut random, 24, 1_300));
        assert_eq!(name(&forged), "dtls");
        u64::from(socket.send_to(&forged, media).is_ok())
    });
    let (_, sent) = beside.end(attack).await;
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB of {sent} records");
    assert!(hostile.is_alive());
    assert_eq!(hostile.hears(|ear| ear.count_of("dtls")), 0);
    listener.hears(|ear| ear.of(hostile.id, Kind::Audio).assert_whole(100));
    beside.stop().await;
    tally.count(sent, "records");
}
