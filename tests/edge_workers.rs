//! A media worker that panics or hangs: everybody is told and comes back to the seat.
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

use anteroom::base::WorkerId;
use anteroom::node::WorkerFault;
use http::{free_ports, get, start};
use person::Person;
use serde_json::json;
use ws::Client;

const ROOM_WISH: &str =
    r#"{"participants": 3, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1}"#;

async fn has_metric(address: SocketAddr, line: &str) -> bool {
    get(address, "/metrics").await.body.lines().any(|found| found == line)
}

/// Comes back to the own seat with media of its own.
async fn come_back(address: SocketAddr, lost: Person, name: &str, role: &str) -> Person {
    let client = Client::enter(address, "daily", name, role).await;
    let resume = lost.joined["resume"].clone();
    let back = Person::join_by(client, json!({"resume": resume})).await;
    assert_eq!(back.id, lost.id);
    back
}

/// Where the answer sends media.
fn ports(person: &Person) -> Vec<String> {
    let sdp = person.joined["sdp"].as_str().unwrap();
    let of_line = |line: &str| line.split(' ').nth(5).unwrap().to_owned();
    sdp.lines().filter(|line| line.starts_with("a=candidate:")).map(of_line).collect()
}

#[tokio::test]
async fn a_worker_that_panics_is_replaced_on_the_same_port() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let mut ben = Person::join(address, "daily", "Ben", "participant").await;
    server.engine().fail_worker(WorkerId(0), WorkerFault::Panic).await;
    mia.event("transportLost").await;
    ben.event("transportLost").await;
    let before = ports(&mia);
    let mut mia = come_back(address, mia, "Mia", "moderator").await;
    assert_eq!(ports(&mia), before);
    let mut ben = come_back(address, ben, "Ben", "participant").await;

    // The new worker carries people over into breakout rooms as the old one did.
    let made = mia.succeed("createBreakOutRoom", serde_json::from_str(ROOM_WISH).unwrap()).await;
    let invitation = json!({"clients": [ben.id], "room_id": made["msg"]["rooms"][0], "force_join": true});
    mia.succeed("inviteToBreakOutRoom", invitation).await;
    ben.event("didConnectedBreakoutRoom").await;
    let metrics = server.metrics_address();
    assert!(has_metric(metrics, "anteroom_worker_restarts_total{cause=\"panic\"} 1").await);
    assert!(has_metric(metrics, "anteroom_worker_up{worker=\"0\"} 1").await);
    assert_eq!(get(address, "/readyz").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_worker_that_hangs_is_fenced_and_nobody_waits_for_it() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let made = mia.succeed("createBreakOutRoom", serde_json::from_str(ROOM_WISH).unwrap()).await;
    let room = made["msg"]["rooms"][0].as_str().unwrap().to_owned();
    let wish = json!({"role": "moderator", "room_id": room, "streamInfo": {"audio": true, "video": false}});
    mia.succeed("joinBreakOutRoom", wish).await;
    server.engine().fail_worker(WorkerId(0), WorkerFault::Hang(Duration::from_secs(4))).await;
    let asked = std::time::Instant::now();
    let back = mia.succeed("disconnect", json!({})).await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(back["degraded"], json!([mia.id]), "{back}");
    mia.event("transportLost").await;
    let metrics = server.metrics_address();
    assert!(has_metric(metrics, "anteroom_worker_restarts_total{cause=\"fence\"} 1").await);
    let mut mia = come_back(address, mia, "Mia", "moderator").await;
    let wish = json!({"role": "moderator", "room_id": room, "streamInfo": {"audio": true, "video": false}});
    mia.succeed("joinBreakOutRoom", wish).await;
    server.stop().await;
}

#[tokio::test]
async fn a_room_on_two_workers_loses_only_those_whose_worker_fails() {
    let mut config = free_ports();
    (config.node.workers, config.node.seats_per_worker) = (2, 1);
    let (server, address) = start(&config).await;
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let mut ben = Person::join(address, "daily", "Ben", "participant").await;
    assert_ne!(ports(&mia), ports(&ben), "each worker has ports of its own");
    let made = mia.succeed("createBreakOutRoom", serde_json::from_str(ROOM_WISH).unwrap()).await;
    let room = made["msg"]["rooms"][0].clone();
    let invitation = json!({"clients": [ben.id], "room_id": room, "force_join": true});
    mia.succeed("inviteToBreakOutRoom", invitation.clone()).await;
    ben.event("didConnectedBreakoutRoom").await;

    server.engine().fail_worker(WorkerId(1), WorkerFault::Panic).await;
    ben.event("transportLost").await;
    let ben = come_back(address, ben, "Ben", "participant").await;
    let destroyed = mia.succeed("destroyAllBreakOutSession", json!({})).await;
    assert_eq!(destroyed["clients"], json!([ben.id]));
    assert_eq!(mia.succeed("listBreakoutRooms", json!({})).await["rooms"], json!([]), "Mia was never away");
    server.stop().await;
}

#[tokio::test]
async fn operators_see_whether_the_system_offloads() {
    for wanted in [true, false] {
        let mut config = free_ports();
        config.node.segmentation_offload = wanted;
        let (server, _) = start(&config).await;
        let line = format!("anteroom_udp_offload{{kind=\"gso\",worker=\"0\"}} {}", i32::from(wanted));
        let told = async {
            while !has_metric(server.metrics_address(), &line).await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), told).await.expect(&line);
        server.stop().await;
    }
}
