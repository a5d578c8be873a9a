//! Things that happen at once: one legal result, one ack each, nobody left between rooms.

use std::time::Duration;

use anteroom::base::{BatchId, Epoch, WorkerId};
use anteroom::message::{CloseReason, ControlInput, LossReason, MediaReport, Method, Role};
use serde_json::json;

use crate::stories::{enter, entry, force, invite, make_room, room_id};
use crate::world::{Person, World};

/// A moderator, an invited guest and a room; the worker moves people when it is told to.
fn hall(world: &mut World) -> (Person, Person, String) {
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(world, &moderator);
    invite(world, &moderator, &[&guest], &room);
    world.manners.moves = false;
    (moderator, guest, room)
}

fn in_parent(world: &World, person: &Person) {
    let view = world.view();
    let seat = &view.seats[&person.client()];
    assert_eq!(seat.place, anteroom::control::PlaceView::Parent);
    assert!(view.rooms.values().all(|room| !room.joining.contains_key(&person.client())));
    let parent = world.flows(person).0;
    assert!(world.known.values().filter(|known| known.placement.group == parent).count() >= 1);
    assert_eq!(view.media[&person.client()].group, Some(parent));
}

#[test]
fn destroy_overtakes_a_join() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    let join = world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    let destroy = world.send(moderator.link, Method::DestroyAllBreakOutSession, json!({}));
    let ack = world.ack(guest.link, &join);
    assert_eq!((&ack["result"], &ack["room_id"]), (&json!(9703), &json!(room)));
    assert!(world.acks(moderator.link, &destroy).is_empty(), "media still has to take the guest back");
    world.move_now();
    assert!(world.acks(moderator.link, &destroy).is_empty());
    world.move_now();
    assert_eq!(world.ack(moderator.link, &destroy)["clients"], json!([]));
    in_parent(&world, &guest);
}

#[test]
fn clear_overtakes_a_join_that_waits_for_its_media() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    world.manners.connects = false;
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    force_later(&mut world, &moderator, &guest, &room);
    let clear = world.send(moderator.link, Method::ClearAllBreakOutSession, json!({}));
    assert_eq!(world.ack(moderator.link, &clear)["result"], 0);
    world.connect(&guest);
    in_parent(&world, &guest);
    assert_eq!(world.told(&guest, "didFailedJoinBreakOutRoom").len(), 1);
}

/// Forces somebody whose media connection is not there yet; answers the request's id.
fn force_later(world: &mut World, moderator: &Person, guest: &Person, room: &str) -> String {
    let params = json!({"clients": [guest.id], "room_id": room, "force_join": true});
    let id = world.send(moderator.link, Method::InviteToBreakOutRoom, params);
    assert!(world.acks(moderator.link, &id).is_empty());
    id
}

#[test]
fn the_forcing_request_is_answered_when_the_forced_are_in_or_have_failed() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    world.manners.connects = false;
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    let id = force_later(&mut world, &moderator, &guest, &room);
    world.wait(Duration::from_secs(10));
    let ack = world.ack(moderator.link, &id);
    assert_eq!(ack["failed"], json!([{"clientId": guest.id, "result": 9711}]));
    assert_eq!(ack["result"], 9711);
    let id = force_later(&mut world, &moderator, &guest, &room);
    world.connect(&guest);
    assert_eq!(world.ack(moderator.link, &id)["invited"], json!([guest.id]));
}

#[test]
fn two_destroys_are_both_answered() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.manners.moves = true;
    enter(&mut world, &guest, &room);
    world.manners.moves = false;
    let first = world.send(moderator.link, Method::DestroyAllBreakOutSession, json!({}));
    let second = world.send(moderator.link, Method::DestroyAllBreakOutSession, json!({}));
    let switch = world.send(guest.link, Method::SetCamera, json!({"on": false}));
    assert!(world.acks(guest.link, &switch).is_empty(), "commands are serial");
    world.move_now();
    assert_eq!(world.ack(moderator.link, &first)["clients"], json!([guest.id]));
    assert_eq!(world.ack(moderator.link, &second)["clients"], json!([]));
    assert_eq!(world.ack(guest.link, &switch)["result"], 0);
    in_parent(&world, &guest);
}

#[test]
fn destroy_takes_over_who_is_on_the_way_back() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.manners.moves = true;
    enter(&mut world, &guest, &room);
    world.manners.moves = false;
    let leave = world.send(guest.link, Method::Disconnect, json!({}));
    assert_eq!(world.code(&guest, Method::Disconnect, json!({})), 5107);
    let destroy = world.send(moderator.link, Method::DestroyAllBreakOutSession, json!({}));
    world.forget_frames();
    world.move_now();
    assert!(world.acks(guest.link, &leave).is_empty(), "the newer placement counts");
    assert!(world.told(&guest, "slots").is_empty());
    world.move_now();
    assert_eq!(world.ack(guest.link, &leave)["reason"], "self");
    assert_eq!(world.ack(moderator.link, &destroy)["result"], 0);
    // Packets have left by the slots of both placements.
    let told: Vec<u64> =
        world.told(&guest, "slots").iter().map(|slots| slots["epoch"].as_u64().unwrap()).collect();
    assert!(told.len() == 2 && told[0] < told[1], "{told:?}");
    in_parent(&world, &guest);
}

#[test]
fn who_gives_a_join_up_is_taken_back() {
    let mut world = World::default();
    let (_, guest, room) = hall(&mut world);
    let join = world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    let leave = world.send(guest.link, Method::Disconnect, json!({}));
    assert_eq!(world.ack(guest.link, &join)["result"], 1729);
    world.move_now();
    assert!(world.acks(guest.link, &leave).is_empty());
    assert_eq!(world.code(&guest, Method::JoinBreakOutRoom, entry(&room)), 5107);
    let given_up = world.view().seq;
    world.move_now();
    assert_eq!(world.ack(guest.link, &leave)["result"], 0);
    assert_eq!(world.acks(guest.link, &leave)[0].1, Some(given_up));
    in_parent(&world, &guest);
    assert_eq!(world.view().invitations.len(), 1, "the invitation is still good");
}

#[test]
fn a_join_under_way_is_left_and_not_rejected() {
    for forced in [true, false] {
        let mut world = World::default();
        let (moderator, guest, room) = hall(&mut world);
        let id = if forced {
            force_later(&mut world, &moderator, &guest, &room)
        } else {
            world.send(guest.link, Method::JoinBreakOutRoom, entry(&room))
        };
        assert_eq!(world.code(&guest, Method::RejectBreakOutRoom, json!({"room_id": room})), 9705);
        world.move_now();
        let link = if forced { moderator.link } else { guest.link };
        assert_eq!(world.ack(link, &id)["result"], 0);
    }
}

#[test]
fn who_is_moving_cannot_be_moved() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    let params = json!({"clients": [guest.id], "room_id": room, "force_join": true});
    assert_eq!(world.code(&moderator, Method::InviteToBreakOutRoom, params), 9709);
    let deal = crate::stories::plan();
    let ack = world.must(&moderator, Method::CreateAndInviteBreakoutRoom, deal);
    assert_eq!(ack["unassigned"], json!([]));
}

#[test]
fn a_reserved_seat_is_taken() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    let other = world.participant("Otto");
    let third = world.participant("Tia");
    invite(&mut world, &moderator, &[&other, &third], &room);
    let first = world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    world.send(other.link, Method::JoinBreakOutRoom, entry(&room));
    assert_eq!(world.code(&third, Method::JoinBreakOutRoom, entry(&room)), 9704);
    world.lose_media(&guest);
    world.move_now();
    assert_eq!(world.ack(guest.link, &first)["result"], 0, "a move under way is completed");
    assert!(world.view().seats[&guest.client()].held_until.is_some());
}

#[test]
fn an_invitation_does_not_expire_under_its_own_join() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    let params = json!({"clients": [guest.id], "room_id": room, "expires_in": 1});
    world.must(&moderator, Method::InviteToBreakOutRoom, params.clone());
    let id = world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    world.wait(Duration::from_millis(1500));
    assert_eq!(world.view().invitations.len(), 1);
    world.move_now();
    assert_eq!(world.ack(guest.link, &id)["result"], 0);
    assert!(world.view().invitations.is_empty());
}

#[test]
fn leaving_while_moving_answers_everything() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    let join = world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    let leave = world.send(guest.link, Method::LeaveRoom, json!({}));
    assert_eq!(world.ack(guest.link, &join)["result"], 1729);
    assert_eq!(world.ack(guest.link, &leave)["result"], 0);
    assert_eq!(world.closed[&guest.link], CloseReason::Left);
    world.waiting.clear();
    world.report(MediaReport::Moved { batch: BatchId(1_000), moved: vec![], unknown: vec![] });
    let other = world.participant("Otto");
    invite(&mut world, &moderator, &[&other], &room);
    let join = world.send(other.link, Method::JoinBreakOutRoom, entry(&room));
    world.must(&moderator, Method::RemoveParticipant, json!({"clientId": other.id}));
    assert_eq!(world.ack(other.link, &join)["result"], 1729);
    assert_eq!(world.closed[&other.link], CloseReason::Removed);
    assert!(world.view().rooms[&room_id(&room)].joining.is_empty());
}

#[test]
fn who_leaves_with_a_request_under_way_hears_its_answer_first() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    let params = json!({"clients": [guest.id], "room_id": room, "force_join": true});
    let forcing = world.send(moderator.link, Method::InviteToBreakOutRoom, params);
    let leave = world.send(moderator.link, Method::LeaveRoom, json!({}));
    assert_eq!(world.ack(moderator.link, &leave)["result"], 0);
    assert!(!world.closed.contains_key(&moderator.link));
    for method in [Method::Pause, Method::JoinRoom] {
        assert_eq!(world.code(&moderator, method, json!({"sdp": "offer"})), 1171);
    }
    world.move_now();
    assert_eq!(world.ack(moderator.link, &forcing)["result"], 0);
    assert_eq!(world.closed[&moderator.link], CloseReason::Left);
}

#[test]
fn coming_back_in_the_middle_of_a_move_lands_in_the_room() {
    let mut world = World::default();
    let (_, guest, room) = hall(&mut world);
    world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    world.close(guest.link);
    let link = world.open("back", Role::Participant);
    let back = world.send(link, Method::JoinRoom, json!({"resume": guest.resume, "sdp": "offer"}));
    assert!(world.acks(link, &back).is_empty(), "it waits for the end of the move");
    let moved_to = world.waiting[0].1[0];
    world.move_now();
    let ack = world.ack(link, &back);
    assert_eq!((&ack["result"], &ack["room"]["room_id"]), (&json!(0), &json!(room)));
    let placement = world.known.values().last().unwrap().placement;
    assert_eq!((placement.group, &ack["epoch"]), (moved_to.group, &json!(placement.epoch.0)));
    assert!(placement.epoch > moved_to.epoch);
    assert_eq!(world.view().seats[&guest.client()].breakout(), Some(room_id(&room)));
}

#[test]
fn who_comes_back_in_a_move_that_is_overtaken_is_connected_where_it_is_told_to_be() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    let parent = world.known.values().last().unwrap().placement.group;
    world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    let link = world.open("back", Role::Participant);
    let back = world.send(link, Method::JoinRoom, json!({"resume": guest.resume, "sdp": "offer"}));
    world.send(moderator.link, Method::DestroyAllBreakOutSession, json!({}));
    for _ in 0..2 {
        assert!(world.acks(link, &back).is_empty(), "neither in the room nor back");
        world.move_now();
    }
    let ack = world.ack(link, &back);
    assert_eq!((&ack["result"], &ack["room"]["me"]["isBreakOutRoom"]), (&json!(0), &json!(false)));
    let placement = world.known.values().last().unwrap().placement;
    assert_eq!((placement.group, &ack["epoch"]), (parent, &json!(placement.epoch.0)));
    in_parent(&world, &guest);
}

#[test]
fn reconnecting_works_in_every_state() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.manners.moves = true;
    let guest = world.come_back(&guest, Some("offer"));
    enter(&mut world, &guest, &room);
    let guest = world.come_back(&guest, Some("offer"));
    assert_eq!(world.view().seats[&guest.client()].breakout(), Some(room_id(&room)));
    world.close(guest.link);
    world.must(&moderator, Method::DestroyAllBreakOutSession, json!({}));
    let guest = world.come_back(&guest, None);
    in_parent(&world, &guest);
}

#[test]
fn a_silent_worker_is_fenced_and_nothing_waits_for_it() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.manners.moves = true;
    enter(&mut world, &guest, &room);
    let other = world.participant("Otto");
    world.manners.moves = false;
    invite(&mut world, &moderator, &[&other], &room);
    let join = world.send(other.link, Method::JoinBreakOutRoom, entry(&room));
    let leave = world.send(guest.link, Method::Disconnect, json!({}));
    world.forget_frames();
    world.wait(Duration::from_secs(2));
    assert_eq!(world.fenced, [WorkerId(0)]);
    assert_eq!(world.ack(other.link, &join)["result"], 1729);
    let ack = world.ack(guest.link, &leave);
    assert_eq!((&ack["result"], &ack["degraded"]), (&json!(0), &json!([guest.id])));
    let view = world.view();
    assert!(view.seats.values().all(|seat| seat.held_until.is_some()));
    assert_eq!(world.groups.len(), 2, "the groups are made anew");
    assert_eq!(world.told(&guest, "transportLost"), [json!({"reason": "worker"})]);
    world.manners.moves = true;
    for person in [&moderator, &guest, &other] {
        let ack = world.ask(person.link, Method::JoinRoom, json!({"resume": person.resume, "sdp": "offer"}));
        assert_eq!(ack["result"], 0);
    }
    in_parent(&world, &guest);
    assert!(world.view().seats.values().all(|seat| seat.held_until.is_none()));
}

#[test]
fn a_worker_whose_report_was_kept_waiting_is_not_silent() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.manners.moves = false;
    let moved = force_later(&mut world, &moderator, &guest, &room);
    let second = world.send(moderator.link, Method::JoinBreakOutRoom, entry(&room));
    // Nobody looked at the queue of reports for longer than a worker may be silent.
    world.now = world.now + Duration::from_secs(3);
    world.move_now();
    world.move_now();
    world.wait(Duration::ZERO);
    assert!(world.fenced.is_empty());
    assert_eq!(world.ack(moderator.link, &moved)["result"], 0);
    assert_eq!(world.ack(moderator.link, &second)["result"], 0);
}

#[test]
fn destroy_goes_on_without_its_worker() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.manners.moves = true;
    enter(&mut world, &guest, &room);
    world.manners.moves = false;
    let destroy = world.send(moderator.link, Method::DestroyAllBreakOutSession, json!({}));
    let late = world.send(moderator.link, Method::ListBreakoutRooms, json!({}));
    world.wait(Duration::from_secs(2));
    let ack = world.ack(moderator.link, &destroy);
    assert_eq!((&ack["clients"], &ack["degraded"]), (&json!([guest.id]), &json!([guest.id])));
    assert_eq!(world.ack(moderator.link, &late)["result"], 1171, "the moderator is Held, too");
    assert!(world.view().rooms.is_empty() && !world.view().seats[&guest.client()].away());
}

#[test]
fn a_crashed_worker_leaves_everybody_in_place() {
    let mut world = World::default();
    let (moderator, guest, room) = hall(&mut world);
    world.manners.moves = true;
    enter(&mut world, &guest, &room);
    world.crash();
    let view = world.view();
    assert_eq!(view.seats[&guest.client()].breakout(), Some(room_id(&room)));
    assert!(view.seats[&guest.client()].held_until.is_some());
    world.input(ControlInput::WorkerLost { worker: WorkerId(0) });
    let moderator = world.come_back(&moderator, Some("offer"));
    world.must(&moderator, Method::ClearAllBreakOutSession, json!({}));
    let guest = world.come_back(&guest, Some("offer"));
    in_parent(&world, &guest);
    force(&mut world, &moderator, &[&guest], &room);
}

#[test]
fn reports_about_the_past_change_nothing() {
    let mut world = World::default();
    let (_, guest, room) = hall(&mut world);
    world.manners.moves = true;
    enter(&mut world, &guest, &room);
    let participant = world.view().seats[&guest.client()].participant;
    let group = world.flows(&guest).0;
    let guest = world.come_back(&guest, Some("offer"));
    world.forget_frames();
    let seq = world.view().seq;
    let epoch = Epoch(1);
    world.report(MediaReport::TransportLost { participant, epoch, reason: LossReason::Consent });
    world.report(MediaReport::Slots { participant, epoch, group, slots: vec![] });
    world.report(MediaReport::Moved { batch: BatchId(0), moved: vec![], unknown: vec![participant] });
    let srtp = anteroom::message::SrtpProfile::AeadAes128Gcm;
    world.report(MediaReport::TransportUp { participant, epoch, srtp });
    assert!(world.heard(&guest).is_empty() && world.view().seq == seq);
}

#[test]
fn slots_that_changed_while_a_move_was_on_its_way_are_told_before_it() {
    let mut world = World::default();
    let (_, guest, room) = hall(&mut world);
    let participant = world.view().seats[&guest.client()].participant;
    let (group, epoch) = (world.flows(&guest).0, world.known[&participant].placement.epoch);
    world.send(guest.link, Method::JoinBreakOutRoom, entry(&room));
    world.forget_frames();
    world.report(MediaReport::Slots { participant, epoch, group, slots: vec![] });
    world.move_now();
    let rooms: Vec<_> = world.told(&guest, "slots").iter().map(|data| data["room_id"].clone()).collect();
    assert_eq!(rooms, [json!("standup"), json!(room)], "the worker sent by them until it moved the guest");
}

#[test]
fn a_slot_names_its_publisher_until_the_worker_knows_that_they_left() {
    use anteroom::base::{Kind, Mid, Ssrc};
    use anteroom::message::SlotBinding;
    let mut world = World::default();
    let speaker = world.participant("Sam");
    let listener = world.participant("Lea");
    let view = world.view();
    let (from, to) = (view.seats[&speaker.client()].participant, view.seats[&listener.client()].participant);
    let (group, epoch) = (world.flows(&listener).0, world.known[&to].placement.epoch);
    let publisher = Some((from, Kind::Audio));
    let slot = SlotBinding {
        mid: Mid::from("1"),
        video: false,
        ssrc: Ssrc(9),
        publisher,
        from_seq: 7,
        reason: None,
    };
    world.must(&speaker, Method::LeaveRoom, json!({}));
    world.forget_frames();
    world.report(MediaReport::Slots { participant: to, epoch, group, slots: vec![slot] });
    let told = world.told(&listener, "slots").remove(0);
    assert_eq!(told["slots"][0]["clientId"], json!(speaker.id), "what came from 7 on was Sam's");
}

#[test]
fn slots_and_talkers_are_told_to_those_concerned() {
    use anteroom::base::{Kind, Mid, Ssrc};
    use anteroom::message::{SlotBinding, SlotReason, Talker};
    let mut world = World::default();
    let speaker = world.participant("Sam");
    let listener = world.participant("Lea");
    let view = world.view();
    let (from, to) = (view.seats[&speaker.client()].participant, view.seats[&listener.client()].participant);
    let (group, epoch) = (world.flows(&listener).0, world.known[&to].placement.epoch);
    let slot = |mid: &str, video: bool, publisher, reason| SlotBinding {
        mid: Mid::from(mid),
        video,
        ssrc: Ssrc(9),
        publisher,
        from_seq: 70_000,
        reason,
    };
    let slots = vec![
        slot("1", false, Some((from, Kind::Audio)), None),
        slot("2", true, Some((from, Kind::Share)), None),
        slot("3", true, Some((from, Kind::Video)), None),
        slot("4", true, None, Some(SlotReason::Codec)),
    ];
    world.forget_frames();
    world.report(MediaReport::Slots { participant: to, epoch, group, slots });
    let told = world.told(&listener, "slots").remove(0);
    assert_eq!((&told["epoch"], &told["room_id"]), (&json!(epoch.0), &json!("standup")));
    let ids: Vec<_> = told["slots"].as_array().unwrap().iter().map(|slot| slot["streamId"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(101), json!(2), json!(null)]);
    assert_eq!((&told["slots"][3]["kind"], &told["slots"][3]["reason"]), (&json!("video"), &json!("codec")));
    assert_eq!(told["slots"][0]["from_seq"], 70_000);
    let talkers = vec![Talker { participant: from, level: 30 }];
    world.report(MediaReport::Talkers { group, talkers });
    let told = world.told(&speaker, "active-talkers-updated").remove(0);
    let active = json!([{"clientId": speaker.id, "name": "Sam", "level": 30}]);
    assert_eq!(told, json!({"room_id": "standup", "active": active}));
}
