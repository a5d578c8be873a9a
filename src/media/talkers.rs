//! Who is heard in a group: the loudest, without flapping.
//!
//! Seats are kept until somebody clearly louder wants one. There is one seat more than a member
//! hears at once: whoever sits in one of the first does not hear oneself, and hears the last instead.

use std::time::Duration;

use super::slab::Key;
use super::stream::Stream;
use crate::base::Time;

/// Louder than this, in -dBov, is speech; a quiet room is near 60.
const SPEECH: i32 = 50 * SCALE;
/// What a stream without levels counts as while it sends more than silence.
pub(super) const UNKNOWN_LEVEL: u8 = 30;
/// The largest payload that counts as silence where there are no levels: Opus in DTX sends 1 to 3
/// bytes, and comfort noise of some encoders up to 10.
pub(super) const LARGEST_SILENCE: usize = 10;
/// A newcomer must be louder than the weakest by this much ..
const CLEARLY_LOUDER: i32 = 6 * SCALE;
/// .. for this long.
const FOR_SO_LONG: Duration = Duration::from_millis(300);
/// Whoever has been silent for this long gives way to any speaker.
const SILENT: Duration = Duration::from_millis(1_500);
/// A stream that sent nothing for this long is silent: DTX sends a packet each 400 ms.
const STALE: Duration = Duration::from_millis(500);

/// Levels are kept in 256ths of a dB.
const SCALE: i32 = 256;
const SILENCE: i32 = 127 * SCALE;

/// How loud one stream is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loudness {
    smoothed: i32,
    packet_at: Option<Time>,
    speech_at: Option<Time>,
    challenges_since: Option<Time>,
}

impl Default for Loudness {
    fn default() -> Self {
        Self { smoothed: SILENCE, packet_at: None, speech_at: None, challenges_since: None }
    }
}

impl Loudness {
    /// Takes in the level of one packet, in -dBov.
    pub(super) fn hear(&mut self, level: u8, now: Time) {
        let before = self.level(now);
        let level = i32::from(level.min(127)) * SCALE;
        // Rises within 4 packets and falls within 16, so that a word is noticed and a pause is not.
        let weight = if level < before { 4 } else { 16 };
        self.smoothed = before + (level - before) / weight;
        self.packet_at = Some(now);
        if self.smoothed < SPEECH {
            self.speech_at = Some(now);
        }
    }

    /// Takes over what another worker has heard. Since when it challenges is for each worker to say.
    pub(super) const fn adopt(&mut self, heard: Self) {
        *self = Self { challenges_since: self.challenges_since, ..heard };
    }

    /// Forgets everything, as for a stream that came to another group.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    fn level(&self, now: Time) -> i32 {
        match self.packet_at {
            Some(at) if now.since(at) < STALE => self.smoothed,
            _ => SILENCE,
        }
    }

    /// The smoothed level in -dBov.
    pub(super) fn decibels(&self, now: Time) -> u8 {
        u8::try_from(self.level(now) / SCALE).unwrap_or(127)
    }

    /// Whether this is speech now.
    pub(super) fn speaks(&self, now: Time) -> bool {
        self.level(now) < SPEECH
    }

    fn is_long_silent(&self, now: Time) -> bool {
        self.speech_at.is_none_or(|at| now.since(at) >= SILENT)
    }
}

/// Somebody who may get a seat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) stream: Key<Stream>,
    /// Whether it may send now. Who may not keeps a seat only while nobody wants it.
    pub(super) allowed: bool,
    pub(super) loudness: Loudness,
}

/// The seats of one group, by rank: who hears `n` at once hears the first `n` that are not oneself.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Vec<Key<Stream>>);

impl Seats {
    /// The streams by rank.
    pub(super) fn iter(&self) -> impl Iterator<Item = Key<Stream>> + '_ {
        self.0.iter().copied()
    }

    /// Ranks anew; answers whether a seat changed hands. `heard` is how many a member hears at once.
    /// Since when a candidate has been challenging is written back to it.
    pub(super) fn rank(&mut self, now: Time, heard: usize, candidates: &mut [Candidate]) -> bool {
        let before = self.0.clone();
        self.0.retain(|seat| candidates.iter().any(|candidate| candidate.stream == *seat));
        self.0.truncate(heard.saturating_add(1));
        self.fill(now, heard.saturating_add(1), candidates);
        let seats_are_free_of_the_barred =
            self.0.iter().all(|seat| find(candidates, *seat).is_some_and(|holder| holder.allowed));
        let mut rivals = self.rivals(now, heard, candidates);
        for at in 0..candidates.len() {
            let Some(challenger) = candidates.get(at).copied() else { break };
            if !challenger.allowed
                || (seats_are_free_of_the_barred && !challenger.loudness.speaks(now))
                || self.0.iter().take(heard).any(|seat| *seat == challenger.stream)
            {
                if let Some(candidate) = candidates.get_mut(at) {
                    candidate.loudness.challenges_since = None;
                }
                continue;
            }
            let (since, won) = self.challenge(now, challenger, rivals);
            if let Some(candidate) = candidates.get_mut(at) {
                candidate.loudness.challenges_since = since;
            }
            if won {
                rivals = self.rivals(now, heard, candidates);
            }
        }
        self.0 != before
    }

    /// Gives free seats to the loudest of those who may send, then to the others.
    fn fill(&mut self, now: Time, seats: usize, candidates: &[Candidate]) {
        while self.0.len() < seats {
            let next = candidates
                .iter()
                .filter(|candidate| !self.0.contains(&candidate.stream))
                .min_by_key(|candidate| (!candidate.allowed, candidate.loudness.level(now)));
            let Some(next) = next else { break };
            self.0.push(next.stream);
        }
    }

    /// Lets one candidate challenge the weakest seats; answers since when it has been waiting, and whether it has
    /// won a seat.
    fn challenge(&mut self, now: Time, challenger: Candidate, rivals: Rivals) -> (Option<Time>, bool) {
        let held = self.0.iter().position(|seat| *seat == challenger.stream);
        let main = rivals.main;
        let spare = rivals.spare.filter(|_| held.is_none());
        let since = challenger.loudness.challenges_since.unwrap_or(now);
        let waited = now.since(since) >= FOR_SO_LONG;
        let outcome = |holder: Option<Candidate>| {
            holder.map_or(Outcome::Fails, |holder| challenger.against(now, &holder))
        };
        let (over_main, over_spare) = (outcome(main), outcome(spare));
        let wins = |outcome| outcome == Outcome::Wins || (outcome == Outcome::WinsLater && waited);
        if let Some(loser) = main.filter(|_| wins(over_main)) {
            // The loser is still the best of the rest, or near it: it takes the last seat.
            self.put(loser.stream, challenger.stream);
            match (held, spare) {
                (Some(at), _) => self.set(at, loser.stream),
                (None, Some(spare)) => self.put(spare.stream, loser.stream),
                (None, None) => {}
            }
            return (None, true);
        }
        if let Some(spare) = spare.filter(|_| wins(over_spare)) {
            self.put(spare.stream, challenger.stream);
            return ((over_main == Outcome::WinsLater).then_some(since), true);
        }
        let waits = over_main == Outcome::WinsLater || over_spare == Outcome::WinsLater;
        (waits.then_some(since), false)
    }

    /// Whom a challenger is held against, which is the same for all until one wins: a room may have thousands.
    fn rivals(&self, now: Time, heard: usize, candidates: &[Candidate]) -> Rivals {
        let holders = self.0.iter().take(heard).filter_map(|seat| find(candidates, *seat));
        let main = holders.max_by_key(|holder| {
            (!holder.allowed, holder.loudness.is_long_silent(now), holder.loudness.level(now))
        });
        Rivals { main, spare: self.0.get(heard).and_then(|seat| find(candidates, *seat)) }
    }

    fn put(&mut self, old: Key<Stream>, new: Key<Stream>) {
        if let Some(at) = self.0.iter().position(|seat| *seat == old) {
            self.set(at, new);
        }
    }

    fn set(&mut self, at: usize, stream: Key<Stream>) {
        if let Some(seat) = self.0.get_mut(at) {
            *seat = stream;
        }
    }
}

/// Whoever gives way first.
#[derive(Clone, Copy, Debug)]
struct Rivals {
    /// Among those who are heard.
    main: Option<Candidate>,
    /// The one seat behind them.
    spare: Option<Candidate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Fails,
    WinsLater,
    Wins,
}

impl Candidate {
    fn against(&self, now: Time, holder: &Self) -> Outcome {
        let speaks = self.loudness.speaks(now);
        if !holder.allowed || (speaks && holder.loudness.is_long_silent(now)) {
            Outcome::Wins
        } else if speaks && self.loudness.level(now) + CLEARLY_LOUDER <= holder.loudness.level(now) {
            Outcome::WinsLater
        } else {
            Outcome::Fails
        }
    }
}

fn find(candidates: &[Candidate], stream: Key<Stream>) -> Option<Candidate> {
    candidates.iter().find(|candidate| candidate.stream == stream).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::slab::Slab;

    const HEARD: usize = 2;
    const QUIET: u8 = 90;

    /// A meeting whose packets come every 20 ms.
    struct Meeting {
        now: Time,
        seats: Seats,
        people: Vec<Candidate>,
        changes: usize,
    }

    impl Meeting {
        fn of(count: usize) -> Self {
            let mut keys: Slab<()> = Slab::default();
            let people = (0..count)
                .map(|_| {
                    let key = keys.insert(());
                    Candidate { stream: key.cast(), allowed: true, loudness: Loudness::default() }
                })
                .collect();
            let mut meeting = Self { now: Time(1_000_000), seats: Seats::default(), people, changes: 0 };
            meeting.seats.rank(meeting.now, HEARD, &mut meeting.people);
            meeting
        }

        fn run(&mut self, ms: u64, levels: &[u8]) {
            for _ in 0..ms / 20 {
                self.now = self.now + Duration::from_millis(20);
                for (person, level) in self.people.iter_mut().zip(levels) {
                    person.loudness.hear(*level, self.now);
                }
                if self.seats.rank(self.now, HEARD, &mut self.people) {
                    self.changes += 1;
                }
            }
        }

        fn heard(&self) -> Vec<usize> {
            let place = |seat| self.people.iter().position(|person| person.stream == seat).unwrap();
            let mut heard: Vec<usize> = self.seats.iter().take(HEARD).map(place).collect();
            heard.sort_unstable();
            heard
        }
    }

    #[test]
    fn who_fits_has_a_seat_before_speaking() {
        let meeting = Meeting::of(3);
        assert_eq!(meeting.seats.iter().count(), 3);
    }

    #[test]
    fn a_speaker_replaces_somebody_silent_within_a_word() {
        let mut meeting = Meeting::of(5);
        meeting.run(2_000, &[QUIET; 5]);
        assert_eq!(meeting.heard(), [0, 1]);
        meeting.run(100, &[QUIET, QUIET, QUIET, QUIET, 20]);
        assert!(meeting.heard().contains(&4));
    }

    #[test]
    fn two_equals_do_not_take_turns() {
        let mut meeting = Meeting::of(4);
        meeting.run(3_000, &[30, 30, QUIET, QUIET]);
        let before = meeting.changes;
        for _ in 0..50 {
            meeting.run(100, &[32, 30, 29, 31]);
            meeting.run(100, &[30, 32, 31, 29]);
        }
        assert!(meeting.changes - before <= 1, "{}", meeting.changes - before);
        assert_eq!(meeting.heard(), [0, 1]);
    }

    #[test]
    fn a_newcomer_must_be_clearly_louder_for_a_while() {
        let mut meeting = Meeting::of(4);
        meeting.run(2_000, &[35, 45, QUIET, QUIET]);
        meeting.run(160, &[35, 45, QUIET, 20]);
        assert_eq!(meeting.heard(), [0, 1]);
        meeting.run(400, &[35, 45, QUIET, 20]);
        assert_eq!(meeting.heard(), [0, 3]);
    }

    #[test]
    fn a_pause_between_sentences_costs_nobody_the_seat() {
        let mut meeting = Meeting::of(4);
        meeting.run(2_000, &[30, 30, QUIET, QUIET]);
        meeting.run(900, &[30, QUIET, QUIET, QUIET]);
        meeting.run(1_000, &[30, 30, QUIET, QUIET]);
        assert_eq!(meeting.heard(), [0, 1]);
    }

    #[test]
    fn who_may_not_send_gives_way_at_once() {
        let mut meeting = Meeting::of(4);
        meeting.people[0].allowed = false;
        meeting.run(20, &[QUIET; 4]);
        assert!(!meeting.heard().contains(&0));
    }

    #[test]
    fn the_last_seat_holds_the_next_loudest() {
        let mut meeting = Meeting::of(5);
        meeting.run(3_000, &[20, 30, QUIET, QUIET, 40]);
        let seats: Vec<_> = meeting.seats.iter().collect();
        assert_eq!(seats[HEARD], meeting.people[4].stream);
    }
}
