//! `joinBreakOutRoom`.

use std::time::Duration;

use anteroom::base::Kind;
use anteroom::control::BreakoutState;
use anteroom::message::Method;
use serde_json::{Value, json};

use crate::stories::{enter, entry, invite, make_room, make_rooms, plan, room_id, with};
use crate::world::World;

const JOIN: Method = Method::JoinBreakOutRoom;

#[test]
fn people_hear_of_a_join_in_the_order_of_the_contract() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let inside = world.participant("Ina");
    let guest = world.participant("Gus");
    let parent = world.participant("Pam");
    let room = make_room(&mut world, &moderator);
    invite(&mut world, &moderator, &[&inside, &guest], &room);
    enter(&mut world, &inside, &room);
    world.must(&guest, Method::StartScreenShare, json!({}));
    world.forget_frames();
    let ack = enter(&mut world, &guest, &room);
    assert_eq!((&ack["room_id"], &ack["parent_room_id"]), (&json!(room), &json!("standup")));
    assert_eq!((&ack["isBreakOutRoom"], &ack["role"]), (&json!(true), &json!("participant")));
    assert_eq!(ack["userList"].as_array().unwrap().len(), 2);
    assert_eq!(ack["settings"]["participants"], 2);
    assert_eq!(world.heard(&guest), ["didScreenShareStopped", "didConnectedBreakoutRoom", "slots"]);
    assert_eq!(world.heard(&parent), ["didUserPaused", "didScreenShareStopped"]);
    assert_eq!(world.heard(&inside), ["didUserJoinedBreakoutRoom"]);
    let heard = world.heard(&moderator);
    assert_eq!(heard, ["didUserPaused", "didScreenShareStopped", "didUserJoinedBreakoutRoom"]);
    let view = world.view();
    assert_eq!(view.rooms[&room_id(&room)].state, BreakoutState::Active);
    assert!(view.seats[&guest.client()].away() && view.invitations.is_empty() && view.presenter.is_none());
}

#[test]
fn nothing_happens_before_the_media_plane_has_moved() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let room = make_room(&mut world, &moderator);
    world.must(&moderator, Method::StartCanvas, json!({}));
    world.forget_frames();
    world.manners.moves = false;
    let id = world.send(moderator.link, JOIN, entry(&room));
    assert!(world.acks(moderator.link, &id).is_empty() && world.heard(&moderator).is_empty());
    assert!(!world.view().seats[&moderator.client()].away());
    assert!(world.view().presenter.is_some());
    world.move_now();
    let heard = world.heard(&moderator);
    assert_eq!(heard, ["didCanvasStopped", "didConnectedBreakoutRoom", "slots"]);
}

#[test]
fn the_checks_of_join_come_in_their_order() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    let nothing = json!({"room_id": "0".repeat(32), "role": "king"});
    world.lose_media(&guest);
    assert_eq!(world.code(&guest, JOIN, nothing.clone()), 1171);
    let guest = world.come_back(&guest, Some("offer"));
    enter(&mut world, &moderator, &room);
    assert_eq!(world.code(&moderator, JOIN, nothing.clone()), 9707);
    world.must(&moderator, Method::Disconnect, json!({}));
    world.manners.moves = false;
    world.send(moderator.link, JOIN, entry(&room));
    assert_eq!(world.code(&moderator, JOIN, nothing.clone()), 5107);
    world.move_now();
    world.manners.moves = true;
    world.must(&moderator, Method::Disconnect, json!({}));
    assert_eq!(world.ask(guest.link, JOIN, nothing.clone())["room_id"], nothing["room_id"]);
    assert_eq!(world.code(&guest, JOIN, nothing), 9702);
    let ask = |field: &str, value: Value| with(json!({"room_id": room, "role": "moderator"}), field, value);
    assert_eq!(world.code(&guest, JOIN, ask("room_id", Value::Null)), 1734);
    assert_eq!(world.code(&guest, JOIN, ask("role", json!("king"))), 9710);
    assert_eq!(world.code(&guest, JOIN, ask("role", Value::Null)), 1734);
    assert_eq!(world.code(&guest, JOIN, ask("role", json!("moderator"))), 5007);
    assert_eq!(world.code(&guest, JOIN, ask("role", json!("participant"))), 9705);
    let first = world.participant("Fay");
    let second = world.participant("Sue");
    invite(&mut world, &moderator, &[&first, &second, &guest], &room);
    enter(&mut world, &first, &room);
    enter(&mut world, &second, &room);
    assert_eq!(world.code(&guest, JOIN, ask("role", json!("participant"))), 9704);
    world.must(&second, Method::Disconnect, json!({}));
    let ask = |stream: Value| json!({"room_id": room, "role": "participant", "streamInfo": stream});
    assert_eq!(world.code(&guest, JOIN, ask(Value::Null)), 1734);
    assert_eq!(world.code(&guest, JOIN, ask(json!({"audio": true}))), 1734);
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    assert_eq!(world.code(&guest, JOIN, ask(Value::Null)), 9703);
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "lecture"}));
    assert_eq!(world.code(&guest, JOIN, ask(Value::Null)), 5067);
}

#[test]
fn what_the_room_does_not_carry_is_refused_but_video_is_dropped() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let params = with(with(plan(), "share", json!(false)), "canvas", json!(false));
    let room = make_rooms(&mut world, &moderator, with(params, "audio", json!(false))).remove(0);
    let ask = |stream: Value| json!({"room_id": room, "role": "participant", "streamInfo": stream});
    for kind in ["audio", "share", "canvas"] {
        let stream = with(json!({"audio": false, "video": false}), kind, json!(true));
        assert_eq!(world.code(&moderator, JOIN, ask(stream)), 1170, "{kind}");
    }
    let ack = world.must(&moderator, JOIN, ask(json!({"audio": false, "video": true})));
    assert_eq!(ack["warnings"], json!(["video_not_supported"]));
}

#[test]
fn who_only_listens_publishes_nothing_until_the_return() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let room = make_room(&mut world, &moderator);
    let stream = json!({"audio": false, "video": false});
    world.must(&moderator, JOIN, json!({"room_id": room, "role": "moderator", "streamInfo": stream}));
    assert!(world.flows(&moderator).1.is_empty());
    world.must(&moderator, Method::SetMicrophone, json!({"on": true}));
    assert!(world.flows(&moderator).1.is_empty());
    world.must(&moderator, Method::Disconnect, json!({}));
    assert!(world.flows(&moderator).1.contains(Kind::Audio));
    assert!(world.view().seats[&moderator.client()].microphone);
}

#[test]
fn moderators_take_none_of_the_participants_seats() {
    let mut world = World::default();
    let owner = world.participant("Olli");
    let moderators: Vec<_> = (0..6).map(|number| world.moderator(&format!("M{number}"))).collect();
    let room = make_room(&mut world, &owner);
    let as_moderator = with(entry(&room), "role", json!("moderator"));
    for moderator in &moderators {
        world.must(moderator, JOIN, as_moderator.clone());
    }
    assert_eq!(world.code(&owner, JOIN, as_moderator), 9704);
    world.must(&owner, JOIN, entry(&room));
    let view = world.view();
    assert_eq!(view.rooms[&room_id(&room)].members.len(), 7);
}

#[test]
fn an_open_room_needs_no_invitation() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_rooms(&mut world, &moderator, with(plan(), "open", json!(true))).remove(0);
    enter(&mut world, &guest, &room);
}

#[test]
fn entering_withdraws_the_other_invitations_and_uses_its_own_up() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let rooms = make_rooms(&mut world, &moderator, with(plan(), "max_rooms", json!(2)));
    for room in &rooms {
        invite(&mut world, &moderator, &[&guest], room);
    }
    world.forget_frames();
    enter(&mut world, &guest, &rooms[0]);
    let withdrawn = world.told(&guest, "didInvitationWithdrawn");
    assert_eq!(withdrawn, [json!({"room_id": rooms[1], "reason": "joined_other"})]);
    world.must(&guest, Method::Disconnect, json!({}));
    assert_eq!(world.code(&guest, JOIN, entry(&rooms[0])), 9705);
}

#[test]
fn a_join_waits_for_its_own_media_connection() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    world.manners.connects = false;
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    invite(&mut world, &moderator, &[&guest], &room);
    let id = world.send(guest.link, JOIN, entry(&room));
    world.wait(Duration::from_secs(9));
    assert!(world.acks(guest.link, &id).is_empty());
    world.connect(&guest);
    assert_eq!(world.ack(guest.link, &id)["result"], 0);
}

#[test]
fn a_media_connection_that_never_comes_fails_the_join() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    world.manners.connects = false;
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    invite(&mut world, &moderator, &[&guest], &room);
    let id = world.send(guest.link, JOIN, entry(&room));
    world.wait(Duration::from_secs(10));
    let ack = world.ack(guest.link, &id);
    assert_eq!((&ack["result"], &ack["room_id"]), (&json!(9711), &json!(room)));
    assert!(world.view().rooms[&room_id(&room)].joining.is_empty());
    assert_eq!(world.view().invitations.len(), 1, "the invitation is still good");
}
