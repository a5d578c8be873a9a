//! The newest requests of one participant and what they were answered, so that a repeat of a request
//! gets the first answer and does nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Time;
use crate::message::Frame;

/// How long a request's id stays its own.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// How many requests are kept: two a second for the whole two minutes. Older ones are forgotten first.
const MAX_KEPT: usize = 256;

struct Entry {
    id: String,
    at: Time,
    /// Nothing while the request is pending.
    ack: Option<Frame>,
}

/// What is known of a request's id.
pub(super) enum Known {
    /// Nothing: this is a new request, and its id is kept from now on.
    New,
    /// The request is pending; its one ack is still to come.
    Pending,
    /// It was answered.
    Answered(Frame),
}

#[derive(Default)]
pub(super) struct Answers {
    newest: VecDeque<Entry>,
}

impl Answers {
    /// Looks a request up, and keeps its id if it is new.
    pub(super) fn begin(&mut self, now: Time, id: &str) -> Known {
        while self.newest.front().is_some_and(|entry| now.since(entry.at) >= KEPT_FOR) {
            self.newest.pop_front();
        }
        if let Some(entry) = self.newest.iter().find(|entry| entry.id == id) {
            return entry.ack.clone().map_or(Known::Pending, Known::Answered);
        }
        if self.newest.len() >= MAX_KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(Entry { id: id.to_owned(), at: now, ack: None });
        Known::New
    }

    /// Keeps the answer of a request.
    pub(super) fn answered(&mut self, id: &str, ack: Frame) {
        if let Some(entry) = self.newest.iter_mut().rev().find(|entry| entry.id == id) {
            entry.ack = Some(ack);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn ack(id: &str) -> Frame {
        Frame::Ack { id: id.to_owned(), ack: "didAckPause", seq: None, data: Value::Null }
    }

    #[test]
    fn a_repeat_within_two_minutes_gets_the_first_answer() {
        let mut answers = Answers::default();
        let start = Time::from_unix_seconds(100);
        assert!(matches!(answers.begin(start, "a"), Known::New));
        assert!(matches!(answers.begin(start, "a"), Known::Pending));
        answers.answered("a", ack("a"));
        let later = start + Duration::from_secs(119);
        assert!(matches!(answers.begin(later, "a"), Known::Answered(frame) if frame == ack("a")));
        assert!(matches!(answers.begin(start + KEPT_FOR, "a"), Known::New));
    }

    #[test]
    fn the_newest_256_are_kept() {
        let mut answers = Answers::default();
        for number in 0..=MAX_KEPT {
            answers.begin(Time(0), &number.to_string());
        }
        assert!(matches!(answers.begin(Time(0), "1"), Known::Pending));
        assert!(matches!(answers.begin(Time(0), "0"), Known::New));
    }
}
