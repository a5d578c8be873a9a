//! How copies leave: together, padded, held, spread.

use super::world::{Heard, LOUD, World};
use crate::base::{Kind, KindSet};
use crate::media::DropReason;

/// Three who talk, and a fourth who listens; all are bound.
fn meeting(hold_ms: u64) -> World {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    for id in 1..=4 {
        world.join(id, 1);
    }
    world.talk(200, &[(1, LOUD), (2, LOUD), (3, LOUD)]);
    world.worker.settings.media.hold_ms = hold_ms;
    world
}

/// The three say words of different lengths, a millisecond apart; answers what left meanwhile.
fn speak(world: &mut World) -> Vec<Heard> {
    let mut heard = Vec::new();
    for id in 1..=3_u8 {
        let packet = world.packet(u64::from(id), Kind::Audio, LOUD, &vec![0x78; 10 * usize::from(id)]);
        world.hand_in(u64::from(id), packet);
        heard.extend(world.flush());
        world.pass(1);
    }
    heard
}

fn of_listener(heard: &[Heard]) -> Vec<u64> {
    heard.iter().filter(|heard| heard.listener == 4).map(|heard| heard.mark().0).collect()
}

#[test]
fn what_is_held_leaves_in_one_call_padded_to_one_size() {
    let mut world = meeting(5);
    let calls = world.worker.statistics().transmits;
    assert!(speak(&mut world).is_empty(), "held");
    world.pass(2);
    let heard = world.flush();
    assert_eq!(of_listener(&heard), [1, 2, 3]);
    let sizes: Vec<usize> =
        heard.iter().filter(|heard| heard.listener == 4).map(|heard| heard.bytes.len()).collect();
    assert_eq!(sizes[0], sizes[1]);
    assert_eq!(world.worker.statistics().transmits, calls + 4, "one call for each who hears somebody");
    world.check_conservation();
}

#[test]
fn nothing_is_held_unless_the_operator_wants_it() {
    let mut world = meeting(0);
    assert_eq!(of_listener(&speak(&mut world)), [1, 2, 3]);
}

#[test]
fn nothing_is_held_across_a_move() {
    let mut world = meeting(20);
    world.group(2, 6, KindSet::NONE);
    assert!(speak(&mut world).is_empty());
    world.move_to(&[(3, 2)], KindSet::ALL);
    let heard = world.flush();
    assert_eq!(of_listener(&heard), [1, 2], "the mover's words are gone, the others' leave at once");
    assert!(heard.iter().all(|heard| heard.listener != 3 && heard.mark().0 != 3));
    world.check_conservation();
}

#[test]
fn words_that_are_too_different_are_not_padded() {
    let mut world = meeting(5);
    for (id, len) in [(1, 10), (2, 160)] {
        let packet = world.packet(id, Kind::Audio, LOUD, &vec![0x78; len]);
        world.hand_in(id, packet);
    }
    world.pass(6);
    let heard = world.flush();
    let sizes: Vec<usize> =
        heard.iter().filter(|heard| heard.listener == 4).map(|heard| heard.bytes.len()).collect();
    assert_eq!(sizes[1] - sizes[0], 150);
}

#[test]
fn a_burst_of_pictures_is_spread_and_sound_passes_by() {
    let mut world = meeting(0);
    world.show(1, Kind::Share, true);
    world.flush();
    world.pass(10);
    world.show(1, Kind::Share, true);
    for _ in 0..149 {
        world.show(1, Kind::Share, false);
    }
    let pictures = |heard: &[Heard]| heard.iter().filter(|heard| heard.listener == 4).count();
    assert_eq!(pictures(&world.flush()), 64);
    world.pass(2);
    world.say(2, LOUD);
    assert_eq!(of_listener(&world.flush()), [2], "sound does not wait");
    world.pass(3);
    assert_eq!(pictures(&world.flush()), 64);
    world.pass(5);
    assert_eq!(pictures(&world.flush()), 150 - 128);
    world.pass(5);
    assert_eq!(world.flush().len(), 0);
    assert_eq!(world.drops(DropReason::QueueFull), 0);
    world.check_conservation();
}

#[test]
fn more_full_pictures_than_one_call_takes_leave_with_the_next() {
    let mut world = meeting(0);
    world.show(1, Kind::Share, true);
    world.flush();
    world.pass(10);
    let calls = world.worker.statistics().transmits;
    for _ in 0..64 {
        let packet = world.packet(1, Kind::Share, LOUD, &[0x10; 1_200]);
        world.hand_in(1, packet);
    }
    let heard = world.flush();
    assert_eq!(heard.iter().filter(|heard| heard.listener == 4).count(), 64);
    assert_eq!(world.drops(DropReason::NotSealed), 0);
    assert_eq!(world.worker.statistics().transmits, calls + 3 * 2);
    world.check_conservation();
}

#[test]
fn a_packet_that_an_interface_may_not_take_is_no_part_of_a_run() {
    let mut world = meeting(0);
    world.show(1, Kind::Share, true);
    world.flush();
    world.pass(10);
    let calls = world.worker.statistics().transmits;
    for _ in 0..2 {
        let packet = world.packet(1, Kind::Share, LOUD, &[0x10; 1_430]);
        world.hand_in(1, packet);
    }
    assert_eq!(world.flush().len(), 2 * 3);
    assert_eq!(world.worker.statistics().transmits, calls + 2 * 3);
    for (id, len) in [(1, 1_300), (2, 1_420)] {
        let packet = world.packet(id, Kind::Audio, LOUD, &vec![0x78; len]);
        world.hand_in(id, packet);
    }
    let heard = world.flush();
    let sizes: Vec<usize> =
        heard.iter().filter(|heard| heard.listener == 4).map(|heard| heard.bytes.len()).collect();
    assert_eq!(sizes[1] - sizes[0], 120, "nor is anything padded to its length");
    world.check_conservation();
}

#[test]
fn handshakes_wait_for_media_and_are_taken_one_by_one() {
    let mut world = meeting(0);
    let drops = world.drops(DropReason::OverRate);
    for _ in 0..20 {
        world.hand_in(2, vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    assert_eq!(world.drops(DropReason::OverRate), drops + 4, "more than wait for one");
    world.say(1, LOUD);
    assert_eq!(world.flush().len(), 3, "what came behind them has left before");
    for waiting in (0..16).rev() {
        assert_eq!(world.worker.poll_timeout().unwrap(), world.now, "{waiting} wait");
        world.worker.handle_timeout(world.now);
    }
    assert!(world.worker.poll_timeout().is_none_or(|at| at > world.now));
    world.hand_in(2, vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(world.drops(DropReason::OverRate), drops + 4, "there is room again");
}

#[test]
fn handshakes_of_a_connection_that_was_replaced_are_nobodys() {
    let mut world = meeting(0);
    let hello = || vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    (0..3).for_each(|_| world.hand_in(2, hello()));
    world.join(2, 1);
    (0..16).for_each(|_| world.hand_in(2, hello()));
    let (over, unknown) = (world.drops(DropReason::OverRate), world.drops(DropReason::UnknownSource));
    (0..3).for_each(|_| world.worker.handle_timeout(world.now));
    assert_eq!(world.drops(DropReason::UnknownSource), unknown + 3);
    world.hand_in(2, hello());
    assert_eq!(world.drops(DropReason::OverRate), over + 1, "sixteen of the new one wait");
    world.hand_in(2, vec![22; 2_049]);
    assert_eq!(world.drops(DropReason::Malformed), 1, "no flight has one as long");
}
