//! Rooms on several media workers: both steps of a move, mirrors, and workers that fail.

use std::time::Duration;

use anteroom::base::{GroupId, Kind, WorkerId};
use anteroom::message::{ControlInput, Frame, MediaReport, Method, Role};
use serde_json::{Value, json};

use crate::stories::{enter, entry, invite, make_room, room_id};
use crate::world::{Person, Step, World};

const FIRST: WorkerId = WorkerId(0);
const SECOND: WorkerId = WorkerId(1);
const THIRD: WorkerId = WorkerId(2);

/// Mia, Gus and Otto, each on a worker of their own, and a room that the other two are invited to.
fn hall() -> (World, [Person; 3], String) {
    let mut world = World::wide(3);
    let mia = world.moderator("Mia");
    let gus = world.participant("Gus");
    let otto = world.participant("Otto");
    let room = make_room(&mut world, &mia);
    invite(&mut world, &mia, &[&gus, &otto], &room);
    (world, [mia, gus, otto], room)
}

/// Every worker knows everybody: its own, and the others as they are where they live.
fn all_know_all(world: &World) {
    let view = world.view();
    for seat in view.seats.values() {
        let Some(known) = world.known.get(&seat.participant) else { continue };
        let home = world.homes[&seat.participant];
        for worker in [FIRST, SECOND, THIRD].into_iter().filter(|worker| *worker != home) {
            let mirror = world.mirrors[&(worker, seat.participant)];
            assert_eq!((mirror.group, mirror.epoch), (known.placement.group, known.placement.epoch));
        }
    }
}

#[test]
fn a_room_takes_another_worker_when_one_is_full_and_everybody_is_known_everywhere() {
    let (world, people, _) = hall();
    let home = |person: &Person| world.homes[&world.view().seats[&person.client()].participant];
    let homes: Vec<WorkerId> = people.iter().map(home).collect();
    assert_eq!(homes, [FIRST, SECOND, THIRD]);
    all_know_all(&world);
    assert_eq!(world.mirrors.len(), 6);
}

#[test]
fn nobody_is_placed_before_all_workers_have_revoked_and_nothing_is_acked_before_all_have_placed() {
    let (mut world, [_, gus, _], room) = hall();
    world.manners.moves = false;
    let join = world.send(gus.link, Method::JoinBreakOutRoom, entry(&room));
    for worker in [FIRST, SECOND, THIRD] {
        assert!(world.steps.iter().all(|(_, step)| matches!(step, Step::Revoke(..))));
        assert!(world.step(worker));
    }
    assert_eq!(world.steps.len(), 3);
    for worker in [THIRD, SECOND, FIRST] {
        assert!(world.acks(gus.link, &join).is_empty());
        assert!(world.step(worker));
    }
    assert_eq!(world.ack(gus.link, &join)["result"], 0);
    all_know_all(&world);
}

#[test]
fn everybody_comes_back_from_all_workers_in_one_step() {
    let (mut world, [mia, gus, otto], room) = hall();
    for person in [&gus, &otto] {
        enter(&mut world, person, &room);
    }
    world.manners.moves = false;
    let destroy = world.send(mia.link, Method::DestroyAllBreakOutSession, json!({}));
    while [FIRST, SECOND, THIRD].into_iter().any(|worker| world.step(worker)) {}
    let ack = world.ack(mia.link, &destroy);
    assert_eq!((ack["clients"].as_array().unwrap().len(), &ack["degraded"]), (2, &json!([])));
    all_know_all(&world);
}

#[test]
fn a_worker_that_fails_costs_only_its_own_people_and_their_moves() {
    let (mut world, [mia, gus, otto], room) = hall();
    for person in [&gus, &otto] {
        enter(&mut world, person, &room);
    }
    world.manners.moves = false;
    world.forget_frames();
    let destroy = world.send(mia.link, Method::DestroyAllBreakOutSession, json!({}));
    assert!(world.step(FIRST) && world.step(SECOND));
    world.crash_of(THIRD);
    assert!(world.acks(mia.link, &destroy).is_empty(), "the others are still to be placed");
    assert!(world.step(FIRST) && world.step(SECOND));
    let ack = world.ack(mia.link, &destroy);
    assert_eq!((ack["clients"].as_array().unwrap().len(), &ack["degraded"]), (2, &json!([otto.id])));
    let view = world.view();
    let held = |person: &Person| view.seats[&person.client()].held_until.is_some();
    assert_eq!([held(&mia), held(&gus), held(&otto)], [false, false, true]);
    let lost = view.seats[&otto.client()].participant;
    assert!(world.mirrors.keys().all(|(_, participant)| *participant != lost), "nobody waits for its media");
    assert_eq!(world.mirrors.keys().filter(|(worker, _)| *worker == THIRD).count(), 2);
    world.manners.moves = true;
    let otto = world.come_back(&otto, Some("offer"));
    all_know_all(&world);
    let room = make_room(&mut world, &mia);
    invite(&mut world, &mia, &[&otto], &room);
    enter(&mut world, &otto, &room);
}

#[test]
fn a_worker_that_fails_after_its_people_were_revoked_fails_their_joins_and_no_others() {
    let (mut world, [mia, gus, otto], room) = hall();
    world.manners.moves = false;
    let of_gus = world.send(gus.link, Method::JoinBreakOutRoom, entry(&room));
    let of_otto = world.send(otto.link, Method::JoinBreakOutRoom, entry(&room));
    for worker in [FIRST, SECOND, THIRD] {
        while world.steps.iter().any(|(of, step)| *of == worker && matches!(step, Step::Revoke(..))) {
            assert!(world.step(worker));
        }
    }
    world.crash_of(SECOND);
    assert_eq!(world.ack(gus.link, &of_gus)["result"], 1729);
    while world.step(FIRST) || world.step(THIRD) {}
    assert_eq!(world.ack(otto.link, &of_otto)["result"], 0);
    assert!(world.view().seats[&mia.client()].held_until.is_none());
}

#[test]
fn a_silent_worker_is_fenced_in_either_step_and_no_ack_waits_longer_than_three_seconds() {
    for steps in 0..2 {
        let (mut world, [mia, gus, _], room) = hall();
        world.manners.moves = false;
        let join = world.send(gus.link, Method::JoinBreakOutRoom, entry(&room));
        if steps > 0 {
            world.wait(Duration::from_millis(1_900));
            assert!([FIRST, SECOND, THIRD].into_iter().all(|worker| world.step(worker)));
        }
        assert!(world.step(FIRST) && world.step(SECOND));
        world.wait(Duration::from_millis(2_000 - 1_900 * steps));
        if steps > 0 {
            world.wait(Duration::from_millis(900));
        }
        assert_eq!(world.fenced, [THIRD]);
        while world.step(FIRST) || world.step(SECOND) {}
        assert_eq!(world.ack(gus.link, &join)["result"], 0, "it goes on without the silent one");
        assert!(world.view().seats[&mia.client()].held_until.is_none());
    }
}

#[test]
fn who_comes_anew_is_mirrored_anew_and_who_leaves_is_forgotten_everywhere() {
    let (mut world, [_, gus, otto], _) = hall();
    let participant = world.view().seats[&gus.client()].participant;
    let before = world.mirrors[&(FIRST, participant)].epoch;
    let gus = world.come_back(&gus, Some("offer"));
    assert!(world.mirrors[&(FIRST, participant)].epoch > before);
    all_know_all(&world);
    world.lose_media(&gus);
    assert!(world.mirrors.keys().all(|(_, known)| *known != participant));
    let gus = world.come_back(&gus, Some("offer"));
    all_know_all(&world);
    for person in [&gus, &otto] {
        world.must(person, Method::LeaveRoom, json!({}));
    }
    assert_eq!(world.mirrors.len(), 2, "Mia is left");
    let late = world.join("Late", Role::Participant);
    all_know_all(&world);
    let home = world.homes[&world.view().seats[&late.client()].participant];
    assert_eq!(home, SECOND, "the first worker with room");
}

#[test]
fn a_microphone_that_is_switched_off_on_the_way_is_off_there() {
    let (mut world, [_, gus, _], room) = hall();
    world.manners.moves = false;
    let join = world.send(gus.link, Method::JoinBreakOutRoom, entry(&room));
    world.must(&gus, Method::SetMicrophone, json!({"on": false}));
    while [FIRST, SECOND, THIRD].into_iter().any(|worker| world.step(worker)) {}
    assert_eq!(world.ack(gus.link, &join)["result"], 0);
    assert!(!world.flows(&gus).1.contains(Kind::Audio));
    world.must(&gus, Method::SetMicrophone, json!({"on": true}));
    assert!(world.flows(&gus).1.contains(Kind::Audio));
}

#[test]
fn who_was_brought_home_without_its_worker_is_told_of_to_those_who_were_moved() {
    let (mut world, [mia, gus, otto], room) = hall();
    for person in [&gus, &otto] {
        enter(&mut world, person, &room);
    }
    world.crash_of(THIRD);
    world.forget_frames();
    world.must(&mia, Method::DestroyAllBreakOutSession, json!({}));
    let mut away: Vec<String> = Vec::new();
    for (name, data) in world.take(gus.link).into_iter().filter_map(event) {
        match name {
            "didDisconnectedBreakoutRoom" => away = serde_json::from_value(data["away"].clone()).unwrap(),
            "didUserResumed" => away.retain(|client| data["clientId"] != **client),
            _ => {}
        }
    }
    assert_eq!(away, Vec::<String>::new(), "Otto is back, too: {}", otto.id);
}

fn event(frame: Frame) -> Option<(&'static str, Value)> {
    match frame {
        Frame::Event { event, data, .. } => Some((event, Value::clone(&data))),
        Frame::Ack { .. } => None,
    }
}

#[test]
fn who_reconnects_in_the_middle_of_a_move_is_connected_where_it_led() {
    // Two steps of three workers; Gus comes with a new connection before any, between two, or behind the last.
    for done in 0..6 {
        let (mut world, [_, gus, _], room) = hall();
        world.manners.moves = false;
        let join = world.send(gus.link, Method::JoinBreakOutRoom, entry(&room));
        let steps = [FIRST, SECOND, THIRD, SECOND, FIRST, THIRD];
        for worker in &steps[..done] {
            assert!(world.step(*worker));
        }
        let participant = world.view().seats[&gus.client()].participant;
        let before = world.known[&participant].placement;
        let link = world.open("back", Role::Participant);
        let back = world.send(link, Method::JoinRoom, json!({"resume": gus.resume, "sdp": "offer"}));
        for worker in &steps[done..] {
            assert_eq!(world.acks(link, &back).len(), 0, "it waits, after {done} steps");
            assert!(world.step(*worker));
        }
        assert_eq!(world.acks(gus.link, &join)[0].2["result"], 0);
        let ack = world.ack(link, &back);
        assert_eq!(
            (&ack["result"], &ack["room"]["room_id"]),
            (&json!(0), &json!(room)),
            "after {done} steps"
        );
        let placement = world.known[&participant].placement;
        assert!(placement.epoch > before.epoch && ack["epoch"] == placement.epoch.0);
        assert_eq!(world.view().media[&gus.client()].group, Some(placement.group), "after {done} steps");
        assert_eq!(world.view().seats[&gus.client()].breakout(), Some(room_id(&room)));
        let gus = world.seated(link, &ack);

        let (epoch, group) = (placement.epoch, placement.group);
        world.report(MediaReport::Slots { participant, epoch, group, slots: vec![] });
        assert_eq!(world.told(&gus, "slots").len(), 1);
        world.landed.clear();
        world.input(ControlInput::Told { link: gus.link, epoch });
        assert_eq!(world.landed, [(participant, epoch)]);
        let again = world.open("back", Role::Participant);
        let ack = world.ask(again, Method::JoinRoom, json!({"resume": gus.resume}));
        assert_eq!((&ack["epoch"], &ack["slots"]), (&json!(epoch.0), &json!([])));
    }
}

#[test]
fn who_reconnects_while_others_are_brought_back_is_back_with_them() {
    let (mut world, [mia, gus, otto], room) = hall();
    for person in [&gus, &otto] {
        enter(&mut world, person, &room);
    }
    // Otto's worker is gone, so that no worker has to bring Otto back; Gus's is slow.
    world.crash_of(THIRD);
    world.manners.moves = false;
    let clear = world.send(mia.link, Method::ClearAllBreakOutSession, json!({}));
    let link = world.open("back", Role::Participant);
    let back = world.send(link, Method::JoinRoom, json!({"resume": otto.resume, "sdp": "offer"}));
    assert_eq!(world.acks(link, &back).len(), 0, "Otto is neither in the room nor back");
    for worker in [FIRST, SECOND, THIRD, FIRST, SECOND, THIRD] {
        world.step(worker);
    }
    assert_eq!(world.acks(mia.link, &clear).len(), 1);
    let ack = world.ack(link, &back);
    assert_eq!((&ack["result"], &ack["room"]["me"]["isBreakOutRoom"]), (&json!(0), &json!(false)));
}

#[test]
fn a_reconnection_that_waits_is_forgotten_with_its_link() {
    let (mut world, [_, gus, _], room) = hall();
    world.manners.moves = false;
    world.send(gus.link, Method::JoinBreakOutRoom, entry(&room));
    world.wait(Duration::from_millis(1_500));
    for worker in [FIRST, SECOND, THIRD] {
        assert!(world.step(worker));
    }
    let link = world.open("back", Role::Participant);
    let back = world.send(link, Method::JoinRoom, json!({"resume": gus.resume, "sdp": "offer"}));
    world.close(link);
    assert_eq!(world.acks(link, &back).len(), 0);
    // Nobody's wish is in the way of the next.
    let other = world.open("again", Role::Participant);
    let again = world.send(other, Method::JoinRoom, json!({"resume": gus.resume, "sdp": "offer"}));
    assert_eq!(world.acks(other, &again).len(), 0, "it waits, and is not refused");
    for worker in [FIRST, SECOND, THIRD] {
        assert!(world.step(worker));
    }
    assert_eq!(world.ack(other, &again)["result"], 0);
}

#[test]
fn who_gives_up_a_reconnection_that_waits_keeps_the_connection_that_is_there() {
    let (mut world, [_, gus, _], room) = hall();
    world.manners.moves = false;
    let join = world.send(gus.link, Method::JoinBreakOutRoom, entry(&room));
    let link = world.open("back", Role::Participant);
    world.send(link, Method::JoinRoom, json!({"resume": gus.resume, "sdp": "offer"}));
    world.close(link);
    for worker in [FIRST, SECOND, THIRD, FIRST, SECOND, THIRD] {
        assert!(world.step(worker));
    }
    assert_eq!(world.ack(gus.link, &join)["result"], 0);
    let seat = &world.view().seats[&gus.client()];
    assert_eq!(seat.breakout(), Some(room_id(&room)));
    let epoch = world.known[&seat.participant].placement.epoch.0;
    assert_eq!(world.told(&gus, "slots")[0]["epoch"], epoch, "no other connection");
}

#[test]
fn a_worker_that_answers_no_offer_is_fenced_unless_it_is_only_busy() {
    for busy in [false, true] {
        let (mut world, [mia, ..], _) = hall();
        world.manners.answers = false;
        let link = world.open("Late", Role::Participant);
        let join = world.send(link, Method::JoinRoom, json!({"sdp": "offer"}));
        world.wait(Duration::from_millis(2_500));
        if busy {
            for worker in [FIRST, SECOND, THIRD] {
                let talkers = MediaReport::Talkers { group: GroupId(0), talkers: Vec::new() };
                world.report_from(worker, talkers);
            }
        }
        world.wait(Duration::from_millis(600));
        assert_eq!(world.ack(link, &join)["result"], 1729);
        assert_eq!(world.fenced.len(), usize::from(!busy));
        assert!(world.view().seats.contains_key(&mia.client()));
    }
}

#[test]
fn a_switch_between_the_steps_holds_when_only_one_worker_is_left() {
    let mut world = World::wide(2);
    let mia = world.moderator("Mia");
    let gus = world.participant("Gus");
    let otto = world.participant("Otto");
    let room = make_room(&mut world, &mia);
    invite(&mut world, &mia, &[&otto], &room);
    let home = world.homes[&world.view().seats[&otto.client()].participant];
    let other = if home == FIRST { SECOND } else { FIRST };
    assert_ne!(world.homes[&world.view().seats[&gus.client()].participant], home, "both are in use");
    world.manners.moves = false;
    let join = world.send(otto.link, Method::JoinBreakOutRoom, entry(&room));
    assert!(world.step(home));
    world.must(&otto, Method::SetMicrophone, json!({"on": false}));
    world.crash_of(other);
    assert!(world.step(home));
    assert_eq!(world.ack(otto.link, &join)["result"], 0);
    assert!(!world.flows(&otto).1.contains(Kind::Audio), "a microphone that is off is heard");
}
