//! One client that says far more than a client says: requests, pings, pieces of messages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::echo::Echo;
use super::http::{PATIENCE, development_token, free_ports, start};
use super::live_call::LiveCall;
use super::person::Person;
use super::raw::{RawSocket, frame, text};
use super::tally::Tally;
use super::{LEAST_CALL, alone, live_call, metric};

/// Frames that are read of a link at once, and a second.
const FRAME_BURST: u64 = 2_000;
const FRAMES_PER_SECOND: u64 = 1_000;

/// What somebody else waits for an ack at the most, in 99 of 100, where nothing else goes on.
const MOST_WAITED: Duration = Duration::from_millis(100);

/// What one client asks for as fast as it can.
const REQUESTS: u64 = 20_000;

/// As many as ask one after the other, so that none asks more than it may.
const MODERATORS: usize = 10;

async fn moderators(address: SocketAddr) -> Vec<Person> {
    let mut people = Vec::new();
    for number in 0..MODERATORS {
        people.push(Person::join(address, "daily", &format!("Mia{number}"), "moderator").await);
    }
    people
}

/// How long acks take, in order.
async fn ack_times(people: &mut [Person], how_many: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..how_many {
        let asked = Instant::now();
        let method = if number % 2 == 0 { "muteRoom" } else { "unmuteRoom" };
        people[number % MODERATORS].succeed(method, json!({"scope": "room", "audio": true})).await;
        times.push(asked.elapsed());
        // A person's client does not ask all the time.
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    times.sort();
    times
}

/// What somebody waits at the most where an echo without a server has taken as long as this one, and threads have
/// waited so long for a processor.
fn most_waited(echo: Echo, began: Instant) -> Duration {
    let echo = echo.end(began.elapsed());
    let of = |which: &str| Duration::from_micros(echo[which].as_u64().unwrap());
    MOST_WAITED + 5 * of("max") + of("waited")
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}

/// Sends its requests as fast as they are taken, until the time is over; answers how many and how
/// many acks came.
fn flood(mut socket: RawSocket, until: Instant) -> (u64, u64) {
    let acks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&acks);
    let mut reader = RawSocket { stream: socket.stream.try_clone().unwrap(), head: String::new() };
    let reading = thread::spawn(move || {
        while let Some((opcode, _)) = reader.frame() {
            counted.fetch_add(u64::from(opcode == 1), Ordering::Relaxed);
        }
    });
    let mut sent = 0;
    while sent < REQUESTS && Instant::now() < until {
        let request = json!({"id": sent.to_string(), "method": "pause", "params": {}});
        if !socket.send(&text(&request.to_string())) {
            break;
        }
        sent += 1;
    }
    // The kernel holds what the server does not read.
    thread::sleep(until.saturating_duration_since(Instant::now()));
    let acked = acks.load(Ordering::Relaxed);
    let _ = socket.stream.shutdown(std::net::Shutdown::Both);
    reading.join().unwrap();
    (sent, acked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a27_a_flood_of_requests_slows_only_who_floods() {
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A27");
    let (server, address) = start(&free_ports()).await;
    let mut people = moderators(address).await;
    let quiet = ack_times(&mut people, 200).await;
    let mut call = live_call(address).await;

    let token = development_token(address, "daily", "Eve", "participant").await;
    let began = Instant::now();
    let flooding = tokio::task::spawn_blocking(move || {
        let socket = RawSocket::open(address, &token, "");
        flood(socket, began + Duration::from_secs(3))
    });
    let echo = Echo::start();
    let flooded = ack_times(&mut people, 200).await;
    let most = most_waited(echo, began);
    let (sent, acked) = flooding.await.unwrap();
    let allowed = FRAME_BURST + FRAMES_PER_SECOND * (began.elapsed().as_secs() + 1);
    assert!(acked > 0 && acked <= allowed, "{acked} of {sent} were answered, {allowed} at most may be");
    let (before, meanwhile) = (p99(&quiet), p99(&flooded));
    assert_eq!(sent, REQUESTS, "requests in 3 s");
    assert!(meanwhile <= most, "p99 {before:?}, then {meanwhile:?} of {most:?}");
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    tally.count(sent, "requests");
    drop(people);
    server.stop().await;
}

/// What tells a whole meeting is asked of a link's budget as the work that it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a27_who_shares_without_end_tells_a_large_meeting_seldom() {
    const ASKED: u64 = 3_000;
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A27");
    let (server, address) = start(&free_ports()).await;
    let people = ["--profile", "audio", "--participants", "80", "--talkers", "1"];
    let mut call = LiveCall::open_with(address, LEAST_CALL, &people);
    // The only room of that call.
    let room = "load-0";
    let mut mia = Person::join(address, room, "Mia", "participant").await;
    let mut eve = Person::join(address, room, "Eve", "participant").await;
    while metric(&server, "anteroom_participants").await < 83 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(call.is_on(), "the call ended before it began");
    }
    timeout(PATIENCE, call.is_judged()).await.expect("a call");
    let (began, mut done) = (Instant::now(), 0);
    for number in 0..ASKED {
        let method = if number % 2 == 0 { "startScreenShare" } else { "stopScreenShare" };
        let id = format!("share {number}");
        eve.client.send_text(&json!({"id": id, "method": method, "params": {}}).to_string()).await;
    }
    let mut answered = 0;
    while answered < ASKED {
        let frame = eve.client.next_frame().await;
        if frame["id"].as_str().is_some_and(|id| id.starts_with("share")) {
            answered += 1;
            done += u64::from(frame["data"]["result"] == 0);
        }
    }
    let allowed = 20 + 10 * (began.elapsed().as_secs() + 1);
    assert!((10..=allowed).contains(&done), "{done} of {ASKED} were done, {allowed} at most may be");
    // Nobody is told more often: what Mia hears up to an answer of her own.
    mia.client.request("listBreakoutRooms", json!({})).await;
    let told = mia.client.kept("didScreenShareStarted") + mia.client.kept("didScreenShareStopped");
    assert!((10..=done as usize).contains(&told), "{told} told of {done}");
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    tally.count(ASKED, "requests");
    drop((mia, eve));
    server.stop().await;
}

/// How long a request waits behind so many frames that need no answer of control.
fn wait_behind(mut socket: RawSocket, one: &[u8], how_many: usize) -> Duration {
    let began = Instant::now();
    let request = text(&json!({"id": "last", "method": "pause"}).to_string());
    assert!(socket.send(&one.repeat(how_many)) && socket.send(&request));
    loop {
        let (opcode, payload) = socket.frame().expect("the link stays");
        if opcode == 1 {
            let ack: Value = serde_json::from_slice(&payload).unwrap();
            if ack["id"] == "last" {
                return began.elapsed();
            }
        }
    }
}

/// Frames that cost a client nothing but their sending are read at the same rate as requests are: the
/// flood stays in the connection of who sends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a27_pings_and_pieces_of_messages_count_like_requests() {
    const FRAMES: usize = 4_500;
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A27");
    let (server, address) = start(&free_ports()).await;
    let mut people = moderators(address).await;
    let mut call = live_call(address).await;
    let token = development_token(address, "daily", "Eve", "participant").await;
    let pieces = [frame(0x01, b""), frame(0x00, b"").repeat(FRAMES - 2), frame(0x80, b"")].concat();
    // All the pieces are one text that is empty: no request, and refused as such.
    // Each counts as the frames of 4 KiB that it could be, and one.
    let long = text(&" ".repeat(16 * 4_096));
    let kinds =
        [(frame(0x89, b"there?"), FRAMES), (frame(0x8a, b""), FRAMES), (pieces, 1), (long, FRAMES / 17)];
    let mut floods = Vec::new();
    for (one, how_many) in kinds {
        let token = token.clone();
        floods.push(tokio::task::spawn_blocking(move || {
            wait_behind(RawSocket::open(address, &token, ""), &one, how_many)
        }));
    }
    let (echo, began) = (Echo::start(), Instant::now());
    let times = ack_times(&mut people, 100).await;
    let most = most_waited(echo, began);
    for flood in floods {
        let waited = flood.await.unwrap();
        let least = Duration::from_millis((FRAMES as u64 - FRAME_BURST) * 1_000 / FRAMES_PER_SECOND);
        assert!(waited >= least * 9 / 10, "{FRAMES} frames were read in {waited:?}, less than {least:?}");
    }
    assert!(p99(&times) <= most, "{:?} of {most:?}", p99(&times));
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    tally.count(4 * FRAMES as u64, "frames");
    drop(people);
    server.stop().await;
}
