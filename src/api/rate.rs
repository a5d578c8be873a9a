//! How much one link may ask for.

use std::str::FromStr;

use serde_json::Value;

use crate::base::Time;
use crate::message::{Method, Request};

/// Plain requests a second that a link may go on making: far above what a person's client does.
const REQUESTS_PER_SECOND: u64 = 200;

/// Plain requests that it may make at once.
const BURST: u64 = 400;

/// Microseconds that pay for one plain request.
const COST: u64 = 1_000_000 / REQUESTS_PER_SECOND;

/// Plain requests as which one counts whose answer grows with the whole meeting, or that tells a
/// whole meeting of people.
const WHOLE_MEETING: u64 = 20;

/// Plain requests as which one counts whose answer grows with the breakout rooms.
const ALL_ROOMS: u64 = 4;

/// A token bucket, kept as the moment at which it would be full again.
#[derive(Debug)]
pub(super) struct RequestRate {
    full_at: Time,
}

impl RequestRate {
    pub(super) const fn new(now: Time) -> Self {
        Self { full_at: now }
    }

    /// Whether one more request is allowed now, which counts as `cost` plain ones; counts it if so.
    pub(super) fn allow(&mut self, now: Time, cost: u64) -> bool {
        // The dearest is allowed at times, too.
        let full_at = Time(self.full_at.max(now).0.saturating_add(cost.min(BURST) * COST));
        if full_at.since(now).as_micros() > u128::from(BURST * COST) {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

/// As how many plain requests one counts.
pub(super) fn cost_of(request: &Request) -> u64 {
    let given = |name: &str| request.params.get(name).filter(|value| !value.is_null());
    match Method::from_str(&request.method) {
        Ok(Method::Replay | Method::CreateAndInviteBreakoutRoom) => WHOLE_MEETING,
        Ok(Method::JoinRoom) if given("resume").is_some() => WHOLE_MEETING,
        Ok(Method::ListBreakoutRooms) => ALL_ROOMS,
        Ok(Method::InviteToBreakOutRoom) => {
            let clients = given("clients").and_then(Value::as_array).map_or(0, Vec::len);
            u64::try_from(clients).unwrap_or(BURST).saturating_add(1)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_burst_is_allowed_and_a_flood_is_not() {
        let start = Time::from_unix_seconds(1);
        let mut rate = RequestRate::new(start);
        let allowed = (0..1_000).filter(|_| rate.allow(start, 1)).count();
        assert_eq!(allowed, 400);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| rate.allow(later, 1)).count(), 200);
        let calm = later + Duration::from_secs(60);
        assert_eq!((0..1_000).filter(|_| rate.allow(calm, 1)).count(), 400);
    }

    #[test]
    fn what_makes_work_counts_more() {
        let start = Time::from_unix_seconds(1);
        let mut rate = RequestRate::new(start);
        let cost = |method: &str, params: Value| cost_of(&Request::new("1", method, params));
        let replay = cost("replay", json!({"from_seq": 1}));
        assert_eq!((0..100).filter(|_| rate.allow(start, replay)).count(), 20);
        assert_eq!(cost("joinRoom", json!({"sdp": "v=0"})), 1);
        assert_eq!(cost("joinRoom", json!({"resume": "x", "sdp": "v=0"})), 20);
        assert_eq!(cost("pause", json!({})), 1);
        assert_eq!(cost("noSuchMethod", json!({})), 1);
        let everybody = cost("inviteToBreakOutRoom", json!({"clients": vec!["x"; 190]}));
        assert_eq!(everybody, 191);
        let calm = start + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| rate.allow(calm, everybody)).count(), 2);
        let calm = calm + Duration::from_secs(60);
        assert!(rate.allow(calm, 1_000) && !rate.allow(calm, 1));
    }
}
