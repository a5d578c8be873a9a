//! What publishers and listeners report. Each is believed about its own SSRCs only.

use super::congestion::MAX_TOLD;
use super::feedback::{SenderClock, middle_of};
use super::outbox::{Purpose, Waiting};
use super::participant::Participant;
use super::silence::Sign;
use super::slab::Key;
use super::statistics::DropReason;
use super::worker::Worker;
use crate::base::{Ssrc, Time};
use crate::transport::Path;
use crate::wire::rtcp::{NackView, ReportBlocks, RtcpPacket, SenderReport, packets};

/// Packets asked for again that are looked at per datagram: more than any burst that repairs.
const MAX_ASKED: usize = 256;

impl Worker {
    /// Takes a compound RTCP packet.
    ///
    /// # Errors
    ///
    /// Why nothing of it counts.
    pub(super) fn handle_rtcp(
        &mut self,
        now: Time,
        path: Path,
        datagram: &mut [u8],
    ) -> Result<(), DropReason> {
        let key = self.demux.by_address(path.remote).ok_or(DropReason::UnknownSource)?;
        let session = self
            .participants
            .get_mut(key)
            .and_then(|participant| participant.session.as_mut())
            .ok_or(DropReason::UnknownSource)?;
        let left = session.budget.without(now, datagram.len()).ok_or(DropReason::OverRate)?;
        let len = session.leg.open_rtcp(now, path, datagram)?;
        session.budget.spend(now, left);
        session.hear(path, Sign::Alone, self.emptied_at, now);
        let (mut malformed, mut asked, mut left) = (false, MAX_ASKED, MAX_TOLD);
        for packet in packets(datagram.get(..len).unwrap_or_default()) {
            match packet {
                Ok(RtcpPacket::SenderReport(report)) => {
                    self.note_sender_report(now, key, &report);
                    self.note_blocks(now, key, report.blocks());
                }
                Ok(RtcpPacket::ReceiverReport(report)) => self.note_blocks(now, key, report.blocks()),
                Ok(RtcpPacket::Nack(nack)) => self.repair(now, key, &nack, &mut asked),
                Ok(RtcpPacket::Pli(pli)) => self.pass_keyframe_request(now, key, pli.media_ssrc),
                Ok(RtcpPacket::Fir(fir)) => {
                    for (ssrc, _) in fir.entries() {
                        self.pass_keyframe_request(now, key, ssrc);
                    }
                }
                Ok(RtcpPacket::TransportFeedback(feedback)) => {
                    let told = feedback.statuses().map_while(|(sequence, delta)| {
                        left = left.checked_sub(1)?;
                        Some((sequence, delta.is_some()))
                    });
                    self.note_arrivals(now, key, feedback.count, told);
                }
                // A BYE has no effect: control says who leaves. Nor has an estimate of a bandwidth: what
                // is lost says more.
                Ok(_) => {}
                Err(_) => malformed = true,
            }
        }
        if malformed { Err(DropReason::Malformed) } else { Ok(()) }
    }

    fn note_sender_report(&mut self, now: Time, key: Key<Participant>, report: &SenderReport<'_>) {
        let Some(session) = self.participants.get_mut(key).and_then(|one| one.session.as_mut()) else {
            return;
        };
        let source = session.intake.sources.iter_mut().find(|source| source.ssrc == report.sender_ssrc);
        let Some(source) = source.filter(|source| !source.repairs) else { return };
        source.reception.note_report(middle_of(report.info.ntp), now);
        let (ssrc, of_line) = (source.ssrc, source.line);
        let change = session.clock.learn(report.info.ntp, now);
        for (at, line) in session.intake.lines.iter().enumerate() {
            let Some(stream) = self.streams.get_mut(line.stream) else { continue };
            if at == of_line && line.current() == Some(ssrc) {
                stream.clock = Some(SenderClock::new(&report.info, session.clock, now));
            } else if let Some((clock, change)) = stream.clock.as_mut().zip(change) {
                clock.shift(change);
            } else {
                stream.clock = None;
            }
        }
    }

    fn note_blocks(&mut self, now: Time, key: Key<Participant>, blocks: ReportBlocks<'_>) {
        let Some(session) = self.participants.get_mut(key).and_then(|one| one.session.as_mut()) else {
            return;
        };
        let mut is_full = false;
        for block in blocks {
            let Some(slot) = session.slots.iter_mut().find(|slot| slot.line.ssrc == block.ssrc) else {
                continue;
            };
            let trip = session.round_trip.learn(&block, now);
            // Without a picture there is nothing that could pause.
            if slot.line.video && slot.binding.is_some() {
                // Who tells of single packets tells by numbers that have no gaps.
                let tells =
                    slot.line.extensions.transport_cc.is_some() && session.congestion.tells_of_packets();
                let lost = if tells { 0 } else { slot.lost_by_link(block.fraction_lost) };
                is_full |= session.congestion.note_report(now, &mut slot.full_reports, lost, trip);
            }
        }
        if is_full {
            self.pause_pictures(now, key);
        }
    }

    fn note_arrivals(
        &mut self,
        now: Time,
        key: Key<Participant>,
        feedback: u8,
        told: impl Iterator<Item = (u16, bool)>,
    ) {
        let Some(session) = self.participants.get_mut(key).and_then(|one| one.session.as_mut()) else {
            return;
        };
        if session.congestion.note_packets(now, feedback, told) {
            self.pause_pictures(now, key);
        }
    }

    /// Lets all pictures of a listener pause whose link is full.
    fn pause_pictures(&mut self, now: Time, key: Key<Participant>) {
        let Some(session) = self.participants.get_mut(key).and_then(|one| one.session.as_mut()) else {
            return;
        };
        let shows = session.slots.iter().any(|slot| slot.line.video && slot.binding.is_some());
        if shows && !session.congestion.is_paused() {
            session.congestion.pause(now);
            self.statistics.pauses += 1;
            self.refill(now, &[key]);
        }
    }

    /// Puts what a listener misses into its queue again, as far as it is its to ask for; looks at
    /// `most` packets, and answers there how many are left of them.
    fn repair(&mut self, now: Time, key: Key<Participant>, nack: &NackView<'_>, most: &mut usize) {
        let Some(session) = self.participants.get_mut(key).and_then(|one| one.session.as_mut()) else {
            return;
        };
        let slots = session.slots.iter_mut().enumerate();
        let Some((at, slot)) = slots.into_iter().find(|(_, slot)| slot.line.ssrc == nack.media_ssrc) else {
            return;
        };
        let round_trip = session.round_trip.measured();
        for sequence in nack.sequences().take(*most) {
            *most = most.saturating_sub(1);
            let Some(out) = recent(slot.outgoing.next(), sequence) else { continue };
            let found = slot.binding_of(out).and_then(|binding| {
                let (segment, index) = binding.mapping.source_of(out)?;
                let stream = self.streams.get(binding.stream)?;
                let stored = stream.ring.get(index, segment)?;
                Some((binding.stream, index, segment, stored.payload.len()))
            });
            let Some((stream, index, segment, len)) = found.filter(|_| slot.line.rtx_ssrc.is_some()) else {
                self.statistics.drops.count(DropReason::RetransmitUnavailable);
                continue;
            };
            if !slot.may_repair(out, now, round_trip) || !session.allowance.spend(len) {
                self.statistics.drops.count(DropReason::RetransmitLimited);
                continue;
            }
            let waiting = Waiting {
                stream,
                index,
                segment,
                slot: at,
                video: slot.line.video,
                purpose: Purpose::Repair(out),
            };
            session.outbox.push(waiting, &mut self.statistics.drops);
            if !session.is_ready {
                session.is_ready = true;
                self.ready.push_back(key);
            }
        }
    }

    fn pass_keyframe_request(&mut self, now: Time, key: Key<Participant>, ssrc: Ssrc) {
        let session = self.participants.get(key).and_then(|listener| listener.session.as_ref());
        let slot = session.and_then(|session| session.slots.iter().find(|slot| slot.line.ssrc == ssrc));
        let stream = slot.and_then(|slot| slot.binding.as_ref()).map(|binding| binding.stream);
        if let Some(stream) = stream {
            self.want_keyframe(now, stream);
        }
    }
}

/// The extended number of a sequence number that was sent not long before `next`.
fn recent(next: u64, sequence: u16) -> Option<u64> {
    let newest = next.checked_sub(1)?;
    let low = u16::try_from(newest & 0xffff).unwrap_or(0);
    let behind = low.wrapping_sub(sequence);
    if behind < 1 << 15 { newest.checked_sub(u64::from(behind)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_can_be_asked_for() {
        assert_eq!(recent(65_540, 65_535), Some(65_535));
        assert_eq!(recent(65_540, 3), Some(65_539));
        assert_eq!(recent(65_540, 4), None);
        assert_eq!(recent(10, 65_535), None);
        assert_eq!(recent(0, 0), None);
    }
}
