//! The reference model, first half: what a session means, in as few words as possible.
//!
//! Seats, places, rooms, invitations, flags of both layers, own switches, presenters, Held, and the
//! requests under way. It knows nothing of groups, epochs, workers, events or logs: that the media
//! plane has applied a move is told from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anteroom::base::{BreakoutId, ClientId, Kind, KindSet, Time};
use anteroom::message::{ParentFlags, Refusal};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    #[default]
    Parent,
    Breakout(BreakoutId),
}

/// A move under way; a seat in `to` is reserved.
#[derive(Clone, Copy, Debug)]
pub struct Moving {
    pub to: Place,
    pub as_moderator: bool,
    /// Microphone and camera, as far as they are wanted there.
    pub stream: KindSet,
    pub op: u64,
    pub since: Time,
    /// The media plane was asked; until then the move waits for DTLS.
    pub told: bool,
}

/// Who invited, and until when.
pub type Invitation = (ClientId, Option<Time>);

#[derive(Clone, Debug, Default)]
pub struct Seat {
    pub moderator: bool,
    /// Which connections are there, whether DTLS is done, whether the media plane knows the seat.
    pub signalling: bool,
    pub media: bool,
    pub dtls: bool,
    pub known: bool,
    pub held_since: Option<Time>,
    pub place: Place,
    pub as_moderator: bool,
    pub stream: KindSet,
    pub moving: Option<Moving>,
    /// A move that was given up is being taken back: from which room, and for which request.
    pub taken_back: Option<(BreakoutId, Option<u64>)>,
    pub invited: BTreeMap<BreakoutId, Invitation>,
    pub expired: BTreeSet<BreakoutId>,
    pub leg: ParentFlags,
    pub microphone: bool,
    pub camera: bool,
    /// Who was here before whom.
    pub order: u64,
    /// When one may have come back ten times again.
    pub rested_at: Time,
}

impl Seat {
    /// Whether the media plane moves it.
    pub fn is_on_the_way(&self) -> bool {
        self.taken_back.is_some() || self.moving.is_some_and(|moving| moving.told)
    }
}

/// With members in it, an open room is `Active`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomState {
    Open,
    Cleared,
    Destroyed,
}

#[derive(Clone, Debug)]
pub struct Room {
    pub state: RoomState,
    pub participants: u64,
    pub kinds: KindSet,
    pub open: bool,
    pub owner: Option<ClientId>,
}

/// A request that is answered when the moves it asked for are over.
#[derive(Clone, Debug)]
pub struct Op {
    pub caller: ClientId,
    pub id: String,
    pub left: BTreeSet<ClientId>,
    pub succeeded: bool,
    pub failures: BTreeMap<String, Refusal>,
    /// The rooms to be emptied, and what they are then.
    pub close: Option<(Vec<BreakoutId>, RoomState)>,
}

#[derive(Clone, Debug, Default)]
pub struct Session {
    pub now: Time,
    /// What the operator has set: who may create and force, whether breakouts carry video.
    pub create_by_moderators: bool,
    pub force_by_owner: bool,
    pub breakout_video: bool,
    /// What the parent room carries, and how many talkers one hears.
    pub carried: KindSet,
    pub talkers: u64,
    pub lecture: bool,
    pub seats: BTreeMap<ClientId, Seat>,
    pub rooms: BTreeMap<BreakoutId, Room>,
    pub flags: ParentFlags,
    pub presenting: BTreeMap<Place, (ClientId, Kind)>,
    pub ops: BTreeMap<u64, Op>,
    /// Acks that are due: to whom, to which request, with which code.
    pub acks: Vec<(ClientId, String, u16)>,
    pub count: u64,
}

/// How long a lost seat is kept, and how long a join waits for DTLS.
pub const HELD: Duration = Duration::from_secs(30);
pub const JOINING: Duration = Duration::from_secs(10);

impl Seat {
    /// In the parent, and neither on the way out of it nor being taken back.
    pub fn stays_in_parent(&self) -> bool {
        self.place == Place::Parent && self.moving.is_none() && self.taken_back.is_none()
    }

    /// An invitation does not end while its join is under way.
    pub fn invitation_ends(&self, room: BreakoutId) -> Option<Time> {
        let used = self.moving.is_some_and(|moving| moving.to == Place::Breakout(room));
        self.invited.get(&room)?.1.filter(|_| !used)
    }

    pub fn joining_ends(&self) -> Option<Time> {
        self.moving.filter(|moving| !moving.told).map(|moving| moving.since + JOINING)
    }
}

impl Session {
    pub fn seat(&mut self, who: ClientId) -> &mut Seat {
        self.seats.get_mut(&who).unwrap()
    }

    pub fn people(&self) -> Vec<ClientId> {
        self.seats.keys().copied().collect()
    }

    pub fn is_moderator(&self, who: ClientId) -> bool {
        self.seats.get(&who).is_some_and(|seat| seat.moderator)
    }

    pub fn live(&self) -> Vec<BreakoutId> {
        self.rooms.iter().filter(|(_, r)| r.state != RoomState::Destroyed).map(|(id, _)| *id).collect()
    }

    /// Whether a seat of one kind is free; reserved ones are taken.
    pub fn has_seat(&self, room: BreakoutId, as_moderator: bool) -> bool {
        let place = Place::Breakout(room);
        let reserved = |seat: &Seat| seat.moving.filter(|m| m.to == place).map(|m| m.as_moderator);
        let sits = |seat: &Seat| (seat.place == place).then_some(seat.as_moderator);
        let taken = self.seats.values().filter(|s| reserved(s).or(sits(s)) == Some(as_moderator)).count();
        (taken as u64) < if as_moderator { self.talkers } else { self.rooms[&room].participants }
    }

    // Seats.

    pub fn sit_down(&mut self, who: ClientId, moderator: bool) {
        self.count += 1;
        let (signalling, media, known, microphone, camera) = (true, true, true, true, true);
        let (order, stream) = (self.count, KindSet::ALL);
        let rest = Seat::default();
        let seat = Seat { moderator, signalling, media, known, stream, microphone, camera, order, ..rest };
        self.seats.insert(who, seat);
        self.pass_ownership(None);
    }

    /// Signalling or media is lost or is back.
    pub fn connections(&mut self, who: ClientId, signalling: bool, media: bool) {
        let now = self.now;
        let seat = self.seat(who);
        (seat.signalling, seat.media) = (signalling, media);
        seat.dtls &= media;
        if signalling && media {
            seat.held_since = None;
        } else if seat.held_since.is_none() {
            seat.held_since = Some(now);
            if seat.joining_ends().is_some() {
                self.cancel(who, Refusal::JoinFailed);
            }
            self.stop_presenting(who);
        }
    }

    /// DTLS is done: a move that waited for it goes on.
    pub fn dtls_done(&mut self, who: ClientId) {
        let seat = self.seat(who);
        seat.dtls = seat.media;
        if let Some(moving) = &mut seat.moving {
            moving.told |= seat.dtls;
        }
    }

    /// The media plane has lost everything: all are Held, joins fail, who was coming back is back.
    pub fn media_plane_lost(&mut self) {
        for who in self.people() {
            self.seat(who).known = false;
            let signalling = self.seat(who).signalling;
            self.connections(who, signalling, false);
            self.cancel(who, Refusal::JoinFailed);
        }
        self.people().into_iter().for_each(|who| self.applied(who));
    }

    pub fn stand_up(&mut self, who: ClientId) {
        self.cancel(who, Refusal::JoinFailed);
        self.applied(who);
        self.stop_presenting(who);
        self.seats.remove(&who);
        self.pass_ownership(Some(who));
    }

    /// The leaver's rooms go to the moderator who is here longest, a connected one first.
    pub fn pass_ownership(&mut self, leaver: Option<ClientId>) {
        let moderators = self.seats.iter().filter(|(_, seat)| seat.moderator);
        let heir = moderators.min_by_key(|(_, seat)| (seat.held_since.is_some(), seat.order));
        let heir = heir.map(|(id, _)| *id);
        self.rooms.values_mut().filter(|room| room.owner == leaver).for_each(|room| room.owner = heir);
    }

    pub fn stop_presenting(&mut self, who: ClientId) {
        self.presenting.retain(|_, (presenter, _)| *presenter != who);
    }

    // Moves.

    pub fn start_op(&mut self, caller: ClientId, id: &str) -> u64 {
        self.count += 1;
        let (id, left, failures) = (id.to_owned(), BTreeSet::new(), BTreeMap::new());
        self.ops.insert(self.count, Op { caller, id, left, succeeded: false, failures, close: None });
        self.count
    }

    pub fn op(&mut self, op: u64) -> &mut Op {
        self.ops.get_mut(&op).unwrap()
    }

    /// Somebody is to go into a breakout room.
    pub fn send(&mut self, who: ClientId, op: u64, room: BreakoutId, as_moderator: bool, stream: KindSet) {
        let (to, since, told) = (Place::Breakout(room), self.now, self.seat(who).dtls);
        self.op(op).left.insert(who);
        self.seat(who).moving = Some(Moving { to, as_moderator, stream, op, since, told });
    }

    /// Somebody is to come back, unless on the way already.
    pub fn bring_back(&mut self, who: ClientId, op: u64) {
        let (to, since, stream) = (Place::Parent, self.now, KindSet::ALL);
        let moving = Moving { to, as_moderator: false, stream, op, since, told: true };
        self.seat(who).moving.get_or_insert(moving);
    }

    /// The media plane has applied the last thing that it was told of this seat.
    pub fn applied(&mut self, who: ClientId) {
        if let Some((_, op)) = self.seat(who).taken_back.take() {
            self.over(who, op, None);
        }
        let Some(moving) = self.seat(who).moving.take() else { return };
        self.stop_presenting(who);
        let seat = self.seat(who);
        (seat.place, seat.leg) = (moving.to, ParentFlags::default());
        (seat.as_moderator, seat.stream) = (moving.as_moderator, moving.stream);
        if let Place::Breakout(room) = moving.to {
            seat.invited.clear();
            seat.expired.remove(&room);
            self.rooms.get_mut(&room).unwrap().state = RoomState::Open;
        }
        self.over(who, Some(moving.op), None);
    }

    /// A move into a breakout room will not be; what the media plane was told is taken back.
    pub fn cancel(&mut self, who: ClientId, why: Refusal) {
        let seat = self.seat(who);
        if let Some(Moving { to: Place::Breakout(room), op, told, .. }) = seat.moving {
            seat.moving = None;
            seat.taken_back = (told && seat.known).then_some((room, None));
            self.over(who, Some(op), Some(why));
        }
    }

    /// Nobody waits for this seat any more, because of `op` or others.
    fn over(&mut self, who: ClientId, op: Option<u64>, failure: Option<Refusal>) {
        if let Some(op) = op.and_then(|op| self.ops.get_mut(&op)) {
            op.succeeded |= failure.is_none();
            op.failures.extend(failure.map(|why| (who.to_string(), why)));
        }
        for op in self.ops.keys().copied().collect::<Vec<_>>() {
            if self.ops.get_mut(&op).is_some_and(|op| op.left.remove(&who)) {
                self.finish(op);
            }
        }
    }

    /// The ack, when nobody is on the way any more.
    pub fn finish(&mut self, op: u64) {
        if !self.ops[&op].left.is_empty() {
            return;
        }
        let op = self.ops.remove(&op).unwrap();
        if let Some((rooms, state)) = op.close {
            self.close(&rooms, state);
        }
        let failure = op.failures.values().next().filter(|_| !op.succeeded);
        self.acks.push((op.caller, op.id, failure.map_or(0, |refusal| refusal.code())));
    }

    /// Rooms are cleared or destroyed. Whom the media plane does not know comes back only now.
    fn close(&mut self, rooms: &[BreakoutId], state: RoomState) {
        let inside = |place| matches!(place, Place::Breakout(room) if rooms.contains(&room));
        for who in self.people().into_iter().filter(|who| inside(self.seats[who].place)).collect::<Vec<_>>() {
            self.applied(who);
        }
        for seat in self.seats.values_mut() {
            seat.invited.retain(|room, _| !rooms.contains(room));
            seat.expired.retain(|room| !rooms.contains(room));
        }
        let closed = self.rooms.iter_mut().filter(|(id, _)| rooms.contains(id));
        closed.for_each(|(_, room)| room.state = state);
        if state == RoomState::Destroyed {
            self.flags = ParentFlags::default();
        }
    }

    // Time.

    /// What is due at `now` happens.
    pub fn tick(&mut self, now: Time) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        self.now = now;
        for who in self.people() {
            if due(self.seats[&who].joining_ends()) {
                self.cancel(who, Refusal::JoinTimeout);
            }
            if due(self.seats[&who].held_since.map(|since| since + HELD)) {
                self.stand_up(who);
            }
        }
        for seat in self.seats.values_mut() {
            let over = seat.invited.keys().copied().filter(|room| due(seat.invitation_ends(*room)));
            for room in over.collect::<Vec<_>>() {
                seat.invited.remove(&room);
                seat.expired.insert(room);
            }
        }
    }
}
