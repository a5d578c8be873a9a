//! Telling people what happened: one number for each event, and for each person the number of the
//! event before.

use super::context::Context;
use super::log::Audience;
use super::session::Session;
use crate::base::{BreakoutId, ClientId};
use crate::message::{Event, EventBody, Frame};

impl Session {
    /// Logs an event, sends it to its audience and answers its number.
    pub(super) fn tell(&mut self, cx: &mut Context, event: Event, audience: Audience) -> u64 {
        let name = event.name();
        let data = if audience == Audience::Nobody { serde_json::Value::Null } else { event.data() };
        let data = EventBody::from(data);
        let seq = self.log.push(cx.now, event, audience.clone());
        let mut tell = |seat: &mut super::seat::Seat| {
            let prev = std::mem::replace(&mut seat.last_event, seq);
            if let Some(link) = seat.link {
                cx.send(link, Frame::Event { seq, prev, event: name, data: data.clone() });
            }
        };
        match &audience {
            Audience::Nobody => {}
            Audience::Everyone => self.seats.unsaved_values_mut().for_each(&mut tell),
            Audience::Only(clients) => {
                for client in clients.iter() {
                    if let Some(seat) = self.seats.get_unsaved_mut(client) {
                        tell(seat);
                    }
                }
            }
        }
        self.forget_outdated(cx);
        seq
    }

    /// Drops events that the log need not keep; each seat remembers the last one that was its own.
    fn forget_outdated(&mut self, cx: &Context) {
        while let Some(entry) = self.log.pop_outdated(cx.now) {
            match &entry.audience {
                Audience::Nobody => {}
                Audience::Everyone => {
                    for seat in self.seats.unsaved_values_mut().filter(|seat| seat.since < entry.seq) {
                        seat.last_forgotten = entry.seq;
                    }
                }
                Audience::Only(clients) => {
                    for client in clients.iter() {
                        if let Some(seat) = self.seats.get_unsaved_mut(client) {
                            seat.last_forgotten = entry.seq;
                        }
                    }
                }
            }
        }
    }

    /// Everybody in the parent room, but for one.
    pub(super) fn in_parent(&self, except: Option<ClientId>) -> Audience {
        Audience::of(self.parent.iter().copied(), except)
    }

    /// Moderators, wherever they are, and the room's owner; but for one.
    pub(super) fn hosts(&self, room: BreakoutId, except: Option<ClientId>) -> Audience {
        let owner = self.rooms.get(&room).and_then(|room| room.owner);
        Audience::of(self.moderators.iter().copied().chain(owner), except)
    }

    /// The room's members, its owner and the moderators; but for one.
    pub(super) fn members_and_hosts(&self, room: BreakoutId, except: Option<ClientId>) -> Audience {
        let Some(found) = self.rooms.get(&room) else { return self.hosts(room, except) };
        let members = found.members.keys().copied();
        Audience::of(self.moderators.iter().copied().chain(found.owner).chain(members), except)
    }

    /// Everybody in the room of a participant who is there too.
    pub(super) fn members(&self, room: Option<BreakoutId>) -> Audience {
        match room {
            None => self.in_parent(None),
            Some(room) => {
                let members = self.rooms.get(&room).map(|room| room.members.keys().copied());
                Audience::of(members.into_iter().flatten(), None)
            }
        }
    }
}
