//! F19: everybody comes at once. At the stated rates in 2,000 and 100 a second for a minute with
//! `ANTEROOM_LONG=1`, which wants a release build; otherwise at what a debug build on a busy machine has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::development_token;
use crate::live_call::LiveCall;
use crate::machine::Server;
use crate::tally::Tally;
use crate::ws::Client;

/// Those who connect at a time: who comes later waits for one of them to be done.
const AT_ONCE: usize = 64;

struct Storm {
    connects_per_second: u64,
    joins_per_second: u64,
    seconds: u64,
}

fn storm() -> Storm {
    if std::env::var_os("ANTEROOM_LONG").is_some() {
        Storm { connects_per_second: 2_000, joins_per_second: 100, seconds: 60 }
    } else {
        Storm { connects_per_second: 200, joins_per_second: 20, seconds: 8 }
    }
}

/// Connects, is let in by its token, and closes; answers how many failed and how long it took.
async fn connects(server: &Server, storm: &Storm) -> (u64, Duration) {
    let token = development_token(server.http, "storm", "Liz", "participant").await;
    let (failed, address) = (Arc::new(AtomicU64::new(0)), server.http);
    let mut under_way = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(storm.connects_per_second).unwrap());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = Instant::now();
    for _ in 0..storm.connects_per_second * storm.seconds {
        ticks.tick().await;
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        let (token, failed) = (token.clone(), Arc::clone(&failed));
        under_way.spawn(async move {
            let is_done = match Client::connect(address, &token).await {
                Ok(mut client) => client.socket.close(None).await.is_ok(),
                Err(_) => false,
            };
            failed.fetch_add(u64::from(!is_done), Ordering::Relaxed);
        });
    }
    while under_way.join_next().await.is_some() {}
    (failed.load(Ordering::Relaxed), began.elapsed())
}

#[tokio::test]
async fn f19_everybody_connects_at_once() {
    let mut tally = Tally::of("faults", "F19");
    let storm = storm();
    let server = Server::start("").await;
    let (before, kib) = (server.holdings(), server.resident_kib());
    let (failed, took) = connects(&server, &storm).await;
    let count = storm.connects_per_second * storm.seconds;
    assert_eq!(failed, 0);
    // Half of the rate at the least, whatever else the machine does.
    assert!(took < Duration::from_secs(2 * storm.seconds), "{count} connections took {took:?}");
    assert!(server.metric("anteroom_links_opened_total").await >= count as f64);
    server.is_as_before(before).await;
    assert!(server.resident_kib() < 2 * kib + 20_000, "{} KiB, {kib} before", server.resident_kib());
    tally.count(count, "connections");
}

#[tokio::test]
async fn f19_everybody_joins_at_once() {
    let mut tally = Tally::of("faults", "F19");
    let Storm { joins_per_second, seconds, .. } = storm();
    let server = Server::start("").await;
    let (before, kib) = (server.holdings(), server.resident_kib());
    let rate = joins_per_second.to_string();
    let arguments = ["--profile", "join-storm", "--joins-per-second", &rate, "--rooms", "5"];
    let report = LiveCall::start_with(server.http, Duration::from_secs(seconds), &arguments).end().await;
    assert_eq!(report.count("joins_failed"), 0, "{report:?}");
    assert_eq!(report.count("wrong_group"), 0, "{report:?}");
    assert!(report.count("joins") * 2 >= joins_per_second * seconds, "{report:?}");
    server.is_as_before(before).await;
    assert!(server.resident_kib() < 2 * kib + 20_000, "{} KiB, {kib} before", server.resident_kib());
    tally.count(report.count("joins"), "joins");
}
