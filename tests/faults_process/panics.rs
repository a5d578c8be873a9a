//! F9, I20: what panics takes only its own with it, and never silently.

use std::time::{Duration, Instant};

use futures_util::future::join;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::listener::Listener;
use crate::live_call::LiveCall;
use crate::machine::{Server, eventually};
use crate::tally::Tally;
use crate::ws::Client;

/// Comes back to the own seat with media of its own.
pub(crate) async fn come_back(server: &Server, lost: &Listener, room: &str, name: &str) -> Listener {
    let client = Client::enter(server.http, room, name, "moderator").await;
    let back = Listener::join_by(client, room, json!({"resume": lost.joined["resume"]})).await;
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
    let mut mia = Listener::join(server.http, "other", "Mia").await;
    let mut ben = Listener::join(server.http, "other", "Ben").await;
    mia.hears(10).await;
    ben.hears(10).await;
    let of_second = server.log().into_iter().find(|line| line.contains("worker=1 candidates")).unwrap();
    assert!(of_second.contains(&format!(":{}", mia.server_port())), "the idler worker has the second room");

    let failed = Instant::now();
    server.fault("panic 1").await;
    mia.client.event("transportLost").await;
    ben.client.event("transportLost").await;
    mia.client.event("didUserReconnecting").await;
    let server = &server;
    let returns = |lost, name| async move {
        let back = come_back(server, lost, "other", name).await;
        back.hears(1).await;
        (back, failed.elapsed())
    };
    let ((mia, first), (ben, second)) = join(returns(&mia, "Mia"), returns(&ben, "Ben")).await;
    let heard = first.max(second);
    assert!(heard <= Duration::from_secs(2), "heard again after {heard:?}");
    mia.hears(10).await;
    ben.hears(10).await;
    assert!(call.is_on());
    let report = call.end().await;
    assert_eq!((report.count("lost"), report.count("wrong_group")), (0, 0), "{report:?}");
    assert_eq!(report.count("cut_short"), 0, "{report:?}");
    tally.count(report.count("received"), "packets of others");

    assert_eq!(server.metric("anteroom_worker_restarts_total{cause=\"panic\"}").await, 1.0);
    assert_eq!(server.metric("anteroom_worker_up{worker=\"1\"}").await, 1.0);
    let log = server.log();
    let at = log.iter().position(|line| line.contains("a media worker has ended")).unwrap();
    let said = &log[at];
    assert!(said.contains("ERROR") && said.contains("asked to panic"), "{said}");
    let next = log[at..].iter().find(|line| line.contains("media worker starts worker=1")).unwrap();
    // Midnight may lie between.
    let serves = (logged_at(next) - logged_at(said)).rem_euclid(86_400.0);
    assert!(serves <= 0.5, "another worker serves after {serves} s: {said}, {next}");
}

/// Seconds of the day that a line of the log begins with.
fn logged_at(line: &str) -> f64 {
    let time = line.split_once('T').unwrap().1.split_once('Z').unwrap().0;
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

#[tokio::test]
async fn f09_i20_a_panic_of_control_ends_the_process_with_a_message_and_the_next_has_all_rooms() {
    let _tally = Tally::of("faults", "F9");
    let mut server = Server::start("").await;
    let mut mia = Listener::join(server.http, "daily", "Mia").await;
    let ben = Listener::join(server.http, "daily", "Ben").await;
    let wish = json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true,
                      "max_rooms": 1});
    let made = mia.client.succeed("createBreakOutRoom", wish).await;
    let breakout = made["msg"]["rooms"][0].clone();
    let force = json!({"clients": [ben.id], "room_id": breakout, "force_join": true});
    mia.client.succeed("inviteToBreakOutRoom", force).await;
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

    // What control held is in the store, all of which was acked before the panic.
    let server = server.start_again().await;
    let mut mia = come_back(&server, &mia, "daily", "Mia").await;
    let ben = come_back(&server, &ben, "daily", "Ben").await;
    assert_eq!(ben.joined["room"]["room_id"], breakout, "{}", ben.joined);
    assert_ne!(mia.joined["room"]["room_id"], breakout, "{}", mia.joined);
    let rooms = mia.client.succeed("listBreakoutRooms", json!({})).await;
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1, "{rooms}");
    assert_eq!(rooms["rooms"][0]["room_id"], breakout, "{rooms}");
    let made = mia.client.succeed("destroyAllBreakOutSession", json!({})).await;
    assert_eq!(made["clients"], json!([ben.id]), "{made}");
    mia.hears(10).await;
    ben.hears(10).await;
}
