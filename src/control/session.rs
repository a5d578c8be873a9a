//! A parent room together with its breakout rooms.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::breakout::Breakout;
use super::clear_destroy::Barrier;
use super::connect::Fresh;
use super::context::{Context, SessionId};
use super::deadline::Deadline;
use super::force::Forced;
use super::kept::Kept;
use super::log::{Audience, EventLog};
use super::moves::Batch;
use super::save::SavedMarks;
use super::seat::Seat;
use super::spread::Spread;
use super::view::InvitationView;
use crate::base::{BatchId, BreakoutId, ClientId, Deadlines, GroupId, LinkId, ParticipantId};
use crate::message::{
    EndReason, Event, GroupSettings, ParentFlags, Person, Presentation, Refusal, Request, Role, RoomMode,
    RoomRef, RoomSettings,
};

/// How many destroyed breakout rooms a session remembers, to tell them from unknown ones.
pub(super) const MAX_DESTROYED: usize = 1_000;

/// How long a room that a join made stays without seats.
pub(super) const EMPTY_FOR: Duration = Duration::from_secs(60);

pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) name: Arc<str>,
    pub(super) spread: Spread,
    pub(super) settings: RoomSettings,
    pub(super) mode: RoomMode,
    pub(super) by_admin: bool,
    /// The parent room's group.
    pub(super) group: GroupId,
    /// The room layer of the parent room.
    pub(super) flags: ParentFlags,
    pub(super) presenter: Option<(ClientId, Presentation)>,
    /// At most `max_participants`, together with `fresh`.
    pub(super) seats: Kept<ClientId, Seat>,
    pub(super) moderators: BTreeSet<ClientId>,
    /// Who is in the parent room.
    pub(super) parent: BTreeSet<ClientId>,
    /// At most [`super::create::MAX_ROOMS`].
    pub(super) rooms: Kept<BreakoutId, Breakout>,
    /// Oldest first.
    pub(super) destroyed: VecDeque<BreakoutId>,
    /// How many breakout rooms were ever made, for their names.
    pub(super) made: u64,
    /// At most seats times live rooms.
    pub(super) invitations: Kept<(BreakoutId, ClientId), InvitationView>,
    /// Invitations that have expired, to tell them from none. Bounded likewise.
    pub(super) expired: Kept<(BreakoutId, ClientId), ()>,
    /// Joins that wait for the answer to their offer.
    pub(super) fresh: BTreeMap<ParticipantId, Fresh>,
    /// Batches that not all workers have reported yet.
    pub(super) batches: BTreeMap<BatchId, Batch>,
    /// Operations that wait for the people whom they force.
    pub(super) forced: BTreeMap<u64, Forced>,
    /// The clear or destroy that is under way.
    pub(super) barrier: Option<Barrier>,
    /// Requests that wait for it.
    pub(super) deferred: VecDeque<(LinkId, ClientId, Request)>,
    /// What the worker was told last of each group.
    pub(super) groups: BTreeMap<GroupId, GroupSettings>,
    pub(super) log: EventLog,
    pub(super) deadlines: Deadlines<Deadline>,
    pub(super) ended: Option<EndReason>,
    pub(super) saved: SavedMarks,
}

impl Session {
    pub(super) fn new(
        cx: &mut Context,
        id: SessionId,
        name: &str,
        settings: RoomSettings,
        by_admin: bool,
    ) -> Self {
        let mut session = Self::bare(cx, id, name, settings, by_admin);
        let name = Arc::clone(&session.name);
        let started = Event::RoomStarted { name, settings: session.settings.clone(), by_admin };
        session.tell(cx, started, Audience::Nobody);
        session.sync_group(cx, session.group);
        session.mind_emptiness(cx);
        session
    }

    /// A session of which nobody knows yet.
    pub(super) fn bare(
        cx: &mut Context,
        id: SessionId,
        name: &str,
        settings: RoomSettings,
        by_admin: bool,
    ) -> Self {
        let worker = cx.idlest_worker();
        cx.load_more(worker);
        Self {
            id,
            name: name.into(),
            spread: Spread::on(worker),
            mode: settings.mode,
            settings,
            by_admin,
            group: cx.next_group(id),
            flags: ParentFlags::default(),
            presenter: None,
            seats: Kept::default(),
            moderators: BTreeSet::new(),
            parent: BTreeSet::new(),
            rooms: Kept::default(),
            destroyed: VecDeque::new(),
            made: 0,
            invitations: Kept::default(),
            expired: Kept::default(),
            fresh: BTreeMap::new(),
            batches: BTreeMap::new(),
            forced: BTreeMap::new(),
            barrier: None,
            deferred: VecDeque::new(),
            groups: BTreeMap::new(),
            log: EventLog::default(),
            deadlines: Deadlines::default(),
            ended: None,
            saved: SavedMarks::default(),
        }
    }

    /// Starts or stops the time after which an empty room ends.
    pub(super) fn mind_emptiness(&mut self, cx: &Context) {
        if self.seats.is_empty() && self.fresh.is_empty() && !self.by_admin {
            self.deadlines.set(Deadline::Empty, cx.now + EMPTY_FOR);
        } else {
            self.deadlines.clear(&Deadline::Empty);
        }
    }

    /// A live room, or why it is none.
    pub(super) fn room(&self, room: BreakoutId) -> Result<&Breakout, Refusal> {
        self.rooms.get(&room).ok_or_else(|| {
            if self.destroyed.contains(&room) { Refusal::RoomDestroyed } else { Refusal::UnknownRoom }
        })
    }

    pub(super) fn remember_destroyed(&mut self, room: BreakoutId) {
        if self.destroyed.len() >= MAX_DESTROYED {
            self.destroyed.pop_front();
        }
        self.destroyed.push_back(room);
    }

    /// The caller's seat. Every caller has one.
    pub(super) fn seat(&self, client: ClientId) -> Result<&Seat, Refusal> {
        self.seats.get(&client).ok_or(Refusal::NotConnected)
    }

    /// The caller's seat, if the caller is connected.
    pub(super) fn connected(&self, client: ClientId) -> Result<&Seat, Refusal> {
        let seat = self.seat(client)?;
        if seat.connected() { Ok(seat) } else { Err(Refusal::NotConnected) }
    }

    /// The caller's seat, if the caller is a connected moderator.
    pub(super) fn moderator(&self, client: ClientId) -> Result<&Seat, Refusal> {
        let seat = self.connected(client)?;
        if seat.is_moderator() { Ok(seat) } else { Err(Refusal::Forbidden) }
    }

    /// The caller's seat, if the caller is connected and breakout rooms exist in this mode.
    pub(super) fn breakout_caller(&self, client: ClientId) -> Result<&Seat, Refusal> {
        let seat = self.connected(client)?;
        if self.mode == RoomMode::Lecture { Err(Refusal::LectureMode) } else { Ok(seat) }
    }

    pub(super) fn person(&self, client: ClientId) -> Person {
        self.seats.get(&client).map_or_else(|| Person { id: client, name: Arc::from("") }, Seat::person)
    }

    pub(super) fn owns(&self, client: ClientId, room: BreakoutId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.owner == Some(client))
    }

    pub(super) fn parent_ref(&self) -> RoomRef {
        RoomRef::Parent(Arc::clone(&self.name))
    }

    /// The room whose group this is.
    pub(super) fn room_of(&self, group: GroupId) -> Option<RoomRef> {
        if group == self.group {
            return Some(self.parent_ref());
        }
        self.rooms.values().find(|room| room.group == group).map(|room| RoomRef::Breakout(room.id))
    }

    /// The moderator who is here longest; a connected one before a Held one.
    pub(super) fn senior_moderator(&self) -> Option<ClientId> {
        let seats = self.moderators.iter().filter_map(|client| self.seats.get(client));
        seats.min_by_key(|seat| (!seat.connected(), seat.since)).map(|seat| seat.client)
    }

    /// Gives the rooms that `leaver` owned to the moderator who is here longest.
    pub(super) fn pass_ownership(&mut self, cx: &mut Context, leaver: Option<ClientId>) {
        let heir = self.senior_moderator();
        if leaver.is_none() && heir.is_none() {
            return;
        }
        let passed: Vec<BreakoutId> =
            self.rooms.values().filter(|room| room.owner == leaver).map(|room| room.id).collect();
        for room in passed {
            if let Some(room) = self.rooms.get_mut(&room) {
                room.owner = heir;
            }
            let owner = heir.map(|heir| self.person(heir));
            let audience = Audience::of(self.moderators.iter().copied(), None);
            self.tell(cx, Event::OwnerChanged { room, owner }, audience);
        }
    }

    pub(super) fn set_role(&mut self, client: ClientId, role: Role) {
        if let Some(seat) = self.seats.get_mut(&client) {
            seat.role = role;
        }
        match role {
            Role::Moderator => self.moderators.insert(client),
            Role::Participant => self.moderators.remove(&client),
        };
    }
}
