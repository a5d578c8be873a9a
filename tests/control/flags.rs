//! `pause`, `resume`, `muteRoom`, `unmuteRoom`.

use anteroom::base::{Kind, KindSet};
use anteroom::message::{Method, ParentFlags};
use serde_json::{Value, json};

use crate::stories::{enter, force, make_room};
use crate::world::World;

fn state(paused: bool, audio_muted: bool, video_muted: bool, scope: &str) -> Value {
    json!({"paused": paused, "audio_muted": audio_muted, "video_muted": video_muted, "scope": scope})
}

#[test]
fn a_moderator_pauses_and_mutes_the_whole_room() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let listener = world.participant("Lea");
    world.must(&listener, Method::StartScreenShare, json!({}));
    world.forget_frames();
    let ack = world.must(&moderator, Method::Pause, json!({}));
    assert_eq!(ack, json!({"msg": "Room muted", "result": 0, "state": state(true, false, false, "room")}));
    assert!(world.flows(&listener).1.is_empty(), "paused stops the shared screen, too");
    assert_eq!(world.heard(&listener), ["parentStateChanged"]);
    world.must(&moderator, Method::Pause, json!({}));
    assert!(world.heard(&listener).is_empty(), "again changes nothing");
    let ack = world.must(&moderator, Method::MuteRoom, json!({"audio": true}));
    assert_eq!(ack["state"], state(true, true, false, "room"));
    let ack = world.must(&moderator, Method::Resume, json!({}));
    assert_eq!((&ack["msg"], &ack["state"]), (&json!("Room resumed"), &state(false, true, false, "room")));
    assert_eq!(world.flows(&listener).1, KindSet::of(&[Kind::Video, Kind::Share]));
    world.must(&moderator, Method::MuteRoom, json!({"audio": true, "video": true}));
    let ack = world.must(&moderator, Method::UnmuteRoom, json!({"video": true, "audio": false}));
    assert_eq!((&ack["msg"], &ack["state"]), (&json!("Room unmuted"), &state(false, true, false, "room")));
    world.must(&moderator, Method::UnmuteRoom, json!({}));
    assert_eq!(world.view().flags, ParentFlags::default());
    let ack = world.must(&moderator, Method::MuteRoom, json!({}));
    assert_eq!(ack["state"], state(false, false, false, "room"), "naming nothing mutes nothing");
    assert!(world.view().seats[&listener.client()].microphone, "own switches stay");
}

#[test]
fn who_is_away_changes_the_own_leg_and_nothing_flows_there() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let away = world.participant("Ava");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&away], &room);
    world.forget_frames();
    let ack = world.must(&away, Method::MuteRoom, json!({"video": true}));
    assert_eq!(ack["state"], state(false, false, true, "leg"));
    let told = world.told(&moderator, "didUserStateChanged").remove(0);
    assert_eq!((&told["clientId"], &told["state"]), (&json!(away.id), &state(false, false, true, "leg")));
    world.must(&away, Method::Resume, json!({}));
    assert!(world.view().seats[&away.client()].away(), "no resume lifts `away`");
    assert_eq!(world.view().flags, ParentFlags::default());
    assert_eq!(world.code(&away, Method::Pause, json!({"scope": "room"})), 5007);
    enter(&mut world, &moderator, &room);
    let ack = world.must(&moderator, Method::Pause, json!({}));
    assert_eq!(ack["state"]["scope"], "leg");
    let ack = world.must(&moderator, Method::Pause, json!({"scope": "room"}));
    assert_eq!(ack["state"], state(true, false, false, "room"));
    world.must(&moderator, Method::Disconnect, json!({}));
    assert_eq!(world.view().seats[&moderator.client()].leg, ParentFlags::default());
    assert!(world.view().flags.paused);
}

#[test]
fn a_participant_in_the_parent_may_not() {
    let mut world = World::default();
    let listener = world.participant("Lea");
    for method in [Method::Pause, Method::Resume, Method::MuteRoom, Method::UnmuteRoom] {
        assert_eq!(world.code(&listener, method, json!({"audio": "loud"})), 5007, "{}", method.name());
    }
    let moderator = world.moderator("Mia");
    assert_eq!(world.code(&moderator, Method::MuteRoom, json!({"audio": "loud"})), 1734);
    assert_eq!(world.code(&moderator, Method::Pause, json!({"scope": "all"})), 1734);
    world.lose_media(&moderator);
    assert_eq!(world.code(&moderator, Method::Pause, json!({})), 1171);
}
