//! Malformed offers and requests: whoever sends them is told so, and nobody else notices.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom::base::Random;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::http::{PATIENCE, free_ports, start};
use super::person::Person;
use super::tally::Tally;
use super::ws::Client;
use super::{alone, live_call, storm_length};

/// Pieces of JSON that stand where they should not, and what parsers have fallen over.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    "null",
    "true",
    "NaN",
    "Infinity",
    "-0",
    "1e999",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1e-400",
    "\u{feff}",
    "\u{0}",
    "\"id\":\"x\",",
    "{\"a\":",
];

/// Requests as clients make them, each with an id of its own.
fn sound(number: usize) -> String {
    let id = "0123456789abcdef".repeat(2);
    let requests = [
        ("setMicrophone", json!({"on": true})),
        ("setRole", json!({"clientId": id, "role": "moderator"})),
        ("removeParticipant", json!({"clientId": id})),
        ("pause", json!({"scope": "room"})),
        ("muteRoom", json!({"audio": true, "video": false})),
        ("createBreakOutRoom", json!({"participants": 3, "audio": true, "max_rooms": 1, "name": "Blue"})),
        ("inviteToBreakOutRoom", json!({"clients": [id], "room_id": id, "expires_in": 60})),
        ("joinBreakOutRoom", json!({"role": "participant", "room_id": id, "streamInfo": {"audio": true}})),
        ("replay", json!({"from_seq": 1})),
        ("joinRoom", json!({"sdp": "v=0\r\n", "tracks": {"0": "audio"}, "resume": id})),
        ("startScreenShare", json!({})),
    ];
    let (method, params) = &requests[number % requests.len()];
    json!({"id": format!("m{number}"), "method": method, "params": params}).to_string()
}

/// What has to be refused each time it is sent, whatever came before.
fn known() -> Vec<String> {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let mut texts: Vec<String> = PIECES.iter().map(|piece| (*piece).to_owned()).collect();
    texts.push(format!(r#"{{"id":"1","method":"pause","params":{{"a":{}}}}}"#, deep(33)));
    texts.push(deep(60_000));
    texts.push(r#"{"id":"1","id":"2","method":"pause","method":7}"#.to_owned());
    texts.push(r#"{"id":"1","method":"pause","params":{"scope":NaN}}"#.to_owned());
    texts.push(r#"{"id":"1","method":"\ud800","params":{}}"#.to_owned());
    texts.push(r#"{"id":1e999,"method":"pause"}"#.to_owned());
    texts.push(format!(r#"{{"id":"{}","method":"pause"}}"#, "x".repeat(100_000)));
    texts
}

fn index(random: &mut Random, length: usize) -> usize {
    random.below(length as u64) as usize
}

/// A place in `text` where a character begins, or its end.
fn place(random: &mut Random, text: &str) -> usize {
    let at = index(random, text.len() + 1);
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap()
}

/// Changes a text in one place.
pub(crate) fn bend(random: &mut Random, text: &mut String, pieces: &[&str]) {
    let (one, other) = (place(random, text), place(random, text));
    let (from, to) = (one.min(other), one.max(other));
    match random.below(6) {
        0 => text.truncate(from),
        1 => text.replace_range(from..to, ""),
        2 => {
            let copy = text[from..to].to_owned();
            text.insert_str(to, &copy);
        }
        3 if text.as_bytes().get(from).is_some_and(u8::is_ascii) => {
            let letter = char::from(random.below(128) as u8);
            text.replace_range(from..=from, letter.encode_utf8(&mut [0; 4]));
        }
        _ => text.insert_str(from, pieces[index(random, pieces.len())]),
    }
}

fn bent(random: &mut Random, number: usize) -> String {
    let mut text = sound(number);
    for _ in 0..=random.below(3) {
        bend(random, &mut text, &PIECES);
    }
    text
}

/// Sends texts and waits until each has its one ack.
async fn ask_all(client: &mut Client, texts: &[String]) {
    for text in texts {
        client.socket.feed(Message::text(text.clone())).await.unwrap();
    }
    client.socket.flush().await.unwrap();
    let mut acks = 0;
    while acks < texts.len() {
        acks += usize::from(client.next_frame().await["ack"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a28_malformed_requests_are_refused_one_by_one_on_a_connection_that_lives() {
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A28");
    let (server, address) = start(&free_ports()).await;
    let mut mia = Person::join(address, "daily", "Mia", "moderator").await;
    let mut call = live_call(address).await;
    for text in known() {
        mia.client.send_text(&text).await;
        let frame = mia.client.next_frame().await;
        assert_eq!((&frame["data"]["result"], &frame["seq"]), (&json!(1734), &Value::Null), "{frame}");
    }
    let mut random = Random::from_number(28);
    let rounds = if storm_length() > Duration::from_secs(3) { 500 } else { 30 };
    for round in 0..rounds {
        let texts: Vec<String> = (0..100).map(|at| bent(&mut random, round * 100 + at)).collect();
        ask_all(&mut mia.client, &texts).await;
    }
    // What is sound is done again as soon as the rate allows.
    let sound = async {
        while mia.client.request("setMicrophone", json!({"on": false})).await["data"]["result"] != 0 {}
    };
    timeout(PATIENCE, sound).await.expect("the link lives");
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    tally.count(rounds as u64 * 100, "messages");
    drop(mia);
    server.stop().await;
}

/// Bent requests on one connection until the storm is over; how many.
async fn blow(address: SocketAddr, seed: u64, until: Instant) -> u64 {
    let mut client = Client::enter(address, "storm", "Storm", "moderator").await;
    let mut random = Random::from_number(seed);
    let mut sent = 0;
    while Instant::now() < until {
        let texts: Vec<String> = (0..100).map(|at| bent(&mut random, sent as usize + at)).collect();
        ask_all(&mut client, &texts).await;
        sent += 100;
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_json() {
    let _turn = alone().await;
    let mut tally = Tally::of("storms", "storm_json");
    let (server, address) = start(&free_ports()).await;
    let mut call = live_call(address).await;
    let until = Instant::now() + storm_length();
    let storm: Vec<_> = (0..8).map(|seed| tokio::spawn(blow(address, seed, until))).collect();
    let mut sent = 0;
    for one in storm {
        sent += one.await.unwrap();
    }
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    // A tenth of what two busy processors do.
    let least = 1_000 * storm_length().as_secs();
    assert!(sent >= least, "{sent} messages, and {least} at least are a storm");
    tally.count(sent, "messages");
    server.stop().await;
}
