//! RTCP both ways.

use super::world::{Client, Heard, LOUD, World, again, ssrc_of};
use crate::base::{Kind, KindSet, Ssrc};
use crate::media::DropReason;
use crate::message::SlotBinding;
use crate::wire::rtcp::{
    RtcpPacket, SenderInfo, packets, write_bye, write_nack, write_receiver_report, write_sender_report,
};

fn share() -> World {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    world.join_as(1, 1, KindSet::of(&[Kind::Share, Kind::Audio]), Client::default());
    for id in 2..=3 {
        world.join_as(id, 1, KindSet::NONE, Client::default());
    }
    world
}

fn slot(world: &World, id: u64, kind: Kind) -> SlotBinding {
    let of_kind = |slot: &SlotBinding| slot.publisher.is_some_and(|(_, of)| of == kind);
    world.slots(id).into_iter().find(of_kind).unwrap()
}

fn ask_again(world: &mut World, id: u64, ssrc: Ssrc, sequences: &[u16]) -> Vec<Heard> {
    let mut nack = [0; 600];
    let len = write_nack(Ssrc(1), ssrc, sequences, &mut nack).unwrap();
    world.hand_in(id, nack[..len].to_vec());
    world.flush()
}

fn frames(world: &mut World, count: u64) -> Vec<Heard> {
    let mut heard = Vec::new();
    for step in 0..count {
        world.show(1, Kind::Share, step == 0);
        heard.extend(world.flush());
        world.pass(10);
    }
    heard
}

#[test]
fn a_lost_packet_comes_again_over_rtx() {
    let mut world = share();
    let lost = frames(&mut world, 20).into_iter().filter(|heard| heard.listener == 2).nth(7).unwrap();
    let view = lost.view();
    let again = ask_again(&mut world, 2, view.ssrc(), &[view.sequence()]);
    assert_eq!(again.len(), 1);
    let repaired = again[0].view();
    assert_eq!((again[0].listener, repaired.payload_type()), (2, 121));
    assert_eq!(repaired.timestamp(), view.timestamp());
    assert_eq!(repaired.payload()[..2], view.sequence().to_be_bytes());
    assert_eq!(repaired.payload()[2..], *view.payload(), "the same picture id too");
    assert_ne!(repaired.ssrc(), view.ssrc());
    assert!(ask_again(&mut world, 2, view.ssrc(), &[view.sequence()]).is_empty(), "not twice at once");
    world.pass(25);
    assert_eq!(ask_again(&mut world, 2, view.ssrc(), &[view.sequence()]).len(), 1);
}

#[test]
fn after_a_move_nothing_old_can_be_asked_for() {
    let mut world = share();
    world.group(2, 6, KindSet::NONE);
    let old: Vec<_> = frames(&mut world, 50).into_iter().filter(|heard| heard.listener == 2).collect();
    let (ssrc, sequences): (Vec<Ssrc>, Vec<u16>) =
        old.iter().map(|heard| (heard.view().ssrc(), heard.view().sequence())).unzip();
    world.move_to(&[(2, 2)], KindSet::NONE);
    assert!(ask_again(&mut world, 2, ssrc[0], &sequences).is_empty());
    world.move_to(&[(2, 1)], KindSet::NONE);
    world.show(1, Kind::Share, true);
    let new = world.flush();
    assert!(new.iter().any(|heard| heard.listener == 2));
    assert!(ask_again(&mut world, 2, ssrc[0], &sequences).is_empty(), "nor after coming back");
    assert_eq!(world.worker.statistics().retransmitted, 0);
}

#[test]
fn a_listener_that_asks_for_everything_gets_a_small_share() {
    let mut world = share();
    let mut sent = 0;
    for step in 0..3_000 {
        world.show(1, Kind::Share, step == 0);
        let heard = world.flush();
        let own: Vec<_> = heard.into_iter().filter(|heard| heard.listener == 2).collect();
        sent += own.len();
        for heard in own {
            ask_again(&mut world, 2, heard.view().ssrc(), &[heard.view().sequence()]);
        }
        world.pass(10);
    }
    let repaired = usize::try_from(world.worker.statistics().retransmitted).unwrap();
    assert!(sent == 3_000 && repaired < 1_200, "{repaired} of {sent}");
    assert!(world.drops(DropReason::RetransmitLimited) > 1_000);
}

#[test]
fn nobody_can_ask_for_anothers_packets_or_speak_for_another() {
    let mut world = share();
    let heard = frames(&mut world, 5);
    let others = heard.iter().find(|heard| heard.listener == 3).unwrap();
    assert!(ask_again(&mut world, 2, others.view().ssrc(), &[others.view().sequence()]).is_empty());
    let mut bye = [0; 64];
    let len = write_bye(&[ssrc_of(1, Kind::Share)], &mut bye).unwrap();
    world.hand_in(2, bye[..len].to_vec());
    world.hand_in(1, bye[..len].to_vec());
    world.show(1, Kind::Share, false);
    assert_eq!(world.flush().len(), 2, "a BYE ends nothing");
}

#[test]
fn a_gap_of_the_publisher_is_asked_for_and_filled_by_rtx() {
    let mut world = share();
    world.show(1, Kind::Share, true);
    let lost = world.packet(1, Kind::Share, 0, &[0x80, 0x80, 0x80, 1, 1]);
    world.show(1, Kind::Share, false);
    let before = world.flush();
    world.pass(30);
    world.flush();
    let missing = u16::from_be_bytes([lost[2], lost[3]]);
    assert_eq!(world.asked_again(1), [missing]);
    let mut repair = again(&lost, 4_000);
    world.hand_in(1, repair.clone());
    let filled: Vec<_> = world.flush().into_iter().filter(|heard| heard.listener == 2).collect();
    assert_eq!(filled.len(), 1);
    let own: Vec<_> = before.iter().filter(|heard| heard.listener == 2).collect();
    assert_eq!(filled[0].view().sequence(), own[0].view().sequence().wrapping_add(1));
    repair[3] += 1;
    world.hand_in(1, repair);
    assert!(world.flush().is_empty());
    assert_eq!(world.drops(DropReason::Duplicate), 1);
    world.check_conservation();
}

/// Chromium pads so to find out what its link carries, where it has no RTX.
#[test]
fn a_loss_beside_a_packet_without_media_is_seen_and_repaired() {
    let mut world = share();
    world.show(1, Kind::Share, true);
    let lost = world.packet(1, Kind::Share, 0, &[0x80, 0x80, 0x80, 1, 1]);
    for _ in 0..2 {
        let mut padding = world.packet(1, Kind::Share, 0, &[]);
        padding[0] |= 0x20;
        *padding.last_mut().unwrap() = 24;
        world.hand_in(1, padding);
    }
    world.show(1, Kind::Share, false);
    let own = |heard: Vec<Heard>| heard.into_iter().filter(|heard| heard.listener == 2).collect::<Vec<_>>();
    let before = own(world.flush());
    assert_eq!((before.len(), world.drops(DropReason::Empty)), (2, 2));
    let (first, last) = (before[0].view().sequence(), before[1].view().sequence());
    assert_eq!(last.wrapping_sub(first), 2, "one is missing and not three");
    world.hand_in(1, again(&lost, 4_000));
    let filled = own(world.flush());
    assert_eq!(filled.len(), 1);
    assert_eq!(filled[0].view().sequence(), first.wrapping_add(1));
    world.pass(25);
    let asked = ask_again(&mut world, 2, filled[0].view().ssrc(), &[first.wrapping_add(1)]);
    assert_eq!(asked.len(), 1, "it is kept for who misses it");
    world.check_conservation();
}

#[test]
fn a_publisher_is_told_when_its_packets_came() {
    let mut world = share();
    world.talk(1_000, &[(1, LOUD)]);
    let mut told = 0;
    for (_, compound) in world.rtcp.iter().filter(|(to, _)| *to == 1) {
        for packet in packets(compound) {
            if let RtcpPacket::TransportFeedback(view) = packet.unwrap() {
                told += view.statuses().filter(|(_, status)| status.is_some()).count();
            }
        }
    }
    assert!((45..=50).contains(&told), "{told} of 50");
}

/// Somebody says which RTP time a stream has at an NTP time of its own.
fn tell_time(world: &mut World, id: u64, kind: Kind, ntp: u64, rtp_timestamp: u32) {
    let info = SenderInfo { ntp, rtp_timestamp, packet_count: 9, octet_count: 9 };
    let mut report = [0; 64];
    let len = write_sender_report(ssrc_of(id, kind), &info, &[], &mut report).unwrap();
    world.hand_in(id, report[..len].to_vec());
}

/// The sender reports that somebody was sent so far.
fn times_told(world: &World, id: u64) -> Vec<(Ssrc, SenderInfo)> {
    let compounds = world.rtcp.iter().filter(|(to, _)| *to == id);
    let reports = compounds.flat_map(|(_, compound)| packets(compound)).filter_map(|packet| match packet {
        Ok(RtcpPacket::SenderReport(report)) => Some((report.sender_ssrc, report.info)),
        _ => None,
    });
    reports.collect()
}

#[test]
fn sound_and_picture_keep_their_distance() {
    let mut world = share();
    let (audio, video) = (1_000_u32, 2_000_u32);
    let told_at = world.now.as_ntp();
    for (kind, rtp_timestamp) in [(Kind::Audio, audio), (Kind::Share, video)] {
        world.say(1, LOUD);
        world.show(1, Kind::Share, true);
        tell_time(&mut world, 1, kind, 0x0123_4567_0000_0000, rtp_timestamp);
    }
    let heard = world.flush();
    world.pass(60);
    world.flush();
    let reports = times_told(&world, 2);
    for (kind, source) in [(Kind::Audio, audio), (Kind::Share, video)] {
        let ssrc = slot(&world, 2, kind).ssrc;
        let first = heard.iter().find(|heard| heard.listener == 2 && heard.view().ssrc() == ssrc).unwrap();
        let sent = world.people[&1].sending[&kind];
        let rate = if kind.is_video() { 90 } else { 48 };
        let published = sent.timestamp.wrapping_add(
            u32::try_from(((world.now.as_micros() - 60_000) * rate / 1_000) & 0xffff_ffff).unwrap(),
        );
        let offset = first.view().timestamp().wrapping_sub(published);
        let (_, info) = reports.iter().find(|(of, _)| *of == ssrc).unwrap();
        let passed = ((info.ntp - told_at) * rate * 1_000) >> 32;
        let expected = source.wrapping_add(offset).wrapping_add(u32::try_from(passed).unwrap());
        assert!(info.rtp_timestamp.wrapping_sub(expected).cast_signed().abs() <= 2);
        assert_eq!(info.packet_count, 2);
    }
}

#[test]
fn publishers_with_clocks_of_their_own_are_told_by_one() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    for id in 1..=3 {
        world.join_as(id, 1, KindSet::of(&[Kind::Share, Kind::Audio]), Client::default());
    }
    let (hour, mut count) = (3_600_u64 << 32, 0);
    for second in 0..10 {
        for id in 1..=2 {
            world.say(id, LOUD);
            let own = world.now.as_ntp() - id * hour;
            // The first publisher's clock is put back by a minute on the way.
            let own = if id == 1 && second >= 5 { own - (60 << 32) } else { own };
            tell_time(&mut world, id, Kind::Audio, own, 48_000 * second);
        }
        for _ in 0..10 {
            world.rtcp.clear();
            world.flush();
            for (_, info) in times_told(&world, 3) {
                count += 1;
                let apart = (info.ntp.abs_diff(world.now.as_ntp()) * 1_000) >> 32;
                assert_eq!(apart, 0, "ms in second {second}");
            }
            world.pass(100);
        }
    }
    assert!(count > 14, "{count} reports");
}

/// By a report about the sound alone, too: the picture's report may come much later.
#[test]
fn a_correction_is_one_of_sound_and_picture() {
    let mut world = share();
    let own = |world: &World, late: u64| world.now.as_ntp() - (3_600 << 32) - (late << 32) / 1_000;
    world.say(1, LOUD);
    world.show(1, Kind::Share, true);
    for kind in [Kind::Audio, Kind::Share] {
        let ntp = own(&world, 100);
        tell_time(&mut world, 1, kind, ntp, 0);
    }
    world.flush();
    for _ in 0..10 {
        world.pass(100);
        let ntp = own(&world, 0);
        tell_time(&mut world, 1, Kind::Audio, ntp, 48_000);
    }
    world.say(1, LOUD);
    world.rtcp.clear();
    for _ in 0..100 {
        world.pass(20);
        world.say(1, LOUD);
        world.flush();
    }
    let reports = times_told(&world, 2);
    let ssrc = slot(&world, 2, Kind::Share).ssrc;
    let (_, share) = reports.iter().rfind(|(of, _)| *of == ssrc).unwrap();
    let (_, audio) = reports.iter().rfind(|(of, _)| *of != ssrc).unwrap();
    let apart = ((audio.ntp - share.ntp) * 1_000) >> 32;
    assert!((99..=100).contains(&apart), "{apart} ms between when the two reports were made");
}

#[test]
fn after_a_publisher_has_landed_a_round_trip_is_still_in_flight() {
    let mut world = share();
    world.group(2, 6, KindSet::NONE);
    // So long that it is known how late a packet is.
    world.talk(600, &[(1, LOUD)]);
    // The share's publisher has to hear somebody to be measured.
    world.join_as(4, 1, KindSet::ALL, Client::default());
    world.say(4, LOUD);
    tell_time(&mut world, 4, Kind::Audio, 77 << 32, 1);
    world.flush();
    world.pass(30);
    world.flush();
    let (ssrc, SenderInfo { ntp, .. }) = times_told(&world, 1).pop().unwrap();
    world.pass(12);
    let block = crate::wire::rtcp::ReportBlock {
        ssrc,
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence: 0,
        jitter: 0,
        last_sender_report: u32::try_from(ntp >> 16 & 0xffff_ffff).unwrap(),
        delay: 0,
    };
    let mut report = [0; 64];
    let len = write_receiver_report(Ssrc(5), &[block], &mut report).unwrap();
    world.hand_in(1, report[..len].to_vec());
    world.move_to(&[(1, 2), (2, 2)], KindSet::ALL);
    world.landed(1);
    world.pass(8);
    world.say(1, LOUD);
    assert!(world.flush().is_empty());
    world.pass(5);
    world.say(1, LOUD);
    assert!(!world.flush().is_empty());
}

#[test]
fn what_nobody_watches_is_not_asked_for() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    world.join_as(1, 1, KindSet::of(&[Kind::Share]), Client::default());
    for step in 0..3 {
        let packet = world.frame(1, Kind::Share, step == 0);
        if step != 1 {
            world.hand_in(1, packet);
        }
        world.flush();
    }
    for _ in 0..20 {
        world.pass(25);
        world.flush();
    }
    assert_eq!(world.asked_again(1), [] as [u16; 0]);
}

#[test]
fn a20_no_packet_comes_again_twice_within_a_round_trip() {
    let mut world = share();
    let heard: Vec<_> = frames(&mut world, 300).into_iter().filter(|heard| heard.listener == 2).collect();
    let (ssrc, newest) = (heard[299].view().ssrc(), heard[290].view().sequence());
    // All of them are kept.
    let asked: Vec<u16> = [0, 64, 128, 256].map(|back| newest.wrapping_sub(back)).to_vec();
    let again: usize = (0..10).map(|_| ask_again(&mut world, 2, ssrc, &asked).len()).sum();
    assert_eq!(again, 4);
}
