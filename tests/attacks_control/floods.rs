//! One client that says far more than a client says: requests, pings, pieces of messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::echo::Echo;
use super::http::{development_token, free_ports, start};
use super::person::Person;
use super::raw::{RawSocket, frame, text};
use super::tally::Tally;
use super::{alone, live_call};

/// Frames that are read of a link at once, and a second.
const FRAME_BURST: u64 = 2_000;
const FRAMES_PER_SECOND: u64 = 1_000;

/// What somebody else waits for an ack at the most, in 99 of 100, where nothing else goes on.
const MOST_WAITED: Duration = Duration::from_millis(100);

/// What one client asks for as fast as it can.
const REQUESTS: u64 = 20_000;

/// How long acks take, in order.
async fn ack_times(person: &mut Person, how_many: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..how_many {
        let asked = Instant::now();
        let method = if number % 2 == 0 { "muteRoom" } else { "unmuteRoom" };
        person.succeed(method, json!({"scope": "room", "audio": true})).await;
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
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let quiet = ack_times(&mut mia, 200).await;
    let mut call = live_call(&server, address, Duration::from_secs(6)).await;

    let token = development_token(address, "daily", "Eve", "participant").await;
    let began = Instant::now();
    let flooding = tokio::task::spawn_blocking(move || {
        let socket = RawSocket::open(address, &token, "");
        flood(socket, began + Duration::from_secs(3))
    });
    let echo = Echo::start();
    let flooded = ack_times(&mut mia, 200).await;
    let most = most_waited(echo, began);
    let (sent, acked) = flooding.await.unwrap();
    let allowed = FRAME_BURST + FRAMES_PER_SECOND * (began.elapsed().as_secs() + 1);
    assert!(acked > 0 && acked <= allowed, "{acked} of {sent} were answered, {allowed} at most may be");
    let (before, meanwhile) = (p99(&quiet), p99(&flooded));
    assert_eq!(sent, REQUESTS, "requests in 3 s");
    assert!(meanwhile <= most, "p99 {before:?}, then {meanwhile:?} of {most:?}");
    assert!(call.is_on());
    call.end().await.assert_undisturbed();
    tally.count(sent, "requests");
    drop(mia);
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
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let token = development_token(address, "daily", "Eve", "participant").await;
    let pieces = [frame(0x01, b""), frame(0x00, b"").repeat(FRAMES - 2), frame(0x80, b"")].concat();
    // All the pieces are one text that is empty: no request, and refused as such.
    let kinds = [(frame(0x89, b"there?"), FRAMES), (frame(0x8a, b""), FRAMES), (pieces, 1)];
    let mut floods = Vec::new();
    for (one, how_many) in kinds {
        let token = token.clone();
        floods.push(tokio::task::spawn_blocking(move || {
            wait_behind(RawSocket::open(address, &token, ""), &one, how_many)
        }));
    }
    let (echo, began) = (Echo::start(), Instant::now());
    let times = ack_times(&mut mia, 100).await;
    let most = most_waited(echo, began);
    for flood in floods {
        let waited = flood.await.unwrap();
        let least = Duration::from_millis((FRAMES as u64 - FRAME_BURST) * 1_000 / FRAMES_PER_SECOND);
        assert!(waited >= least * 9 / 10, "{FRAMES} frames were read in {waited:?}, less than {least:?}");
    }
    assert!(p99(&times) <= most, "{:?} of {most:?}", p99(&times));
    tally.count(3 * FRAMES as u64, "frames");
    drop(mia);
    server.stop().await;
}
