//! Whether a listener's link bears its pictures.
//!
//! There are no layers to choose from: a stream fits or it does not. While it does not, all pictures of
//! the listener pause, so that its sound has the link. Nothing says beforehand whether they fit again, so
//! after a short while it is tried. What a listener says of its link changes its own slots only.

use std::ops::Range;
use std::time::Duration;

use crate::base::Time;
use crate::wire::sequence::SequenceUnwrapper;

/// Packets are judged in windows of this length, which hold at least as many as [`LEAST_PACKETS`].
const WINDOW: Duration = Duration::from_millis(250);
const LEAST_PACKETS: u32 = 20;
/// While pictures are on trial after a pause, windows are this long: sound has to bear the trial.
const TRIAL_WINDOW: Duration = Duration::from_millis(100);
const TRIAL: Duration = Duration::from_secs(1);
/// The percentage of a window that is lost on a full link. A bad radio loses 20 and is not full.
const FULL_PERCENT: u32 = 40;
/// As many lost in a row are a link that was gone for a moment, and not one that is full.
const GONE: u64 = 50;
/// Of a listener that tells of no single packets: the part lost, of 256, in the reports of two seconds that follow
/// each other.
const FULL_REPORT: u8 = 64;
/// How much longer than the shortest lately a round trip is in both of them where a queue is full.
const LONG_QUEUE: Duration = Duration::from_millis(500);
/// Reports that come closer to each other than this are of one second: browsers send one for each slot, and what
/// has held one up has held up those behind it.
const REPORTS_APART: Duration = Duration::from_millis(700);
/// Those that come later than this do not follow each other: some report every 5 s (RFC 3550 section 6.2).
const REPORTS_FOLLOW: Duration = Duration::from_secs(10);
/// How long pictures pause at first, and at the most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Who is full again as soon as this after a pause pauses for longer.
const RELAPSE: Duration = Duration::from_secs(10);
/// Numbers back from the newest of which it is remembered whether they were counted as lost: feedback speaks of no
/// wider range, as a rule, and behind one that was late it tells again what it had told.
const REMEMBERED: usize = 512;
/// Packets told of by one datagram that are looked at: more than a listener is sent between two.
pub(super) const MAX_TOLD: usize = 1_024;

/// One listener's link.
#[derive(Clone, Debug, Default)]
pub(super) struct Congestion {
    numbers: SequenceUnwrapper,
    /// What the next feedback begins with, if nothing is lost.
    expected: Option<u64>,
    /// Which of the last numbers before it were counted as lost, a bit each.
    counted: [u64; REMEMBERED / 64],
    /// The count of the last feedback.
    feedback: Option<u8>,
    window: Window,
    shortest_trip: Option<Duration>,
    paused_until: Option<Time>,
    pause: Duration,
    resumed_at: Option<Time>,
}

/// When the first and the last of a slot's newest reports came, if they tell of a full link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FullReports(Option<(Time, Time)>);

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Option<Time>,
    sent: u32,
    lost: u32,
}

impl Congestion {
    /// Whether pictures pause.
    pub(super) const fn is_paused(&self) -> bool {
        self.paused_until.is_some()
    }

    /// Whether the listener tells of single packets.
    pub(super) const fn tells_of_packets(&self) -> bool {
        self.feedback.is_some()
    }

    /// Takes what a feedback, by its own count, says of packets by their transport-wide numbers: whether
    /// each has come. Answers whether the link is full.
    pub(super) fn note_packets(
        &mut self,
        now: Time,
        feedback: u8,
        told: impl Iterator<Item = (u16, bool)>,
    ) -> bool {
        let before = self.feedback.replace(feedback);
        // What a lost feedback would have told of may all have come.
        let mut follows = before.is_none_or(|before| before.wrapping_add(1) == feedback);
        let mut lost_in_a_row = 0;
        for (sequence, came) in told {
            let number = self.numbers.unwrap(sequence);
            let expected = self.expected.unwrap_or(number);
            if number < expected {
                // One that was late, and counted as lost, or one that is told of again.
                if came && expected - number <= REMEMBERED as u64 && self.mark(number, false) {
                    self.window.lost = self.window.lost.saturating_sub(1);
                }
                continue;
            }
            // What is between two feedbacks that follow each other was lost as well; of what is between others
            // nobody knows.
            if std::mem::replace(&mut follows, true) {
                lost_in_a_row += number - expected;
            } else {
                self.mark_all(expected..number, false);
            }
            self.expected = Some(number + 1);
            if came {
                self.end_loss(lost_in_a_row, number);
                lost_in_a_row = 0;
                self.mark(number, false);
                self.window.sent += 1;
            } else {
                lost_in_a_row += 1;
            }
        }
        self.end_loss(lost_in_a_row, self.expected.unwrap_or(0));
        let since = *self.window.since.get_or_insert(now);
        let is_trial = self.resumed_at.is_some_and(|at| now.since(at) < TRIAL);
        let window = if is_trial { TRIAL_WINDOW } else { WINDOW };
        if now.since(since) < window || self.window.sent < LEAST_PACKETS {
            return false;
        }
        let Window { sent, lost, .. } = std::mem::take(&mut self.window);
        lost * 100 > sent * FULL_PERCENT
    }

    /// So many before `next` have not come.
    fn end_loss(&mut self, in_a_row: u64, next: u64) {
        let counted = u32::try_from(in_a_row).ok().filter(|_| in_a_row < GONE);
        if let Some(lost) = counted {
            self.window.sent += lost;
            self.window.lost += lost;
        }
        self.mark_all(next.saturating_sub(in_a_row)..next, counted.is_some());
    }

    fn mark_all(&mut self, numbers: Range<u64>, is_lost: bool) {
        let first = numbers.start.max(numbers.end.saturating_sub(REMEMBERED as u64));
        (first..numbers.end).for_each(|number| {
            self.mark(number, is_lost);
        });
    }

    /// Notes whether a number was counted as lost; answers what was noted before.
    fn mark(&mut self, number: u64, is_lost: bool) -> bool {
        let place = number % REMEMBERED as u64;
        let (word, bit) = (usize::try_from(place / 64).unwrap_or(0), 1 << (place % 64));
        let Some(word) = self.counted.get_mut(word) else { return false };
        let before = *word & bit != 0;
        *word = if is_lost { *word | bit } else { *word & !bit };
        before
    }

    /// Takes a receiver report of a slot that shows a picture: the part of its packets that the link has lost, of
    /// 256, and a round trip if it measured one. Answers whether the link is full.
    pub(super) fn note_report(
        &mut self,
        now: Time,
        reports: &mut FullReports,
        lost: u8,
        trip: Option<Duration>,
    ) -> bool {
        let shortest = self.shortest_trip.unwrap_or(Duration::MAX);
        let is_long = trip.is_some_and(|trip| trip > shortest.saturating_add(LONG_QUEUE));
        if let Some(trip) = trip {
            // Ways change: what was shortest once is not for ever.
            let grown = shortest.saturating_add(trip.saturating_sub(shortest) / 64);
            self.shortest_trip = Some(trip.min(grown));
        }
        // What a slot told before pictures paused says nothing of the link after.
        let counts = |since: Time| self.resumed_at.is_none_or(|resumed_at| since >= resumed_at);
        let before = reports.0.filter(|(since, last)| now.since(*last) < REPORTS_FOLLOW && counts(*since));
        let since = before.map_or(now, |(since, _)| since);
        reports.0 = (lost > FULL_REPORT || is_long).then_some((since, now));
        reports.0.is_some() && now.since(since) >= REPORTS_APART
    }

    /// Pictures pause from now on.
    pub(super) fn pause(&mut self, now: Time) {
        let is_relapse = self.resumed_at.is_some_and(|at| now.since(at) < RELAPSE);
        self.pause = if is_relapse { (self.pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        self.paused_until = Some(now + self.pause);
    }

    /// Lets pictures go on if it is time; answers whether they do from now on.
    pub(super) fn resume_if_due(&mut self, now: Time) -> bool {
        if self.paused_until.is_none_or(|until| until > now) {
            return false;
        }
        self.paused_until = None;
        self.resumed_at = Some(now);
        self.window = Window::default();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(1_000_000_000) + Duration::from_millis(ms)
    }

    fn next_of(congestion: &Congestion) -> u8 {
        congestion.feedback.map_or(7, |last| last.wrapping_add(1))
    }

    /// Feedback every 50 ms of 20 packets each, of which those come that the rule says; when it was full.
    fn full_at(congestion: &mut Congestion, from: u64, ms: u64, comes: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut full = Vec::new();
        for step in from / 50..(from + ms) / 50 {
            let numbers = step * 20..step * 20 + 20;
            // Nobody tells that nothing came.
            if !numbers.clone().any(&comes) {
                continue;
            }
            let told = numbers.map(|number| (u16::try_from(number & 0xffff).unwrap(), comes(number)));
            let feedback = next_of(congestion);
            if congestion.note_packets(at(step * 50), feedback, told) {
                full.push(step * 50);
            }
        }
        full
    }

    #[test]
    fn a_full_link_is_told_within_half_a_second_and_a_bad_radio_is_not_one() {
        let mut congestion = Congestion::default();
        assert!(full_at(&mut congestion, 0, 10_000, |number| number % 5 != 0).is_empty(), "20 %");
        let full = full_at(&mut congestion, 10_000, 1_000, |number| number % 2 == 0);
        assert!(full.first().is_some_and(|ms| *ms < 10_500), "{full:?}");
    }

    #[test]
    fn what_no_feedback_tells_of_is_lost_and_what_is_late_is_not() {
        let told = |number: u64| (u16::try_from(number & 0xffff).unwrap(), true);
        let mut congestion = Congestion::default();
        let mut full = 0;
        for step in 0..20 {
            let feedback = next_of(&congestion);
            let came = (step * 20..step * 20 + 9).map(told);
            full += u32::from(congestion.note_packets(at(step * 50), feedback, came));
        }
        assert!(full >= 2, "{full}");
        let mut congestion = Congestion::default();
        for step in (0..40).filter(|step| step % 2 == 0) {
            let came = (step * 20..step * 20 + 20).map(told);
            let feedback = u8::try_from(step).unwrap();
            assert!(!congestion.note_packets(at(step * 50), feedback, came), "every other one is lost");
        }
        let mut congestion = Congestion::default();
        for step in 0..20 {
            let late = (step * 20_u64).saturating_sub(11)..step * 20;
            let numbers = (step * 20..step * 20 + 9).chain(late);
            let feedback = next_of(&congestion);
            assert!(!congestion.note_packets(at(step * 50), feedback, numbers.map(told)), "step {step}");
        }
    }

    /// As browsers do behind one that was late.
    #[test]
    fn what_is_told_again_hides_no_loss() {
        let told = |number: u64, came| (u16::try_from(number & 0xffff).unwrap(), came);
        let mut congestion = Congestion::default();
        let mut full = 0;
        for step in 0..20_u64 {
            let feedback = next_of(&congestion);
            // Half of the new ones are lost, and the ten that came before are told again.
            let again = (step * 20).saturating_sub(20)..step * 20;
            let again = again.map(|number| told(number, number % 2 == 0));
            let new = (step * 20..step * 20 + 20).map(|number| told(number, number % 2 == 0));
            full += u32::from(congestion.note_packets(at(step * 50), feedback, again.chain(new)));
        }
        assert!(full >= 2, "{full}");
    }

    /// What was noted 512 numbers before is not of the ones that no feedback tells of.
    #[test]
    fn feedback_that_overtakes_hides_no_loss() {
        // Half of all, without an order.
        let comes = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0;
        let told = |number: u64| (u16::try_from(number & 0xffff).unwrap(), comes(number));
        let full_of = |swap: u64| {
            let mut congestion = Congestion::default();
            let full = (0..400_u64).filter(|step| {
                let step = step ^ swap;
                let feedback = u8::try_from(step & 0xff).unwrap();
                congestion.note_packets(at((step | 1) * 50), feedback, (step * 20..step * 20 + 20).map(told))
            });
            full.count()
        };
        let (in_order, swapped) = (full_of(0), full_of(1));
        assert!(swapped * 10 > in_order * 9, "{swapped} of {in_order}");
    }

    #[test]
    fn a_link_that_was_gone_is_not_full() {
        let mut congestion = Congestion::default();
        assert!(full_at(&mut congestion, 0, 5_000, |number| !(600..1_400).contains(&number)).is_empty());
    }

    #[test]
    fn two_reports_in_a_row_tell_of_loss_or_of_a_long_queue() {
        let mut congestion = Congestion::default();
        let trip = |ms| Some(Duration::from_millis(ms));
        let (mut now, mut slot) = (at(0), FullReports::default());
        let mut report = |lost, trip| {
            now = now + Duration::from_secs(1);
            congestion.note_report(now, &mut slot, lost, trip)
        };
        assert!(!report(200, trip(50)));
        assert!(!report(0, trip(50)));
        assert!(!report(200, None));
        assert!(report(70, None));
        assert!(!report(0, None));
        assert!(!report(0, trip(900)));
        assert!(report(0, trip(900)));
    }

    #[test]
    fn full_reports_follow_each_other_only_within_one_slot_and_time() {
        let (mut congestion, mut slot, mut other) =
            (Congestion::default(), FullReports::default(), FullReports::default());
        assert!(!congestion.note_report(at(0), &mut slot, 200, None));
        assert!(!congestion.note_report(at(550), &mut slot, 0, None));
        assert!(!congestion.note_report(at(1_100), &mut slot, 200, None), "it had none in between");
        // A share ends, and another begins.
        assert!(!congestion.note_report(at(5_000), &mut other, 200, None));
        assert!(!congestion.note_report(at(60_000), &mut slot, 200, None));
        assert!(congestion.note_report(at(65_000), &mut slot, 200, None));
        congestion.pause(at(65_000));
        assert!(congestion.resume_if_due(at(66_000)));
        assert!(!congestion.note_report(at(66_100), &mut slot, 200, None), "that was before the pause");
        assert!(congestion.note_report(at(67_100), &mut slot, 200, None));
    }

    /// An uplink that stands still for a while holds up the reports of all slots, and those of the seconds before.
    #[test]
    fn reports_that_come_at_once_are_of_one_second() {
        let mut congestion = Congestion::default();
        let trip = |ms| Some(Duration::from_millis(ms));
        let [mut slot, mut other] = [FullReports::default(); 2];
        assert!(!congestion.note_report(at(0), &mut slot, 0, trip(50)));
        for ms in [2_000, 2_300] {
            assert!(!congestion.note_report(at(ms), &mut slot, 0, trip(1_200)), "{ms} ms");
            assert!(!congestion.note_report(at(ms + 1), &mut other, 0, trip(1_200)), "{ms} ms");
        }
        assert!(!congestion.note_report(at(3_400), &mut slot, 0, trip(60)));
        assert!(!congestion.note_report(at(3_500), &mut slot, 200, None));
        assert!(!congestion.note_report(at(3_800), &mut other, 0, trip(60)), "another slot has no loss");
        assert!(congestion.note_report(at(4_500), &mut slot, 200, None));
    }

    #[test]
    fn pauses_grow_while_it_stays_full_and_are_never_long() {
        let mut congestion = Congestion::default();
        let (mut now, mut pauses) = (at(0), Vec::new());
        for _ in 0..5 {
            congestion.pause(now);
            let began = now;
            while !congestion.resume_if_due(now) {
                assert!(congestion.is_paused());
                now = now + Duration::from_millis(100);
            }
            pauses.push(now.since(began).as_millis());
            now = now + Duration::from_millis(400);
        }
        assert_eq!(pauses, [1_000, 2_000, 3_000, 3_000, 3_000]);
        now = now + RELAPSE;
        congestion.pause(now);
        assert!(congestion.resume_if_due(now + FIRST_PAUSE));
    }
}
