//! Shares, canvases and cameras.

use super::world::{Client, Heard, SILENT, World};
use crate::base::{Kind, KindSet};
use crate::media::DropReason;
use crate::message::{MediaReport, SlotReason};
use crate::transport::{Codec, CodecLine};
use crate::wire::vp8;

const VP9: CodecLine =
    CodecLine { codec: Codec::Vp9 { profile: 0 }, payload_type: 98, rtx_payload_type: Some(99) };

fn group_of(people: u64) -> World {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    (1..=people).for_each(|id| world.join(id, 1));
    world
}

fn picture(heard: &Heard) -> u16 {
    vp8::Descriptor::parse(heard.view().payload()).unwrap().0.picture_id.unwrap().value()
}

fn to(heard: Vec<Heard>, listener: u64) -> Vec<Heard> {
    heard.into_iter().filter(|heard| heard.listener == listener).collect()
}

#[test]
fn nothing_of_a_share_comes_before_its_keyframe() {
    let mut world = group_of(2);
    for _ in 0..10 {
        world.show(1, Kind::Share, false);
    }
    assert!(world.flush().is_empty());
    assert_eq!(world.drops(DropReason::AwaitingKeyframe), 10);
    world.show(1, Kind::Share, true);
    world.show(1, Kind::Share, false);
    let heard = world.flush();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[1].view().sequence(), heard[0].view().sequence().wrapping_add(1));
    assert_eq!(heard[0].view().payload_type(), 120, "by the listener's number");
    world.check_conservation();
}

#[test]
fn a_silent_share_keeps_being_asked_twice_a_second() {
    let mut world = group_of(3);
    for _ in 0..50 {
        world.pass(100);
        world.flush();
    }
    // Before its first packet it is known by the offer.
    let asked = world.asked_for_keyframes(1);
    assert!((8..=10).contains(&asked), "{asked} in 5 s");
}

#[test]
fn a_keyframe_is_asked_for_once_it_would_be_shown() {
    let mut world = World::new();
    let share = KindSet::of(&[Kind::Share]);
    (1..=2).for_each(|group| world.group(group, 6, KindSet::NONE));
    world.join_as(1, 1, share, Client::default());
    world.join_as(2, 2, KindSet::NONE, Client::default());
    world.show(1, Kind::Share, true);
    world.flush();
    world.rtcp.clear();
    world.move_to(&[(1, 2)], share);
    for _ in 0..2 {
        world.show(1, Kind::Share, false);
        world.flush();
        assert_eq!(world.asked_for_keyframes(1), 0, "what is sent now is still in flight");
        world.pass(4);
    }
    for _ in 0..20 {
        world.pass(5);
        world.show(1, Kind::Share, false);
        world.flush();
    }
    assert_eq!(world.asked_for_keyframes(1), 1);
    world.show(1, Kind::Share, true);
    assert_eq!(to(world.flush(), 2).len(), 1);
}

/// So that who hears nothing for a while can open what comes afterwards (RFC 3711 appendix A).
#[test]
fn pictures_pause_for_who_is_not_heard_before_their_numbers_wrap() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    world.join_as(1, 1, KindSet::of(&[Kind::Share]), Client::default());
    (2..=3).for_each(|id| world.join_as(id, 1, KindSet::of(&[Kind::Audio]), Client::default()));
    world.show(1, Kind::Share, true);
    let mut came = [0, 0];
    for ms in 0..40_000 {
        world.pass(1);
        world.show(1, Kind::Share, false);
        if ms % 1_000 == 0 {
            world.say(3, SILENT);
        }
        for heard in world.flush() {
            came[usize::from(heard.listener == 3)] += u32::from(heard.view().payload_type() == 120);
        }
    }
    assert!((16_384..17_000).contains(&came[0]), "{came:?}");
    assert_eq!(came[1], 40_001, "who is heard goes on");
    let slot = |world: &World| world.slots(2).into_iter().find(|slot| slot.video).unwrap();
    assert_eq!((slot(&world).publisher, slot(&world).reason), (None, Some(SlotReason::Congestion)));
    world.say(2, SILENT);
    world.pass(50);
    assert_eq!(world.bound(2, Kind::Share), [1]);
    world.show(1, Kind::Share, true);
    assert_eq!(to(world.flush(), 2).len(), 1);
}

#[test]
fn a_hundred_impatient_viewers_are_two_requests_a_second() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    let share = KindSet::of(&[Kind::Share]);
    world.join_as(1, 1, share, Client::default());
    (2..=101).for_each(|id| world.join_as(id, 1, KindSet::NONE, Client::default()));
    world.show(1, Kind::Share, true);
    world.flush();
    world.rtcp.clear();
    for _ in 0..100 {
        for id in 2..=101 {
            let slot = world.slots(id).into_iter().find(|slot| slot.video).unwrap();
            let mut pli = [0; 64];
            let len = crate::wire::rtcp::write_pli(crate::base::Ssrc(1), slot.ssrc, &mut pli).unwrap();
            world.hand_in(id, pli[..len].to_vec());
        }
        world.pass(20);
        world.flush();
    }
    let asked = world.asked_for_keyframes(1);
    assert!((3..=4).contains(&asked), "{asked} in 2 s");
}

#[test]
fn slots_go_to_share_then_canvas_then_cameras_and_stay() {
    let mut world = group_of(4);
    let slots = |world: &World| world.slots(4)[6..].iter().map(|slot| slot.publisher).collect::<Vec<_>>();
    let cameras = KindSet::of(&[Kind::Video, Kind::Audio]);
    for id in 1..=4 {
        world.move_to(&[(id, 1)], cameras);
    }
    world.pass(50);
    for id in 1..=3 {
        world.show(id, Kind::Video, true);
    }
    world.flush();
    assert_eq!(world.bound(4, Kind::Video).len(), 2);
    let before = slots(&world);
    world.move_to(&[(3, 1)], cameras.with(Kind::Share));
    assert_eq!(world.bound(4, Kind::Share), [3]);
    let after = slots(&world);
    let kept = before.iter().zip(&after).filter(|(before, after)| before == after).count();
    assert_eq!(kept, 1, "one camera keeps its slot: {before:?} {after:?}");
    world.move_to(&[(2, 1)], cameras.with(Kind::Canvas));
    assert_eq!((world.bound(4, Kind::Share), world.bound(4, Kind::Canvas)), (vec![3], vec![2]));
}

#[test]
fn pictures_go_on_over_a_switch_of_publisher() {
    let mut world = group_of(3);
    let share = |world: &mut World, id: u64| {
        for other in 1..=3 {
            let kinds = if other == id { KindSet::of(&[Kind::Share]) } else { KindSet::NONE };
            world.move_to(&[(other, 1)], kinds);
        }
        world.pass(50);
    };
    share(&mut world, 1);
    let mut seen = Vec::new();
    for step in 0..80 {
        world.show(1, Kind::Share, step == 0);
        seen.extend(to(world.flush(), 3));
        world.pass(30);
    }
    share(&mut world, 2);
    for step in 0..80 {
        world.show(2, Kind::Share, step == 0);
        seen.extend(to(world.flush(), 3));
        world.pass(30);
    }
    assert_eq!(seen.len(), 160);
    for pair in seen.windows(2) {
        assert_eq!(picture(&pair[1]), (picture(&pair[0]) + 1) & 0x7fff);
        assert_eq!(pair[1].view().sequence(), pair[0].view().sequence().wrapping_add(1));
        assert!(pair[1].view().timestamp().wrapping_sub(pair[0].view().timestamp()) < 90_000);
    }
}

#[test]
fn who_lacks_the_codec_has_an_empty_slot_that_says_so() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    let share = KindSet::of(&[Kind::Share]);
    let modern = Client { sends: vec![VP9], ..Client::default() };
    world.join_as(1, 1, share, modern);
    world.join_as(2, 1, KindSet::NONE, Client::default());
    let both = vec![Client::default().receives[0], CodecLine { payload_type: 77, ..VP9 }];
    world.join_as(3, 1, KindSet::NONE, Client { receives: both, ..Client::default() });
    let slot = &world.slots(2)[6];
    assert_eq!((slot.publisher, slot.reason), (None, Some(SlotReason::Codec)));
    assert_eq!(world.bound(3, Kind::Share), [1]);
}

#[test]
fn a_codec_that_changes_in_the_middle_is_followed() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    let both = vec![Client::default().sends[0], VP9];
    world.join_as(1, 1, KindSet::of(&[Kind::Share]), Client { sends: both.clone(), ..Client::default() });
    world.join_as(2, 1, KindSet::NONE, Client::default());
    world.join_as(3, 1, KindSet::NONE, Client { receives: both, ..Client::default() });
    world.show(1, Kind::Share, true);
    assert_eq!(world.flush().len(), 2);
    // A VP9 keyframe: first packet of a frame that is predicted from nothing.
    let mut packet = world.packet(1, Kind::Share, 0, &[0x08, 0, 0]);
    packet[1] = 98;
    world.hand_in(1, packet);
    let heard = world.flush();
    assert_eq!(heard.iter().map(|heard| heard.listener).collect::<Vec<_>>(), [3]);
    assert_eq!(heard[0].view().payload_type(), 98);
    assert_eq!(world.slots(2)[6].reason, Some(SlotReason::Codec));
    assert_eq!(world.slots(3)[6].publisher.map(|(id, _)| id.0), Some(1));
    world.pass(2_000);
    world.show(1, Kind::Share, true);
    world.flush();
    world.show(1, Kind::Share, true);
    assert_eq!(world.flush().len(), 2, "back in the first codec both see it");
}

#[test]
fn a_codec_that_changes_with_each_picture_is_followed_once_in_two_seconds() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    let both = vec![Client::default().sends[0], VP9];
    world.join_as(1, 1, KindSet::of(&[Kind::Share]), Client { sends: both, ..Client::default() });
    world.join_as(2, 1, KindSet::NONE, Client::default());
    let show_vp9 = |world: &mut World, descriptor| {
        let mut packet = world.packet(1, Kind::Share, 0, &[descriptor, 0, 0]);
        packet[1] = 98;
        world.hand_in(1, packet);
    };
    world.show(1, Kind::Share, true);
    show_vp9(&mut world, 0x48);
    world.flush();
    assert_eq!(world.drops(DropReason::CodecChange), 1, "nobody can start there");
    world.reports.clear();
    for _ in 0..400 {
        show_vp9(&mut world, 0x08);
        world.flush();
        world.pass(5);
        world.show(1, Kind::Share, true);
        world.flush();
        world.pass(5);
    }
    let told = world.reports.iter().filter(|report| matches!(report, MediaReport::Slots { .. })).count();
    assert!((1..=3).contains(&told), "{told} in 4 s");
    assert!(world.drops(DropReason::CodecChange) > 300);
    world.check_conservation();
}

#[test]
fn what_is_encrypted_end_to_end_passes_by_its_dependency_descriptor() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    let av1 = CodecLine { codec: Codec::Av1 { profile: 0 }, payload_type: 96, rtx_payload_type: None };
    let able = Client { sends: vec![av1], receives: vec![av1], ..Client::default() };
    world.join_as(1, 1, KindSet::of(&[Kind::Share]), able.clone());
    world.join_as(2, 1, KindSet::NONE, able);
    let mut send = |descriptor: &[u8]| {
        let plain = world.packet(1, Kind::Share, 0, &[0xff; 20]);
        let view = crate::wire::rtp::RtpView::parse(&plain).unwrap();
        let mut packet = vec![0; 64];
        let len = view.header().write(&[(5, descriptor)], &mut packet).unwrap();
        packet.truncate(len);
        packet.extend(view.payload());
        world.hand_in(1, packet);
        (world.flush(), view.payload().to_vec())
    };
    assert!(send(&[0xc0, 0, 8]).0.is_empty(), "no structure, no keyframe");
    let (first, secret) = send(&[0xc0, 0, 9, 0x80, 1, 2]);
    assert_eq!(first[0].view().payload(), secret);
    let (second, secret) = send(&[0xc1, 0, 10]);
    assert_eq!(second[0].view().payload(), secret);
    let frame = |heard: &Heard| {
        let data = heard.view().extension(5).unwrap().to_vec();
        (u16::from_be_bytes([data[1], data[2]]), data[3..].to_vec())
    };
    assert_eq!(frame(&first[0]).1, [0x80, 1, 2], "the structure is never touched");
    assert_eq!(frame(&second[0]).0, frame(&first[0]).0.wrapping_add(1));
}
