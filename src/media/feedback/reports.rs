//! What is told of received streams, and what is learnt from reports.

use std::time::Duration;

use super::lateness::{Late, Lateness};
use crate::base::{Ssrc, Time};
use crate::wire::rtcp::ReportBlock;

/// The middle 32 bits of an NTP time (RFC 3550 section 4).
pub(crate) fn middle_of(ntp: u64) -> u32 {
    u32::try_from(ntp >> 16 & 0xffff_ffff).unwrap_or(0)
}

/// A length of time in 1/65536 s, as reports have it.
fn in_report_units(time: Duration) -> u32 {
    u32::try_from((time.as_micros() << 16) / 1_000_000).unwrap_or(u32::MAX)
}

fn from_report_units(units: u32) -> Duration {
    Duration::from_micros((u64::from(units) * 1_000_000) >> 16)
}

/// What was received from one source (RFC 3550 section 6.4.1 and appendix A).
#[derive(Clone, Debug, Default)]
pub(crate) struct Reception {
    first: Option<u64>,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Sixteenths of a tick.
    jitter: u32,
    transit: Option<u32>,
    lateness: Lateness,
    report: Option<(u32, Time)>,
}

impl Reception {
    /// Counts a packet; answers how much later it is than the source's fastest ones.
    pub(crate) fn count(&mut self, index: u64, timestamp: u32, now: Time, clock_rate: u32) -> Late {
        self.first.get_or_insert(index);
        self.highest = self.highest.max(index);
        self.received += 1;
        let micros = now.as_micros() % (u64::from(u32::MAX) * 1_000);
        let ticks = micros * u64::from(clock_rate) / 1_000_000;
        let transit = u32::try_from(ticks & 0xffff_ffff).unwrap_or(0).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let change = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A source whose clock jumps would take minutes to be believed again.
            let change = change.min(clock_rate);
            self.jitter = self.jitter.saturating_add(change).saturating_sub((self.jitter + 8) >> 4);
        }
        self.lateness.note(transit, now, clock_rate)
    }

    /// Remembers a sender report of this source.
    pub(crate) const fn note_report(&mut self, ntp: u32, now: Time) {
        self.report = Some((ntp, now));
    }

    /// The block for the next receiver report, or `None` if nothing was ever received.
    pub(crate) fn take_block(&mut self, ssrc: Ssrc, now: Time) -> Option<ReportBlock> {
        let first = self.first?;
        let expected = self.highest.saturating_sub(first) + 1;
        let expected_since = expected.saturating_sub(self.expected_before);
        let received_since = self.received.saturating_sub(self.received_before);
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction = (lost_since << 8).checked_div(expected_since).unwrap_or(0);
        let lost = i64::try_from(expected).unwrap_or(0) - i64::try_from(self.received).unwrap_or(0);
        let (last_sender_report, delay) =
            self.report.map_or((0, 0), |(ntp, at)| (ntp, in_report_units(now.since(at))));
        Some(ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: i32::try_from(lost).unwrap_or(0),
            highest_sequence: u32::try_from(self.highest & 0xffff_ffff).unwrap_or(0),
            jitter: self.jitter >> 4,
            last_sender_report,
            delay,
        })
    }
}

/// A sender report of ours.
#[derive(Clone, Copy, Debug)]
struct Sent {
    ssrc: Ssrc,
    /// The middle bits of its NTP time.
    ntp: u32,
    /// When it left; nothing if another of this slot had the same time.
    at: Option<Time>,
}

/// Round trips measured by our sender reports and the peer's answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoundTrip {
    /// The last reports sent.
    sent: [Option<Sent>; Self::REMEMBERED],
    next: usize,
    measured: Option<Duration>,
    /// What the handshake says, until there is a measurement.
    assumed: Option<Duration>,
}

impl RoundTrip {
    /// One report each for as many slots as a listener may have.
    const REMEMBERED: usize = 32;
    /// What is longer is a clock's fault, not the network's.
    const LONGEST: Duration = Duration::from_secs(5);

    /// Remembers a sender report of a slot that leaves now. Its NTP time follows the publisher's word: where it
    /// says the same twice, an answer does not tell which of the two it is to.
    pub(crate) fn sent(&mut self, ssrc: Ssrc, ntp: u64, now: Time) {
        let ntp = middle_of(ntp);
        let mut at = Some(now);
        for alike in self.sent.iter_mut().flatten().filter(|sent| (sent.ssrc, sent.ntp) == (ssrc, ntp)) {
            (alike.at, at) = (None, None);
        }
        if let Some(place) = self.sent.get_mut(self.next) {
            *place = Some(Sent { ssrc, ntp, at });
        }
        self.next = (self.next + 1) % Self::REMEMBERED;
    }

    /// Learns from a report block of the peer (RFC 3550 section 6.4.1); answers what it measured.
    pub(crate) fn learn(&mut self, block: &ReportBlock, now: Time) -> Option<Duration> {
        if block.last_sender_report == 0 {
            return None;
        }
        let named = (block.ssrc, block.last_sender_report);
        let sent = self.sent.iter().flatten().find(|sent| (sent.ssrc, sent.ntp) == named)?;
        let trip = now.since(sent.at?).checked_sub(from_report_units(block.delay))?;
        if trip > Self::LONGEST {
            return None;
        }
        self.measured = Some(self.measured.map_or(trip, |before| (before * 7 + trip) / 8));
        Some(trip)
    }

    /// Takes what the handshake says.
    pub(crate) const fn assume(&mut self, trip: Option<Duration>) {
        self.assumed = trip;
    }

    /// What is known of how long a round trip takes at the most.
    pub(crate) fn at_most(&self) -> Option<Duration> {
        self.measured.or(self.assumed)
    }

    /// The smoothed round trip, if there is a measurement.
    pub(crate) const fn measured(&self) -> Option<Duration> {
        self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(1_000_000_000) + Duration::from_millis(ms)
    }

    #[test]
    fn a_report_tells_loss_and_jitter() {
        let mut reception = Reception::default();
        for step in (0..100_u64).filter(|step| step % 10 != 3) {
            let late = if step % 2 == 0 { 0 } else { 2 };
            let timestamp = u32::try_from(step * 960).unwrap();
            reception.count(65_500 + step, timestamp, at(step * 20 + late), 48_000);
        }
        let block = reception.take_block(Ssrc(5), at(2_000)).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (10, 25));
        assert_eq!(block.highest_sequence, 65_599);
        assert!((60..=100).contains(&block.jitter), "{}", block.jitter);
        assert_eq!(reception.take_block(Ssrc(5), at(2_000)).unwrap().fraction_lost, 0);
    }

    #[test]
    fn a_round_trip_is_what_the_peer_did_not_wait() {
        let mut trip = RoundTrip::default();
        let ntp = at(0).as_ntp();
        trip.sent(Ssrc(1), ntp, at(0));
        let mut block =
            Reception { first: Some(1), ..Reception::default() }.take_block(Ssrc(1), at(0)).unwrap();
        block.delay = in_report_units(Duration::from_millis(500));
        block.last_sender_report = 77;
        trip.learn(&block, at(580));
        assert_eq!(trip.measured(), None, "a report that never left measures nothing");
        block.last_sender_report = middle_of(ntp);
        trip.learn(&block, at(580));
        assert_eq!(trip.measured().unwrap().as_millis(), 80);
    }

    #[test]
    fn a_publisher_that_repeats_its_time_falsifies_no_round_trip() {
        // Slots 1 and 2 are of a publisher that says one of three times each second; slot 3 is not.
        let mut trip = RoundTrip::default();
        let (mut honest, mut answered) = (0, 0);
        for second in 0..600 {
            let left = at(second * 1_000);
            for ssrc in 1..=3 {
                let ntp = if ssrc == 3 { left.as_ntp() } else { at(0).as_ntp() + ((second % 3) << 16) };
                trip.sent(Ssrc(ssrc), ntp, left);
                // It waits for 600 ms and is on its way for 100.
                let block = ReportBlock {
                    ssrc: Ssrc(ssrc),
                    fraction_lost: 0,
                    cumulative_lost: 0,
                    highest_sequence: 0,
                    jitter: 0,
                    last_sender_report: middle_of(ntp),
                    delay: in_report_units(Duration::from_millis(600)),
                };
                let learnt = trip.learn(&block, at(second * 1_000 + 700));
                assert!(learnt.is_none_or(|trip| trip.as_millis() == 100), "{learnt:?}");
                answered += u32::from(learnt.is_some());
                honest += u32::from(learnt.is_some() && ssrc == 3);
            }
        }
        assert_eq!(honest, 600);
        assert!(answered < 700, "{answered}");
        assert_eq!(trip.measured().unwrap().as_millis(), 100);
    }
}
