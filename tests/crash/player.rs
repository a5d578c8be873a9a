//! Somebody in a meeting who comes back to the seat when the server is gone: signalling by WebSocket,
//! media by a synthetic participant, whose judge is told what the server says.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anteroom::base::{ClientId, Epoch, Kind, Random, Ssrc};
use anteroom::client::{
    ClientIdentity, Participant, ParticipantReport, ParticipantSettings, Place, SlotClaim, TimeAnchor,
    room_tag,
};
use anteroom::telemetry::Clock;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::server::token;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where nothing comes for so long, nobody talks: four packets of one who does would.
const SILENCE: Duration = Duration::from_millis(200);

/// Who was heard first after each connect, and when.
#[derive(Default)]
struct Ears {
    publishers: BTreeSet<ClientId>,
    first: Option<Instant>,
    packets: Packets,
}

/// By slot and sequence number: the room that a packet names, and when it came.
pub(crate) type Packets = BTreeMap<(Ssrc, u64), (u64, Instant)>;

struct Media {
    participant: Arc<Mutex<Option<Participant>>>,
    ears: Arc<Mutex<Ears>>,
    wake: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Media {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server is gone.
#[derive(Debug)]
pub(crate) struct Gone;

pub(crate) struct Player {
    pub(crate) name: String,
    pub(crate) session: String,
    role: &'static str,
    number: u64,
    clock: Clock,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    media: Option<Media>,
    requests: u64,
    pub(crate) id: String,
    pub(crate) resume: String,
    /// The room that the newest `slots` named.
    pub(crate) room_id: String,
    /// The highest number that the server has told.
    pub(crate) newest: u64,
    /// The highest epoch that the server has told.
    pub(crate) epoch: u64,
}

impl Player {
    pub(crate) fn new(number: u64, session: &str, role: &'static str) -> Self {
        Self {
            name: format!("P{number}"),
            session: session.to_owned(),
            role,
            number,
            clock: Clock::start(),
            socket: None,
            media: None,
            requests: 0,
            id: String::new(),
            resume: String::new(),
            room_id: String::new(),
            newest: 0,
            epoch: 0,
        }
    }

    /// Takes a seat, or comes back to the own one; answers the ack.
    pub(crate) async fn enter(&mut self, http: SocketAddr) -> Value {
        self.try_enter(http).await.unwrap_or_else(|Gone| panic!("{}: the server is gone", self.name))
    }

    pub(crate) async fn try_enter(&mut self, http: SocketAddr) -> Result<Value, Gone> {
        self.media = None;
        let token = token(&self.session, &self.name, self.role);
        let (socket, _) =
            connect_async(format!("ws://{http}/v1/ws?token={token}")).await.map_err(|_| Gone)?;
        self.socket = Some(socket);
        let (at, instant) = self.clock.anchor();
        let random = Random::from_number(self.clock.now().as_micros() ^ self.number << 40);
        let identity = ClientIdentity::generate().unwrap();
        let settings = ParticipantSettings { sends: vec![Kind::Audio], ..ParticipantSettings::default() };
        let mut participant = Participant::new(settings, TimeAnchor { at, instant }, identity, random);
        let (sdp, tracks) = participant.offer();
        let mut params = json!({"sdp": sdp, "tracks": tracks});
        if !self.resume.is_empty() {
            params["resume"] = json!(self.resume);
        }
        let joined = self.ask("joinRoom", params).await?;
        assert_eq!(joined["result"], 0, "{} of {}: {joined}", self.name, self.session);
        let text = |field: &str| joined[field].as_str().unwrap().to_owned();
        if !self.id.is_empty() {
            assert_eq!(self.id, text("clientId"), "the same seat");
            assert!(joined["epoch"].as_u64().unwrap() > self.epoch, "placements only grow: {joined}");
            assert!(joined["seq"].as_u64().unwrap() >= self.newest, "numbers only grow: {joined}");
        }
        (self.id, self.resume) = (text("clientId"), text("resume"));
        participant.answer(self.clock.now(), &text("sdp")).unwrap();
        participant.set_rate(0.4);
        participant.publish(self.clock.now(), Kind::Audio, true);
        self.media = Some(Media::start(participant, self.clock).await);
        let room = joined["room"]["room_id"].as_str().unwrap().to_owned();
        self.take_slots(&joined, room);
        Ok(joined)
    }

    /// Sends a request and answers its ack's data.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Gone> {
        self.requests += 1;
        let id = format!("{}-{}", self.number, self.requests);
        let text = json!({"id": id, "method": method, "params": params}).to_string();
        self.socket.as_mut().ok_or(Gone)?.send(Message::text(text)).await.map_err(|_| Gone)?;
        loop {
            let mut frame = self.next_frame().await?;
            if frame["id"] == id.as_str() {
                self.newest = self.newest.max(frame["seq"].as_u64().unwrap_or(0));
                return Ok(frame["data"].take());
            }
        }
    }

    /// Reads what the server says until it is gone.
    pub(crate) async fn listen(&mut self) {
        while self.next_frame().await.is_ok() {}
    }

    async fn next_frame(&mut self) -> Result<Value, Gone> {
        let socket = self.socket.as_mut().ok_or(Gone)?;
        let text = loop {
            match timeout(PATIENCE, socket.next()).await.expect("a message in time") {
                Some(Ok(Message::Text(text))) => break text,
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    self.socket = None;
                    return Err(Gone);
                }
                Some(Ok(_)) => {}
            }
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["event"].is_string() {
            self.newest = self.newest.max(frame["seq"].as_u64().unwrap());
        }
        if frame["event"] == "slots" {
            let room = frame["data"]["room_id"].as_str().unwrap().to_owned();
            self.take_slots(&frame["data"], room);
        }
        Ok(frame)
    }

    fn take_slots(&mut self, data: &Value, room: String) {
        let claims: Vec<SlotClaim> =
            data["slots"].as_array().unwrap().iter().filter_map(SlotClaim::read).collect();
        self.epoch = self.epoch.max(data["epoch"].as_u64().unwrap());
        let place = Place {
            client: self.client(),
            room: room_tag(&room),
            epoch: Epoch(data["epoch"].as_u64().unwrap()),
        };
        self.room_id = room;
        let Some(media) = &self.media else { return };
        if let Some(participant) = media.participant.lock().unwrap().as_mut() {
            participant.slots(place, &claims);
        }
        media.wake.notify_one();
    }

    pub(crate) fn client(&self) -> ClientId {
        self.id.parse().unwrap()
    }

    pub(crate) fn is_up(&self) -> bool {
        let is_up =
            |media: &Media| media.participant.lock().unwrap().as_ref().is_some_and(Participant::is_up);
        self.media.as_ref().is_some_and(is_up)
    }

    /// When the first packet came over the connection that is there now.
    pub(crate) fn first_heard(&self) -> Option<Instant> {
        self.media.as_ref()?.ears.lock().unwrap().first
    }

    /// Of whom something came over it.
    pub(crate) fn heard(&self) -> BTreeSet<ClientId> {
        self.media.as_ref().map(|media| media.ears.lock().unwrap().publishers.clone()).unwrap_or_default()
    }

    /// Waits for something of the own media, and reads what the server says meanwhile.
    pub(crate) async fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is(self) {
            assert!(began.elapsed() < PATIENCE, "{} of {}: {what}", self.name, self.session);
            // Silence is fine here: it is the media that is waited for.
            let _ = timeout(Duration::from_millis(5), self.next_frame()).await;
        }
    }

    /// Ends the media; answers what it found.
    pub(crate) fn silence(&mut self) -> ParticipantReport {
        self.silence_with_packets().0
    }

    /// The same, with the packets that came.
    pub(crate) fn silence_with_packets(&mut self) -> (ParticipantReport, Packets) {
        let media = self.media.take().unwrap();
        let participant = media.participant.lock().unwrap().take().unwrap();
        let packets = std::mem::take(&mut media.ears.lock().unwrap().packets);
        (participant.finish(), packets)
    }

    /// Packets that came over it.
    fn received(&self) -> u64 {
        let received = |media: &Media| media.participant.lock().unwrap().as_ref().map(Participant::received);
        self.media.as_ref().and_then(received).unwrap_or(0)
    }

    /// Stops to talk, and hears out what the others say and what was told until they have stopped as well, so
    /// that each packet is judged by what the server said of it.
    pub(crate) async fn fall_silent(&mut self) {
        if let Some(media) = &self.media
            && let Some(participant) = media.participant.lock().unwrap().as_mut()
        {
            participant.publish(self.clock.now(), Kind::Audio, false);
        }
        let last = Cell::new((self.received(), Instant::now()));
        let is_silent = |person: &Self| {
            let (before, since) = last.get();
            if person.received() != before {
                last.set((person.received(), Instant::now()));
            }
            person.received() == before && since.elapsed() >= SILENCE
        };
        self.until("silence", is_silent).await;
        self.ask("listBreakoutRooms", json!({})).await.unwrap();
    }
}

impl Media {
    async fn start(participant: Participant, clock: Clock) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let participant = Arc::new(Mutex::new(Some(participant)));
        let (ears, wake) = (Arc::new(Mutex::new(Ears::default())), Arc::new(Notify::new()));
        let run = run(Arc::clone(&participant), Arc::clone(&ears), Arc::clone(&wake), socket, clock);
        Self { participant, ears, wake, task: tokio::spawn(run).abort_handle() }
    }
}

async fn run(
    shared: Arc<Mutex<Option<Participant>>>,
    ears: Arc<Mutex<Ears>>,
    wake: Arc<Notify>,
    socket: UdpSocket,
    clock: Clock,
) {
    let (mut inbound, mut outbound) = ([0; 2048], [0; 2048]);
    loop {
        let due = {
            let mut guard = shared.lock().unwrap();
            let Some(participant) = guard.as_mut() else { return };
            participant.handle_timeout(clock.now());
            while let Some((to, len)) = participant.poll_transmit(clock.now(), &mut outbound) {
                // The other end may be gone, and the system's buffer full: the network's business.
                let _ = socket.try_send_to(&outbound[..len], to);
            }
            participant.poll_timeout().unwrap_or_else(|| clock.now() + Duration::from_secs(1))
        };
        tokio::select! {
            received = socket.recv_from(&mut inbound) => if let Ok((len, from)) = received {
                let mut guard = shared.lock().unwrap();
                let Some(participant) = guard.as_mut() else { return };
                if let Some(heard) = participant.handle_datagram(clock.now(), from, &mut inbound[..len]) {
                    let mut ears = ears.lock().unwrap();
                    ears.publishers.insert(heard.mark.publisher);
                    let now = Instant::now();
                    ears.first.get_or_insert(now);
                    // The header of a packet is in clear.
                    let ssrc = u32::from_be_bytes(inbound[8..12].try_into().unwrap());
                    ears.packets.insert((Ssrc(ssrc), heard.sequence), (heard.mark.room, now));
                }
            },
            () = wake.notified() => {}
            () = tokio::time::sleep(clock.until(due)) => {}
        }
    }
}
