//! One synthetic participant at the edge: a task with a WebSocket, a UDP socket and the pure
//! participant between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::signalling::{Incoming, Signalling, SignallingError};
use crate::base::{ClientId, Epoch, Kind, Random, Ssrc, Time};
use crate::client::{
    ClientIdentity, Participant, ParticipantReport, ParticipantSettings, Place, SlotClaim, TimeAnchor,
    room_tag,
};
use crate::telemetry::Clock;

/// Why a participant could not take part.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// Signalling failed.
    #[error("{0}")]
    Signalling(#[from] SignallingError),
    /// A socket failed.
    #[error("UDP socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The server refused a request or answered something else than the protocol says.
    #[error("{method}: {answer}")]
    Refused {
        /// What was asked.
        method: String,
        /// What came.
        answer: String,
    },
    /// Nothing came in time.
    #[error("{0} did not happen within {1:?}")]
    Late(String, Duration),
    /// The synthetic transport failed.
    #[error("transport: {0}")]
    Transport(String),
    /// The participant's task has ended.
    #[error("the participant is gone")]
    Gone,
}

/// What others may know of a participant while it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PersonState {
    /// Its id, once it has joined.
    pub client_id: Option<ClientId>,
    /// The room whose slots it was told last.
    pub room_id: String,
    /// Whether its media connection is up.
    pub up: bool,
    /// How long joining took, from the WebSocket's start to media that can flow.
    pub joined_in: Option<Duration>,
    /// The rooms that invite it.
    pub invitations: Vec<String>,
    /// Packets that reached it.
    pub received: u64,
    /// What it hears: publishers in its audio slots.
    pub hears: usize,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// The ack's data.
    pub data: Value,
    /// From the request to the ack.
    pub took: Duration,
}

enum Command {
    Request { method: String, params: Value, reply: oneshot::Sender<Answered> },
    Publish { kind: Kind, on: bool },
    Level(u8),
    Finish,
}

/// The handle of a participant.
pub(super) struct Person {
    /// Its name.
    pub name: String,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<PersonState>,
    task: JoinHandle<Result<ParticipantReport, PersonError>>,
}

/// No step of a meeting on loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Person {
    /// Brings a participant in. Answers once it has its seat; media connects afterwards.
    ///
    /// # Errors
    /// Where the server does not answer, refuses the token or the offer.
    pub(super) async fn join(
        http_address: &str,
        name: &str,
        token: &str,
        clock: Clock,
        random: Random,
    ) -> Result<Self, PersonError> {
        let (commands, inbox) = mpsc::channel(64);
        let (publish_state, state) = watch::channel(PersonState::default());
        let runner = Runner::start(http_address, token, clock, random, publish_state).await?;
        let task = tokio::spawn(runner.run(inbox));
        Ok(Self { name: name.to_owned(), commands, state, task })
    }

    /// What is known of it now.
    #[must_use]
    pub(super) fn state(&self) -> PersonState {
        self.state.borrow().clone()
    }

    /// Its id.
    ///
    /// # Errors
    /// Where it has none: it has not joined.
    pub(super) fn client_id(&self) -> Result<ClientId, PersonError> {
        self.state.borrow().client_id.ok_or(PersonError::Gone)
    }

    /// Asks the server and waits for the ack.
    ///
    /// # Errors
    /// Where no ack comes, or its `result` is not 0.
    pub(super) async fn request(&self, method: &str, params: Value) -> Result<Answered, PersonError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Request { method: method.to_owned(), params, reply };
        self.commands.send(command).await.map_err(|_| PersonError::Gone)?;
        let late = |_| PersonError::Late(method.to_owned(), PATIENCE);
        let answered = tokio::time::timeout(PATIENCE, answer).await.map_err(late)?;
        let answered = answered.map_err(|_| PersonError::Gone)?;
        if answered.data.get("result").and_then(Value::as_u64) == Some(0) {
            return Ok(answered);
        }
        Err(PersonError::Refused { method: method.to_owned(), answer: answered.data.to_string() })
    }

    /// Starts or stops sending packets of a kind. The server hears nothing of it.
    pub(super) async fn publish(&self, kind: Kind, on: bool) {
        let _ = self.commands.send(Command::Publish { kind, on }).await;
    }

    /// Speaks as loud as this, in -dBov.
    pub(super) async fn level(&self, level: u8) {
        let _ = self.commands.send(Command::Level(level)).await;
    }

    /// Waits until the participant's state is as asked.
    ///
    /// # Errors
    /// Where that takes longer than 10 s.
    pub(super) async fn wait(
        &self,
        what: &str,
        is: impl FnMut(&PersonState) -> bool,
    ) -> Result<(), PersonError> {
        let mut state = self.state.clone();
        let late = |_| PersonError::Late(format!("{}: {what}", self.name), PATIENCE);
        let waited = tokio::time::timeout(PATIENCE, state.wait_for(is)).await.map_err(late)?;
        waited.map(|_| ()).map_err(|_| PersonError::Gone)
    }

    /// Ends the participant and answers what it found.
    ///
    /// # Errors
    /// Where it had failed before.
    pub(super) async fn finish(self) -> Result<ParticipantReport, PersonError> {
        let _ = self.commands.send(Command::Finish).await;
        self.task.await.map_err(|_| PersonError::Gone)?
    }
}

struct Runner {
    clock: Clock,
    signalling: Signalling,
    socket: UdpSocket,
    participant: Participant,
    replies: BTreeMap<String, (oneshot::Sender<Answered>, Time)>,
    state: PersonState,
    publish_state: watch::Sender<PersonState>,
    started: Time,
}

impl Runner {
    async fn start(
        http_address: &str,
        token: &str,
        clock: Clock,
        random: Random,
        publish_state: watch::Sender<PersonState>,
    ) -> Result<Self, PersonError> {
        let started = clock.now();
        let mut signalling = Signalling::open(http_address, token).await?;
        let identity = ClientIdentity::generate().map_err(|e| PersonError::Transport(e.to_string()))?;
        let mut participant =
            Participant::new(ParticipantSettings::default(), anchor(clock), identity, random);
        let (sdp, tracks) = participant.offer();
        signalling.request("joinRoom", &json!({"sdp": sdp, "tracks": tracks})).await?;
        let joined = loop {
            if let Incoming::Ack { data, .. } = signalling.next().await? {
                break data;
            }
        };
        let refused = || PersonError::Refused { method: "joinRoom".to_owned(), answer: joined.to_string() };
        let client_id = joined.get("clientId").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let (Some(client_id), Some(sdp)) = (client_id, joined.get("sdp").and_then(Value::as_str)) else {
            return Err(refused());
        };
        let candidates =
            participant.answer(clock.now(), sdp).map_err(|e| PersonError::Transport(e.to_string()))?;
        let socket = connect_socket(&candidates).await?;
        let state = PersonState { client_id: Some(client_id), ..PersonState::default() };
        Ok(Self {
            clock,
            signalling,
            socket,
            participant,
            replies: BTreeMap::new(),
            state,
            publish_state,
            started,
        })
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) -> Result<ParticipantReport, PersonError> {
        let mut datagram = vec![0; 2048];
        loop {
            self.send_all();
            self.tell();
            if self.participant.has_failed() {
                return Err(PersonError::Transport("DTLS failed, or the server closed it".to_owned()));
            }
            let due = self.participant.poll_timeout().unwrap_or_else(|| self.clock.now() + PATIENCE);
            // What the server says comes before what is sent next, so that a mark names the room
            // that the participant was told to be in.
            tokio::select! {
                biased;
                frame = self.signalling.next() => self.on_frame(frame?),
                command = inbox.recv() => match command {
                    Some(Command::Finish) | None => break,
                    Some(command) => self.on_command(command).await?,
                },
                received = self.socket.recv_from(&mut datagram) => {
                    // An ICMP refusal shows up here too and says nothing about the next packet.
                    if let Ok((len, from)) = received {
                        let now = self.clock.now();
                        self.participant.handle_datagram(now, from, datagram.get_mut(..len).unwrap_or_default());
                    }
                }
                () = tokio::time::sleep(self.clock.until(due)) => {}
            }
        }
        let _ = self.signalling.request("leaveRoom", &json!({})).await;
        self.signalling.close().await;
        Ok(self.participant.finish())
    }

    fn send_all(&mut self) {
        let now = self.clock.now();
        self.participant.handle_timeout(now);
        let mut buffer = [0; 2048];
        while let Some((to, len)) = self.participant.poll_transmit(now, &mut buffer) {
            let _ = self.socket.try_send_to(buffer.get(..len).unwrap_or_default(), to);
        }
    }

    fn tell(&mut self) {
        if self.participant.is_up() && !self.state.up {
            self.state.up = true;
            self.state.joined_in = Some(self.clock.now().since(self.started));
        }
        self.state.received = self.participant.received();
        if *self.publish_state.borrow() != self.state {
            self.publish_state.send_replace(self.state.clone());
        }
    }

    async fn on_command(&mut self, command: Command) -> Result<(), PersonError> {
        match command {
            Command::Request { method, params, reply } => {
                let sent = self.clock.now();
                let id = self.signalling.request(&method, &params).await?;
                self.replies.insert(id, (reply, sent));
            }
            Command::Publish { kind, on } => self.participant.publish(self.clock.now(), kind, on),
            Command::Level(level) => self.participant.set_level(level),
            Command::Finish => {}
        }
        Ok(())
    }

    fn on_frame(&mut self, frame: Incoming) {
        match frame {
            Incoming::Ack { id, method, data } => {
                let moved = matches!(method.as_str(), "joinBreakOutRoom" | "disconnect");
                if moved && data.get("result").and_then(Value::as_u64) == Some(0) {
                    self.participant.moved(self.clock.now());
                }
                if let Some((reply, sent)) = self.replies.remove(&id) {
                    let _ = reply.send(Answered { data, took: self.clock.now().since(sent) });
                }
            }
            Incoming::Event { event, data } => self.on_event(&event, &data),
        }
    }

    fn on_event(&mut self, event: &str, data: &Value) {
        let room_id = || data.get("room_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        match event {
            "slots" => self.on_slots(data, room_id()),
            "didConnectedBreakoutRoom" | "didDisconnectedBreakoutRoom" => {
                self.participant.moved(self.clock.now());
            }
            "didInvitationForBreakoutRoom" => self.state.invitations.push(room_id()),
            "didInvitationWithdrawn" => {
                let room = room_id();
                self.state.invitations.retain(|invited| *invited != room);
            }
            _ => {}
        }
    }

    fn on_slots(&mut self, data: &Value, room_id: String) {
        let (Some(client), Some(epoch)) = (self.state.client_id, data.get("epoch").and_then(Value::as_u64))
        else {
            return;
        };
        let slots = data.get("slots").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let claims: Vec<SlotClaim> = slots.iter().filter_map(read_claim).collect();
        let place = Place { client, room: room_tag(&room_id), epoch: Epoch(epoch) };
        self.participant.slots(place, &claims);
        self.state.hears =
            claims.iter().filter(|slot| matches!(slot.publisher, Some((_, Kind::Audio)))).count();
        self.state.room_id = room_id;
    }
}

fn read_claim(slot: &Value) -> Option<SlotClaim> {
    let kind = slot.get("kind")?.as_str()?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    let client = slot.get("clientId").and_then(Value::as_str).and_then(|id| id.parse().ok());
    Some(SlotClaim {
        ssrc: Ssrc(u32::try_from(slot.get("ssrc")?.as_u64()?).ok()?),
        from_seq: slot.get("from_seq")?.as_u64()?,
        publisher: client.map(|client| (client, kind)),
    })
}

fn anchor(clock: Clock) -> TimeAnchor {
    let (at, instant) = clock.anchor();
    TimeAnchor { at, instant }
}

/// A socket of the family of the first candidate.
async fn connect_socket(candidates: &[SocketAddr]) -> Result<UdpSocket, PersonError> {
    let first =
        candidates.first().ok_or_else(|| PersonError::Transport("the answer names no address".into()))?;
    let any: SocketAddr = if first.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    Ok(UdpSocket::bind(any).await?)
}
