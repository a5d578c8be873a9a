//! A session's read-only view.

use std::sync::Arc;

use super::seat::{Media, Place, Seat};
use super::session::Session;
use super::view::{MediaView, PlaceView, SeatView, SessionView};
use crate::base::KindSet;
use crate::message::ParentFlags;

impl Session {
    pub(super) fn view(&self) -> SessionView {
        SessionView {
            name: Arc::clone(&self.name),
            mode: self.mode,
            settings: self.settings.clone(),
            by_admin: self.by_admin,
            seq: self.log.seq(),
            flags: self.flags,
            presenter: self.presenter,
            seats: self.seats.iter().map(|(client, seat)| (*client, seat.view())).collect(),
            rooms: self.rooms.iter().map(|(id, room)| (*id, room.view())).collect(),
            destroyed: self.destroyed.iter().copied().collect(),
            invitations: (*self.invitations).clone(),
            media: self.seats.iter().map(|(client, seat)| (*client, seat.media_view())).collect(),
        }
    }
}

impl Seat {
    fn view(&self) -> SeatView {
        let place = match (&self.place, self.join()) {
            (Place::Breakout(stay), _) => PlaceView::Breakout { room: stay.room, role: stay.role },
            (Place::Parent, Some(join)) => PlaceView::Joining { room: join.stay.room, role: join.stay.role },
            (Place::Parent, None) => PlaceView::Parent,
        };
        SeatView {
            participant: self.participant,
            name: Arc::clone(&self.name),
            role: self.role,
            place,
            held_until: self.held_until,
            leg: self.stay().map_or_else(ParentFlags::default, |stay| stay.leg),
            microphone: self.microphone,
            camera: self.camera,
        }
    }

    fn media_view(&self) -> MediaView {
        MediaView {
            signalling: self.link.is_some(),
            media: self.media != Media::Lost,
            group: self.sent.map(|sent| sent.group),
            publish: self.sent.map_or(KindSet::NONE, |sent| sent.publish),
        }
    }
}
