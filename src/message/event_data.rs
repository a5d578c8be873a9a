//! What clients are shown of each event, as JSON.

use serde_json::{Value, json};

use super::event::{
    BreakoutDetails, ConnectedBreakoutRoom, DisconnectedBreakoutRoom, EndReason, Event, Invitation,
    LeaveReason, Member, ParentFlags, Person, Presentation, RejectReason, ReturnReason, SlotState,
    WithdrawReason,
};
use super::{LossReason, SlotReason};
use crate::base::{Kind, Time};

pub(super) fn of(event: &Event) -> Value {
    match event {
        Event::RoomStarted { name, settings, .. } => {
            json!({"room_id": &**name, "settings": settings})
        }
        Event::RoomEnded { reason } => json!({"reason": reason.as_str()}),
        Event::RoomModeChanged { mode, by } => json!({"mode": mode, "by": by}),
        Event::ParentStateChanged { state, by } => with(state.to_json("room"), "by", json!(by)),
        Event::UserConnected { person, role, .. } => with(person.fields(), "role", json!(role)),
        Event::UserDisconnected { person, reason } => with(person.fields(), "reason", json!(reason.as_str())),
        Event::UserReconnecting { person, until } => with(person.fields(), "until", json!(until.as_millis())),
        Event::UserReconnected { person } | Event::UserPaused { person } | Event::UserResumed { person } => {
            person.fields()
        }
        Event::RoleChanged { person, role, by } => {
            with(with(person.fields(), "role", json!(role)), "by", json!(by))
        }
        Event::MicrophoneChanged { person, on } | Event::CameraChanged { person, on } => {
            with(person.fields(), "on", json!(on))
        }
        Event::TransportLost { reason, .. } => json!({"reason": loss_name(*reason)}),
        Event::LegStateChanged { person, state } => with(person.fields(), "state", state.to_json("leg")),
        Event::Slots { epoch, room, slots, .. } => {
            // The most frequent event by far: `json!` would make each slot a second time.
            let slots = Value::Array(slots.iter().map(SlotState::to_json).collect());
            with(json!({"epoch": epoch, "room_id": room.to_string()}), "slots", slots)
        }
        Event::ActiveTalkers { room, active } => {
            let active: Vec<Value> =
                active.iter().map(|(person, level)| with(person.fields(), "level", json!(level))).collect();
            json!({"room_id": room.to_string(), "active": active})
        }
        Event::PresentationStarted { person, kind, room }
        | Event::PresentationStopped { person, kind, room } => {
            let data = with(person.fields(), "streamId", json!(kind.stream_id()));
            with(data, "room_id", json!(room.to_string()))
        }
        breakout => of_breakout(breakout),
    }
}

fn of_breakout(event: &Event) -> Value {
    match event {
        Event::BreakoutRoomCreated { creator, rooms } => {
            let details: Vec<Value> = rooms.iter().map(BreakoutDetails::to_json).collect();
            json!({"creator": creator.to_json(), "details": details})
        }
        Event::InvitationForBreakoutRoom { invitation, .. } => invitation.to_json(),
        Event::BreakoutRoomInvited { person, invitation } => {
            let data = with(invitation.to_json(), "clientId", json!(person.id));
            with(data, "clientName", json!(&*person.name))
        }
        Event::InvitationWithdrawn { room, reason, .. } => {
            json!({"room_id": room, "reason": reason.as_str()})
        }
        Event::BreakoutRoomInviteRejected { person, room, reason } => {
            let data = with(person.fields(), "room_id", json!(room));
            with(data, "reason", json!(reason.as_str()))
        }
        Event::BreakoutRoomJoining { room, name, role, .. } => {
            json!({"room_id": room, "name": &**name, "role": role})
        }
        Event::FailedJoinBreakoutRoom { room, refusal, .. } => with(refusal.data(), "room_id", json!(room)),
        Event::ConnectedBreakoutRoom(connected) => connected.to_json(),
        Event::UserJoinedBreakoutRoom { person, role, room } => {
            with(with(person.fields(), "role", json!(role)), "room_id", json!(room))
        }
        Event::DisconnectedBreakoutRoom(disconnected) => disconnected.to_json(),
        Event::UserDisconnectedFromBreakoutRoom { person, room, reason } => {
            let data = with(person.fields(), "room", json!(room));
            with(data, "reason", json!(reason.as_str()))
        }
        Event::ClearedBreakoutRoom { room, by } => json!({"room_id": room, "by": by}),
        Event::DestroyedBreakoutRoom { room, reason } => json!({"room_id": room, "reason": reason.as_str()}),
        Event::OwnerChanged { room, owner } => {
            json!({"room_id": room, "owner": owner.as_ref().map(Person::to_json)})
        }
        // The others are in `of`. An event that is in neither shows nothing, which the world of
        // tests/control_operations.rs takes for a mistake.
        _ => Value::Null,
    }
}

/// `data` with one more field.
fn with(mut data: Value, key: &str, value: Value) -> Value {
    if let Value::Object(map) = &mut data {
        map.insert(key.to_owned(), value);
    }
    data
}

/// A moment as clients read it: milliseconds since the Unix epoch.
fn moment(time: Option<Time>) -> Value {
    time.map_or(Value::Null, |time| json!(time.as_millis()))
}

const fn loss_name(reason: LossReason) -> &'static str {
    match reason {
        LossReason::Consent => "consent",
        LossReason::Handshake => "handshake",
        LossReason::Fingerprint => "fingerprint",
        LossReason::Closed => "closed",
        LossReason::Worker => "worker",
    }
}

impl Person {
    /// `{id, name}`, where the person is part of something else.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"id": self.id, "name": &*self.name})
    }

    /// `{clientId, name}`, where the event is about the person.
    fn fields(&self) -> Value {
        json!({"clientId": self.id, "name": &*self.name})
    }
}

impl Presentation {
    /// 101 for a screen, 102 for a canvas.
    #[must_use]
    pub const fn stream_id(self) -> u32 {
        match self {
            Self::Screen => 101,
            Self::Canvas => 102,
        }
    }

    fn of_presenter(presenter: Option<&(Person, Self)>) -> Value {
        presenter
            .map_or(Value::Null, |(person, kind)| with(person.fields(), "streamId", json!(kind.stream_id())))
    }
}

impl ParentFlags {
    /// `{paused, audio_muted, video_muted, scope}`; the scope is `room` or `leg`.
    #[must_use]
    pub fn to_json(self, scope: &str) -> Value {
        json!({
            "paused": self.paused,
            "audio_muted": self.audio_muted,
            "video_muted": self.video_muted,
            "scope": scope,
        })
    }
}

impl BreakoutDetails {
    /// One entry of `details`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "room_id": self.room,
            "name": &*self.name,
            "participants": self.participants,
            "audio": self.audio,
            "video": self.video,
            "canvas": self.canvas,
            "share": self.share,
            "open": self.open,
            "owner": self.owner,
        })
    }
}

impl Member {
    /// One entry of a breakout room's `userList`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        with(self.person.fields(), "role", json!(self.role))
    }
}

impl Invitation {
    /// `{room_id, name, requestor, expires_at}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "room_id": self.room,
            "name": &*self.name,
            "requestor": self.requestor.to_json(),
            "expires_at": moment(self.expires_at),
        })
    }
}

impl ConnectedBreakoutRoom {
    fn to_json(&self) -> Value {
        let users: Vec<Value> = self.users.iter().map(Member::to_json).collect();
        let details = &self.details;
        json!({
            "result": 0,
            "msg": "Breakout Room connected",
            "room_id": details.room,
            "name": &*details.name,
            "parent_room_id": &*self.parent,
            "isBreakOutRoom": true,
            "role": self.role,
            "userList": users,
            "presenter": Presentation::of_presenter(self.presenter.as_ref()),
            "settings": {
                "participants": details.participants,
                "audio": details.audio,
                "video": details.video,
                "canvas": details.canvas,
                "share": details.share,
                "open": details.open,
                "owner": details.owner,
                "max_active_talkers": self.max_active_talkers,
            },
        })
    }
}

impl DisconnectedBreakoutRoom {
    fn to_json(&self) -> Value {
        json!({
            "result": 0,
            "msg": "Breakout Room disconnected",
            "moderatorId": self.moderator.map_or_else(String::new, |id| id.to_string()),
            "room_id": self.room,
            "reason": self.reason.as_str(),
            "state": self.state.to_json("room"),
            "away": self.away,
            "presenter": Presentation::of_presenter(self.presenter.as_ref()),
        })
    }
}

impl SlotState {
    /// One entry of `slots`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let kind = if self.client.is_some() || self.kind == Kind::Audio { self.kind } else { Kind::Video };
        let mut slot = json!({
            "mid": self.mid,
            "kind": kind,
            "clientId": self.client,
            "streamId": self.stream_id,
            "ssrc": self.ssrc,
            "from_seq": self.from_seq,
        });
        if let Some(reason) = self.reason {
            slot = with(slot, "reason", json!(reason.as_str()));
        }
        slot
    }
}

impl SlotReason {
    /// The reason's name in the client protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Congestion => "congestion",
        }
    }
}

impl LeaveReason {
    /// The reason's name in the client protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Removed => "removed",
            Self::Expired => "expired",
        }
    }
}

impl WithdrawReason {
    /// The reason's name in the client protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::JoinedOther => "joined_other",
            Self::Cleared => "cleared",
            Self::Destroyed => "destroyed",
        }
    }
}

impl RejectReason {
    /// The reason's name in the client protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

impl ReturnReason {
    /// The reason's name in the client protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Cleared => "cleared",
            Self::Destroyed => "destroyed",
            Self::Seat(reason) => reason.as_str(),
        }
    }
}

impl EndReason {
    /// The reason's name in the client protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::Ended => "ended",
            Self::Deleted => "deleted",
            Self::Empty => "empty",
        }
    }
}
