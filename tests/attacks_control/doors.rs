//! Slow and long requests, links that wait, pages of other sites, and what strangers get.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anteroom::base::Secret;
use anteroom::telemetry::raise_open_files;
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::http::{PATIENCE, ask, development_token, free_ports, get, start};
use super::person::Person;
use super::raw::HANDSHAKE;
use super::tally::Tally;
use super::ws::Client;
use super::{alone, live_call, metric};

/// So many, or as many as the limit of open files allows: each is two, since both ends are here.
fn slow_sockets() -> usize {
    const WANTED: u64 = 5_000;
    const OTHERS: u64 = 1_000;
    let files = raise_open_files(2 * WANTED + OTHERS);
    WANTED.min((files.saturating_sub(OTHERS) / 2).max(files / 4)) as usize
}

/// Begins a request for a WebSocket.
async fn slow(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/ws?token=x HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    stream
}

/// Goes on with the request by a byte every 500 ms until the server hangs up; answers how long it took
/// since the opening, and what the server said.
async fn trickle(mut stream: TcpStream, opened: Instant) -> (Duration, Vec<u8>) {
    let (mut answer, mut buffer) = (Vec::new(), [0; 1_024]);
    while opened.elapsed() < 3 * PATIENCE {
        match timeout(Duration::from_millis(500), stream.read(&mut buffer)).await {
            // An end or a reset is all the same.
            Ok(Ok(0) | Err(_)) => return (opened.elapsed(), answer),
            Ok(Ok(len)) => answer.extend_from_slice(&buffer[..len]),
            Err(_) => drop(stream.try_write(b"x")),
        }
    }
    (opened.elapsed(), answer)
}

/// A token is looked at when its bearer connects: whoever only waits in the connection until the token is
/// over gets no seat.
#[tokio::test]
async fn a29_a_link_without_a_seat_does_not_outlive_its_token() {
    let mut tally = Tally::of("attacks", "A29");
    let (server, address) = start(&free_ports()).await;
    let mut seated = Person::join(address, "daily", "Mia", "participant").await;
    let mut waiting = Client::enter(address, "daily", "Eve", "participant").await;
    let closed = async {
        loop {
            tokio::select! {
                message = waiting.socket.next() => match message {
                    Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                    Some(Ok(Message::Ping(_))) => {}
                    other => panic!("{other:?}"),
                },
                message = seated.client.socket.next() => {
                    assert!(matches!(&message, Some(Ok(message)) if !message.is_close()), "{message:?}");
                }
            }
        }
    };
    assert_eq!(timeout(Duration::from_secs(90), closed).await.expect("it is closed"), 4005);
    tally.count(1, "links");
    server.stop().await;
}

/// What a head may take, and as long again for a busy machine.
const HEAD_WITHIN: Duration = Duration::from_secs(5 + 5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a25_slow_sockets_keep_nobody_out_and_are_cut_off() {
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A25");
    let how_many = slow_sockets();
    assert!(how_many >= 2_000, "the limit of open files lets {how_many} slow sockets be");
    let (server, address) = start(&free_ports()).await;
    let mut call = live_call(address).await;
    let mut sockets = Vec::new();
    for _ in 0..how_many {
        let opened = Instant::now();
        sockets.push(tokio::spawn(trickle(slow(address).await, opened)));
    }
    let waiting = sockets.iter().filter(|socket| !socket.is_finished()).count();
    assert!(waiting >= 2_000, "{waiting} of {how_many} slow sockets are left when the joins begin");
    let mut joins = Vec::new();
    for number in 0..9 {
        let asked = Instant::now();
        let person = Person::join(address, "daily", &format!("P{number}"), "participant").await;
        joins.push(asked.elapsed());
        drop(person);
    }
    joins.sort();
    // One of the nine may have met with whatever else the machine does.
    assert!(joins[7] <= Duration::from_secs(2), "with {how_many} slow sockets, joins took {joins:?}");
    assert!(call.is_on());
    let mut longest = Duration::ZERO;
    for socket in sockets {
        let (took, answer) = socket.await.unwrap();
        longest = longest.max(took);
        assert!(!answer.starts_with(b"HTTP/1.1 1") && !answer.starts_with(b"HTTP/1.1 2"));
    }
    // More bytes of a head do not buy more time.
    assert!(longest <= HEAD_WITHIN, "the server hung up after {longest:?}");
    call.hang_up().await.assert_undisturbed();
    println!("{how_many} slow sockets");
    tally.count(how_many as u64, "slow sockets");
    server.stop().await;
}

#[tokio::test]
async fn a25_a_long_head_is_refused_before_it_is_read_to_its_end() {
    let mut tally = Tally::of("attacks", "A25");
    let (server, address) = start(&free_ports()).await;
    let token = development_token(address, "daily", "Eve", "participant").await;
    let field = |bytes: usize| format!("X: {}\r\n", "x".repeat(bytes));
    let many = "X: x\r\n".repeat(65);
    for (what, headers) in [("17 KiB", field(17 * 1024)), ("1 MiB", field(1 << 20)), ("65 fields", many)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("GET /v1/ws?token={token} HTTP/1.1\r\nHost: {address}\r\n{HANDSHAKE}{headers}\r\n");
        // The server may close while this is being sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server hangs up");
        let is_refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(is_refused, "{what}: {}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(address, "/livez").await.status, 200);
    tally.count(3, "heads");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a36_pages_of_other_origins_open_no_websocket() {
    let mut tally = Tally::of("attacks", "A36");
    let mut config = free_ports();
    config.http.allowed_origins = vec!["https://meet.example".to_owned()];
    let (server, address) = start(&config).await;
    let token = development_token(address, "daily", "Mia", "moderator").await;
    let line = format!("GET /v1/ws?token={token}");
    let port = address.port();
    let wrong = [
        "https://evil.example".to_owned(),
        "http://meet.example".to_owned(),
        "https://meet.example.evil.example".to_owned(),
        "https://evil.example/https://meet.example".to_owned(),
        "https://meet.example:444".to_owned(),
        "https://meet.example@evil.example".to_owned(),
        "null".to_owned(),
        "file://".to_owned(),
        "*".to_owned(),
        String::new(),
        format!("http://localhost.evil.example:{port}"),
        format!("http://127.0.0.1:{}", port.wrapping_add(1)),
        "https://meet.example\r\nOrigin: https://evil.example".to_owned(),
    ];
    for origin in &wrong {
        let headers = format!("{HANDSHAKE}Origin: {origin}\r\n");
        let answer = ask(address, &line, &headers, "").await;
        assert_eq!((answer.status, &answer.json()["error"]), (403, &json!("bad_origin")), "{origin}");
    }
    let metrics = get(server.metrics_address(), "/metrics").await.body;
    let refused = format!("anteroom_links_refused_total{{reason=\"origin\"}} {}", wrong.len());
    assert!(metrics.contains(&refused) && metrics.contains("anteroom_links_opened_total 0"), "{metrics}");
    for origin in ["https://meet.example".to_owned(), format!("http://{address}")] {
        let socket = super::raw::RawSocket::open(address, &token, &format!("Origin: {origin}\r\n"));
        assert!(socket.head.starts_with("HTTP/1.1 101"), "{origin}: {}", socket.head);
    }
    tally.count(wrong.len() as u64, "origins");
    server.stop().await;
}

/// The counts that tell what there is.
async fn state(metrics: SocketAddr) -> Vec<String> {
    let names = ["anteroom_rooms ", "anteroom_participants ", "anteroom_breakout_rooms ", "anteroom_links"];
    let told = ["anteroom_links_opened_total", "anteroom_requests_total", "anteroom_packets_forwarded_total"];
    let body = get(metrics, "/metrics").await.body;
    let lines = body.lines().filter(|line| !line.contains("refused"));
    let is_asked = |line: &&str| names.iter().chain(&told).any(|name| line.starts_with(name));
    lines.filter(is_asked).map(str::to_owned).collect()
}

#[tokio::test]
async fn i13_who_has_no_token_changes_nothing_and_earns_no_big_reply() {
    let mut tally = Tally::of("invariants", "I13");
    let mut config = free_ports();
    config.tokens.secret = Secret::new("0123456789abcdef0123456789abcdef");
    config.admin.key = Secret::new("an operator's own key");
    let (server, address) = start(&config).await;
    let before = state(server.metrics_address()).await;
    assert!(before.len() >= 6, "{before:?}");
    let room = r#"{"name":"town hall"}"#;
    let requests = [
        ("GET /v1/ws", HANDSHAKE, ""),
        ("GET /v1/ws?token=x", HANDSHAKE, ""),
        ("POST /v1/ws", HANDSHAKE, ""),
        ("POST /v1/rooms", "", room),
        ("POST /v1/rooms", "Authorization: Bearer x\r\n", room),
        ("GET /v1/rooms", "", ""),
        ("DELETE /v1/rooms/daily", "", ""),
        ("PUT /v1/rooms", "", room),
        ("OPTIONS /v1/rooms", "Origin: https://evil.example\r\n", ""),
        ("GET /dev/token?room=daily&name=Eve&role=moderator", "", ""),
        ("GET /metrics", "", ""),
        ("GET /v1/../metrics", "", ""),
        ("GET /nowhere", "", ""),
        ("BREW /v1/rooms", "", ""),
    ];
    for (line, headers, body) in requests {
        let answer = ask(address, line, headers, body).await;
        assert!((400..500).contains(&answer.status), "{line}: {answer:?}");
        assert!(answer.head.len() + answer.body.len() < 1_500, "{line}: {answer:?}");
    }
    let media = server.engine().media_addresses()[0];
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    for first in 0..=255_u8 {
        for len in [1, 12, 20, 28, 100, 1_200] {
            let mut datagram = vec![first; len];
            datagram[len / 2] = 0;
            sent += usize::from(stranger.send_to(&datagram, media).is_ok());
        }
    }
    // Once the server has counted them it has answered what it would.
    let all = async { while metric(&server, "anteroom_datagrams_received_total").await < sent as u64 / 2 {} };
    timeout(PATIENCE, all).await.expect("datagrams are counted");
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv(&mut [0; 1]).is_err(), "a stranger got an answer");
    assert_eq!(state(server.metrics_address()).await, before);
    tally.count((requests.len() + sent) as u64, "requests and datagrams");
    server.stop().await;
}
