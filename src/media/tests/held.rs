//! What a network holds up for seconds stays with those to whom it was said.

use std::collections::VecDeque;

use super::world::{LOUD, World};
use crate::base::{GroupId, Kind, KindSet, ParticipantId};
use crate::media::silence::Sign;
use crate::message::SrtpProfile;

/// Somebody talks all the time, a network holds everything up for `stall_ms`, somebody is moved a second into
/// that, and then comes what was held: of each step of 20 ms, as many packets as `drain` says. Answers how long
/// after the last of them the new room hears.
fn moved_while_held(stall_ms: u64, talks_for_ms: u64, drain: impl Fn(u64) -> f64) -> u64 {
    let mut world = World::from_seed(stall_ms);
    (1..=2).for_each(|group| world.group(group, 16, KindSet::NONE));
    (1..=3).for_each(|id| world.join(id, 1 + u64::from(id > 1)));
    world.landed(1);
    // It is there.
    world.show(1, Kind::Share, true);
    world.talk(talks_for_ms, &[(1, LOUD)]);
    let (mut queue, mut allowed, mut emptied_at) = (VecDeque::new(), 0.0, None);
    for step in 0..10_000 {
        if step == 50 {
            world.move_to(&[(1, 2)], KindSet::ALL);
        }
        queue.push_back(world.packet(1, Kind::Audio, LOUD, &[0x78]));
        if step >= stall_ms / 20 {
            allowed = f64::min(allowed + drain(step - stall_ms / 20), 1_000.0);
            while allowed >= 1.0 && !queue.is_empty() {
                allowed -= 1.0;
                let packet = queue.pop_front().unwrap();
                world.hand_in(1, packet);
                let heard = world.flush();
                assert!(
                    heard.iter().all(|heard| heard.mark().1 == 2 && world.people[&heard.listener].group == GroupId(2)),
                    "{stall_ms} ms, step {step}: {} waited",
                    queue.len()
                );
                if let Some(at) = emptied_at.filter(|_| !heard.is_empty()) {
                    return (step - at) * 20;
                }
            }
            if queue.is_empty() && emptied_at.is_none() {
                emptied_at = Some(step);
                world.landed(1);
            }
        }
        world.flush();
        world.pass(20);
    }
    panic!("{stall_ms} ms: nobody heard anything again, {} wait", queue.len());
}

#[test]
fn a_queue_of_seconds_never_empties_into_the_next_room() {
    for stall in [2_500, 4_000, 8_000, 25_000] {
        for drain in [1_000.0, 10.0, 1.5, 1.2] {
            let silent = moved_while_held(stall, 2_000, |_| drain);
            assert!(silent <= 1_200, "{stall} ms at {drain}: {silent} ms");
        }
    }
}

#[test]
fn nor_does_one_that_empties_bit_by_bit() {
    for pause in [40, 50, 90, 200] {
        let silent = moved_while_held(8_000, 2_000, |step| if step % pause < 10 { 30.0 } else { 0.0 });
        assert!(silent <= 6_000, "{pause}: {silent} ms");
    }
}

#[test]
fn nor_the_first_words_of_somebody() {
    for stall in [4_000, 8_000, 25_000] {
        for drain in [1_000.0, 1.5] {
            let silent = moved_while_held(stall, 0, |_| drain);
            assert!(silent <= 1_200, "{stall} ms at {drain}: {silent} ms");
        }
    }
}

#[test]
fn a_handshake_that_takes_long_holds_no_words_up() {
    let mut world = World::new();
    (1..=2).for_each(|group| world.group(group, 6, KindSet::NONE));
    (1..=2).for_each(|id| world.join(id, id));
    world.move_to(&[(1, 2)], KindSet::ALL);
    let key = world.worker.by_id[&ParticipantId(1)];
    let session = world.worker.participants.get_mut(key).unwrap().session.as_mut().unwrap();
    let path = session.leg.path().unwrap();
    session.silences.end(path, Sign::Media, world.now, world.now);
    world.pass(700);
    world.worker.come_up(world.now, key, SrtpProfile::AeadAes128Gcm);
    world.say(1, LOUD);
    assert_eq!(world.flush().len(), 1, "before it was up, it could not speak");
}

#[test]
fn nor_does_one_that_is_held_up_again() {
    for (from, until) in [(20, 120), (50, 200), (100, 160), (150, 400)] {
        let silent =
            moved_while_held(4_000, 2_000, |step| if (from..until).contains(&step) { 0.0 } else { 4.0 });
        assert!(silent <= 6_000, "{from} to {until}: {silent} ms");
    }
}
