//! Receiver reports of a synthetic participant (RFC 3550 section 6.4.2), from which the server
//! learns the round trip.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Ssrc, Time};
use crate::wire::WireError;
use crate::wire::rtcp::{ReportBlock, write_receiver_report};

/// Between two reports while video comes, and to the first one.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two reports while only sound comes, as browsers have it.
const SOUND_INTERVAL: Duration = Duration::from_secs(5);
/// Blocks that one report can hold (five bits of count).
const MAX_BLOCKS: usize = 31;

#[derive(Clone, Copy, Debug)]
struct Stream {
    first: u64,
    highest: u64,
    received: u64,
    /// What was expected and what had been received at the last report.
    before: (u64, u64),
    sender_report: Option<(u32, Time)>,
}

/// What is known of the streams received.
#[derive(Debug, Default)]
pub(super) struct Reception {
    streams: BTreeMap<Ssrc, Stream>,
    due: Option<Time>,
    sees: bool,
}

impl Reception {
    /// A packet with this extended sequence number has come.
    pub(super) fn packet(&mut self, now: Time, ssrc: Ssrc, seq: u64, is_video: bool) {
        self.sees |= is_video;
        let new = Stream { first: seq, highest: seq, received: 0, before: (0, 0), sender_report: None };
        let stream = self.streams.entry(ssrc).or_insert(new);
        stream.received += 1;
        stream.highest = stream.highest.max(seq);
        self.due.get_or_insert(now + INTERVAL);
    }

    /// A sender report with this NTP time has come.
    pub(super) fn sender_report(&mut self, now: Time, ssrc: Ssrc, ntp: u64) {
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            let middle = u32::try_from((ntp >> 16) & 0xffff_ffff).unwrap_or(0);
            stream.sender_report = Some((middle, now));
        }
    }

    /// When the next report is due.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// Writes the report that is due; answers its length.
    ///
    /// # Errors
    /// Where `out` is too small.
    pub(super) fn poll(
        &mut self,
        now: Time,
        sender: Ssrc,
        out: &mut [u8],
    ) -> Result<Option<usize>, WireError> {
        if self.due.is_none_or(|due| due > now) {
            return Ok(None);
        }
        self.due = Some(now + if self.sees { INTERVAL } else { SOUND_INTERVAL });
        let blocks: Vec<ReportBlock> =
            self.streams.iter_mut().take(MAX_BLOCKS).map(|(ssrc, stream)| stream.block(now, *ssrc)).collect();
        write_receiver_report(sender, &blocks, out).map(Some)
    }
}

impl Stream {
    fn block(&mut self, now: Time, ssrc: Ssrc) -> ReportBlock {
        let expected = self.highest.saturating_sub(self.first) + 1;
        let (expected_before, received_before) =
            std::mem::replace(&mut self.before, (expected, self.received));
        let expected_since = expected.saturating_sub(expected_before);
        let lost_since = expected_since.saturating_sub(self.received - received_before);
        let fraction = (lost_since << 8).checked_div(expected_since).unwrap_or(0);
        let (last_sender_report, delay) = self.sender_report.map_or((0, 0), |(middle, at)| {
            let delay = now.since(at).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: i32::try_from(expected.saturating_sub(self.received)).unwrap_or(i32::MAX),
            highest_sequence: u32::try_from(self.highest & 0xffff_ffff).unwrap_or(0),
            jitter: 0,
            last_sender_report,
            delay,
        }
    }
}
