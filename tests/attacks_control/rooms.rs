//! Roles and rooms: nobody does what the own role may not, or anything in another meeting.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anteroom::base::Random;
use anteroom::message::Method;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::http::{free_ports, start};
use super::person::{Person, new_participant};
use super::tally::Tally;
use super::ws::Client;

fn room_wish() -> Value {
    json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1})
}

fn join_wish(room: &str, role: &str) -> Value {
    json!({"role": role, "room_id": room, "streamInfo": {"audio": true, "video": false}})
}

/// The meeting that others try to reach into: it must not hear of anything.
struct Other {
    chair: Person,
    member: Person,
    room: String,
}

impl Other {
    async fn start(address: SocketAddr) -> Self {
        let mut chair = Person::join(address, "beta", "Chair", "moderator").await;
        let mut member = Person::join(address, "beta", "Member", "participant").await;
        let made = chair.succeed("createBreakOutRoom", room_wish()).await;
        let room = made["msg"]["rooms"][0].as_str().unwrap().to_owned();
        // Both have media before anybody tries anything, so that nothing of their own is still to come.
        let invitation = json!({"clients": [member.id], "room_id": room, "force_join": true});
        chair.succeed("inviteToBreakOutRoom", invitation).await;
        member.event("didConnectedBreakoutRoom").await;
        chair.succeed("joinBreakOutRoom", join_wish(&room, "moderator")).await;
        Self { chair, member, room }
    }

    /// Every id of the meeting that somebody might have found out.
    fn ids(&self) -> Vec<String> {
        let secrets =
            [&self.chair, &self.member].map(|person| person.joined["resume"].as_str().unwrap().to_owned());
        let mut ids =
            vec![self.room.clone(), self.chair.id.clone(), self.member.id.clone(), "beta".to_owned()];
        ids.extend(secrets);
        ids
    }

    /// What is there, as its moderator sees it.
    async fn state(&mut self) -> (Value, Value) {
        let rooms = self.chair.succeed("listBreakoutRooms", json!({})).await["rooms"].take();
        let events = self.chair.succeed("replay", json!({"from_seq": 1})).await["events"].take();
        let lasting =
            |event: &&Value| event["event"] != "active-talkers-updated" && event["event"] != "slots";
        (rooms, events.as_array().unwrap().iter().filter(lasting).cloned().collect())
    }
}

/// What each method answers to each role in the parent room, by the table of the contract.
fn parent_table() -> BTreeMap<(String, String), u64> {
    let file = include_str!("../control_table.rs");
    let table = file.split("const TABLE: &str = \"").nth(1).unwrap().split("\";").next().unwrap();
    let rows = table.trim().lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.map(|row| ((row[0].to_owned(), row[1].to_owned()), row[2].parse().unwrap())).collect()
}

/// A meeting of the caller's own, around one cell of the table.
struct Own {
    chair: Client,
    tim: String,
    caller: Client,
    room: String,
    _tim: Client,
}

async fn seat(address: SocketAddr, room: &str, name: &str, role: &str) -> (Client, String) {
    let mut client = Client::enter(address, room, name, role).await;
    let (sdp, tracks) = new_participant(anteroom::telemetry::Clock::start()).offer();
    let joined = client.succeed("joinRoom", json!({"sdp": sdp, "tracks": tracks})).await;
    let id = joined["clientId"].as_str().unwrap().to_owned();
    (client, id)
}

impl Own {
    async fn start(address: SocketAddr, parent: &str, role: &str) -> Self {
        let (mut chair, _) = seat(address, parent, "Chair", "moderator").await;
        let (tim_client, tim) = seat(address, parent, "Tim", "participant").await;
        let token = if role == "moderator" { "moderator" } else { "participant" };
        let (mut caller, _) = seat(address, parent, "Caller", token).await;
        let maker = if role == "owner" { &mut caller } else { &mut chair };
        let made = maker.succeed("createBreakOutRoom", room_wish()).await;
        let room = made["msg"]["rooms"][0].as_str().unwrap().to_owned();
        Self { chair, tim, caller, room, _tim: tim_client }
    }
}

/// What a method is asked with about a room and a participant: everything well-formed.
fn params(method: Method, room: &str, client: &str, secret: Option<&str>) -> Value {
    match method {
        Method::JoinRoom => json!({"sdp": "v=0\r\n", "resume": secret}),
        Method::RestartIce => json!({"sdp": "v=0\r\n"}),
        Method::Replay => json!({"from_seq": 1}),
        Method::SetMicrophone | Method::SetCamera => json!({"on": false}),
        Method::SetRole => json!({"clientId": client, "role": "moderator"}),
        Method::RemoveParticipant => json!({"clientId": client}),
        Method::SetRoomMode => json!({"mode": "group"}),
        // Nobody is forced, who would be waited for: these people have no media.
        Method::CreateBreakOutRoom | Method::CreateAndInviteBreakoutRoom => {
            let mut wish = room_wish();
            wish["force_join"] = json!(false);
            wish
        }
        Method::InviteToBreakOutRoom => json!({"clients": [client], "room_id": room}),
        Method::JoinBreakOutRoom => join_wish(room, "participant"),
        Method::RejectBreakOutRoom => json!({"room_id": room}),
        Method::MuteRoom | Method::UnmuteRoom => json!({"audio": true}),
        _ => json!({}),
    }
}

/// The methods that name a room, a participant or a seat.
const NAMING: [Method; 6] = [
    Method::SetRole,
    Method::RemoveParticipant,
    Method::InviteToBreakOutRoom,
    Method::JoinBreakOutRoom,
    Method::RejectBreakOutRoom,
    Method::Disconnect,
];

/// The own row of a cell, and the same method about the other meeting.
async fn cell(address: SocketAddr, other: &Other, method: Method, role: &str, expected: u64) {
    let parent = format!("alpha {} {role}", method.name()).replace(' ', "-");
    let mut own = Own::start(address, &parent, role).await;
    if NAMING.contains(&method) {
        let mut foreign = params(method, &other.room, &other.member.id, None);
        foreign["room_id"] = json!(other.room);
        assert_ne!(own.caller.refused(method.name(), foreign).await, 0, "{} by the {role}", method.name());
        let mixed = params(method, &own.room, &other.member.id, None);
        if method == Method::InviteToBreakOutRoom {
            assert_ne!(own.caller.refused(method.name(), mixed).await, 0, "{} by the {role}", method.name());
        }
    }
    if (method, expected) == (Method::JoinBreakOutRoom, 0) {
        // Nobody here has media: a join that is allowed waits for it until it is given up.
        let wish =
            json!({"id": "join", "method": method.name(), "params": join_wish(&own.room, "participant")});
        own.caller.send_text(&wish.to_string()).await;
        own.caller.succeed("disconnect", json!({})).await;
        return;
    }
    let ack = own.caller.request(method.name(), params(method, &own.room, &own.tim, None)).await;
    let got = ack["data"]["result"].as_u64().unwrap();
    // No offer here is one: that is for media to say, and everybody may ask.
    let expected = if method == Method::RestartIce { 1734 } else { expected };
    assert_eq!(got, expected, "{} by the {role}: {ack}", method.name());
    drop(own.chair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a30_every_role_may_do_what_the_table_says_and_only_in_its_own_room() {
    let mut tally = Tally::of("attacks", "A30");
    let (server, address) = start(&free_ports()).await;
    let mut other = Other::start(address).await;
    let before = other.state().await;
    let table = parent_table();
    assert_eq!(table.len(), 3 * Method::ALL.len());
    let mut count = 0;
    for ((method, role), expected) in &table {
        cell(address, &other, method.parse().unwrap(), role, *expected).await;
        count += 1 + u64::from(NAMING.contains(&method.parse().unwrap()));
    }
    // A name is a name, not a pattern, and is compared letter for letter.
    for odd in
        ["*", ".*", "bet*", "b%65ta", "Beta", "beta%20", "%62eta%00", "beta,alpha", "../beta", "beta%2f.."]
    {
        let token =
            super::http::get(address, &format!("/dev/token?room={odd}&name=Eve&role=moderator")).await;
        if token.status != 200 {
            continue;
        }
        let decoded = token.json()["token"].as_str().unwrap().to_owned();
        let mut eve = Client::connect(address, &decoded).await.unwrap();
        let (sdp, tracks) = new_participant(anteroom::telemetry::Clock::start()).offer();
        let joined = eve.succeed("joinRoom", json!({"sdp": sdp, "tracks": tracks})).await;
        let is_beta = joined["room"]["room_id"] == "beta";
        assert_eq!(is_beta, odd == "b%65ta", "{odd}");
        assert_eq!(
            joined["room"]["userList"].as_array().unwrap().len(),
            if is_beta { 3 } else { 1 },
            "{odd}"
        );
        count += 1;
        if is_beta {
            eve.succeed("leaveRoom", json!({})).await;
        }
    }
    let after = other.state().await;
    // Who spelled the very name in another way has come and gone.
    assert_eq!(after.1.as_array().unwrap().len(), before.1.as_array().unwrap().len() + 2, "{}", after.1);
    assert_eq!(after.0, before.0);
    tally.count(count, "cells");
    drop(other);
    server.stop().await;
}

#[tokio::test]
async fn a31_ids_of_another_meeting_are_refused_wherever_they_are_named() {
    let mut tally = Tally::of("attacks", "A31");
    let (server, address) = start(&free_ports()).await;
    let mut other = Other::start(address).await;
    let before = other.state().await;
    let (mut eve, own_id) = seat(address, "alpha", "Eve", "moderator").await;
    let made = eve.succeed("createBreakOutRoom", room_wish()).await;
    let own_room = made["msg"]["rooms"][0].as_str().unwrap().to_owned();
    let mut count = 0;
    for id in other.ids() {
        for (method, wish) in [
            ("setRole", json!({"clientId": id, "role": "participant"})),
            ("removeParticipant", json!({"clientId": id})),
            ("inviteToBreakOutRoom", json!({"clients": [id], "room_id": own_room})),
            ("inviteToBreakOutRoom", json!({"clients": [id], "room_id": own_room, "force_join": true})),
            ("inviteToBreakOutRoom", json!({"clients": [own_id], "room_id": id, "force_join": true})),
            ("inviteToBreakOutRoom", json!({"clients": [id], "room_id": id})),
            ("joinBreakOutRoom", join_wish(&id, "participant")),
            ("joinBreakOutRoom", join_wish(&id, "moderator")),
            ("rejectBreakOutRoom", json!({"room_id": id})),
            ("disconnect", json!({"room_id": id})),
            ("joinRoom", json!({"resume": id})),
            ("joinRoom", json!({"resume": id, "sdp": "v=0\r\n"})),
        ] {
            let mut result = eve.refused(method, wish.clone()).await;
            if result == 5107 {
                // So much may be asked a second.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                result = eve.refused(method, wish.clone()).await;
            }
            // Neither done nor put off.
            assert!(result != 0 && result != 5107, "{method} {wish}: {result}");
            count += 1;
        }
        // A secret of there, on a link of here that has no seat yet.
        let mut mallory = Client::enter(address, "alpha", "Mallory", "moderator").await;
        assert_eq!(mallory.refused("joinRoom", json!({"resume": id})).await, 1729, "{id}");
        count += 1;
    }
    // What works on one's own rooms reaches no others. So many requests more are not let through at once.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for method in ["pause", "muteRoom", "clearAllBreakOutSession", "destroyAllBreakOutSession", "endRoom"] {
        eve.succeed(method, json!({"audio": true, "room_id": other.room, "room": "beta"})).await;
    }
    assert_eq!(other.state().await, before);
    tally.count(count + 5, "requests");
    drop(other);
    server.stop().await;
}

#[tokio::test]
async fn a33_nobody_hears_by_naming_somebody_or_by_guessing() {
    let mut tally = Tally::of("attacks", "A33");
    let (server, address) = start(&free_ports()).await;
    let mut other = Other::start(address).await;
    let (mut eve, _) = seat(address, "beta", "Eve", "participant").await;
    let mut count = 0;
    // There is no way to ask for a stream.
    for method in
        ["subscribe", "consume", "subscribeTrack", "setSlots", "bind", "pull", "listen", "updateSubscription"]
    {
        for target in other.ids() {
            let ack = eve
                .request(method, json!({"clientId": target, "trackId": target, "ssrc": 1, "slot": "0"}))
                .await;
            assert_eq!((&ack["ack"], &ack["data"]["result"]), (&json!("error"), &json!(1734)), "{ack}");
            count += 1;
        }
    }
    // A join says where it hears, not whom.
    let mut mallory = Client::enter(address, "beta", "Mallory", "participant").await;
    let (sdp, tracks) = new_participant(anteroom::telemetry::Clock::start()).offer();
    let slots = json!([{"mid": "0", "kind": "audio", "clientId": other.chair.id}]);
    let wish = json!({"sdp": sdp, "tracks": tracks, "slots": slots, "room_id": other.room, "clientId": other.chair.id});
    let joined = mallory.succeed("joinRoom", wish).await;
    assert_ne!(joined["clientId"], other.chair.id.as_str());
    assert_eq!(joined["room"]["me"]["room_id"], "beta");
    for slot in joined["slots"].as_array().unwrap() {
        assert_eq!(slot["clientId"], Value::Null, "{joined}");
    }
    // Whoever is in a breakout room is not seen to be anywhere, and no id of a room can be guessed.
    let mut random = Random::from_number(33);
    for round in 0..20 {
        for guess in 0..100 {
            let room = format!("{:032x}", random.next_u128());
            let request = json!({"id": format!("g{round}x{guess}"), "method": "joinBreakOutRoom", "params": join_wish(&room, "participant")});
            eve.socket.feed(Message::text(request.to_string())).await.unwrap();
        }
        eve.socket.flush().await.unwrap();
        let mut answered = 0;
        while answered < 100 {
            let frame = eve.next_frame().await;
            if frame["ack"].is_string() {
                let result = frame["data"]["result"].as_u64().unwrap();
                assert!([9702, 5107].contains(&result), "{frame}");
                answered += 1;
            }
        }
        count += 100;
    }
    // Whoever was removed hears nothing more, and has no way back but a token.
    let removed = other.member.joined["resume"].clone();
    other.chair.succeed("disconnect", json!({})).await;
    let member = json!({"clientId": other.member.id});
    other.chair.succeed("removeParticipant", member).await;
    assert_eq!(other.member.client.closed().await, (4001, "removed".to_owned()));
    let mut back = Client::enter(address, "beta", "Member", "participant").await;
    assert_eq!(back.refused("joinRoom", json!({"resume": removed})).await, 1729);
    tally.count(count + 2, "attempts");
    drop(other);
    server.stop().await;
}

/// Whether somebody has the rights of a moderator: the mode is set to what it is.
async fn is_moderator(client: &mut Client) -> bool {
    client.request("setRoomMode", json!({"mode": "group"})).await["data"]["result"] == 0
}

#[tokio::test]
async fn i21_a_role_rises_only_by_a_token_or_a_moderator() {
    let mut tally = Tally::of("invariants", "I21");
    let (server, address) = start(&free_ports()).await;
    let mut chair = Person::join(address, "daily", "Chair", "moderator").await;
    let mut zoe = Person::join(address, "daily", "Zoe", "participant").await;
    // Nothing that a join says makes it one of a moderator.
    let client = Client::enter(address, "daily", "Ben", "participant").await;
    let claims = json!({"role": "moderator", "claims": {"role": "moderator"}, "me": {"role": "moderator"}});
    let mut ben = Person::join_by(client, claims).await;
    assert_eq!(ben.joined["room"]["me"]["role"], "participant");
    let id = ben.id.clone();
    for (method, wish) in [
        ("setRole", json!({"clientId": id, "role": "moderator"})),
        ("setRole", json!({"clientId": chair.id, "role": "participant"})),
        ("removeParticipant", json!({"clientId": chair.id})),
        ("setRoomMode", json!({"mode": "lecture"})),
        ("endRoom", json!({"role": "moderator"})),
        ("destroyAllBreakOutSession", json!({"role": "moderator"})),
    ] {
        assert_eq!(ben.refused(method, wish).await, 5007, "{method}");
    }
    // To own a room makes nobody a moderator, and neither does the seat of one in it.
    let made = ben.succeed("createBreakOutRoom", room_wish()).await;
    let room = made["msg"]["rooms"][0].as_str().unwrap().to_owned();
    assert!(!is_moderator(&mut ben.client).await);
    ben.succeed("joinBreakOutRoom", join_wish(&room, "moderator")).await;
    assert!(!is_moderator(&mut ben.client).await);
    assert_eq!(ben.refused("setRole", json!({"clientId": id, "role": "moderator"})).await, 5007);
    // Who is invited takes a participant's seat.
    chair.succeed("inviteToBreakOutRoom", json!({"clients": [zoe.id], "room_id": room})).await;
    assert_eq!(zoe.refused("joinBreakOutRoom", join_wish(&room, "moderator")).await, 5007);
    ben.succeed("disconnect", json!({})).await;
    // A token of a moderator is for another seat, not for this one.
    let mut again = Client::enter(address, "daily", "Ben", "moderator").await;
    let back = again.succeed("joinRoom", json!({"resume": ben.joined["resume"], "role": "moderator"})).await;
    assert_eq!(back["room"]["me"]["role"], "participant");
    assert!(!is_moderator(&mut again).await);
    // A moderator raises, and takes it back at once.
    chair.succeed("setRole", json!({"clientId": id, "role": "moderator"})).await;
    assert!(is_moderator(&mut again).await);
    chair.succeed("setRole", json!({"clientId": id, "role": "participant"})).await;
    assert!(!is_moderator(&mut again).await);
    assert_eq!(chair.refused("setRole", json!({"clientId": id, "role": "owner"})).await, 9710);
    tally.count(14, "attempts");
    drop((chair, zoe, ben));
    server.stop().await;
}
