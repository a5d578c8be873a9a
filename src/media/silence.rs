//! When nothing at all came of a participant: what comes behind that may have been held up on its way.

use std::time::Duration;

use crate::base::Time;
use crate::base::plant::{self, Plant};
use crate::transport::ice::CONSENT;

/// A pause that is worth a note, since who hears somebody reports more often; and by how much a packet may be
/// overtaken.
const LONG: Duration = Duration::from_millis(500);
/// So long after a silence, and so many times as long as the longest was, a queue may still be emptying.
const EMPTIES_WITHIN: Duration = Duration::from_secs(10);
const EMPTIES_IN_ITS_LENGTHS: u32 = 6;
/// Who is silent again and again, as who shows a picture each second, has no queue as long as this. Nor has
/// anybody: a connection without checks is over by then (RFC 7675).
const LONGEST: Duration = CONSENT;

/// The last silences of a participant, as far as they may be of one queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    /// When something authentic came last at the earliest, if ever.
    heard_at: Option<Time>,
    /// When the first began, and the last ended.
    since: Time,
    ended_at: Option<Time>,
    longest: Duration,
    /// Datagrams that came behind the last: where there were several, a silence that follows soon is of the same
    /// queue. Checks come one by one.
    behind: u8,
}

impl Silence {
    /// Takes note that something authentic has come, at some time between these two: a worker may have been
    /// busy meanwhile.
    pub(super) fn end(&mut self, earliest: Time, now: Time) {
        let heard_at = self.heard_at.replace(earliest).unwrap_or(earliest);
        let silent = now.since(heard_at);
        if silent >= LONG {
            if self.behind > 1 && self.may_empty(now) && now.since(self.since) < LONGEST {
                self.longest = self.longest.max(silent);
            } else {
                (self.since, self.longest) = (heard_at, silent);
            }
            (self.ended_at, self.behind) = (Some(now), 0);
        }
        self.behind = self.behind.saturating_add(1);
    }

    /// How late what comes now may be at the most. What was sent before the silence has come before it, but for
    /// what was overtaken.
    pub(super) fn held(&self, now: Time) -> Duration {
        if self.may_empty(now) && !plant::is(Plant::HeldBelieved) {
            now.since(self.since) + LONG
        } else {
            Duration::ZERO
        }
    }

    fn may_empty(&self, now: Time) -> bool {
        self.ended_at
            .is_some_and(|ended| now.since(ended) < EMPTIES_WITHIN + self.longest * EMPTIES_IN_ITS_LENGTHS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(1_000_000_000) + Duration::from_millis(ms)
    }

    fn silence(media_at: &[u64]) -> Silence {
        let mut silence = Silence::default();
        media_at.iter().for_each(|ms| silence.end(at(*ms), at(*ms)));
        silence
    }

    #[test]
    fn what_comes_after_a_silence_may_be_as_old_as_it() {
        let silence = silence(&[0, 20, 40, 5_040]);
        assert_eq!(silence.held(at(5_040)), Duration::from_millis(5_500));
        assert_eq!(silence.held(at(6_040)), Duration::from_millis(6_500));
        assert_eq!(silence.held(at(45_041)), Duration::ZERO, "it is over");
    }

    #[test]
    fn short_pauses_hold_nothing_up() {
        assert_eq!(silence(&[0, 400, 800]).held(at(800)), Duration::ZERO);
    }

    #[test]
    fn a_queue_that_empties_with_pauses_is_one() {
        assert_eq!(silence(&[0, 5_000, 5_010, 9_000]).held(at(9_000)), Duration::from_millis(9_500));
    }

    #[test]
    fn what_a_busy_worker_takes_late_may_have_come_early() {
        let mut silence = silence(&[0]);
        silence.end(at(100), at(1_500));
        silence.end(at(1_500), at(1_600));
        assert_eq!(silence.held(at(1_600)), Duration::from_millis(2_000));
    }

    #[test]
    fn checks_alone_are_no_queue() {
        let mut silence = silence(&[0]);
        [5_000, 10_000, 15_000].iter().for_each(|ms| silence.end(at(*ms), at(*ms)));
        silence.end(at(16_000), at(16_000));
        assert_eq!(silence.held(at(16_000)), Duration::from_millis(1_500));
    }
}
