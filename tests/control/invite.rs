//! `inviteToBreakOutRoom` and `rejectBreakOutRoom`.

use std::time::Duration;

use anteroom::control::ControlSettings;
use anteroom::control::settings::{BreakoutSettings, ForceBy};
use anteroom::message::Method;
use serde_json::{Value, json};

use crate::stories::{enter, entry, force, invite, make_room, plan, room_id, with};
use crate::world::World;

const INVITE: Method = Method::InviteToBreakOutRoom;

#[test]
fn an_invitation_is_told_to_the_invitee_and_the_hosts() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &owner);
    world.forget_frames();
    let ack = invite(&mut world, &owner, &[&guest], &room);
    assert_eq!(ack, json!({"msg": "Success", "result": 0, "invited": [guest.id], "failed": []}));
    let expires_at = (world.now + Duration::from_secs(120)).as_millis();
    let invitation = world.told(&guest, "didInvitationForBreakoutRoom").remove(0);
    let requestor = json!({"id": owner.id, "name": "Olli"});
    let wanted =
        json!({"room_id": room, "name": "Breakout 1", "requestor": requestor, "expires_at": expires_at});
    assert_eq!(invitation, wanted);
    for host in [&moderator, &owner] {
        let told = world.told(host, "didBreakoutRoomInvited").remove(0);
        assert_eq!((&told["clientId"], &told["room_id"]), (&json!(guest.id), &json!(room)));
    }
}

#[test]
fn the_checks_of_invite_come_in_their_order() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let other = world.participant("Otto");
    let room = make_room(&mut world, &owner);
    let gone = "0".repeat(32);
    let nothing = json!({"room_id": gone, "force_join": 3});
    world.lose_media(&owner);
    assert_eq!(world.code(&owner, INVITE, nothing.clone()), 1171);
    let owner = world.come_back(&owner, Some("offer"));
    enter(&mut world, &owner, &room);
    assert_eq!(world.code(&owner, INVITE, nothing.clone()), 9701);
    world.must(&owner, Method::Disconnect, json!({}));
    assert_eq!(world.code(&owner, INVITE, nothing), 9702);
    assert_eq!(world.code(&owner, INVITE, json!({"room_id": "Lobby"})), 9702);
    assert_eq!(world.code(&owner, INVITE, json!({"room_id": 5})), 1734);
    let ask = |field: &str, value: Value| with(json!({"room_id": room, "clients": []}), field, value);
    assert_eq!(world.code(&other, INVITE, ask("force_join", json!(3))), 5007);
    assert_eq!(world.code(&owner, INVITE, ask("force_join", json!(true))), 5007);
    assert_eq!(world.code(&owner, INVITE, ask("force_join", json!(3))), 1734);
    assert_eq!(world.code(&owner, INVITE, ask("clients", Value::Null)), 1734);
    assert_eq!(world.code(&owner, INVITE, ask("clients", json!([1]))), 1734);
    assert_eq!(world.code(&owner, INVITE, ask("expires_in", json!(1))), 9712);
    let ask = |field: &str, value: Value| with(json!({"room_id": room, "clients": [other.id]}), field, value);
    assert_eq!(world.code(&owner, INVITE, ask("expires_in", json!("soon"))), 1734);
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    assert_eq!(world.code(&owner, INVITE, ask("force_join", json!(3))), 9703);
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "lecture"}));
    assert_eq!(world.code(&owner, INVITE, ask("force_join", json!(3))), 5067);
}

#[test]
fn each_client_is_judged_alone() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let inside = world.participant("Ina");
    let lost = world.participant("Lou");
    let guest = world.participant("Gus");
    let fourth = world.participant("Fay");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&inside], &room);
    world.lose_media(&lost);
    let clients = json!([inside.id, "nobody", lost.id, guest.id, fourth.id, guest.id]);
    let params = json!({"room_id": room, "clients": clients, "force_join": true});
    let ack = world.must(&moderator, INVITE, params);
    assert_eq!(ack["invited"], json!([guest.id]));
    let mut failed: Vec<(String, u64)> = ack["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| {
            (failure["clientId"].as_str().unwrap().to_owned(), failure["result"].as_u64().unwrap())
        })
        .collect();
    failed.sort_by_key(|(_, code)| *code);
    let wanted = [(&lost.id, 1171), (&fourth.id, 9704), (&"nobody".to_owned(), 9708), (&inside.id, 9709)];
    assert_eq!(failed, wanted.map(|(id, code)| (id.clone(), code)));
    let nobody = world.ask(moderator.link, INVITE, json!({"room_id": room, "clients": ["nobody"]}));
    assert_eq!((&nobody["result"], &nobody["error"]), (&json!(9708), &json!("unknown_client")));
    assert_eq!(nobody["invited"], json!([]));
    invite(&mut world, &moderator, &[&lost], &room);
}

#[test]
fn the_forced_hear_when_it_begins_and_when_it_is_done() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    world.must(&guest, Method::SetMicrophone, json!({"on": false}));
    world.forget_frames();
    force(&mut world, &moderator, &[&guest], &room);
    assert_eq!(world.heard(&guest), ["didBreakoutroomjoining", "didConnectedBreakoutRoom", "slots"]);
    let heard = world.heard(&moderator);
    assert_eq!(heard, ["didUserPaused", "didUserJoinedBreakoutRoom", "didAckInviteBreakOutRoom"]);
    assert!(!world.view().seats[&guest.client()].microphone, "the own switch stays as it is");
    assert!(world.flows(&guest).1.is_empty());
}

#[test]
fn where_owners_may_force_they_never_force_moderators() {
    let breakout = BreakoutSettings { force_by: ForceBy::Owner, ..BreakoutSettings::default() };
    let mut world = World::new(ControlSettings { breakout, ..ControlSettings::default() });
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &owner);
    let params = json!({"room_id": room, "clients": [guest.id, moderator.id], "force_join": true});
    assert_eq!(world.code(&owner, INVITE, params), 5007);
    assert_eq!(force(&mut world, &owner, &[&guest], &room)["invited"], json!([guest.id]));
    let params = with(plan(), "include_moderators", json!(true));
    let ack = world.must(&owner, Method::CreateAndInviteBreakoutRoom, params);
    assert_eq!(ack["failed"], json!([]));
    assert_eq!(world.view().seats[&moderator.client()].breakout(), None);
    assert_eq!(world.view().invitations_of(moderator.client()).count(), 1, "moderators are asked");
}

#[test]
fn an_invitation_expires_and_everybody_concerned_hears() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &owner);
    let params = json!({"room_id": room, "clients": [guest.id], "expires_in": 5});
    world.must(&owner, INVITE, params.clone());
    world.wait(Duration::from_secs(3));
    world.must(&owner, INVITE, params.clone());
    world.wait(Duration::from_secs(4));
    assert_eq!(world.view().invitations.len(), 1, "the second invitation renews the deadline");
    world.forget_frames();
    world.wait(Duration::from_secs(1));
    let withdrawn = world.told(&guest, "didInvitationWithdrawn");
    assert_eq!(withdrawn, [json!({"room_id": room, "reason": "expired"})]);
    for host in [&moderator, &owner] {
        let told = world.told(host, "didBreakoutRoomInviteRejected").remove(0);
        assert_eq!(told, json!({"room_id": room, "clientId": guest.id, "name": "Gus", "reason": "expired"}));
    }
    assert_eq!(world.code(&guest, Method::JoinBreakOutRoom, entry(&room)), 9706);
    assert_eq!(world.code(&guest, Method::RejectBreakOutRoom, json!({"room_id": room})), 9705);
    world.must(&owner, INVITE, with(params, "expires_in", json!(0)));
    world.wait(Duration::from_secs(100_000));
    enter(&mut world, &guest, &room);
}

#[test]
fn an_invitation_is_turned_down() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    let reject = Method::RejectBreakOutRoom;
    assert_eq!(world.code(&guest, reject, json!({"room_id": "x"})), 9702);
    assert_eq!(world.code(&guest, reject, json!({})), 1734);
    assert_eq!(world.code(&guest, reject, json!({"room_id": room})), 9705);
    invite(&mut world, &moderator, &[&guest], &room);
    world.forget_frames();
    world.must(&guest, reject, json!({"room_id": room}));
    let told = world.told(&moderator, "didBreakoutRoomInviteRejected");
    assert_eq!(told[0]["reason"], "rejected");
    assert_eq!(world.code(&guest, Method::JoinBreakOutRoom, entry(&room)), 9705);
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    assert_eq!(world.code(&guest, reject, json!({"room_id": room})), 9703);
    assert!(world.view().destroyed.contains(&room_id(&room)));
}
