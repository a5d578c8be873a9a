//! One person with the crate `webrtc` for a browser: signalling, a peer connection, and a memory.

use std::collections::BTreeSet;

use anteroom::base::{ClientId, Kind};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use webrtc::peer_connection::RTCPeerConnectionState;

use crate::memory::Memory;
use crate::patience::{LONGEST, within};
use crate::peer::{Peer, PeerSettings, reroute};
use crate::relay::Relay;
use crate::sending::{now, show, speak};
use crate::server::Server;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How somebody joins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joining {
    pub(crate) peer: PeerSettings,
    /// The secret of the seat to come back to.
    pub(crate) resume: Option<String>,
    /// Whether a relay stands between client and server.
    pub(crate) behind_relay: bool,
}

pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) id: ClientId,
    /// The secret of the seat.
    pub(crate) resume: String,
    pub(crate) relay: Option<Relay>,
    memory: watch::Sender<Memory>,
    peer: Peer,
    socket: SplitSink<Socket, Message>,
    next_request: u32,
    reader: JoinHandle<()>,
    senders: Vec<JoinHandle<()>>,
}

impl Client {
    /// Joins and waits until media can flow.
    pub(crate) async fn join(server: &Server, token: &str, name: &str, joining: Joining) -> Self {
        let (memory, _) = watch::channel(Memory::default());
        let url = format!("ws://{}/v1/ws?token={token}", server.http());
        let (socket, _) = within("opening the WebSocket", connect_async(url)).await.unwrap();
        let (socket, stream) = socket.split();
        let reader = tokio::spawn(read_frames(stream, memory.clone()));
        let peer = Peer::new(joining.peer.clone(), &memory).await;
        let mut client = Self {
            name: name.to_owned(),
            id: ClientId(0),
            resume: String::new(),
            relay: None,
            memory,
            peer,
            socket,
            next_request: 0,
            reader,
            senders: Vec::new(),
        };
        client.take_seat(joining).await;
        client.until("is connected", |memory| memory.state == RTCPeerConnectionState::Connected).await;
        client
    }

    async fn take_seat(&mut self, joining: Joining) {
        let (sdp, tracks) = self.peer.offer().await;
        let mut params = json!({"sdp": sdp, "tracks": tracks});
        if let Some(resume) = joining.resume {
            params["resume"] = json!(resume);
        }
        let joined = self.ask("joinRoom", params).await;
        self.id = serde_json::from_value(joined["clientId"].clone()).unwrap();
        self.resume = joined["resume"].as_str().unwrap().to_owned();
        self.memory.send_modify(|memory| memory.client = Some(self.id));
        let answer = joined["sdp"].as_str().unwrap();
        if joining.behind_relay {
            let server = anteroom::transport::sdp::ServerAnswer::parse(answer).unwrap().candidates[0];
            let relay = Relay::to(server).await;
            self.peer.take(&reroute(answer, relay.address)).await;
            self.relay = Some(relay);
        } else {
            self.peer.take(answer).await;
        }
    }

    /// Sends a request and gives its ack, whatever it says.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        self.next_request += 1;
        let id = self.next_request.to_string();
        let frame = json!({"id": id, "method": method, "params": params});
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
        self.until(&format!("is answered to {method}"), |memory| memory.acks.contains_key(&id)).await;
        self.memory.borrow().acks[&id].clone()
    }

    /// Sends a request that has to succeed and gives what it was answered.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let ack = self.request(method, params).await;
        assert_eq!(ack["data"]["result"], 0, "{}: {method}: {ack}", self.name);
        ack["data"].clone()
    }

    /// Renews ICE on the running connection.
    pub(crate) async fn restart_ice(&mut self) {
        self.peer.restart_ice().await;
        let (sdp, _) = self.peer.offer().await;
        let answer = self.ask("restartIce", json!({"sdp": sdp})).await;
        self.peer.take(answer["sdp"].as_str().unwrap()).await;
    }

    /// Switches the microphone on, by the own switch and in fact.
    pub(crate) async fn speak(&mut self) {
        self.ask("setMicrophone", json!({"on": true})).await;
        let (track, labels) = self.peer.sending(Kind::Audio).await;
        self.senders.push(tokio::spawn(speak(track, labels, self.memory.clone())));
    }

    /// Shares a screen.
    pub(crate) async fn share(&mut self) {
        self.ask("startScreenShare", json!({})).await;
        let (track, labels) = self.peer.sending(Kind::Share).await;
        self.senders.push(tokio::spawn(show(track, labels, self.memory.clone())));
    }

    /// What the own microphone or screen is labelled with.
    pub(crate) async fn ssrc(&self, kind: Kind) -> u32 {
        self.peer.sending(kind).await.1.ssrc
    }

    /// What protects the media.
    pub(crate) async fn srtp_cipher(&self) -> String {
        self.peer.srtp_cipher().await
    }

    /// Waits until the memory is as asked.
    pub(crate) async fn until(&self, what: &str, mut is: impl FnMut(&Memory) -> bool) {
        let mut memory = self.memory.subscribe();
        if tokio::time::timeout(LONGEST, memory.wait_for(|memory| is(memory))).await.is_err() {
            let memory = self.memory.borrow();
            panic!("{} {what}: not within {LONGEST:?}\n{}", self.name, describe(&memory));
        }
    }

    /// Waits for `count` more packets of `kind` that `publisher` sends as a member of `room`.
    pub(crate) async fn hears(&self, publisher: ClientId, kind: Kind, room: &str, count: u64) {
        let before = self.with(|memory| memory.heard(publisher, kind, room));
        let what = format!("hears {count} more packets of {publisher}'s {kind} in {room}");
        self.until(&what, |memory| memory.heard(publisher, kind, room) >= before + count).await;
    }

    /// Waits until the slots carry the voices of exactly these people, and it is in `room`.
    pub(crate) async fn has_voices(&self, room: &str, of: &[ClientId]) {
        let wanted: BTreeSet<(ClientId, Kind)> = of.iter().map(|id| (*id, Kind::Audio)).collect();
        let what = format!("has the voices of {of:?} in {room}");
        self.until(&what, |memory| memory.room == room && voices(memory) == wanted).await;
    }

    /// Looks at the memory.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.memory.borrow())
    }

    /// Loses the next packets of a stream that arrive.
    pub(crate) fn lose(&self, ssrc: u32, packets: u32) {
        self.memory.send_modify(|memory| _ = memory.wire.to_lose.insert(ssrc, packets));
    }

    /// Is gone from one moment to the next, without a word.
    pub(crate) async fn vanish(mut self) -> Memory {
        self.reader.abort();
        for sender in self.senders.drain(..) {
            sender.abort();
        }
        self.peer.close().await;
        self.memory.borrow().clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
        self.senders.iter().for_each(JoinHandle::abort);
    }
}

fn voices(memory: &Memory) -> BTreeSet<(ClientId, Kind)> {
    memory.bound().into_iter().filter(|(_, kind)| *kind == Kind::Audio).collect()
}

fn describe(memory: &Memory) -> String {
    let mut text = format!(
        "room {}, connection {:?}, {} packets, slots {:?}, wire {:?}\n",
        memory.room,
        memory.state,
        memory.packets.len(),
        memory.bound(),
        memory.wire
    );
    for (event, data) in &memory.events {
        text += &format!("  {event} {data}\n");
    }
    text
}

async fn read_frames(mut stream: futures_util::stream::SplitStream<Socket>, memory: watch::Sender<Memory>) {
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        memory.send_modify(|memory| match frame["event"].as_str() {
            Some(event) => memory.note_event(event, frame["data"].clone(), now()),
            None => memory.note_ack(frame, now()),
        });
    }
    memory.send_modify(|memory| memory.is_over = true);
}
