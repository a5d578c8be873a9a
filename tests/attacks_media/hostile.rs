//! A legal participant that does what no client would. Its media has a thread of its own.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anteroom::base::{ClientId, Epoch, Kind, Mid, Random, Ssrc};
use anteroom::client::{ClientIdentity, Participant, ParticipantSettings, Place, TimeAnchor, room_tag};
use anteroom::message::SrtpProfile;
use anteroom::telemetry::Clock;
use anteroom::transport::sdp::{AnsweredSend, ServerAnswer};
use anteroom::wire::rtcp::write_receiver_report;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::crafted;
use super::ear::{Ear, name};
use super::http::PATIENCE;
use super::ws::Client;

/// What SRTP adds under AES-GCM: a tag, for RTCP an index as well.
const RTP_OVERHEAD: usize = 16;
const RTCP_OVERHEAD: usize = 20;

/// Looks at a packet that was opened, and answers compound packets to send at once.
type Reaction = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>> + Send>;

/// Which datagrams leave.
pub(crate) type Gate = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// How it joins.
pub(crate) struct Manners {
    pub(crate) settings: ParticipantSettings,
    /// Changes the offer.
    pub(crate) rewrite: fn(String) -> String,
    pub(crate) gate: Option<Gate>,
}

impl Default for Manners {
    fn default() -> Self {
        // One profile, so that it is known how long a tag is.
        let profiles = vec![SrtpProfile::AeadAes128Gcm];
        let settings = ParticipantSettings { profiles, ..ParticipantSettings::default() };
        Self { settings, rewrite: |offer| offer, gate: None }
    }
}

/// A source that an offer declares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) ssrc: Ssrc,
    pub(crate) repair: Option<Ssrc>,
}

struct Media {
    participant: Participant,
    clock: Clock,
    socket: UdpSocket,
    ear: Ear,
    reaction: Option<Reaction>,
    gate: Option<Gate>,
    /// Every datagram of media leaves twice.
    is_double: bool,
    /// Datagrams are kept as they came, and not opened.
    is_tap: bool,
    taken: Vec<Vec<u8>>,
    /// Own datagrams of media are kept as they left.
    keeps_sent: bool,
    sent: Vec<Vec<u8>>,
    own_ssrc: Ssrc,
}

pub(crate) struct Hostile {
    pub(crate) client: Client,
    pub(crate) id: ClientId,
    pub(crate) room: String,
    /// What `joinRoom` answered.
    pub(crate) joined: Value,
    pub(crate) answer: ServerAnswer,
    pub(crate) ufrag: String,
    declared: BTreeMap<String, Declared>,
    media: Arc<Mutex<Media>>,
    ended: Arc<AtomicBool>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Hostile {
    pub(crate) async fn join(http: SocketAddr, room: &str, name: &str, role: &str) -> Self {
        Self::join_as(http, room, name, role, Manners::default()).await
    }

    /// Joins; its media connects meanwhile.
    pub(crate) async fn join_as(
        http: SocketAddr,
        room: &str,
        name: &str,
        role: &str,
        manners: Manners,
    ) -> Self {
        let mut client = Client::enter(http, room, name, role).await;
        let clock = Clock::start();
        let mut participant = new_participant(clock, manners.settings);
        let (offer, tracks) = participant.offer();
        let offer = (manners.rewrite)(offer);
        let joined = client.succeed("joinRoom", json!({"sdp": offer, "tracks": tracks})).await;
        let sdp = joined["sdp"].as_str().unwrap();
        participant.answer(clock.now(), sdp).unwrap();
        let answer = ServerAnswer::parse(sdp).unwrap();
        let repair_sources = answer.slots.iter().filter_map(|slot| slot.rtx_ssrc).collect();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let media = Media {
            participant,
            clock,
            socket: socket.try_clone().unwrap(),
            ear: Ear { repair_sources, ..Ear::default() },
            reaction: None,
            gate: manners.gate,
            is_double: false,
            is_tap: false,
            taken: Vec::new(),
            keeps_sent: false,
            sent: Vec::new(),
            own_ssrc: Ssrc(0x0bad_0bad),
        };
        let media = Arc::new(Mutex::new(media));
        let ended = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&media), Arc::clone(&ended));
        std::thread::spawn(move || run(&shared, &socket, &stop));
        let ufrag = line_value(&offer, "a=ice-ufrag:");
        let mut hostile = Self {
            client,
            id: joined["clientId"].as_str().unwrap().parse().unwrap(),
            room: joined["room"]["room_id"].as_str().unwrap().to_owned(),
            answer,
            ufrag,
            declared: declared(&offer),
            joined,
            media,
            ended,
        };
        let (room, epoch) = (hostile.room.clone(), hostile.joined["epoch"].as_u64().unwrap());
        hostile.take_place(&room, epoch);
        hostile
    }

    /// Waits until its media can flow.
    pub(crate) async fn is_up(&self) {
        self.until("media can flow", |participant, _| participant.is_up()).await;
    }

    /// Waits for something of its media.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&Participant, &Ear) -> bool) {
        let waiting = async {
            loop {
                {
                    let media = self.media();
                    if is(&media.participant, &media.ear) {
                        return;
                    }
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let late = timeout(PATIENCE, waiting).await.is_err();
        assert!(!late, "{what}: not in time: {:?}", self.media().ear);
    }

    /// Reads frames up to the `slots` event of a room, and believes to be there from then on.
    pub(crate) async fn arrives_in(&mut self, room: &str) {
        loop {
            let slots = self.client.event("slots").await;
            if slots["room_id"] == room {
                return self.take_place(room, slots["epoch"].as_u64().unwrap());
            }
        }
    }

    fn take_place(&mut self, room: &str, epoch: u64) {
        room.clone_into(&mut self.room);
        let place = Place { client: self.id, room: room_tag(room), epoch: Epoch(epoch) };
        self.media().participant.slots(place, &[]);
    }

    /// Reads what the server has said meanwhile, and so stays alive.
    pub(crate) async fn listen(&mut self) {
        self.client.request("listBreakoutRooms", json!({})).await;
    }

    /// Returns once everything has come that the server sent before it was called: the server answers
    /// checks in their order.
    pub(crate) async fn catch_up(&self, media: SocketAddr) {
        const CHECKS: u64 = 3;
        let before = self.hears(|ear| ear.count_of("stun"));
        let username = format!("{}:{}", self.answer.ufrag, self.ufrag);
        for n in 0..CHECKS {
            let check = crafted::check(&username, Some(&self.answer.pwd), &mut Random::from_number(n));
            assert!(self.hand().raw(&check, media));
        }
        self.until("answers to checks", |_, ear| ear.count_of("stun") >= before + CHECKS).await;
    }

    /// Returns once nothing comes any more.
    pub(crate) async fn falls_silent(&self) {
        let count = || self.hears(|ear| ear.datagrams.values().sum::<u64>());
        let silent = async {
            let mut before = count();
            loop {
                sleep(Duration::from_millis(200)).await;
                let now = count();
                if now == before {
                    return;
                }
                before = now;
            }
        };
        timeout(PATIENCE, silent).await.expect("silence");
    }

    pub(crate) fn publish(&self, kind: Kind) {
        let mut media = self.media();
        let now = media.clock.now();
        media.participant.publish(now, kind, true);
    }

    /// A handle for a thread that attacks.
    pub(crate) fn hand(&self) -> Hand {
        Hand(Arc::clone(&self.media))
    }

    /// Looks at what was heard.
    pub(crate) fn hears<T>(&self, look: impl FnOnce(&Ear) -> T) -> T {
        look(&self.media().ear)
    }

    /// Forgets what was heard so far.
    pub(crate) fn forget(&self) {
        let mut media = self.media();
        let repair_sources = std::mem::take(&mut media.ear.repair_sources);
        media.ear = Ear { repair_sources, ..Ear::default() };
    }

    pub(crate) fn react(&self, reaction: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
        self.media().reaction = Some(Box::new(reaction));
    }

    pub(crate) fn double(&self, is_double: bool) {
        self.media().is_double = is_double;
    }

    pub(crate) fn tap(&self) {
        self.media().is_tap = true;
    }

    pub(crate) fn taken(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.media().taken)
    }

    pub(crate) fn taken_count(&self) -> usize {
        self.media().taken.len()
    }

    pub(crate) fn keep_sent(&self) {
        self.media().keeps_sent = true;
    }

    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.media().sent.clone()
    }

    pub(crate) fn sent_count(&self) -> u64 {
        self.media().participant.sent()
    }

    pub(crate) fn is_alive(&self) -> bool {
        let media = self.media();
        media.participant.is_up() && !media.participant.has_failed()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.media().socket.local_addr().unwrap()
    }

    /// The m-line of a kind, as the server agreed to it.
    pub(crate) fn line(&self, kind: Kind) -> &AnsweredSend {
        self.answer.send(&Mid::from(mid_of(kind))).unwrap()
    }

    /// The sources that its offer declared for a kind.
    pub(crate) fn declared(&self, kind: Kind) -> Declared {
        self.declared[mid_of(kind)]
    }

    fn media(&self) -> MutexGuard<'_, Media> {
        self.media.lock().unwrap()
    }
}

/// Sends under a participant's keys, or from its port.
#[derive(Clone)]
pub(crate) struct Hand(Arc<Mutex<Media>>);

impl Hand {
    /// Seals and sends an RTP packet; answers whether it left.
    pub(crate) fn rtp(&self, packet: &[u8], index: u64) -> bool {
        self.0.lock().unwrap().seal_and_send(packet, Some(index))
    }

    /// Seals and sends a compound packet.
    pub(crate) fn rtcp(&self, compound: &[u8]) -> bool {
        self.0.lock().unwrap().seal_and_send(compound, None)
    }

    /// Seals and sends what is put behind an empty report, so that it is a compound packet.
    pub(crate) fn feedback(&self, body: &[u8]) -> bool {
        let mut media = self.0.lock().unwrap();
        let compound = with_report(media.own_ssrc, body);
        media.seal_and_send(&compound, None)
    }

    /// Sends as it is.
    pub(crate) fn raw(&self, datagram: &[u8], to: SocketAddr) -> bool {
        self.0.lock().unwrap().socket.send_to(datagram, to).is_ok()
    }

    /// The last number that it got in each of its slots.
    pub(crate) fn newest(&self) -> BTreeMap<Ssrc, u16> {
        self.0.lock().unwrap().ear.newest.clone()
    }

    /// A socket on its port, so that no thread waits for another.
    pub(crate) fn socket(&self) -> UdpSocket {
        self.0.lock().unwrap().socket.try_clone().unwrap()
    }
}

fn with_report(own: Ssrc, body: &[u8]) -> Vec<u8> {
    let mut compound = vec![0; 64];
    let len = write_receiver_report(own, &[], &mut compound).unwrap();
    compound.truncate(len);
    compound.extend_from_slice(body);
    compound
}

impl Media {
    fn seal_and_send(&mut self, packet: &[u8], index: Option<u64>) -> bool {
        let mut buffer = [0; 2048];
        let Some(place) = buffer.get_mut(..packet.len()) else { return false };
        place.copy_from_slice(packet);
        let Some((to, len)) = self.participant.seal(&mut buffer, packet.len(), index) else { return false };
        if self.keeps_sent {
            self.sent.push(buffer[..len].to_vec());
        }
        self.socket.send_to(&buffer[..len], to).is_ok()
    }

    fn tend(&mut self) {
        let now = self.clock.now();
        self.participant.handle_timeout(now);
        let mut buffer = [0; 2048];
        while let Some((to, len)) = self.participant.poll_transmit(now, &mut buffer) {
            let datagram = &buffer[..len];
            let is_media = matches!(name(datagram), "rtp" | "rtcp");
            if self.gate.as_mut().is_some_and(|gate| !gate(datagram)) {
                continue;
            }
            if self.keeps_sent && is_media {
                self.sent.push(datagram.to_vec());
            }
            for _ in 0..if self.is_double && is_media { 2 } else { 1 } {
                // The other end may be gone: its business.
                let _ = self.socket.send_to(datagram, to);
            }
        }
    }

    fn take(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        self.ear.datagram(datagram);
        let kind = name(datagram);
        if self.is_tap && kind != "stun" {
            self.taken.push(datagram.to_vec());
            return;
        }
        let before = self.participant.received();
        self.participant.handle_datagram(self.clock.now(), from, datagram);
        match kind {
            "rtp" if self.participant.received() > before => {
                let plain = &datagram[..datagram.len() - RTP_OVERHEAD];
                self.ear.rtp(plain);
                if let Some(mut reaction) = self.reaction.take() {
                    for body in reaction(plain) {
                        let compound = with_report(self.own_ssrc, &body);
                        self.seal_and_send(&compound, None);
                    }
                    self.reaction = Some(reaction);
                }
            }
            "rtcp" if datagram.len() > RTCP_OVERHEAD => {
                self.ear.rtcp(&datagram[..datagram.len() - RTCP_OVERHEAD]);
            }
            _ => {}
        }
    }
}

fn run(media: &Mutex<Media>, socket: &UdpSocket, ended: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !ended.load(Ordering::Relaxed) {
        media.lock().unwrap().tend();
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            media.lock().unwrap().take(from, &mut buffer[..len]);
        }
    }
}

pub(crate) fn new_participant(clock: Clock, settings: ParticipantSettings) -> Participant {
    let (at, instant) = clock.anchor();
    let identity = ClientIdentity::generate().unwrap();
    // Two that start in the same microsecond are told apart by where they are in memory.
    let salt = std::ptr::from_ref(&identity).addr() as u64;
    let random = Random::from_number(clock.now().as_micros() ^ salt << 20);
    Participant::new(settings, TimeAnchor { at, instant }, identity, random)
}

const fn mid_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Audio => "0",
        Kind::Video => "1",
        Kind::Share => "2",
        Kind::Canvas => "3",
    }
}

pub(crate) fn line_value(sdp: &str, start: &str) -> String {
    sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned()
}

/// The sources of an offer by their m-line's tag.
fn declared(offer: &str) -> BTreeMap<String, Declared> {
    let mut found = BTreeMap::new();
    for section in offer.split("\r\nm=").skip(1) {
        let numbers = |line: &str| line.split(' ').filter_map(|word| word.parse().ok()).map(Ssrc).collect();
        let group = section.lines().find_map(|line| line.strip_prefix("a=ssrc-group:FID "));
        let single = section.lines().find_map(|line| line.strip_prefix("a=ssrc:"));
        let ssrcs: Vec<Ssrc> = group.or(single).map(numbers).unwrap_or_default();
        if let Some(ssrc) = ssrcs.first() {
            let declared = Declared { ssrc: *ssrc, repair: ssrcs.get(1).copied() };
            found.insert(line_value(section, "a=mid:"), declared);
        }
    }
    found
}
