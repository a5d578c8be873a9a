//! I17: what is bounded stays so, however many ask.

use serde_json::json;
use tokio::task::JoinSet;

use crate::http::get;
use crate::machine::{Server, eventually, sum_of};
use crate::person::new_participant;
use crate::tally::Tally;
use crate::ws::Client;

const CONNECTIONS: usize = 24;
const ROOMS: usize = 3;
const SEATS: usize = 4;
const ASKING: usize = 80;

/// Takes what it gets: a seat, a refusal, or no connection at all.
async fn ask_for_a_seat(http: std::net::SocketAddr, number: usize, token: String) -> Option<Client> {
    let mut client = Client::connect(http, &token).await.ok()?;
    let participant = new_participant(anteroom::telemetry::Clock::start());
    let (sdp, tracks) = participant.offer();
    let params = json!({"sdp": sdp, "tracks": tracks});
    client
        .send_text(&json!({"id": number.to_string(), "method": "joinRoom", "params": params}).to_string())
        .await;
    client.next_message().await?;
    Some(client)
}

#[tokio::test]
async fn i17_gauges_stay_below_their_caps() {
    let mut tally = Tally::of("invariants", "I17");
    let server = Server::start(&format!(
        "[http]\nmax_connections = {CONNECTIONS}\n[rooms]\nmax_participants = {SEATS}\n\
         [node]\nmax_rooms = {ROOMS}\n"
    ))
    .await;
    let caps = [
        ("anteroom_links", CONNECTIONS),
        ("anteroom_rooms", ROOMS),
        ("anteroom_participants", ROOMS * SEATS),
    ];
    let mut tokens = Vec::new();
    for number in 0..ASKING {
        let room = format!("room-{}", number % 8);
        tokens.push(crate::http::development_token(server.http, &room, "Liz", "moderator").await);
    }
    let mut asking = JoinSet::new();
    for (number, token) in tokens.into_iter().enumerate() {
        asking.spawn(ask_for_a_seat(server.http, number, token));
    }
    let mut peaks = [0.0_f64; 3];
    let mut clients = Vec::new();
    let look = async |peaks: &mut [f64; 3]| {
        let text = get(server.metrics, "/metrics").await.body;
        for ((name, cap), peak) in caps.iter().zip(peaks) {
            *peak = peak.max(sum_of(&text, name));
            assert!(*peak <= *cap as f64, "{name}: {peak} of {cap}");
        }
    };
    while let Some(client) = asking.join_next().await {
        clients.extend(client.unwrap());
        look(&mut peaks).await;
    }
    assert!(clients.len() <= CONNECTIONS);
    assert_eq!(peaks[1], ROOMS as f64, "the caps were reached");
    let refused = async || server.metric("anteroom_connections_refused_total").await > 0.0;
    eventually("connections refused", refused).await;
    tally.count(ASKING as u64, "askers");
}
