//! Taking a seat, losing a connection, coming back, freeing a seat.

use std::time::Duration;

use anteroom::base::{GroupId, LinkId};
use anteroom::control::{PlaceView, SeatState};
use anteroom::message::{CloseReason, ControlInput, MediaReport, Method, Request, Role};
use serde_json::{Value, json};

use crate::stories::{enter, force, invite, make_room, room_id};
use crate::world::{BAD_OFFER, Manners, Person, World};

/// Mia, and Gus in a breakout room of hers.
fn guest_in_a_room() -> (World, Person, Person, String) {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    invite(&mut world, &moderator, &[&guest], &room);
    enter(&mut world, &guest, &room);
    (world, moderator, guest, room)
}

#[test]
fn a_newcomer_gets_the_whole_meeting_and_the_others_hear() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let away = world.participant("Ava");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&away], &room);
    world.must(&moderator, Method::StartCanvas, json!({}));
    world.forget_frames();
    let link = world.open("Lea", Role::Participant);
    let ack = world.ask(link, Method::JoinRoom, json!({"sdp": "offer", "tracks": {"0": "audio"}}));
    assert_eq!((&ack["result"], &ack["sdp"]), (&json!(0), &json!("answer")));
    assert_eq!(ack["slots"][1]["kind"], "video");
    assert_eq!(ack["resume"].as_str().unwrap().len(), 32);
    let shown = &ack["room"];
    assert_eq!((&shown["room_id"], &shown["mode"]), (&json!("standup"), &json!("group")));
    assert_eq!(shown["userList"].as_array().unwrap().len(), 3);
    let seen = shown["userList"].as_array().unwrap().iter().find(|user| user["clientId"] == away.id.as_str());
    assert_eq!((&seen.unwrap()["away"], &seen.unwrap()["room_id"]), (&json!(true), &json!(null)));
    assert_eq!(shown["presenter"]["streamId"], 102);
    assert_eq!(shown["breakoutRooms"], json!([]), "which rooms there are is for moderators");
    let told = world.told(&moderator, "didUserConnected");
    assert_eq!(told[0]["name"], "Lea");
    let second = world.open("Max", Role::Moderator);
    let ack = world.ask(second, Method::JoinRoom, json!({"sdp": "offer"}));
    assert_eq!(ack["room"]["breakoutRooms"][0]["userList"][0]["clientId"], away.id.as_str());
}

#[test]
fn before_the_join_nothing_else_is_allowed() {
    let mut world = World::default();
    let link = world.open("Lea", Role::Moderator);
    for method in Method::ALL.iter().filter(|method| **method != Method::JoinRoom) {
        assert_eq!(world.ask(link, *method, json!({}))["result"], 1171, "{}", method.name());
    }
    assert_eq!(world.ask(link, Method::JoinRoom, json!({}))["result"], 1734);
    assert_eq!(world.ask(link, Method::JoinRoom, json!({"sdp": 1}))["result"], 1734);
    assert_eq!(
        world.ask(link, Method::JoinRoom, json!({"sdp": "o", "tracks": {"0": "smell"}}))["result"],
        1734
    );
    let refused = world.ask(link, Method::JoinRoom, json!({"sdp": BAD_OFFER}));
    assert_eq!((&refused["result"], &refused["msg"]), (&json!(1734), &json!("the offer has no fingerprint")));
    assert_eq!(world.ask(link, Method::JoinRoom, json!({"sdp": "offer"}))["result"], 0);
    assert_eq!(world.ask(link, Method::JoinRoom, json!({"sdp": "offer"}))["result"], 5105);
}

#[test]
fn a_worker_that_never_answers_fails_the_join() {
    let mut world = World::default();
    world.manners.answers = false;
    let link = world.open("Lea", Role::Participant);
    let id = world.send(link, Method::JoinRoom, json!({"sdp": "offer"}));
    assert_eq!(world.ask(link, Method::JoinRoom, json!({"sdp": "offer"}))["result"], 5107);
    world.wait(Duration::from_secs(3));
    assert_eq!(world.ack(link, &id)["result"], 1729);
    assert!(world.view().seats.is_empty());
}

#[test]
fn signalling_comes_back_to_the_running_media() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&guest], &room);
    let before = world.flows(&guest);
    world.forget_frames();
    world.close(guest.link);
    let told = world.told(&moderator, "didUserReconnecting").remove(0);
    assert_eq!(told["clientId"], guest.id.as_str());
    let until = world.now + Duration::from_secs(30);
    let place = PlaceView::Breakout { room: room_id(&room), role: Role::Participant };
    assert_eq!(world.view().state(guest.client()), Some(SeatState::Held { place, until }));
    world.wait(Duration::from_secs(29));
    let back = world.come_back(&guest, None);
    assert_eq!(back.id, guest.id);
    assert_eq!(world.heard(&moderator), ["didUserReconnected"]);
    assert_eq!(world.view().seats[&guest.client()].breakout(), Some(room_id(&room)));
    assert_eq!(world.flows(&guest), before, "media was never touched");
    world.wait(Duration::from_secs(60));
    assert!(world.view().seats.contains_key(&guest.client()));
}

#[test]
fn a_lost_media_connection_is_replaced_by_a_new_offer() {
    let (mut world, _moderator, guest, room) = guest_in_a_room();
    world.forget_frames();
    world.lose_media(&guest);
    assert_eq!(world.heard(&guest), ["transportLost", "didUserReconnecting"]);
    let resume = json!({"resume": guest.resume});
    assert_eq!(world.ask(guest.link, Method::JoinRoom, resume)["result"], 1729);
    let refused = world.ask(guest.link, Method::JoinRoom, json!({"resume": guest.resume, "sdp": BAD_OFFER}));
    assert_eq!(refused["result"], 1734);
    let ack = world.ask(guest.link, Method::JoinRoom, json!({"resume": guest.resume, "sdp": "offer"}));
    assert_eq!((&ack["result"], &ack["room"]["room_id"]), (&json!(0), &json!(room)));
    assert_eq!(world.view().seats[&guest.client()].held_until, None);
    assert!(world.closed.is_empty(), "the own link stays");
}

#[test]
fn another_client_takes_the_seat_over_and_the_secret_is_used_up() {
    let mut world = World::default();
    let guest = world.participant("Gus");
    let back = world.come_back(&guest, Some("offer"));
    assert_eq!(world.closed[&guest.link], CloseReason::Replaced);
    assert_ne!(back.resume, guest.resume);
    world.has_read(&back);
    let link = world.open("Gus", Role::Participant);
    let refused = world.ask(link, Method::JoinRoom, json!({"resume": guest.resume, "sdp": "offer"}));
    assert_eq!(refused["result"], 1729);
    assert_eq!(world.ask(link, Method::JoinRoom, json!({"resume": "x"}))["result"], 1729);
    assert_eq!(world.view().seats.len(), 1);
    let again = world.come_back(&back, None);
    assert_eq!(again.id, guest.id);
}

#[test]
fn who_was_never_told_the_new_secret_comes_back_with_the_one_before() {
    for offer in [None, Some("offer")] {
        let mut world = World::default();
        let guest = world.participant("Gus");
        let refused = |world: &mut World, secret: &str| {
            let link = world.open("Gus", Role::Participant);
            let ack = world.ask(link, Method::JoinRoom, json!({"resume": secret, "sdp": "offer"}));
            assert_eq!(ack["result"], 1729, "{offer:?}");
        };
        // Twice the link breaks before the client has read the ack.
        let unread = world.come_back(&guest, offer);
        world.close(unread.link);
        let unread = world.come_back(&guest, offer);
        let back = world.come_back(&guest, offer);
        assert_eq!((&back.id, world.closed[&unread.link]), (&guest.id, CloseReason::Replaced));
        refused(&mut world, &unread.resume);

        // A request may be older than the ack: only the pong says that the client has read it.
        world.has_read(&back);
        refused(&mut world, &guest.resume);
        let again = world.come_back(&back, offer);
        world.must(&again, Method::Replay, json!({"from_seq": 0}));
        world.close(again.link);
        world.come_back(&back, offer);
        assert_eq!(world.view().seats.len(), 1);
    }
}

/// Everybody in the meeting is told of each loss and each return, and a new link may ask as much as any.
#[test]
fn who_comes_back_all_the_time_has_to_wait() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let mut guest = world.participant("Gus");
    world.forget_frames();
    for _ in 0..10 {
        world.close(guest.link);
        guest = world.come_back(&guest, None);
    }
    world.close(guest.link);
    assert_eq!(world.heard(&moderator).len(), 21);
    let resume = json!({"resume": guest.resume});
    for offer in [Value::Null, json!("offer")] {
        for _ in 0..50 {
            let link = world.open("Gus", Role::Participant);
            let wish = json!({"resume": guest.resume, "sdp": offer});
            assert_eq!(world.ask(link, Method::JoinRoom, wish)["result"], 5107);
            world.close(link);
        }
    }
    assert!(world.heard(&moderator).is_empty(), "nobody else hears of it");
    let link = world.open("Gus", Role::Participant);
    assert_eq!(world.ask(link, Method::JoinRoom, resume.clone())["result"], 5107);
    world.wait(Duration::from_secs(1));
    assert_eq!(
        world.ask(link, Method::JoinRoom, resume)["result"],
        0,
        "a second later it goes on, on that link"
    );
    assert_eq!(world.heard(&moderator), ["didUserReconnected"]);
}

#[test]
fn media_is_lost_when_the_link_that_asked_is_gone_before_the_answer() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    world.manners = Manners { answers: false, connects: false, moves: true };
    let link = world.open("back", Role::Participant);
    world.send(link, Method::JoinRoom, json!({"resume": guest.resume, "sdp": "offer"}));
    world.close(link);
    world.forget_frames();
    world.answer_now();
    assert_eq!(world.heard(&moderator), ["didUserReconnecting"], "what was answered cannot come up");
    let heard = world.heard(&guest);
    assert!(heard.contains(&"transportLost"), "the link before it lives and is told: {heard:?}");
    let link = world.open("back", Role::Participant);
    let refused = world.ask(link, Method::JoinRoom, json!({"resume": guest.resume}));
    assert_eq!(refused["result"], 1729);
    assert!(refused["msg"].as_str().unwrap().contains("`sdp`"), "{refused}");
    assert_eq!(world.come_back(&guest, Some("offer")).id, guest.id);
    assert_eq!(world.heard(&moderator), ["didUserReconnected"]);
}

#[test]
fn a_request_whose_link_went_away_is_not_pending_for_ever() {
    let mut world = World::default();
    let guest = world.participant("Gus");
    world.manners.answers = false;
    let id = world.send(guest.link, Method::JoinRoom, json!({"resume": guest.resume, "sdp": "offer"}));
    world.close(guest.link);
    world.answer_now();
    let guest = world.come_back(&guest, Some("offer"));
    let again = Request::new(&id, Method::JoinRoom.name(), json!({"resume": guest.resume, "sdp": "offer"}));
    world.request(guest.link, again);
    assert_eq!(world.ack(guest.link, &id)["result"], 1729, "its first answer");
    world.forget_frames();
    let other = Request::new(&id, Method::Pause.name(), json!({}));
    world.request(guest.link, other);
    assert_eq!(world.ack(guest.link, &id)["result"], 1734, "another request");
}

#[test]
fn a_seat_that_nobody_comes_back_to_is_freed() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    force(&mut world, &moderator, &[&guest], &room);
    world.lose_media(&guest);
    world.wait(Duration::from_secs(20));
    world.close(guest.link);
    world.forget_frames();
    world.wait(Duration::from_secs(10));
    assert_eq!(world.heard(&moderator), ["didUserDisconnectedFromBreakoutRoom", "didUserDisconnected"]);
    assert!(!world.view().seats.contains_key(&guest.client()));
    let other = world.participant("Otto");
    world.lose_media(&other);
    world.wait(Duration::from_secs(30));
    assert_eq!(world.closed[&other.link], CloseReason::SeatFreed);
}

#[test]
fn plain_invitations_are_kept_for_the_return() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let guest = world.participant("Gus");
    let room = make_room(&mut world, &moderator);
    invite(&mut world, &moderator, &[&guest], &room);
    world.close(guest.link);
    world.wait(Duration::from_secs(10));
    let link = world.open("Gus", Role::Participant);
    let ack = world.ask(link, Method::JoinRoom, json!({"resume": guest.resume}));
    assert_eq!(ack["room"]["invitations"][0]["room_id"], room.as_str());
    let guest = world.seated(link, &ack);
    enter(&mut world, &guest, &room);
}

#[test]
fn ice_is_renewed_on_the_same_connection() {
    let mut world = World::default();
    let guest = world.participant("Gus");
    assert_eq!(world.must(&guest, Method::RestartIce, json!({"sdp": "offer"}))["sdp"], "answer");
    assert_eq!(world.code(&guest, Method::RestartIce, json!({})), 1734);
    assert_eq!(world.code(&guest, Method::RestartIce, json!({"sdp": BAD_OFFER})), 1734);
    world.manners.answers = false;
    let id = world.send(guest.link, Method::RestartIce, json!({"sdp": "offer"}));
    assert_eq!(world.code(&guest, Method::RestartIce, json!({"sdp": "offer"})), 5107);
    world.wait(Duration::from_secs(2));
    // Another report shows that the worker is only busy.
    world.report(MediaReport::Talkers { group: GroupId(0), talkers: Vec::new() });
    world.wait(Duration::from_secs(1));
    assert_eq!(world.ack(guest.link, &id)["result"], 1729);
    world.lose_media(&guest);
    assert_eq!(world.code(&guest, Method::RestartIce, json!({"sdp": "offer"})), 1171);
}

#[test]
fn a_late_answer_to_an_ice_restart_is_not_taken_for_that_to_the_next() {
    let mut world = World::default();
    let guest = world.participant("Gus");
    world.manners.answers = false;
    let first = world.send(guest.link, Method::RestartIce, json!({"sdp": "first"}));
    world.wait(Duration::from_secs(2));
    world.report(MediaReport::Talkers { group: GroupId(0), talkers: Vec::new() });
    world.wait(Duration::from_secs(1));
    assert_eq!(world.ack(guest.link, &first)["result"], 1729);
    let second = world.send(guest.link, Method::RestartIce, json!({"sdp": "second"}));
    let answers = ["to the first", "to the second"].map(str::to_owned);
    for ((participant, number), answer) in world.restarts.clone().into_iter().zip(answers) {
        assert!(world.acks(guest.link, &second).is_empty());
        world.report(MediaReport::IceRestarted { participant, number, result: Ok(answer) });
    }
    assert_eq!(world.ack(guest.link, &second)["sdp"], "to the second");
}

#[test]
fn a_link_that_is_gone_before_the_answer_takes_no_seat() {
    let mut world = World::default();
    world.manners.answers = false;
    let link = world.open("Lea", Role::Participant);
    world.send(link, Method::JoinRoom, json!({"sdp": "offer"}));
    world.close(link);
    assert!(world.view().seats.is_empty());
    world.close(LinkId(99));
    world.wait(Duration::from_secs(60));
    assert_eq!(world.control.totals().rooms, 0);
}

#[test]
fn a_wish_to_come_back_that_had_to_wait_takes_the_seat_from_nobody() {
    for (offer, replaced) in [(None, false), (Some("offer"), false), (None, true), (Some("offer"), true)] {
        let (mut world, moderator, guest, _) = guest_in_a_room();
        world.manners.moves = false;
        let clear = world.send(moderator.link, Method::ClearAllBreakOutSession, json!({}));
        let mut params = json!({"resume": guest.resume});
        params.as_object_mut().unwrap().extend(offer.map(|offer| ("sdp".to_owned(), json!(offer))));
        let wish = world.send(guest.link, Method::JoinRoom, params);
        let back = replaced.then(|| world.come_back(&guest, None));
        if !replaced {
            world.close(guest.link);
        }
        world.move_now();
        assert_eq!(world.ack(moderator.link, &clear)["result"], 0);
        let media = world.view().media[&guest.client()];
        assert_eq!((media.signalling, media.media), (replaced, true), "{offer:?}");
        if let Some(back) = back {
            assert!(!world.closed.contains_key(&back.link), "{offer:?}");
            assert_eq!(world.ack(back.link, &wish)["result"], 1729);
        }
    }
}

#[test]
fn a_wish_to_come_back_that_had_to_wait_may_know_the_secret_before() {
    let (mut world, moderator, guest, _) = guest_in_a_room();
    world.manners = Manners { answers: false, connects: false, moves: false };
    // The second is written before the first is answered with a new secret.
    let params = json!({"resume": guest.resume, "sdp": "offer"});
    let first = world.send(guest.link, Method::JoinRoom, params.clone());
    world.send(moderator.link, Method::ClearAllBreakOutSession, json!({}));
    let second = world.send(guest.link, Method::JoinRoom, params);
    world.answer_now();
    assert_eq!(world.ack(guest.link, &first)["result"], 0);
    world.move_now();
    assert_eq!(world.ack(guest.link, &second)["result"], 0);
    assert_eq!(world.view().seats[&guest.client()].breakout(), None);
}

#[test]
fn who_came_back_is_not_let_go_by_what_the_link_before_had_asked() {
    for method in [Method::LeaveRoom, Method::StartScreenShare, Method::RestartIce] {
        let (mut world, moderator, guest, _) = guest_in_a_room();
        world.manners.moves = false;
        world.send(moderator.link, Method::ClearAllBreakOutSession, json!({}));
        let wish = world.send(guest.link, method, json!({"sdp": "offer"}));
        world.close(guest.link);
        let back = world.come_back(&guest, None);
        world.move_now();
        assert_eq!(world.ack(back.link, &wish)["result"], 1171, "{method:?}");
        assert!(!world.closed.contains_key(&back.link), "{method:?}");
        assert_eq!(world.view().presenter, None);
    }
}

#[test]
fn a_repeat_behind_a_clear_has_one_ack() {
    let (mut world, moderator, guest, _) = guest_in_a_room();
    world.manners.moves = false;
    world.send(moderator.link, Method::ClearAllBreakOutSession, json!({}));
    let request = Request::new("twice", "setCamera", json!({"on": false}));
    for _ in 0..2 {
        world.input(ControlInput::Request { link: guest.link, request: request.clone() });
    }
    world.move_now();
    assert_eq!(world.acks(guest.link, "twice").len(), 1);
}
