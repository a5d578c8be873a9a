//! F9, I20: what panics takes only its own with it, and never silently.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::listener::Listener;
use crate::live_call::LiveCall;
use crate::machine::{Server, eventually};
use crate::tally::Tally;
use crate::ws::Client;

/// Comes back to the own seat with media of its own.
async fn come_back(server: &Server, lost: &Listener, name: &str) -> Listener {
    let client = Client::enter(server.http, "other", name, "moderator").await;
    let back = Listener::join_by(client, "other", json!({"resume": lost.joined["resume"]})).await;
    assert_eq!(back.id, lost.id);
    back
}

#[tokio::test]
async fn f09_i20_a_worker_that_panics_takes_only_its_own_people_out() {
    let mut tally = Tally::of("faults", "F9");
    let _invariant = Tally::of("invariants", "I20");
    let mut server = Server::start("[node]\nworkers = 2\n").await;
    let mut call = LiveCall::start(server.http, Duration::from_secs(10));
    let forwarded = async || server.metric("anteroom_packets_forwarded_total").await;
    eventually("a call that is on", async || forwarded().await > 3_000.0).await;
    let began = Instant::now();
    let mut mia = Listener::join(server.http, "other", "Mia").await;
    let mut ben = Listener::join(server.http, "other", "Ben").await;
    mia.hears(10).await;
    ben.hears(10).await;
    // What the machine takes for the same without a fault.
    let usual = began.elapsed();
    let of_second = server.log().into_iter().find(|line| line.contains("worker=1 candidates")).unwrap();
    assert!(of_second.contains(&format!(":{}", mia.server_port())), "the idler worker has the second room");

    let failed = Instant::now();
    server.fault("panic 1").await;
    mia.client.event("transportLost").await;
    ben.client.event("transportLost").await;
    mia.client.event("didUserReconnecting").await;
    let mia = come_back(&server, &mia, "Mia").await;
    let serves = failed.elapsed();
    let ben = come_back(&server, &ben, "Ben").await;
    mia.hears(10).await;
    ben.hears(10).await;
    let heard = failed.elapsed();
    assert!(serves < Duration::from_millis(500) + usual, "a new worker answers after {serves:?}");
    assert!(heard < Duration::from_secs(2) + usual, "heard again after {heard:?}");
    assert!(call.is_on());
    let report = call.end().await;
    assert_eq!((report.count("lost"), report.count("wrong_group")), (0, 0), "{report:?}");
    tally.count(report.count("received"), "packets of others");

    assert_eq!(server.metric("anteroom_worker_restarts_total{cause=\"panic\"}").await, 1.0);
    assert_eq!(server.metric("anteroom_worker_up{worker=\"1\"}").await, 1.0);
    let said = server.log().into_iter().find(|line| line.contains("a media worker has ended")).unwrap();
    assert!(said.contains("ERROR") && said.contains("asked to panic"), "{said}");
}

#[tokio::test]
async fn f09_i20_a_panic_of_control_ends_the_process_with_a_message() {
    let _tally = Tally::of("faults", "F9");
    let mut server = Server::start("").await;
    let mut mia = Listener::join(server.http, "daily", "Mia").await;
    server.fault("control").await;
    assert_eq!(server.ends().await.code(), Some(1));
    // No close, or one that says so: never silence.
    while let Some(message) = mia.client.next_message().await {
        if matches!(message, Message::Close(_)) {
            break;
        }
    }
    let last = async || server.logged("anteroom: the control plane failed: asked to panic") == 1;
    eventually("a message", last).await;
    assert!(server.logged("the control plane failed") >= 2, "{:?}", server.log());
}
