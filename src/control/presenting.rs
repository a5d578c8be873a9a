//! Sharing a screen or a canvas: one presenter per room at a moment.

use serde_json::json;

use super::context::Context;
use super::denied::Denied;
use super::log::Audience;
use super::reply::Answer;
use super::session::Session;
use crate::base::{BreakoutId, ClientId};
use crate::message::{Event, Presentation, Refusal, RoomMode, RoomRef};

impl Session {
    pub(super) fn start_presenting(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        kind: Presentation,
    ) -> Result<Answer, Denied> {
        let seat = self.connected(client)?;
        let room = seat.breakout();
        if !self.kinds_of(&seat.place).contains(kind.kind()) {
            return Err(Refusal::FeatureOff.into());
        }
        if self.mode == RoomMode::Lecture && !seat.is_moderator() {
            return Err(Denied::new(Refusal::Forbidden, "Only moderators present in lecture mode."));
        }
        let person = seat.person();
        match self.presenter_of(room) {
            Some(presenter) if presenter == (client, kind) => return Err(Refusal::AlreadyActive.into()),
            Some(_) => return Err(Refusal::ShareOrCanvasActive.into()),
            None => {}
        }
        self.set_presenter(room, Some((client, kind)));
        let started = Event::PresentationStarted { person, kind, room: self.room_ref(room) };
        let audience = self.members(room);
        self.tell(cx, started, audience);
        self.sync_publish(cx, client);
        Ok(Answer::Now(json!({"msg": "Presenting", "result": 0, "streamId": kind.stream_id()})))
    }

    /// Stops what the caller presents. Not presenting it is a success, too.
    pub(super) fn stop_own(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        kind: Presentation,
    ) -> Result<Answer, Denied> {
        let room = self.connected(client)?.breakout();
        if self.presenter_of(room) == Some((client, kind)) {
            self.stop_presenting(cx, room, client);
        }
        Ok(Answer::Now(json!({"msg": "Not presenting", "result": 0, "streamId": kind.stream_id()})))
    }

    /// Stops what a participant presents in a room, if anything.
    pub(super) fn stop_presenting(&mut self, cx: &mut Context, room: Option<BreakoutId>, client: ClientId) {
        let Some((presenter, kind)) = self.presenter_of(room) else { return };
        if presenter != client {
            return;
        }
        self.set_presenter(room, None);
        let stopped =
            Event::PresentationStopped { person: self.person(client), kind, room: self.room_ref(room) };
        // The presenter may be on the way out of the room already.
        let audience = match self.members(room) {
            Audience::Only(members) => Audience::of(members.iter().copied().chain([client]), None),
            _ => Audience::one(client),
        };
        self.tell(cx, stopped, audience);
        self.sync_publish(cx, client);
    }

    fn presenter_of(&self, room: Option<BreakoutId>) -> Option<(ClientId, Presentation)> {
        match room {
            None => self.presenter,
            Some(room) => self.rooms.get(&room).and_then(|room| room.presenter),
        }
    }

    fn set_presenter(&mut self, room: Option<BreakoutId>, presenter: Option<(ClientId, Presentation)>) {
        match room {
            None => self.presenter = presenter,
            Some(room) => {
                if let Some(room) = self.rooms.get_unsaved_mut(&room) {
                    room.presenter = presenter;
                }
            }
        }
    }

    fn room_ref(&self, room: Option<BreakoutId>) -> RoomRef {
        room.map_or_else(|| self.parent_ref(), RoomRef::Breakout)
    }
}
