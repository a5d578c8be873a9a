//! One request of a seated participant: repeats, waiting for a barrier, and the way to its operation.

use serde_json::{Map, Value};

use super::answers::Known;
use super::context::Context;
use super::denied::Denied;
use super::params::Params;
use super::reply::{Answer, ReplyTo};
use super::session::Session;
use crate::base::{ClientId, Kind, LinkId};
use crate::message::{Frame, Method, Presentation, Refusal, Request, named_room};

/// How many requests wait while everybody is brought back. A healthy worker needs a few
/// milliseconds for it, and a dead one is given up after 2 s.
const MAX_DEFERRED: usize = 1_000;

/// Whether one request says the same as another: its id and what it asks for.
fn is_repeat(first: &Request, request: &Request) -> bool {
    first.id == request.id && first.method == request.method
}

impl Session {
    pub(super) fn request(&mut self, cx: &mut Context, link: LinkId, client: ClientId, request: Request) {
        if self.barrier.is_none() {
            return self.run(cx, link, client, request);
        }
        if self.deferred.iter().any(|(_, of, waits)| *of == client && is_repeat(waits, &request)) {
            // The ack of the first answers both.
            return cx.paid(link);
        }
        if self.deferred.len() < MAX_DEFERRED {
            self.deferred.push_back((link, client, request));
        } else {
            refuse(cx, link, &request, Refusal::RequestInProgress);
        }
    }

    /// Runs one request that waited; answers whether there was one.
    pub(super) fn run_deferred(&mut self, cx: &mut Context) -> bool {
        if self.barrier.is_some() {
            return false;
        }
        let Some((link, client, request)) = self.deferred.pop_front() else { return false };
        self.run(cx, link, client, request);
        true
    }

    fn run(&mut self, cx: &mut Context, link: LinkId, client: ClientId, request: Request) {
        let Some(seat) = self.seats.get_unsaved_mut(&client) else {
            return refuse(cx, link, &request, Refusal::NotConnected);
        };
        let (speaks, is_replaced) = (seat.link, seat.link.is_some_and(|now| now != link));
        match seat.answers.begin(cx.now, &request.id, request.method.parse().ok()) {
            Known::New => {}
            // The one ack is still to come.
            Known::Pending => return cx.paid(link),
            Known::Answered(frame) => return cx.ack(link, frame),
            Known::Taken => {
                let denied = Denied::field("id", "one that no other request has");
                return cx.ack(link, request.failure(denied.data()));
            }
            Known::Full => {
                let text = "Too many requests within two minutes. Wait a while and ask again.";
                return cx.ack(link, request.failure(Refusal::RequestInProgress.data_with(text)));
            }
        }
        let Request { id, method, params } = request;
        let Ok(method) = method.parse::<Method>() else {
            let frame = Frame::failure(id, None, None, unknown_method(&method));
            seat.answers.answered(&frame);
            return cx.ack(cx.link(link).map(|_| link).or(speaks).unwrap_or(link), frame);
        };
        let reply = ReplyTo { link, id, method };
        if is_replaced && is_of_its_link(method) {
            let text = "Another connection has taken your seat since you asked.";
            return self.ack_denied(cx, client, &reply, &Denied::new(Refusal::NotConnected, text));
        }
        let before = self.log.seq();
        match self.dispatch(cx, client, &reply, &params) {
            Ok(Answer::Now(data)) if data.get("result").and_then(Value::as_u64) == Some(0) => {
                self.ack_since(cx, client, &reply, before, data);
            }
            Ok(Answer::Now(data)) => self.ack_failure(cx, client, &reply, None, data),
            Ok(Answer::Later) => {}
            Err(denied) => self.ack_failure(cx, client, &reply, named_room(&params), denied.data()),
        }
    }

    fn dispatch(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        params: &Map<String, Value>,
    ) -> Result<Answer, Denied> {
        let params = Params(params);
        match reply.method {
            Method::JoinRoom => self.rejoin(cx, client, reply, params),
            Method::LeaveRoom => self.leave(cx, client),
            Method::RestartIce => self.restart_ice(cx, client, reply, params),
            Method::Replay => self.replay(client, params),
            Method::ListBreakoutRooms => self.list_rooms(client),
            Method::SetMicrophone => self.set_switch(cx, client, Kind::Audio, params),
            Method::SetCamera => self.set_switch(cx, client, Kind::Video, params),
            Method::SetRole => self.change_role(cx, client, params),
            Method::RemoveParticipant => self.remove_participant(cx, client, params),
            Method::SetRoomMode => self.change_mode(cx, client, params),
            Method::EndRoom => self.end_room(cx, client),
            Method::CreateBreakOutRoom => self.create(cx, client, params),
            Method::CreateAndInviteBreakoutRoom => self.create_and_invite(cx, client, reply, params),
            Method::InviteToBreakOutRoom => self.invite(cx, client, reply, params),
            Method::JoinBreakOutRoom => self.join_breakout_room(cx, client, reply, params),
            Method::RejectBreakOutRoom => self.reject(cx, client, params),
            Method::Pause => self.pause(cx, client, params),
            Method::Resume => self.resume(cx, client, params),
            Method::MuteRoom => self.mute(cx, client, params),
            Method::UnmuteRoom => self.unmute(cx, client, params),
            Method::Disconnect => self.disconnect(cx, client, reply, params),
            Method::ClearAllBreakOutSession => self.clear_all(cx, client, reply),
            Method::DestroyAllBreakOutSession => self.destroy_all(cx, client, reply),
            Method::StartScreenShare => self.start_presenting(cx, client, Presentation::Screen),
            Method::StopScreenShare => self.stop_own(cx, client, Presentation::Screen),
            Method::StartCanvas => self.start_presenting(cx, client, Presentation::Canvas),
            Method::StopCanvas => self.stop_own(cx, client, Presentation::Canvas),
        }
    }
}

/// Whether a request is about the connection that it comes from. One that had to wait says nothing about
/// the connection that has the seat by then.
const fn is_of_its_link(method: Method) -> bool {
    use Method::{LeaveRoom, RestartIce, StartCanvas, StartScreenShare};
    matches!(method, LeaveRoom | RestartIce | StartScreenShare | StartCanvas)
}

/// Refuses a request of somebody who has no seat.
pub(super) fn refuse(cx: &mut Context, link: LinkId, request: &Request, refusal: Refusal) {
    let is_known = request.method.parse::<Method>().is_ok();
    let data = if is_known { refusal.data() } else { unknown_method(&request.method) };
    cx.ack(link, request.failure(data));
}

fn unknown_method(method: &str) -> Value {
    // Only the beginning is echoed: the text is the client's own and may be long.
    let shown: String = method.chars().take(40).collect();
    Refusal::BadParameter.data_with(&format!("There is no method `{shown}`."))
}
