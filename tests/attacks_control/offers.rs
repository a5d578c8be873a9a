//! Offers that are too much: their candidates, their lines, their layers.

use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Instant;

use anteroom::base::Random;
use anteroom::telemetry::Clock;
use anteroom::transport::sdp::{MAX_LINES, MAX_OFFER_BYTES};
use serde_json::json;

use super::http::{free_ports, start};
use super::malformed::bend;
use super::person::{Person, new_participant};
use super::tally::Tally;
use super::ws::Client;
use super::{alone, live_call, storm_length};

/// Somebody's offer, with more lines in its last m-line.
fn offer_with(lines: &str) -> String {
    let (sdp, _) = new_participant(Clock::start()).offer();
    sdp + lines
}

/// Candidates that a careless server would send something to, or look up.
fn candidates(count: usize, ports: &[u16]) -> String {
    let mut lines = String::new();
    for (number, port) in (0..count).zip(ports.iter().cycle()) {
        let host = match number % 6 {
            0 | 1 => "127.0.0.1".to_owned(),
            2 => format!("{number:x}.local"),
            3 => "169.254.169.254".to_owned(),
            4 => format!("10.0.0.{}", number % 256),
            _ => "::ffff:127.0.0.1".to_owned(),
        };
        writeln!(lines, "a=candidate:{number} 1 udp 9 {host} {port} typ host\r").unwrap();
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a14_candidates_are_capped_and_nothing_is_sent_to_them() {
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A14");
    let (server, address) = start(&free_ports()).await;
    let mut call = live_call(address).await;
    let named: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = named.iter().map(|socket| socket.local_addr().unwrap().port()).collect();

    // Ten thousand are more than a message may have.
    let mut eve = Client::enter(address, "daily", "Eve", "participant").await;
    let bomb =
        json!({"id": "1", "method": "joinRoom", "params": {"sdp": offer_with(&candidates(10_000, &ports))}});
    // The server closes while this is being sent.
    let _ = futures_util::SinkExt::send(&mut eve.socket, bomb.to_string().into()).await;
    assert_eq!(eve.closed().await, (1009, "too_large".to_owned()));

    // So many as an offer may have are not read.
    let (mut sdp, mut count) = (offer_with(""), 0);
    while sdp.len() + 100 < MAX_OFFER_BYTES && sdp.lines().count() + 2 < MAX_LINES {
        sdp += &candidates(20, &ports);
        count += 20;
    }
    let mut ben = Client::enter(address, "daily", "Ben", "participant").await;
    let sdp = sdp[..sdp.len().min(MAX_OFFER_BYTES)].rsplit_once("\r\n").unwrap().0.to_owned() + "\r\n";
    ben.succeed("joinRoom", json!({"sdp": sdp})).await;

    // Others have media meanwhile, for which handshakes and checks go back and forth.
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let wish = json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1});
    let made = mia.succeed("createBreakOutRoom", wish).await;
    let room = made["msg"]["rooms"][0].clone();
    let join = json!({"role": "moderator", "room_id": room, "streamInfo": {"audio": true, "video": false}});
    mia.succeed("joinBreakOutRoom", join).await;
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    for socket in &named {
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut [0; 1]).is_err(), "something was sent to a candidate");
    }
    tally.count(10_000 + count, "candidates");
    drop((mia, ben));
    server.stop().await;
}

/// Nothing of the server can look a name up, so no `.local` name is ever resolved.
#[test]
fn a14_the_server_has_no_resolver() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // The load tool resolves the address of the server that it is told to drive.
                if !path.ends_with("load") {
                    folders.push(path);
                }
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                for word in ["lookup_host", "ToSocketAddrs", "getaddrinfo", "Resolver"] {
                    assert!(!text.contains(word), "{word} in {}", path.display());
                }
            }
        }
    }
}

/// What is too much in an offer, and how that is refused.
fn bombs() -> [(String, &'static str); 6] {
    let line = |name: &str, count: usize| format!("{name}\r\n").repeat(count);
    let long_line = |bytes: usize| format!("a={}\r\n", "x".repeat(bytes - 2));
    let rids: String = (0..9).fold(String::new(), |text, rid| text + &format!("a=rid:{rid} send\r\n"));
    [
        (line(&"a=x".repeat(300), 73), "the limit is 65536"),
        (line("a=x", 4_096), "lines; the limit is 4096"),
        (line("m=audio 9 UDP/TLS/RTP/SAVPF 111", 33), "m-lines; the limit is 32"),
        (rids, "more than 8 layers"),
        (long_line(4_097), "has 4097 bytes; the limit is 4096"),
        ("a=x\u{1b}[2J\r\n".to_owned(), "control character"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a16_an_offer_beyond_a_limit_is_refused_with_the_limit_and_the_link_lives() {
    // One after the other: together they take a good part of the time for which the call is judged.
    const LINKS: usize = 20;
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A16");
    let (server, address) = start(&free_ports()).await;
    let mut call = live_call(address).await;
    let bombs = bombs();
    for number in 0..LINKS {
        let mut ben = Client::enter(address, "daily", &format!("Ben{number}"), "participant").await;
        for (bomb, why) in &bombs {
            let ack = ben.request("joinRoom", json!({"sdp": offer_with(bomb)})).await;
            assert_eq!((&ack["ack"], &ack["data"]["result"]), (&json!("didJoinRoom"), &json!(1734)), "{ack}");
            assert!(ack["data"]["msg"].as_str().unwrap().contains(why), "{ack}");
        }
        ben.succeed("joinRoom", json!({"sdp": offer_with("")})).await;
    }
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    tally.count((LINKS * bombs.len()) as u64, "offers");
    server.stop().await;
}

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdp_corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|found| found == "sdp"));
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Bent offers, from link after link, until the storm is over; how many.
async fn blow(address: SocketAddr, seed: u64, until: Instant) -> u64 {
    const PIECES: [&str; 8] = [
        "a=mid:0\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
        "a=inactive\r\n",
        "\r\n",
        "a=",
        "-1",
        "65536",
        "é",
    ];
    let (corpus, mut random) = (corpus(), Random::from_number(seed));
    let mut sent = 0;
    while Instant::now() < until {
        let room = format!("storm{seed}x{sent}");
        let mut client = Client::enter(address, &room, "Storm", "participant").await;
        // As many as a link may ask at once.
        for _ in 0..20 {
            let mut sdp = corpus[random.below(corpus.len() as u64) as usize].clone();
            for _ in 0..=random.below(4) {
                bend(&mut random, &mut sdp, &PIECES);
            }
            sdp.truncate(
                (0..=sdp.len().min(MAX_OFFER_BYTES)).rev().find(|at| sdp.is_char_boundary(*at)).unwrap(),
            );
            sent += 1;
            let ack = client.request("joinRoom", json!({"sdp": sdp})).await;
            if ack["data"]["result"] == 0 {
                client.request("leaveRoom", json!({})).await;
                break;
            }
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_sdp() {
    let _turn = alone().await;
    let mut tally = Tally::of("storms", "storm_sdp");
    let (server, address) = start(&free_ports()).await;
    let mut call = live_call(address).await;
    let until = Instant::now() + storm_length();
    let storm: Vec<_> = (0..4).map(|seed| tokio::spawn(blow(address, seed, until))).collect();
    let mut sent = 0;
    for one in storm {
        sent += one.await.unwrap();
    }
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    // A tenth of what two busy processors do.
    let least = 80 * storm_length().as_secs();
    assert!(sent >= least, "{sent} offers, and {least} at least are a storm");
    tally.count(sent, "offers");
    server.stop().await;
}
