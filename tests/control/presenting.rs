//! Sharing a screen or a canvas.

use anteroom::base::Kind;
use anteroom::control::ControlSettings;
use anteroom::message::{Method, Presentation, RoomSettings};
use serde_json::json;

use crate::stories::{enter, force, make_room, make_rooms, plan, room_id, with};
use crate::world::World;

#[test]
fn one_person_presents_in_a_room_at_a_moment() {
    let mut world = World::default();
    let presenter = world.participant("Pia");
    let other = world.participant("Otto");
    world.forget_frames();
    let ack = world.must(&presenter, Method::StartScreenShare, json!({}));
    assert_eq!(ack["streamId"], 101);
    let told = world.told(&other, "didScreenShareStarted").remove(0);
    let wanted = json!({"clientId": presenter.id, "name": "Pia", "streamId": 101, "room_id": "standup"});
    assert_eq!(told, wanted);
    assert!(world.flows(&presenter).1.contains(Kind::Share));
    assert_eq!(world.code(&presenter, Method::StartScreenShare, json!({})), 5105);
    assert_eq!(world.code(&presenter, Method::StartCanvas, json!({})), 5103);
    assert_eq!(world.code(&other, Method::StartCanvas, json!({})), 5103);
    world.must(&other, Method::StopScreenShare, json!({}));
    assert!(world.view().presenter.is_some(), "nobody stops another's");
    world.forget_frames();
    world.must(&presenter, Method::StopScreenShare, json!({}));
    assert_eq!(world.heard(&other), ["didScreenShareStopped"]);
    assert!(!world.flows(&presenter).1.contains(Kind::Share));
    world.must(&other, Method::StartCanvas, json!({}));
    assert_eq!(world.view().presenter, Some((other.client(), Presentation::Canvas)));
}

#[test]
fn each_room_has_its_own_presenter() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let inside = world.participant("Ina");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&inside], &room);
    world.must(&moderator, Method::StartScreenShare, json!({}));
    world.forget_frames();
    world.must(&inside, Method::StartCanvas, json!({}));
    assert!(world.heard(&moderator).is_empty(), "the parent does not hear of it");
    assert_eq!(world.view().rooms[&room_id(&room)].presenter, Some((inside.client(), Presentation::Canvas)));
    world.must(&inside, Method::StopCanvas, json!({}));
    let mute = with(with(plan(), "share", json!(false)), "canvas", json!(false));
    world.must(&inside, Method::Disconnect, json!({}));
    let silent = make_rooms(&mut world, &moderator, mute).remove(0);
    force(&mut world, &moderator, &[&inside], &silent);
    assert_eq!(world.code(&inside, Method::StartScreenShare, json!({})), 1170);
    assert_eq!(world.code(&inside, Method::StartCanvas, json!({})), 1170);
}

#[test]
fn who_moves_or_is_lost_or_leaves_has_stopped() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let room = make_room(&mut world, &moderator);
    world.must(&moderator, Method::StartScreenShare, json!({}));
    enter(&mut world, &moderator, &room);
    assert!(world.view().presenter.is_none());
    world.must(&moderator, Method::StartScreenShare, json!({}));
    world.must(&moderator, Method::Disconnect, json!({}));
    assert!(world.view().rooms[&room_id(&room)].presenter.is_none());
    world.must(&moderator, Method::StartCanvas, json!({}));
    world.close(moderator.link);
    assert!(world.view().presenter.is_none());
    let moderator = world.come_back(&moderator, None);
    assert!(!world.flows(&moderator).1.contains(Kind::Canvas));
    world.must(&moderator, Method::StartCanvas, json!({}));
    let listener = world.participant("Lea");
    world.must(&moderator, Method::LeaveRoom, json!({}));
    assert!(world.told(&listener, "didCanvasStopped").len() == 1 && world.view().presenter.is_none());
}

#[test]
fn in_a_lecture_only_moderators_present_and_publish() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let listener = world.participant("Lea");
    world.must(&listener, Method::StartScreenShare, json!({}));
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "lecture"}));
    assert!(world.view().presenter.is_none());
    assert!(world.flows(&listener).1.is_empty());
    assert_eq!(world.code(&listener, Method::StartScreenShare, json!({})), 5007);
    world.must(&moderator, Method::SetRole, json!({"clientId": listener.id, "role": "moderator"}));
    assert!(world.flows(&listener).1.contains(Kind::Audio), "a role acts at once");
    world.must(&listener, Method::StartScreenShare, json!({}));
    world.must(&moderator, Method::SetRole, json!({"clientId": listener.id, "role": "participant"}));
    assert!(world.view().presenter.is_none());
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "group"}));
    assert!(world.flows(&listener).1.contains(Kind::Audio));
}

#[test]
fn a_parent_room_without_screens_refuses_them() {
    let room = RoomSettings { share: false, ..RoomSettings::default() };
    let mut world = World::new(ControlSettings { room, ..ControlSettings::default() });
    let presenter = world.participant("Pia");
    assert_eq!(world.code(&presenter, Method::StartScreenShare, json!({})), 1170);
    world.must(&presenter, Method::StartCanvas, json!({}));
    world.lose_media(&presenter);
    assert_eq!(world.code(&presenter, Method::StopCanvas, json!({})), 1171);
}
