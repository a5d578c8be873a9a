//! What publishers and listeners are told.

use std::time::Duration;

use super::intake::Line;
use super::participant::Participant;
use super::session::Session;
use super::slab::{Key, Slab};
use super::slot::Slot;
use super::statistics::WorkerStatistics;
use super::stream::Stream;
use super::worker::{Transmit, Worker};
use crate::base::{Ssrc, Time};
use crate::wire::WireError;
use crate::wire::rtcp::{
    ReportBlock, SenderInfo, write_nack, write_pli, write_receiver_report, write_sdes_cname,
    write_sender_report,
};

/// The longest compound packet before it is sealed; it fits into any path's datagrams.
const MAX_COMPOUND: usize = 1_200;
/// Time between two reports of one kind (RFC 3550 section 6.2 asks for no more often at our rates;
/// browsers report as often).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// A source that was silent for this long is not reported on.
const SILENT: Duration = Duration::from_secs(2);
/// The most blocks of one receiver report; each takes 24 bytes.
const MAX_BLOCKS: usize = 8;

/// A compound packet that is being written.
struct Compound<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl Compound<'_> {
    fn room(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// Adds one packet; answers whether it fitted.
    fn add(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, WireError>) -> bool {
        let written = write(self.buffer.get_mut(self.len..).unwrap_or_default());
        self.len += written.unwrap_or(0);
        written.is_ok()
    }
}

fn is_older(at: Option<Time>, now: Time, than: Duration) -> bool {
    at.is_none_or(|at| now.since(at) >= than)
}

impl Worker {
    /// Asks for a keyframe of a stream as soon as it may be asked for.
    pub(super) fn want_keyframe(&mut self, now: Time, key: Key<Stream>) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.kind.is_video()) else { return };
        stream.keyframes.want();
        let (owner, is_due) = (stream.owner, stream.keyframes.is_due(now));
        if is_due {
            self.feedback_is_due(owner);
            self.ask_homes(now, key);
        }
        self.next_tick.get_or_insert(now + super::timers::TICK);
    }

    /// Puts a participant into the queue of those to whom RTCP is sent.
    pub(super) fn feedback_is_due(&mut self, key: Key<Participant>) {
        let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
        if let Some(session) = session.filter(|session| session.is_up && !session.is_feedback_due) {
            session.is_feedback_due = true;
            self.feedback.push_back(key);
        }
    }

    /// Writes the next compound packet.
    pub(super) fn next_feedback(&mut self, now: Time, buffer: &mut [u8]) -> Option<Transmit> {
        while let Some(key) = self.feedback.front().copied() {
            let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
            let transmit = session.and_then(|session| {
                let len = session.write_feedback(
                    &mut self.streams,
                    &mut self.asked,
                    now,
                    buffer,
                    &mut self.statistics,
                );
                let path = session.leg.path()?;
                let len = session.leg.seal_rtcp(buffer, (len > 0).then_some(len)?)?;
                Some(Transmit { path, len, segment_size: None })
            });
            if transmit.is_some() {
                self.statistics.rtcp_out += 1;
                return transmit;
            }
            // Nothing is left to say to this one.
            self.feedback.pop_front();
            if let Some(session) = self.participants.get_mut(key).and_then(|one| one.session.as_mut()) {
                session.is_feedback_due = false;
            }
        }
        None
    }
}

impl Session {
    /// Whether anything is to be said now.
    pub(super) fn has_feedback(&self, streams: &Slab<Stream>, now: Time) -> bool {
        let round_trip = self.round_trip();
        self.is_up
            && (self.arrivals.is_due(now)
                || self.wants_receiver_report(now)
                || self.intake.sources.iter().any(|source| source.missing.is_due(now, round_trip))
                || self.intake.lines.iter().any(|line| wants_keyframe(line, streams, now))
                || self.slots.iter().any(|slot| sender_info(slot, streams, now).is_some()))
    }

    fn wants_receiver_report(&self, now: Time) -> bool {
        is_older(self.reported_at, now, REPORT_INTERVAL)
            && self.intake.sources.iter().any(|source| now.since(source.last_at) < SILENT)
    }

    /// Writes what is to be said, as far as it fits; answers the length, 0 for nothing.
    fn write_feedback(
        &mut self,
        streams: &mut Slab<Stream>,
        asked: &mut Vec<u16>,
        now: Time,
        buffer: &mut [u8],
        statistics: &mut WorkerStatistics,
    ) -> usize {
        if !self.has_feedback(streams, now) {
            return 0;
        }
        let buffer = buffer.get_mut(..MAX_COMPOUND).unwrap_or_default();
        let mut compound = Compound { buffer, len: 0 };
        let own = self.feedback_ssrc;
        let blocks = self.report_blocks(now);
        // A compound starts with a report, be it empty (RFC 3550 section 6.1).
        compound.add(|out| write_receiver_report(own, &blocks, out));
        self.write_nacks(&mut compound, asked, now, statistics);
        for line in &self.intake.lines {
            if !wants_keyframe(line, streams, now) {
                continue;
            }
            if let (Some(stream), Some(media)) = (streams.get_mut(line.stream), line.feedback_ssrc())
                && compound.add(|out| write_pli(own, media, out))
            {
                stream.keyframes.sent(now);
                statistics.keyframe_requests += 1;
            }
        }
        // Where the rest leaves no room for it, it is in the next compound, which has nothing else before it.
        if self.arrivals.is_due(now) && self.arrivals.longest() <= compound.room() {
            let media = self.intake.lines.iter().find_map(Line::feedback_ssrc).unwrap_or(Ssrc(0));
            let arrivals = &mut self.arrivals;
            compound.add(|out| arrivals.write(now, own, media, out));
        }
        self.write_sender_reports(&mut compound, streams, now);
        compound.len
    }

    fn report_blocks(&mut self, now: Time) -> Vec<ReportBlock> {
        if !self.wants_receiver_report(now) {
            return Vec::new();
        }
        self.reported_at = Some(now);
        self.intake
            .sources
            .iter_mut()
            .filter(|source| now.since(source.last_at) < SILENT)
            .take(MAX_BLOCKS)
            .filter_map(|source| source.reception.take_block(source.ssrc, now))
            .collect()
    }

    fn write_nacks(
        &mut self,
        compound: &mut Compound<'_>,
        asked: &mut Vec<u16>,
        now: Time,
        statistics: &mut WorkerStatistics,
    ) {
        let (own, round_trip) = (self.feedback_ssrc, self.round_trip());
        for source in &mut self.intake.sources {
            if !source.missing.is_due(now, round_trip) {
                continue;
            }
            source.missing.take_due(now, round_trip, asked);
            if !asked.is_empty() && compound.add(|out| write_nack(own, source.ssrc, asked, out)) {
                statistics.nacks_sent += u64::try_from(asked.len()).unwrap_or(0);
            }
        }
    }

    fn write_sender_reports(&mut self, compound: &mut Compound<'_>, streams: &Slab<Stream>, now: Time) {
        for slot in &mut self.slots {
            let Some(info) = sender_info(slot, streams, now) else { continue };
            let (ssrc, cname, before) = (slot.line.ssrc, &self.cname, compound.len);
            let fits = compound.add(|out| write_sender_report(ssrc, &info, &[], out))
                && compound.add(|out| write_sdes_cname(ssrc, cname, out));
            if !fits {
                // It stays due, and the next compound has room.
                compound.len = before;
                return;
            }
            slot.reported_at = Some(now);
            self.round_trip.sent(ssrc, info.ntp, now);
        }
    }
}

/// Whether the m-line's publisher is to be asked for a keyframe now.
fn wants_keyframe(line: &Line, streams: &Slab<Stream>, now: Time) -> bool {
    line.feedback_ssrc().is_some()
        && streams.get(line.stream).is_some_and(|stream| {
            // One that comes while packets are in flight goes nowhere, and the next is asked for half a second later.
            let arrives = stream.in_flight_until.is_none_or(|until| until <= now);
            arrives && stream.closed.is_none() && stream.keyframes.is_due(now)
        })
}

/// What the next sender report of a slot says, if one is due: the publisher's clock, told by ours, with our
/// timestamps, so that a publisher's sound and picture keep their distance.
fn sender_info(slot: &Slot, streams: &Slab<Stream>, now: Time) -> Option<SenderInfo> {
    if !is_older(slot.reported_at, now, REPORT_INTERVAL) {
        return None;
    }
    let binding = slot.binding.as_ref()?;
    let stream = streams.get(binding.stream)?;
    let offset = binding.mapping.timestamp_offset()?;
    let (ntp, timestamp) = stream.clock?.at(now, stream.clock_rate());
    let (packet_count, octet_count) = slot.outgoing.sent();
    Some(SenderInfo { ntp, rtp_timestamp: timestamp.wrapping_add(offset), packet_count, octet_count })
}
