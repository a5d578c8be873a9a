//! Whom the contract lets hear an event, by the state of the session before it.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::base::{BreakoutId, ClientId};
use anteroom::control::{PlaceView, SessionView};
use anteroom::message::{Event, ReturnReason, Role, RoomRef};

pub type People = BTreeSet<ClientId>;

/// Who has to be told, and who else may be.
pub struct Rule {
    pub must: People,
    pub may: People,
}

fn exactly(people: People) -> Rule {
    Rule { may: people.clone(), must: people }
}

fn one(client: ClientId) -> Rule {
    exactly(People::from([client]))
}

fn everyone(view: &SessionView) -> People {
    view.seats.keys().copied().collect()
}

/// Who is in the parent room, with a seat reserved elsewhere or not.
fn parent(view: &SessionView) -> People {
    view.seats.iter().filter(|(_, seat)| !seat.away()).map(|(id, _)| *id).collect()
}

fn members(view: &SessionView, room: BreakoutId) -> People {
    let there = |place| matches!(place, PlaceView::Breakout { room: id, .. } if id == room);
    view.seats.iter().filter(|(_, seat)| there(seat.place)).map(|(id, _)| *id).collect()
}

fn moderators(view: &SessionView) -> People {
    view.seats.iter().filter(|(_, seat)| seat.role == Role::Moderator).map(|(id, _)| *id).collect()
}

fn moderators_and_owner(view: &SessionView, room: BreakoutId) -> People {
    let mut people = moderators(view);
    people.extend(view.rooms.get(&room).and_then(|room| room.owner).filter(|id| view.seats.contains_key(id)));
    people
}

fn in_room(view: &SessionView, room: &RoomRef) -> People {
    match room {
        RoomRef::Parent(_) => parent(view),
        RoomRef::Breakout(id) => members(view, *id),
    }
}

/// People, but for one.
fn others(mut people: People, client: ClientId) -> People {
    people.remove(&client);
    people
}

/// Who invited whom into which room last.
pub type Inviters = BTreeMap<(BreakoutId, ClientId), ClientId>;

/// The rule for `event`, which happened in the state `view`.
pub fn rule(view: &SessionView, inviters: &Inviters, event: &Event) -> Rule {
    match event {
        Event::RoomStarted { .. } => exactly(People::new()),
        Event::ParentStateChanged { .. } => Rule { must: parent(view), may: everyone(view) },
        Event::TransportLost { client, .. }
        | Event::Slots { client, .. }
        | Event::InvitationForBreakoutRoom { client, .. }
        | Event::InvitationWithdrawn { client, .. } => one(*client),
        Event::PresentationStarted { room, .. } | Event::PresentationStopped { room, .. } => {
            exactly(in_room(view, room))
        }
        Event::ActiveTalkers { room, .. } => exactly(in_room(view, room)),
        Event::BreakoutRoomCreated { .. } => exactly(moderators(view)),
        Event::BreakoutRoomInvited { invitation, .. } => exactly(moderators_and_owner(view, invitation.room)),
        Event::BreakoutRoomInviteRejected { person, room, .. } => {
            let mut people = moderators_and_owner(view, *room);
            let inviter = inviters.get(&(*room, person.id)).copied();
            people.extend(inviter.filter(|id| view.seats.contains_key(id)));
            exactly(people)
        }
        Event::BreakoutRoomJoining { client, forced, .. } => {
            if *forced {
                one(*client)
            } else {
                exactly(People::new())
            }
        }
        // The caller hears of a failed join by the ack; who is forced hears it as an event.
        Event::FailedJoinBreakoutRoom { client, .. } => {
            Rule { must: People::new(), may: People::from([*client]) }
        }
        Event::ConnectedBreakoutRoom(connected) => {
            Rule { must: People::new(), may: People::from([connected.client]) }
        }
        Event::UserPaused { person } => exactly(others(parent(view), person.id)),
        Event::UserResumed { person } => exactly(others(parent(view), person.id)),
        Event::UserJoinedBreakoutRoom { person, room, .. } => {
            let mut people = moderators_and_owner(view, *room);
            people.extend(members(view, *room));
            exactly(others(people, person.id))
        }
        Event::DisconnectedBreakoutRoom(back) => match back.reason {
            ReturnReason::Cleared | ReturnReason::Destroyed => one(back.client),
            ReturnReason::Own | ReturnReason::Seat(_) => exactly(People::new()),
        },
        Event::UserDisconnectedFromBreakoutRoom { person, room, reason } => {
            let mut people = moderators_and_owner(view, *room);
            if matches!(reason, ReturnReason::Own | ReturnReason::Seat(_)) {
                people.extend(members(view, *room));
            }
            exactly(others(people, person.id))
        }
        Event::ClearedBreakoutRoom { room, .. } | Event::DestroyedBreakoutRoom { room, .. } => {
            exactly(moderators_and_owner(view, *room))
        }
        Event::OwnerChanged { room, owner } => {
            let mut people = moderators_and_owner(view, *room);
            people.extend(owner.as_ref().map(|person| person.id));
            Rule { must: people, may: everyone(view) }
        }
        Event::LegStateChanged { person, .. } => {
            Rule { must: others(parent(view), person.id), may: everyone(view) }
        }
        Event::RoomEnded { .. }
        | Event::RoomModeChanged { .. }
        | Event::UserConnected { .. }
        | Event::UserDisconnected { .. }
        | Event::UserReconnecting { .. }
        | Event::UserReconnected { .. }
        | Event::RoleChanged { .. }
        | Event::MicrophoneChanged { .. }
        | Event::CameraChanged { .. } => Rule { must: People::new(), may: everyone(view) },
    }
}
