//! Pause, mute and the own switches: zero packets.

use super::world::{LOUD, World};
use crate::base::{Kind, KindSet, ParticipantId};
use crate::media::DropReason;
use crate::message::MediaCommand;

fn pair() -> World {
    let mut world = World::new();
    world.group(1, 6, KindSet::NONE);
    world.join(1, 1);
    world.join(2, 1);
    world
}

fn set_publish(world: &mut World, id: u64, publish: KindSet) {
    let epoch = world.people[&id].epoch;
    world.command(MediaCommand::SetPublish { participant: ParticipantId(id), epoch, publish });
}

#[test]
fn a_muted_group_is_silent_and_shows_no_gap_afterwards() {
    let mut world = pair();
    world.say(1, LOUD);
    let before = world.flush()[0].view().sequence();
    world.say(1, LOUD);
    world.group(1, 6, KindSet::of(&[Kind::Audio]));
    assert!(world.flush().is_empty(), "what waited goes too");
    for _ in 0..50 {
        world.say(1, LOUD);
        assert!(world.flush().is_empty());
        world.pass(20);
    }
    assert_eq!(world.drops(DropReason::Blocked), 50);
    world.group(1, 6, KindSet::NONE);
    world.say(1, LOUD);
    let heard = world.flush();
    assert_eq!(heard[0].view().sequence(), before.wrapping_add(1));
    assert!(heard[0].view().marker());
    world.check_conservation();
}

#[test]
fn only_the_kinds_that_are_allowed_pass() {
    let mut world = pair();
    set_publish(&mut world, 1, KindSet::of(&[Kind::Share]));
    world.say(1, LOUD);
    world.show(1, Kind::Share, true);
    world.show(1, Kind::Video, true);
    let heard = world.flush();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].view().payload_type(), 120);
    assert_eq!(world.drops(DropReason::NotAllowed), 2);
    set_publish(&mut world, 1, KindSet::NONE);
    world.show(1, Kind::Share, true);
    assert!(world.flush().is_empty());
}

#[test]
fn a_stale_permission_has_no_effect() {
    let mut world = pair();
    let epoch = crate::base::Epoch(world.people[&1].epoch.0 - 1);
    let publish = KindSet::NONE;
    world.command(MediaCommand::SetPublish { participant: ParticipantId(1), epoch, publish });
    world.say(1, LOUD);
    assert_eq!(world.flush().len(), 1);
}

#[test]
fn a_resumed_share_is_asked_for_a_keyframe_and_waits_for_it() {
    let mut world = pair();
    set_publish(&mut world, 1, KindSet::of(&[Kind::Share]));
    world.show(1, Kind::Share, true);
    world.flush();
    world.group(1, 6, KindSet::ALL);
    world.pass(1_000);
    world.show(1, Kind::Share, false);
    world.flush();
    let asked = world.asked_for_keyframes(1);
    world.group(1, 6, KindSet::NONE);
    world.show(1, Kind::Share, false);
    assert!(world.flush().is_empty());
    assert_eq!(world.asked_for_keyframes(1), asked + 1);
    world.show(1, Kind::Share, true);
    assert_eq!(world.flush().len(), 1);
}
