//! Frames of the WebSocket protocol that are too long, malformed or random.

use std::io::Read;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anteroom::base::Random;

use super::http::{development_token, free_ports, start};
use super::raw::{RawSocket, frame, text};
use super::server_process::ServerProcess;
use super::tally::Tally;
use super::{alone, live_call, storm_length};

/// The most that a message may have.
const MAX_MESSAGE: usize = 128 * 1024;

/// A head that announces so many bytes.
fn announced(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat()
}

/// What a client sends, and the code that closes its connection.
fn violations() -> Vec<(&'static str, Vec<u8>, u16)> {
    let bomb = {
        // 100 MB of zeroes as deflate writes them: a thousandth, mostly of this byte.
        let mut frame = frame(0xc1, &[0; 100_000]);
        frame[0] = 0xc1;
        frame
    };
    vec![
        ("2^63 bytes", announced(0x81, 1 << 63), 1009),
        ("2^64 - 1 bytes", announced(0x81, u64::MAX), 1009),
        ("2^63 - 1 bytes", announced(0x81, (1 << 63) - 1), 1009),
        ("one byte too many", announced(0x81, MAX_MESSAGE as u64 + 1), 1009),
        ("too many in pieces", [frame(0x01, &[b'x'; MAX_MESSAGE]), frame(0x80, b"x")].concat(), 1009),
        ("2^63 bytes behind a piece", [frame(0x01, b"x"), announced(0x80, 1 << 63)].concat(), 1009),
        ("compressed", bomb, 1002),
        ("a binary message", frame(0x82, b"x"), 1003),
        ("no mask", vec![0x81, 1, b'x'], 1002),
        ("a length of 2 bytes for 125", vec![0x81, 0xfe, 0, 125, 0, 0, 0, 0], 1002),
        ("a length of 8 bytes for 65,535", announced(0x81, 65_535), 1002),
        ("a length of 8 bytes for nothing", announced(0x81, 0), 1002),
        ("a ping with a length of 2 bytes", vec![0x89, 0xfe, 0, 4, 0, 0, 0, 0], 1002),
        ("a ping of 126 bytes", frame(0x89, &[0; 126]), 1002),
        ("a ping in pieces", frame(0x09, b""), 1002),
        ("a reserved opcode", frame(0x83, b""), 1002),
        ("a continuation of nothing", frame(0x80, b""), 1002),
        ("no UTF-8", frame(0x81, b"\xed\xa0\x80"), 1007),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a26_frames_that_lie_about_their_length_end_their_link_and_cost_nothing() {
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A26");
    let server = ServerProcess::start(&["--port", "0"], "").await;
    let token = development_token(server.address, "daily", "Eve", "participant").await;
    let address = server.address;
    let mut call = live_call(address).await;
    let count =
        thread::scope(|scope| scope.spawn(|| attack_by_length(&server, address, &token)).join().unwrap());
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    tally.count(count, "frames");
    server.stop().await;
}

fn attack_by_length(server: &ServerProcess, address: SocketAddr, token: &str) -> u64 {
    let extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let offered = RawSocket::open(address, token, extension);
    assert!(offered.head.starts_with("HTTP/1.1 101") && !offered.head.to_lowercase().contains("extensions"));

    let before = server.resident_bytes();
    let violations = violations();
    for (what, bytes, code) in &violations {
        let mut socket = RawSocket::open(address, token, "");
        socket.send(bytes);
        assert_eq!(socket.close_code(), Some(*code), "{what}");
    }
    // Announcements cost their client's bytes and no more.
    const ANNOUNCERS: u64 = 300;
    let announcers: Vec<RawSocket> = (0..ANNOUNCERS)
        .map(|_| {
            let mut socket = RawSocket::open(address, token, "");
            assert!(socket.send(&announced(0x81, MAX_MESSAGE as u64)) && socket.send(b"0123456789"));
            socket
        })
        .collect();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < ANNOUNCERS * MAX_MESSAGE as u64 / 2, "{grown} bytes for {ANNOUNCERS} announcements");
    drop(announcers);
    // A message of just that length is still read.
    let mut honest = RawSocket::open(address, token, "");
    assert!(honest.send(&text(&format!(r#"{{"id":"1","x":"{}"}}"#, "x".repeat(MAX_MESSAGE - 17)))));
    assert_eq!(honest.frame().unwrap().0, 1);
    violations.len() as u64 + ANNOUNCERS
}

/// Something that begins as a frame may.
fn random_frame(random: &mut Random) -> Vec<u8> {
    let mut payload = vec![0; random.below(300) as usize];
    random.fill(&mut payload);
    let first = match random.below(4) {
        0 => random.below(256) as u8,
        1 => [0x89, 0x8a, 0x88, 0x80][random.below(4) as usize],
        2 => 0x01,
        _ => 0x81,
    };
    let mut bytes = frame(first, &payload);
    if random.below(3) == 0 {
        let at = random.below(bytes.len().min(14) as u64) as usize;
        bytes[at] = random.below(256) as u8;
    }
    bytes
}

/// Random frames, on link after link, until the storm is over; how many.
fn blow(address: SocketAddr, token: &str, seed: u64, until: Instant) -> u64 {
    let mut random = Random::from_number(seed);
    let mut sent = 0;
    while Instant::now() < until {
        let mut socket = RawSocket::open(address, token, "");
        socket.stream.set_nonblocking(false).unwrap();
        for _ in 0..200 {
            if Instant::now() >= until {
                break;
            }
            let frames: Vec<u8> = (0..8).flat_map(|_| random_frame(&mut random)).collect();
            if !socket.send(&frames) {
                break;
            }
            sent += 8;
            // What the server says is read, so that it is not for that that it hangs up.
            socket.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            if matches!(socket.stream.read(&mut [0; 16_384]), Ok(0)) {
                break;
            }
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_ws_frames() {
    let _turn = alone().await;
    let mut tally = Tally::of("storms", "storm_ws_frames");
    let (server, address) = start(&free_ports()).await;
    let mut call = live_call(address).await;
    let token = development_token(address, "storm", "Storm", "participant").await;
    let until = Instant::now() + storm_length();
    let storm: Vec<_> = (0..4)
        .map(|seed| {
            let token = token.clone();
            tokio::task::spawn_blocking(move || blow(address, &token, seed, until))
        })
        .collect();
    let mut sent = 0;
    for one in storm {
        sent += one.await.unwrap();
    }
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    // A tenth of what two busy processors do.
    let least = 300 * storm_length().as_secs();
    assert!(sent >= least, "{sent} frames, and {least} at least are a storm");
    tally.count(sent, "frames");
    server.stop().await;
}
