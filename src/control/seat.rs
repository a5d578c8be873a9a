//! One participant's seat in a session.

use std::sync::Arc;

use serde_json::Value;

use super::answers::Answers;
use super::reply::ReplyTo;
use crate::base::{
    BatchId, BreakoutId, Bucket, ClientId, Epoch, GroupId, KindSet, LinkId, ParticipantId, Time, WorkerId,
};
use crate::message::{ParentFlags, Person, ReturnReason, Role, SlotState, Tracks};

/// What a participant wants to publish in a breakout room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) audio: bool,
    pub(super) video: bool,
}

/// A stay in a breakout room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) room: BreakoutId,
    pub(super) role: Role,
    pub(super) stream: Stream,
    /// The own flags on the leg that stays in the parent room.
    pub(super) leg: ParentFlags,
}

/// Where a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Parent,
    Breakout(Stay),
}

/// Who wants a participant in a breakout room.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// The participant.
    Own(ReplyTo),
    /// Somebody's operation that forces.
    Forced(u64),
}

/// A join that is under way. Its seat is reserved.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) stay: Stay,
    pub(super) cause: Cause,
    /// Camera was asked for and the room carries none.
    pub(super) video_dropped: bool,
    /// The batch that moves the participant; nothing while it waits for its own media connection.
    pub(super) batch: Option<BatchId>,
}

/// A way back into the parent room.
#[derive(Clone, Debug)]
pub(super) struct Return {
    pub(super) batch: Option<BatchId>,
    pub(super) reason: ReturnReason,
    /// The moderator or owner who brings the participant back.
    pub(super) by: Option<ClientId>,
    /// The participant's own `disconnect`.
    pub(super) reply: Option<ReplyTo>,
}

/// What is under way with a participant. At most one thing at a time.
#[derive(Clone, Debug)]
pub(super) enum Movement {
    /// Into a breakout room.
    Join(Join),
    /// Out of it.
    Return(Return),
    /// A join was given up after the media plane was told of it, and is taken back there. `wish` is
    /// the participant's own request to give it up, and the number of the change that did.
    TakeBack { batch: Option<BatchId>, wish: Option<(ReplyTo, u64)>, room: BreakoutId },
}

impl Movement {
    pub(super) const fn batch(&self) -> Option<BatchId> {
        match self {
            Self::Join(Join { batch, .. })
            | Self::Return(Return { batch, .. })
            | Self::TakeBack { batch, .. } => *batch,
        }
    }

    pub(super) const fn batch_mut(&mut self) -> &mut Option<BatchId> {
        match self {
            Self::Join(Join { batch, .. })
            | Self::Return(Return { batch, .. })
            | Self::TakeBack { batch, .. } => batch,
        }
    }
}

/// What the media worker was told last of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) epoch: Epoch,
    pub(super) group: GroupId,
    pub(super) publish: KindSet,
}

/// The media connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// ICE and DTLS are under way.
    Connecting,
    Up,
    Lost,
}

/// A new connection that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Reconnect {
    pub(super) reply: ReplyTo,
    /// What the worker is still to be told.
    pub(super) offer: Option<Offer>,
    /// The placement that it was told with it.
    pub(super) epoch: Option<Epoch>,
    /// What the worker was told before; it holds again if the offer is refused.
    pub(super) previous: Option<Sent>,
    /// The secret that the client gave.
    pub(super) secret: u128,
}

/// What a new connection is made of.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) sdp: String,
    pub(super) tracks: Option<Tracks>,
}

/// An ICE restart that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Restart {
    /// Tells its answer from a late one to the restart before it.
    pub(super) number: u64,
    pub(super) reply: ReplyTo,
}

pub(super) struct Seat {
    pub(super) client: ClientId,
    pub(super) participant: ParticipantId,
    /// Whose its media connection is, for as long as the seat lasts.
    pub(super) worker: WorkerId,
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// The number of the event with which the seat was taken: who has the smallest is here longest.
    pub(super) since: u64,
    pub(super) microphone: bool,
    pub(super) camera: bool,
    pub(super) place: Place,
    pub(super) movement: Option<Movement>,
    pub(super) link: Option<LinkId>,
    pub(super) media: Media,
    pub(super) held_until: Option<Time>,
    /// Nothing if the worker does not know the participant.
    pub(super) sent: Option<Sent>,
    /// The highest epoch given.
    pub(super) epoch: Epoch,
    /// The epoch of the placement that the worker has reported last.
    pub(super) confirmed: Epoch,
    /// The epoch of the connection in use.
    pub(super) connection: Epoch,
    pub(super) connecting: Option<Reconnect>,
    pub(super) restarting: Option<Restart>,
    pub(super) slots: Arc<[SlotState]>,
    /// The secret that brings a client back to this seat.
    pub(super) resume: u128,
    /// The one that its link came with, until that link shows that it was told the new one.
    pub(super) previous: Option<u128>,
    /// Name and end of the token that its last link was opened with.
    pub(super) token: (String, Time),
    pub(super) answers: Answers,
    /// The returns to it that are allowed now.
    pub(super) returns: Bucket,
    /// The number of the last event that was addressed to this seat.
    pub(super) last_event: u64,
    /// The number of the last one that the log does not hold any more.
    pub(super) last_forgotten: u64,
}

impl Seat {
    pub(super) fn person(&self) -> Person {
        Person { id: self.client, name: Arc::clone(&self.name) }
    }

    /// Joined and not Held.
    pub(super) const fn connected(&self) -> bool {
        self.held_until.is_none()
    }

    /// What its slots carry, as acks tell it.
    pub(super) fn slots_json(&self) -> Vec<Value> {
        self.slots.iter().map(SlotState::to_json).collect()
    }

    pub(super) fn is_moderator(&self) -> bool {
        self.role == Role::Moderator
    }

    /// The breakout room that the participant is in.
    pub(super) const fn stay(&self) -> Option<&Stay> {
        match &self.place {
            Place::Parent => None,
            Place::Breakout(stay) => Some(stay),
        }
    }

    pub(super) fn breakout(&self) -> Option<BreakoutId> {
        self.stay().map(|stay| stay.room)
    }

    /// The join that is under way.
    pub(super) const fn join(&self) -> Option<&Join> {
        match &self.movement {
            Some(Movement::Join(join)) => Some(join),
            _ => None,
        }
    }

    /// Whether the participant is on the way back.
    pub(super) const fn is_returning(&self) -> bool {
        matches!(self.movement, Some(Movement::Return(_)))
    }

    /// Where the media worker was last told to put the participant.
    pub(super) const fn target(&self) -> Place {
        match &self.movement {
            Some(Movement::Join(Join { stay, batch: Some(_), .. })) => Place::Breakout(*stay),
            Some(Movement::Return(_) | Movement::TakeBack { .. }) => Place::Parent,
            _ => self.place,
        }
    }

    /// The secret that is given, if it brings a client back to this seat. One spelling only, like an id.
    pub(super) fn opened_by(&self, given: &str) -> Option<u128> {
        let ClientId(given) = given.parse().ok()?;
        (given == self.resume || Some(given) == self.previous).then_some(given)
    }

    /// A new epoch: higher than any before it, and after a restart too, because it starts at the
    /// time in microseconds.
    pub(super) fn next_epoch(&mut self, now: Time) -> Epoch {
        self.epoch = Epoch(self.epoch.next().0.max(now.as_micros()));
        self.epoch
    }
}
