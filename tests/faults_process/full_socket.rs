//! F18: a socket takes no more, because its way is slow and its buffer small (EAGAIN).

use std::sync::atomic::Ordering;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use crate::listener::Listener;
use crate::machine::{Server, eventually};
use crate::network::{HERE, SlowLink};
use crate::tally::Tally;
use crate::ws::Client;

const SECRET: &str = "the secret of a server with a slow link";

async fn enter(server: &Server, room: &str, name: &str) -> Client {
    let expires = anteroom::telemetry::wall_clock_seconds() + 600;
    let claims = json!({"room": room, "name": name, "role": "moderator", "exp": expires});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    Client::connect(server.http, &token).await.unwrap()
}

#[tokio::test]
async fn f18_a_full_socket_drops_and_counts_and_does_not_spin() {
    let mut tally = Tally::of("faults", "F18");
    // Four talkers make 35,000 bytes a second for each.
    let link = SlowLink::new("64kbit");
    let config =
        format!("[node]\nworkers = 1\nsocket_buffer_bytes = 65536\n[tokens]\nsecret = \"{SECRET}\"\n");
    let server = Server::start_on(&config, &["127.0.0.1", HERE]).await;
    let mut others = Vec::new();
    for name in ["Mia", "Ben", "Gus", "Ida"] {
        let client = enter(&server, "others", name).await;
        others.push(Listener::join_by(client, "others", json!({})).await);
    }
    for person in &others {
        person.hears(50).await;
    }
    let mut slow = Vec::new();
    for name in ["Kai", "Leo", "Ria"] {
        let client = enter(&server, "slow", name).await;
        slow.push(Listener::join_by(client, "slow", json!({})).await);
    }
    for person in &slow {
        person.hears(50).await;
    }
    let missing = |list: &[Listener]| -> u64 {
        list.iter().map(|person| person.heard.missing.load(Ordering::Relaxed)).sum()
    };
    let (before, usual) = (missing(&others), server.cpu_over(Duration::from_secs(1)).await);
    let client = enter(&server, "slow", "Tom").await;
    let far = Listener::join_from(link.socket_there(), client, "slow", json!({})).await;
    let dropped = async || server.metric("anteroom_packets_dropped_total{reason=\"socket_full\"}").await;
    eventually("a full socket", async || dropped().await > 100.0).await;
    let full = server.cpu_over(Duration::from_secs(2)).await;
    assert!(
        full < usual * 4 + Duration::from_millis(400),
        "it spins: {full:?} in 2 s, {usual:?} before in 1 s"
    );
    let heard = far.packets();
    for person in others.iter().chain(&slow) {
        person.hears(200).await;
    }
    assert_eq!(missing(&others) - before, 0, "those on another way miss nothing");
    assert!(far.packets() > heard, "what gets through is heard");
    for person in others.iter().chain(&slow).chain([&far]) {
        assert_eq!(person.heard.foreign.load(Ordering::Relaxed), 0, "of another room");
    }
    tally.count(dropped().await as u64, "packets dropped");
    assert_eq!(server.metric("anteroom_worker_restarts_total").await, 0.0);
}
