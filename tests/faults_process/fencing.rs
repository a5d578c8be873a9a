//! F9: a media worker that hangs. Only who has its place by then sends, and who waits outside waits for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anteroom::telemetry::Clock;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::http::development_token;
use crate::listener::Listener;
use crate::live_call::LiveCall;
use crate::machine::{Server, eventually};
use crate::panics::come_back;
use crate::person::new_participant;
use crate::tally::Tally;
use crate::ws::Client;

fn room_wish() -> Value {
    json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1})
}

/// Makes a worker hang, and waits until it does.
async fn hang(server: &mut Server, worker: u16, millis: u64) {
    server.fault(&format!("hang {worker} {millis}")).await;
    eventually("a worker that hangs", async || server.logged("asked to hang") == 1).await;
}

/// A thread that has lost its worker's place has the worker's sockets all the same, and people who go on sending
/// by the keys that it knows: when it wakes up it sends nothing more.
#[tokio::test]
async fn f09_who_hung_and_was_replaced_sends_nothing_when_it_wakes_up() {
    let mut tally = Tally::of("faults", "F9");
    let mut server = Server::start("[node]\nworkers = 1\n").await;
    let mut mia = Listener::join(server.http, "daily", "Mia").await;
    let mut ben = Listener::join(server.http, "daily", "Ben").await;
    let made = mia.client.succeed("createBreakOutRoom", room_wish()).await;
    mia.hears(10).await;
    ben.hears(10).await;

    // What it is not told any more is that Mia has come home.
    let room = &made["msg"]["rooms"][0];
    let wish = json!({"role": "moderator", "room_id": room, "streamInfo": {"audio": true, "video": false}});
    mia.client.succeed("joinBreakOutRoom", wish).await;
    hang(&mut server, 0, 5_000).await;
    let home = mia.client.succeed("disconnect", json!({})).await;
    assert_eq!(home["degraded"], json!([mia.id]), "{home}");
    for lost in [&mut mia, &mut ben] {
        lost.client.event("transportLost").await;
    }
    // Both come back with other sockets, and go on sending and listening on those that they had.
    let back =
        [come_back(&server, &mia, "daily", "Mia").await, come_back(&server, &ben, "daily", "Ben").await];
    let before = [mia.arrived(), ben.arrived()];
    assert_eq!(server.threads_named("media-0"), 2, "the one that hangs, and the one that has its place");
    eventually("the end of the one that hung", async || server.threads_named("media-0") == 1).await;
    // What it sent before its end is there, and is read before what comes now.
    for one in &back {
        one.hears(10).await;
        assert_eq!(one.heard.foreign.load(Ordering::Relaxed), 0);
    }
    assert_eq!([mia.arrived(), ben.arrived()], before, "it sent something");
    tally.count(before.iter().sum(), "datagrams before");
}

/// Meetings of one, fewer than the people of the call, so that all are on the other worker; and how often each
/// changes its flags at once, about as often as it may. Each change is a command for the worker.
const MEETINGS: usize = 14;
const CHANGES: usize = 95;

#[tokio::test]
async fn overload_a_worker_that_hangs_keeps_newcomers_outside_and_the_call_on_another_goes_on() {
    let mut tally = Tally::of("invariants", "I16");
    let mut server = Server::start("[node]\nworkers = 2\n").await;
    let people = ["--profile", "audio", "--participants", "32", "--talkers", "2"];
    let mut call = LiveCall::open_with(server.http, Duration::from_secs(2), &people);
    call.is_judged().await;
    let mut moderators = Vec::new();
    for number in 0..MEETINGS {
        let (sdp, _) = new_participant(Clock::start()).offer();
        let mut client = Client::enter(server.http, &format!("small-{number}"), "Mia", "moderator").await;
        client.succeed("joinRoom", json!({"sdp": sdp})).await;
        moderators.push(client);
    }
    let token = development_token(server.http, "late", "Zoe", "participant").await;
    let http = server.http;
    let refusal = async || match *Client::connect(http, &token).await.err()? {
        Error::Http(answer) => Some((answer.status().as_u16(), answer.headers().get("retry-after").cloned())),
        error => panic!("{error}"),
    };
    assert_eq!(refusal().await, None);

    hang(&mut server, 1, 1_500).await;
    for number in 0..CHANGES {
        let method = if number % 2 == 0 { "muteRoom" } else { "unmuteRoom" };
        let params = json!({"scope": "room", "audio": true});
        let request =
            json!({"id": format!("flags {number}"), "method": method, "params": params}).to_string();
        for client in &mut moderators {
            client.send_text(&request).await;
        }
    }
    eventually("a door that is shut", async || refusal().await == Some((503, Some("2".parse().unwrap()))))
        .await;
    eventually("a door that is open again", async || refusal().await.is_none()).await;
    assert!(call.is_on());
    assert_eq!(server.metric("anteroom_worker_restarts_total").await, 0.0, "it came back in time");
    let report = call.hang_up().await;
    let (received, lost) = (report.count("received"), report.count("lost"));
    assert!(received > 0 && lost * 1_000 <= received, "{report:?}");
    assert_eq!((report.count("wrong_group"), report.count("cut_short")), (0, 0), "{report:?}");
    tally.count(received, "packets beside");
}
