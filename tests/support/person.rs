//! Somebody in a meeting: signalling by WebSocket, media by a synthetic participant on a UDP socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anteroom::base::Random;
use anteroom::client::{ClientIdentity, Participant, ParticipantSettings, TimeAnchor};
use anteroom::telemetry::Clock;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use super::ws::Client;

pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) id: String,
    /// What `joinRoom` answered.
    pub(crate) joined: Value,
    media: AbortHandle,
}

impl Drop for Person {
    fn drop(&mut self) {
        self.media.abort();
    }
}

impl Person {
    /// Joins a room with media that connects meanwhile.
    pub(crate) async fn join(address: SocketAddr, room: &str, name: &str, role: &str) -> Self {
        let client = Client::enter(address, room, name, role).await;
        Self::join_by(client, json!({})).await
    }

    /// Joins, or comes back, over a signalling connection that is there.
    pub(crate) async fn join_by(mut client: Client, extra: Value) -> Self {
        let clock = Clock::start();
        let mut participant = new_participant(clock);
        let (sdp, tracks) = participant.offer();
        let mut params = json!({"sdp": sdp, "tracks": tracks});
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let joined = client.succeed("joinRoom", params).await;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        participant.answer(clock.now(), joined["sdp"].as_str().unwrap()).unwrap();
        let media = tokio::spawn(run(participant, socket, clock)).abort_handle();
        let id = joined["clientId"].as_str().unwrap().to_owned();
        Self { client, id, joined, media }
    }

    pub(crate) async fn succeed(&mut self, method: &str, params: Value) -> Value {
        self.client.succeed(method, params).await
    }

    pub(crate) async fn refused(&mut self, method: &str, params: Value) -> u64 {
        self.client.refused(method, params).await
    }

    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.client.event(name).await
    }
}

pub(crate) fn new_participant(clock: Clock) -> Participant {
    let (at, instant) = clock.anchor();
    let identity = ClientIdentity::generate().unwrap();
    let random = Random::from_number(clock.now().as_micros());
    Participant::new(ParticipantSettings::default(), TimeAnchor { at, instant }, identity, random)
}

async fn run(mut participant: Participant, socket: UdpSocket, clock: Clock) {
    let (mut inbound, mut outbound) = ([0; 2048], [0; 2048]);
    loop {
        participant.handle_timeout(clock.now());
        while let Some((to, len)) = participant.poll_transmit(clock.now(), &mut outbound) {
            // The other end may be gone: its business.
            let _ = socket.send_to(&outbound[..len], to).await;
        }
        let due = participant.poll_timeout().unwrap_or_else(|| clock.now() + Duration::from_secs(1));
        tokio::select! {
            received = socket.recv_from(&mut inbound) => if let Ok((len, from)) = received {
                participant.handle_datagram(clock.now(), from, &mut inbound[..len]);
            },
            () = tokio::time::sleep(clock.until(due)) => {}
        }
    }
}
