//! Reports that lie, ask too much, or speak of others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom::base::{Kind, Ssrc};
use anteroom::client::{ParticipantSettings, Pattern};
use anteroom::wire::rtcp::{
    ReportBlock, SenderInfo, write_bye, write_fir, write_nack, write_pli, write_receiver_report,
    write_sender_report,
};
use anteroom::wire::rtp::RtpView;

use super::beside::{Attack, Beside, Part};
use super::crafted;
use super::hostile::{Hostile, Manners};
use super::tally::Tally;

fn packet(write: impl FnOnce(&mut [u8]) -> Result<usize, anteroom::wire::WireError>) -> Vec<u8> {
    let mut bytes = vec![0; 1_200];
    let len = write(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

/// A publisher of sound and pictures and two who hear and see it.
pub(crate) async fn three(http: SocketAddr, room: &str, video: Pattern) -> [Hostile; 3] {
    let settings = ParticipantSettings { video, ..Manners::default().settings };
    let manners = Manners { settings, ..Manners::default() };
    let publisher = Hostile::join_as(http, room, "Publisher", "moderator", manners).await;
    let hostile = Hostile::join(http, room, "Hostile", "participant").await;
    let honest = Hostile::join(http, room, "Honest", "participant").await;
    publisher.is_up().await;
    hostile.is_up().await;
    honest.is_up().await;
    publisher.publish(Kind::Audio);
    publisher.publish(Kind::Video);
    for listener in [&hostile, &honest] {
        listener.until("sound and pictures", |_, ear| ear.heard.len() == 2).await;
    }
    [publisher, hostile, honest]
}

/// Where a listener sees the publisher's camera.
pub(crate) fn picture_slot(listener: &Hostile, publisher: &Hostile) -> Ssrc {
    listener.hears(|ear| *ear.of(publisher.id, Kind::Video).slots.first().unwrap())
}

#[tokio::test]
async fn a19_a_storm_of_keyframe_requests_is_two_a_second() {
    let mut tally = Tally::of("attacks", "A19");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let [publisher, first, second] = three(beside.http, "keyframes", Pattern::SCREEN).await;
    let viewers = [first, second];
    let hands = viewers.each_ref().map(|viewer| (viewer.hand(), picture_slot(viewer, &publisher)));
    publisher.forget();
    let began = Instant::now();
    // As a hundred viewers with 50 requests a second each would: ten in a packet.
    let attack = Attack::start(500, move |step| {
        let (hand, slot) = &hands[step as usize % hands.len()];
        let pli = packet(|out| write_pli(Ssrc(1), *slot, out));
        let fir = packet(|out| write_fir(Ssrc(1), &[(*slot, step as u8)], out));
        if hand.feedback(&[pli.repeat(5), fir.repeat(5)].concat()) { 10 } else { 0 }
    });
    let (_, sent) = beside.end(attack).await;
    let (asked, most) =
        (publisher.hears(|ear| ear.keyframe_requests), 2 * (began.elapsed().as_secs() + 1) + 1);
    assert!((2..=most).contains(&asked), "{asked} of {sent} requests passed, {most} may");
    for viewer in &viewers {
        viewer.hears(|ear| ear.of(publisher.id, Kind::Video).assert_whole(100));
    }
    beside.stop().await;
    tally.count(sent, "requests");
}

/// 8 Mbit/s.
const BROAD: Pattern = Pattern {
    interval: Duration::from_millis(10),
    packets_per_frame: 10,
    payload_len: 1_000,
    burst: 10,
    spacing: Duration::ZERO,
};

#[tokio::test]
async fn a20_asking_for_everything_again_earns_little() {
    let mut tally = Tally::of("attacks", "A20");
    let mut beside = Beside::start(Part::shared().await, 2).await;
    let [publisher, hostile, honest] = three(beside.http, "again", BROAD).await;
    let slot = picture_slot(&hostile, &publisher);
    hostile.forget();
    honest.forget();
    // Each packet of pictures that comes is asked for with 100 before it, each time twice.
    let asking = move |plain: &[u8]| {
        let view = RtpView::parse(plain).unwrap();
        if view.ssrc() != slot {
            return vec![];
        }
        let sequences: Vec<u16> = (0..100).rev().map(|n| view.sequence().wrapping_sub(n)).collect();
        let nack = packet(|out| write_nack(Ssrc(1), slot, &sequences, out));
        vec![nack.clone(), nack]
    };
    hostile.react(asking);
    let began = Instant::now();
    beside.end(Attack::none()).await;
    let ran = began.elapsed();
    let asked = hostile.hears(|ear| {
        let ratio = (ear.media_bytes + ear.repair_bytes) as f64 / ear.media_bytes as f64;
        assert!(ear.media_bytes > 1_000_000, "{} bytes", ear.media_bytes);
        assert!((1.05..=1.18).contains(&ratio), "{ratio:.3}: {} for {}", ear.repair_bytes, ear.media_bytes);
        // No packet more often than once in a round trip, which is 20 ms at least.
        let most = ear.repairs.values().max().unwrap();
        assert!(*most <= 6 && u128::from(*most) * 20 <= ran.as_millis(), "{most} times the same");
        ear.of(publisher.id, Kind::Audio).assert_whole(100);
        200 * ear.of(publisher.id, Kind::Video).count()
    });
    for kind in [Kind::Audio, Kind::Video] {
        honest.hears(|ear| ear.of(publisher.id, kind).assert_whole(100));
    }
    assert_eq!(honest.hears(super::ear::Ear::repair_count), 0);
    beside.stop().await;
    tally.count(asked, "packets asked for");
}

/// A REMB (draft-alvestrand-rmcat-remb-03) of mantissa and exponent, for so many sources.
fn remb(exponent: u8, mantissa: u32, sources: u8) -> Vec<u8> {
    let mut body = vec![0x8f, 206];
    body.extend((4 + u16::from(sources)).to_be_bytes());
    body.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    body.extend(*b"REMB");
    body.push(sources);
    body.extend([exponent << 2 | (mantissa >> 16) as u8 & 3, (mantissa >> 8) as u8, mantissa as u8]);
    body.extend((0..sources).flat_map(|n| u32::from(n).to_be_bytes()));
    body
}

/// Transport-wide feedback whose chunks are what they are made of.
fn transport_feedback(base: u16, count: u16, chunk: [u8; 2]) -> Vec<u8> {
    let mut body = vec![0x8f, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0];
    body.extend(base.to_be_bytes());
    body.extend(count.to_be_bytes());
    body.extend([0, 0, 1, 7]);
    body.extend(chunk.repeat(4));
    body
}

/// A report by which everything of a slot was lost.
fn all_is_lost(slot: Ssrc) -> Vec<u8> {
    let block = ReportBlock {
        ssrc: slot,
        fraction_lost: u8::MAX,
        cumulative_lost: 0x7f_ffff,
        highest_sequence: 0,
        jitter: u32::MAX,
        last_sender_report: 0,
        delay: 0,
    };
    packet(|out| write_receiver_report(Ssrc(1), &[block], out))
}

/// Reads frames until somebody is told that its pictures pause, for its link is full.
async fn is_told_of_congestion(liar: &mut Hostile, slot: Ssrc) {
    loop {
        let slots = liar.client.event("slots").await;
        let of_slot = slots["slots"].as_array().unwrap().iter().find(|one| one["ssrc"] == slot.0);
        if of_slot.is_some_and(|one| one["reason"] == "congestion") {
            return;
        }
    }
}

#[tokio::test]
async fn a21_what_one_says_of_its_link_changes_no_others() {
    const LIES: u64 = 700;
    let mut tally = Tally::of("attacks", "A21");
    let mut beside = Beside::start(Part::shared().await, 10).await;
    let [publisher, mut hostile, honest] = three(beside.http, "links", Pattern::SCREEN).await;
    let slot = picture_slot(&hostile, &publisher);
    honest.forget();
    let (hand, before) = (hostile.hand(), publisher.sent_count());
    // Reports are believed about the own link, while nothing better is known of it: the server listens.
    let mut again = tokio::time::interval(Duration::from_millis(100));
    let lies = async {
        loop {
            again.tick().await;
            assert!(hand.feedback(&all_is_lost(slot)));
        }
    };
    tokio::select! {
        () = is_told_of_congestion(&mut hostile, slot) => {}
        () = lies => {}
    }
    beside.has_counted().await;
    let (taken, forged) = (beside.other_than_media().await, beside.dropped("not_authentic").await);
    let attack = Attack::start(500, move |step| {
        let lie = match step % 7 {
            // 10 Gbit/s, nothing, as much as can be written, for 255 sources.
            0 => remb(16, 152_588, 1),
            1 => remb(0, 0, 1),
            2 => remb(63, 0x3_ffff, 255),
            // Symbols that mean nothing, all lost, more than there are.
            3 => transport_feedback(step as u16, 28, [0xff, 0xff]),
            4 => transport_feedback(step as u16, u16::MAX, [0x1f, 0xff]),
            5 => transport_feedback(step as u16, 56, [0x7f, 0xff]),
            _ => all_is_lost(slot),
        };
        u64::from(hand.feedback(&lie))
    });
    beside.has_taken(taken + LIES).await;
    assert_eq!(beside.dropped("not_authentic").await, forged);
    assert!(beside.is_on());
    let (_, sent) = beside.end(attack).await;
    assert!(sent >= LIES * 9 / 10, "{sent}");
    let published = publisher.sent_count() - before;
    let seen = honest.hears(|ear| {
        let of = |kind| ear.of(publisher.id, kind);
        of(Kind::Audio).assert_whole(100);
        of(Kind::Video).assert_whole(100);
        of(Kind::Audio).count() + of(Kind::Video).count()
    });
    assert!(seen + 200 >= published, "{seen} of {published}");
    assert!(hostile.is_alive());
    beside.stop().await;
    tally.count(sent, "reports");
}

#[tokio::test]
async fn a22_nobody_speaks_for_another() {
    const PACKETS: u64 = 700;
    let mut tally = Tally::of("attacks", "A22");
    let mut beside = Beside::start(Part::shared().await, 8).await;
    let [publisher, hostile, honest] = three(beside.http, "others", Pattern::SCREEN).await;
    let (sound, picture) = (publisher.declared(Kind::Audio), publisher.declared(Kind::Video));
    let theirs = [sound.ssrc, picture.ssrc, picture_slot(&honest, &publisher)];
    let own_slots: Vec<Ssrc> = hostile.answer.slots.iter().map(|slot| slot.ssrc).collect();
    assert!(theirs.iter().all(|ssrc| !own_slots.contains(ssrc)));
    let (line, hand) = (hostile.line(Kind::Audio).clone(), hostile.hand());
    publisher.forget();
    hostile.forget();
    honest.forget();
    beside.has_counted().await;
    let taken = beside.other_than_media().await;
    let refused = [beside.dropped("not_authentic").await, beside.dropped("malformed").await];
    let attack = Attack::start(600, move |step| {
        let victim = theirs[step as usize % theirs.len()];
        let info =
            SenderInfo { ntp: u64::MAX / 2, rtp_timestamp: u32::MAX / 2, packet_count: 1, octet_count: 1 };
        let sequences: Vec<u16> = (0..200).map(|n| (step as u16).wrapping_mul(150).wrapping_add(n)).collect();
        let left = match step % 7 {
            0 => hand.feedback(&packet(|out| write_bye(&[victim], out))),
            1 => hand.rtcp(&packet(|out| write_sender_report(victim, &info, &[], out))),
            2 => hand.feedback(&packet(|out| write_nack(Ssrc(1), victim, &sequences, out))),
            3 => hand.feedback(&packet(|out| write_pli(victim, victim, out))),
            4 => hand.feedback(&packet(|out| write_fir(victim, &[(victim, step as u8)], out))),
            5 => hand.rtcp(&packet(|out| write_bye(&[victim], out))),
            // Sound under the victim's source.
            _ => hand.rtp(&crafted::media(&line, victim, step, &[], &[0x5a; 80]), step),
        };
        u64::from(left)
    });
    // All of it is authentic and well made: nothing else than whom it names speaks against it.
    beside.has_taken(taken + PACKETS).await;
    // Of three sources on one m-line one at a time is heard.
    beside.has_dropped("second_source", 20).await;
    let still = [beside.dropped("not_authentic").await, beside.dropped("malformed").await];
    assert_eq!(still, refused);
    assert!(beside.is_on());
    let (_, sent) = beside.end(attack).await;
    assert!(sent >= PACKETS * 9 / 10, "{sent}");
    for listener in [&hostile, &honest] {
        listener.hears(|ear| {
            for kind in [Kind::Audio, Kind::Video] {
                let heard = ear.of(publisher.id, kind);
                heard.assert_whole(100);
                // What the hostile one said under the victim's source came as its own ..
                assert!(heard.slots.iter().all(|slot| !ear.unmarked.contains_key(slot)), "{ear:?}");
            }
            assert_eq!(ear.repair_count(), 0);
        });
    }
    // .. which it was: the server has taken that for a source of its sender.
    assert!(honest.hears(|ear| ear.unmarked.values().sum::<u64>()) >= 20);
    // One may have been under way, for whoever came last.
    let asked = publisher.hears(|ear| ear.keyframe_requests);
    assert!(asked <= 1, "{asked}");
    assert!(publisher.is_alive() && hostile.is_alive() && honest.is_alive());
    beside.stop().await;
    tally.count(sent, "packets");
}
