//! What control says of itself: its events have to add up to its state, and both have to make sense.

use std::collections::BTreeMap;

use super::person::MODERATORS;
use super::violation::{Invariant, Violations};
use super::world::ROOM;
use crate::base::{BreakoutId, ClientId, Time};
use crate::control::{Audience, Control, LoggedEvent, Replica, RoomView, SeatView, SessionView};
use crate::message::{Event, LeaveReason, Role, RoomRef};

/// What the events of a session have told so far.
#[derive(Debug)]
pub(super) struct Register {
    replica: Replica,
    /// The number of the next event.
    next: u64,
    /// The role that everybody has to have.
    roles: BTreeMap<ClientId, Role>,
    /// Until when the seats are kept that are Held.
    kept: BTreeMap<ClientId, Time>,
    /// A number was missing: what follows says nothing any more.
    is_broken: bool,
}

impl Default for Register {
    fn default() -> Self {
        let (replica, roles, kept) = (Replica::default(), BTreeMap::new(), BTreeMap::new());
        Self { replica, next: 1, roles, kept, is_broken: false }
    }
}

impl Register {
    /// Takes in what is new, and holds it against the session.
    pub(super) fn look(&mut self, now: Time, control: &Control, violations: &mut Violations) {
        let view = control.inspect(ROOM);
        let known = self.replica.view().map(|known| known.seq);
        let Some(view) = view.filter(|view| known.is_none_or(|known| known <= view.seq)) else {
            // The session is over, and another may have begun.
            *self = Self::default();
            return;
        };
        for logged in control.events(ROOM, self.next) {
            self.next = logged.seq + 1;
            self.take(now, logged, violations);
        }
        check_places(now, &view, violations);
        self.check_roles(now, &view, violations);
        violations.checked(Invariant::I19, 1);
        if !self.is_broken && self.replica.difference(&view).is_some() {
            let text = || "the events do not add up to the session".to_owned();
            violations.note(now, Invariant::I19, text);
        }
    }

    /// How many seats are kept for who is away.
    pub(super) fn held(&self) -> usize {
        self.kept.len()
    }

    fn take(&mut self, now: Time, logged: &LoggedEvent, violations: &mut Violations) {
        violations.checked(Invariant::I19, 1);
        if !self.is_broken
            && let Err(gap) = self.replica.apply(logged)
        {
            self.is_broken = true;
            violations.note(now, Invariant::I19, || gap.to_string());
        }
        match &logged.event {
            Event::BreakoutRoomJoining { client, room, forced, .. } => {
                let knows = self.replica.view().filter(|_| !self.is_broken && !forced);
                if knows.is_some_and(|view| !may_join(view, *client, *room)) {
                    let text = || format!("{client} goes into {room}, and nobody has invited it");
                    violations.note(now, Invariant::I19, text);
                }
            }
            Event::UserConnected { person, role, .. } => {
                let number = person.name.rsplit(' ').next().and_then(|number| number.parse().ok());
                let is_moderator = number.is_some_and(|number: usize| number < MODERATORS);
                self.check_rise(now, *role, is_moderator, violations);
                self.roles.insert(person.id, *role);
            }
            Event::RoleChanged { person, role, by } => {
                let is_moderators = self.roles.get(by) == Some(&Role::Moderator);
                self.check_rise(now, *role, is_moderators, violations);
                self.roles.insert(person.id, *role);
            }
            Event::UserReconnecting { person, until } => _ = self.kept.insert(person.id, *until),
            Event::UserReconnected { person } => _ = self.kept.remove(&person.id),
            Event::UserDisconnected { person, reason } => {
                self.roles.remove(&person.id);
                let kept = self.kept.remove(&person.id);
                if *reason == LeaveReason::Expired && kept.is_none_or(|until| logged.at < until) {
                    let text = || format!("{}'s seat was to be kept until {kept:?}", person.name);
                    violations.note(now, Invariant::I19, text);
                }
            }
            _ => {}
        }
        self.check_audience(now, logged, violations);
    }

    fn check_rise(&self, now: Time, role: Role, may: bool, violations: &mut Violations) {
        violations.checked(Invariant::I21, 1);
        if role == Role::Moderator && !may {
            violations.note(now, Invariant::I21, || "somebody is a moderator by nobody's word".to_owned());
        }
    }

    /// What is said in one room, or to one person, is nobody else's.
    fn check_audience(&self, now: Time, logged: &LoggedEvent, violations: &mut Violations) {
        let Some(view) = self.replica.view().filter(|_| !self.is_broken) else { return };
        let may_know = |client: &ClientId| match &logged.event {
            Event::ActiveTalkers { room: RoomRef::Parent(_), .. } => {
                view.seats.get(client).is_some_and(|seat| !seat.away())
            }
            Event::ActiveTalkers { room: RoomRef::Breakout(room), .. } => {
                view.seats.get(client).is_some_and(|seat| seat.breakout() == Some(*room))
            }
            Event::Slots { client: whose, .. } | Event::InvitationForBreakoutRoom { client: whose, .. } => {
                client == whose
            }
            _ => true,
        };
        let outsider = match &logged.audience {
            Audience::Nobody => None,
            Audience::Everyone => view.seats.keys().find(|client| !may_know(client)),
            Audience::Only(clients) => clients.iter().find(|client| !may_know(client)),
        };
        if let Some(outsider) = outsider {
            let name = logged.event.name();
            violations.note(now, Invariant::I19, || format!("{outsider} is told {name} and is an outsider"));
        }
    }

    fn check_roles(&self, now: Time, view: &SessionView, violations: &mut Violations) {
        violations.checked(Invariant::I21, u64::try_from(view.seats.len()).unwrap_or(0));
        for (client, seat) in &view.seats {
            if self.roles.get(client) != Some(&seat.role) {
                let text = || format!("{} is {:?}, and no event says so", seat.name, seat.role);
                violations.note(now, Invariant::I21, text);
            }
        }
    }
}

/// Whether somebody may go into a room by itself.
fn may_join(view: &SessionView, client: ClientId, room: BreakoutId) -> bool {
    let is_moderator = view.seats.get(&client).is_some_and(|seat| seat.role == Role::Moderator);
    let is_let_in = |found: &RoomView| found.open || found.owner == Some(client);
    is_moderator
        || view.rooms.get(&room).is_some_and(is_let_in)
        || view.invitations.contains_key(&(room, client))
}

/// Everybody is in one place, and no room has more people than seats.
fn check_places(now: Time, view: &SessionView, violations: &mut Violations) {
    let count = |len: usize| u64::try_from(len).unwrap_or(0);
    violations.checked(Invariant::I1, count(view.seats.len()));
    violations.checked(Invariant::I17, count(view.rooms.len()));
    for (id, room) in &view.rooms {
        for client in room.members.keys() {
            if view.seats.get(client).and_then(SeatView::breakout) != Some(*id) {
                violations
                    .note(now, Invariant::I1, || format!("{client} is in the list of {id} and not there"));
            }
        }
        let taken = || room.members.values().chain(room.joining.values());
        let hosts = taken().filter(|role| **role == Role::Moderator).count();
        let people = taken().count() - hosts;
        if count(people) > u64::from(room.participants)
            || hosts > usize::from(view.settings.max_active_talkers)
        {
            violations
                .note(now, Invariant::I17, || format!("{id} has {people} people and {hosts} moderators"));
        }
    }
    for (client, seat) in &view.seats {
        let room = seat.breakout().map(|room| view.rooms.get(&room));
        if room.is_some_and(|room| room.is_none_or(|room| !room.members.contains_key(client))) {
            violations
                .note(now, Invariant::I1, || format!("{} is in a room that does not know it", seat.name));
        }
    }
}
