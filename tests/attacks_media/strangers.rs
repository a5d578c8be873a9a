//! What those do who have no keys: they race handshakes, spray ports, check without a password, and ask
//! for relays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anteroom::base::{Kind, Random};
use serde_json::json;

use super::attacker::Stranger;
use super::beside::{Attack, Beside, Part, is_long};
use super::crafted;
use super::ear::{Ear, name};
use super::hostile::{Gate, Hostile, Manners};
use super::tally::Tally;
use super::ws::Client;

#[tokio::test]
async fn a01_a_strangers_hello_never_wins_the_race() {
    let mut tally = Tally::of("attacks", "A1");
    let joins = if is_long() { 500 } else { 60 };
    let mut beside = Beside::start(Part::shared().await, joins / 20).await;
    let stranger = Stranger::on(2, 8);
    let (mut sender, media, mut random) = (stranger.share(), beside.media, Random::from_number(1));
    let attack = Attack::start(1_000, move |_| sender.send(media, &crafted::client_hello(&mut random)));
    for batch in 0..joins / 10 {
        let names: Vec<String> = (0..10).map(|n| format!("Guest-{batch}-{n}")).collect();
        // A room has 300 seats.
        let room = format!("race-{}", batch / 20);
        let joining = names.iter().map(|name| Hostile::join(beside.http, &room, name, "participant"));
        for guest in futures_util::future::join_all(joining).await {
            guest.is_up().await;
        }
    }
    // Joins that end before the call does have been raced all the same.
    let _ = beside.is_on();
    let (_, sent) = beside.end(attack).await;
    assert!(sent >= joins * 20, "{sent}");
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
    beside.stop().await;
    tally.count(joins, "joins");
}

#[tokio::test]
async fn a02_a_hello_reflects_nothing() {
    const HELLOS: u64 = 100_000;
    let mut tally = Tally::of("attacks", "A2");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let stranger = Stranger::on(3, 400);
    let (mut sender, media, mut random) = (stranger.share(), beside.media, Random::from_number(2));
    let hello = move |_| sender.send(media, &crafted::client_hello(&mut random));
    let attack = Attack::at_least(HELLOS, 25_000, hello);
    beside.has_dropped("unknown_source", HELLOS * 9 / 10).await;
    let (_, sent) = beside.end(attack).await;
    assert!(sent >= HELLOS, "{sent}");
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
    beside.stop().await;
    tally.count(sent, "hellos");
}

/// Sends every tenth RTP packet of who has this gate from somebody else's ports, and not from its own,
/// while it is wanted; counts those.
fn diverting(
    stranger: &Stranger,
    media: SocketAddr,
    is_on: &Arc<AtomicBool>,
    count: &Arc<AtomicU64>,
) -> Gate {
    let (mut sender, is_on, count) = (stranger.share(), Arc::clone(is_on), Arc::clone(count));
    let mut packets = 0_u64;
    Box::new(move |datagram| {
        if name(datagram) != "rtp" || !is_on.load(Ordering::Relaxed) {
            return true;
        }
        packets += 1;
        if !packets.is_multiple_of(10) {
            return true;
        }
        count.fetch_add(sender.send(media, datagram), Ordering::Relaxed);
        false
    })
}

#[tokio::test]
async fn a07_media_never_teaches_an_address() {
    let mut tally = Tally::of("attacks", "A7");
    let mut beside = Beside::start(Part::shared().await, 3).await;
    let (stranger, is_on, diverted) = (Stranger::on(4, 8), Arc::default(), Arc::default());
    // Packets with good tags that nobody has seen yet: a copy would be refused wherever it came from.
    let gate = Some(diverting(&stranger, beside.media, &is_on, &diverted));
    let manners = Manners { gate, ..Manners::default() };
    let victim = Hostile::join_as(beside.http, "spray", "Victim", "participant", manners).await;
    let listener = Hostile::join(beside.http, "spray", "Listener", "participant").await;
    victim.is_up().await;
    listener.is_up().await;
    victim.publish(Kind::Audio);
    listener.publish(Kind::Audio);
    listener.until("the victim is heard", |_, ear| !ear.heard.is_empty()).await;
    victim.until("the listener is heard", |_, ear| !ear.heard.is_empty()).await;
    let (mut sender, media, mut random) = (stranger.share(), beside.media, Random::from_number(3));
    let ssrc = victim.declared(Kind::Audio).ssrc;
    is_on.store(true, Ordering::Relaxed);
    let attack = Attack::start(20_000, move |step| {
        let forged =
            if step % 2 == 0 { crafted::srtp(&mut random, ssrc) } else { crafted::srtcp(&mut random, ssrc) };
        sender.send(media, &forged)
    });
    let (_, sent) = beside.end(attack).await;
    assert!(sent >= 20_000, "{sent}");
    is_on.store(false, Ordering::Relaxed);
    // What was diverted last is missing only once something has come after it.
    let heard = listener.hears(|ear| ear.of(victim.id, Kind::Audio).count());
    let more = |ear: &Ear| ear.of(victim.id, Kind::Audio).count() >= heard + 10;
    listener.until("more of the victim", |_, ear| more(ear)).await;
    let diverted = diverted.load(Ordering::Relaxed);
    assert!(diverted >= 10, "{diverted}");
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
    listener.hears(|ear| {
        let heard = ear.of(victim.id, Kind::Audio);
        let (count, lost) = (heard.count(), heard.lost());
        let most = diverted + 1 + count / 1_000;
        assert!((diverted..=most).contains(&lost), "{diverted} of {count} were diverted, {lost} are missing");
        assert_eq!((heard.twice, ear.repair_count()), (0, 0));
        assert!(ear.unmarked.is_empty() && ear.heard.len() == 1, "{ear:?}");
    });
    victim.hears(|ear| ear.of(listener.id, Kind::Audio).assert_whole(100));
    beside.stop().await;
    tally.count(sent + diverted, "packets");
}

#[tokio::test]
async fn a11_checks_without_the_password_cost_nobody_anything() {
    let mut tally = Tally::of("attacks", "A11");
    let (part, rate) = Part::flood().await;
    let seconds = if is_long() { 30 } else { 6 };
    let mut beside = Beside::start(part, seconds).await;
    let victim = Hostile::join(beside.http, "checks", "Victim", "participant").await;
    victim.is_up().await;
    let stranger = Stranger::on(5, 16);
    let (mut sender, media, mut random) = (stranger.share(), beside.media, Random::from_number(4));
    let username = format!("{}:{}", victim.answer.ufrag, victim.ufrag);
    let attack = Attack::start(rate, move |_| sender.send(media, &crafted::stun(&mut random, &username)));
    // Checks of a name that is known without its password, of one that is not, and what is no check.
    for reason in ["not_authentic", "unknown_ufrag", "malformed"] {
        beside.has_dropped(reason, 2_000).await;
    }
    assert!(beside.is_on());
    let (_, sent) = beside.end(attack).await;
    // The long form has the machine for itself.
    let least = if is_long() { seconds * rate / 2 } else { 9_000 };
    assert!(sent >= least, "{sent} of {least}");
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
    beside.stop().await;
    tally.count(sent, "checks");
}

#[tokio::test]
async fn a11_one_who_has_the_password_gets_few_replies() {
    let mut tally = Tally::of("attacks", "A11");
    let mut beside = Beside::start(Part::shared().await, 6).await;
    let hostile = Hostile::join(beside.http, "checks", "Hostile", "participant").await;
    hostile.is_up().await;
    let username = format!("{}:{}", hostile.answer.ufrag, hostile.ufrag);
    let (pwd, media, mut random) = (hostile.answer.pwd.clone(), beside.media, Random::from_number(5));
    let socket = hostile.hand().socket();
    let began = std::time::Instant::now();
    let attack = Attack::start(5_000, move |_| {
        let check = crafted::check(&username, Some(&pwd), &mut random);
        u64::from(socket.send_to(&check, media).is_ok())
    });
    beside.has_dropped("over_rate", 1_000).await;
    assert!(beside.is_on());
    let (_, sent) = beside.end(attack).await;
    // 200 at once and 200 a second.
    let most = 200 * (began.elapsed().as_secs() + 3);
    let replies = hostile.hears(|ear| ear.count_of("stun"));
    assert!((100..=most).contains(&replies) && replies * 4 < sent, "{replies} replies to {sent} checks");
    beside.stop().await;
    tally.count(sent, "checks");
}

#[tokio::test]
async fn a14_candidates_are_never_checked() {
    let mut tally = Tally::of("attacks", "A14");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let bait = Stranger::on(6, 20);
    let lines: String = bait
        .addresses()
        .iter()
        .cycle()
        .take(900)
        .enumerate()
        .map(|(n, at)| {
            let host = if n % 4 == 0 { "4d1a7e0c.local".to_owned() } else { at.ip().to_string() };
            format!("a=candidate:{n} 1 udp {} {host} {} typ host\r\n", 2_000_000 - n, at.port())
        })
        .collect();
    let mut client = Client::enter(beside.http, "bait", "Bomber", "participant").await;
    let clock = anteroom::telemetry::Clock::start();
    let (offer, tracks) = super::hostile::new_participant(clock, Manners::default().settings).offer();
    // A bomb beyond the limits of an offer is refused, and the link lives.
    for bomb in [offer.clone() + &lines.repeat(2), offer.clone() + &"a=candidate:1\r\n".repeat(4_100)] {
        assert_eq!(client.refused("joinRoom", json!({"sdp": bomb, "tracks": tracks})).await, 1734);
    }
    let mut other = Client::enter(beside.http, "bait", "Other", "participant").await;
    let bomb = offer.clone() + &lines.repeat(11);
    other.send_text(&json!({"id": "1", "method": "joinRoom", "params": {"sdp": bomb}}).to_string()).await;
    assert_eq!(other.closed().await.0, 1009);
    let baited = offer + &lines;
    client.succeed("joinRoom", json!({"sdp": baited, "tracks": tracks})).await;
    beside.end(Attack::none()).await;
    assert_eq!(bait.earned(), Vec::<Vec<u8>>::new());
    beside.stop().await;
    tally.count(16_700, "candidates");
}

#[tokio::test]
async fn a15_nobody_gets_a_relay() {
    let mut tally = Tally::of("attacks", "A15");
    let mut beside = Beside::start(Part::shared().await, 6).await;
    let hostile = Hostile::join(beside.http, "relay", "Hostile", "participant").await;
    hostile.is_up().await;
    // The special addresses that relays were tricked with, in all their spellings.
    let peers = ["127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254", "192.168.0.1", "224.0.0.1"];
    let mapped = peers.iter().map(|ip| format!("::ffff:{ip}"));
    let peers: Vec<String> = peers.iter().map(ToString::to_string).chain(mapped).collect();
    let username = format!("{}:{}", hostile.answer.ufrag, hostile.ufrag);
    let (stranger, hand) = (Stranger::on(7, 1), hostile.hand());
    let mut sender = stranger.share();
    hostile.forget();
    let mut sent = 0;
    for peer in &peers {
        let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 80);
        // Allocate, Refresh, Send, Data, CreatePermission, ChannelBind.
        for method in [3, 4, 6, 7, 8, 9] {
            let asked = crafted::turn(method, peer, &username, &hostile.answer.pwd);
            sent += sender.send(beside.media, &asked);
            assert!(hand.raw(&asked, beside.media));
        }
        // Data of a channel.
        sent += sender.send(beside.media, &[0x40, 0, 0, 4, 1, 2, 3, 4]);
        assert!(hand.raw(&[0x40, 0, 0, 4, 1, 2, 3, 4], beside.media));
    }
    assert_eq!(sent, 7 * peers.len() as u64);
    // Of each sender: what is no check, whoever signed it, and what is nothing at all.
    beside.has_dropped("not_authentic", 2 * 6 * peers.len() as u64).await;
    beside.has_dropped("malformed", 2 * peers.len() as u64).await;
    assert!(beside.is_on());
    beside.end(Attack::none()).await;
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
    // Its own checks for consent are 5 s apart, and nothing else was answered.
    let replies = hostile.hears(|ear| ear.count_of("stun"));
    assert!(replies <= 2, "{replies}");
    assert!(hostile.is_alive());
    beside.stop().await;
    tally.count(2 * sent, "requests");
}
