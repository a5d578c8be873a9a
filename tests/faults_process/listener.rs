//! Somebody with media who counts what is heard: by marks, so that every packet names its publisher and room.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anteroom::base::{ClientId, Epoch, Kind};
use anteroom::client::{Mark, Participant, Place, room_tag};
use anteroom::telemetry::Clock;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use crate::machine::eventually;
use crate::person::new_participant;
use crate::ws::Client;

/// What somebody heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Datagrams of any kind.
    pub(crate) arrived: AtomicU64,
    pub(crate) packets: AtomicU64,
    /// Of another room.
    pub(crate) foreign: AtomicU64,
    /// Numbers left out by a publisher's packets.
    pub(crate) missing: AtomicU64,
}

pub(crate) struct Listener {
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) joined: Value,
    pub(crate) heard: Arc<Heard>,
    /// Where its media comes to.
    pub(crate) address: SocketAddr,
    media: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.media.abort();
    }
}

impl Listener {
    /// Joins a room and speaks there.
    pub(crate) async fn join(http: SocketAddr, room: &str, name: &str) -> Self {
        let client = Client::enter(http, room, name, "moderator").await;
        Self::join_by(client, room, json!({})).await
    }

    /// Joins, or comes back, over a signalling connection that is there.
    pub(crate) async fn join_by(client: Client, room: &str, extra: Value) -> Self {
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        Self::join_from(socket, client, room, extra).await
    }

    /// Media comes and goes by a socket that is there.
    pub(crate) async fn join_from(socket: StdSocket, client: Client, room: &str, extra: Value) -> Self {
        Self::try_from(socket, client, room, extra).await.unwrap()
    }

    /// The same, or what the server answers instead.
    pub(crate) async fn try_from(
        socket: StdSocket,
        mut client: Client,
        room: &str,
        extra: Value,
    ) -> Result<Self, Value> {
        let clock = Clock::start();
        let mut participant = new_participant(clock);
        let (sdp, tracks) = participant.offer();
        let mut params = json!({"sdp": sdp, "tracks": tracks});
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let joined = client.request("joinRoom", params).await["data"].take();
        if joined["result"] != 0 {
            return Err(joined);
        }
        participant.answer(clock.now(), joined["sdp"].as_str().unwrap()).unwrap();
        let id = joined["clientId"].as_str().unwrap().to_owned();
        let who: ClientId = id.parse().unwrap();
        let epoch = Epoch(joined["epoch"].as_u64().unwrap());
        participant.slots(Place { client: who, room: room_tag(room), epoch }, &[]);
        participant.publish(clock.now(), Kind::Audio, true);
        let heard: Arc<Heard> = Arc::default();
        let address = socket.local_addr().unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = UdpSocket::from_std(socket).unwrap();
        let run = run(participant, socket, clock, room_tag(room), Arc::clone(&heard));
        let media = tokio::spawn(run).abort_handle();
        Ok(Self { client, id, joined, heard, address, media })
    }

    /// Closes its socket: what is sent to it from now on is refused by its machine.
    pub(crate) fn vanish(&self) {
        self.media.abort();
    }

    pub(crate) fn packets(&self) -> u64 {
        self.heard.packets.load(Ordering::Relaxed)
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.heard.arrived.load(Ordering::Relaxed)
    }

    /// Waits for more packets.
    pub(crate) async fn hears(&self, more: u64) {
        let wanted = self.packets() + more;
        eventually("packets to hear", async || self.packets() >= wanted).await;
    }

    /// The port that its answer names.
    pub(crate) fn server_port(&self) -> u16 {
        let sdp = self.joined["sdp"].as_str().unwrap();
        let line = sdp.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
        line.split(' ').nth(5).unwrap().parse().unwrap()
    }
}

async fn run(mut participant: Participant, socket: UdpSocket, clock: Clock, room: u64, heard: Arc<Heard>) {
    let (mut inbound, mut outbound) = ([0; 2048], [0; 2048]);
    let mut counters: HashMap<(ClientId, Kind), u64> = HashMap::new();
    loop {
        participant.handle_timeout(clock.now());
        while let Some((to, len)) = participant.poll_transmit(clock.now(), &mut outbound) {
            // The other end may be gone: its business.
            let _ = socket.send_to(&outbound[..len], to).await;
        }
        let due = participant.poll_timeout().unwrap_or_else(|| clock.now() + Duration::from_secs(1));
        tokio::select! {
            received = socket.recv_from(&mut inbound) => if let Ok((len, from)) = received {
                heard.arrived.fetch_add(1, Ordering::Relaxed);
                if let Some(found) = participant.handle_datagram(clock.now(), from, &mut inbound[..len]) {
                    note(&heard, &mut counters, room, found.mark);
                }
            },
            () = tokio::time::sleep(clock.until(due)) => {}
        }
    }
}

fn note(heard: &Heard, counters: &mut HashMap<(ClientId, Kind), u64>, room: u64, mark: Mark) {
    heard.packets.fetch_add(1, Ordering::Relaxed);
    if mark.room != room {
        heard.foreign.fetch_add(1, Ordering::Relaxed);
    }
    let next = counters.entry((mark.publisher, mark.kind)).or_insert(mark.counter);
    if mark.counter >= *next {
        heard.missing.fetch_add(mark.counter - *next, Ordering::Relaxed);
        *next = mark.counter + 1;
    } else {
        // Late, and counted as missing before.
        let _ = heard.missing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }
}
