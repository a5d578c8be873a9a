//! Too much to do: who is not here yet waits outside, who is here goes on.

use std::net::SocketAddr;

use anteroom::api::settings::TokenSettings;
use anteroom::api::{DoorInput, DoorSettings, Doorway, TokenDoor, public_router};
use anteroom::base::{Random, Secret};
use anteroom::message::{AdminRequest, Role, RoomSettings};
use anteroom::telemetry::{Clock, Metrics};
use serde_json::json;
use tokio::time::timeout;

use super::http::{Answer, PATIENCE, ask};
use super::raw::HANDSHAKE;
use super::tokens::now;
use super::ws::Client;

const KEY: &str = "Authorization: Bearer an operator's own key\r\n";

fn assert_overloaded(answer: &Answer) {
    assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("overloaded")));
    assert_eq!(answer.header("retry-after"), Some("2"), "{answer:?}");
}

#[tokio::test]
async fn joins_are_refused_while_control_is_behind_and_open_links_are_not() {
    let (doorway, mut engine) = Doorway::new(Metrics::new().unwrap());
    doorway.set_ready(true);
    let tokens = TokenDoor::new(&TokenSettings::default(), &mut Random::from_number(1));
    let token = tokens.development_token("daily", "Mia", Role::Moderator, now()).unwrap().unwrap();
    let settings = DoorSettings {
        tokens,
        admin_key: Secret::new("an operator's own key"),
        allowed_origins: Vec::new(),
        room_defaults: RoomSettings::default(),
        clock: Clock::start(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, public_router(doorway.clone(), settings)).into_future());

    let mut mia = Client::connect(address, &token).await.unwrap();
    // An engine that takes nothing: what it is asked waits.
    let asking: Vec<_> = (0..2_048)
        .map(|_| {
            let doorway = doorway.clone();
            tokio::spawn(async move { doorway.admin(AdminRequest::ListRooms).await })
        })
        .collect();
    timeout(PATIENCE, async {
        while !doorway.is_overloaded() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the queue fills");
    let line = format!("GET /v1/ws?token={token}");
    assert_overloaded(&ask(address, &line, HANDSHAKE, "").await);
    assert_overloaded(&ask(address, "GET /v1/ws?token=x", HANDSHAKE, "").await);
    assert_overloaded(&ask(address, "POST /v1/rooms", KEY, r#"{"name":"a"}"#).await);
    // Whoever is here still gets through to the queue.
    mia.send_text(&json!({"id": "1", "method": "replay", "params": {"from_seq": 0}}).to_string()).await;
    let (mut asked, mut outboxes) = (false, Vec::new());
    while !asked {
        match timeout(PATIENCE, engine.recv()).await.expect("an input").unwrap() {
            DoorInput::Request { request, .. } => asked = request.id == "1",
            // Dropped, it would end the link.
            DoorInput::Opened { outbox, .. } => outboxes.push(outbox),
            _ => {}
        }
    }
    // With the queue drained the doors are open again.
    assert!(!doorway.is_overloaded());
    drop(Client::connect(address, &token).await.unwrap());
    let counted = doorway.metrics().render().unwrap();
    assert!(counted.contains("anteroom_links_refused_total{reason=\"overloaded\"} 2"), "{counted}");

    doorway.set_media_behind(true);
    assert_overloaded(&ask(address, &line, HANDSHAKE, "").await);
    doorway.set_media_behind(false);
    drop(Client::connect(address, &token).await.unwrap());
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    serving.abort();
    drop(mia);
}
