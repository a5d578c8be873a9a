//! A crash: what was saved is there again, and what was under way is there wholly or not at all.

use std::time::Duration;

use anteroom::base::{Epoch, Time};
use anteroom::control::PlaceView;
use anteroom::message::saved::SavedHead;
use anteroom::message::{
    AdminReply, AdminRequest, ControlInput, Frame, MediaReport, Method, Role, RoomSettings, Talker,
};
use serde_json::{Value, json};

use crate::stories::{enter, entry, invite, make_room, room_id};
use crate::world::{Person, ROOM, World};

/// Comes back after a crash, with new media, and answers what the ack says as well.
fn resume(world: &mut World, person: &Person) -> (Person, Value) {
    let link = world.open("back", Role::Participant);
    let ack = world.ask(link, Method::JoinRoom, json!({"resume": person.resume, "sdp": "offer"}));
    assert_eq!(ack["result"], 0, "{ack}");
    (world.seated(link, &ack), ack)
}

#[test]
fn who_comes_back_is_where_they_were_and_as_they_were() {
    let mut world = World::default();
    let (ada, ben, cleo) = (world.moderator("Ada"), world.participant("Ben"), world.participant("Cleo"));
    let room = make_room(&mut world, &ada);
    invite(&mut world, &ada, &[&ben], &room);
    enter(&mut world, &ben, &room);
    world.must(&ben, Method::MuteRoom, json!({"audio": true}));
    world.must(&cleo, Method::SetCamera, json!({"on": false}));
    world.must(&ada, Method::MuteRoom, json!({"video": true}));
    world.must(&cleo, Method::StartCanvas, json!({}));
    world.save();
    world.restart();

    let view = world.view();
    assert!(view.seats.values().all(|seat| seat.held_until == Some(world.now + Duration::from_secs(30))));
    let (ben, joined) = resume(&mut world, &ben);
    assert_eq!(joined["room"]["room_id"], room.as_str());
    assert_eq!(joined["room"]["me"]["leg"]["audio_muted"], true);
    assert_ne!(joined["resume"], ben.id.as_str());
    let (cleo, joined) = resume(&mut world, &cleo);
    assert_eq!((&joined["room"]["room_id"], &joined["room"]["me"]["camera"]), (&json!(ROOM), &json!(false)));
    assert_eq!(joined["room"]["state"]["video_muted"], true);
    assert_eq!(joined["room"]["presenter"], Value::Null, "who is Held does not present");
    let (ada, joined) = resume(&mut world, &ada);
    assert_eq!(joined["room"]["breakoutRooms"][0]["userList"][0]["clientId"], ben.id.as_str());
    assert_eq!(joined["room"]["breakoutRooms"][0]["owner"], ada.id.as_str());
    assert_ne!(world.flows(&ben).0, world.flows(&cleo).0);
    assert_eq!(world.flows(&ada).0, world.flows(&cleo).0);

    // And it goes on.
    world.must(&ben, Method::Disconnect, json!({}));
    assert_eq!(world.flows(&ben).0, world.flows(&cleo).0);
    world.must(&ada, Method::DestroyAllBreakOutSession, json!({}));
}

#[test]
fn a_secret_that_was_used_before_the_crash_is_of_no_use_after_it() {
    let mut world = World::default();
    let ada = world.moderator("Ada");
    let old = ada.resume.clone();
    let ada = world.come_back(&ada, None);
    world.has_read(&ada);
    world.save();
    world.restart();
    let link = world.open("back", Role::Participant);
    let refused = world.ask(link, Method::JoinRoom, json!({"resume": old, "sdp": "offer"}));
    assert_eq!(refused["error"], "join_failed");
    resume(&mut world, &ada);
}

#[test]
fn a_secret_that_the_crash_kept_from_its_client_does_not_cost_the_seat() {
    let mut world = World::default();
    let ada = world.moderator("Ada");
    // Saved, and the server was killed before the ack went out.
    world.come_back(&ada, None);
    world.save();
    world.restart();
    let (back, _) = resume(&mut world, &ada);
    assert_eq!(back.id, ada.id);
}

#[test]
fn a_move_under_way_is_not_there_and_a_way_back_has_not_begun() {
    let mut world = World::default();
    let (ada, ben) = (world.moderator("Ada"), world.participant("Ben"));
    let room = make_room(&mut world, &ada);
    invite(&mut world, &ada, &[&ben], &room);
    enter(&mut world, &ada, &room);
    world.save();
    world.manners.moves = false;
    world.send(ben.link, Method::JoinBreakOutRoom, entry(&room));
    world.send(ada.link, Method::Disconnect, json!({}));
    assert_eq!(world.save(), 0, "nothing of it is settled");
    world.restart();
    let view = world.view();
    assert_eq!(view.seats[&ben.client()].place, PlaceView::Parent);
    assert!(matches!(view.seats[&ada.client()].place, PlaceView::Breakout { .. }));
    assert!(view.invitations.contains_key(&(room_id(&room), ben.client())), "it was not used up");

    world.manners.moves = true;
    let (ben, _) = resume(&mut world, &ben);
    enter(&mut world, &ben, &room);
}

#[test]
fn placements_only_grow_though_the_clock_goes_back() {
    let mut world = World::default();
    let ada = world.moderator("Ada");
    let room = make_room(&mut world, &ada);
    enter(&mut world, &ada, &room);
    let told = |world: &World, person: &Person| {
        let participant = world.view().seats[&person.client()].participant;
        world.known[&participant].placement.epoch
    };
    let before = told(&world, &ada);
    world.save();
    world.now = Time(world.now.0 - 3_600_000_000);
    world.restart();
    let (ada, joined) = resume(&mut world, &ada);
    assert!(joined["epoch"].as_u64().unwrap() > before.0, "{joined} after {before}");
    world.must(&ada, Method::Disconnect, json!({}));
    assert!(told(&world, &ada) > Epoch(joined["epoch"].as_u64().unwrap()));
}

#[test]
fn numbers_of_events_only_grow_over_any_number_of_crashes() {
    let mut world = World::default();
    let mut ada = world.moderator("Ada");
    let mut newest = 0;
    for _ in 0..3 {
        let view = world.view();
        let participant = view.seats[&ada.client()].participant;
        let group = world.known[&participant].placement.group;
        // Who talks is saved by and by only.
        for level in 0..1_500_u32 {
            let talkers = vec![Talker { participant, level: u8::try_from(level % 100).unwrap() }];
            world.report(MediaReport::Talkers { group, talkers });
            if world.save() > 0 {
                assert!(world.view().seq <= newest + 10_000);
            }
        }
        let frames = world.take(ada.link);
        let numbers = frames.iter().filter_map(|frame| match frame {
            Frame::Event { seq, .. } => Some(*seq),
            Frame::Ack { seq, .. } => *seq,
        });
        let numbers: Vec<u64> = numbers.collect();
        assert!(numbers.iter().all(|number| *number > newest), "{newest}");
        newest = *numbers.iter().max().unwrap();
        world.restart();
        assert!(world.view().seq >= newest);
        let (back, joined) = resume(&mut world, &ada);
        ada = back;
        assert!(joined["seq"].as_u64().unwrap() >= newest);
        world.save();
        // What came before is not in the log any more; a client that asks gets the whole.
        let replay = world.must(&ada, Method::Replay, json!({"from_seq": newest}));
        assert!(replay["snapshot"].is_object(), "{replay}");
    }
    let head = world.saved.values().next().unwrap();
    assert!(head.to_bytes().len() < 1_000 && SavedHead::UNSAVED_EVENTS >= 1_000);
}

#[test]
fn who_knows_later_numbers_than_a_crash_has_left_gets_the_whole() {
    let mut world = World::default();
    let ada = world.moderator("Ada");
    world.save();
    let participant = world.view().seats[&ada.client()].participant;
    let group = world.known[&participant].placement.group;
    // Nothing can be written any more, and the meeting goes on.
    for level in 0..2_000_u32 {
        let talkers = vec![Talker { participant, level: u8::try_from(level % 100).unwrap() }];
        world.report(MediaReport::Talkers { group, talkers });
    }
    let newest = world.view().seq;
    world.restart();
    let (ada, joined) = resume(&mut world, &ada);
    assert!(joined["seq"].as_u64().unwrap() < newest);
    let replay = world.must(&ada, Method::Replay, json!({"from_seq": newest + 1}));
    assert_eq!(replay["snapshot"]["seq"], world.view().seq, "{replay}");
    let replay = world.must(&ada, Method::Replay, json!({"from_seq": world.view().seq + 1}));
    assert_eq!(replay["events"], json!([]));
}

#[test]
fn seats_are_kept_thirty_seconds_from_the_restart_and_invitations_end_in_their_time() {
    let mut world = World::default();
    let (ada, ben) = (world.moderator("Ada"), world.participant("Ben"));
    let room = make_room(&mut world, &ada);
    invite(&mut world, &ada, &[&ben], &room);
    world.save();
    world.now = world.now + Duration::from_secs(110);
    world.restart();
    let (ada, _) = resume(&mut world, &ada);
    let (ben, joined) = resume(&mut world, &ben);
    assert_eq!(joined["room"]["invitations"][0]["room_id"], room.as_str());
    world.wait(Duration::from_secs(11));
    let refused = world.ask(ben.link, Method::JoinBreakOutRoom, entry(&room));
    assert_eq!(refused["error"], "invitation_expired", "{refused}");
    world.save();
    world.restart();
    let (ben, _) = resume(&mut world, &ben);
    let refused = world.ask(ben.link, Method::JoinBreakOutRoom, entry(&room));
    assert_eq!(refused["error"], "invitation_expired", "also after another crash: {refused}");
    world.wait(Duration::from_secs(31));
    let view = world.view();
    assert!(!view.seats.contains_key(&ada.client()) && view.seats.contains_key(&ben.client()));
}

#[test]
fn a_room_that_has_ended_leaves_nothing_and_an_operators_room_stays() {
    let mut world = World::default();
    let request = AdminRequest::CreateRoom { name: "board".to_owned(), settings: None };
    world.input(ControlInput::Admin { ticket: 1, request });
    let ada = world.moderator("Ada");
    make_room(&mut world, &ada);
    world.save();
    world.must(&ada, Method::EndRoom, json!({}));
    world.save();
    let rooms = |world: &mut World| {
        world.input(ControlInput::Admin { ticket: 2, request: AdminRequest::ListRooms });
        let Some(AdminReply::Rooms(rooms)) = world.replies.pop() else { panic!("rooms") };
        rooms.into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
    };
    let request = AdminRequest::EndRoom { name: "board".to_owned() };
    world.input(ControlInput::Admin { ticket: 3, request });
    assert_eq!(world.replies.pop(), Some(AdminReply::Ended));
    world.save();
    assert_eq!(world.saved.len(), 1, "{:?}", world.saved);
    world.restart();
    assert_eq!(rooms(&mut world), ["board"]);
    world.wait(Duration::from_secs(3_600));
    assert_eq!(rooms(&mut world), ["board"], "it stays without anybody");
}

#[test]
fn a_crowd_that_moves_saves_only_who_moves() {
    let room = RoomSettings { max_participants: 1_000, ..RoomSettings::default() };
    let settings = anteroom::control::ControlSettings { room, ..Default::default() };
    let mut world = World::new(settings);
    world.checks = false;
    let ada = world.moderator("Ada");
    let people: Vec<Person> = (0..200).map(|n| world.participant(&format!("P{n}"))).collect();
    let room = make_room(&mut world, &ada);
    invite(&mut world, &ada, &[&people[0]], &room);
    world.save();
    enter(&mut world, &people[0], &room);
    // The seat, the invitation that is used up, and nothing of the two hundred others who are told.
    assert_eq!(world.save(), 2);
    world.must(&people[0], Method::Disconnect, json!({}));
    assert_eq!(world.save(), 1);
    world.must(&people[0], Method::ListBreakoutRooms, json!({}));
    assert_eq!(world.save(), 0);
}
