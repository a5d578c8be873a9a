//! What a client needs to draw the meeting: the whole of it, or the events since a number.

use serde_json::{Map, Value, json};

use super::breakout::Breakout;
use super::denied::Denied;
use super::params::Params;
use super::reply::Answer;
use super::seat::{Place, Seat};
use super::session::Session;
use crate::base::{BreakoutId, ClientId};
use crate::message::{Invitation, Member, Person, Presentation, Role, json_size};

/// Events that `replay` answers with at most. A client that missed more is better off with the whole.
const MAX_REPLAYED: usize = 2_000;

/// And their size: a quarter of what may wait for a client.
const MAX_REPLAYED_BYTES: usize = 1024 * 1024;

impl Session {
    /// The meeting as this participant may see it.
    pub(super) fn snapshot(&self, client: ClientId) -> Value {
        let Some(me) = self.seats.get(&client) else { return Value::Null };
        let users: Vec<Value> = self.seats.values().map(|seat| self.user(me, seat)).collect();
        json!({
            "seq": self.log.seq(),
            "name": &*self.name,
            "room_id": self.room_name(me),
            "mode": self.mode,
            "state": self.flags.to_json("room"),
            "settings": {
                "max_active_talkers": self.settings.max_active_talkers,
                "max_participants": self.settings.max_participants,
                "audio": self.settings.audio,
                "video": self.settings.video,
                "share": self.settings.share,
                "canvas": self.settings.canvas,
            },
            "me": self.own(me),
            "userList": users,
            "presenter": self.presenter_here(me),
            "breakoutRooms": self.rooms_for(me),
            "invitations": self.invitations_for(client),
        })
    }

    fn room_name(&self, seat: &Seat) -> String {
        seat.breakout().map_or_else(|| self.name.to_string(), |room| room.to_string())
    }

    fn own(&self, me: &Seat) -> Value {
        let mut own = json!({
            "clientId": me.client,
            "name": &*me.name,
            "role": me.role,
            "microphone": me.microphone,
            "camera": me.camera,
            "room_id": self.room_name(me),
            "isBreakOutRoom": me.breakout().is_some(),
            "breakout_role": me.stay().map(|stay| stay.role),
            "leg": Value::Null,
        });
        if let (Place::Breakout(stay), Value::Object(own)) = (&me.place, &mut own) {
            own.insert("leg".to_owned(), stay.leg.to_json("leg"));
        }
        own
    }

    /// Somebody on the roster. Where people in breakout rooms are is for moderators, and for those
    /// who are there too.
    fn user(&self, me: &Seat, seat: &Seat) -> Value {
        let breakout = seat.breakout();
        let shown = breakout
            .filter(|room| me.is_moderator() || me.breakout() == Some(*room) || self.owns(me.client, *room));
        json!({
            "clientId": seat.client,
            "name": &*seat.name,
            "role": seat.role,
            "state": if seat.connected() { "connected" } else { "reconnecting" },
            "microphone": seat.microphone,
            "camera": seat.camera,
            "away": breakout.is_some(),
            "leg": seat.stay().map(|stay| stay.leg.to_json("leg")),
            "room_id": shown,
        })
    }

    fn presenter_here(&self, me: &Seat) -> Value {
        let presenter = match me.breakout() {
            None => self.presenter,
            Some(room) => self.rooms.get(&room).and_then(|room| room.presenter),
        };
        presenter.map_or(Value::Null, |(client, kind)| {
            let Person { id, name } = self.person(client);
            json!({"clientId": id, "name": &*name, "streamId": Presentation::stream_id(kind)})
        })
    }

    pub(super) fn list_rooms(&self, client: ClientId) -> Result<Answer, Denied> {
        let me = self.connected(client)?;
        Ok(Answer::Now(json!({"msg": "Success", "result": 0, "rooms": self.rooms_for(me)})))
    }

    /// Moderators see every room with its members; others the rooms that they own or are in, with
    /// members, and those that they may join, without. Who is invited and on the way is for hosts.
    fn rooms_for(&self, me: &Seat) -> Vec<Value> {
        let entry = |room: &Breakout| {
            let hosts = me.is_moderator() || room.owner == Some(me.client);
            let inside = hosts || me.breakout() == Some(room.id);
            let invited = self.invitations.contains_key(&(room.id, me.client));
            (inside || invited || room.open).then(|| self.room_entry(room, inside, hosts))
        };
        self.rooms.values().filter_map(entry).collect()
    }

    fn room_entry(&self, room: &Breakout, with_members: bool, with_expected: bool) -> Value {
        let mut entry = room.details().to_json();
        if let Value::Object(entry) = &mut entry {
            entry.insert("state".to_owned(), json!(room.state().as_str()));
            entry.insert("members".to_owned(), json!(room.members.len()));
            if with_members {
                entry.insert("userList".to_owned(), self.members_of(room));
            }
            if with_expected {
                self.add_expected(room, entry);
            }
        }
        entry
    }

    fn members_of(&self, room: &Breakout) -> Value {
        let member = |(client, role): (&ClientId, &Role)| {
            Member { person: self.person(*client), role: *role }.to_json()
        };
        room.members.iter().map(member).collect()
    }

    fn add_expected(&self, room: &Breakout, entry: &mut Map<String, Value>) {
        let range = (room.id, ClientId(0))..=(room.id, ClientId(u128::MAX));
        let invited: Vec<ClientId> = self.invitations.range(range).map(|((_, client), _)| *client).collect();
        let joining: Vec<ClientId> = room.joining.keys().copied().collect();
        entry.insert("invited".to_owned(), json!(invited));
        entry.insert("joining".to_owned(), json!(joining));
    }

    fn invitations_for(&self, client: ClientId) -> Vec<Value> {
        let invitation = |room: BreakoutId, name: &std::sync::Arc<str>| {
            let found = self.invitations.get(&(room, client))?;
            let requestor = self.person(found.inviter);
            let expires_at = found.expires_at;
            Some(Invitation { room, name: name.clone(), requestor, expires_at }.to_json())
        };
        self.rooms.values().filter_map(|room| invitation(room.id, &room.name)).collect()
    }

    /// The events that were addressed to the caller from a number on; a snapshot where the log does
    /// not reach back that far, and where they are more than an answer should hold. Also where there are
    /// no such numbers yet: the caller knows events that a crash took with it. With it goes what the caller's slots
    /// carry, which it may have been told by one of these events.
    pub(super) fn replay(&self, client: ClientId, params: Params<'_>) -> Result<Answer, Denied> {
        let seat = self.seat(client)?;
        let from = params.whole("from_seq")?;
        let first = self.log.first();
        let is_there = (from >= first || first <= 1) && from <= self.log.seq() + 1;
        let data = match self.addressed(seat, from).filter(|_| is_there) {
            Some(events) => json!({"msg": "Success", "result": 0, "events": events}),
            None => json!({
                "msg": "Success",
                "result": 0,
                "snapshot": self.snapshot(client),
                "epoch": seat.confirmed,
                "slots": seat.slots_json(),
            }),
        };
        Ok(Answer::Now(data))
    }

    /// The events kept that were addressed to a seat, from a number on; nothing if they are too many.
    fn addressed(&self, seat: &Seat, from: u64) -> Option<Vec<Value>> {
        let mut prev = seat.last_forgotten;
        // Newest first, so that a client which missed little costs little.
        let mut found = Vec::new();
        for entry in self.log.entries().rev() {
            if !entry.audience.includes(seat.client, seat.since, entry.seq) {
                continue;
            }
            if entry.seq < from {
                prev = entry.seq;
                break;
            }
            if found.len() >= MAX_REPLAYED {
                return None;
            }
            found.push(entry);
        }
        let (mut events, mut bytes) = (Vec::with_capacity(found.len()), 0);
        for entry in found.into_iter().rev() {
            let data = entry.event.data();
            bytes += json_size(&data);
            if bytes > MAX_REPLAYED_BYTES {
                return None;
            }
            events.push(json!({"seq": entry.seq, "prev": prev, "event": entry.event.name(), "data": data}));
            prev = entry.seq;
        }
        Some(events)
    }
}
