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
use crate::base::{Epoch, GroupId, Time};

/// The most segments of one call (UDP_MAX_SEGMENTS of Linux).
const MAX_SEGMENTS: usize = 64;
/// The most bytes of one call: the longest UDP payload over IPv4.
const MAX_RUN: usize = 65_507;

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
                && self.packets < MAX_SEGMENTS
                && self.len + len <= MAX_RUN)
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
    /// Writes the next run of copies; `None` when no listener has any.
    pub(super) fn next_run(&mut self, now: Time, buffer: &mut [u8]) -> Option<Transmit> {
        while let Some(key) = self.ready.front().copied() {
            let transmit = self.participants.get_mut(key).and_then(|listener| {
                fill_run(listener, &mut self.streams, now, buffer, &mut self.statistics)
            });
            let session = self.participants.get_mut(key).and_then(|listener| listener.session.as_mut());
            if session.as_ref().is_none_or(|session| session.outbox.front().is_none()) {
                self.ready.pop_front();
                if let Some(session) = session {
                    session.is_ready = false;
                }
            }
            if transmit.is_some() {
                self.statistics.transmits += 1;
                return transmit;
            }
        }
        None
    }
}

/// Copies, rewrites and seals as many of a listener's packets as make one run.
fn fill_run(
    listener: &mut Participant,
    streams: &mut Slab<Stream>,
    now: Time,
    buffer: &mut [u8],
    statistics: &mut WorkerStatistics,
) -> Option<Transmit> {
    let (epoch, group) = (listener.epoch, listener.group);
    let session = listener.session.as_mut()?;
    let Some(path) = session.leg.path() else {
        session.outbox.drop_if(DropReason::ListenerDown, &mut statistics.drops, |_| true);
        return None;
    };
    let mut run = Run::default();
    while let Some(waiting) = session.outbox.front() {
        let place = buffer.get_mut(run.len..).unwrap_or_default();
        let prepared = prepare(session, streams, &waiting, (epoch, group), now, place);
        match prepared {
            Ok(prepared) if !run.takes(prepared.len + session.leg.overhead()) => break,
            Ok(prepared) => match seal(session, &waiting, &prepared, place) {
                Some(len) => {
                    run.add(len);
                    sent(session, statistics, waiting.purpose, len);
                }
                None => count(&mut statistics.drops, Some(&waiting), DropReason::NotSealed),
            },
            Err(reason) => count(&mut statistics.drops, Some(&waiting), reason),
        }
        session.outbox.pop();
    }
    let segment_size = (run.packets > 1).then_some(run.segment);
    (run.packets > 0).then_some(Transmit { path, len: run.len, segment_size })
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
    let binding = slot.binding.as_ref().ok_or(DropReason::Revoked)?;
    let stream = streams.get_mut(waiting.stream).ok_or(DropReason::Revoked)?;
    if binding.stream != waiting.stream || stream.closed.is_some() {
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
    binding.listener_epoch == listener_epoch
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

/// Uses the packet's numbers up and seals it.
fn seal(session: &mut Session, waiting: &Waiting, prepared: &Prepared, buffer: &mut [u8]) -> Option<usize> {
    let slot = session.slots.get_mut(waiting.slot)?;
    let index = match waiting.purpose {
        Purpose::Forward => {
            let binding = slot.binding.as_mut()?;
            binding.mapping.commit(
                &mut slot.outgoing,
                &prepared.placed,
                prepared.arrived,
                prepared.payload_len,
            );
            prepared.placed.out
        }
        Purpose::Repair(_) => slot.outgoing.take_repair(),
    };
    if slot.line.extensions.transport_cc.is_some() {
        session.transport_cc = session.transport_cc.wrapping_add(1);
    }
    session.leg.seal_rtp(buffer, prepared.len, index)
}

fn sent(session: &mut Session, statistics: &mut WorkerStatistics, purpose: Purpose, len: usize) {
    match purpose {
        Purpose::Forward => {
            session.allowance.earn(len);
            statistics.media_out += 1;
        }
        Purpose::Repair(_) => statistics.retransmitted += 1,
    }
}
