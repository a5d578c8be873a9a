//! Numbers of changes, replay, snapshots, and repeats of requests.

use std::time::Duration;

use anteroom::control::Audience;
use anteroom::message::{Frame, Method, Request};
use serde_json::{Value, json};

use crate::stories::{enter, force, invite, make_room, plan, with};
use crate::world::{Person, ROOM, World};

/// The events that somebody was sent, as `replay` shows them.
fn events(frames: Vec<Frame>) -> Vec<Value> {
    let event = |frame: Frame| match frame {
        Frame::Event { seq, prev, event, data } => {
            Some(json!({"seq": seq, "prev": prev, "event": event, "data": data}))
        }
        Frame::Ack { .. } => None,
    };
    frames.into_iter().filter_map(event).collect()
}

fn busy_meeting(world: &mut World) -> (Person, Person) {
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(world, &moderator);
    invite(world, &moderator, &[&guest], &room);
    enter(world, &guest, &room);
    world.must(&guest, Method::StartScreenShare, json!({}));
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    (moderator, guest)
}

#[test]
fn numbers_have_no_gaps_and_each_person_has_a_chain() {
    let mut world = World::default();
    let (moderator, guest) = busy_meeting(&mut world);
    let logged: Vec<u64> = world.control.events(ROOM, 1).map(|logged| logged.seq).collect();
    assert_eq!(logged, (1..=world.view().seq).collect::<Vec<_>>());
    assert!(world.control.events(ROOM, 1).any(|logged| logged.audience == Audience::Nobody));
    for person in [&moderator, &guest] {
        let mut last = 0;
        for event in events(world.take(person.link)) {
            assert_eq!(event["prev"], last);
            last = event["seq"].as_u64().unwrap();
        }
        assert!(last > 0);
    }
}

#[test]
fn replay_is_exactly_what_was_sent() {
    let mut world = World::default();
    let (_, guest) = busy_meeting(&mut world);
    let sent = events(world.take(guest.link));
    let replayed = world.must(&guest, Method::Replay, json!({"from_seq": 0}));
    assert_eq!(replayed["events"], json!(sent));
    let from = sent[3]["seq"].clone();
    let replayed = world.must(&guest, Method::Replay, json!({"from_seq": from}));
    assert_eq!(replayed["events"], json!(sent[3..]));
    assert_eq!(world.code(&guest, Method::Replay, json!({})), 1734);
    assert_eq!(world.code(&guest, Method::Replay, json!({"from_seq": -1})), 1734);
}

#[test]
fn what_was_missed_is_replayed_after_the_return() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    world.close(guest.link);
    world.must(&moderator, Method::SetMicrophone, json!({"on": false}));
    let seq = world.view().seq;
    let guest = world.come_back(&guest, None);
    world.must(&moderator, Method::SetMicrophone, json!({"on": true}));
    let next = events(world.take(guest.link)).remove(0);
    assert_eq!(next["prev"], seq, "the client sees that it missed something");
    let replayed = world.must(&guest, Method::Replay, json!({"from_seq": seq}));
    assert_eq!(replayed["events"][0]["event"], "didMicrophoneChanged");
    assert_eq!(replayed["events"][1], next);
}

#[test]
fn older_than_the_log_is_a_snapshot() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    world.must(&moderator, Method::SetMicrophone, json!({"on": false}));
    let old = world.view().seq;
    world.wait(Duration::from_secs(601));
    world.must(&moderator, Method::SetMicrophone, json!({"on": true}));
    let ack = world.must(&guest, Method::Replay, json!({"from_seq": old}));
    assert_eq!(ack["snapshot"]["seq"], world.view().seq);
    assert!(ack["epoch"].as_u64().is_some() && !ack["slots"].as_array().unwrap().is_empty(), "{ack}");
    let ack = world.must(&guest, Method::Replay, json!({"from_seq": old + 1}));
    assert_eq!((&ack["events"][0]["seq"], &ack["events"][0]["prev"]), (&json!(old + 1), &json!(old)));
}

#[test]
fn more_than_an_answer_should_hold_is_a_snapshot() {
    let mut world = World::default();
    world.checks = false;
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let start = world.view().seq;
    for number in 0..2_000 {
        world.must(&moderator, Method::SetMicrophone, json!({"on": number % 2 == 1}));
        world.wait(Duration::from_millis(100));
        world.forget_frames();
    }
    let ack = world.must(&guest, Method::Replay, json!({"from_seq": start + 1}));
    assert_eq!(ack["events"].as_array().unwrap().len(), 2_000);
    world.must(&moderator, Method::SetMicrophone, json!({"on": false}));
    let ack = world.must(&guest, Method::Replay, json!({"from_seq": start + 1}));
    assert_eq!(ack["snapshot"]["seq"], world.view().seq);
    let ack = world.must(&guest, Method::Replay, json!({"from_seq": start + 2}));
    assert_eq!(ack["events"][0]["prev"], start + 1);
}

#[test]
fn long_events_are_no_replay_but_a_snapshot() {
    let mut world = World::default();
    world.checks = false;
    let moderator = world.moderator("Mia");
    let plan = with(with(plan(), "max_rooms", json!(10)), "name", json!("\u{1f600}".repeat(120)));
    let start = world.view().seq;
    for _ in 0..200 {
        world.must(&moderator, Method::CreateBreakOutRoom, plan.clone());
        world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
        world.forget_frames();
        world.wait(Duration::from_secs(2));
    }
    let ack = world.must(&moderator, Method::Replay, json!({"from_seq": start}));
    assert!(ack["snapshot"].is_object(), "1.2 MB of names");
    let ack = world.must(&moderator, Method::Replay, json!({"from_seq": world.view().seq - 100}));
    assert!(ack["events"].is_array());
}

#[test]
fn ten_thousand_events_are_kept() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    for number in 0..10_100 {
        let on = json!({"on": number % 2 == 1});
        world.must(&moderator, Method::SetMicrophone, on);
        // No faster than ids are kept for.
        world.wait(Duration::from_millis(58));
        world.take(moderator.link);
    }
    assert_eq!(world.control.events(ROOM, 1).count(), 10_000);
    assert!(world.must(&moderator, Method::Replay, json!({"from_seq": 50}))["snapshot"].is_object());
}

#[test]
fn the_same_id_is_the_same_request() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let create = Request::new("once", "createBreakOutRoom", plan());
    world.request(moderator.link, create.clone());
    world.request(moderator.link, create.clone());
    let acks = world.acks(moderator.link, "once");
    assert_eq!(acks.len(), 2);
    assert_eq!(acks[0], acks[1]);
    assert_eq!(world.view().rooms.len(), 1);
    let back = world.come_back(&moderator, None);
    world.request(back.link, create.clone());
    assert_eq!(world.acks(back.link, "once"), acks[..1], "also on another link of the same seat");
    world.wait(Duration::from_secs(120));
    world.request(back.link, create);
    assert_eq!(world.view().rooms.len(), 2, "two minutes later it is a new request");
}

#[test]
fn what_changes_nothing_is_answered_anew() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let list = Request::new("list", "listBreakoutRooms", json!({}));
    world.request(moderator.link, list.clone());
    make_room(&mut world, &moderator);
    world.request(moderator.link, list);
    let rooms: Vec<usize> = world
        .acks(moderator.link, "list")
        .iter()
        .map(|(_, _, data)| data["rooms"].as_array().unwrap().len())
        .collect();
    assert_eq!(rooms, [0, 1]);
    world.request(moderator.link, Request::new("list", "pause", json!({})));
    assert_eq!(world.acks(moderator.link, "list")[2].2["result"], 1734);
}

#[test]
fn no_request_is_done_twice_however_many_come_between() {
    let mut world = World::default();
    world.checks = false;
    let moderator = world.moderator("Mia");
    let room = make_room(&mut world, &moderator);
    let create = Request::new("once", "createBreakOutRoom", plan());
    world.request(moderator.link, create.clone());
    world.manners.moves = false;
    let join = Request::new("go", "joinBreakOutRoom", crate::stories::entry(&room));
    world.request(moderator.link, join.clone());
    let on = |number: usize| json!({"on": number % 2 == 1});
    let code = |world: &mut World, number| world.code(&moderator, Method::SetMicrophone, on(number));
    let done = (0..20_000).take_while(|number| code(&mut world, *number) == 0).count();
    assert!((6_000..12_000).contains(&done), "{done}");
    assert_eq!(code(&mut world, 0), 5107, "and not forgotten");
    world.request(moderator.link, create);
    world.request(moderator.link, join);
    assert_eq!((world.view().rooms.len(), world.waiting.len()), (2, 1));
    assert_eq!(world.acks(moderator.link, "once").len(), 2);
    world.move_now();
    assert_eq!(world.acks(moderator.link, "go").len(), 1);
    world.wait(Duration::from_secs(120));
    assert_eq!(code(&mut world, 0), 0);
}

#[test]
fn a_refused_join_names_its_room_if_it_is_one() {
    let mut world = World::default();
    let stranger = world.open("Eve", anteroom::message::Role::Participant);
    let guest = world.participant("Gus");
    let room = "0123456789abcdef".repeat(2);
    for (link, id, code) in [(stranger, json!(room), 1171), (guest.link, json!(room), 9702)] {
        let ack = world.ask(link, Method::JoinBreakOutRoom, json!({"room_id": id}));
        assert_eq!((&ack["result"], &ack["room_id"]), (&json!(code), &id));
        for none in [json!("x".repeat(1_000)), json!(7), json!(null)] {
            let ack = world.ask(link, Method::JoinBreakOutRoom, json!({"room_id": none}));
            assert_eq!(ack.get("room_id"), Some(&json!(null)), "{ack}");
        }
        let request = Request::new("x".repeat(129), "joinBreakOutRoom", json!({"room_id": room}));
        world.request(link, request);
        assert_eq!(world.ack(link, &"x".repeat(129))["room_id"], room);
    }
}

#[test]
fn a_repeat_of_a_pending_request_gets_the_one_ack() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let room = make_room(&mut world, &moderator);
    world.manners.moves = false;
    let join = Request::new("go", "joinBreakOutRoom", crate::stories::entry(&room));
    world.request(moderator.link, join.clone());
    world.request(moderator.link, join);
    assert!(world.acks(moderator.link, "go").is_empty());
    assert_eq!(world.waiting.len(), 1);
    world.move_now();
    assert_eq!(world.acks(moderator.link, "go").len(), 1);
}

#[test]
fn an_unknown_method_is_refused_under_its_own_ack() {
    let mut world = World::default();
    let guest = world.participant("Gus");
    world.request(guest.link, Request::new("what", "makeCoffee", json!({})));
    let (name, seq, data) = world.acks(guest.link, "what").remove(0);
    assert_eq!((name, seq, &data["result"]), ("error", None, &json!(1734)));
    let stranger = world.open("Sue", anteroom::message::Role::Participant);
    world.request(stranger, Request::new("what", "makeCoffee", json!({})));
    assert_eq!(world.acks(stranger, "what")[0].0, "error");
    world.request(guest.link, Request::new("x".repeat(129), "pause", json!({})));
    assert_eq!(world.ack(guest.link, &"x".repeat(129))["result"], 1734);
}

#[test]
fn an_ack_has_the_number_of_its_change() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&guest], &room);
    let pause = |world: &mut World| {
        let id = world.send(moderator.link, Method::Pause, json!({}));
        world.acks(moderator.link, &id).remove(0).1
    };
    assert_eq!(pause(&mut world), Some(world.view().seq));
    assert_eq!(pause(&mut world), None, "nothing changed");
}
