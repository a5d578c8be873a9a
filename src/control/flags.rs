//! `pause`, `resume`, `muteRoom`, `unmuteRoom`: the two layers of the parent room.

use serde_json::json;

use super::context::Context;
use super::denied::Denied;
use super::log::Audience;
use super::params::Params;
use super::reply::Answer;
use super::seat::Place;
use super::session::Session;
use crate::base::ClientId;
use crate::message::{Event, ParentFlags, Refusal};

/// What a request does to the flags.
#[derive(Clone, Copy)]
enum Change {
    Pause(bool),
    Mute { audio: bool, video: bool, on: bool },
}

impl Change {
    fn apply(self, mut flags: ParentFlags) -> ParentFlags {
        match self {
            Self::Pause(on) => flags.paused = on,
            Self::Mute { audio, video, on } => {
                if audio {
                    flags.audio_muted = on;
                }
                if video {
                    flags.video_muted = on;
                }
            }
        }
        flags
    }
}

impl Session {
    pub(super) fn pause(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.change_flags(cx, client, params, |_| Ok(Change::Pause(true)), "Room muted")
    }

    pub(super) fn resume(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.change_flags(cx, client, params, |_| Ok(Change::Pause(false)), "Room resumed")
    }

    pub(super) fn mute(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        let change = |params: Params<'_>| {
            let audio = params.optional_bool("audio")?.unwrap_or(false);
            let video = params.optional_bool("video")?.unwrap_or(false);
            Ok(Change::Mute { audio, video, on: true })
        };
        self.change_flags(cx, client, params, change, "Room muted")
    }

    pub(super) fn unmute(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        let change = |params: Params<'_>| {
            let (audio, video) = (params.optional_bool("audio")?, params.optional_bool("video")?);
            // Naming neither means both.
            let both = audio.is_none() && video.is_none();
            let (audio, video) = (audio.unwrap_or(both), video.unwrap_or(both));
            Ok(Change::Mute { audio, video, on: false })
        };
        self.change_flags(cx, client, params, change, "Room unmuted")
    }

    fn change_flags<'a>(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        params: Params<'a>,
        change: impl FnOnce(Params<'a>) -> Result<Change, Denied>,
        msg: &str,
    ) -> Result<Answer, Denied> {
        let seat = self.connected(client)?;
        let (moderator, away) = (seat.is_moderator(), seat.place != Place::Parent);
        let room_scope = params.room_scope()? || !away;
        if room_scope && !moderator {
            return Err(Refusal::Forbidden.into());
        }
        let change = change(params)?;
        let (state, scope) = if room_scope {
            (self.change_room(cx, client, change), "room")
        } else {
            (self.change_leg(cx, client, change), "leg")
        };
        Ok(Answer::Now(json!({"msg": msg, "result": 0, "state": state.to_json(scope)})))
    }

    fn change_room(&mut self, cx: &mut Context, client: ClientId, change: Change) -> ParentFlags {
        let state = change.apply(self.flags);
        if state != self.flags {
            self.flags = state;
            self.sync_group(cx, self.group);
            let event = Event::ParentStateChanged { state, by: client };
            // A moderator who did it from a breakout room is told, too.
            let audience = Audience::of(self.parent.iter().copied().chain([client]), None);
            self.tell(cx, event, audience);
        }
        state
    }

    /// The leg's flags stop nothing, because nothing flows on a leg whose participant is away; they
    /// are shown to those in the parent room.
    fn change_leg(&mut self, cx: &mut Context, client: ClientId, change: Change) -> ParentFlags {
        let Some(seat) = self.seats.get_mut(&client) else { return ParentFlags::default() };
        let person = seat.person();
        let Place::Breakout(stay) = &mut seat.place else { return ParentFlags::default() };
        let state = change.apply(stay.leg);
        if std::mem::replace(&mut stay.leg, state) != state {
            let audience = self.in_parent(None);
            self.tell(cx, Event::LegStateChanged { person, state }, audience);
        }
        state
    }
}
