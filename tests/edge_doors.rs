//! The doors: page, health, metrics, tokens, WebSocket, the operator's requests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "support/http.rs"]
mod http;
#[path = "support/ws.rs"]
mod ws;

use anteroom::base::Secret;
use futures_util::SinkExt;
use http::{ask, development_token, free_ports, get, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use ws::Client;

const KEY: &str = "an operator's own key";

#[tokio::test]
async fn the_page_comes_with_its_length_and_its_guards() {
    let (server, address) = start(&free_ports()).await;
    let page = get(address, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("content-length"), Some(&*page.body.len().to_string()));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'self'"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let module = get(address, "/page/anteroom.js").await;
    assert_eq!(module.header("content-type"), Some("text/javascript; charset=utf-8"));
    for nowhere in ["/page/none.js", "/page/..%2fmod.rs", "/v2", "/metrics"] {
        assert_eq!(get(address, nowhere).await.status, 404, "{nowhere}");
    }
    server.stop().await;
}

#[tokio::test]
async fn health_is_told_on_both_addresses_and_metrics_on_one() {
    let (server, address) = start(&free_ports()).await;
    let metrics = server.metrics_address();
    for asked in [address, metrics] {
        assert_eq!(get(asked, "/livez").await.status, 200);
        assert_eq!(get(asked, "/readyz").await.status, 200);
    }
    let secret_room = "planted-room-name";
    let _mia = Client::enter(address, secret_room, "planted-person", "participant").await;
    let answer = get(metrics, "/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in ["anteroom_links 1", "anteroom_worker_up{worker=\"0\"} 1", "anteroom_wrong_epoch_total 0"] {
        assert!(answer.body.lines().any(|found| found == line), "{line} in {}", answer.body);
    }
    assert!(!answer.body.contains("planted"));
    server.stop().await;
}

#[tokio::test]
async fn a_token_opens_the_door_and_nothing_else_does() {
    let (server, address) = start(&free_ports()).await;
    let token = development_token(address, "daily", "Mia", "moderator").await;
    assert!(Client::connect(address, &token).await.is_ok());
    for wrong in ["", "x", &token[..token.len() - 4], &format!("{token}x")] {
        match *Client::connect(address, wrong).await.err().expect("a refusal") {
            Error::Http(answer) => {
                assert_eq!(answer.status(), 401);
                let body: Value = serde_json::from_slice(answer.body().as_ref().unwrap()).unwrap();
                assert_eq!(body["error"], "bad_token");
                assert!(wrong.is_empty() || !body.to_string().contains(&token[20..60]), "{body}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(get(address, "/v1/ws").await.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_stay_outside() {
    let mut config = free_ports();
    config.http.allowed_origins = vec!["https://meet.example".to_owned()];
    let (server, address) = start(&config).await;
    let token = development_token(address, "daily", "Mia", "participant").await;
    for (origin, status) in [
        (format!("http://{address}"), 101),
        ("https://meet.example".to_owned(), 101),
        ("https://evil.example".to_owned(), 403),
        ("null".to_owned(), 403),
    ] {
        let mut request = format!("ws://{address}/v1/ws?token={token}").into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let found = match tokio_tungstenite::connect_async(request).await {
            Ok((_, answer)) => answer.status().as_u16(),
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(found, status, "{origin}");
    }
    server.stop().await;
}

#[tokio::test]
async fn development_tokens_are_for_this_machine_and_for_servers_without_a_secret() {
    let (server, address) = start(&free_ports()).await;
    let path = "GET /dev/token?room=daily&name=Mia&role=moderator";
    assert_eq!(ask(address, path, "Host: rebound.example:8080\r\n", "").await.status, 403);
    assert_eq!(ask(address, path, "Host: localhost:8080\r\n", "").await.status, 200);
    assert_eq!(get(address, "/dev/token?room=daily").await.status, 400);
    assert_eq!(get(address, "/dev/token?room=daily&name=Mia&role=king").await.status, 400);
    assert_eq!(get(address, "/dev/token?room=&name=Mia").await.status, 400);
    server.stop().await;

    let mut config = free_ports();
    config.tokens.secret = Secret::new("0123456789abcdef0123456789abcdef");
    let (server, address) = start(&config).await;
    assert_eq!(get(address, "/dev/token?room=daily&name=Mia").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_nonsense_is_told_so_and_stays() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Client::enter(address, "daily", "Mia", "participant").await;
    for nonsense in ["", "{", "[]", "{\"id\":\"1\",\"id\":{}}", &"[".repeat(60_000), "{\"id\":\"\\ud800\"}"] {
        mia.send_text(nonsense).await;
        let frame = mia.next_frame().await;
        assert_eq!((&frame["ack"], &frame["data"]["result"]), (&json!("error"), &json!(1734)), "{frame}");
    }
    mia.send_text(&json!({"id": "x".repeat(1_000), "method": "pause"}).to_string()).await;
    let frame = mia.next_frame().await;
    assert_eq!((&frame["id"], &frame["ack"]), (&json!("x".repeat(1_000)), &json!("didAckPause")));
    let ack = mia.request("noSuchMethod", json!({})).await;
    assert_eq!((&ack["ack"], &ack["data"]["error"]), (&json!("error"), &json!("bad_parameter")));
    assert_eq!(ack["seq"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn what_a_client_may_not_send_closes_the_socket_with_the_reason() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Client::enter(address, "daily", "Mia", "participant").await;
    mia.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(mia.closed().await, (1003, "text_only".to_owned()));

    let mut ben = Client::enter(address, "daily", "Ben", "participant").await;
    // The server closes while this is being sent.
    let _ = ben.socket.send(Message::text("x".repeat(200_000))).await;
    assert_eq!(ben.closed().await, (1009, "too_large".to_owned()));

    let mut ada = Client::enter(address, "daily", "Ada", "participant").await;
    let no_text = Frame::message(vec![b'{', 0xff], OpCode::Data(Data::Text), true);
    ada.socket.send(Message::Frame(no_text)).await.unwrap();
    assert_eq!(ada.closed().await, (1007, "no_utf8".to_owned()));

    let mut eva = Client::enter(address, "daily", "Eva", "participant").await;
    // As a client would compress it, and more than is read at once.
    let mut compressed = Frame::message(vec![b'x'; 100_000], OpCode::Data(Data::Text), true);
    compressed.header_mut().rsv1 = true;
    let _ = eva.socket.send(Message::Frame(compressed)).await;
    assert_eq!(eva.closed().await, (1002, "protocol".to_owned()));

    let mut zoe = Client::enter(address, "daily", "Zoe", "participant").await;
    let long = format!(r#"{{"id":"1","method":"pause","params":{{"x":"{}"}}}}"#, "x".repeat(120_000));
    zoe.send_text(&long).await;
    assert_eq!(zoe.next_frame().await["id"], "1");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Client::enter(address, "daily", "Mia", "participant").await;
    mia.socket.close(Some(CloseFrame { code: 4_100.into(), reason: "".into() })).await.unwrap();
    assert_eq!(mia.closed().await, (4_100, String::new()));
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_is_no_handshake_opens_nothing() {
    const WHOLE: [&str; 4] = [
        "Connection: Upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ];
    let (server, address) = start(&free_ports()).await;
    let token = development_token(address, "daily", "Mia", "participant").await;
    let line = format!("GET /v1/ws?token={token}");
    for missing in WHOLE {
        let headers: String = WHOLE.into_iter().filter(|header| *header != missing).collect();
        assert_eq!(ask(address, &line, &headers, "").await.status, 400, "without {missing}");
    }
    let other = ask(address, &line.replacen("GET", "HEAD", 1), &WHOLE.concat(), "").await;
    assert_eq!(other.status, 405);
    let metrics = get(server.metrics_address(), "/metrics").await.body;
    assert!(metrics.contains("anteroom_links_opened_total 0"), "{metrics}");
    server.stop().await;
}

/// How many of as many requests are refused because they are too many; each gets one ack.
async fn refused_of(client: &mut Client, method: &str, ack: &str, how_many: usize) -> usize {
    for id in 0..how_many {
        let request = json!({"id": format!("{method}{id}"), "method": method}).to_string();
        client.socket.feed(Message::text(request)).await.unwrap();
    }
    client.socket.flush().await.unwrap();
    let (mut answered, mut refused) = (std::collections::BTreeSet::new(), 0);
    while answered.len() < how_many {
        let frame = client.next_frame().await;
        assert_eq!(frame["ack"], ack, "{frame}");
        assert!(answered.insert(frame["id"].as_str().unwrap().to_owned()), "two acks: {frame}");
        refused += usize::from(frame["data"]["result"] == 5107);
    }
    refused
}

#[tokio::test]
async fn a_flood_of_requests_is_refused_one_by_one() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Client::enter(address, "daily", "Mia", "participant").await;
    // As many as a burst are done, and a slow machine may do more while it waits.
    let refused = refused_of(&mut mia, "rejectBreakOutRoom", "didAckRejectBreakoutRoom", 2_000).await;
    assert!((1..=1_600).contains(&refused), "{refused} refused");
    // One replay is work as that of twenty.
    let mut ben = Client::enter(address, "daily", "Ben", "participant").await;
    let refused = refused_of(&mut ben, "replay", "didAckReplay", 100).await;
    assert!((1..=80).contains(&refused), "{refused} refused");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Client::enter(address, "daily", "Mia", "participant").await;
    let nonsense = Message::text(json!({"id": "x".repeat(100_000)}).to_string());
    // Each is answered with its id: at the latest when buffers of the system and of the server hold no
    // more, the server gives up.
    let flood = async { while mia.socket.feed(nonsense.clone()).await.is_ok() {} };
    timeout(http::PATIENCE * 3, flood).await.expect("the server lets go");
    let metrics = get(server.metrics_address(), "/metrics").await.body;
    assert!(metrics.contains("anteroom_links_too_slow_total 1"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn an_operator_makes_lists_and_ends_rooms() {
    let mut config = free_ports();
    config.admin.key = Secret::new(KEY);
    let (server, address) = start(&config).await;
    let bearer = format!("Authorization: Bearer {KEY}\r\n");
    let room = r#"{"name":"town hall","mode":"lecture","max_participants":50}"#;
    for wrong in
        ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic wrong\r\n", "Authorization: Bearer\r\n"]
    {
        for line in ["POST /v1/rooms", "GET /v1/rooms", "DELETE /v1/rooms/x", "DELETE /v1/rooms/%ff"] {
            let answer = ask(address, line, wrong, room).await;
            assert_eq!(
                (answer.status, &answer.json()["error"]),
                (403, &json!("forbidden")),
                "{line} {wrong}"
            );
        }
    }
    let made = ask(address, "POST /v1/rooms", &bearer, room).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["settings"]["mode"], "lecture");
    assert_eq!(made.json()["settings"]["max_active_talkers"], 6);
    assert_eq!(ask(address, "POST /v1/rooms", &bearer, room).await.status, 409);
    let listed = ask(address, "GET /v1/rooms", &bearer, "").await.json();
    let expected = json!([{"name": "town hall", "mode": "lecture", "participants": 0, "breakout_rooms": 0}]);
    assert_eq!(listed["rooms"], expected);
    for body in ["{}", "no json", r#"{"name":"a","colour":1}"#, r#"{"name":"a","max_active_talkers":17}"#] {
        let refused = ask(address, "POST /v1/rooms", &bearer, body).await;
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("bad_parameter")), "{body}");
    }
    let too_long = format!(r#"{{"name":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(ask(address, "POST /v1/rooms", &bearer, &too_long).await.status, 413);
    assert_eq!(ask(address, "DELETE /v1/rooms/town%20hall", &bearer, "").await.status, 200);
    assert_eq!(ask(address, "DELETE /v1/rooms/town%20hall", &bearer, "").await.status, 404);
    let refused = ask(address, "DELETE /v1/rooms/%ff", &bearer, "").await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("bad_parameter")));
    server.stop().await;

    let (server, address) = start(&free_ports()).await;
    assert_eq!(ask(address, "GET /v1/rooms", "Authorization: Bearer \r\n", "").await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn slow_and_long_requests_are_cut_off() {
    let (server, address) = start(&free_ports()).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    // Without the key, nobody waits for a body.
    let mut body = TcpStream::connect(address).await.unwrap();
    body.write_all(b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut long = TcpStream::connect(address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    // The server may close while this is being sent.
    let _ = long.write_all(head.as_bytes()).await;
    for mut stream in [long, slow, body] {
        let mut answer = Vec::new();
        // An end or a reset is all the same.
        let _ = timeout(http::PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server hangs up");
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_to_come_back_and_a_websocket_counts() {
    let mut config = free_ports();
    config.http.max_connections = 2;
    let (server, address) = start(&config).await;
    let mut mia = Client::enter(address, "daily", "Mia", "participant").await;
    let ben = Client::enter(address, "daily", "Ben", "participant").await;
    let third = get(address, "/livez").await;
    assert_eq!((third.status, third.header("retry-after")), (503, Some("2")));
    assert_eq!(third.json()["error"], "overloaded");
    assert_ne!(mia.request("replay", json!({})).await["data"]["result"], Value::Null);
    drop(ben);
    // The place is free once the server has seen Ben go.
    while !is_served(address).await {}
    server.stop().await;
}

async fn is_served(address: std::net::SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let _ = stream.read_to_end(&mut answer).await;
    answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn a_stop_tells_everybody_and_ends_in_time() {
    let (server, address) = start(&free_ports()).await;
    let mut mia = Client::enter(address, "daily", "Mia", "participant").await;
    let told = async { mia.closed().await };
    let ((), (code, _)) =
        timeout(http::PATIENCE, async { tokio::join!(server.stop(), told) }).await.expect("stopped");
    assert!([1001, 4002].contains(&code), "{code}");
    assert!(TcpStream::connect(address).await.is_err());
}
