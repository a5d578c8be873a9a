//! One synthetic person: a participant, its link, and what it knows.

use std::time::Duration;

use super::event::Port;
use super::network::Way;
use crate::base::{ClientId, Kind, LinkId, ParticipantId, Time};
use crate::client::Participant;
use crate::message::{Method, SrtpProfile};

/// What a frame may come later than its link takes.
const LATE: Duration = Duration::from_millis(50);
/// Requests of one person that may be unanswered.
const MOST_PENDING: usize = 64;

/// One person.
pub(super) struct Person {
    pub(super) index: usize,
    pub(super) is_moderator: bool,
    pub(super) participant: Option<Participant>,
    pub(super) socket: Port,
    pub(super) up: Way,
    pub(super) down: Way,
    /// How long a frame takes.
    pub(super) signal_delay: Duration,
    /// Nothing of the link overtakes what was sent before it.
    pub(super) uplink_free: Time,
    pub(super) downlink_free: Time,
    pub(super) profile: SrtpProfile,
    pub(super) link: Option<LinkId>,
    pub(super) links: u64,
    pub(super) next_request: u64,
    pending: Vec<(u64, Method)>,
    /// Whether it has its seat.
    pub(super) is_seated: bool,
    pub(super) client: Option<ClientId>,
    pub(super) resume: Option<String>,
    /// What the media plane calls it, as control has said.
    pub(super) id: Option<ParticipantId>,
    /// What it called it in the seat before, which it has left.
    before: Option<ParticipantId>,
    /// The SSRCs of its connection that have sent something, but for those of repeated packets.
    sources: Vec<(u32, Kind)>,
    /// The first port that it came with, now, and when it took its seat.
    came_port: u16,
    seated_port: u16,
    /// The room whose slots it was told last.
    pub(super) room: String,
    pub(super) presents: Option<Kind>,
    pub(super) is_talking: bool,
    /// Whether it has sent something on its connection, or waits for its first move.
    pub(super) has_sent: bool,
    /// Since when it talks, or does not, on its connection.
    pub(super) talks_since: Time,
    /// Media packets of it that have reached a worker.
    pub(super) arrived: u64,
    /// Whether its certificate is not the one that it told of.
    pub(super) is_impostor: bool,
    /// Since when it has its port.
    pub(super) port_since: Time,
    /// Since when the server knows that: its own checks are 5 s apart, and get lost.
    pub(super) reached_since: Option<Time>,
    /// The number of the last event that was sent to its link.
    pub(super) last_event: u64,
    /// The earliest timer that is set.
    pub(super) timer: Option<Time>,
}

impl Person {
    /// Somebody who has not come yet.
    pub(super) fn new(index: usize, (up, down): (Way, Way), signal_delay: Duration) -> Self {
        Self {
            index,
            is_moderator: index < MODERATORS,
            participant: None,
            socket: Port { person: index, port: 40_000 },
            up,
            down,
            signal_delay,
            uplink_free: Time(0),
            downlink_free: Time(0),
            profile: if index % 16 == 15 {
                SrtpProfile::AesCm128HmacSha1_80
            } else {
                SrtpProfile::AeadAes128Gcm
            },
            link: None,
            links: 0,
            next_request: 0,
            pending: Vec::new(),
            is_seated: false,
            client: None,
            resume: None,
            id: None,
            before: None,
            sources: Vec::new(),
            came_port: 0,
            seated_port: 0,
            room: String::new(),
            presents: None,
            is_talking: false,
            has_sent: false,
            talks_since: Time(0),
            arrived: 0,
            is_impostor: false,
            port_since: Time(0),
            reached_since: None,
            last_event: 0,
            timer: None,
        }
    }

    /// Remembers a request; nothing if too many are unanswered.
    pub(super) fn ask(&mut self, method: Method) -> Option<u64> {
        if self.pending.len() >= MOST_PENDING {
            return None;
        }
        self.next_request += 1;
        self.pending.push((self.next_request, method));
        Some(self.next_request)
    }

    /// What was asked by the request of this id.
    pub(super) fn answered(&mut self, id: &str) -> Option<Method> {
        let id: u64 = id.parse().ok()?;
        let at = self.pending.iter().position(|(asked, _)| *asked == id)?;
        Some(self.pending.swap_remove(at).1)
    }

    /// Whether a request of this method is unanswered.
    pub(super) fn is_asking(&self, method: Method) -> bool {
        self.pending.iter().any(|(_, asked)| *asked == method)
    }

    /// The link is gone, and with it what was asked on it.
    pub(super) fn unlink(&mut self) {
        self.link = None;
        self.last_event = 0;
        self.is_seated = false;
        self.pending.clear();
    }

    /// Takes a socket that no datagram of before can reach.
    pub(super) fn next_port(&mut self, now: Time) {
        self.port_since = now;
        self.reached_since = None;
        self.socket.port += 1;
        if self.socket.port > 60_000 {
            // By then nothing is sent to a port of the seat before.
            (self.socket.port, self.came_port, self.seated_port) = (40_000, 0, 0);
        }
    }

    /// It comes with a new connection.
    pub(super) fn comes(&mut self, now: Time) {
        self.next_port(now);
        self.came_port = self.socket.port;
        self.has_sent = false;
        self.sources.clear();
    }

    /// It has a seat, which may be a new one.
    pub(super) fn sits(&mut self, id: ParticipantId) {
        if self.id != Some(id) {
            self.before = self.id.replace(id);
            self.seated_port = self.came_port;
        }
    }

    /// Whom the media plane means by this port, and whether that is who it was in the seat before: a worker that
    /// is stuck learns late that somebody has left.
    pub(super) fn meant_by(&self, port: u16) -> (Option<ParticipantId>, bool) {
        if port < self.seated_port { (self.before, true) } else { (self.id, false) }
    }

    /// Whether what it is told takes longer than its link does.
    pub(super) fn is_told_late(&self, now: Time) -> bool {
        self.downlink_free > now + self.signal_delay + LATE
    }

    /// What one of its sources publishes, by a packet of it.
    pub(super) fn kind_of(&self, packet: &[u8]) -> Option<Kind> {
        let ssrc = ssrc_of(packet)?;
        self.sources.iter().find(|(known, _)| *known == ssrc).map(|(_, kind)| *kind)
    }

    /// It sends a packet of a kind on its connection.
    pub(super) fn sends(&mut self, kind: Kind, packet: &[u8]) {
        if let Some(ssrc) = ssrc_of(packet).filter(|_| self.kind_of(packet).is_none()) {
            self.sources.push((ssrc, kind));
        }
    }

    /// Whether it can ask for something.
    pub(super) fn is_here(&self) -> bool {
        self.is_seated && self.link.is_some() && self.participant.as_ref().is_some_and(Participant::is_up)
    }
}

fn ssrc_of(packet: &[u8]) -> Option<u32> {
    packet.get(8..12)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The first so many people are moderators.
pub(super) const MODERATORS: usize = 3;
