//! Packets with bad tags from the right address, and good packets once more.

use std::net::SocketAddr;
use std::time::Duration;

use anteroom::base::{Kind, Random, Ssrc};
use anteroom::wire::rtcp::write_pli;
use tokio::time::sleep;

use super::beside::{Attack, Beside, Part, is_long};
use super::crafted;
use super::hostile::{Hand, Hostile};
use super::tally::Tally;

#[tokio::test]
async fn a08_bad_tags_never_end_a_call() {
    let mut tally = Tally::of("attacks", "A8");
    let most = if is_long() { 1_000_000 } else { 150_000 };
    let (part, rate) = Part::flood().await;
    let mut beside = Beside::start(part, if is_long() { 20 } else { 8 }).await;
    let victim = Hostile::join(beside.http, "tags", "Victim", "participant").await;
    let listener = Hostile::join(beside.http, "tags", "Listener", "participant").await;
    victim.is_up().await;
    listener.is_up().await;
    victim.keep_sent();
    victim.publish(Kind::Audio);
    listener.publish(Kind::Audio);
    listener.until("the victim is heard", |_, ear| !ear.heard.is_empty()).await;
    let (genuine, ssrc) = (victim.sent(), victim.declared(Kind::Audio).ssrc);
    let (socket, media, mut random) = (victim.hand().socket(), beside.media, Random::from_number(8));
    let attack = Attack::at_least(most, rate, move |step| {
        let mut forged = genuine[step as usize % genuine.len()].clone();
        let last = forged.len() - 1;
        match step % 3 {
            0 => forged[last] ^= 1,
            // A number that nobody has used, under the old tag.
            1 if forged[1] & 0x7f < 64 || forged[1] & 0x7f > 95 => {
                forged[2..4].copy_from_slice(&(random.next_u32() as u16).to_be_bytes());
                forged[last] ^= 1;
            }
            _ => forged = crafted::srtp(&mut random, ssrc),
        }
        u64::from(socket.send_to(&forged, media).is_ok())
    });
    beside.has_dropped("not_authentic", 100_000).await;
    let (_, sent) = beside.end(attack).await;
    assert!(sent >= most, "{sent}");
    assert!(victim.is_alive() && listener.is_alive());
    listener.hears(|ear| ear.of(victim.id, Kind::Audio).assert_whole(100));
    victim.hears(|ear| ear.of(listener.id, Kind::Audio).assert_whole(100));
    beside.stop().await;
    tally.count(sent, "packets");
}

/// How many packets the server has found not authentic, once it finds no more.
async fn not_authentic_at_rest(beside: &Beside) -> u64 {
    let mut before = beside.dropped("not_authentic").await;
    loop {
        beside.has_counted().await;
        let now = beside.dropped("not_authentic").await;
        if now == before {
            return now;
        }
        before = now;
    }
}

/// Sends datagrams as they are, not so many at once that a socket's buffer overflows.
async fn send_again(hand: &Hand, datagrams: impl Iterator<Item = &Vec<u8>>, media: SocketAddr) {
    for (n, datagram) in datagrams.enumerate() {
        assert!(hand.raw(datagram, media));
        if n % 20 == 19 {
            sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn a10_what_comes_twice_goes_on_once() {
    let mut tally = Tally::of("attacks", "A10");
    let mut beside = Beside::start(Part::shared().await, 16).await;
    let publisher = Hostile::join(beside.http, "twice", "Publisher", "participant").await;
    let listener = Hostile::join(beside.http, "twice", "Listener", "participant").await;
    publisher.is_up().await;
    listener.is_up().await;
    publisher.keep_sent();
    publisher.double(true);
    publisher.publish(Kind::Audio);
    publisher.publish(Kind::Video);
    listener
        .until("sound and pictures come", |_, ear| {
            ear.heard.len() == 2 && ear.heard.values().all(|heard| heard.count() > 60)
        })
        .await;
    publisher.double(false);
    // All of it once more, reports among it, in the order in which it left; nothing else comes twice by then.
    let before = not_authentic_at_rest(&beside).await;
    let sent = publisher.sent();
    send_again(&publisher.hand(), sent.iter(), beside.media).await;
    beside.has_dropped("not_authentic", before + sent.len() as u64).await;
    // A request for a keyframe, sealed once and sent a thousand times.
    listener.keep_sent();
    let slot = listener.hears(|ear| *ear.of(publisher.id, Kind::Video).slots.first().unwrap());
    let mut pli = [0; 64];
    let len = write_pli(Ssrc(1), slot, &mut pli).unwrap();
    assert!(listener.hand().feedback(&pli[..len]));
    let sealed = listener.sent().into_iter().rfind(|datagram| super::ear::name(datagram) == "rtcp").unwrap();
    let before = not_authentic_at_rest(&beside).await;
    send_again(&listener.hand(), std::iter::repeat_n(&sealed, 1_000), beside.media).await;
    beside.has_dropped("not_authentic", before + 1_000).await;
    assert!(beside.is_on());
    beside.end(Attack::none()).await;
    for kind in [Kind::Audio, Kind::Video] {
        listener.hears(|ear| ear.of(publisher.id, kind).assert_whole(60));
    }
    beside.stop().await;
    tally.count(sent.len() as u64 + 1_000, "packets");
}
