//! The requests of one participant in the last two minutes and what they were answered, so that a
//! repeat of a request gets the first answer and does nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::base::Time;
use crate::message::{AckName, Frame, Method};

/// How long a request's id stays its own.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// What is kept at most, ids and answers together: seventy short requests a second for the whole two
/// minutes, as a program makes that moves people about. More are refused, because none may be forgotten.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// What an entry takes beside its texts.
const EACH: usize = 160;

/// The longest answer that is kept whole.
const MAX_ANSWER: usize = 16 * 1024;

/// What is kept of an ack. As text it takes a tenth of what it takes as a value.
struct Kept {
    method: Option<Method>,
    ack: AckName,
    seq: Option<u64>,
    data: Box<str>,
}

enum State {
    /// The request of this method is pending; its one ack is still to come.
    Pending(Option<Method>),
    Answered(Kept),
    /// It changes nothing and its answer may be long: it is answered anew each time.
    Anew(Method),
}

/// What is known of a request's id.
#[derive(Debug, PartialEq)]
pub(super) enum Known {
    /// Nothing, or that the request is to be answered anew: it is run.
    New,
    /// The request is pending; its one ack is still to come.
    Pending,
    /// It was answered.
    Answered(Frame),
    /// It is the id of another request.
    Taken,
    /// Nothing, and there is no room to keep it.
    Full,
}

#[derive(Default)]
pub(super) struct Answers {
    known: BTreeMap<Arc<str>, State>,
    /// Oldest first.
    order: VecDeque<(Time, Arc<str>)>,
    bytes: usize,
}

impl Answers {
    /// Looks a request up, and keeps its id if it is new.
    pub(super) fn begin(&mut self, now: Time, id: &str, method: Option<Method>) -> Known {
        self.forget_outdated(now);
        if let Some(known) = self.known.get(id) {
            return match known {
                State::Pending(first) if method == *first => Known::Pending,
                State::Answered(kept) if method == kept.method => Known::Answered(kept.frame(id)),
                State::Anew(first) if method == Some(*first) => Known::New,
                _ => Known::Taken,
            };
        }
        let bytes = EACH + id.len();
        let anew = method.filter(|method| matches!(method, Method::Replay | Method::ListBreakoutRooms));
        if self.bytes + bytes > MAX_BYTES {
            // What changes nothing can be done twice, and what ends the seat cannot.
            let harmless = anew.is_some() || method == Some(Method::LeaveRoom);
            return if harmless { Known::New } else { Known::Full };
        }
        let state = anew.map_or(State::Pending(method), State::Anew);
        let id: Arc<str> = id.into();
        self.bytes += bytes;
        self.order.push_back((now, Arc::clone(&id)));
        self.known.insert(id, state);
        Known::New
    }

    /// Keeps the answer of a request that is pending.
    pub(super) fn answered(&mut self, frame: &Frame) {
        let Frame::Ack { id, ack, seq, data } = frame else { return };
        let Some(state) = self.known.get_mut(&**id) else { return };
        if let State::Pending(method) = *state {
            let kept = Kept { method, ack, seq: *seq, data: text_of(data) };
            self.bytes += kept.data.len();
            *state = State::Answered(kept);
        }
    }

    /// Two minutes are counted from the request, but a pending one is never forgotten.
    fn forget_outdated(&mut self, now: Time) {
        while let Some((at, id)) = self.order.front() {
            let state = self.known.get(id);
            if now.since(*at) < KEPT_FOR || matches!(state, Some(State::Pending(_))) {
                return;
            }
            let answer = if let Some(State::Answered(kept)) = state { kept.data.len() } else { 0 };
            self.bytes = self.bytes.saturating_sub(EACH + id.len() + answer);
            self.known.remove(id);
            self.order.pop_front();
        }
    }
}

impl Kept {
    fn frame(&self, id: &str) -> Frame {
        let data = serde_json::from_str(&self.data).unwrap_or_default();
        Frame::Ack { id: id.to_owned(), ack: self.ack, seq: self.seq, data }
    }
}

/// An answer as it is kept: of one that is too long, how it ended.
fn text_of(data: &Value) -> Box<str> {
    let whole = data.to_string();
    if whole.len() <= MAX_ANSWER {
        return whole.into();
    }
    let mut short: Map<String, Value> = Map::new();
    for key in ["result", "error"] {
        if let Some(value) = data.get(key) {
            short.insert(key.to_owned(), value.clone());
        }
    }
    short.insert("msg".to_owned(), json!("This was answered before, at a length that is not kept."));
    Value::Object(short).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Option<Method> = Some(Method::Pause);

    fn ack_with(id: &str, data: Value) -> Frame {
        Frame::Ack { id: id.to_owned(), ack: "didAckPause", seq: Some(7), data }
    }

    fn ack(id: &str) -> Frame {
        ack_with(id, json!({"msg": "Room muted", "result": 0, "state": {"paused": true}}))
    }

    #[test]
    fn a_repeat_within_two_minutes_gets_the_first_answer() {
        let mut answers = Answers::default();
        let start = Time::from_unix_seconds(100);
        assert_eq!(answers.begin(start, "a", PAUSE), Known::New);
        assert_eq!(answers.begin(start, "a", PAUSE), Known::Pending);
        answers.answered(&ack("a"));
        let later = start + Duration::from_secs(119);
        assert_eq!(answers.begin(later, "a", PAUSE), Known::Answered(ack("a")));
        assert_eq!(answers.begin(start + KEPT_FOR, "a", PAUSE), Known::New);
    }

    #[test]
    fn another_request_under_the_same_id_is_no_repeat() {
        let mut answers = Answers::default();
        let others = [Some(Method::Resume), Some(Method::Replay), Some(Method::LeaveRoom), None];
        answers.begin(Time(0), "a", PAUSE);
        for other in others {
            assert_eq!(answers.begin(Time(0), "a", other), Known::Taken, "{other:?} while it is pending");
        }
        answers.answered(&ack("a"));
        for other in others {
            assert_eq!(answers.begin(Time(0), "a", other), Known::Taken, "{other:?} behind its answer");
        }
        assert_eq!(answers.begin(Time(0), "a", PAUSE), Known::Answered(ack("a")));
        answers.begin(Time(0), "unknown", None);
        assert_eq!(answers.begin(Time(0), "unknown", None), Known::Pending);
    }

    #[test]
    fn nothing_is_forgotten_before_its_time_and_what_is_kept_is_bounded() {
        let mut answers = Answers::default();
        let start = Time::from_unix_seconds(100);
        assert_eq!(answers.begin(start, "pending", PAUSE), Known::New);
        let mut count = 0;
        while answers.begin(start, &count.to_string(), PAUSE) == Known::New {
            answers.answered(&ack(&count.to_string()));
            count += 1;
        }
        assert!((8_000..16_000).contains(&count), "{count}");
        assert!(answers.bytes <= MAX_BYTES + MAX_ANSWER);
        assert_eq!(answers.begin(start, "one more", PAUSE), Known::Full);
        for method in [Method::LeaveRoom, Method::Replay, Method::ListBreakoutRooms] {
            assert_eq!(answers.begin(start, "one more", Some(method)), Known::New);
        }
        assert_eq!(answers.begin(start, "0", PAUSE), Known::Answered(ack("0")));
        assert_eq!(answers.begin(start, "pending", PAUSE), Known::Pending);
        answers.answered(&ack("pending"));
        assert_eq!(answers.begin(start + KEPT_FOR, "0", PAUSE), Known::New);
        assert_eq!((answers.known.len(), answers.bytes), (1, EACH + 1));
    }

    #[test]
    fn a_pending_request_is_never_forgotten() {
        let mut answers = Answers::default();
        answers.begin(Time(0), "a", PAUSE);
        let late = Time(0) + KEPT_FOR * 2;
        assert_eq!(answers.begin(late, "a", PAUSE), Known::Pending);
        answers.answered(&ack("a"));
        assert_eq!(answers.begin(late, "a", PAUSE), Known::New);
    }

    #[test]
    fn what_changes_nothing_is_answered_anew() {
        let mut answers = Answers::default();
        let replay = Some(Method::Replay);
        assert_eq!(answers.begin(Time(0), "a", replay), Known::New);
        answers.answered(&ack_with("a", json!({"events": vec!["x"; 100_000]})));
        assert_eq!(answers.bytes, EACH + 1);
        assert_eq!(answers.begin(Time(0), "a", replay), Known::New);
        assert_eq!(answers.begin(Time(0), "a", PAUSE), Known::Taken);
    }

    #[test]
    fn a_long_answer_is_kept_in_short() {
        let mut answers = Answers::default();
        answers.begin(Time(0), "a", PAUSE);
        answers.answered(&ack_with(
            "a",
            json!({"result": 9708, "error": "x", "failed": "x".repeat(MAX_ANSWER)}),
        ));
        assert!(answers.bytes < 500);
        let Known::Answered(Frame::Ack { seq: Some(7), data, .. }) = answers.begin(Time(0), "a", PAUSE)
        else {
            panic!("it was answered")
        };
        assert_eq!((&data["result"], &data["error"]), (&json!(9708), &json!("x")));
    }
}
