//! When nothing at all came of a participant: what comes behind that may have been held up on its way.

use std::time::Duration;

use crate::base::Time;
use crate::base::plant::{self, Plant};
use crate::transport::Path;
use crate::transport::ice::{CONSENT, MAX_PATHS};

/// A pause that is worth a note, since who hears somebody reports more often; and by how much a packet may be
/// overtaken.
const LONG: Duration = Duration::from_millis(500);
/// So long after a silence, and so many times as long as the longest was, a queue may still be emptying.
const EMPTIES_WITHIN: Duration = Duration::from_secs(10);
const EMPTIES_IN_ITS_LENGTHS: u32 = 6;
/// Who is silent again and again, as who shows a picture each second, has no queue as long as this. Nor has
/// anybody: a connection without checks is over by then (RFC 7675).
const LONGEST: Duration = CONSENT;

/// Ways whose silences are told apart: as many as a connection has.
const MOST_PATHS: usize = MAX_PATHS;

/// What came of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A check or a report: these come one by one, seconds apart.
    Alone,
    /// Media, which people send all the time while they send any: one packet between two silences is what came
    /// through of many.
    Media,
}

/// The silences of a participant on each of its ways: what is held up on one has not come because something did
/// on another.
#[derive(Clone, Debug, Default)]
pub(super) struct Silences {
    /// The last that something came on is the first.
    paths: Vec<(Path, Silence)>,
}

impl Silences {
    /// Takes note that something authentic has come on a path, at some time between these two: a worker may have
    /// been busy meanwhile.
    pub(super) fn end(&mut self, path: Path, sign: Sign, earliest: Time, now: Time) {
        match self.paths.first_mut() {
            Some((last, silence)) if *last == path => silence.end(sign, earliest, now),
            _ => self.end_elsewhere(path, sign, earliest, now),
        }
    }

    fn end_elsewhere(&mut self, path: Path, sign: Sign, earliest: Time, now: Time) {
        let mut silence = match self.paths.iter().position(|(known, _)| *known == path) {
            Some(at) => self.paths.remove(at).1,
            // It may be the way that media takes now, of which nothing has come since it came on another.
            None => self.of_media(),
        };
        silence.end(sign, earliest, now);
        self.paths.truncate(MOST_PATHS - 1);
        self.paths.insert(0, (path, silence));
    }

    /// The silence of the way that media came on last, or else anything.
    fn of_media(&self) -> Silence {
        let with_media = self.paths.iter().filter(|(_, silence)| silence.carries_media);
        let last = with_media.max_by_key(|(_, silence)| silence.media_at).or_else(|| self.paths.first());
        last.map_or_else(Silence::default, |(_, silence)| Silence { carries_media: false, ..*silence })
    }

    /// How late what comes now on a path may be at the most. What was sent before the silence has come before it,
    /// but for what was overtaken.
    pub(super) fn held(&self, path: Path, now: Time) -> Duration {
        self.paths
            .iter()
            .find(|(known, _)| *known == path)
            .map_or(Duration::ZERO, |(_, silence)| silence.held(now))
    }
}

/// The last silences of one way, as far as they may be of one queue.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    /// When something authentic came last at the earliest, and media, if ever.
    heard_at: Option<Time>,
    media_at: Option<Time>,
    /// Whether that came on this very way.
    carries_media: bool,
    /// When the first began, and the last ended.
    since: Time,
    ended_at: Option<Time>,
    longest: Duration,
    /// Whether so much came behind the last that a silence which follows soon is of the same queue: media, or
    /// several of what comes alone. Of who sends no media at all that comes one by one.
    alone_behind: u8,
    has_media_behind: bool,
    /// Whether media came right before the first: then one check may be all that has come through since.
    began_in_media: bool,
}

impl Silence {
    fn end(&mut self, sign: Sign, earliest: Time, now: Time) {
        let heard_at = self.heard_at.replace(earliest).unwrap_or(earliest);
        let silent = now.since(heard_at);
        if silent >= LONG {
            let is_of_one = self.began_in_media || self.has_media_behind || self.alone_behind > 1;
            if is_of_one && self.may_empty(now) && now.since(self.since) < LONGEST {
                self.longest = self.longest.max(silent);
            } else {
                (self.since, self.longest) = (heard_at, silent.min(LONGEST));
                self.began_in_media = self.media_at.is_some_and(|media_at| heard_at.since(media_at) < LONG);
            }
            (self.ended_at, self.alone_behind, self.has_media_behind) = (Some(now), 0, false);
        }
        match sign {
            Sign::Alone => self.alone_behind = self.alone_behind.saturating_add(1),
            Sign::Media => {
                (self.has_media_behind, self.carries_media) = (true, true);
                self.media_at = Some(earliest);
            }
        }
    }

    fn held(&self, now: Time) -> Duration {
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
        media_at.iter().for_each(|ms| silence.end(Sign::Media, at(*ms), at(*ms)));
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
        silence.end(Sign::Media, at(100), at(1_500));
        silence.end(Sign::Media, at(1_500), at(1_600));
        assert_eq!(silence.held(at(1_600)), Duration::from_millis(2_100));
    }

    #[test]
    fn checks_of_who_sends_no_media_are_no_queue() {
        let mut silence = Silence::default();
        for ms in [0, 5_000, 10_000, 15_000] {
            silence.end(Sign::Alone, at(ms), at(ms));
        }
        silence.end(Sign::Media, at(16_000), at(16_000));
        assert_eq!(silence.held(at(16_000)), Duration::from_millis(1_500));
    }

    #[test]
    fn a_check_within_a_silence_of_media_does_not_end_it() {
        let mut silence = silence(&[0, 20, 40]);
        silence.end(Sign::Alone, at(2_500), at(2_500));
        silence.end(Sign::Media, at(5_000), at(5_000));
        assert_eq!(silence.held(at(5_000)), Duration::from_millis(5_460));
        // Not for ever: who has stopped sending for half a minute is one who sends no media.
        let mut silence = self::silence(&[0, 20, 40]);
        (1..=10).for_each(|number| silence.end(Sign::Alone, at(number * 5_000), at(number * 5_000)));
        silence.end(Sign::Media, at(51_000), at(51_000));
        assert!(silence.held(at(51_000)) < Duration::from_secs(20));
    }

    #[test]
    fn a_way_that_was_away_for_an_hour_is_one_for_minutes() {
        let silence = silence(&[0, 20, 3_600_000]);
        assert_eq!(silence.held(at(3_900_000)), Duration::ZERO);
    }

    #[test]
    fn one_packet_between_two_silences_is_of_their_queue() {
        assert_eq!(silence(&[0, 2_000, 5_000]).held(at(5_000)), Duration::from_millis(5_500));
    }

    /// The ways of a telephone that has two networks.
    fn path(port: u16) -> Path {
        Path { remote: (std::net::Ipv4Addr::LOCALHOST, port).into(), local: None }
    }

    #[test]
    fn what_comes_on_one_way_ends_no_silence_of_another() {
        let mut silences = Silences::default();
        silences.end(path(1), Sign::Media, at(0), at(0));
        for ms in [900, 1_900, 2_900, 3_900] {
            silences.end(path(2), Sign::Alone, at(ms), at(ms));
        }
        silences.end(path(1), Sign::Media, at(4_000), at(4_000));
        assert_eq!(silences.held(path(1), at(4_000)), Duration::from_millis(4_500));
        assert_eq!(silences.held(path(3), at(4_000)), Duration::ZERO);
    }

    #[test]
    fn a_way_that_is_new_may_have_held_up_what_came_behind_the_last_on_another() {
        let mut silences = Silences::default();
        [0, 300, 600].iter().for_each(|ms| silences.end(path(1), Sign::Media, at(*ms), at(*ms)));
        // A third that is checked meanwhile says nothing of either.
        silences.end(path(3), Sign::Alone, at(4_500), at(4_500));
        silences.end(path(2), Sign::Media, at(4_600), at(4_600));
        assert_eq!(silences.held(path(2), at(4_600)), Duration::from_millis(4_500));
    }

    #[test]
    fn a_few_ways_are_known() {
        let mut silences = Silences::default();
        (0..100).for_each(|port| silences.end(path(port), Sign::Alone, at(0), at(0)));
        assert_eq!(silences.paths.len(), MOST_PATHS);
    }
}
