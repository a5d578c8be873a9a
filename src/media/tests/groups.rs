//! Who hears whom, and for how long.

use super::world::{Client, LOUD, SILENT, World};
use crate::base::{GroupId, Kind, KindSet, ParticipantId};
use crate::media::DropReason;
use crate::message::{MediaCommand, MediaReport};
use crate::wire::sequence::SequenceUnwrapper;

#[test]
fn in_a_small_group_everybody_is_bound_before_the_first_word() {
    let mut world = World::new();
    world.group(1, 3, KindSet::NONE);
    for id in 1..=4 {
        world.join(id, 1);
    }
    assert_eq!(world.bound(1, Kind::Audio), [2, 3, 4]);
    world.say(2, SILENT);
    let heard = world.flush();
    let mut listeners: Vec<u64> = heard.iter().map(|heard| heard.listener).collect();
    listeners.sort_unstable();
    assert_eq!(listeners, [1, 3, 4]);
    assert!(heard.iter().all(|heard| heard.view().marker()), "a talk spurt starts");
    world.say(2, SILENT);
    assert!(world.flush().iter().all(|heard| !heard.view().marker()));
    world.check_conservation();
}

#[test]
fn a_listener_hears_the_loudest_others_and_never_itself() {
    let mut world = World::new();
    world.group(1, 2, KindSet::NONE);
    for id in 1..=6 {
        world.join(id, 1);
    }
    let levels: Vec<(u64, u8)> = vec![(1, 90), (2, 90), (3, 40), (4, 30), (5, 20), (6, 90)];
    world.talk(4_000, &levels);
    assert_eq!(world.bound(1, Kind::Audio), [4, 5]);
    assert_eq!(world.bound(5, Kind::Audio), [3, 4]);
    assert_eq!(world.bound(4, Kind::Audio), [3, 5]);
    let heard = world.talk(200, &levels);
    assert!(heard.iter().all(|heard| heard.mark().0 != heard.listener));
    let talkers = world.reports.iter().rev().find_map(|report| match report {
        MediaReport::Talkers { talkers, .. } => Some(talkers.clone()),
        _ => None,
    });
    let names: Vec<_> = talkers.unwrap().iter().map(|talker| talker.participant).collect();
    assert_eq!(names, [ParticipantId(5), ParticipantId(4)]);
    world.check_conservation();
}

#[test]
fn few_slots_hear_few() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    world.join_as(1, 1, KindSet::ALL, Client { audio_slots: 1, ..Client::default() });
    for id in 2..=4 {
        world.join(id, 1);
    }
    assert_eq!(world.bound(1, Kind::Audio).len(), 1);
    assert_eq!(world.bound(2, Kind::Audio).len(), 3);
}

#[test]
fn without_levels_sound_counts_and_silence_does_not() {
    let mut world = World::new();
    world.group(1, 1, KindSet::NONE);
    for id in 1..=3 {
        world.join(id, 1);
    }
    let quiet = Client { levels: false, ..Client::default() };
    world.join_as(4, 1, KindSet::ALL, quiet.clone());
    world.join_as(5, 1, KindSet::ALL, quiet);
    for _ in 0..100 {
        world.say(4, SILENT);
        let mut dtx = world.packet(5, Kind::Audio, SILENT, &[]);
        let len = dtx.len();
        dtx.truncate(len - 22);
        world.hand_in(5, dtx);
        world.flush();
        world.pass(20);
    }
    assert_eq!(world.bound(1, Kind::Audio), [4]);
}

#[test]
fn talkers_are_told_when_they_change_and_not_too_often() {
    let mut world = World::new();
    world.group(1, 3, KindSet::NONE);
    for id in 1..=3 {
        world.join_as(id, 1, KindSet::of(&[Kind::Audio]), Client::default());
    }
    for turn in 0..40 {
        let (a, b) = if turn % 2 == 0 { (LOUD, SILENT) } else { (SILENT, LOUD) };
        world.talk(100, &[(1, a), (2, b)]);
    }
    let told = world.reports.iter().filter(|report| matches!(report, MediaReport::Talkers { .. })).count();
    assert!((2..=20).contains(&told), "{told} in 4 s");
    world.pass(3_000);
    let last = world.reports.iter().rev().find_map(|report| match report {
        MediaReport::Talkers { talkers, .. } => Some(talkers.len()),
        _ => None,
    });
    assert_eq!(last, Some(0), "when everybody is silent that is told too");
    assert_eq!(world.worker.poll_timeout(), None, "a silent worker sleeps");
}

#[test]
fn an_ended_group_binds_nobody() {
    let mut world = World::new();
    world.group(1, 3, KindSet::NONE);
    world.join(1, 1);
    world.join(2, 1);
    world.say(1, LOUD);
    world.command(MediaCommand::EndGroup(GroupId(1)));
    assert!(world.flush().is_empty());
    world.say(1, LOUD);
    assert!(world.flush().is_empty());
    assert_eq!(world.drops(DropReason::NoGroup), 1);
    world.check_conservation();
}

#[test]
fn a_hundred_return_in_one_step() {
    let mut world = World::new();
    for group in 1..=11 {
        world.group(group, 6, KindSet::NONE);
    }
    for id in 1..=100 {
        world.join(id, 2 + id % 10);
    }
    world.reports.clear();
    let moves: Vec<_> = (1..=100).map(|id| (id, 1)).collect();
    let moved = world.move_to(&moves, KindSet::ALL);
    assert_eq!(moved.len(), 100);
    assert!(moved.iter().all(|moved| moved.slots.iter().any(|slot| slot.publisher.is_some())));
    let reports = world.reports.len();
    assert_eq!(reports, 1, "one report, and nobody's slots are told twice");
    let groups = &world.worker.groups;
    assert_eq!(groups[&GroupId(1)].members.len(), 100);
    assert!((2..=11).all(|group| groups[&GroupId(group)].members.is_empty()));
}

#[test]
fn what_is_gone_leaves_nothing() {
    let mut world = World::new();
    world.group(1, 3, KindSet::NONE);
    for id in 1..=5 {
        world.join(id, 1);
    }
    world.talk(100, &[(1, LOUD), (2, LOUD)]);
    for id in 1..=5 {
        world.command(MediaCommand::Disconnect(ParticipantId(id)));
    }
    world.command(MediaCommand::EndGroup(GroupId(1)));
    let statistics = world.worker.statistics();
    assert_eq!((statistics.participants, statistics.groups, statistics.streams), (0, 0, 0));
    assert_eq!(world.worker.demux.len(), 0);
    assert!(world.worker.own_ssrcs.is_empty());
    assert!(world.worker.to_tell.is_empty());
    world.flush();
    world.check_conservation();
}

#[test]
fn a_packet_from_an_unknown_address_is_nobodys() {
    let mut world = World::new();
    world.group(1, 3, KindSet::NONE);
    world.join(1, 1);
    world.join(2, 1);
    let mut packet = world.packet(1, Kind::Audio, LOUD, &[1]);
    let stranger = crate::transport::Path::new(([127, 0, 0, 1], 9).into(), None);
    world.worker.handle_datagram(world.now, stranger, &mut packet);
    assert!(world.flush().is_empty());
    assert_eq!(world.drops(DropReason::UnknownSource), 1);
    assert_eq!(world.worker.statistics().media_in, 0);
}

#[test]
fn a_run_to_one_listener_is_one_transmit() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    for id in 1..=5 {
        world.join(id, 1);
    }
    for id in 2..=5 {
        world.say(id, LOUD);
    }
    let heard = world.flush();
    assert_eq!(heard.len(), 16);
    assert_eq!(world.worker.statistics().transmits, 5);
}

#[test]
fn what_changes_while_control_takes_no_reports_is_told_once_and_as_it_is() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    (1..=3).for_each(|id| world.join(id, 1));
    let (participant, epoch) = (ParticipantId(1), world.people[&1].epoch);
    for turn in 0..1_000 {
        let publish = if turn % 2 == 0 { KindSet::NONE } else { KindSet::of(&[Kind::Share]) };
        world.worker.handle_command(world.now, MediaCommand::SetPublish { participant, epoch, publish });
        world.worker.end_batch(world.now);
    }
    let told: Vec<MediaReport> = std::iter::from_fn(|| world.worker.poll_report()).collect();
    assert_eq!(told.len(), 2, "one for each who sees it");
    for report in told {
        let MediaReport::Slots { slots, .. } = report else { panic!("{report:?}") };
        assert!(slots.iter().any(|slot| slot.publisher == Some((participant, Kind::Share))));
    }
}

/// So that who hears nothing for a while can open what comes afterwards (RFC 3711 appendix A).
#[test]
fn numbers_of_sound_close_up_for_who_is_not_heard_before_they_wrap() {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    (1..=3).for_each(|id| world.join(id, 1));
    let mut unwrappers = [SequenceUnwrapper::new(), SequenceUnwrapper::new()];
    let mut newest = [0; 2];
    // A second of sound behind as many numbers as one may leave out; how many of each listener's slot went by.
    let mut second = |world: &mut World| {
        let before = newest;
        let sending = world.people.get_mut(&1).unwrap().sending.get_mut(&Kind::Audio);
        sending.into_iter().for_each(|sending| sending.sequence = sending.sequence.wrapping_add(700));
        for _ in 0..50 {
            world.say(1, LOUD);
            for heard in world.flush().iter().filter(|heard| heard.mark().0 == 1) {
                let at = usize::from(heard.listener == 3);
                newest[at] = unwrappers[at].unwrap(heard.view().sequence());
            }
            world.pass(20);
        }
        world.say(3, SILENT);
        world.flush();
        [newest[0] - before[0], newest[1] - before[1]]
    };
    second(&mut world);
    let gone: Vec<[u64; 2]> = (0..60).map(|_| second(&mut world)).collect();
    assert_eq!(gone[0], [750, 750]);
    assert_eq!(gone[59], [50, 750], "who is heard goes on");
    assert!(gone.iter().map(|gone| gone[0]).sum::<u64>() < 20_000, "{gone:?}");
    world.say(2, SILENT);
    world.flush();
    world.pass(50);
    assert_eq!(second(&mut world), [750, 750]);
}
