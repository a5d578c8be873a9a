//! Not one packet to the wrong ear.

use super::world::{Heard, LOUD, World, again};
use crate::base::{Epoch, GroupId, Kind, KindSet, ParticipantId, Random, Ssrc};
use crate::media::DropReason;
use crate::media::source::Source;
use crate::message::{MediaCommand, MediaReport, Placement};

const GROUPS: u64 = 4;
const PEOPLE: u64 = 10;

fn meeting(seed: u64) -> World {
    let mut world = World::from_seed(seed);
    for group in 1..=GROUPS {
        world.group(group, 3, KindSet::NONE);
    }
    for id in 1..=PEOPLE {
        world.join(id, 1 + id % GROUPS);
    }
    world
}

#[test]
fn random_moves_never_carry_a_packet_out_of_its_group() {
    for seed in 0..20 {
        let (mut world, mut random) = (meeting(seed), Random::from_number(seed));
        let mut reached = 0;
        for _ in 0..400 {
            match random.below(10) {
                0 | 1 => {
                    let count = 1 + random.below(PEOPLE);
                    let moves: Vec<_> =
                        (1..=count).map(|_| (1 + random.below(PEOPLE), 1 + random.below(GROUPS))).collect();
                    // A batch names each participant once.
                    let mut seen = Vec::new();
                    let moves: Vec<_> = moves
                        .into_iter()
                        .filter(|(id, _)| {
                            !seen.contains(id) && {
                                seen.push(*id);
                                true
                            }
                        })
                        .collect();
                    world.move_to(&moves, KindSet::ALL);
                }
                2 => {
                    let id = 1 + random.below(PEOPLE);
                    let group = 1 + random.below(GROUPS);
                    world.join(id, group);
                }
                _ => {
                    for _ in 0..1 + random.below(6) {
                        let id = 1 + random.below(PEOPLE);
                        match random.below(3) {
                            0 => world.show(id, Kind::Share, random.below(4) == 0),
                            1 => world.show(id, Kind::Video, random.below(4) == 0),
                            _ => world.say(id, LOUD),
                        }
                    }
                }
            }
            // Sometimes a batch is still waiting when the next command comes.
            if random.below(3) > 0 {
                for heard in world.flush() {
                    let (publisher, group, _) = heard.mark();
                    assert_ne!(publisher, heard.listener);
                    assert_eq!(world.people[&heard.listener].group, GroupId(group), "seed {seed}");
                    assert_eq!(world.people[&publisher].group, GroupId(group), "seed {seed}");
                    reached += 1;
                }
            }
            world.pass(random.below(30));
        }
        world.flush();
        world.check_conservation();
        assert!(reached > 500, "{reached} packets reached somebody");
    }
}

#[test]
fn what_waits_while_a_mover_leaves_never_arrives() {
    let mut world = meeting(1);
    world.move_to(&[(1, 1), (2, 1), (3, 1)], KindSet::ALL);
    world.pass(50);
    world.say(1, LOUD);
    world.say(2, LOUD);
    world.move_to(&[(1, 2)], KindSet::ALL);
    let heard = world.flush();
    assert!(heard.iter().all(|heard| heard.mark().0 == 2 && heard.listener != 1));
    assert!(world.drops(DropReason::Revoked) > 0);
    world.check_conservation();
}

#[test]
fn who_has_said_before_where_it_is_is_waited_for() {
    let mut world = meeting(4);
    world.group(1, 16, KindSet::NONE);
    world.group(2, 16, KindSet::NONE);
    world.move_to(&[(1, 1), (2, 2), (3, 2)], KindSet::ALL);
    world.landed(1);
    world.pass(50);
    world.move_to(&[(1, 2)], KindSet::ALL);
    world.pass(4_900);
    world.say(1, LOUD);
    assert!(
        world.flush().iter().all(|heard| heard.mark().0 != 1),
        "its client may still be in the other room"
    );
    world.landed(1);
    world.pass(150);
    world.say(1, LOUD);
    assert!(world.flush().iter().any(|heard| heard.mark().0 == 1));
    world.move_to(&[(1, 1), (2, 1)], KindSet::ALL);
    world.pass(5_010);
    assert!(
        world.talk(100, &[(1, LOUD)]).iter().all(|heard| heard.mark().0 != 1),
        "nothing came of it meanwhile, which may be on its way"
    );
    assert!(world.talk(600, &[(1, LOUD)]).iter().any(|heard| heard.mark().0 == 1), "but not for ever");
}

#[test]
fn what_a_mover_sent_before_it_could_know_belongs_to_nobody() {
    let mut world = meeting(2);
    world.group(2, 16, KindSet::NONE);
    world.move_to(&[(1, 1), (2, 2), (3, 2)], KindSet::ALL);
    world.pass(50);
    world.talk(600, &[(1, LOUD)]);
    world.move_to(&[(1, 2)], KindSet::ALL);
    world.say(1, LOUD);
    world.pass(5);
    world.say(1, LOUD);
    assert!(world.flush().iter().all(|heard| heard.mark().0 != 1));
    assert_eq!(world.drops(DropReason::InFlight), 2);
    world.pass(6);
    world.say(1, LOUD);
    let heard = world.flush();
    assert!(heard.iter().any(|heard| heard.listener == 2 && heard.view().marker()));
    assert!(heard.iter().all(|heard| world.people[&heard.listener].group == GroupId(2)));
}

#[test]
fn the_first_packets_of_a_source_may_be_from_before_a_move() {
    let mut world = meeting(2);
    world.group(2, 16, KindSet::NONE);
    world.move_to(&[(1, 1), (2, 2), (3, 2)], KindSet::ALL);
    world.landed(1);
    world.pass(150);
    world.move_to(&[(1, 2)], KindSet::ALL);
    world.landed(1);
    // No round trip has been measured, and how late a source's first packet is nobody knows.
    world.pass(105);
    world.say(1, LOUD);
    assert!(world.flush().is_empty());
    assert_eq!(world.drops(DropReason::InFlight), 1);
    world.pass(5);
    world.say(1, LOUD);
    assert!(world.flush().iter().any(|heard| heard.listener == 2));
}

#[test]
fn slot_numbers_go_on_over_moves() {
    let mut world = meeting(3);
    let mut last: std::collections::BTreeMap<(u64, u32), (u16, u32)> = Default::default();
    let mut random = Random::from_number(3);
    for round in 0..200 {
        if round % 3 == 0 {
            let id = 1 + random.below(PEOPLE);
            world.move_to(&[(id, 1 + random.below(GROUPS))], KindSet::ALL);
            world.pass(20);
        }
        for id in 1..=PEOPLE {
            world.say(id, LOUD);
        }
        for heard in world.flush() {
            let view = heard.view();
            let at = (heard.listener, view.ssrc().0);
            if let Some((sequence, timestamp)) = last.insert(at, (view.sequence(), view.timestamp())) {
                assert_eq!(view.sequence(), sequence.wrapping_add(1), "no gap and no way back");
                assert!(view.timestamp().wrapping_sub(timestamp) < 48_000 * 60);
            }
        }
        world.pass(20);
    }
}

#[test]
fn from_seq_names_the_first_packet_of_the_new_group() {
    let mut world = meeting(4);
    world.move_to(&[(1, 1), (2, 2), (3, 2)], KindSet::ALL);
    for _ in 0..5 {
        world.pass(20);
        (1..=PEOPLE).for_each(|id| world.say(id, LOUD));
        world.flush();
    }
    let moved = world.move_to(&[(1, 2)], KindSet::ALL);
    world.say(2, LOUD);
    let heard: Vec<_> = world.flush().into_iter().filter(|heard| heard.listener == 1).collect();
    let bound = moved[0].slots.iter().find(|slot| slot.publisher == Some((ParticipantId(2), Kind::Audio)));
    let bound = bound.unwrap();
    assert_eq!(heard[0].view().ssrc(), bound.ssrc);
    assert_eq!(u64::from(heard[0].view().sequence()), bound.from_seq & 0xffff);
}

/// The number that a receiver takes the newest of these packets to have (RFC 3711 section 3.3.1).
fn follow(newest: u64, heard: &[Heard]) -> u64 {
    heard.iter().fold(newest, |newest, heard| {
        let ahead = heard.view().sequence().wrapping_sub(u16::try_from(newest & 0xffff).unwrap());
        if ahead < 1 << 15 { newest + u64::from(ahead) } else { newest }
    })
}

#[test]
fn a_source_that_leaps_loses_nobody_the_slot() {
    // In bursts of which a queue holds a part, and one by one, of which the network loses a part.
    for (burst, outage) in [(150, 0..0), (1, 100..170)] {
        let mut world = World::new();
        world.group(1, 6, KindSet::NONE);
        (1..=2).for_each(|id| world.join(id, 1));
        let heard = world.talk(200, &[(1, LOUD)]);
        let mut newest = follow(u64::from(heard[0].view().sequence()), &heard);
        for step in 0..300 {
            for _ in 0..burst {
                let sending = world.people.get_mut(&1).unwrap().sending.get_mut(&Kind::Audio).unwrap();
                sending.sequence = sending.sequence.wrapping_add(999);
                world.say(1, LOUD);
            }
            let heard = world.flush();
            assert!(!heard.is_empty());
            if !outage.contains(&step) {
                newest = follow(newest, &heard);
            }
            world.pass(10 * burst);
        }
        let listener = world.worker.participants.get(world.worker.by_id[&ParticipantId(2)]).unwrap();
        let slots = &listener.session.as_ref().unwrap().slots;
        let slot = slots.iter().find(|slot| slot.binding.is_some()).unwrap();
        assert_eq!(newest + 1, slot.outgoing.next(), "bursts of {burst}");
        world.check_conservation();
    }
}

#[test]
fn an_old_placement_changes_nothing_and_the_same_again_is_applied() {
    let mut world = meeting(5);
    world.move_to(&[(1, 1), (2, 1)], KindSet::ALL);
    world.pass(50);
    let epoch = world.people[&1].epoch;
    let move_with = |world: &mut World, epoch, batch| {
        let placement =
            Placement { participant: ParticipantId(1), group: GroupId(2), epoch, publish: KindSet::ALL };
        world.command(MediaCommand::Move { batch: crate::base::BatchId(batch), placements: vec![placement] });
        match world.reports.last() {
            Some(MediaReport::Moved { moved, .. }) => moved.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(move_with(&mut world, Epoch(epoch.0 - 1), 900), 0);
    assert_eq!(move_with(&mut world, epoch, 901), 1);
    world.say(2, LOUD);
    assert!(world.flush().iter().any(|heard| heard.listener == 1), "still in the first group");
}

#[test]
fn unknown_participants_are_named() {
    let mut world = meeting(6);
    let placement = Placement {
        participant: ParticipantId(77),
        group: GroupId(1),
        epoch: Epoch(5),
        publish: KindSet::ALL,
    };
    world.command(MediaCommand::Move { batch: crate::base::BatchId(5), placements: vec![placement] });
    let Some(MediaReport::Moved { unknown, moved, .. }) = world.reports.last() else { panic!() };
    assert_eq!((unknown.as_slice(), moved.len()), (&[ParticipantId(77)][..], 0));
}

#[test]
fn a_new_connection_replaces_the_old_in_the_same_step() {
    let mut world = meeting(7);
    world.move_to(&[(1, 1), (2, 1)], KindSet::ALL);
    world.pass(50);
    world.say(1, LOUD);
    world.join(1, 1);
    assert!(world.flush().iter().all(|heard| heard.mark().0 != 1), "the old one's packets are gone");
    world.say(1, LOUD);
    assert!(world.flush().iter().any(|heard| heard.listener == 2));
    assert_eq!(world.worker.statistics().participants, PEOPLE);
    assert_eq!(world.worker.statistics().streams, PEOPLE * 4);
}

#[test]
fn a_second_placement_does_not_end_what_the_first_left_on_the_way() {
    let mut world = meeting(8);
    world.group(2, 16, KindSet::NONE);
    world.move_to(&[(1, 1), (2, 2)], KindSet::ALL);
    world.pass(50);
    world.move_to(&[(1, 2)], KindSet::ALL);
    world.pass(2);
    world.move_to(&[(1, 2)], KindSet::ALL);
    world.say(1, LOUD);
    assert!(world.flush().is_empty());
    assert_eq!(world.drops(DropReason::InFlight), 1);
    world.landed(1);
    world.pass(22);
    world.say(1, LOUD);
    assert!(world.flush().iter().any(|heard| heard.listener == 2));
}

/// Somebody in each of two groups, and the first of them, who shares, in between.
fn share_between_groups() -> World {
    let mut world = World::new();
    for group in 1..=2 {
        world.group(group, 6, KindSet::NONE);
    }
    for (id, group) in [(1, 1), (2, 1), (3, 2)] {
        world.join(id, group);
    }
    world
}

#[test]
fn a_repair_of_what_was_sent_before_a_move_goes_nowhere() {
    let mut world = share_between_groups();
    world.show(1, Kind::Share, true);
    let first = world.frame(1, Kind::Share, true);
    world.show(1, Kind::Share, false);
    let second = world.frame(1, Kind::Share, false);
    world.show(1, Kind::Share, false);
    world.flush();
    world.move_to(&[(1, 2)], KindSet::ALL);
    world.landed(1);
    world.rtcp.clear();
    world.pass(50);
    world.hand_in(1, again(&first, 1));
    assert!(world.flush().is_empty(), "it shows the group before");
    assert_eq!(world.drops(DropReason::InFlight), 1);
    assert_eq!(world.asked_again(1), [] as [u16; 0], "nor is it asked for");

    world.show(1, Kind::Share, true);
    world.hand_in(1, again(&second, 2));
    let lost = world.frame(1, Kind::Share, false);
    world.show(1, Kind::Share, false);
    assert_eq!(world.flush().len(), 2, "what is left behind leaves no hole");
    world.pass(30);
    world.flush();
    assert_eq!(world.asked_again(1).len(), 1);
    world.hand_in(1, again(&lost, 3));
    assert!(world.flush().iter().any(|heard| heard.listener == 3), "what was sent here is repaired");
    world.check_conservation();
}

#[test]
fn a_repair_is_of_the_source_that_it_was_for_first() {
    let mut world = share_between_groups();
    let of_another = |mut packet: Vec<u8>| {
        packet[8..12].copy_from_slice(&77_u32.to_be_bytes());
        packet
    };
    world.show(1, Kind::Share, true);
    let lost = world.frame(1, Kind::Share, false);
    world.show(1, Kind::Share, false);
    world.hand_in(1, again(&lost, 1));
    assert_eq!(world.flush().iter().filter(|heard| heard.listener == 2).count(), 3);
    let key = world.worker.by_id[&ParticipantId(1)];
    let session = world.worker.participants.get_mut(key).unwrap().session.as_mut().unwrap();
    let line = session.intake.lines.iter().position(|line| line.kind == Kind::Share).unwrap();
    session.intake.sources.push(Source::new(Ssrc(77), line, false, world.now));
    world.pass(300);
    let began = of_another(world.frame(1, Kind::Share, true));
    let late = world.frame(1, Kind::Share, false);
    let next = of_another(world.frame(1, Kind::Share, false));
    world.hand_in(1, began);
    world.hand_in(1, next);
    assert_eq!(world.flush().iter().filter(|heard| heard.listener == 2).count(), 2);
    world.hand_in(1, again(&late, 2));
    assert!(world.flush().is_empty(), "its number is free in the other source, and means nothing there");
}

#[test]
fn a_source_of_before_a_move_that_takes_over_again_does_not_bring_it_along() {
    let mut world = share_between_groups();
    world.talk(200, &[(1, LOUD)]);
    let late = world.packet(1, Kind::Audio, LOUD, &[0x78]);
    world.move_to(&[(1, 2)], KindSet::ALL);
    world.landed(1);
    let other = |world: &mut World| {
        let mut packet = world.packet(1, Kind::Audio, LOUD, &[0x78]);
        packet[8..12].copy_from_slice(&77_u32.to_be_bytes());
        world.hand_in(1, packet);
        world.flush().iter().filter(|heard| heard.mark().0 == 1 && heard.listener == 3).count()
    };
    world.pass(400);
    assert_eq!(other(&mut world), 1);
    world.pass(300);
    world.hand_in(1, late);
    assert!(world.flush().is_empty(), "it was said in the group before");
    assert_eq!(world.drops(DropReason::InFlight), 1);
    world.pass(300);
    assert_eq!(other(&mut world), 1);
    world.pass(300);
    world.say(1, LOUD);
    assert_eq!(world.flush().len(), 1, "either may speak now");
    world.check_conservation();
}
