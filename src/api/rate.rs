//! How much one link may ask for, and how much it may say.

use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use crate::base::{Bucket, Time};
use crate::message::{Method, Request};

/// Plain requests a second that a link may go on making: far above what a person's client does.
const REQUESTS_PER_SECOND: u64 = 200;

/// Plain requests that it may make at once.
const BURST: u64 = 400;

/// Plain requests as which one counts whose answer grows with the whole meeting, or that changes what
/// everybody of it sees, or that brings an offer: a media worker reads it, and does nothing else meanwhile.
const WHOLE_MEETING: u64 = 20;

/// Plain requests as which any other counts that a whole meeting is told of, or whose answer grows with the
/// breakout rooms: somebody's moves, flags and rooms.
const MANY_PEOPLE: u64 = 4;

/// How many requests a link may make.
#[derive(Debug)]
pub(super) struct RequestRate(Bucket);

impl RequestRate {
    pub(super) const fn new() -> Self {
        Self(Bucket::new(REQUESTS_PER_SECOND, Duration::from_secs(BURST / REQUESTS_PER_SECOND)))
    }

    /// Whether one more request is allowed now, which counts as `cost` plain ones; counts it if so.
    pub(super) fn allow(&mut self, now: Time, cost: u64) -> bool {
        // The dearest is allowed at times, too.
        self.0.take(now, cost.min(BURST))
    }
}

/// Frames a second that are read of a link, of whatever kind they are: more than may be answered, so
/// that who asks too much is told so, and few enough that nobody else notices.
const FRAMES_PER_SECOND: u64 = 1_000;

/// Frames that are read at once.
const FRAME_BURST: u64 = 2_000;

/// Bytes of a message with which it counts as one frame more: reading it costs so much.
pub(super) const FRAME_BYTES: usize = 4_096;

/// What may be read of a link. What is too much is not refused: it stays in the client's own connection
/// until [its time](Bucket::charge) comes.
pub(super) const fn frame_rate() -> Bucket {
    Bucket::new(FRAMES_PER_SECOND, Duration::from_secs(FRAME_BURST / FRAMES_PER_SECOND))
}

/// As how many plain requests one counts.
pub(super) fn cost_of(request: &Request) -> u64 {
    let given = |name: &str| request.params.get(name).filter(|value| !value.is_null());
    match Method::from_str(&request.method) {
        Ok(
            Method::JoinRoom
            | Method::RestartIce
            | Method::Replay
            | Method::CreateAndInviteBreakoutRoom
            | Method::ClearAllBreakOutSession
            | Method::DestroyAllBreakOutSession
            | Method::SetRoomMode
            | Method::SetMicrophone
            | Method::SetCamera
            | Method::StartScreenShare
            | Method::StopScreenShare
            | Method::StartCanvas
            | Method::StopCanvas,
        ) => WHOLE_MEETING,
        Ok(Method::InviteToBreakOutRoom) => {
            let clients = given("clients").and_then(Value::as_array).map_or(0, Vec::len);
            u64::try_from(clients).unwrap_or(BURST).saturating_add(1)
        }
        // Once for each seat or invitation, or refused.
        Ok(Method::LeaveRoom | Method::EndRoom | Method::RemoveParticipant | Method::RejectBreakOutRoom)
        | Err(()) => 1,
        Ok(_) => MANY_PEOPLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_burst_is_allowed_and_a_flood_is_not() {
        let start = Time::from_unix_seconds(1);
        let mut rate = RequestRate::new();
        let allowed = (0..1_000).filter(|_| rate.allow(start, 1)).count();
        assert_eq!(allowed, 400);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| rate.allow(later, 1)).count(), 200);
        let calm = later + Duration::from_secs(60);
        assert_eq!((0..1_000).filter(|_| rate.allow(calm, 1)).count(), 400);
    }

    #[test]
    fn what_is_too_much_is_read_later() {
        let start = Time::from_unix_seconds(1);
        let mut rate = frame_rate();
        assert_eq!(rate.charge(start, 2_000), None);
        assert_eq!(rate.charge(start, 500), Some(start + Duration::from_millis(500)));
    }

    #[test]
    fn what_makes_work_counts_more() {
        let start = Time::from_unix_seconds(1);
        let mut rate = RequestRate::new();
        let cost = |method: &str, params: Value| cost_of(&Request::new("1", method, params));
        let replay = cost("replay", json!({"from_seq": 1}));
        assert_eq!((0..100).filter(|_| rate.allow(start, replay)).count(), 20);
        assert_eq!(cost("joinRoom", json!({"resume": "x"})), 20);
        assert_eq!(cost("restartIce", json!({"sdp": "v=0"})), 20);
        assert_eq!(cost("setCamera", json!({"on": true})), 20);
        for method in ["startScreenShare", "stopScreenShare", "startCanvas", "stopCanvas"] {
            assert_eq!(cost(method, json!({})), 20, "{method}");
        }
        for method in ["pause", "unmuteRoom", "joinBreakOutRoom", "disconnect", "listBreakoutRooms"] {
            assert_eq!(cost(method, json!({})), 4, "{method}");
        }
        assert_eq!(cost("rejectBreakOutRoom", json!({})), 1);
        assert_eq!(cost("noSuchMethod", json!({})), 1);
        let everybody = cost("inviteToBreakOutRoom", json!({"clients": vec!["x"; 190]}));
        assert_eq!(everybody, 191);
        let calm = start + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| rate.allow(calm, everybody)).count(), 2);
        let calm = calm + Duration::from_secs(60);
        assert!(rate.allow(calm, 1_000) && !rate.allow(calm, 1));
    }
}
