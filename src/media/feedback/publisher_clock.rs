//! Publishers' clocks, told by ours.
//!
//! All slots of a listener have one CNAME, which says that their sender reports are of one clock (RFC 3550
//! section 6.5.1), and a receiver may hold one stream up until another of that clock has come as far. The
//! clocks of publishers are hours apart. So their NTP times are put onto our clock, those of all that one
//! publisher sends by the same distance, so that its sound and picture keep theirs.

use std::time::Duration;

use crate::base::Time;
use crate::wire::rtcp::SenderInfo;

/// A second of NTP time.
const SECOND: i64 = 1 << 32;
/// A publisher's clock that is further off than this was set anew, or is another one.
const LEAP: u64 = SECOND.unsigned_abs();
/// How far the distance comes down with one report: less than is noticed between sound and picture, for the
/// reports of one's slots do not leave at the same time.
const STEP: i64 = SECOND / 50;
/// How fast the distance grows at most, as a part of the time that has passed: clocks drift by less.
const DRIFT: i64 = 5_000;

/// A length of time in NTP units.
fn in_ntp(time: Duration) -> u64 {
    u64::try_from((time.as_micros() << 32) / 1_000_000).unwrap_or(u64::MAX)
}

/// How far a publisher's clock is behind ours, by the reports that were least long on their way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClockDistance(Option<(u64, Time)>);

impl ClockDistance {
    /// Learns from the NTP time of a report that came at `now`. Answers by how much the distance has changed
    /// and with it each clock that was told by the one before; nothing if those are no longer true at all.
    pub(crate) fn learn(&mut self, ntp: u64, now: Time) -> Option<i64> {
        let seen = now.as_ntp().wrapping_sub(ntp);
        let known = self.0.map(|(known, at)| (known, at, seen.wrapping_sub(known).cast_signed()));
        let Some((known, at, above)) = known.filter(|(.., above)| above.unsigned_abs() <= LEAP) else {
            self.0 = Some((seen, now));
            return None;
        };
        let most = i64::try_from(in_ntp(now.since(at))).unwrap_or(i64::MAX) / DRIFT;
        let change = above.clamp(-STEP, most);
        self.0 = Some((known.wrapping_add_signed(change), now));
        Some(change)
    }

    /// The time of ours at which the publisher's clock shows `ntp`.
    fn ours(self, ntp: u64) -> u64 {
        ntp.wrapping_add(self.0.map_or(0, |(distance, _)| distance))
    }
}

/// When a stream had which RTP time, on our clock, as its publisher's last sender report has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderClock {
    ntp: u64,
    timestamp: u32,
    at: Time,
}

impl SenderClock {
    /// The clock by a report that came at `now`, from a publisher whose clock is this far from ours.
    pub(crate) fn new(info: &SenderInfo, distance: ClockDistance, now: Time) -> Self {
        Self { ntp: distance.ours(info.ntp), timestamp: info.rtp_timestamp, at: now }
    }

    /// Follows a change of the distance.
    pub(crate) const fn shift(&mut self, change: i64) {
        self.ntp = self.ntp.wrapping_add_signed(change);
    }

    /// The same line of NTP over RTP time, at `now`: the pair for a report that leaves now.
    pub(crate) fn at(&self, now: Time, clock_rate: u32) -> (u64, u32) {
        let passed = now.since(self.at);
        let micros = u64::try_from(passed.as_micros()).unwrap_or(0);
        let ticks = micros * u64::from(clock_rate) / 1_000_000;
        let ticks = u32::try_from(ticks & 0xffff_ffff).unwrap_or(0);
        (self.ntp.wrapping_add(in_ntp(passed)), self.timestamp.wrapping_add(ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    fn at(ms: u64) -> Time {
        Time::from_unix_seconds(1_700_000_000) + Duration::from_millis(ms)
    }

    /// What a publisher whose clock is an hour behind ours says after this many milliseconds.
    fn behind(ms: u64) -> u64 {
        at(ms).as_ntp() - (HOUR << 32)
    }

    /// How many milliseconds ago, on our clock, a report was made that came after `ms`.
    fn age(distance: ClockDistance, ntp: u64, ms: u64) -> i64 {
        let age = at(ms).as_ntp().wrapping_sub(distance.ours(ntp)).cast_signed();
        (age * 1_000 + SECOND / 2) >> 32
    }

    #[test]
    fn the_distance_is_that_of_the_fastest_report() {
        let mut distance = ClockDistance::default();
        assert_eq!(distance.learn(behind(0), at(150)), None, "150 ms on its way");
        assert_eq!(age(distance, behind(0), 150), 0);
        for report in 1..=100 {
            let (made, came) = (report * 1_000, report * 1_000 + if report % 10 == 0 { 50 } else { 150 });
            let change = distance.learn(behind(made), at(came)).unwrap();
            assert!((-STEP..=SECOND / 4_000).contains(&change), "{change}");
        }
        let left = age(distance, behind(200_000), 200_050);
        assert!((0..=10).contains(&left), "{left} ms above the least");
        assert!(age(distance, behind(200_000), 200_150) - left == 100, "the others are late by as much");
    }

    #[test]
    fn a_clock_that_drifts_is_followed_both_ways() {
        for is_fast in [true, false] {
            let mut distance = ClockDistance::default();
            for second in 0..HOUR {
                let ms = second * 1_000;
                let drift = in_ntp(Duration::from_micros(second * 100));
                let ntp = if is_fast { behind(ms) + drift } else { behind(ms) - drift };
                distance.learn(ntp, at(ms + 50));
                assert!(age(distance, ntp, ms + 50).abs() <= 1, "after {second} s");
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_anew_voids_what_was_told_by_it() {
        let mut distance = ClockDistance::default();
        distance.learn(behind(0), at(50));
        assert!(distance.learn(behind(1_000), at(1_050)).is_some());
        for ntp in [behind(2_000) - (2 << 32), behind(2_000) + (9 << 32), 0, u64::MAX / 2] {
            assert_eq!(distance.learn(ntp, at(2_050)), None);
            assert_eq!(age(distance, ntp, 2_050), 0);
        }
    }

    #[test]
    fn a_clock_runs_on() {
        let info = SenderInfo { ntp: behind(0), rtp_timestamp: u32::MAX, packet_count: 0, octet_count: 0 };
        let mut distance = ClockDistance::default();
        distance.learn(info.ntp, at(0));
        let mut clock = SenderClock::new(&info, distance, at(0));
        assert_eq!(clock.at(at(1_500), 48_000), (at(1_500).as_ntp(), 71_999));
        clock.shift(-SECOND);
        assert_eq!(clock.at(at(1_500), 48_000), (at(500).as_ntp(), 71_999));
    }
}
