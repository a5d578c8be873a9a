//! Switches, roles, mode, removing people, ending rooms, and what operators do.

use std::time::Duration;

use anteroom::base::Kind;
use anteroom::message::{
    AdminReply, AdminRequest, CloseReason, ControlInput, Method, Role, RoomMode, RoomSettings,
};
use serde_json::json;

use crate::stories::{enter, force, make_room, room_id};
use crate::world::{ROOM, World};

#[test]
fn own_switches_are_told_and_stop_the_own_media() {
    let mut world = World::default();
    let speaker = world.participant("Sam");
    let listener = world.participant("Lea");
    world.forget_frames();
    world.must(&speaker, Method::SetMicrophone, json!({"on": false}));
    world.must(&speaker, Method::SetMicrophone, json!({"on": false}));
    let told = world.told(&listener, "didMicrophoneChanged");
    assert_eq!(told, [json!({"clientId": speaker.id, "name": "Sam", "on": false})]);
    assert!(!world.flows(&speaker).1.contains(Kind::Audio));
    world.must(&speaker, Method::SetCamera, json!({"on": false}));
    assert!(world.flows(&speaker).1.is_empty());
    assert_eq!(world.code(&speaker, Method::SetCamera, json!({})), 1734);
    assert_eq!(world.code(&speaker, Method::SetMicrophone, json!({"on": "yes"})), 1734);
    world.lose_media(&speaker);
    assert_eq!(world.code(&speaker, Method::SetCamera, json!({"on": true})), 1171);
}

#[test]
fn moderators_change_roles() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let promote = json!({"clientId": guest.id, "role": "moderator"});
    assert_eq!(world.code(&guest, Method::SetRole, promote.clone()), 5007);
    assert_eq!(world.code(&moderator, Method::SetRole, json!({})), 1734);
    assert_eq!(world.code(&moderator, Method::SetRole, json!({"clientId": "nobody"})), 9708);
    assert_eq!(world.code(&moderator, Method::SetRole, json!({"clientId": guest.id, "role": "king"})), 9710);
    assert_eq!(world.code(&moderator, Method::SetRole, json!({"clientId": guest.id, "role": 1})), 1734);
    world.forget_frames();
    world.must(&moderator, Method::SetRole, promote);
    assert_eq!(world.heard(&guest), ["didRoleChanged"]);
    make_room(&mut world, &guest);
    world.must(&guest, Method::Pause, json!({}));
}

#[test]
fn lecture_waits_until_the_breakout_rooms_are_gone() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    assert_eq!(world.code(&guest, Method::SetRoomMode, json!({"mode": "lecture"})), 5007);
    assert_eq!(world.code(&moderator, Method::SetRoomMode, json!({"mode": "party"})), 1734);
    make_room(&mut world, &moderator);
    world.must(&moderator, Method::ClearAllBreakOutSession, json!({}));
    assert_eq!(world.code(&moderator, Method::SetRoomMode, json!({"mode": "lecture"})), 5067);
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    world.forget_frames();
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "lecture"}));
    assert_eq!(world.heard(&guest), ["didRoomModeChanged"]);
    let everything = [Method::ClearAllBreakOutSession, Method::DestroyAllBreakOutSession];
    assert!(everything.into_iter().all(|method| world.code(&moderator, method, json!({})) == 5067));
    let deal = Method::CreateAndInviteBreakoutRoom;
    assert_eq!(world.code(&moderator, deal, json!({})), 5067);
    assert_eq!(world.code(&guest, Method::RejectBreakOutRoom, json!({})), 5067);
}

#[test]
fn a_removed_person_is_out_of_both_rooms() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&guest], &room);
    let remove = Method::RemoveParticipant;
    assert_eq!(world.code(&guest, remove, json!({"clientId": moderator.id})), 5007);
    assert_eq!(world.code(&moderator, remove, json!({"clientId": room})), 9708);
    world.forget_frames();
    world.must(&moderator, remove, json!({"clientId": guest.id}));
    assert_eq!(world.closed[&guest.link], CloseReason::Removed);
    let heard = world.heard(&moderator);
    let wanted = ["didUserDisconnectedFromBreakoutRoom", "didUserDisconnected", "didAckRemoveParticipant"];
    assert_eq!(heard, wanted);
    assert!(world.view().rooms[&room_id(&room)].members.is_empty());
    assert_eq!(world.known.len(), 1);
}

#[test]
fn who_leaves_is_answered_and_the_rooms_go_on() {
    let mut world = World::default();
    let owner = world.moderator("Olga");
    let heir = world.moderator("Hanna");
    let younger = world.moderator("Yves");
    let room = make_room(&mut world, &owner);
    enter(&mut world, &owner, &room);
    world.forget_frames();
    world.must(&owner, Method::LeaveRoom, json!({}));
    assert_eq!(world.closed[&owner.link], CloseReason::Left);
    assert_eq!(world.view().rooms[&room_id(&room)].owner, Some(heir.client()));
    let told = world.told(&younger, "didOwnerChanged").remove(0);
    assert_eq!(told["owner"]["name"], "Hanna");
}

#[test]
fn a_room_without_moderators_waits_for_one() {
    let mut world = World::default();
    let owner = world.participant("Olli");
    let guest = world.participant("Gus");
    let room = room_id(&make_room(&mut world, &owner));
    world.must(&owner, Method::LeaveRoom, json!({}));
    assert_eq!(world.view().rooms[&room].owner, None);
    let moderator = world.moderator("Mia");
    assert_eq!(world.view().rooms[&room].owner, Some(moderator.client()));
    world.must(&moderator, Method::LeaveRoom, json!({}));
    assert_eq!(world.view().rooms[&room].owner, None);
    assert!(!world.view().seats[&guest.client()].away());
}

#[test]
fn a_moderator_ends_the_room_for_everybody() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&guest], &room);
    assert_eq!(world.code(&guest, Method::EndRoom, json!({})), 5007);
    world.forget_frames();
    world.must(&moderator, Method::EndRoom, json!({}));
    let heard = world.heard(&guest);
    assert_eq!((heard.first(), heard.last()), (Some(&"didDisconnectedBreakoutRoom"), Some(&"didRoomEnded")));
    assert_eq!(world.closed.len(), 2);
    assert!(world.control.inspect(ROOM).is_none());
    assert!(world.known.is_empty() && world.groups.is_empty());
}

#[test]
fn a_room_ends_a_minute_after_its_last_seat_is_free() {
    let mut world = World::default();
    let guest = world.participant("Gus");
    world.must(&guest, Method::LeaveRoom, json!({}));
    world.wait(Duration::from_secs(59));
    assert!(world.control.inspect(ROOM).is_some());
    let other = world.participant("Otto");
    world.wait(Duration::from_secs(600));
    world.must(&other, Method::LeaveRoom, json!({}));
    world.wait(Duration::from_secs(60));
    assert!(world.control.inspect(ROOM).is_none());
    assert!(world.groups.is_empty());
    assert_eq!(world.control.totals(), anteroom::control::Totals::default());
}

fn admin(world: &mut World, request: AdminRequest) -> AdminReply {
    world.input(ControlInput::Admin { ticket: 1, request });
    world.replies.pop().unwrap()
}

#[test]
fn an_operators_room_stays_until_it_is_deleted() {
    let mut world = World::default();
    let settings = RoomSettings { max_participants: 1, ..RoomSettings::default() };
    let create = AdminRequest::CreateRoom { name: ROOM.to_owned(), settings: Some(settings.clone()) };
    let reply = admin(&mut world, create.clone());
    assert_eq!(reply, AdminReply::Created { name: ROOM.to_owned(), settings, kept: true });
    assert_eq!(admin(&mut world, create), AdminReply::Exists);
    world.wait(Duration::from_secs(600));
    let moderator = world.moderator("Mia");
    let late = world.open("Lea", Role::Participant);
    assert_eq!(world.ask(late, Method::JoinRoom, json!({"sdp": "offer"}))["result"], 9704);
    world.must(&moderator, Method::EndRoom, json!({}));
    let rooms = AdminReply::Rooms(vec![(ROOM.to_owned(), RoomMode::Group, 0, 0)]);
    assert_eq!(admin(&mut world, AdminRequest::ListRooms), rooms);
    let guest = world.participant("Gus");
    let delete = AdminRequest::DeleteRoom { name: ROOM.to_owned() };
    assert_eq!(admin(&mut world, delete.clone()), AdminReply::Deleted { kept: true });
    assert_eq!(world.closed[&guest.link], CloseReason::RoomEnded);
    assert_eq!(admin(&mut world, delete), AdminReply::Unknown);
}

#[test]
fn an_operators_mistakes_are_named() {
    let mut world = World::default();
    for (settings, field) in [
        (RoomSettings { max_active_talkers: 17, ..RoomSettings::default() }, "max_active_talkers"),
        (RoomSettings { max_participants: 0, ..RoomSettings::default() }, "max_participants"),
    ] {
        let create = AdminRequest::CreateRoom { name: ROOM.to_owned(), settings: Some(settings) };
        let AdminReply::Invalid(text) = admin(&mut world, create) else { panic!("{field} is accepted") };
        assert!(text.contains(field), "{text}");
    }
    let create = AdminRequest::CreateRoom { name: "n".repeat(129), settings: None };
    assert!(matches!(admin(&mut world, create), AdminReply::Invalid(_)));
}

#[test]
fn a_room_that_ends_takes_back_whoever_is_on_the_way() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let away = world.participant("Ava");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&away], &room);
    world.manners.moves = false;
    world.manners.answers = false;
    let late = world.open("Lea", Role::Participant);
    let join = world.send(late, Method::JoinRoom, json!({"sdp": "offer"}));
    let leave = world.send(away.link, Method::Disconnect, json!({}));
    let params = json!({"clients": [guest.id], "room_id": room, "force_join": true});
    let forcing = world.send(moderator.link, Method::InviteToBreakOutRoom, params);
    let destroy = world.send(moderator.link, Method::DestroyAllBreakOutSession, json!({}));
    let switch = world.send(guest.link, Method::SetCamera, json!({"on": false}));
    assert_eq!(
        admin(&mut world, AdminRequest::DeleteRoom { name: ROOM.to_owned() }),
        AdminReply::Deleted { kept: true }
    );
    assert_eq!(world.ack(late, &join)["result"], 1729);
    assert_eq!(world.ack(away.link, &leave)["result"], 0);
    assert_eq!(world.ack(moderator.link, &forcing)["result"], 9703);
    assert_eq!(world.ack(moderator.link, &destroy)["result"], 0);
    assert_eq!(world.ack(guest.link, &switch)["result"], 1171);
    assert!(world.known.is_empty() && world.groups.is_empty());
    assert_eq!(world.closed.len(), 3);
    assert_eq!(world.control.totals(), anteroom::control::Totals::default());
}

#[test]
fn a_move_in_a_crowd_costs_a_frame_for_each_who_stays() {
    let mut world = World::default();
    world.checks = false;
    let moderator = world.moderator("Mia");
    let people: Vec<_> = (1..200).map(|number| world.participant(&format!("P{number}"))).collect();
    let room = make_room(&mut world, &moderator);
    world.forget_frames();
    for person in people.iter().cycle().take(250) {
        force(&mut world, &moderator, &[person], &room);
        world.must(person, Method::Disconnect, json!({}));
    }
    let frames = people.iter().map(|person| world.take(person.link).len()).sum::<usize>();
    // Each way in or out is told to the 199 who stay, and a few frames more to those concerned.
    assert!((500 * 198..500 * 205).contains(&frames), "{frames} frames");
}
