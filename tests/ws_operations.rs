//! Every operation of the contract, over a real WebSocket, with media on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and people have media of their own"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "support/http.rs"]
mod http;
#[path = "support/person.rs"]
mod person;
#[path = "support/ws.rs"]
mod ws;

use std::net::SocketAddr;
use std::time::Duration;

use anteroom::base::Secret;
use anteroom::message::Method;
use anteroom::node::Running;
use anteroom::telemetry::Clock;
use http::{free_ports, start};
use person::{Person, new_participant};
use serde_json::{Value, json};
use ws::Client;

/// A moderator and two others.
struct Meeting {
    server: Running,
    address: SocketAddr,
    moderator: Person,
    ben: Person,
    zoe: Person,
}

impl Meeting {
    async fn start() -> Self {
        let (server, address) = start(&free_ports()).await;
        let moderator = Person::join(address, "daily", "Mia", "moderator").await;
        let ben = Person::join(address, "daily", "Ben", "participant").await;
        let zoe = Person::join(address, "daily", "Zoe", "participant").await;
        Self { server, address, moderator, ben, zoe }
    }

    /// Makes rooms as the moderator.
    async fn rooms(&mut self, how_many: usize) -> Vec<String> {
        let made = self.moderator.succeed("createBreakOutRoom", room_wish(how_many)).await;
        made["msg"]["rooms"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// Invites Ben into a room, who goes there.
    async fn send_ben(&mut self, room: &str) {
        let invitation = json!({"clients": [self.ben.id], "room_id": room});
        self.moderator.succeed("inviteToBreakOutRoom", invitation).await;
        self.ben.event("didInvitationForBreakoutRoom").await;
        self.ben.succeed("joinBreakOutRoom", join_wish(room)).await;
    }

    async fn end(self) {
        let Self { server, moderator, ben, zoe, .. } = self;
        drop((moderator, ben, zoe));
        server.stop().await;
    }
}

fn room_wish(how_many: usize) -> Value {
    json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": how_many})
}

fn join_wish(room: &str) -> Value {
    json!({"role": "participant", "room_id": room, "streamInfo": {"audio": true, "video": false}})
}

#[test]
fn every_method_is_asked_here() {
    let asked = include_str!("ws_operations.rs");
    let person = include_str!("support/person.rs");
    for method in Method::ALL {
        let quoted = format!("(\"{}\"", method.name());
        assert!(asked.contains(&quoted) || person.contains(&quoted), "{quoted}");
    }
}

#[tokio::test]
async fn people_come_and_go() {
    let mut meeting = Meeting::start().await;
    assert!(meeting.ben.joined["sdp"].as_str().unwrap().contains("a=ice-lite"));
    assert_eq!(meeting.ben.joined["slots"].as_array().unwrap().len(), 9);
    meeting.zoe.succeed("leaveRoom", json!({})).await;
    assert_eq!(meeting.zoe.client.closed().await, (1000, "left".to_owned()));
    let removed = json!({"clientId": meeting.ben.id});
    assert_eq!(meeting.ben.refused("removeParticipant", removed.clone()).await, 5007);
    meeting.moderator.succeed("removeParticipant", removed).await;
    assert_eq!(meeting.ben.client.closed().await, (4001, "removed".to_owned()));
    meeting.moderator.succeed("endRoom", json!({})).await;
    assert_eq!(meeting.moderator.client.closed().await.0, 4002);
    meeting.end().await;
}

#[tokio::test]
async fn a_lost_websocket_comes_back_to_its_seat_and_ice_restarts() {
    let mut meeting = Meeting::start().await;
    let resume = meeting.ben.joined["resume"].clone();
    let mut again = Client::enter(meeting.address, "daily", "Ben", "participant").await;
    let back = again.succeed("joinRoom", json!({"resume": resume})).await;
    assert_eq!(back["clientId"], meeting.ben.id.as_str());
    assert_eq!(meeting.ben.client.closed().await, (4003, "replaced".to_owned()));
    again.succeed("setCamera", json!({"on": false})).await;

    let mut stranger = Client::enter(meeting.address, "daily", "Eve", "participant").await;
    assert_ne!(stranger.refused("joinRoom", json!({"resume": resume})).await, 0);

    // An offer with new media, as a page that was reloaded makes it.
    let page = Client::enter(meeting.address, "daily", "Ben", "participant").await;
    let reloaded = Person::join_by(page, json!({"resume": back["resume"]})).await;
    assert_eq!(reloaded.id, meeting.ben.id);
    meeting.end().await;
}

#[tokio::test]
async fn ice_restarts_by_a_new_offer_on_the_same_connection() {
    let (server, address) = start(&free_ports()).await;
    let mut client = Client::enter(address, "daily", "Ben", "participant").await;
    let participant = new_participant(Clock::start());
    let (sdp, tracks) = participant.offer();
    let joined = client.succeed("joinRoom", json!({"sdp": sdp, "tracks": tracks})).await;
    let line = |sdp: &str, start: &str| sdp.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    let (ufrag, pwd) = ("a=ice-ufrag:", "a=ice-pwd:");
    let renewed = sdp
        .replace(&line(&sdp, ufrag), "a=ice-ufrag:renewed8")
        .replace(&line(&sdp, pwd), "a=ice-pwd:arenewedpasswordof32letters+digits");
    assert_eq!(client.refused("restartIce", json!({"sdp": sdp})).await, 1734);
    assert_eq!(client.refused("restartIce", json!({"sdp": "v=0"})).await, 1734);
    let answer = client.succeed("restartIce", json!({"sdp": renewed})).await;
    let (before, after) = (joined["sdp"].as_str().unwrap(), answer["sdp"].as_str().unwrap());
    assert_ne!(line(before, ufrag), line(after, ufrag));
    assert_eq!(line(before, "a=fingerprint:"), line(after, "a=fingerprint:"));
    server.stop().await;
}

#[tokio::test]
async fn switches_roles_and_modes() {
    let mut meeting = Meeting::start().await;
    meeting.ben.succeed("setMicrophone", json!({"on": false})).await;
    meeting.ben.succeed("setCamera", json!({"on": true})).await;
    assert_eq!(meeting.ben.refused("setCamera", json!({"on": "yes"})).await, 1734);
    let promotion = json!({"clientId": meeting.ben.id, "role": "moderator"});
    assert_eq!(meeting.ben.refused("setRole", promotion.clone()).await, 5007);
    meeting.moderator.succeed("setRole", promotion).await;
    meeting.ben.succeed("setRoomMode", json!({"mode": "lecture"})).await;
    assert_eq!(meeting.moderator.refused("createBreakOutRoom", room_wish(1)).await, 5067);
    meeting.end().await;
}

#[tokio::test]
async fn events_can_be_had_again() {
    let mut meeting = Meeting::start().await;
    let from = meeting.ben.joined["seq"].as_u64().unwrap();
    meeting.ben.succeed("setMicrophone", json!({"on": false})).await;
    let replay = meeting.moderator.succeed("replay", json!({"from_seq": from})).await;
    let events = replay["events"].as_array().expect("events");
    assert!(!events.is_empty());
    assert_eq!(meeting.ben.refused("replay", json!({"from_seq": "first"})).await, 1734);
    meeting.end().await;
}

#[tokio::test]
async fn somebody_is_invited_into_a_room_goes_there_and_comes_back() {
    let mut meeting = Meeting::start().await;
    let rooms = meeting.rooms(2).await;
    assert_eq!(rooms.len(), 2);
    assert_eq!(meeting.ben.refused("joinBreakOutRoom", join_wish(&rooms[0])).await, 9705);
    meeting.send_ben(&rooms[0]).await;
    let told = meeting.moderator.event("didUserJoinedBreakoutRoom").await;
    assert_eq!((&told["clientId"], &told["room_id"]), (&json!(meeting.ben.id), &json!(rooms[0])));
    assert_eq!(meeting.zoe.event("didUserPaused").await["clientId"], meeting.ben.id.as_str());
    let listed = meeting.moderator.succeed("listBreakoutRooms", json!({})).await;
    assert_eq!(listed["rooms"].as_array().unwrap().len(), 2);

    assert_eq!(meeting.ben.refused("disconnect", json!({"room_id": rooms[1]})).await, 9713);
    let back = meeting.ben.succeed("disconnect", json!({})).await;
    assert_eq!((&back["room_id"], &back["reason"]), (&json!(rooms[0]), &json!("self")));
    assert_eq!(meeting.zoe.event("didUserResumed").await["clientId"], meeting.ben.id.as_str());

    let invitation = json!({"clients": [meeting.zoe.id], "room_id": rooms[1]});
    meeting.moderator.succeed("inviteToBreakOutRoom", invitation).await;
    meeting.zoe.event("didInvitationForBreakoutRoom").await;
    meeting.zoe.succeed("rejectBreakOutRoom", json!({"room_id": rooms[1]})).await;
    let rejected = meeting.moderator.event("didBreakoutRoomInviteRejected").await;
    assert_eq!((&rejected["clientId"], &rejected["reason"]), (&json!(meeting.zoe.id), &json!("rejected")));
    meeting.end().await;
}

#[tokio::test]
async fn everybody_is_dealt_round_and_brought_back() {
    let mut meeting = Meeting::start().await;
    let mut wish = room_wish(2);
    wish["force_join"] = json!(true);
    let dealt = meeting.moderator.succeed("createAndInviteBreakoutRoom", wish).await;
    let rooms = dealt["assignments"].as_object().unwrap().clone();
    let people: Vec<&Value> = rooms.values().flat_map(|people| people.as_array().unwrap()).collect();
    assert_eq!((rooms.len(), people.len()), (2, 2), "{dealt}");
    assert_eq!(dealt["failed"], json!([]));
    for person in [&mut meeting.ben, &mut meeting.zoe] {
        person.event("didBreakoutroomjoining").await;
        let connected = person.event("didConnectedBreakoutRoom").await;
        assert!(rooms.contains_key(connected["room_id"].as_str().unwrap()));
    }
    assert_eq!(meeting.ben.refused("clearAllBreakOutSession", json!({})).await, 5007);
    let cleared = meeting.moderator.succeed("clearAllBreakOutSession", json!({})).await;
    assert_eq!(cleared["clients"].as_array().unwrap().len(), 2);
    assert_eq!(meeting.ben.event("didDisconnectedBreakoutRoom").await["reason"], "cleared");
    let destroyed = meeting.moderator.succeed("destroyAllBreakOutSession", json!({})).await;
    assert_eq!(destroyed["rooms"].as_array().unwrap().len(), 2);
    meeting.moderator.event("didDestroyedBreakoutRoom").await;
    meeting.end().await;
}

#[tokio::test]
async fn the_room_is_paused_and_muted_and_let_go_again() {
    let mut meeting = Meeting::start().await;
    assert_eq!(meeting.ben.refused("pause", json!({})).await, 5007);
    let paused = meeting.moderator.succeed("pause", json!({})).await;
    assert_eq!((&paused["msg"], &paused["state"]["paused"]), (&json!("Room muted"), &json!(true)));
    meeting.ben.event("parentStateChanged").await;
    let resumed = meeting.moderator.succeed("resume", json!({})).await;
    assert_eq!((&resumed["msg"], &resumed["state"]["paused"]), (&json!("Room resumed"), &json!(false)));
    let muted = meeting.moderator.succeed("muteRoom", json!({"audio": true})).await;
    assert_eq!(muted["state"]["audio_muted"], true);
    let unmuted = meeting.moderator.succeed("unmuteRoom", json!({})).await;
    assert_eq!((&unmuted["msg"], &unmuted["state"]["audio_muted"]), (&json!("Room unmuted"), &json!(false)));
    meeting.end().await;
}

#[tokio::test]
async fn screens_and_canvases_are_shared_one_at_a_time() {
    let mut meeting = Meeting::start().await;
    meeting.ben.succeed("startScreenShare", json!({})).await;
    let started = meeting.zoe.event("didScreenShareStarted").await;
    assert_eq!((&started["clientId"], &started["streamId"]), (&json!(meeting.ben.id), &json!(101)));
    assert_eq!(meeting.ben.refused("startScreenShare", json!({})).await, 5105);
    assert_eq!(meeting.zoe.refused("startScreenShare", json!({})).await, 5103);
    meeting.ben.succeed("stopScreenShare", json!({})).await;
    meeting.zoe.event("didScreenShareStopped").await;
    meeting.zoe.succeed("startCanvas", json!({})).await;
    assert_eq!(meeting.ben.event("didCanvasStarted").await["streamId"], 102);
    meeting.zoe.succeed("stopCanvas", json!({})).await;
    meeting.ben.event("didCanvasStopped").await;
    meeting.end().await;
}

#[tokio::test]
async fn a_request_is_done_once() {
    let mut meeting = Meeting::start().await;
    let wish = json!({"id": "same", "method": "createBreakOutRoom", "params": room_wish(1)}).to_string();
    let mut acks = Vec::new();
    for _ in 0..2 {
        meeting.moderator.client.send_text(&wish).await;
        let mut frame = Value::Null;
        while frame["id"] != "same" {
            frame = meeting.moderator.client.next_frame().await;
        }
        acks.push(frame);
    }
    assert_eq!(acks[0], acks[1]);
    let listed = meeting.moderator.succeed("listBreakoutRooms", json!({})).await;
    assert_eq!(listed["rooms"].as_array().unwrap().len(), 1);
    meeting.end().await;
}

#[tokio::test]
async fn a_seat_outlives_the_token_that_it_was_taken_with() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let mut config = free_ports();
    config.tokens.secret = Secret::new(SECRET);
    config.tokens.leeway_seconds = 0;
    let (server, address) = start(&config).await;
    let exp = Clock::start().now().as_unix_seconds() + 3;
    let token = |name: &str| {
        let claims = json!({"room": "daily", "name": name, "role": "moderator", "exp": exp});
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let mia = Person::join_by(Client::connect(address, &token("Mia")).await.unwrap(), json!({})).await;
    // Until the token's time is over, which a stranger's token of the same time shows.
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    while Client::connect(address, &token("Zoe")).await.is_ok() {
        looks.tick().await;
    }

    let mut again = Client::connect(address, &token("Mia")).await.expect("Mia has a seat");
    let fresh = again.request("joinRoom", json!({"sdp": "v=0"})).await;
    assert_eq!(fresh["data"]["result"], 5007, "{fresh}");
    let back = again.succeed("joinRoom", json!({"resume": mia.joined["resume"]})).await;
    assert_eq!(back["clientId"], json!(mia.id));
    again.succeed("leaveRoom", json!({})).await;
    assert!(Client::connect(address, &token("Mia")).await.is_err(), "the seat is gone");
    server.stop().await;
}
