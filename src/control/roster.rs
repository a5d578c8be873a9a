//! Switches, roles, the room's mode, and removing people: `setMicrophone`, `setCamera`, `setRole`,
//! `setRoomMode`, `removeParticipant`, `leaveRoom`, `endRoom`.

use serde_json::json;

use super::context::Context;
use super::denied::Denied;
use super::log::Audience;
use super::params::Params;
use super::reply::Answer;
use super::session::Session;
use crate::base::plant::{self, Plant};
use crate::base::{ClientId, Kind};
use crate::message::{CloseReason, EndReason, Event, LeaveReason, Refusal, Role, RoomMode};

impl Session {
    /// The own microphone or camera switch. Nothing else ever changes it.
    pub(super) fn set_switch(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        kind: Kind,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.connected(client)?;
        let on = params.bool("on")?;
        if let Some(seat) = self.seats.get_mut(&client) {
            let person = seat.person();
            let (switch, event) = match kind {
                Kind::Audio => (&mut seat.microphone, Event::MicrophoneChanged { person, on }),
                _ => (&mut seat.camera, Event::CameraChanged { person, on }),
            };
            if std::mem::replace(switch, on) != on {
                self.tell(cx, event, Audience::Everyone);
                self.sync_publish(cx, client);
            }
        }
        Ok(Answer::Now(json!({"msg": "Success", "result": 0, "on": on})))
    }

    pub(super) fn change_role(
        &mut self,
        cx: &mut Context,
        by: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        if !plant::is(Plant::RoleUnchecked) {
            self.moderator(by)?;
        }
        let target = params.client_id()?;
        let seat = self.seats.get(&target).ok_or(Refusal::UnknownClient)?;
        let (person, old) = (seat.person(), seat.role);
        let role = params.role("role")?;
        if role != old {
            self.set_role(target, role);
            // The person itself is among everybody.
            self.tell(cx, Event::RoleChanged { person, role, by }, Audience::Everyone);
            if role == Role::Moderator {
                self.pass_ownership(cx, None);
            } else if self.mode == RoomMode::Lecture {
                self.stop_presenting(cx, None, target);
            }
            self.sync_publish(cx, target);
        }
        Ok(Answer::Now(json!({"msg": "Success", "result": 0, "clientId": target, "role": role})))
    }

    pub(super) fn change_mode(
        &mut self,
        cx: &mut Context,
        by: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.moderator(by)?;
        let mode = params.mode()?;
        if mode == RoomMode::Lecture && !self.rooms.is_empty() {
            let text = "Destroy the breakout rooms before you switch to lecture mode.";
            return Err(Denied::new(Refusal::LectureMode, text));
        }
        if mode != self.mode {
            self.mode = mode;
            self.tell(cx, Event::RoomModeChanged { mode, by }, Audience::Everyone);
            if mode == RoomMode::Lecture
                && let Some((presenter, _)) = self.presenter
                && !self.moderators.contains(&presenter)
            {
                self.stop_presenting(cx, None, presenter);
            }
            self.sync_everybody(cx);
        }
        Ok(Answer::Now(json!({"msg": "Success", "result": 0, "mode": mode})))
    }

    pub(super) fn remove_participant(
        &mut self,
        cx: &mut Context,
        by: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.moderator(by)?;
        let target = params.client_id()?;
        if !self.seats.contains_key(&target) {
            return Err(Refusal::UnknownClient.into());
        }
        self.remove_seat(cx, target, LeaveReason::Removed, CloseReason::Removed);
        Ok(Answer::Now(json!({"msg": "Success", "result": 0, "clientId": target})))
    }

    /// Gives the own seat up. A Held seat can be left, too.
    pub(super) fn leave(&mut self, cx: &mut Context, client: ClientId) -> Result<Answer, Denied> {
        self.seat(client)?;
        self.remove_seat(cx, client, LeaveReason::Left, CloseReason::Left);
        Ok(Answer::Now(json!({"msg": "Success", "result": 0})))
    }

    pub(super) fn end_room(&mut self, cx: &mut Context, by: ClientId) -> Result<Answer, Denied> {
        self.moderator(by)?;
        self.end(cx, EndReason::Ended);
        Ok(Answer::Now(json!({"msg": "Success", "result": 0})))
    }
}
