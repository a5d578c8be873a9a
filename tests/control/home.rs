//! `disconnect`, `clearAllBreakOutSession`, `destroyAllBreakOutSession`.

use anteroom::control::BreakoutState;
use anteroom::message::{AdminRequest, ControlInput, Frame, Method, ParentFlags};
use serde_json::json;

use crate::stories::{enter, entry, force, invite, make_room, make_rooms, plan, room_id, with};
use crate::world::{ROOM, World};

#[test]
fn who_leaves_a_breakout_room_is_back_and_people_hear() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let first = world.participant("Fay");
    let second = world.participant("Sue");
    let parent = world.participant("Pam");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&first, &second], &room);
    world.must(&moderator, Method::Pause, json!({}));
    world.must(&second, Method::StartCanvas, json!({}));
    world.must(&second, Method::Pause, json!({}));
    world.forget_frames();
    let ack = world.must(&second, Method::Disconnect, json!({"room_id": room}));
    assert_eq!((&ack["moderatorId"], &ack["reason"]), (&json!(""), &json!("self")));
    assert_eq!(ack["msg"], "Breakout Room disconnected");
    assert_eq!(ack["state"]["paused"], true, "the room layer stays");
    assert_eq!(ack["away"], json!([first.id]));
    assert_eq!(world.heard(&second), ["didCanvasStopped", "didDisconnectedBreakoutRoom", "slots"]);
    assert_eq!(world.heard(&first), ["didCanvasStopped", "didUserDisconnectedFromBreakoutRoom"]);
    assert_eq!(world.heard(&parent), ["didUserResumed"]);
    assert_eq!(world.heard(&moderator), ["didUserDisconnectedFromBreakoutRoom", "didUserResumed"]);
    assert_eq!(world.view().seats[&second.client()].leg, ParentFlags::default());
    world.must(&first, Method::Disconnect, json!({}));
    assert_eq!(world.view().rooms[&room_id(&room)].state, BreakoutState::Created);
}

#[test]
fn only_who_is_in_a_room_can_leave_it() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let rooms = make_rooms(&mut world, &moderator, with(plan(), "max_rooms", json!(2)));
    let disconnect = Method::Disconnect;
    assert_eq!(world.code(&moderator, disconnect, json!({})), 9713);
    enter(&mut world, &moderator, &rooms[0]);
    assert_eq!(world.code(&moderator, disconnect, json!({"room_id": rooms[1]})), 9713);
    assert_eq!(world.code(&moderator, disconnect, json!({"room_id": "Lobby"})), 9713);
    assert_eq!(world.code(&moderator, disconnect, json!({"room_id": 1})), 1734);
    world.must(&moderator, disconnect, json!({}));
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "lecture"}));
    assert_eq!(world.code(&moderator, disconnect, json!({})), 5067);
    world.lose_media(&moderator);
    assert_eq!(world.code(&moderator, disconnect, json!({})), 1171);
}

#[test]
fn clear_brings_everybody_back_and_keeps_the_rooms() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let away = world.participant("Ava");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&away], &room);
    invite(&mut world, &moderator, &[&guest], &room);
    world.must(&moderator, Method::MuteRoom, json!({"audio": true}));
    world.must(&away, Method::MuteRoom, json!({"video": true}));
    world.must(&away, Method::SetCamera, json!({"on": false}));
    world.forget_frames();
    let ack = world.must(&moderator, Method::ClearAllBreakOutSession, json!({}));
    assert_eq!((&ack["rooms"], &ack["clients"]), (&json!([room]), &json!([away.id])));
    assert_eq!(ack["degraded"], json!([]));
    let told = world.told(&away, "didDisconnectedBreakoutRoom").remove(0);
    assert_eq!((&told["reason"], &told["moderatorId"]), (&json!("cleared"), &json!(moderator.id)));
    assert_eq!(told["state"]["audio_muted"], true, "the room layer stays");
    let withdrawn = world.told(&guest, "didInvitationWithdrawn");
    assert_eq!(withdrawn, [json!({"room_id": room, "reason": "cleared"})]);
    let heard = world.heard(&moderator);
    let wanted = [
        "didUserDisconnectedFromBreakoutRoom",
        "didUserResumed",
        "didClearedBreakoutRoom",
        "didAckClearAllBreakOutSession",
    ];
    assert_eq!(heard, wanted);
    let view = world.view();
    assert_eq!(view.rooms[&room_id(&room)].state, BreakoutState::Cleared);
    assert!(!view.seats[&away.client()].camera && view.invitations.is_empty());
    world.must(&moderator, Method::ClearAllBreakOutSession, json!({}));
    invite(&mut world, &moderator, &[&guest], &room);
    assert_eq!(world.view().rooms[&room_id(&room)].state, BreakoutState::Created);
    enter(&mut world, &guest, &room);
    assert_eq!(world.view().rooms[&room_id(&room)].state, BreakoutState::Active);
}

#[test]
fn only_hosts_hear_how_each_of_many_is_brought_back() {
    for method in [Method::ClearAllBreakOutSession, Method::DestroyAllBreakOutSession] {
        let mut world = World::default();
        let moderator = world.moderator("Mia");
        let owner = world.participant("Olli");
        let people = [world.participant("Ava"), world.participant("Bea")];
        let room = make_room(&mut world, &owner);
        force(&mut world, &moderator, &[&people[0], &people[1]], &room);
        world.forget_frames();
        world.must(&moderator, method, json!({}));
        let event = "didUserDisconnectedFromBreakoutRoom";
        assert_eq!((world.told(&moderator, event).len(), world.told(&owner, event).len()), (2, 2));
        assert!(people.iter().all(|person| world.told(person, event).is_empty()));
    }
}

#[test]
fn an_owner_clears_the_own_rooms_only() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let away = world.participant("Ava");
    let other = make_room(&mut world, &moderator);
    assert_eq!(world.code(&owner, Method::ClearAllBreakOutSession, json!({})), 5007);
    let own = make_room(&mut world, &owner);
    force(&mut world, &moderator, &[&away], &other);
    let ack = world.must(&owner, Method::ClearAllBreakOutSession, json!({}));
    assert_eq!(ack["rooms"], json!([own]));
    assert!(world.view().seats[&away.client()].away());
    assert_eq!(world.code(&owner, Method::DestroyAllBreakOutSession, json!({})), 5007);
}

#[test]
fn destroy_ends_the_rooms_and_lifts_every_flag() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let away = world.participant("Ava");
    let lost = world.participant("Lou");
    let room = make_room(&mut world, &owner);
    force(&mut world, &moderator, &[&away, &lost], &room);
    world.lose_media(&lost);
    world.must(&moderator, Method::Pause, json!({}));
    world.must(&moderator, Method::MuteRoom, json!({"audio": true, "video": true}));
    world.must(&away, Method::Pause, json!({}));
    world.forget_frames();
    let ack = world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    assert_eq!(ack["clients"].as_array().unwrap().len(), 2);
    let frames = world.take(away.link);
    let back = frames.iter().find_map(|frame| match frame {
        Frame::Event { event: "didDisconnectedBreakoutRoom", data, .. } => Some(&data["state"]),
        _ => None,
    });
    let lifted = json!({"paused": false, "audio_muted": false, "video_muted": false, "scope": "room"});
    assert_eq!(back, Some(&lifted), "nobody returns to a muted room");
    let name = |frame: &Frame| if let Frame::Event { event, .. } = frame { event } else { "" };
    let heard: Vec<&str> = frames.iter().map(name).collect();
    assert_eq!(heard[..3], ["parentStateChanged", "didDisconnectedBreakoutRoom", "slots"]);
    assert_eq!(heard.iter().filter(|event| **event == "parentStateChanged").count(), 1);
    let destroyed = world.told(&owner, "didDestroyedBreakoutRoom");
    assert_eq!(destroyed, [json!({"room_id": room, "reason": "destroyed"})]);
    let view = world.view();
    assert!(view.rooms.is_empty() && view.flags == ParentFlags::default());
    let home = |seat: &anteroom::control::SeatView| !seat.away() && seat.leg == ParentFlags::default();
    assert!(view.seats.values().all(home));
    assert!(view.seats[&lost.client()].held_until.is_some(), "Held in the parent");
    assert_eq!(world.code(&away, Method::JoinBreakOutRoom, entry(&room)), 9703);
    assert_eq!(world.groups.len(), 1, "the media plane forgets the rooms");
}

#[test]
fn a_room_that_ends_shows_no_flags_to_who_is_brought_back() {
    for delete in [false, true] {
        let mut world = World::default();
        let moderator = world.moderator("Mia");
        let away = world.participant("Ava");
        let room = make_room(&mut world, &moderator);
        force(&mut world, &moderator, &[&away], &room);
        world.must(&moderator, Method::Pause, json!({}));
        world.forget_frames();
        if delete {
            let request = AdminRequest::DeleteRoom { name: ROOM.to_owned() };
            world.input(ControlInput::Admin { ticket: 1, request });
        } else {
            world.must(&moderator, Method::EndRoom, json!({}));
        }
        let told = world.told(&away, "didDisconnectedBreakoutRoom").remove(0);
        assert_eq!(told["state"]["paused"], false);
    }
}

#[test]
fn destroy_works_without_rooms_and_from_a_breakout_room() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    world.must(&moderator, Method::Pause, json!({}));
    world.forget_frames();
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    assert_eq!(world.heard(&moderator), ["parentStateChanged", "didAckDestroyAllBreakOutSession"]);
    let room = make_room(&mut world, &moderator);
    enter(&mut world, &moderator, &room);
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    assert!(!world.view().seats[&moderator.client()].away());
}

#[test]
fn ten_rooms_and_no_more_until_some_are_destroyed() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    make_rooms(&mut world, &moderator, with(plan(), "max_rooms", json!(10)));
    world.must(&moderator, Method::ClearAllBreakOutSession, json!({}));
    assert_eq!(world.code(&moderator, Method::CreateBreakOutRoom, plan()), 1726, "cleared rooms count");
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    make_room(&mut world, &moderator);
}
