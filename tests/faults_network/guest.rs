//! Somebody in a meeting over a network that a test makes bad: a WebSocket, and a synthetic participant on
//! a UDP socket behind a relay.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anteroom::base::{ClientId, Epoch, Kind, Random, Time};
use anteroom::client::{
    ClientIdentity, Participant, ParticipantReport, ParticipantSettings, Place, SlotClaim, TimeAnchor,
    room_tag,
};
use anteroom::telemetry::Clock;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::http::{PATIENCE, development_token};
use crate::seen::Seen;
use crate::weather::{Way, Weather};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

enum Order {
    Publish(Kind, bool),
    /// From the server to it.
    Down(Weather),
    /// Both ways.
    Both(Weather),
    Outage(Duration),
    Rebind(Ipv4Addr),
    Ask(&'static str, Value, oneshot::Sender<Value>),
    /// Asks for ever and reads nothing.
    Flood,
    /// Takes so long to take in the next word about its slots.
    Dawdle(Duration),
    /// Says when the weather holds nothing up any more.
    Settle(oneshot::Sender<()>),
    /// Neither says nor takes anything any more, and its connections stay as they are.
    Vanish,
    Finish,
}

/// The handle.
pub(crate) struct Guest {
    pub(crate) id: ClientId,
    /// What it may come back with.
    pub(crate) resume: String,
    orders: mpsc::UnboundedSender<Order>,
    pub(crate) seen: watch::Receiver<Seen>,
    task: JoinHandle<ParticipantReport>,
}

impl Guest {
    /// Joins and waits until media can flow.
    pub(crate) async fn join(
        address: SocketAddr,
        clock: Clock,
        name: &str,
        settings: ParticipantSettings,
    ) -> Self {
        Self::join_by(address, clock, name, settings, None).await
    }

    /// Joins, or comes back with what it was given for that.
    pub(crate) async fn join_by(
        address: SocketAddr,
        clock: Clock,
        name: &str,
        settings: ParticipantSettings,
        resume: Option<&str>,
    ) -> Self {
        let mut socket = connect(address, name).await;
        let participant = new_participant(clock, settings);
        let joined = join(&mut socket, &participant, resume).await;
        assert_eq!(joined["result"], 0, "{joined}");
        let (orders, inbox) = mpsc::unbounded_channel();
        let (tell, seen) = watch::channel(Seen::default());
        let runner = Runner::new(socket, clock, (participant, name, &joined), tell).await;
        let (id, resume) = (runner.id, joined["resume"].as_str().unwrap().to_owned());
        let guest = Self { id, resume, orders, seen, task: tokio::spawn(runner.run(inbox)) };
        guest.until("a connection", |seen| seen.up).await;
        guest
    }

    /// Waits until what is known is as asked.
    pub(crate) async fn until(&self, what: &str, is: impl FnMut(&Seen) -> bool) {
        self.until_within(PATIENCE, what, is).await;
    }

    /// The same for what takes longer.
    pub(crate) async fn until_within(&self, patience: Duration, what: &str, is: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(patience, seen.wait_for(is)).await;
        waited.unwrap_or_else(|_| panic!("{what} in time")).expect(what);
    }

    /// Waits for so many packets more.
    pub(crate) async fn hears(&self, publisher: ClientId, kind: Kind, more: u64) {
        let goal = self.seen.borrow().count(publisher, kind) + more;
        self.until("more packets", |seen| seen.count(publisher, kind) >= goal).await;
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap_or_else(|_| panic!("somebody is gone"));
    }

    pub(crate) fn publish(&self, kind: Kind, on: bool) {
        self.order(Order::Publish(kind, on));
    }

    pub(crate) fn down(&self, weather: Weather) {
        self.order(Order::Down(weather));
    }

    pub(crate) fn both(&self, weather: Weather) {
        self.order(Order::Both(weather));
    }

    pub(crate) fn outage(&self, length: Duration) {
        self.order(Order::Outage(length));
    }

    /// Takes so long to take in the next word about its slots, and reads nothing behind it meanwhile.
    pub(crate) fn dawdle(&self, length: Duration) {
        self.order(Order::Dawdle(length));
    }

    /// Goes on asking until the server lets go, and reads nothing any more.
    pub(crate) fn flood(&self) {
        self.order(Order::Flood);
    }

    /// Is gone, as if all of its network were.
    pub(crate) fn vanish(&self) {
        self.order(Order::Vanish);
    }

    /// Returns once nothing is on its way that the weather holds up.
    pub(crate) async fn settles(&self) {
        let (reply, settled) = oneshot::channel();
        self.order(Order::Settle(reply));
        tokio::time::timeout(PATIENCE, settled).await.expect("it settles").expect("it settles");
    }

    /// Whether the server keeps its connection.
    pub(crate) fn is_there(&self) -> bool {
        !self.task.is_finished()
    }

    /// Comes to be at another port of this address.
    pub(crate) fn rebind(&self, address: Ipv4Addr) {
        self.order(Order::Rebind(address));
    }

    /// Asks for something, which has to succeed.
    pub(crate) async fn ask(&self, method: &'static str, params: Value) -> Value {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Ask(method, params, reply));
        let data = tokio::time::timeout(PATIENCE, answer).await.expect(method).expect(method);
        assert_eq!(data["result"], 0, "{method}: {data}");
        data
    }

    /// Leaves and answers what it found, with what was known at the end.
    pub(crate) async fn leave(self) -> (ParticipantReport, watch::Receiver<Seen>) {
        self.order(Order::Finish);
        (self.task.await.unwrap(), self.seen)
    }
}

struct Runner {
    id: ClientId,
    clock: Clock,
    socket: Socket,
    participant: Participant,
    udp: UdpSocket,
    /// The socket that was left last, and the newest sequence number that came to its successor.
    old: Option<UdpSocket>,
    newest: BTreeMap<u32, u16>,
    up: Way,
    down: Way,
    tell: watch::Sender<Seen>,
    replies: BTreeMap<String, oneshot::Sender<Value>>,
    asked: u64,
    dawdles: Option<Duration>,
    /// What is taken in later, and when.
    later: Option<(Time, Value)>,
    settling: Vec<oneshot::Sender<()>>,
}

impl Runner {
    async fn new(
        socket: Socket,
        clock: Clock,
        (mut participant, name, joined): (Participant, &str, &Value),
        tell: watch::Sender<Seen>,
    ) -> Self {
        let id = joined["clientId"].as_str().unwrap().parse().unwrap();
        participant.answer(clock.now(), joined["sdp"].as_str().unwrap()).unwrap();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let seed = name.bytes().fold(0, |seed, byte| seed * 31 + u64::from(byte));
        let mut runner = Self {
            id,
            clock,
            socket,
            participant,
            udp,
            old: None,
            newest: BTreeMap::new(),
            up: Way::new(seed),
            down: Way::new(!seed),
            tell,
            replies: BTreeMap::new(),
            asked: 0,
            dawdles: None,
            later: None,
            settling: Vec::new(),
        };
        runner.take_slots(joined["room"]["room_id"].as_str().unwrap(), joined);
        runner
    }

    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) -> ParticipantReport {
        let (mut inbound, mut stale) = ([0; 2_048], [0; 2_048]);
        loop {
            self.go_on().await;
            if self.up.next_due().or(self.down.next_due()).is_none() {
                self.settling.drain(..).for_each(|reply| _ = reply.send(()));
            }
            if let Some((_, data)) = self.later.take_if(|(at, _)| *at <= self.clock.now()) {
                self.take_slots(data["room_id"].as_str().unwrap(), &data);
            }
            let later = self.later.as_ref().map(|(at, _)| *at);
            let due = [self.participant.poll_timeout(), self.up.next_due(), self.down.next_due(), later];
            let due = due.into_iter().flatten().min().unwrap();
            let wait = self.clock.until(due);
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Finish) | None => break,
                    Some(Order::Vanish) => {
                        while !matches!(inbox.recv().await, Some(Order::Finish) | None) {}
                        break;
                    }
                    Some(Order::Flood) => {
                        // Each is answered with its id.
                        let nonsense = Message::text(json!({"id": "x".repeat(100_000)}).to_string());
                        while self.socket.feed(nonsense.clone()).await.is_ok() {}
                        self.tell.send_modify(|seen| seen.events.push("let go".to_owned()));
                        break;
                    }
                    Some(order) => self.take(order).await,
                },
                frame = self.socket.next(), if self.later.is_none() => match frame {
                    Some(Ok(frame)) => self.on_frame(&read(&frame)),
                    _ => break,
                },
                got = receive(self.old.as_ref(), &mut stale) => self.on_stale(&stale[..got]),
                got = self.udp.recv_from(&mut inbound) => if let Ok((len, from)) = got {
                    self.on_datagram(from, &mut inbound[..len]);
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.participant.finish()
    }

    /// Lets arrive and leave what is due.
    async fn go_on(&mut self) {
        let now = self.clock.now();
        while let Some((from, mut datagram)) = self.down.pop_due(now) {
            self.hear(now, from, &mut datagram);
        }
        self.participant.handle_timeout(now);
        let mut buffer = [0; 2_048];
        while let Some((to, len)) = self.participant.poll_transmit(now, &mut buffer) {
            self.up.send(now, to, &buffer[..len]);
            if let Some((_, kind, counter)) = self.participant.last_sent() {
                self.tell.send_modify(|seen| _ = seen.sent.insert(kind, counter));
            }
        }
        while let Some((to, datagram)) = self.up.pop_due(self.clock.now()) {
            if is_stun(&datagram) && self.old.is_some() && self.tell.borrow().checked.is_none() {
                let now = self.clock.now();
                self.tell.send_modify(|seen| seen.checked = Some(now));
            }
            let _ = self.udp.send_to(&datagram, to).await;
        }
        if self.participant.is_up() && !self.tell.borrow().up {
            self.tell.send_modify(|seen| seen.up = true);
        }
    }

    fn on_datagram(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        let now = self.clock.now();
        if let Some((ssrc, sequence)) = media(datagram).filter(|_| self.old.is_some()) {
            self.newest.entry(ssrc).or_insert(sequence);
            self.tell.send_modify(|seen| seen.to_new += 1);
        }
        if !self.down.send(now, from, datagram) {
            self.participant.lose(now, from, datagram);
        }
    }

    /// Something has come to the port that was left.
    fn on_stale(&mut self, datagram: &[u8]) {
        let Some((ssrc, sequence)) = media(datagram) else { return };
        let first = self.newest.get(&ssrc);
        if first.is_some_and(|first| sequence.wrapping_sub(*first) < 1 << 15) {
            self.tell.send_modify(|seen| seen.to_old += 1);
        }
    }

    fn hear(&mut self, now: Time, from: SocketAddr, datagram: &mut [u8]) {
        let Some(heard) = self.participant.handle_datagram(now, from, datagram) else { return };
        self.tell.send_modify(|seen| {
            let track = seen.tracks.entry((heard.mark.publisher, heard.mark.kind)).or_default();
            track.again += u64::from(!track.counters.insert(heard.mark.counter));
            track.times.push(now);
            track.sent_at.insert(heard.mark.counter, heard.mark.sent_at);
            track.order.insert(heard.sequence, heard.mark.counter);
            track.arrived.push(heard.sequence);
        });
    }

    async fn take(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Publish(kind, on) => self.participant.publish(now, kind, on),
            Order::Down(weather) => self.down.becomes(weather),
            Order::Both(weather) => {
                self.up.becomes(weather);
                self.down.becomes(weather);
            }
            Order::Outage(length) => {
                self.up.go_out(now + length);
                self.down.go_out(now + length);
            }
            Order::Rebind(address) => {
                let new = UdpSocket::bind((address, 0)).await.unwrap();
                self.old = Some(std::mem::replace(&mut self.udp, new));
                self.newest.clear();
                self.tell.send_modify(|seen| (seen.to_new, seen.checked) = (0, None));
                self.participant.address_changed(now);
            }
            Order::Ask(method, params, reply) => {
                self.asked += 1;
                let id = self.asked.to_string();
                let request = json!({"id": id, "method": method, "params": params});
                self.socket.send(Message::text(request.to_string())).await.unwrap();
                self.replies.insert(id, reply);
            }
            Order::Dawdle(length) => self.dawdles = Some(length),
            Order::Settle(reply) => self.settling.push(reply),
            Order::Flood | Order::Vanish | Order::Finish => {}
        }
    }

    fn on_frame(&mut self, frame: &Value) {
        if let Some(reply) = frame["id"].as_str().and_then(|id| self.replies.remove(id)) {
            let _ = reply.send(frame["data"].clone());
        }
        let Some(event) = frame["event"].as_str() else { return };
        let now = self.clock.now();
        self.tell.send_modify(|seen| {
            seen.events.push(event.to_owned());
            seen.told.push((now, frame.clone()));
        });
        if event == "slots" && self.dawdles.is_some() {
            let length = self.dawdles.take().unwrap();
            self.later = Some((self.clock.now() + length, frame["data"].clone()));
        } else if event == "slots" {
            self.take_slots(frame["data"]["room_id"].as_str().unwrap(), &frame["data"]);
        }
    }

    fn take_slots(&mut self, room: &str, data: &Value) {
        let epoch = Epoch(data["epoch"].as_u64().unwrap());
        let place = Place { client: self.id, room: room_tag(room), epoch };
        let slots = data["slots"].as_array().unwrap();
        let claims: Vec<SlotClaim> = slots.iter().filter_map(SlotClaim::read).collect();
        self.participant.slots(place, &claims);
        let reasons = slots.iter().filter_map(|slot| slot["reason"].as_str()).map(str::to_owned).collect();
        self.tell.send_modify(|seen| seen.reasons = reasons);
    }
}

/// A signalling connection of somebody.
pub(crate) async fn connect(address: SocketAddr, name: &str) -> Socket {
    let token = development_token(address, "weather", name, "moderator").await;
    connect_async(format!("ws://{address}/v1/ws?token={token}")).await.unwrap().0
}

pub(crate) fn new_participant(clock: Clock, settings: ParticipantSettings) -> Participant {
    let (at, instant) = clock.anchor();
    let (identity, random) = (ClientIdentity::generate().unwrap(), Random::from_number(rand::random()));
    Participant::new(settings, TimeAnchor { at, instant }, identity, random)
}

/// Asks for a seat, or for the own one; answers the ack's data.
pub(crate) async fn join(socket: &mut Socket, participant: &Participant, resume: Option<&str>) -> Value {
    let (sdp, tracks) = participant.offer();
    let mut params = json!({"sdp": sdp, "tracks": tracks});
    if let Some(resume) = resume {
        params["resume"] = json!(resume);
    }
    let request = json!({"id": "0", "method": "joinRoom", "params": params});
    socket.send(Message::text(request.to_string())).await.unwrap();
    loop {
        let mut frame = read(&socket.next().await.unwrap().unwrap());
        if frame["id"] == "0" {
            return frame["data"].take();
        }
    }
}

/// Whether a datagram is of ICE (RFC 7983).
fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// The next datagram of a socket, if there is one.
async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> usize {
    match socket {
        Some(socket) => socket.recv(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// SSRC and sequence number of an RTP packet.
fn media(datagram: &[u8]) -> Option<(u32, u16)> {
    let is_rtp = datagram.len() > 12 && datagram[0] >> 6 == 2 && !(192..=223).contains(&datagram[1]);
    is_rtp.then(|| {
        let ssrc = u32::from_be_bytes(datagram[8..12].try_into().unwrap());
        (ssrc, u16::from_be_bytes(datagram[2..4].try_into().unwrap()))
    })
}

fn read(message: &Message) -> Value {
    message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}
