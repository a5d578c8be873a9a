//! One synthetic participant's signalling: a task with a WebSocket. Its media is the generator's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::dev_token::TokenError;
use super::generator::{MediaNews, MediaState, Order, Orders};
use super::signalling::{Incoming, Signalling, SignallingError};
use crate::base::{ClientId, Epoch, Kind, Random, Time};
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
    /// The server lets nobody in.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// HTTP failed.
    #[error("HTTP: {0}")]
    Http(String),
    /// The synthetic transport failed.
    #[error("transport: {0}")]
    Transport(String),
    /// The participant's task has ended.
    #[error("the participant is gone")]
    Gone,
    /// Something ended it before its time.
    #[error("{why}")]
    CutShort {
        /// What.
        why: Box<PersonError>,
        /// What it had found until then.
        found: Box<ParticipantReport>,
    },
}

impl PersonError {
    /// What the participant had found until this ended it.
    pub(super) fn into_found(self) -> Option<ParticipantReport> {
        match self {
            Self::CutShort { found, .. } => Some(*found),
            _ => None,
        }
    }

    /// The same, with what was found.
    pub(super) fn with(self, found: ParticipantReport) -> Self {
        Self::CutShort { why: Box::new(self), found: Box::new(found) }
    }
}

/// What others may know of a participant while it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PersonState {
    /// Its id, once it has joined.
    pub client_id: Option<ClientId>,
    /// The room whose slots it was told last.
    pub room_id: String,
    /// What is known of its media.
    pub media: MediaState,
    /// The rooms that invite it.
    pub invitations: Vec<String>,
    /// What it hears: publishers in its audio slots.
    pub hears: usize,
}

/// Who comes, and how.
pub(super) struct Newcomer<'a> {
    /// The server's HTTP door, `host:port`.
    pub http_address: &'a str,
    /// Its name, for people.
    pub name: &'a str,
    /// What lets it in.
    pub token: &'a str,
    /// Its number, from 0 in the order of joining.
    pub id: usize,
    /// What it is like.
    pub settings: ParticipantSettings,
    /// Its randomness.
    pub random: Random,
    /// When its join began; now, where nothing is said.
    pub began: Option<Time>,
    /// Its certificate.
    pub identity: ClientIdentity,
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
    received: Arc<AtomicU64>,
}

/// No step of a meeting on loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Person {
    /// Brings a participant in. Answers once it has its seat; media connects afterwards.
    ///
    /// # Errors
    /// Where the server does not answer, refuses the token or the offer.
    pub(super) async fn join(newcomer: Newcomer<'_>, media: &Orders) -> Result<Self, PersonError> {
        let (commands, inbox) = mpsc::channel(64);
        let (publish_state, state) = watch::channel(PersonState::default());
        let (name, received) = (newcomer.name.to_owned(), Arc::new(AtomicU64::new(0)));
        let (news, media_state) = watch::channel(MediaState::default());
        let news = MediaNews { state: news, received: Arc::clone(&received) };
        let runner = Runner::start(newcomer, media.clone(), (publish_state, news)).await?;
        let task = tokio::spawn(runner.run(inbox, media_state));
        Ok(Self { name, commands, state, task, received })
    }

    /// Packets that have reached it, as last counted.
    pub(super) fn received(&self) -> u64 {
        self.received.load(std::sync::atomic::Ordering::Relaxed)
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
    id: usize,
    clock: Clock,
    signalling: Signalling,
    media: Orders,
    replies: BTreeMap<String, (oneshot::Sender<Answered>, Time)>,
    state: PersonState,
    publish_state: watch::Sender<PersonState>,
}

impl Runner {
    async fn start(
        newcomer: Newcomer<'_>,
        media: Orders,
        (publish_state, news): (watch::Sender<PersonState>, MediaNews),
    ) -> Result<Self, PersonError> {
        let Newcomer { http_address, token, id, settings, random, began, identity, .. } = newcomer;
        let clock = media.clock();
        let began = began.unwrap_or_else(|| clock.now());
        let mut signalling = Signalling::open(http_address, token).await?;
        let mut participant = Participant::new(settings, anchor(clock), identity, random);
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
        participant.answer(clock.now(), sdp).map_err(|e| PersonError::Transport(e.to_string()))?;
        media.give(Order::Add { id, participant: Box::new(participant), began, news }).await;
        let state = PersonState { client_id: Some(client_id), ..PersonState::default() };
        let mut runner =
            Self { id, clock, signalling, media, replies: BTreeMap::new(), state, publish_state };
        let room = joined.get("room").and_then(|room| room.get("room_id")).and_then(Value::as_str);
        runner.on_slots(&joined, room.unwrap_or_default().to_owned()).await;
        Ok(runner)
    }

    async fn run(
        mut self,
        inbox: mpsc::Receiver<Command>,
        media: watch::Receiver<MediaState>,
    ) -> Result<ParticipantReport, PersonError> {
        let talked = self.converse(inbox, media).await;
        let left = if talked.is_ok() { self.leave().await } else { Ok(()) };
        let (report, reported) = oneshot::channel();
        self.media.give(Order::Remove { id: self.id, report }).await;
        let found = reported.await.map_err(|_| PersonError::Gone)?;
        match talked.and(left) {
            Ok(()) => Ok(found),
            Err(why) => Err(why.with(found)),
        }
    }

    async fn converse(
        &mut self,
        mut inbox: mpsc::Receiver<Command>,
        mut media: watch::Receiver<MediaState>,
    ) -> Result<(), PersonError> {
        loop {
            self.tell();
            if self.state.media.failed {
                return Err(PersonError::Transport("DTLS failed, or the server closed it".to_owned()));
            }
            tokio::select! {
                biased;
                frame = self.signalling.next() => self.on_frame(frame?).await,
                command = inbox.recv() => match command {
                    Some(Command::Finish) | None => return Ok(()),
                    Some(command) => self.on_command(command).await?,
                },
                Ok(()) = media.changed() => self.state.media = *media.borrow_and_update(),
            }
        }
    }

    /// Hears nothing more, reads what the server had said of what was heard, and leaves: a packet that
    /// overtook its `slots` event would else be judged by an older one.
    async fn leave(&mut self) -> Result<(), PersonError> {
        let (done, is_done) = oneshot::channel();
        self.media.give(Order::Deafen { id: self.id, done }).await;
        // The server closes the connection with what follows, and that is no failure.
        let _ = is_done.await;
        let id = self.signalling.request("leaveRoom", &json!({})).await?;
        let read = async {
            loop {
                let frame = self.signalling.next().await?;
                if matches!(&frame, Incoming::Ack { id: answered, .. } if *answered == id) {
                    return Ok::<_, PersonError>(());
                }
                self.on_frame(frame).await;
            }
        };
        let late = |_| PersonError::Late("the answer to `leaveRoom`".to_owned(), PATIENCE);
        tokio::time::timeout(PATIENCE, read).await.map_err(late)??;
        self.signalling.close().await;
        Ok(())
    }

    fn tell(&mut self) {
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
            Command::Publish { kind, on } => self.media.give(Order::Publish { id: self.id, kind, on }).await,
            Command::Level(level) => self.media.give(Order::Level { id: self.id, level }).await,
            Command::Finish => {}
        }
        Ok(())
    }

    async fn on_frame(&mut self, frame: Incoming) {
        match frame {
            Incoming::Ack { id, method, data } => {
                let moved = matches!(method.as_str(), "joinBreakOutRoom" | "disconnect");
                if moved && data.get("result").and_then(Value::as_u64) == Some(0) {
                    self.media.give(Order::Moved { id: self.id }).await;
                }
                if let Some((reply, sent)) = self.replies.remove(&id) {
                    let _ = reply.send(Answered { data, took: self.clock.now().since(sent) });
                }
            }
            Incoming::Event { event, data } => self.on_event(&event, &data).await,
        }
    }

    async fn on_event(&mut self, event: &str, data: &Value) {
        let room_id = || data.get("room_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        match event {
            "slots" => self.on_slots(data, room_id()).await,
            "didConnectedBreakoutRoom" | "didDisconnectedBreakoutRoom" => {
                self.media.give(Order::Moved { id: self.id }).await;
            }
            "didInvitationForBreakoutRoom" => self.state.invitations.push(room_id()),
            "didInvitationWithdrawn" => {
                let room = room_id();
                self.state.invitations.retain(|invited| *invited != room);
            }
            _ => {}
        }
    }

    async fn on_slots(&mut self, data: &Value, room_id: String) {
        let (Some(client), Some(epoch)) = (self.state.client_id, data.get("epoch").and_then(Value::as_u64))
        else {
            return;
        };
        let slots = data.get("slots").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let claims: Vec<SlotClaim> = slots.iter().filter_map(SlotClaim::read).collect();
        let place = Place { client, room: room_tag(&room_id), epoch: Epoch(epoch) };
        self.state.hears =
            claims.iter().filter(|slot| matches!(slot.publisher, Some((_, Kind::Audio)))).count();
        self.state.room_id = room_id;
        // The server takes the answer to its next ping to mean that this counts.
        let (taken, is_taken) = oneshot::channel();
        self.media.give(Order::Slots { id: self.id, place, claims, taken }).await;
        let _ = is_taken.await;
    }
}

fn anchor(clock: Clock) -> TimeAnchor {
    let (at, instant) = clock.anchor();
    TimeAnchor { at, instant }
}
