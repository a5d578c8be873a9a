//! A synthetic participant of this crate, with sockets, beside the clients that others wrote.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use anteroom::base::{ClientId, Epoch, Kind, Random, Ssrc};
use anteroom::client::{
    ClientIdentity, Participant, ParticipantReport, ParticipantSettings, Place, SlotClaim, TimeAnchor,
    room_tag,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::client::Socket;
use crate::patience::within;
use crate::sending::now;
use crate::server::Server;

/// One that speaks from the start.
pub(crate) struct Synthetic {
    pub(crate) id: ClientId,
    received: watch::Receiver<u64>,
    finish: oneshot::Sender<()>,
    task: JoinHandle<ParticipantReport>,
}

impl Synthetic {
    /// Joins and waits until media can flow.
    pub(crate) async fn join(server: &Server, token: &str, settings: ParticipantSettings) -> Self {
        let (socket, _) = connect_async(format!("ws://{}/v1/ws?token={token}", server.http())).await.unwrap();
        let (finish, finished) = oneshot::channel();
        let (publish, received) = watch::channel(0);
        let (up, is_up) = oneshot::channel();
        let mut runner = Runner::new(socket, settings).await;
        let id = runner.id;
        let task = tokio::spawn(async move {
            runner.run(up, publish, finished).await;
            runner.participant.finish()
        });
        within("the synthetic participant's connection", is_up).await.unwrap();
        Self { id, received, finish, task }
    }

    /// Waits for more packets of anybody.
    pub(crate) async fn hears(&self, count: u64) {
        let mut received = self.received.clone();
        let goal = *received.borrow_and_update() + count;
        within("hearing", received.wait_for(|received| *received >= goal)).await.unwrap();
    }

    pub(crate) async fn leave(self) -> ParticipantReport {
        self.finish.send(()).unwrap();
        self.task.await.unwrap()
    }
}

struct Runner {
    id: ClientId,
    participant: Participant,
    socket: Socket,
    udp: UdpSocket,
    anchor: TimeAnchor,
}

impl Runner {
    #[expect(clippy::disallowed_methods, reason = "the edge of a test has a clock")]
    async fn new(mut socket: Socket, settings: ParticipantSettings) -> Self {
        let anchor = TimeAnchor { at: now(), instant: Instant::now() };
        let random = Random::from_number(rand::random());
        let identity = ClientIdentity::generate().unwrap();
        let mut participant = Participant::new(settings, anchor, identity, random);
        let (sdp, tracks) = participant.offer();
        let request = json!({"id": "1", "method": "joinRoom", "params": {"sdp": sdp, "tracks": tracks}});
        socket.send(Message::text(request.to_string())).await.unwrap();
        let joined = loop {
            let frame = read(&socket.next().await.unwrap().unwrap());
            if frame["id"] == "1" {
                break frame["data"].clone();
            }
        };
        assert_eq!(joined["result"], 0, "{joined}");
        let id = serde_json::from_value(joined["clientId"].clone()).unwrap();
        participant.answer(anchor.at, joined["sdp"].as_str().unwrap()).unwrap();
        take_slots(&mut participant, id, joined["room"]["room_id"].as_str().unwrap(), &joined);
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { id, participant, socket, udp, anchor }
    }

    async fn run(
        &mut self,
        up: oneshot::Sender<()>,
        received: watch::Sender<u64>,
        mut finished: oneshot::Receiver<()>,
    ) {
        let mut up = Some(up);
        let mut datagram = [0; 2048];
        let request = json!({"id": "2", "method": "setMicrophone", "params": {"on": true}});
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        self.participant.publish(now(), Kind::Audio, true);
        loop {
            self.send_all().await;
            if self.participant.is_up()
                && let Some(up) = up.take()
            {
                up.send(()).unwrap();
            }
            received.send_replace(self.participant.received());
            let due = self.participant.poll_timeout().unwrap();
            let due = tokio::time::Instant::from_std(self.anchor.instant + due.since(self.anchor.at));
            tokio::select! {
                biased;
                _ = &mut finished => return,
                frame = self.socket.next() => self.on_frame(&read(&frame.unwrap().unwrap())),
                got = self.udp.recv_from(&mut datagram) => if let Ok((len, from)) = got {
                    self.participant.handle_datagram(now(), from, &mut datagram[..len]);
                },
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    async fn send_all(&mut self) {
        self.participant.handle_timeout(now());
        let mut buffer = [0; 2048];
        while let Some((to, len)) = self.participant.poll_transmit(now(), &mut buffer) {
            let to: SocketAddr = to;
            let _ = self.udp.send_to(&buffer[..len], to).await;
        }
    }

    fn on_frame(&mut self, frame: &Value) {
        if frame["event"] == "slots" {
            let data = &frame["data"];
            take_slots(&mut self.participant, self.id, data["room_id"].as_str().unwrap(), data);
        }
    }
}

fn take_slots(participant: &mut Participant, client: ClientId, room: &str, data: &Value) {
    let place = Place { client, room: room_tag(room), epoch: Epoch(data["epoch"].as_u64().unwrap()) };
    let claims: Vec<SlotClaim> = data["slots"].as_array().unwrap().iter().map(claim).collect();
    participant.slots(place, &claims);
}

fn claim(slot: &Value) -> SlotClaim {
    let client: Option<ClientId> = serde_json::from_value(slot["clientId"].clone()).unwrap();
    let kind: Kind = serde_json::from_value(slot["kind"].clone()).unwrap();
    SlotClaim {
        ssrc: Ssrc(slot["ssrc"].as_u64().unwrap() as u32),
        from_seq: slot["from_seq"].as_u64().unwrap(),
        publisher: client.map(|client| (client, kind)),
    }
}

fn read(message: &Message) -> Value {
    message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}
