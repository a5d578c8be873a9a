//! F15: the process may have no more files.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::http::{development_token, get};
use crate::listener::Listener;
use crate::live_call::LiveCall;
use crate::machine::{PATIENCE, Server, eventually};
use crate::tally::Tally;
use crate::ws::Client;

const LIMIT: usize = 256;

/// A server with few files. Root could raise the limit by itself: this one may not.
fn command() -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {LIMIT}; exec setpriv --bounding-set=-sys_resource \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_anteroom")]);
    command
}

/// Sets the limit of a process that runs.
fn limit_files(server: &Server, to: usize) {
    let arguments = [format!("--pid={}", server.pid()), format!("--nofile={to}:{LIMIT}")];
    let done = std::process::Command::new("prlimit").args(arguments).status();
    assert!(done.expect("prlimit is missing: apt-get install util-linux").success());
}

async fn call_on(server: &Server) -> LiveCall {
    let call = LiveCall::start(server.http, Duration::from_secs(12));
    let forwarded = async || server.metric("anteroom_packets_forwarded_total").await;
    eventually("a call that is on", async || forwarded().await > 3_000.0).await;
    call
}

#[tokio::test]
async fn f15_connections_too_many_are_refused_and_calls_go_on() {
    let mut tally = Tally::of("faults", "F15");
    let server = Server::start_by("", command()).await;
    assert_eq!(server.logged("the limit of open files is too low"), 1, "{:?}", server.log());
    let mut call = call_on(&server).await;
    let quiet = server.cpu_over(Duration::from_secs(1)).await;
    let token = development_token(server.http, "full", "Liz", "participant").await;
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..400 {
        match timeout(PATIENCE, Client::connect(server.http, &token)).await.expect("an answer") {
            Ok(client) => open.push(client),
            Err(_) => refused += 1,
        }
        assert!(server.holdings().files <= LIMIT);
    }
    assert!(open.len() > LIMIT / 3 && refused > 100, "{} open, {refused} refused", open.len());
    assert!(server.metric("anteroom_connections_refused_total").await >= f64::from(refused));
    assert_eq!(server.logged("connections cannot be accepted"), 0, "there was always a file for another");
    let full = server.cpu_over(Duration::from_secs(1)).await;
    assert!(full < quiet * 2 + Duration::from_millis(200), "it spins: {full:?}, {quiet:?} before");
    open.truncate(10);
    eventually("room for others", async || Client::connect(server.http, &token).await.is_ok()).await;
    assert!(call.is_on());
    call.end().await.assert_undisturbed();
    tally.count(400, "connections");
}

#[tokio::test]
async fn f15_without_any_file_left_the_door_waits_and_does_not_spin() {
    let _tally = Tally::of("faults", "F15");
    let server = Server::start_by("", command()).await;
    let mut call = call_on(&server).await;
    let quiet = server.cpu_over(Duration::from_secs(1)).await;
    // The three that every process has are below, and all others it keeps; none is left for a new one.
    limit_files(&server, 3);
    let mut waiting = TcpStream::connect(server.http).await.unwrap();
    waiting.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    eventually("a warning", async || server.logged("connections cannot be accepted") == 1).await;
    let full = server.cpu_over(Duration::from_secs(2)).await;
    assert!(
        full < quiet * 4 + Duration::from_millis(200),
        "it spins: {full:?} in 2 s, {quiet:?} before in 1 s"
    );
    assert_eq!(server.logged("connections cannot be accepted"), 1, "once, however long it lasts");
    limit_files(&server, LIMIT);
    let mut answer = String::new();
    timeout(PATIENCE, waiting.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(get(server.http, "/readyz").await.status, 200);
    assert!(call.is_on());
    call.end().await.assert_undisturbed();
}

#[tokio::test]
async fn f15_a_worker_that_fails_without_files_is_started_when_there_are_some() {
    let _tally = Tally::of("faults", "F15");
    let mut server = Server::start_by("[node]\nworkers = 1\n", command()).await;
    let mut mia = Listener::join(server.http, "daily", "Mia").await;
    limit_files(&server, 3);
    server.fault("panic 0").await;
    mia.client.event("transportLost").await;
    eventually("a failed start", async || server.logged("no media worker could be started") == 1).await;
    limit_files(&server, LIMIT);
    eventually("a start after all", async || server.logged("could be started after all") == 1).await;
    assert_eq!(get(server.http, "/readyz").await.status, 200);
    let client = Client::enter(server.http, "daily", "Mia", "moderator").await;
    let back = json!({"resume": mia.joined["resume"]});
    let mia = Listener::join_by(client, "daily", back).await;
    let _ben = Listener::join(server.http, "daily", "Ben").await;
    mia.hears(10).await;
}
