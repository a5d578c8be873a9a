//! F14: people who read nothing, neither of their WebSockets nor of media, and one who reads and says nothing.

use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;

use crate::listener::Listener;
use crate::live_call::LiveCall;
use crate::machine::{Server, eventually};
use crate::tally::Tally;
use crate::ws::Client;

const DEAF: u64 = 2;

/// What may wait for one: 4 MiB of frames for its link and as much on its socket, and what the allocator and
/// the requests that are being read take besides.
const MOST_KIB_EACH: u64 = 2 * 4_096 + 2_048;

/// How much later one packet in a hundred may be than in a call without this: less than players buffer, and
/// the people take their time from the same processors as the server.
const LATER: Duration = Duration::from_millis(150);

/// Between two things that one of them asks for: fast enough, and no flood.
const APART: Duration = Duration::from_millis(10);

/// Asks for more and more, each of which is answered with its id, until the server lets go; answers how often.
async fn flood(mut deaf: Listener) -> u64 {
    let nonsense = Message::text(json!({"id": "x".repeat(60_000)}).to_string());
    let mut asked = 0;
    let mut ticks = interval(APART);
    while deaf.client.socket.send(nonsense.clone()).await.is_ok() {
        asked += 1;
        ticks.tick().await;
    }
    asked
}

#[tokio::test]
async fn f14_what_waits_is_bounded_nobody_else_notices_and_who_says_nothing_stays() {
    let mut tally = Tally::of("faults", "F14");
    let server = Server::start("[node]\nworkers = 1\n").await;
    let mia = Listener::join(server.http, "daily", "Mia").await;
    let mut quiet = Listener::join(server.http, "daily", "Ida").await;
    let (mut deaf, mut sockets) = (Vec::new(), Vec::new());
    for number in 0..DEAF {
        let client = Client::enter(server.http, "daily", &format!("P{number}"), "moderator").await;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        sockets.push(socket.try_clone().unwrap());
        deaf.push(Listener::join_from(socket, client, "daily", json!({})).await);
    }
    for person in deaf.iter().chain([&mia, &quiet]) {
        person.hears(20).await;
    }
    let usual = LiveCall::start(server.http, Duration::from_secs(4)).end().await.p99_us();

    let mut call = LiveCall::start(server.http, Duration::from_secs(8));
    let before = server.metric("anteroom_packets_forwarded_total").await;
    let forwarded = async || server.metric("anteroom_packets_forwarded_total").await - before;
    eventually("a call that is on", async || forwarded().await > 3_000.0).await;
    let kib = server.resident_kib();
    let mut floods = JoinSet::new();
    let mut ids = Vec::new();
    for person in deaf {
        // Its port stays, and nobody looks at what comes there.
        person.vanish();
        ids.push(person.id.clone());
        floods.spawn(flood(person));
    }
    let (mut most, mut asked) = (kib, 0);
    let mut ticks = interval(Duration::from_millis(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !floods.is_empty() {
        tokio::select! {
            done = floods.join_next() => asked += done.unwrap().unwrap(),
            _ = ticks.tick() => most = most.max(server.resident_kib()),
        }
    }
    assert!(most - kib <= DEAF * MOST_KIB_EACH, "{} KiB more for {DEAF}", most - kib);
    let let_go = async || server.metric("anteroom_links_too_slow_total").await;
    eventually("links that are let go", async || let_go().await == DEAF as f64).await;
    // Who has said nothing since it came was there for all of it, and is.
    while !ids.is_empty() {
        let held = quiet.client.event("didUserReconnecting").await;
        ids.retain(|id| held["clientId"] != *id);
    }
    quiet.hears(50).await;
    let (missing, packets) = (quiet.heard.missing.load(Ordering::Relaxed), quiet.packets());
    assert!(missing * 1_000 <= packets, "{missing} of {packets} are missing");
    assert!(call.is_on(), "it ended before the attack did");
    let report = call.end().await;
    report.assert_undisturbed();
    let late = report.p99_us();
    assert!(late <= usual + LATER.as_micros() as u64, "p99 {late} us, {usual} us without");
    tally.count(asked, "requests of the deaf");
}
