//! The people's side of signalling: what they ask, and what they make of what they are told.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::event::{Event, Uplink};
use super::violation::Invariant;
use super::world::{ROOM, Simulation};
use crate::base::{Epoch, Kind, LinkId, Random, Time};
use crate::client::{
    ClientIdentity, Participant, ParticipantSettings, Pattern, Place, SlotClaim, StreamStart, room_tag,
};
use crate::message::{Frame, Method, Request, SrtpProfile};

/// What people say: the mark and little else.
const SPEECH: Pattern = Pattern { payload_len: 60, ..Pattern::AUDIO };
/// A screen of 100 packets a second.
const SCREEN: Pattern = Pattern {
    interval: Duration::from_millis(10),
    packets_per_frame: 1,
    payload_len: 120,
    burst: 1,
    spacing: Duration::ZERO,
};
/// Silence is 2.5 packets a second, each of which says so.
const SILENCE: f64 = 0.05;
/// Where streams begin whose numbers are to wrap soon.
const NEARLY_OVER: StreamStart =
    StreamStart { sequence: 65_530, timestamp: u32::MAX - 2_000, picture_id: 0x7ff8 };
/// How soon somebody tries again who was not let in.
const AGAIN: Duration = Duration::from_millis(700);

impl Simulation {
    /// A person comes, or comes back to its seat with a connection of its own.
    pub(super) fn come(&mut self, at: usize) {
        let Some(person) = self.people.get_mut(at) else { return };
        if person.is_asking(Method::JoinRoom) || (person.is_seated && person.participant.is_some()) {
            return;
        }
        let profiles = match person.profile {
            SrtpProfile::AeadAes128Gcm => vec![SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AeadAes128Gcm],
            only => vec![only],
        };
        let settings = ParticipantSettings {
            audio: SPEECH,
            video: SCREEN,
            profiles,
            start: self.options.wraps.then_some(NEARLY_OVER),
            repairs: true,
            ..ParticipantSettings::default()
        };
        let Ok(identity) = ClientIdentity::generate() else { return };
        let random: Random = self.random.fork();
        let participant = Participant::new(settings, self.anchor, identity, random);
        let (mut sdp, tracks) = participant.offer();
        let is_impostor = self.trouble.sends_an_impostor(self.phase, self.options.trouble);
        if is_impostor {
            sdp = with_another_fingerprint(&sdp);
        }
        self.forget_participant(at);
        let now = self.now;
        let Some(person) = self.people.get_mut(at) else { return };
        person.comes(now);
        person.is_impostor = is_impostor;
        person.participant = Some(participant);
        let resume = person.resume.clone();
        if person.link.is_none() {
            self.open_link(at);
        }
        self.request(at, Method::JoinRoom, json!({"sdp": sdp, "tracks": tracks, "resume": resume}));
    }

    /// A participant is no more: what its own judge found is kept.
    pub(super) fn forget_participant(&mut self, at: usize) {
        let Some(person) = self.people.get_mut(at) else { return };
        person.presents = None;
        // It may have missed the last `slots`, so that only what was found by then counts.
        person.participant = None;
    }

    /// A person asks something; answers whether it could.
    pub(super) fn request(&mut self, at: usize, method: Method, params: Value) -> bool {
        let Some(person) = self.people.get_mut(at).filter(|person| person.link.is_some()) else {
            return false;
        };
        let Some(id) = person.ask(method) else { return false };
        if matches!(method, Method::JoinBreakOutRoom | Method::Disconnect) {
            let has_sent = std::mem::replace(&mut person.has_sent, true);
            if self.options.first_words {
                self.hold_up_who_moves(at);
            }
            if let Some(later) = self.trouble.connects_anew_after(self.options.reconnects) {
                self.after(later, Event::ConnectAnew { person: at });
            }
            if !has_sent {
                self.speak(at);
                self.pump(at);
            }
        }
        if self.trace.keeps_lines() && method != Method::JoinRoom {
            self.trace.line(self.now, format_args!("person {at} asks {} {params}", method.name()));
        }
        let params = if let Value::Object(params) = params { params } else { Map::new() };
        let request = Request { id: id.to_string(), method: method.name().to_owned(), params };
        self.send_uplink(at, Uplink::Request(request));
        true
    }

    pub(super) fn frame_arrives(&mut self, link: LinkId, frame: Frame) {
        let Some(at) = self.owner_of(link) else { return };
        self.trace.note(self.now, 7, at as u64);
        match frame {
            Frame::Ack { id, data, .. } => self.ack_arrives(at, &id, &data),
            Frame::Event { event, data, .. } => self.event_arrives(at, event, &data),
        }
    }

    fn ack_arrives(&mut self, at: usize, id: &str, data: &Value) {
        let Some(method) = self.people.get_mut(at).and_then(|person| person.answered(id)) else {
            // A repeated answer, or one to what was asked before the link was lost.
            return;
        };
        let result = data.get("result").and_then(Value::as_u64).unwrap_or(u64::MAX);
        self.story.answered(at, id, data);
        if self.trace.keeps_lines() {
            self.trace.line(self.now, format_args!("person {at} is answered {}: {result}", method.name()));
        }
        if result != 0 {
            self.tally.refusals += 1;
            self.trace.note(self.now, 8, result);
            return self.refused(at, method, result);
        }
        match method {
            Method::JoinRoom => self.joined(at, data),
            Method::StartScreenShare => self.set_presenting(at, Some(Kind::Share)),
            Method::StartCanvas => self.set_presenting(at, Some(Kind::Canvas)),
            Method::StopScreenShare | Method::StopCanvas => self.set_presenting(at, None),
            Method::JoinBreakOutRoom | Method::Disconnect => self.moved(at),
            Method::CreateBreakOutRoom | Method::CreateAndInviteBreakoutRoom => self.learn_rooms(data),
            Method::DestroyAllBreakOutSession => {
                self.storm.rooms.clear();
                self.storm.is_closed = true;
            }
            _ => {}
        }
    }

    fn moved(&mut self, at: usize) {
        let now = self.now;
        if let Some(participant) = self.people.get_mut(at).and_then(|person| person.participant.as_mut()) {
            participant.moved(now);
        }
    }

    fn refused(&mut self, at: usize, method: Method, result: u64) {
        // As many rooms as a session may have, and the storm, which is at work, knows none of them: they were
        // made while it was told late that others are gone.
        if result == 1_726 && self.storm.rooms.is_empty() && self.storm.steps > 0 {
            self.request(at, Method::DestroyAllBreakOutSession, json!({}));
        }
        if method == Method::JoinRoom {
            let Some(person) = self.people.get_mut(at) else { return };
            // 1729: the seat is gone, or the secret was used. 5107: somebody else is at it.
            if result != 5_107 {
                person.resume = None;
            }
            person.is_seated = false;
            self.forget_participant(at);
            self.after(AGAIN, Event::Return { person: at });
        }
    }

    fn joined(&mut self, at: usize, data: &Value) {
        let now = self.now;
        let text = |name: &str| data.get(name).and_then(Value::as_str);
        let room = data.get("room").and_then(|room| room.get("room_id")).and_then(Value::as_str);
        let room = room.unwrap_or(ROOM).to_owned();
        let (client, resume) =
            (text("clientId").and_then(|id| id.parse().ok()), text("resume").map(str::to_owned));
        let Some(person) = self.people.get_mut(at) else { return };
        (person.client, person.resume) = (client, resume);
        person.is_seated = true;
        let answered = match (person.participant.as_mut(), text("sdp")) {
            (Some(participant), Some(sdp)) => participant.answer(now, sdp).map(|_| ()),
            _ => Ok(()),
        };
        if let Err(error) = answered {
            self.judge.violations.note(now, Invariant::I19, || format!("person {at}: {error}"));
        }
        self.slots_arrive(at, data, room);
        self.speak(at);
        self.pump(at);
        if self.phase >= super::world::Phase::Empty {
            // Everybody else has left while it came.
            self.request(at, Method::LeaveRoom, json!({}));
        }
    }

    /// A person talks, or says that it is silent.
    pub(super) fn speak(&mut self, at: usize) {
        let now = self.now;
        let is_over = self.phase >= super::world::Phase::Silent;
        let Some(person) = self.people.get_mut(at) else { return };
        person.has_sent |= !self.options.first_words || person.is_moderator;
        let (is_talking, has_sent) = (person.is_talking, person.has_sent);
        if let Some(participant) = &mut person.participant {
            participant.set_rate_of(Kind::Audio, if is_talking { 1.0 } else { SILENCE });
            participant.set_level(if is_talking { 20 } else { 127 });
            participant.publish(now, Kind::Audio, has_sent && !is_over);
        }
        person.talks_since = now;
    }

    fn event_arrives(&mut self, at: usize, event: &str, data: &Value) {
        if self.trace.keeps_lines() && event != "slots" && event != "active-talkers-updated" {
            self.trace.line(self.now, format_args!("person {at} is told {event}"));
        }
        let room = || data.get("room_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        match event {
            "slots" => {
                self.slots_arrive(at, data, room());
                if let Some(epoch) = data.get("epoch").and_then(Value::as_u64) {
                    self.send_uplink(at, Uplink::Told(Epoch(epoch)));
                }
                self.pump(at);
            }
            "didConnectedBreakoutRoom" | "didDisconnectedBreakoutRoom" => self.moved(at),
            "didInvitationForBreakoutRoom" => self.invited(at, room()),
            "didScreenShareStopped" | "didCanvasStopped" => {
                let own =
                    self.people.get(at).and_then(|person| person.client).map(|client| client.to_string());
                if own.as_deref() == data.get("clientId").and_then(Value::as_str) {
                    self.set_presenting(at, None);
                }
            }
            "transportLost" => self.reconnect_media(at),
            _ => {}
        }
    }

    fn slots_arrive(&mut self, at: usize, data: &Value, room: String) {
        let Some(person) = self.people.get_mut(at) else { return };
        let Some(client) = person.client else { return };
        let Some(epoch) = data.get("epoch").and_then(Value::as_u64) else { return };
        self.trace.note(self.now, 9, epoch);
        let slots = data.get("slots").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let claims: Vec<SlotClaim> = slots.iter().filter_map(SlotClaim::read).collect();
        if self.trace.keeps_lines() {
            let text = claims.iter().map(brief).collect::<Vec<_>>().join(", ");
            self.trace.line(self.now, format_args!("person {at} is told of {epoch} in {room}: {text}"));
        }
        let place = Place { client, room: room_tag(&room), epoch: Epoch(epoch) };
        self.judge.believed(self.now, client, place.epoch, place.room);
        if let Some(participant) = &mut person.participant {
            participant.slots(place, &claims);
            // What was on the way before is asked for after the move: it is not to come.
            if self.trouble.asks_again(self.options.trouble) {
                participant.ask_again();
            }
        }
        if person.room != room {
            person.room = room;
            // Who goes somewhere else has stopped presenting.
            self.set_presenting(at, None);
        }
        self.send_uplink(at, Uplink::Told(Epoch(epoch)));
    }

    pub(super) fn set_presenting(&mut self, at: usize, kind: Option<Kind>) {
        let now = self.now;
        let Some(person) = self.people.get_mut(at) else { return };
        let before = std::mem::replace(&mut person.presents, kind);
        let Some(participant) = &mut person.participant else { return };
        if let Some(before) = before.filter(|before| Some(*before) != kind) {
            participant.publish(now, before, false);
        }
        if let Some(kind) = kind {
            participant.publish(now, kind, true);
        }
        self.pump(at);
    }

    /// The link has ended, by the server or on the way.
    pub(super) fn link_ended(&mut self, link: LinkId) {
        let Some(at) = self.owner_of(link) else { return };
        self.trace.line(self.now, format_args!("person {at} has lost its link"));
        let Some(person) = self.people.get_mut(at) else { return };
        person.unlink();
        if self.phase < super::world::Phase::Silent {
            self.forget_participant(at);
            self.after(AGAIN, Event::Return { person: at });
        }
    }

    /// A person makes a new media connection for its seat.
    pub(super) fn reconnect_media(&mut self, at: usize) {
        if self.phase >= super::world::Phase::Silent {
            return;
        }
        self.forget_participant(at);
        self.come(at);
    }

    /// Control sees a person's link end, and the person comes back a while later.
    pub(super) fn drop_link(&mut self, at: usize, back_after: Duration) {
        self.send_uplink(at, Uplink::Closed);
        let Some(person) = self.people.get_mut(at) else { return };
        person.unlink();
        person.uplink_free = Time(0);
        self.forget_participant(at);
        self.after(back_after, Event::Return { person: at });
    }

    fn learn_rooms(&mut self, data: &Value) {
        let details = data.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for room in details.iter().filter_map(|room| room.get("room_id")?.as_str()) {
            self.storm.learn(room);
        }
    }
}

/// An offer whose certificate is not the one that its bearer has.
fn with_another_fingerprint(sdp: &str) -> String {
    let line = |line: &str| match line.strip_prefix("a=fingerprint:") {
        Some(rest) => {
            let (kept, last) = rest.split_at(rest.len().saturating_sub(2));
            format!("a=fingerprint:{kept}{}\r\n", if last == "00" { "FF" } else { "00" })
        }
        None => format!("{line}\r\n"),
    };
    sdp.lines().map(line).collect()
}

/// A slot in the trace: from which number on it is whose.
fn brief(claim: &SlotClaim) -> String {
    let whose = claim.publisher.map(|(client, kind)| format!("{:.4} {kind}", client.to_string()));
    format!("{}@{} {}", claim.ssrc, claim.from_seq, whose.as_deref().unwrap_or("nobody"))
}
