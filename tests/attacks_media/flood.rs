//! A legal publisher that sends far more than anybody can use.

use std::time::Instant;

use anteroom::base::Kind;
use anteroom::client::Pattern;

use super::beside::{Attack, Beside, Part};
use super::crafted;
use super::hostile::Hostile;
use super::reports::three;
use super::tally::Tally;

/// 100 Mbit/s of 1,200 bytes.
const PACKETS_PER_SECOND: u64 = 10_400;

/// What one participant may send by default, in bytes a second.
const ALLOWED: u64 = 2_500_000;

/// Packets of sound, fewer than one may send in all.
const SOUNDS_PER_SECOND: u64 = 3_000;
/// .. and as many as go on.
const SOUNDS_ALLOWED: u64 = 250;

#[tokio::test]
async fn a17_a_flood_of_pictures_costs_nobody_a_packet() {
    let mut tally = Tally::of("attacks", "A17");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let [publisher, listener, honest] = three(beside.http, "flooded", Pattern::SCREEN).await;
    let flooder = Hostile::join(beside.http, "flooded", "Flooder", "participant").await;
    flooder.is_up().await;
    listener.forget();
    honest.forget();
    let (line, ssrc) = (flooder.line(Kind::Video).clone(), flooder.declared(Kind::Video).ssrc);
    let hand = flooder.hand();
    // Each packet is a keyframe of VP8 of its own, so that everything could go on.
    let mut payload = [0x5a; 1_150];
    payload[..11].copy_from_slice(&[0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
    let began = Instant::now();
    let attack = Attack::start(PACKETS_PER_SECOND, move |step| {
        u64::from(hand.rtp(&crafted::media(&line, ssrc, step, &[], &payload), step))
    });
    beside.has_dropped("over_rate", 5_000).await;
    let (_, sent) = beside.end(attack).await;
    let allowed = ALLOWED * (began.elapsed().as_millis() as u64 + 500) / 1_000;
    for one in [&listener, &honest] {
        one.hears(|ear| {
            for kind in [Kind::Audio, Kind::Video] {
                ear.of(publisher.id, kind).assert_whole(100);
            }
            let flood = ear.media_bytes.saturating_sub(allowed / 10);
            assert!(flood < allowed, "{flood} bytes of the flood came, {allowed} may");
        });
    }
    assert!(sent > 20_000, "{sent}");
    beside.stop().await;
    tally.count(sent, "packets");
}

#[tokio::test]
async fn a17_a_flood_of_sound_costs_nobody_a_packet() {
    let mut tally = Tally::of("attacks", "A17");
    let mut beside = Beside::start(Part::shared().await, 3).await;
    let [publisher, listener, honest] = three(beside.http, "shouted", Pattern::SCREEN).await;
    let flooder = Hostile::join(beside.http, "shouted", "Flooder", "participant").await;
    flooder.is_up().await;
    listener.forget();
    honest.forget();
    let (line, ssrc) = (flooder.line(Kind::Audio).clone(), flooder.declared(Kind::Audio).ssrc);
    let hand = flooder.hand();
    let began = Instant::now();
    let attack = Attack::start(SOUNDS_PER_SECOND, move |step| {
        u64::from(hand.rtp(&crafted::media(&line, ssrc, step, &[], &[0x78; 60]), step))
    });
    beside.has_dropped("greedy", 5_000).await;
    let (_, sent) = beside.end(attack).await;
    let allowed = SOUNDS_ALLOWED * (began.elapsed().as_millis() as u64 + 500) / 1_000;
    for one in [&listener, &honest] {
        one.hears(|ear| {
            for kind in [Kind::Audio, Kind::Video] {
                ear.of(publisher.id, kind).assert_whole(100);
            }
            let flood: u64 = ear.unmarked.values().sum();
            assert!((100..=allowed).contains(&flood), "{flood} words of the flood came, {allowed} may");
        });
    }
    assert!(sent > 5_000, "{sent}");
    beside.stop().await;
    tally.count(sent, "packets");
}
