//! The session rebuilt from its events alone.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::base::{BreakoutId, ClientId, Kind, KindSet};
use anteroom::control::{BreakoutState, InvitationView, PlaceView, RoomView, SeatView, SessionView};
use anteroom::message::{BreakoutDetails, Event, ParentFlags, Person, Presentation, Role, RoomRef};

/// What folding the events up to some `seq` gives.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    pub view: Option<SessionView>,
}

impl Replica {
    /// Takes in the next event.
    pub fn fold(&mut self, seq: u64, event: &Event) {
        if let Event::RoomStarted { name, settings, by_admin } = event {
            self.view = Some(SessionView {
                name: name.clone(),
                mode: settings.mode,
                settings: settings.clone(),
                by_admin: *by_admin,
                seq,
                flags: ParentFlags::default(),
                presenter: None,
                seats: BTreeMap::new(),
                rooms: BTreeMap::new(),
                destroyed: BTreeSet::new(),
                invitations: BTreeMap::new(),
                media: BTreeMap::new(),
            });
        } else if let Event::RoomEnded { .. } = event {
            self.view = None;
        } else if let Some(view) = &mut self.view {
            view.seq = seq;
            fold_meeting(view, event);
            fold_breakout(view, event);
        }
    }
}

fn fold_meeting(view: &mut SessionView, event: &Event) {
    match event {
        Event::RoomModeChanged { mode, .. } => view.mode = *mode,
        Event::ParentStateChanged { state, .. } => view.flags = *state,
        Event::UserConnected { person, participant, role } => {
            view.seats.insert(
                person.id,
                SeatView {
                    participant: *participant,
                    name: person.name.clone(),
                    role: *role,
                    place: PlaceView::Parent,
                    held_until: None,
                    leg: ParentFlags::default(),
                    microphone: true,
                    camera: true,
                },
            );
        }
        Event::UserDisconnected { person, .. } => {
            view.seats.remove(&person.id);
            view.invitations.retain(|(_, client), _| *client != person.id);
            for room in view.rooms.values_mut() {
                room.joining.remove(&person.id);
            }
        }
        Event::UserReconnecting { person, until } => seat(view, person, |s| s.held_until = Some(*until)),
        Event::UserReconnected { person } => seat(view, person, |s| s.held_until = None),
        Event::RoleChanged { person, role, .. } => seat(view, person, |s| s.role = *role),
        Event::MicrophoneChanged { person, on } => seat(view, person, |s| s.microphone = *on),
        Event::CameraChanged { person, on } => seat(view, person, |s| s.camera = *on),
        Event::LegStateChanged { person, state } => seat(view, person, |s| s.leg = *state),
        Event::PresentationStarted { person, kind, room } => present(view, room, Some((person.id, *kind))),
        Event::PresentationStopped { room, .. } => present(view, room, None),
        _ => {}
    }
}

fn fold_breakout(view: &mut SessionView, event: &Event) {
    match event {
        Event::BreakoutRoomCreated { rooms, .. } => {
            view.rooms.extend(rooms.iter().map(|details| (details.room, new_room(details))));
        }
        Event::BreakoutRoomInvited { person, invitation } => {
            let (inviter, expires_at) = (invitation.requestor.id, invitation.expires_at);
            view.invitations.insert((invitation.room, person.id), InvitationView { inviter, expires_at });
            room(view, invitation.room, |r| {
                r.state = if r.members.is_empty() { BreakoutState::Created } else { r.state };
            });
        }
        Event::InvitationWithdrawn { client, room, .. } => drop(view.invitations.remove(&(*room, *client))),
        Event::BreakoutRoomInviteRejected { person, room, .. } => {
            view.invitations.remove(&(*room, person.id));
        }
        Event::BreakoutRoomJoining { client, room: id, role, forced, .. } => {
            place(view, *client, PlaceView::Joining { room: *id, role: *role });
            room(view, *id, |r| {
                r.joining.insert(*client, *role);
                if *forced && r.members.is_empty() {
                    r.state = BreakoutState::Created;
                }
            });
        }
        Event::FailedJoinBreakoutRoom { client, room: id, .. } => {
            place(view, *client, PlaceView::Parent);
            room(view, *id, |r| {
                r.joining.remove(client);
            });
        }
        Event::ConnectedBreakoutRoom(connected) => {
            enter(view, connected.client, connected.details.room, connected.role)
        }
        Event::UserDisconnectedFromBreakoutRoom { person, room: id, .. } => {
            place(view, person.id, PlaceView::Parent);
            seat(view, person, |s| s.leg = ParentFlags::default());
            room(view, *id, |r| {
                r.members.remove(&person.id);
                r.state = if r.members.is_empty() { BreakoutState::Created } else { r.state };
            });
        }
        Event::ClearedBreakoutRoom { room: id, .. } => room(view, *id, |r| r.state = BreakoutState::Cleared),
        Event::DestroyedBreakoutRoom { room, .. } => {
            view.rooms.remove(room);
            view.destroyed.insert(*room);
        }
        Event::OwnerChanged { room: id, owner } => {
            room(view, *id, |r| r.owner = owner.as_ref().map(|person| person.id));
        }
        _ => {}
    }
}

fn enter(view: &mut SessionView, client: ClientId, id: BreakoutId, role: Role) {
    view.invitations.remove(&(id, client));
    place(view, client, PlaceView::Breakout { room: id, role });
    room(view, id, |r| {
        r.joining.remove(&client);
        r.members.insert(client, role);
        r.state = BreakoutState::Active;
    });
}

fn seat(view: &mut SessionView, person: &Person, change: impl FnOnce(&mut SeatView)) {
    view.seats.get_mut(&person.id).map(change);
}

fn place(view: &mut SessionView, client: ClientId, place: PlaceView) {
    view.seats.entry(client).and_modify(|seat| seat.place = place);
}

fn room(view: &mut SessionView, id: BreakoutId, change: impl FnOnce(&mut RoomView)) {
    view.rooms.get_mut(&id).map(change);
}

fn present(view: &mut SessionView, place: &RoomRef, presenter: Option<(ClientId, Presentation)>) {
    match place {
        RoomRef::Parent(_) => view.presenter = presenter,
        RoomRef::Breakout(id) => room(view, *id, |r| r.presenter = presenter),
    }
}

fn new_room(details: &BreakoutDetails) -> RoomView {
    let on = [details.audio, details.video, details.share, details.canvas];
    let kinds = Kind::ALL.into_iter().zip(on).filter(|(_, on)| *on);
    RoomView {
        name: details.name.clone(),
        state: BreakoutState::Created,
        owner: details.owner,
        participants: details.participants,
        kinds: kinds.fold(KindSet::NONE, |set, (kind, _)| set.with(kind)),
        open: details.open,
        members: BTreeMap::new(),
        joining: BTreeMap::new(),
        presenter: None,
    }
}
