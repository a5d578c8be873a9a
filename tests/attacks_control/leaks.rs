//! What metrics and logs must not tell.

use serde_json::{Value, json};

use anteroom::message::{AdminReply, AdminRequest};
use anteroom::telemetry::Clock;

use super::http::{ask, free_ports, get, start};
use super::person::{Person, new_participant};
use super::raw::HANDSHAKE;
use super::server_process::ServerProcess;
use super::tally::Tally;
use super::tokens::{SECRET, claims, sign};
use super::ws::Client;
use super::{alone, live_call};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a37_metrics_are_as_long_with_ten_thousand_rooms_and_name_nobody() {
    let _turn = alone().await;
    let mut tally = Tally::of("attacks", "A37");
    let (server, address) = start(&free_ports()).await;
    let mut call = live_call(address).await;
    let mut mia = Person::join(address, "planted-room", "Planted-Name", "moderator").await;
    mia.succeed(
        "createBreakOutRoom",
        json!({"participants": 3, "audio": true, "video": false, "canvas": true,
        "share": true, "max_rooms": 1, "name": "planted-breakout"}),
    )
    .await;
    let before = get(server.metrics_address(), "/metrics").await.body;
    // Hers is there already, and that of the call.
    let mut rooms = 2;
    for number in 2..10_000 {
        let create = AdminRequest::CreateRoom { name: format!("planted-{number}"), settings: None };
        let made = server.engine().admin(create).await.unwrap();
        assert!(matches!(made, AdminReply::Created { .. }), "{made:?}");
        rooms += 1;
    }
    let after = get(server.metrics_address(), "/metrics").await.body;
    assert!(after.contains(&format!("anteroom_rooms {rooms}\n")), "{after}");
    assert_eq!(after.lines().count(), before.lines().count());
    assert!(after.len() < before.len() + 500, "{} bytes, then {}", before.len(), after.len());
    for told in [&before, &after] {
        let told = told.to_lowercase();
        for word in ["planted", &mia.id, mia.joined["resume"].as_str().unwrap(), "127.0.0.1"] {
            assert!(!told.contains(word), "{word}");
        }
    }
    // Nobody outside gets them, and health says a word.
    assert_eq!(get(address, "/metrics").await.status, 404);
    for path in ["/livez", "/readyz"] {
        assert!(get(address, path).await.body.len() < 16);
    }
    assert!(call.is_on());
    call.hang_up().await.assert_undisturbed();
    tally.count(rooms, "rooms");
    drop(mia);
    server.stop().await;
}

const ADMIN_KEY: &str = "an-operators-own-planted-key";

/// The value of the first `a=name:` line of a description.
fn attribute(sdp: &str, name: &str) -> String {
    let line = sdp.lines().find_map(|line| line.strip_prefix(&format!("a={name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {sdp}")).trim().to_owned()
}

/// Somebody joins with a known offer; what of it is secret.
async fn join_by_hand(address: std::net::SocketAddr, planted: &mut Vec<String>) -> Client {
    let mut client = Client::connect(address, &sign(&claims_of("Planted-Zoe"))).await.unwrap();
    let (sdp, tracks) = new_participant(Clock::start()).offer();
    let joined = client.succeed("joinRoom", json!({"sdp": sdp, "tracks": tracks})).await;
    let answer = joined["sdp"].as_str().unwrap();
    planted.extend([attribute(&sdp, "ice-pwd"), attribute(answer, "ice-pwd")]);
    planted.push(joined["resume"].as_str().unwrap().to_owned());
    client
}

fn claims_of(name: &str) -> Value {
    let mut claims = claims();
    (claims["name"], claims["room"]) = (json!(name), json!("planted-room"));
    claims.as_object_mut().unwrap().remove("aud");
    claims
}

/// What comes in from outside with line feeds and escapes in it.
async fn inject(address: std::net::SocketAddr, client: &mut Client) {
    let bearer = format!("Authorization: Bearer {ADMIN_KEY}\r\n");
    ask(address, "DELETE /v1/rooms/%0aFORGED%1b%5b31m", &bearer, "").await;
    ask(address, "POST /v1/rooms", &bearer, r#"{"name":"\nFORGED \u001b[31m"}"#).await;
    ask(address, "POST /v1/rooms", &bearer, "{\n FORGED \u{1b}[31m").await;
    ask(address, "GET /%0aFORGED%1b[31m", "X-Odd: FORGED\r\n", "").await;
    ask(address, "GET /v1/ws?token=%0aFORGED%1b[31m", HANDSHAKE, "").await;
    ask(address, "GET /v1/ws?%0aFORGED=%1b[31m", HANDSHAKE, "").await;
    let odd = sign(&claims_of("\nFORGED \u{1b}[31m"));
    ask(address, &format!("GET /v1/ws?token={odd}"), HANDSHAKE, "").await;
    for text in [
        json!({"id": "\nFORGED \u{1b}[31m", "method": "\nFORGED \u{1b}[31m"}).to_string(),
        json!({"id": "1", "method": "joinRoom", "params": {"sdp": "v=0\nFORGED \u{1b}[31m"}}).to_string(),
        json!({"id": "2", "method": "restartIce", "params": {"sdp": "v=0\nFORGED \u{1b}[31m"}}).to_string(),
        "\nFORGED \u{1b}[31m".to_owned(),
    ] {
        client.send_text(&text).await;
        client.next_frame().await;
    }
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    let close = CloseFrame { code: 4_000.into(), reason: "\nFORGED \u{1b}[31m".into() };
    client.socket.close(Some(close)).await.unwrap();
}

#[tokio::test]
async fn a38_no_secret_and_no_name_is_logged_and_no_line_is_forged() {
    let mut tally = Tally::of("attacks", "A38");
    let config = format!(
        "[listen]\nhttp = [\"127.0.0.1\"]\nport = 0\nmetrics = \"127.0.0.1:0\"\n\
         [tokens]\nsecret = \"{SECRET}\"\n[admin]\nkey = \"{ADMIN_KEY}\"\n[log]\nfilter = \"trace\"\n"
    );
    let server = ServerProcess::start(&[], &config).await;
    let address = server.address;
    let token = sign(&claims_of("Planted-Mia"));
    let mut planted: Vec<String> = [SECRET, ADMIN_KEY, "Planted-", "planted-"].map(str::to_owned).to_vec();
    planted.extend([token.clone(), token.rsplit_once('.').unwrap().1.to_owned()]);

    let mut mia = Person::join_by(Client::connect(address, &token).await.unwrap(), json!({})).await;
    let mut zoe = join_by_hand(address, &mut planted).await;
    let wish = json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true,
        "max_rooms": 1, "name": "planted-breakout"});
    let made = mia.succeed("createBreakOutRoom", wish).await;
    let room = made["msg"]["rooms"][0].clone();
    let join = json!({"role": "moderator", "room_id": room, "streamInfo": {"audio": true, "video": false}});
    mia.succeed("joinBreakOutRoom", join).await;
    mia.succeed("disconnect", json!({})).await;
    // A secret that is used, and one that is wrong.
    let resume = mia.joined["resume"].clone();
    planted.push(resume.as_str().unwrap().to_owned());
    let mut back = Client::connect(address, &token).await.unwrap();
    let again = back.succeed("joinRoom", json!({"resume": resume})).await;
    planted.push(again["resume"].as_str().unwrap().to_owned());
    let mut wrong = Client::connect(address, &token).await.unwrap();
    planted.push("5eed".repeat(8));
    wrong.refused("joinRoom", json!({"resume": "5eed".repeat(8)})).await;
    ask(address, "GET /v1/rooms", "Authorization: Bearer planted-wrong-key\r\n", "").await;
    ask(address, "GET /v1/ws?token=planted-wrong.token.x", HANDSHAKE, "").await;
    ask(address, &format!("GET /v1/ws?token={token}"), "Origin: https://planted-evil.example\r\n", "").await;
    inject(address, &mut zoe).await;
    drop((mia, back));

    let log = server.stop().await;
    assert!(log.contains("DEBUG") && log.lines().count() > 5, "little is logged: {log}");
    for secret in &planted {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
    assert!(!log.contains('\u{1b}'), "an escape is in the log");
    let forged = log.lines().find(|line| line.trim_start().starts_with("FORGED"));
    assert!(forged.is_none(), "{forged:?}");
    tally.count(planted.len() as u64, "secrets and names");
}
