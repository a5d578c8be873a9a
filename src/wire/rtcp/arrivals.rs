//! What transport-wide feedback tells a sender: which of its packets came when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::Duration;

use super::{TransportFeedback, write_transport_feedback};
use crate::base::{Ssrc, Time};
use crate::wire::WireError;
use crate::wire::sequence::SequenceUnwrapper;

/// Packets remembered between two feedbacks: 100 ms at 5,000 packets a second.
const MAX_ARRIVALS: usize = 512;
/// The widest range of numbers that one feedback speaks of.
const MAX_SPAN: u64 = 512;
/// Time between two feedbacks.
const INTERVAL: Duration = Duration::from_millis(50);

const TICK_MICROS: u64 = 250;
const REFERENCE_MICROS: u64 = 64_000;

/// Arrivals since the last feedback.
#[derive(Debug, Default)]
pub struct Arrivals {
    numbers: SequenceUnwrapper,
    waiting: Vec<(u64, Time)>,
    statuses: Vec<Option<i16>>,
    sent_at: Option<Time>,
    count: u8,
}

impl Arrivals {
    /// Notes a packet; one beyond the bound is not reported and counts as lost at the sender.
    pub fn note(&mut self, sequence: u16, now: Time) {
        let number = self.numbers.unwrap(sequence);
        if self.waiting.len() < MAX_ARRIVALS {
            self.waiting.push((number, now));
        }
    }

    /// Whether a feedback is due.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        !self.waiting.is_empty()
            && (self.sent_at.is_none_or(|sent| now.since(sent) >= INTERVAL)
                || self.waiting.len() > MAX_ARRIVALS / 2)
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
        self.waiting.sort_unstable();
        self.waiting.dedup_by_key(|(number, _)| *number);
        let newest = self.waiting.last().map_or(0, |(number, _)| *number);
        let oldest = newest.saturating_sub(MAX_SPAN - 1);
        self.waiting.retain(|(number, _)| *number >= oldest);
        let Some(&(base, first_at)) = self.waiting.first() else { return Ok(0) };
        let reference = first_at.as_micros() / REFERENCE_MICROS;
        let mut before = reference * (REFERENCE_MICROS / TICK_MICROS);
        let mut expected = base;
        self.statuses.clear();
        for &(number, at) in &self.waiting {
            for _ in expected..number {
                self.statuses.push(None);
            }
            let ticks = at.as_micros() / TICK_MICROS;
            let delta = i64::try_from(ticks).unwrap_or(0) - i64::try_from(before).unwrap_or(0);
            // Beyond 8 s a delta does not fit; such a packet is left out, and counts as lost.
            let delta = i16::try_from(delta).ok();
            if delta.is_some() {
                before = ticks;
            }
            self.statuses.push(delta);
            expected = number + 1;
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
        let written = write_transport_feedback(&feedback, out);
        self.waiting.clear();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
