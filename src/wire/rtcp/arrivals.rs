//! What transport-wide feedback tells a sender: which of its packets came when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::Duration;

use super::{TransportFeedback, write_transport_feedback};
use crate::base::{Ssrc, Time};
use crate::wire::WireError;
use crate::wire::sequence::SequenceUnwrapper;

/// The widest range of numbers that one feedback speaks of, and whose arrivals are remembered for it: 100 ms at
/// 5,000 packets a second.
const SPAN: usize = 512;
const SPAN_NUMBERS: u64 = SPAN as u64;
/// Time between two feedbacks.
const INTERVAL: Duration = Duration::from_millis(50);

const TICK_MICROS: u64 = 250;
const REFERENCE_MICROS: u64 = 64_000;

/// What stands for a packet that has not come.
const NEVER: Time = Time(0);

/// When the last packets came, and which of them a feedback is still to tell of.
#[derive(Debug, Default)]
pub struct Arrivals {
    numbers: SequenceUnwrapper,
    /// By number, [`SPAN`] of them up to the newest; none before the first packet.
    came: Vec<Time>,
    newest: u64,
    /// The first and the last number that no feedback has told of yet, and how many there are.
    waiting: Option<(u64, u64, usize)>,
    /// The number after the last one that a feedback spoke of.
    told_to: Option<u64>,
    statuses: Vec<Option<i16>>,
    sent_at: Option<Time>,
    count: u8,
}

impl Arrivals {
    /// Notes a packet; one that is too old is not reported and counts as lost at the sender.
    pub fn note(&mut self, sequence: u16, now: Time) {
        let number = self.numbers.unwrap(sequence);
        if self.came.is_empty() {
            self.came.resize(SPAN, NEVER);
            self.newest = number;
        }
        if number > self.newest {
            let skipped = self.newest.max(number.saturating_sub(SPAN_NUMBERS)) + 1..number;
            skipped.for_each(|number| self.put(number, NEVER));
            self.newest = number;
        } else if number < self.oldest() {
            return;
        }
        self.put(number, now);
        let (first, last, count) = self.waiting.unwrap_or((number, number, 0));
        self.waiting = Some((first.min(number), last.max(number), count + 1));
    }

    /// Whether a feedback is due.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.waiting.is_some_and(|(.., count)| {
            self.sent_at.is_none_or(|sent| now.since(sent) >= INTERVAL) || count > SPAN / 2
        })
    }

    /// As many bytes as the next feedback takes at most: for the widest range 1,192.
    #[must_use]
    pub fn longest(&self) -> usize {
        let Some((first, last, _)) = self.waiting else { return 0 };
        let base = self.told_to.unwrap_or(first).min(first).max(self.oldest());
        let numbers = usize::try_from((last + 1).saturating_sub(base)).unwrap_or(SPAN);
        // The front, two bytes for seven numbers and for each that has come, and what fills up a word.
        (20 + 2 * numbers.div_ceil(7) + 2 * numbers).next_multiple_of(4)
    }

    /// Writes the feedback about everything that waits and answers its length.
    ///
    /// # Errors
    ///
    /// A buffer that is too small; what waited is forgotten.
    pub fn write(
        &mut self,
        now: Time,
        sender: Ssrc,
        media: Ssrc,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        self.sent_at = Some(now);
        let Some((first, last, _)) = self.waiting.take() else { return Ok(0) };
        // What waited since before a leap is too old by now.
        let has_come = |number: &u64| self.at(*number) != NEVER;
        let Some(first) = (first.max(self.oldest())..=last).find(has_come) else { return Ok(0) };
        // A sender counts only what it is told of: what was lost since the last feedback is told as well.
        let untold = self.told_to.filter(|told_to| (self.oldest()..first).contains(told_to));
        let base = untold.unwrap_or(first);
        self.told_to = self.told_to.max(Some(last + 1));
        let reference = self.at(first).as_micros() / REFERENCE_MICROS;
        let mut before = reference * (REFERENCE_MICROS / TICK_MICROS);
        self.statuses.clear();
        // Behind one that was late is some of what was told before, and is told again: what a feedback spans and does
        // not tell counts as lost.
        for number in base..=last {
            let at = self.at(number);
            let ticks = at.as_micros() / TICK_MICROS;
            let delta = i64::try_from(ticks).unwrap_or(0) - i64::try_from(before).unwrap_or(0);
            // Beyond 8 s a delta does not fit; such a packet is left out, and counts as lost.
            let delta = i16::try_from(delta).ok().filter(|_| at != NEVER);
            if delta.is_some() {
                before = ticks;
            }
            self.statuses.push(delta);
        }
        let feedback = TransportFeedback {
            sender_ssrc: sender,
            media_ssrc: media,
            base: u16::try_from(base & 0xffff).unwrap_or(0),
            reference_time: u32::try_from(reference & 0xff_ffff).unwrap_or(0),
            count: self.count,
            statuses: &self.statuses,
        };
        self.count = self.count.wrapping_add(1);
        write_transport_feedback(&feedback, out)
    }

    /// The oldest number that is remembered.
    fn oldest(&self) -> u64 {
        self.newest.saturating_sub(SPAN_NUMBERS - 1)
    }

    fn at(&self, number: u64) -> Time {
        self.came.get(place_of(number)).copied().unwrap_or(NEVER)
    }

    fn put(&mut self, number: u64, at: Time) {
        if let Some(place) = self.came.get_mut(place_of(number)) {
            *place = at;
        }
    }
}

fn place_of(number: u64) -> usize {
    usize::try_from(number % SPAN_NUMBERS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;
    use crate::wire::rtcp::{RtcpPacket, packets};

    fn at(ms: u64) -> Time {
        Time(64_000_000) + Duration::from_millis(ms)
    }

    #[test]
    fn each_arrival_is_told_once_with_its_time() {
        let mut arrivals = Arrivals::default();
        for (sequence, ms) in [(65_534, 1), (65_535, 2), (1, 5), (0, 6)] {
            arrivals.note(sequence, at(ms));
        }
        arrivals.note(4, at(9));
        assert!(arrivals.is_due(at(9)));
        let mut buffer = [0; 200];
        let len = arrivals.write(at(10), Ssrc(1), Ssrc(2), &mut buffer).unwrap();
        let Some(Ok(RtcpPacket::TransportFeedback(view))) = packets(&buffer[..len]).next() else {
            panic!("no feedback")
        };
        let read: Vec<_> = view.statuses().collect();
        let expected = [
            (65_534, Some(4)),
            (65_535, Some(4)),
            (0, Some(16)),
            (1, Some(-4)),
            (2, None),
            (3, None),
            (4, Some(16)),
        ];
        assert_eq!(read, expected);
        assert!(!arrivals.is_due(at(100)), "nothing came since");
    }

    /// What the next feedback says: its reference time, and each number with its status.
    fn told(arrivals: &mut Arrivals, now: Time) -> (u32, Vec<(u16, Option<i16>)>) {
        let mut buffer = [0; 1_200];
        let len = arrivals.write(now, Ssrc(1), Ssrc(2), &mut buffer).unwrap();
        let Some(Ok(RtcpPacket::TransportFeedback(view))) = packets(&buffer[..len]).next() else {
            panic!("no feedback")
        };
        (view.reference_time, view.statuses().collect())
    }

    #[test]
    fn what_was_lost_between_two_feedbacks_is_told() {
        let mut arrivals = Arrivals::default();
        arrivals.note(65_530, at(1));
        assert_eq!(told(&mut arrivals, at(10)).1, [(65_530, Some(4))], "nobody knows what was before");
        // A burst over several intervals, and over the wrap.
        arrivals.note(2, at(640));
        let (reference, statuses) = told(&mut arrivals, at(650));
        let lost = [65_531, 65_532, 65_533, 65_534, 65_535, 0, 1].map(|number| (number, None));
        assert_eq!(statuses, [&lost[..], &[(2, Some(0))]].concat());
        assert_eq!(reference, 1_000 + 10, "the time is that of the first that came");
        // What is late is told when it comes, and takes nothing back.
        arrivals.note(0, at(700));
        assert_eq!(told(&mut arrivals, at(710)).1, [(0, Some(240))]);
        arrivals.note(4, at(704));
        assert_eq!(told(&mut arrivals, at(760)).1, [(3, None), (4, Some(0))]);
    }

    #[test]
    fn what_was_told_already_is_not_told_as_lost_behind_one_that_was_late() {
        let mut arrivals = Arrivals::default();
        for (sequence, ms) in [(1, 1), (2, 2), (4, 4), (5, 5)] {
            arrivals.note(sequence, at(ms));
        }
        told(&mut arrivals, at(10));
        arrivals.note(3, at(12));
        arrivals.note(6, at(13));
        let statuses = told(&mut arrivals, at(60)).1;
        assert_eq!(statuses, [(3, Some(48)), (4, Some(-32)), (5, Some(4)), (6, Some(32))]);
        arrivals.note(5, at(61));
        assert_eq!(told(&mut arrivals, at(120)).1.len(), 1, "and nothing else for its sake");
    }

    #[test]
    fn what_waits_before_a_leap_has_no_time_any_more() {
        let mut arrivals = Arrivals::default();
        arrivals.note(1, at(1));
        arrivals.note(2_000, at(64_002));
        let (reference, statuses) = told(&mut arrivals, at(64_003));
        assert_eq!((reference, statuses), (2_000, vec![(2_000, Some(8))]));
    }

    #[test]
    fn a_leap_is_not_told_as_a_loss() {
        let mut arrivals = Arrivals::default();
        let span = u16::try_from(SPAN).unwrap();
        arrivals.note(0, at(1));
        told(&mut arrivals, at(1));
        arrivals.note(span, at(2));
        assert_eq!(told(&mut arrivals, at(60)).1.len(), usize::from(span), "all that one can speak of");
        arrivals.note(2 * span + 1, at(130));
        assert_eq!(told(&mut arrivals, at(130)).1.len(), 1);
    }

    #[test]
    fn no_feedback_is_longer_than_it_says() {
        let (mut arrivals, mut random) = (Arrivals::default(), Random::from_number(4));
        let (mut next, mut longest) = (0_u64, 0);
        for round in 1..200 {
            // Each the other way round, so that all deltas are large.
            for pair in 0..random.below(2 * SPAN_NUMBERS) / 2 {
                for number in [next + 2 * pair + 1, next + 2 * pair] {
                    let after = 70 * (number ^ 1);
                    arrivals
                        .note(u16::try_from(number & 0xffff).unwrap(), at(round * 100_000 + after % 60_000));
                }
            }
            next += 2 * (SPAN_NUMBERS / 2);
            let most = arrivals.longest();
            let mut buffer = vec![0; most];
            let len = arrivals.write(at(round * 100_000 + 99_000), Ssrc(1), Ssrc(2), &mut buffer).unwrap();
            assert!(len <= most);
            longest = longest.max(most);
        }
        assert!((1_100..=1_192).contains(&longest), "{longest}");
    }

    #[test]
    fn every_packet_is_told_of() {
        let (mut arrivals, mut random) = (Arrivals::default(), Random::from_number(3));
        let (mut came, mut lost) = (0, 0);
        let (mut all_came, mut all_lost) = (0, 0);
        for number in 0..10_000_u16 {
            // The last comes, so that everything before it is told of.
            if number == 9_999 || number == 0 || random.below(3) > 0 {
                arrivals.note(number, at(u64::from(number) * 20));
                all_came += 1;
            } else {
                all_lost += 1;
            }
            let now = at(u64::from(number) * 20 + 1);
            if arrivals.is_due(now) || number == 9_999 && arrivals.waiting.is_some() {
                let (_, statuses) = told(&mut arrivals, now);
                came += statuses.iter().filter(|(_, status)| status.is_some()).count();
                lost += statuses.iter().filter(|(_, status)| status.is_none()).count();
            }
        }
        assert_eq!((came, lost), (all_came, all_lost));
    }

    #[test]
    fn feedback_is_sent_at_its_interval() {
        let mut arrivals = Arrivals::default();
        arrivals.note(1, at(0));
        arrivals.write(at(0), Ssrc(1), Ssrc(2), &mut [0; 200]).unwrap();
        arrivals.note(2, at(10));
        assert!(!arrivals.is_due(at(49)));
        assert!(arrivals.is_due(at(50)));
    }
}
