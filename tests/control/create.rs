//! `createBreakOutRoom`, `createAndInviteBreakoutRoom`, `listBreakoutRooms`.

use std::collections::BTreeSet;

use anteroom::base::Kind;
use anteroom::control::ControlSettings;
use anteroom::control::settings::{BreakoutSettings, CreateBy};
use anteroom::message::{Method, RoomSettings};
use serde_json::{Value, json};

use crate::stories::{enter, entry, invite, make_room, make_rooms, plan, room_id, with};
use crate::world::World;

#[test]
fn a_moderator_makes_rooms_and_every_moderator_hears() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let second = world.moderator("Max");
    let listener = world.participant("Lea");
    world.forget_frames();
    let params = with(with(plan(), "max_rooms", json!(3)), "name", json!("Group"));
    let ack = world.must(&moderator, Method::CreateBreakOutRoom, params);
    assert_eq!(ack["msg"]["rooms"].as_array().unwrap().len(), 3);
    assert_eq!(ack["details"][2]["name"], "Group 3");
    assert_eq!(ack["details"][0]["owner"], moderator.id.as_str());
    let created = world.told(&second, "didBreakoutRoomCreated");
    assert_eq!(created.len(), 1);
    assert_eq!(created[0]["details"], ack["details"]);
    assert_eq!(created[0]["creator"], json!({"id": moderator.id, "name": "Mia"}));
    assert_eq!(world.heard(&moderator), ["didBreakoutRoomCreated", "didAckCreateBreakOutRoom"]);
    assert!(world.heard(&listener).is_empty());
}

#[test]
fn the_checks_of_create_come_in_their_order() {
    let settings = ControlSettings {
        breakout: BreakoutSettings { create_by: CreateBy::Moderators, ..BreakoutSettings::default() },
        ..ControlSettings::default()
    };
    let mut world = World::new(settings);
    let moderator = world.moderator("Mia");
    let listener = world.participant("Lea");
    let create = Method::CreateBreakOutRoom;
    // Each step breaks everything that is checked later, too.
    let nothing = json!({"participants": 1, "max_rooms": 0});
    world.lose_media(&moderator);
    world.must(&listener, Method::SetMicrophone, json!({"on": true}));
    assert_eq!(world.code(&moderator, create, nothing.clone()), 1171);
    let moderator = world.come_back(&moderator, Some("offer"));
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "lecture"}));
    assert_eq!(world.code(&listener, create, nothing.clone()), 5067);
    world.must(&moderator, Method::SetRoomMode, json!({"mode": "group"}));
    let room = make_room(&mut world, &moderator);
    invite(&mut world, &moderator, &[&listener], &room);
    enter(&mut world, &listener, &room);
    assert_eq!(world.code(&listener, create, nothing.clone()), 9701);
    world.must(&listener, Method::Disconnect, json!({}));
    assert_eq!(world.code(&listener, create, nothing.clone()), 5007);
    assert_eq!(world.code(&moderator, create, nothing), 1734);
    let broken = |field: &str, value: Value| with(with(plan(), "max_rooms", json!(0)), field, value);
    for (field, value) in [
        ("audio", Value::Null),
        ("video", json!(1)),
        ("canvas", json!("yes")),
        ("share", Value::Null),
        ("max_rooms", json!("three")),
        ("name", json!("")),
        ("name", json!("x".repeat(129))),
        ("name", json!("Lobby\u{7}")),
        ("name", json!("Lobby\u{202e}")),
        ("open", json!(0)),
    ] {
        let params = with(broken(field, value), "participants", json!(1));
        assert_eq!(world.code(&moderator, create, params), 1734, "{field}");
    }
    for wrong in [Value::Null, json!("2"), json!(1), json!(0), json!(2.5), json!(-2)] {
        assert_eq!(world.code(&moderator, create, broken("participants", wrong.clone())), 1724, "{wrong}");
    }
    for many in [json!(6), json!(6.0), json!(1e30)] {
        assert_eq!(world.code(&moderator, create, broken("participants", many.clone())), 1725, "{many}");
    }
    for wrong in [json!(0), json!(1.5), json!(-1)] {
        assert_eq!(world.code(&moderator, create, with(plan(), "max_rooms", wrong.clone())), 1734, "{wrong}");
    }
    for many in [json!(10), json!(1e19), json!(1e30)] {
        assert_eq!(world.code(&moderator, create, with(plan(), "max_rooms", many.clone())), 1726, "{many}");
    }
    assert_eq!(world.view().rooms.len(), 1, "refusals change nothing");
    // One number, however a client's language writes it.
    let made = world.must(
        &moderator,
        create,
        with(with(plan(), "max_rooms", json!(9.0)), "participants", json!(3.0)),
    );
    assert_eq!(made["details"][8]["participants"], 3);
}

#[test]
fn several_rooms_are_numbered_within_the_length_of_a_name() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let plan = with(with(plan(), "max_rooms", json!(10)), "name", json!("é".repeat(128)));
    let made = world.must(&moderator, Method::CreateBreakOutRoom, plan);
    let name = |at: usize| made["details"][at]["name"].as_str().unwrap().to_owned();
    assert_eq!(name(0), format!("{} 1", "é".repeat(126)));
    assert_eq!(name(9), format!("{} 10", "é".repeat(125)));
}

#[test]
fn the_types_of_a_deal_are_checked_before_its_numbers() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let deal = Method::CreateAndInviteBreakoutRoom;
    let numbers =
        [("participants", json!(1), 1724), ("participants", json!(6), 1725), ("max_rooms", json!(11), 1726)];
    for (number, value, code) in numbers {
        let params = with(plan(), number, value);
        assert_eq!(world.code(&moderator, deal, params.clone()), code);
        for (field, wrong) in
            [("force_join", json!(1)), ("include_moderators", json!("no")), ("seed", json!(-1))]
        {
            assert_eq!(world.code(&moderator, deal, with(params.clone(), field, wrong)), 1734, "{field}");
        }
    }
}

#[test]
fn where_two_cannot_be_heard_no_room_can_be_made() {
    let room = RoomSettings { max_active_talkers: 2, share: false, ..RoomSettings::default() };
    let mut world = World::new(ControlSettings { room, ..ControlSettings::default() });
    let moderator = world.moderator("Mia");
    assert_eq!(world.code(&moderator, Method::CreateBreakOutRoom, plan()), 1725);
}

#[test]
fn a_room_carries_what_the_parent_and_the_operator_allow() {
    let room = RoomSettings { share: false, ..RoomSettings::default() };
    let mut world = World::new(ControlSettings { room: room.clone(), ..ControlSettings::default() });
    let moderator = world.moderator("Mia");
    let ack = world.must(&moderator, Method::CreateBreakOutRoom, with(plan(), "video", json!(true)));
    assert_eq!(ack["warnings"], json!(["video_not_supported"]));
    assert_eq!(ack["details"][0]["video"], false);
    assert_eq!(ack["details"][0]["share"], false);
    let breakout = BreakoutSettings { video: true, ..BreakoutSettings::default() };
    let mut world = World::new(ControlSettings { room, breakout, ..ControlSettings::default() });
    let moderator = world.moderator("Mia");
    let ack = world.must(&moderator, Method::CreateBreakOutRoom, with(plan(), "video", json!(true)));
    assert_eq!((&ack["warnings"], &ack["details"][0]["video"]), (&Value::Null, &json!(true)));
    let id = ack["msg"]["rooms"][0].as_str().unwrap();
    assert!(world.view().rooms[&room_id(id)].kinds.contains(Kind::Video));
}

#[test]
fn people_are_dealt_round_and_moved_as_one_step() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let helper = world.moderator("Max");
    let people: Vec<_> = (0..7).map(|number| world.participant(&format!("P{number}"))).collect();
    let away = people[6].clone();
    let early = make_room(&mut world, &moderator);
    invite(&mut world, &moderator, &[&away], &early);
    enter(&mut world, &away, &early);
    world.forget_frames();
    let params = with(with(plan(), "max_rooms", json!(2)), "seed", json!(7));
    let ack = world.must(&moderator, Method::CreateAndInviteBreakoutRoom, params);
    let assignments = ack["assignments"].as_object().unwrap();
    let sizes: Vec<usize> = assignments.values().map(|clients| clients.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [2, 2]);
    assert_eq!(ack["unassigned"].as_array().unwrap().len(), 2);
    assert_eq!(ack["failed"], json!([]));
    let dealt: BTreeSet<String> = assignments
        .values()
        .chain([&ack["unassigned"]])
        .flat_map(|clients| clients.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()))
        .collect();
    let expected: BTreeSet<String> = people[..6].iter().map(|person| person.id.clone()).collect();
    assert_eq!(dealt, expected, "neither the caller, nor moderators, nor who is away");
    for (room, clients) in assignments {
        for client in clients.as_array().unwrap() {
            let seat = &world.view().seats[&client.as_str().unwrap().parse().unwrap()];
            assert_eq!(seat.breakout(), Some(room_id(room)));
        }
    }
    let heard = world.heard(&helper);
    assert_eq!(heard.iter().filter(|name| **name == "didUserJoinedBreakoutRoom").count(), 4);
    assert_eq!(heard.iter().filter(|name| **name == "didBreakoutRoomCreated").count(), 1);
}

#[test]
fn the_same_seed_deals_the_same() {
    let deal = || {
        let mut world = World::default();
        let moderator = world.moderator("Mia");
        for name in ["Ann", "Ben", "Cem", "Dee"] {
            world.participant(name);
        }
        let params = with(with(plan(), "max_rooms", json!(2)), "seed", json!(11));
        world.must(&moderator, Method::CreateAndInviteBreakoutRoom, params)["assignments"].clone()
    };
    assert_eq!(deal(), deal());
}

#[test]
fn who_may_not_force_invites() {
    let mut world = World::default();
    let owner = world.participant("Olli");
    let guest = world.participant("Gus");
    let deal = Method::CreateAndInviteBreakoutRoom;
    assert_eq!(world.code(&owner, deal, with(plan(), "force_join", json!(true))), 5007);
    assert!(world.view().rooms.is_empty());
    for (field, value) in [("force_join", json!(1)), ("include_moderators", json!("no")), ("seed", json!(-1))]
    {
        assert_eq!(world.code(&owner, deal, with(plan(), field, value)), 1734, "{field}");
    }
    world.forget_frames();
    world.must(&owner, deal, plan());
    assert_eq!(world.view().invitations.len(), 1);
    assert_eq!(world.heard(&guest), ["didInvitationForBreakoutRoom"]);
}

#[test]
fn nobody_to_assign_is_a_success() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let ack = world.must(&moderator, Method::CreateAndInviteBreakoutRoom, plan());
    assert_eq!(ack["unassigned"], json!([]));
    assert_eq!(ack["assignments"].as_object().unwrap().len(), 1);
}

#[test]
fn everybody_sees_the_rooms_that_concern_them() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let guest = world.participant("Gus");
    let hidden = make_room(&mut world, &moderator);
    let own = make_room(&mut world, &owner);
    let open = make_rooms(&mut world, &moderator, with(plan(), "open", json!(true))).remove(0);
    invite(&mut world, &owner, &[&guest], &own);
    enter(&mut world, &owner, &own);
    let rooms = |list: &Value| -> BTreeSet<String> {
        list["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|room| room["room_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = world.must(&moderator, Method::ListBreakoutRooms, json!({}));
    assert_eq!(rooms(&all), BTreeSet::from([hidden, own.clone(), open.clone()]));
    let seen = all["rooms"].as_array().unwrap().iter().find(|room| room["room_id"] == own.as_str()).unwrap();
    assert_eq!((&seen["state"], &seen["userList"][0]["name"]), (&json!("active"), &json!("Olli")));
    let some = world.must(&guest, Method::ListBreakoutRooms, json!({}));
    assert_eq!(rooms(&some), BTreeSet::from([own.clone(), open]));
    let seen = some["rooms"].as_array().unwrap().iter().find(|room| room["room_id"] == own.as_str()).unwrap();
    assert_eq!((&seen["members"], &seen["userList"]), (&json!(1), &Value::Null), "members are for hosts");
}

#[test]
fn who_is_invited_and_on_the_way_is_for_hosts() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let owner = world.participant("Olli");
    let people = ["Gus", "Ines", "Jo"].map(|name| world.participant(name));
    let [inside, invited, joining] = &people;
    let room = make_room(&mut world, &owner);
    invite(&mut world, &owner, &[inside, invited, joining], &room);
    enter(&mut world, inside, &room);
    world.manners.moves = false;
    world.send(joining.link, Method::JoinBreakOutRoom, entry(&room));
    for host in [&moderator, &owner] {
        let listed = world.must(host, Method::ListBreakoutRooms, json!({}))["rooms"][0].clone();
        // A seat that is reserved has not used its invitation up.
        let waiting = listed["invited"].as_array().unwrap();
        assert!(waiting.contains(&json!(invited.id)) && listed["joining"] == json!([joining.id]), "{listed}");
    }
    let listed = world.must(inside, Method::ListBreakoutRooms, json!({}))["rooms"][0].clone();
    assert_eq!(listed["userList"][0]["clientId"], inside.id.as_str());
    assert_eq!((listed.get("invited"), listed.get("joining")), (None, None), "{listed}");
}
