//! F16: memory runs short.

use std::net::UdpSocket;

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::http::development_token;
use crate::listener::Listener;
use crate::machine::{Server, eventually};
use crate::person::new_participant;
use crate::tally::Tally;
use crate::ws::Client;

/// More people than these have no place in so little memory.
const MOST_PEOPLE: usize = 1_000;

#[tokio::test]
async fn f16_nobody_new_is_let_in_where_memory_is_short_and_who_is_here_stays() {
    let mut tally = Tally::of("faults", "F16");
    let empty = Server::start("").await;
    let megabytes = (empty.resident_kib() * 1_024).div_ceil(1_000_000) + 14;
    drop(empty);
    let server = Server::start(&format!("[node]\nmemory_mb = {megabytes}\n")).await;
    let limit = server.metric("anteroom_memory_limit_bytes").await;
    assert_eq!(limit, megabytes as f64 * 1e6);
    let mut people = Vec::new();
    let refused = loop {
        assert!(people.len() < MOST_PEOPLE, "everybody is let in");
        let (name, room) = (format!("P{}", people.len()), format!("room-{}", people.len() / 20));
        let token = development_token(server.http, &room, &name, "moderator").await;
        match Client::connect(server.http, &token).await {
            Ok(client) => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                // Refused where memory ran short between the door and the seat: the next one is at the door.
                people.extend(Listener::try_from(socket, client, &room, json!({})).await);
            }
            Err(refused) => break *refused,
        }
    };
    let Error::Http(response) = refused else { panic!("{refused}") };
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert!(server.resident_kib() as f64 * 1_024.0 <= limit, "shed before the limit");
    tally.count(people.len() as u64, "people");
    eventually("a word in the log", async || server.logged("memory is short") > 0).await;
    assert_eq!(server.logged("memory is short"), 1, "{:?}", server.log());

    // Those who are here hear each other, and may come back.
    people[0].hears(20).await;
    let wish = json!({
        "participants": 2, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1,
    });
    people[0].client.succeed("createBreakOutRoom", wish).await;
    let back = json!({"resume": people[0].joined["resume"]});
    let client = Client::enter(server.http, "room-0", "P0", "moderator").await;
    let mut first = Listener::join_by(client, "room-0", back).await;
    assert_eq!(first.id, people[0].id);
    // A link that is open is no way in either.
    let mut link = Client::enter(server.http, "room-0", "P1", "moderator").await;
    let sdp = new_participant(anteroom::telemetry::Clock::start()).offer().0;
    assert_eq!(link.refused("joinRoom", json!({"sdp": sdp})).await, 1729);
    first.hears(20).await;

    for person in &mut people[1..] {
        person.client.succeed("leaveRoom", json!({})).await;
    }
    first.client.succeed("leaveRoom", json!({})).await;
    server.end_rooms().await;
    drop((people, first, link));
    let token = development_token(server.http, "later", "Liz", "moderator").await;
    eventually("memory again", async || Client::connect(server.http, &token).await.is_ok()).await;
}
