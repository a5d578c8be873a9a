//! F7: a server that is asked to stop.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::{ask, development_token, get};
use crate::machine::{ADMIN_KEY, Server};
use crate::person::Person;
use crate::tally::Tally;
use crate::ws::Client;

const STOP_SECONDS: u64 = 5;

/// What a process takes to end on a machine that has much else to do.
const SLACK: Duration = Duration::from_secs(2);

async fn server() -> Server {
    Server::start(&format!("[node]\nstop_seconds = {STOP_SECONDS}\n")).await
}

/// Everything is told until the server closes; answers how it closes.
async fn hear_out(client: &mut Client) -> (u16, String, Vec<String>) {
    let mut events = Vec::new();
    loop {
        match client.next_message().await {
            Some(Message::Text(text)) => {
                let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
                events.extend(frame["event"].as_str().map(str::to_owned));
                events.extend(frame["ack"].as_str().map(str::to_owned));
            }
            Some(Message::Close(Some(frame))) => {
                return (frame.code.into(), frame.reason.to_string(), events);
            }
            other => panic!("expected a close, got {other:?}"),
        }
    }
}

async fn stops_in_good_order(signals: [&str; 2]) {
    let mut server = server().await;
    let mut mia = Person::join(server.http, "daily", "Mia", "moderator").await;
    let mut ben = Person::join(server.http, "daily", "Ben", "participant").await;
    // Never answers the close, so that there is a drain to look at.
    let _deaf = Person::join(server.http, "daily", "Gus", "participant").await;
    let mut early = Client::enter(server.http, "daily", "Eve", "participant").await;
    let token = development_token(server.http, "daily", "Liz", "moderator").await;
    let asked = Instant::now();
    server.signal(signals[0]);
    for person in [&mut mia, &mut ben] {
        let (code, reason, events) = hear_out(&mut person.client).await;
        assert_eq!((code, &*reason), (4002, "room_ended"));
        assert!(events.contains(&"didRoomEnded".to_owned()), "{events:?}");
    }
    server.signal(signals[1]);
    let wish = json!({"id": "late", "method": "joinRoom", "params": {"sdp": "v=0"}}).to_string();
    // The connection may be closed already.
    let _ = futures_util::SinkExt::send(&mut early.socket, Message::text(wish)).await;
    let (code, reason, events) = hear_out(&mut early).await;
    assert_eq!((code, &*reason), (1001, "stopping"));
    assert!(!events.contains(&"didJoinRoom".to_owned()), "{events:?}");
    match Client::connect(server.http, &token).await.map_err(|error| *error) {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key("retry-after"));
            let ready = get(server.http, "/readyz").await;
            assert_eq!((ready.status, &*ready.body), (503, "not ready: the server is stopping\n"));
            let key = format!("Authorization: Bearer {ADMIN_KEY}\r\n");
            let room = ask(server.http, "POST /v1/rooms", &key, r#"{"name": "late"}"#).await;
            assert_eq!(room.status, 503, "a room that nobody could enter: {room:?}");
        }
        // It has ended already.
        Err(Error::Io(_)) => {}
        other => panic!("{:?}", other.map(|_| "somebody got in")),
    }
    let status = server.ends().await;
    assert_eq!(status.code(), Some(0), "{:?}", server.log());
    assert!(asked.elapsed() < Duration::from_secs(STOP_SECONDS) + SLACK, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn f07_a_stop_tells_everybody_lets_nobody_in_and_ends_in_time() {
    let mut tally = Tally::of("faults", "F7");
    stops_in_good_order(["TERM", "TERM"]).await;
    stops_in_good_order(["INT", "TERM"]).await;
    tally.count(2, "stops");
}

#[tokio::test]
async fn f07_a_stop_in_the_middle_of_moves() {
    let _tally = Tally::of("faults", "F7");
    let mut server = server().await;
    let mut mia = Person::join(server.http, "daily", "Mia", "moderator").await;
    let mut people = Vec::new();
    for name in ["Ben", "Gus", "Ida", "Kai", "Leo", "Ria"] {
        people.push(Person::join(server.http, "daily", name, "participant").await);
    }
    let wish = json!({
        "participants": 3, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 3,
        "force_join": true,
    });
    mia.succeed("createAndInviteBreakoutRoom", wish.clone()).await;
    for at in 0..20 {
        let (method, params) = match at % 2 {
            0 => ("destroyAllBreakOutSession", json!({})),
            _ => ("createAndInviteBreakoutRoom", wish.clone()),
        };
        mia.client
            .send_text(&json!({"id": at.to_string(), "method": method, "params": params}).to_string())
            .await;
    }
    let asked = Instant::now();
    server.signal("TERM");
    for person in people.iter_mut().chain([&mut mia]) {
        let (code, reason, events) = hear_out(&mut person.client).await;
        assert_eq!((code, &*reason), (4002, "room_ended"));
        assert_eq!(events.iter().filter(|event| *event == "didRoomEnded").count(), 1, "{events:?}");
    }
    assert_eq!(server.ends().await.code(), Some(0), "{:?}", server.log());
    assert!(asked.elapsed() < Duration::from_secs(STOP_SECONDS) + SLACK, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn f07_a_worker_that_hangs_does_not_hold_a_stop_up() {
    let _tally = Tally::of("faults", "F7");
    let mut server = server().await;
    let mut mia = Person::join(server.http, "daily", "Mia", "moderator").await;
    server.fault("hang 0 60000").await;
    server.fault("hang 1 60000").await;
    // Two more, so that both are known to have been taken.
    let before = server.metric("anteroom_requests_total").await;
    mia.succeed("listBreakoutRooms", json!({})).await;
    assert!(server.metric("anteroom_requests_total").await > before);
    let asked = Instant::now();
    server.signal("TERM");
    assert_eq!(hear_out(&mut mia.client).await.0, 4002);
    assert_eq!(server.ends().await.code(), Some(0), "{:?}", server.log());
    assert!(asked.elapsed() < Duration::from_secs(STOP_SECONDS) + SLACK, "{:?}", asked.elapsed());
}
