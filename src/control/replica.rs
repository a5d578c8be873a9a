//! A session rebuilt from its events alone. That it equals the session is what makes the event log
//! worth replaying; tests hold it to that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::log::LoggedEvent;
use super::session::MAX_DESTROYED;
use super::view::{BreakoutState, InvitationView, PlaceView, RoomView, SeatView, SessionView};
use crate::base::{BreakoutId, ClientId, Kind, KindSet};
use crate::message::{
    BreakoutDetails, ConnectedBreakoutRoom, Event, ParentFlags, Person, Presentation, RoomRef, RoomSettings,
};

/// What the events so far add up to.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    view: Option<SessionView>,
    /// The destroyed rooms of the view, oldest first; as many as a session remembers.
    destroyed: VecDeque<BreakoutId>,
}

/// An event that does not follow the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {got} came where {wanted} was due")]
pub struct EventGap {
    /// The number that was due.
    pub wanted: u64,
    /// The number that came.
    pub got: u64,
}

impl Replica {
    /// Takes the next event in.
    ///
    /// # Errors
    ///
    /// [`EventGap`] where an event is missing or comes twice; nothing changes then.
    pub fn apply(&mut self, logged: &LoggedEvent) -> Result<(), EventGap> {
        let wanted = self.view.as_ref().map_or(1, |view| view.seq + 1);
        if logged.seq != wanted {
            return Err(EventGap { wanted, got: logged.seq });
        }
        match (&logged.event, &mut self.view) {
            (Event::RoomStarted { name, settings, by_admin }, _) => {
                self.view = Some(started(name, settings, *by_admin));
            }
            (Event::RoomEnded { .. }, _) => *self = Self::default(),
            (event, Some(view)) => {
                view.seq = logged.seq;
                view.fold(event);
                if let Event::DestroyedBreakoutRoom { room, .. } = event {
                    self.destroyed.push_back(*room);
                }
                if self.destroyed.len() > MAX_DESTROYED
                    && let Some(oldest) = self.destroyed.pop_front()
                {
                    view.destroyed.remove(&oldest);
                }
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// The session so far; nothing before its start and after its end.
    #[must_use]
    pub const fn view(&self) -> Option<&SessionView> {
        self.view.as_ref()
    }

    /// How a session differs from what its events add up to; nothing if it does not. What the media
    /// plane was told is not part of the events.
    #[must_use]
    pub fn difference(&self, session: &SessionView) -> Option<String> {
        let Some(view) = &self.view else { return Some("the events end before the session".to_owned()) };
        let told = SessionView { media: BTreeMap::new(), ..session.clone() };
        (*view != told).then(|| format!("the events say\n{view:#?}\nand the session is\n{told:#?}"))
    }
}

fn started(name: &std::sync::Arc<str>, settings: &RoomSettings, by_admin: bool) -> SessionView {
    SessionView {
        name: name.clone(),
        mode: settings.mode,
        settings: settings.clone(),
        by_admin,
        seq: 1,
        flags: ParentFlags::default(),
        presenter: None,
        seats: BTreeMap::new(),
        rooms: BTreeMap::new(),
        destroyed: BTreeSet::new(),
        invitations: BTreeMap::new(),
        media: BTreeMap::new(),
    }
}

impl SessionView {
    fn fold(&mut self, event: &Event) {
        match event {
            Event::RoomModeChanged { mode, .. } => self.mode = *mode,
            Event::ParentStateChanged { state, .. } => self.flags = *state,
            Event::UserConnected { person, participant, role } => {
                let seat = SeatView {
                    participant: *participant,
                    name: person.name.clone(),
                    role: *role,
                    place: PlaceView::Parent,
                    held_until: None,
                    leg: ParentFlags::default(),
                    microphone: true,
                    camera: true,
                };
                self.seats.insert(person.id, seat);
            }
            Event::UserDisconnected { person, .. } => {
                self.seats.remove(&person.id);
                self.invitations.retain(|(_, client), _| *client != person.id);
            }
            Event::UserReconnecting { person, until } => {
                self.seat(person.id, |seat| seat.held_until = Some(*until));
            }
            Event::UserReconnected { person } => self.seat(person.id, |seat| seat.held_until = None),
            Event::RoleChanged { person, role, .. } => self.seat(person.id, |seat| seat.role = *role),
            Event::MicrophoneChanged { person, on } => self.seat(person.id, |seat| seat.microphone = *on),
            Event::CameraChanged { person, on } => self.seat(person.id, |seat| seat.camera = *on),
            Event::LegStateChanged { person, state } => self.seat(person.id, |seat| seat.leg = *state),
            Event::PresentationStarted { person, kind, room } => self.present(room, Some((person, *kind))),
            Event::PresentationStopped { room, .. } => self.present(room, None),
            breakout => self.fold_breakout(breakout),
        }
    }

    fn fold_breakout(&mut self, event: &Event) {
        match event {
            Event::BreakoutRoomCreated { rooms, .. } => {
                self.rooms.extend(rooms.iter().map(|details| (details.room, created(details))));
            }
            Event::BreakoutRoomInvited { person, invitation } => {
                let view =
                    InvitationView { inviter: invitation.requestor.id, expires_at: invitation.expires_at };
                self.invitations.insert((invitation.room, person.id), view);
                self.room(invitation.room, RoomView::wake);
            }
            Event::InvitationWithdrawn { client, room, .. } => {
                self.invitations.remove(&(*room, *client));
            }
            Event::BreakoutRoomInviteRejected { person, room, .. } => {
                self.invitations.remove(&(*room, person.id));
            }
            Event::BreakoutRoomJoining { client, room, role, forced, .. } => {
                self.seat(*client, |seat| seat.place = PlaceView::Joining { room: *room, role: *role });
                self.room(*room, |view| {
                    view.joining.insert(*client, *role);
                    if *forced {
                        view.wake();
                    }
                });
            }
            Event::FailedJoinBreakoutRoom { client, room, .. } => {
                self.seat(*client, |seat| seat.place = PlaceView::Parent);
                self.room(*room, |view| {
                    view.joining.remove(client);
                });
            }
            Event::ConnectedBreakoutRoom(connected) => self.enter(connected),
            Event::UserDisconnectedFromBreakoutRoom { person, room, .. } => self.come_out(person, *room),
            Event::ClearedBreakoutRoom { room, .. } => {
                self.room(*room, |view| view.state = BreakoutState::Cleared);
            }
            Event::DestroyedBreakoutRoom { room, .. } => {
                self.rooms.remove(room);
                self.destroyed.insert(*room);
            }
            Event::OwnerChanged { room, owner } => {
                self.room(*room, |view| view.owner = owner.as_ref().map(|owner| owner.id));
            }
            // The others tell people of changes that one of the above has made.
            _ => {}
        }
    }

    fn enter(&mut self, connected: &ConnectedBreakoutRoom) {
        let (client, room, role) = (connected.client, connected.details.room, connected.role);
        self.invitations.remove(&(room, client));
        self.seat(client, |seat| seat.place = PlaceView::Breakout { room, role });
        self.room(room, |view| {
            view.joining.remove(&client);
            view.members.insert(client, role);
            view.state = BreakoutState::Active;
        });
    }

    fn come_out(&mut self, person: &Person, room: BreakoutId) {
        self.seat(person.id, |seat| {
            seat.place = PlaceView::Parent;
            seat.leg = ParentFlags::default();
        });
        self.room(room, |view| {
            view.members.remove(&person.id);
            if view.members.is_empty() {
                view.state = BreakoutState::Created;
            }
        });
    }

    fn present(&mut self, room: &RoomRef, presenter: Option<(&Person, Presentation)>) {
        let presenter = presenter.map(|(person, kind)| (person.id, kind));
        match room {
            RoomRef::Parent(_) => self.presenter = presenter,
            RoomRef::Breakout(room) => self.room(*room, |view| view.presenter = presenter),
        }
    }

    fn seat(&mut self, client: ClientId, change: impl FnOnce(&mut SeatView)) {
        if let Some(seat) = self.seats.get_mut(&client) {
            change(seat);
        }
    }

    fn room(&mut self, room: BreakoutId, change: impl FnOnce(&mut RoomView)) {
        if let Some(room) = self.rooms.get_mut(&room) {
            change(room);
        }
    }
}

impl RoomView {
    /// A cleared room into which somebody is invited is a created one again.
    fn wake(&mut self) {
        if self.state == BreakoutState::Cleared {
            self.state = BreakoutState::Created;
        }
    }
}

fn created(details: &BreakoutDetails) -> RoomView {
    let kinds = [
        (Kind::Audio, details.audio),
        (Kind::Video, details.video),
        (Kind::Share, details.share),
        (Kind::Canvas, details.canvas),
    ];
    RoomView {
        name: details.name.clone(),
        state: BreakoutState::Created,
        owner: details.owner,
        participants: details.participants,
        kinds: kinds.into_iter().filter(|(_, on)| *on).fold(KindSet::NONE, |set, (kind, _)| set.with(kind)),
        open: details.open,
        members: BTreeMap::new(),
        joining: BTreeMap::new(),
        presenter: None,
    }
}
