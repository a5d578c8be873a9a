//! From a listener's queue to a run of sealed packets.

use super::outbox::{Purpose, Waiting, count};
use super::participant::Participant;
use super::rewrite::{Dress, Numbers, Placed, write_packet};
use super::ring::Stored;
use super::session::Session;
use super::slab::Slab;
use super::slot::{Binding, MappedCodec, Slot};
use super::statistics::{DropReason, WorkerStatistics};
use super::stream::Stream;
use super::worker::{Transmit, Worker};
use crate::base::plant::{self, Plant};
use crate::base::{Epoch, GroupId, Time};
use crate::wire::rtp::pad;

/// The most segments of one call (UDP_MAX_SEGMENTS of Linux).
const MAX_SEGMENTS: usize = 64;
/// The most bytes of one call: the longest UDP payload over IPv4.
const MAX_RUN: usize = 65_507;
/// The longest packet that is part of a run: browsers' are shorter. A run of packets that are longer than what
/// the interface takes is refused as a whole, and then the socket gets no runs for a while.
const LONGEST_SEGMENT: usize = 1_400;

/// Room for the longest packet that is stored, dressed and sealed.
const PACKET_SPACE: usize = 2_048;
/// Packets of sound in one run. Each is written with room of its own at first.
const SOUNDS_PER_RUN: usize = 24;
/// The most bytes that a packet of sound is padded by. They cost the link; a call costs as much
/// processor time as sealing a thousand.
const MOST_PADDING: usize = 128;

/// Packets of one size to one listener, one behind the other.
#[derive(Default)]
struct Run {
    len: usize,
    packets: usize,
    segment: usize,
    is_closed: bool,
}

impl Run {
    /// Whether a packet of this length can be the next.
    const fn takes(&self, len: usize) -> bool {
        self.packets == 0
            || (!self.is_closed
                && len <= self.segment
                && self.segment <= LONGEST_SEGMENT
                && self.packets < MAX_SEGMENTS)
    }

    const fn add(&mut self, len: usize) {
        if self.packets == 0 {
            self.segment = len;
        }
        // Only the last packet of a run may be shorter than the others.
        self.is_closed = len < self.segment;
        self.len += len;
        self.packets += 1;
    }
}

/// A packet written in plaintext whose numbers are not yet used up.
struct Prepared {
    len: usize,
    payload_len: usize,
    arrived: Time,
    placed: Placed,
}

impl Worker {
    /// Writes the next run of copies; `None` when no listener has any that may leave now.
    pub(super) fn next_run(&mut self, now: Time, buffer: &mut [u8]) -> Option<Transmit> {
        if self.flush_at.is_some_and(|at| now < at) {
            return None;
        }
        self.end_pauses(now);
        while let Some(key) = self.ready.front().copied() {
            let Some(listener) = self.participants.get_mut(key).filter(|one| one.session.is_some()) else {
                self.ready.pop_front();
                continue;
            };
            let transmit = fill_run(listener, &mut self.streams, now, buffer, &mut self.statistics);
            if let Some(session) = listener.session.as_mut()
                && (session.outbox.is_empty() || transmit.is_none())
            {
                self.ready.pop_front();
                session.is_ready = false;
                if !session.outbox.picture.is_empty() && !std::mem::replace(&mut session.is_paused, true) {
                    self.paused.push_back((session.pace.ends(), key));
                }
            }
            if transmit.is_some() {
                self.statistics.transmits += 1;
                return transmit;
            }
        }
        self.flush_at = None;
        None
    }

    /// Lets those go on whose pictures have paused for long enough.
    pub(super) fn end_pauses(&mut self, now: Time) {
        while let Some((_, key)) = self.paused.pop_front_if(|(ends, _)| *ends <= now) {
            let session = self.participants.get_mut(key).and_then(|listener| listener.session.as_mut());
            let Some(session) = session else { continue };
            session.is_paused = false;
            if !std::mem::replace(&mut session.is_ready, true) {
                self.ready.push_back(key);
            }
        }
    }
}

/// Copies, rewrites and seals as many of a listener's packets as make one run; `None` if none may
/// leave now.
fn fill_run(
    listener: &mut Participant,
    streams: &mut Slab<Stream>,
    now: Time,
    buffer: &mut [u8],
    statistics: &mut WorkerStatistics,
) -> Option<Transmit> {
    let place = (listener.epoch, listener.group);
    let session = listener.session.as_mut()?;
    let Some(path) = session.leg.path() else {
        session.outbox.drop_if(DropReason::ListenerDown, &mut statistics.drops, |_| true);
        return None;
    };
    let mut filling = Filling { session, streams, place, now, statistics };
    let run = filling.sounds(buffer).or_else(|| filling.pictures(buffer))?;
    let segment_size = (run.packets > 1).then_some(run.segment);
    Some(Transmit { path, len: run.len, segment_size })
}

/// One listener's packets on their way into the buffer.
struct Filling<'a> {
    session: &'a mut Session,
    streams: &'a mut Slab<Stream>,
    /// Where the listener is.
    place: (Epoch, Option<GroupId>),
    now: Time,
    statistics: &'a mut WorkerStatistics,
}

impl Filling<'_> {
    /// Packets of sound, padded to one size: that costs less than another call for each size, of
    /// which there are as many as packets.
    fn sounds(&mut self, buffer: &mut [u8]) -> Option<Run> {
        let mut written: [(usize, u64, Purpose); SOUNDS_PER_RUN] = [(0, 0, Purpose::Forward); SOUNDS_PER_RUN];
        let (mut packets, mut shortest, mut longest) = (0, usize::MAX, 0);
        let most_of_run = LONGEST_SEGMENT - self.session.leg.overhead();
        while let (Some(waiting), Some(entry)) =
            (self.session.outbox.sound.front().copied(), written.get_mut(packets))
        {
            let place = buffer.get_mut(packets * PACKET_SPACE..).unwrap_or_default();
            match self.prepare(&waiting, place) {
                Ok(prepared) => {
                    let (least, most) = (shortest.min(prepared.len), longest.max(prepared.len));
                    if packets > 0 && (most - least > MOST_PADDING || most > most_of_run) {
                        break;
                    }
                    match self.commit(&waiting, &prepared) {
                        Some(index) => {
                            *entry = (prepared.len, index, waiting.purpose);
                            (packets, shortest, longest) = (packets + 1, least, most);
                        }
                        None => count(&mut self.statistics.drops, Some(&waiting), DropReason::NotSealed),
                    }
                }
                Err(reason) => count(&mut self.statistics.drops, Some(&waiting), reason),
            }
            self.session.outbox.sound.pop_front();
        }
        let mut run = Run::default();
        for (at, (len, index, purpose)) in written.into_iter().take(packets).enumerate() {
            // Only the last packet of a run may be shorter than the others.
            let padded = if at + 1 == packets { len } else { longest };
            buffer.copy_within(at * PACKET_SPACE..at * PACKET_SPACE + len, run.len);
            let place = buffer.get_mut(run.len..).unwrap_or_default();
            let sealed =
                pad(place, len, padded).ok().and_then(|()| self.session.leg.seal_rtp(place, padded, index));
            match sealed {
                Some(len) => self.add(&mut run, purpose, len),
                None => self.statistics.drops.count(DropReason::NotSealed),
            }
        }
        (run.packets > 0).then_some(run)
    }

    /// Packets of video, as many as may leave now and are of one size.
    fn pictures(&mut self, buffer: &mut [u8]) -> Option<Run> {
        let allowed = self.session.pace.allowance(self.now);
        let mut run = Run::default();
        // What does not fit behind the others waits for the next run.
        while run.packets < allowed
            && run.len + PACKET_SPACE <= MAX_RUN
            && let Some(waiting) = self.session.outbox.picture.front().copied()
        {
            let place = buffer.get_mut(run.len..).unwrap_or_default();
            match self.prepare(&waiting, place) {
                Ok(prepared) if !run.takes(prepared.len + self.session.leg.overhead()) => break,
                Ok(prepared) => {
                    let index = self.commit(&waiting, &prepared);
                    match index.and_then(|index| self.session.leg.seal_rtp(place, prepared.len, index)) {
                        Some(len) => self.add(&mut run, waiting.purpose, len),
                        None => count(&mut self.statistics.drops, Some(&waiting), DropReason::NotSealed),
                    }
                }
                Err(reason) => count(&mut self.statistics.drops, Some(&waiting), reason),
            }
            self.session.outbox.picture.pop_front();
        }
        self.session.pace.sent(run.packets);
        (run.packets > 0).then_some(run)
    }

    fn prepare(&mut self, waiting: &Waiting, place: &mut [u8]) -> Result<Prepared, DropReason> {
        prepare(self.session, self.streams, waiting, self.place, self.now, place)
    }

    /// Uses the packet's numbers up; answers the index to seal it under.
    fn commit(&mut self, waiting: &Waiting, prepared: &Prepared) -> Option<u64> {
        let slot = self.session.slots.get_mut(waiting.slot)?;
        let index = match waiting.purpose {
            Purpose::Forward => {
                let mapping = &mut slot.binding.as_mut()?.mapping;
                mapping.commit(&mut slot.outgoing, &prepared.placed, prepared.arrived, prepared.payload_len);
                prepared.placed.out
            }
            Purpose::Repair(_) => slot.outgoing.take_repair(),
        };
        if slot.line.extensions.transport_cc.is_some() {
            self.session.transport_cc = self.session.transport_cc.wrapping_add(1);
        }
        Some(index)
    }

    fn add(&mut self, run: &mut Run, purpose: Purpose, len: usize) {
        run.add(len);
        match purpose {
            Purpose::Forward => {
                self.session.allowance.earn(len);
                self.statistics.media_out += 1;
            }
            Purpose::Repair(_) => self.statistics.retransmitted += 1,
        }
    }
}

/// Checks that a copy may leave and writes it in plaintext. Nothing is remembered of it yet.
fn prepare(
    session: &Session,
    streams: &mut Slab<Stream>,
    waiting: &Waiting,
    listener: (Epoch, Option<GroupId>),
    now: Time,
    buffer: &mut [u8],
) -> Result<Prepared, DropReason> {
    let slot = session.slots.get(waiting.slot).ok_or(DropReason::Revoked)?;
    let binding = match waiting.purpose {
        Purpose::Forward => slot.binding.as_ref(),
        Purpose::Repair(out) => slot.binding_of(out),
    };
    let binding = binding.ok_or(DropReason::Revoked)?;
    let stream = streams.get_mut(waiting.stream).ok_or(DropReason::Revoked)?;
    let is_its = binding.stream == waiting.stream || plant::is(Plant::QueueSurvives);
    if !is_its || stream.closed.is_some() {
        return Err(DropReason::Revoked);
    }
    let stored = stream.ring.get(waiting.index, waiting.segment).ok_or(DropReason::Overrun)?;
    if !is_current(binding, listener, stream, stored.info.epoch) {
        return Err(DropReason::WrongEpoch);
    }
    let codec = binding.codec(stored.info.codec).ok_or(DropReason::Codec)?;
    let is_video = slot.line.video;
    if is_video && binding.awaits_keyframe(stored.info.fresh) && !stored.info.keyframe {
        stream.keyframes.want();
        return Err(DropReason::AwaitingKeyframe);
    }
    let numbers = Numbers::read(codec.codec, stored.payload, stored.descriptor);
    let placed = binding
        .mapping
        .place(&slot.outgoing, stored.info, numbers, codec.codec.clock_rate())
        .ok_or(DropReason::BeforeBinding)?;
    let dress = dress(session, slot, &stored, &placed, (codec, waiting.purpose), now)?;
    let len = write_packet(&stored, &placed, &dress, buffer).map_err(|_| DropReason::NotSealed)?;
    Ok(Prepared { len, payload_len: stored.payload.len(), arrived: stored.info.arrived, placed })
}

/// Whether a binding is of the current placements of both ends, and so is the packet. This holds by
/// construction; it is asked for each packet all the same, for this is the promise.
fn is_current(
    binding: &Binding,
    (listener_epoch, listener_group): (Epoch, Option<GroupId>),
    stream: &Stream,
    packet_epoch: Epoch,
) -> bool {
    let group = Some(binding.group);
    plant::is(Plant::EpochUnchecked)
        || plant::is(Plant::RingReadable)
        || plant::is(Plant::QueueSurvives)
        || binding.listener_epoch == listener_epoch
            && binding.publisher_epoch == stream.epoch
            && packet_epoch == stream.epoch
            && listener_group == group
            && stream.group == group
}

/// What the copy has on besides what it brings.
fn dress<'a>(
    session: &Session,
    slot: &'a Slot,
    stored: &Stored<'_>,
    placed: &Placed,
    (codec, purpose): (MappedCodec, Purpose),
    now: Time,
) -> Result<Dress<'a>, DropReason> {
    let low = |number: u64| u16::try_from(number & 0xffff).unwrap_or(0);
    let (ssrc, payload_type, sequence, original_sequence) = match purpose {
        Purpose::Forward => (Some(slot.line.ssrc), Some(codec.payload_type), low(placed.out), None),
        Purpose::Repair(out) if out != placed.out => return Err(DropReason::RetransmitUnavailable),
        Purpose::Repair(out) => {
            (slot.line.rtx_ssrc, codec.rtx_payload_type, low(slot.outgoing.peek_repair()), Some(low(out)))
        }
    };
    let (Some(ssrc), Some(payload_type)) = (ssrc, payload_type) else {
        return Err(DropReason::RetransmitUnavailable);
    };
    // The first packet of a talker or after a pause says that a talk spurt starts (RFC 3551 section
    // 4.1): jitter buffers adapt there.
    let starts = !slot.line.video && placed.begins_stretch();
    Ok(Dress {
        mid: &slot.line.mid,
        extensions: &slot.line.extensions,
        ssrc,
        payload_type,
        sequence,
        marker: stored.info.marker || starts,
        codec: codec.codec,
        transport_cc: session.transport_cc,
        now,
        original_sequence,
    })
}
