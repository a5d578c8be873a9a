//! A whole breakout meeting through the library, without a WebSocket: the engine runs in this
//! process, and whoever embeds it hands requests in and takes frames out.
//!
//! `cargo run --example breakout_meeting`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example talks and starts tasks")]

use std::error::Error;
use std::time::Duration;

use anteroom::base::{Epoch, Kind, Random, Ssrc, Time};
use anteroom::client::{
    ClientIdentity, Participant, ParticipantReport, ParticipantSettings, Place, SlotClaim, TimeAnchor,
    room_tag,
};
use anteroom::config::Config;
use anteroom::message::{Claims, Frame, Request, Role};
use anteroom::node::{Engine, Link};
use anteroom::telemetry::Clock;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

type Failure = Box<dyn Error + Send + Sync>;

/// Nothing on one machine takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
pub(crate) async fn main() -> Result<(), Failure> {
    let mut config = Config::default();
    // This meeting need not survive a crash.
    config.store.enabled = false;
    let engine = Engine::start(&config)?;
    let mut ada = Guest::join(&engine, "Ada", Role::Moderator).await?;
    let mut ben = Guest::join(&engine, "Ben", Role::Participant).await?;
    let mut cleo = Guest::join(&engine, "Cleo", Role::Participant).await?;
    println!("Ada, Ben and Cleo are in the parent room and talk.");
    sleep(Duration::from_millis(300)).await;

    let what = json!({"participants": 2, "max_rooms": 1, "audio": true, "video": false, "canvas": true,
        "share": true, "name": "Corner"});
    let created = ada.ask("createBreakOutRoom", what).await?;
    let room = created.pointer("/msg/rooms/0").and_then(Value::as_str).ok_or("no room")?.to_owned();
    ada.ask("inviteToBreakOutRoom", json!({"clients": [ben.client_id, cleo.client_id], "room_id": room}))
        .await?;
    for guest in [&mut ben, &mut cleo] {
        guest.event("didInvitationForBreakoutRoom").await?;
        let kinds = json!({"audio": true, "video": false, "share": true, "canvas": true});
        let how = json!({"room_id": room, "role": "participant", "streamInfo": kinds});
        guest.ask("joinBreakOutRoom", how).await?;
    }
    println!("Ben and Cleo are in a breakout room: they hear each other, and Ada hears nobody.");
    sleep(Duration::from_millis(300)).await;

    ben.ask("disconnect", json!({})).await?;
    println!("Ben came back by himself.");
    ada.ask("destroyAllBreakOutSession", json!({})).await?;
    cleo.event("didDisconnectedBreakoutRoom").await?;
    println!("Cleo was brought back; everybody hears everybody.");
    sleep(Duration::from_millis(300)).await;

    let mut wrong = 0;
    for guest in [ada, ben, cleo] {
        let name = guest.name;
        let found = guest.leave().await?;
        wrong += found.verdict.wrong_group + found.verdict.wrong_publisher;
        println!(
            "{name} received {} packets, {} of another room.",
            found.received, found.verdict.wrong_group
        );
        if found.received == 0 {
            return Err(format!("{name} heard nothing").into());
        }
    }
    engine.stop().await;
    if wrong > 0 {
        return Err(format!("{wrong} packets reached the wrong ear").into());
    }
    Ok(())
}

/// What the meeting sees of somebody.
struct Guest {
    name: &'static str,
    client_id: String,
    requests: mpsc::Sender<Request>,
    frames: mpsc::Receiver<Frame>,
    task: JoinHandle<ParticipantReport>,
    asked: u64,
}

impl Guest {
    async fn join(engine: &Engine, name: &'static str, role: Role) -> Result<Self, Failure> {
        let clock = engine.clock();
        let (at, instant) = clock.anchor();
        let claims = Claims {
            room: "library".to_owned(),
            name: name.to_owned(),
            role,
            expires_at: clock.now() + Duration::from_secs(3600),
            lapsed: false,
        };
        let mut link = engine.open_link(claims).await?;
        let random = Random::from_number(clock.now().as_micros());
        let anchor = TimeAnchor { at, instant };
        let mut participant =
            Participant::new(ParticipantSettings::default(), anchor, ClientIdentity::generate()?, random);
        let (sdp, tracks) = participant.offer();
        link.send(Request::new("join", "joinRoom", json!({"sdp": sdp, "tracks": tracks}))).await?;
        let joined = loop {
            match link.recv().await.ok_or("the engine is gone")? {
                Frame::Ack { data, .. } => break data,
                Frame::Event { .. } => {}
            }
        };
        let sdp = joined.get("sdp").and_then(Value::as_str).ok_or_else(|| joined.to_string())?;
        let candidates = participant.answer(clock.now(), sdp)?;
        let own =
            if candidates.first().is_some_and(|first| first.is_ipv6()) { "[::1]:0" } else { "127.0.0.1:0" };
        let client_id = joined.get("clientId").and_then(Value::as_str).unwrap_or_default().to_owned();
        participant.publish(clock.now(), Kind::Audio, true);
        let (requests, inbox) = mpsc::channel(16);
        let (outbox, frames) = mpsc::channel(1024);
        let socket = UdpSocket::bind(own).await?;
        let runner = Runner { clock, link, participant, socket, client_id: client_id.clone(), outbox };
        let task = tokio::spawn(runner.run(inbox));
        Ok(Self { name, client_id, requests, frames, task, asked: 0 })
    }

    /// Asks the engine and waits for the ack.
    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        self.asked += 1;
        let asked = self.asked.to_string();
        self.requests.send(Request::new(asked.clone(), method, params)).await?;
        loop {
            if let Frame::Ack { id, data, .. } = self.next().await?
                && id == asked
            {
                let done = data.get("result").and_then(Value::as_u64) == Some(0);
                return if done { Ok(data) } else { Err(format!("{method}: {data}").into()) };
            }
        }
    }

    /// Waits for an event.
    async fn event(&mut self, name: &str) -> Result<(), Failure> {
        loop {
            if matches!(self.next().await?, Frame::Event { event, .. } if event == name) {
                return Ok(());
            }
        }
    }

    async fn next(&mut self) -> Result<Frame, Failure> {
        let frame = timeout(PATIENCE, self.frames.recv()).await?;
        frame.ok_or_else(|| format!("{} is gone", self.name).into())
    }

    async fn leave(self) -> Result<ParticipantReport, Failure> {
        drop(self.requests);
        Ok(self.task.await?)
    }
}

/// Carries frames and packets between the engine and a synthetic participant.
struct Runner {
    clock: Clock,
    link: Link,
    participant: Participant,
    socket: UdpSocket,
    client_id: String,
    outbox: mpsc::Sender<Frame>,
}

impl Runner {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) -> ParticipantReport {
        let mut datagram = [0; 2048];
        loop {
            self.transmit();
            let due = self.participant.poll_timeout().unwrap_or(Time(u64::MAX));
            tokio::select! {
                biased;
                frame = self.link.recv() => match frame {
                    Some(frame) => self.take(frame),
                    None => break,
                },
                request = inbox.recv() => match request {
                    Some(request) => if self.link.send(request).await.is_err() { break },
                    None => break,
                },
                Ok((len, from)) = self.socket.recv_from(&mut datagram) => {
                    let now = self.clock.now();
                    self.participant.handle_datagram(now, from, datagram.get_mut(..len).unwrap_or_default());
                }
                () = sleep(self.clock.until(due)) => {}
            }
        }
        self.participant.finish()
    }

    fn transmit(&mut self) {
        let now = self.clock.now();
        self.participant.handle_timeout(now);
        let mut buffer = [0; 2048];
        while let Some((to, len)) = self.participant.poll_transmit(now, &mut buffer) {
            // A full socket loses a packet, as a network does.
            let _ = self.socket.try_send_to(buffer.get(..len).unwrap_or_default(), to);
        }
    }

    fn take(&mut self, frame: Frame) {
        if let Frame::Event { event: "slots", data, .. } = &frame {
            self.take_slots(data);
        }
        // The meeting waits for some frames only and may be behind with the others.
        let _ = self.outbox.try_send(frame);
    }

    /// Who is in which slot from now on, and in which room.
    fn take_slots(&mut self, data: &Value) {
        let room = data.get("room_id").and_then(Value::as_str).unwrap_or_default();
        let epoch = data.get("epoch").and_then(Value::as_u64).unwrap_or_default();
        let Ok(client) = self.client_id.parse() else { return };
        let slots = data.get("slots").and_then(Value::as_array).into_iter().flatten();
        let claims: Vec<SlotClaim> = slots.filter_map(claim).collect();
        self.participant.slots(Place { client, room: room_tag(room), epoch: Epoch(epoch) }, &claims);
    }
}

fn claim(slot: &Value) -> Option<SlotClaim> {
    let kind: Kind = serde_json::from_value(slot.get("kind")?.clone()).ok()?;
    let client = slot.get("clientId").and_then(Value::as_str).and_then(|id| id.parse().ok());
    Some(SlotClaim {
        ssrc: Ssrc(u32::try_from(slot.get("ssrc")?.as_u64()?).ok()?),
        from_seq: slot.get("from_seq")?.as_u64()?,
        publisher: client.map(|client| (client, kind)),
    })
}
