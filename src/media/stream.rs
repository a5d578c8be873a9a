//! One published m-line: what its listeners share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::feedback::{KeyframeRequests, SenderClock};
use super::participant::Participant;
use super::ring::{AUDIO_PACKETS, PacketInfo, Ring, VIDEO_PACKETS};
use super::slab::Key;
use super::statistics::DropReason;
use super::talkers::Loudness;
use crate::base::plant::{self, Plant};
use crate::base::{Bucket, Epoch, GroupId, Kind, KindSet, ParticipantId, Time, WorkerId};
use crate::transport::{Codec, CodecLine};

/// The numbers that a source may leave out, a second and at once; with more it is another stretch and not
/// a loss. Each is one that all listeners miss, and who misses half of all is lost to the slot for good.
const LOSSES: Bucket = Bucket::new(1_000, Duration::from_secs(1));
/// Those of sound: with its 250 packets a second they are less than half in the 30 s that a silent listener stays.
const SOUND_LOSSES: Bucket = Bucket::new(750, Duration::from_secs(1));
/// How far a source's clock may part from ours between two packets before it counts as set anew.
const MAX_CLOCK_JUMP: Duration = Duration::from_secs(2);
/// For how long a stream keeps to a codec: of each change everybody is told who watches.
const CODEC_KEPT: Duration = Duration::from_secs(2);

/// Where a stream goes: a slot of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) listener: Key<Participant>,
    pub(super) slot: usize,
}

/// What was left out of a stream since its last packet went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    None,
    /// So many packets without media: numbers close up by as many.
    Skipped(u64),
    /// Media: a decoder has to enter anew.
    Fresh,
}

/// Counts what was left out of a stream, so that another worker, which only sees what is handed over,
/// can tell it from loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaks {
    /// Packets without media.
    skipped: u32,
    /// Media.
    fresh: u32,
    /// Sources that took over from another.
    sources: u32,
}

/// What another worker wants of a video stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Somebody there watches it, until then.
    pub(super) until: Option<Time>,
    /// When a packet was last handed over.
    pub(super) shown_at: Option<Time>,
}

/// One published m-line.
pub(super) struct Stream {
    pub(super) owner: Key<Participant>,
    pub(super) owner_id: ParticipantId,
    pub(super) kind: Kind,
    /// The codecs that it may come in.
    pub(super) codecs: Vec<CodecLine>,
    /// The placement that its packets are of.
    pub(super) group: Option<GroupId>,
    pub(super) epoch: Epoch,
    /// Why nothing of it may go on now, if so.
    pub(super) closed: Option<DropReason>,
    /// Until then its packets belong to no group.
    pub(super) in_flight_until: Option<Time>,
    /// Packets below this number were sent before its owner could know where it is.
    floor: u64,
    /// Until when packets were in flight the last time: what any source sent before that still is.
    settled_at: Option<Time>,
    /// Who hears it. Recomputed when bindings change, and only then.
    pub(super) routes: Vec<Route>,
    pub(super) ring: Ring,
    pub(super) loudness: Loudness,
    pub(super) keyframes: KeyframeRequests,
    /// Which RTP time it had when, until that is not true any more.
    pub(super) clock: Option<SenderClock>,
    /// The codec that it comes in: a place in `codecs`.
    pub(super) codec: Option<u8>,
    codec_changed_at: Option<Time>,
    /// Whether it has ever sent something that was let through.
    pub(super) seen: bool,
    /// The other workers that may be handed some of it.
    pub(super) demand: BTreeMap<WorkerId, Demand>,
    /// Of another worker's stream: when that worker was last asked for it.
    pub(super) asked_at: Option<Time>,
    breaks: Breaks,
    segment: u32,
    fresh: u32,
    hole: Hole,
    /// The first number of this segment and the segment before, where no decoder has to enter anew between them.
    goes_on: Option<(u64, u32)>,
    losses: Bucket,
    /// The newest packet that went on, or that nobody was bound to hear.
    newest: Option<(u64, u32, Time)>,
}

impl Stream {
    /// A stream that is in no group yet.
    pub(super) fn new(
        owner: Key<Participant>,
        owner_id: ParticipantId,
        kind: Kind,
        codecs: Vec<CodecLine>,
    ) -> Self {
        Self {
            owner,
            owner_id,
            kind,
            codecs,
            group: None,
            epoch: Epoch(0),
            closed: Some(DropReason::NoGroup),
            in_flight_until: None,
            floor: 0,
            settled_at: None,
            routes: Vec::new(),
            ring: Ring::new(if kind.is_video() { VIDEO_PACKETS } else { AUDIO_PACKETS }),
            loudness: Loudness::default(),
            keyframes: KeyframeRequests::default(),
            clock: None,
            codec: None,
            codec_changed_at: None,
            seen: false,
            demand: BTreeMap::new(),
            asked_at: None,
            breaks: Breaks::default(),
            segment: 0,
            fresh: 0,
            hole: Hole::None,
            goes_on: None,
            losses: if kind.is_video() { LOSSES } else { SOUND_LOSSES },
            newest: None,
        }
    }

    /// Forgets who hears it in one slot.
    pub(super) fn drop_route(&mut self, gone: Route) {
        if let Some(at) = self.routes.iter().position(|route| *route == gone) {
            self.routes.swap_remove(at);
        }
    }

    /// Opens or closes it by what its owner and its group allow.
    pub(super) fn regulate(&mut self, publish: KindSet, blocked: Option<KindSet>) {
        self.closed = match blocked {
            None => Some(DropReason::NoGroup),
            Some(_) if !publish.contains(self.kind) && !plant::is(Plant::MuteIgnored) => {
                Some(DropReason::NotAllowed)
            }
            Some(blocked) if blocked.contains(self.kind) && !plant::is(Plant::PauseIgnored) => {
                Some(DropReason::Blocked)
            }
            Some(_) => None,
        };
        if self.closed.is_some() {
            // What waits or could be asked for again was sent under permission that is gone.
            self.ring.clear();
            self.hole = Hole::Fresh;
        }
    }

    /// Puts it into another placement: nothing of the one before is left.
    pub(super) fn place(&mut self, group: Option<GroupId>, epoch: Epoch, in_flight_until: Option<Time>) {
        self.group = group;
        self.epoch = epoch;
        self.in_flight_until = in_flight_until;
        self.ring.clear();
        self.loudness.reset();
        self.left_out();
    }

    /// Packets below this number were sent before now.
    pub(super) fn raise_floor(&mut self, next: u64) {
        self.floor = self.floor.max(next);
    }

    /// Why a packet may not go on: one with this number, which would have come at `due` on the fastest way.
    /// When a repair would have come nobody knows, so it is never the first of a placement.
    pub(super) fn refusal(&mut self, due: Option<Time>, index: u64) -> Option<DropReason> {
        let is_over = |until: Time| due.is_some_and(|due| due >= until);
        if self.in_flight_until.is_some_and(is_over) && index >= self.floor {
            self.settled_at = self.in_flight_until.take();
            self.floor = index;
        }
        if plant::is(Plant::InFlightForwarded) {
            self.in_flight_until = None;
        }
        let is_in_flight = self.in_flight_until.is_some() || index < self.floor;
        if is_in_flight || self.closed == Some(DropReason::NoGroup) {
            // What was sent before it is older still, however much later it comes.
            self.raise_floor(index + 1);
        }
        let in_flight = is_in_flight.then_some(DropReason::InFlight);
        let unbound = self.routes.is_empty().then_some(DropReason::Unbound);
        self.closed.or(in_flight).or(unbound)
    }

    /// Whether a packet is in the stream's codec, or may change it: by a picture that decoders can start at,
    /// for all others would have to wait for one, and not too often.
    pub(super) fn bears_codec_of(&self, info: &PacketInfo, is_repair: bool) -> bool {
        let is_kept = |changed_at: Time| info.arrived.since(changed_at) < CODEC_KEPT;
        self.codec.is_none_or(|codec| codec == info.codec)
            || (info.keyframe && !is_repair && !self.codec_changed_at.is_some_and(is_kept))
    }

    /// Notes the codec that it comes in; answers whether it is another than before.
    pub(super) fn set_codec(&mut self, codec: u8, now: Time) -> bool {
        let before = self.codec.replace(codec);
        if before.is_some() && before != self.codec {
            self.codec_changed_at = Some(now);
        }
        before != self.codec
    }

    /// Notes that media was left out, here and everywhere.
    pub(super) const fn left_out(&mut self) {
        self.breaks.fresh = self.breaks.fresh.wrapping_add(1);
        self.hole = Hole::Fresh;
    }

    /// Notes a packet without media: what comes behind it closes up. One older than the newest leaves no hole.
    pub(super) fn skipped(&mut self, index: u64) {
        if self.is_newest(index) {
            self.skip(1);
        }
    }

    fn skip(&mut self, count: u32) {
        self.breaks.skipped = self.breaks.skipped.wrapping_add(count);
        self.close_up(count);
    }

    fn close_up(&mut self, count: u32) {
        self.hole = match self.hole {
            Hole::None => Hole::Skipped(count.into()),
            Hole::Skipped(before) => Hole::Skipped(before.saturating_add(count.into())),
            Hole::Fresh => Hole::Fresh,
        };
    }

    /// Notes that nobody here is bound to be sent a packet. One that comes later and is older does not end the
    /// hole: who is bound meanwhile would take this number for lost.
    pub(super) fn unheard(&mut self, info: &PacketInfo) {
        self.hole = Hole::Fresh;
        if self.is_newest(info.index) {
            self.newest = Some((info.index, info.timestamp, info.arrived));
        }
    }

    /// Notes that a packet was refused. Behind one that is older than the newest decoders have entered already.
    pub(super) fn refused(&mut self, index: u64) {
        if self.is_newest(index) {
            self.left_out();
        }
    }

    /// Whether no packet with a higher number has gone on, or could have.
    pub(super) fn is_newest(&self, index: u64) -> bool {
        self.newest.is_none_or(|(newest, ..)| index > newest)
    }

    /// Notes that another source took over: its numbers and its clock are not those of the last. So that
    /// what it sent before the last move stays behind, it has to show when it sends, too.
    pub(super) fn source_changed(&mut self) {
        self.breaks.sources = self.breaks.sources.wrapping_add(1);
        self.ring.clear();
        self.newest = None;
        self.clock = None;
        self.floor = 0;
        self.in_flight_until = self.in_flight_until.or(self.settled_at);
        self.left_out();
    }

    /// Starts to count sources at a number that no other connection of the participant starts at, so
    /// that another worker can tell its streams from those of the connection before.
    pub(super) const fn count_sources_from(&mut self, number: u32) {
        self.breaks.sources = number;
    }

    /// What was left out so far.
    pub(super) const fn breaks(&self) -> Breaks {
        self.breaks
    }

    /// Takes over what another worker has left out of its stream.
    pub(super) fn adopt(&mut self, breaks: Breaks) {
        let before = self.breaks;
        if before.sources != breaks.sources {
            self.source_changed();
        } else if before.fresh != breaks.fresh {
            self.left_out();
        } else if before.skipped != breaks.skipped {
            self.skip(breaks.skipped.wrapping_sub(before.skipped));
        }
        self.breaks = breaks;
    }

    /// Gives a packet its place among the stretches and stores it; answers its segment. One that is too large is
    /// lost to everybody.
    pub(super) fn admit(&mut self, mut info: PacketInfo, descriptor: &[u8], payload: &[u8]) -> Option<u32> {
        if !Ring::takes(descriptor, payload) {
            return None;
        }
        if self.is_newest(info.index) {
            let lost = self.check_jump(&info);
            match self.hole {
                Hole::None => {}
                Hole::Skipped(_) => {
                    info.gap = lost;
                    self.goes_on = Some((info.index, self.segment));
                    self.segment = self.segment.wrapping_add(1);
                }
                Hole::Fresh => {
                    self.goes_on = None;
                    self.segment = self.segment.wrapping_add(1);
                    self.fresh = self.fresh.wrapping_add(1);
                }
            }
            self.hole = Hole::None;
            self.newest = Some((info.index, info.timestamp, info.arrived));
        }
        // What comes late over such a hole still has the number that was left open for it.
        let before = self.goes_on.filter(|(first, _)| info.index < *first);
        info.segment = before.map_or(self.segment, |(_, segment)| segment);
        (info.fresh, info.epoch) = (self.fresh, self.epoch);
        self.ring.put(info, descriptor, payload).then_some(info.segment)
    }

    /// The stretch that a decoder has to have entered to follow the next packet.
    pub(super) fn next_fresh(&self) -> u32 {
        if self.hole == Hole::Fresh { self.fresh.wrapping_add(1) } else { self.fresh }
    }

    /// Looks at what the newest packet has left out since the one before; answers how many numbers are lost. Each
    /// worker looks for itself, so that what is found is not counted for others.
    fn check_jump(&mut self, info: &PacketInfo) -> u16 {
        let Some((index, timestamp, at)) = self.newest else { return 0 };
        let rate = self.clock_rate();
        let told = i64::from(info.timestamp.wrapping_sub(timestamp).cast_signed());
        let told = told.saturating_mul(1_000_000) / i64::from(rate);
        let passed = i64::try_from(info.arrived.since(at).as_micros()).unwrap_or(i64::MAX);
        let skipped = if let Hole::Skipped(count) = self.hole { count } else { 0 };
        let lost = (info.index - index - 1).saturating_sub(skipped);
        if Duration::from_micros(told.abs_diff(passed)) > MAX_CLOCK_JUMP {
            self.hole = Hole::Fresh;
            return 0;
        }
        if lost > 0 && self.hole != Hole::Fresh && !self.losses.take(info.arrived, lost) {
            self.close_up(1);
            return 0;
        }
        u16::try_from(lost).unwrap_or(0)
    }

    /// The clock rate of its timestamps in hertz.
    pub(super) fn clock_rate(&self) -> u32 {
        self.codecs.first().map_or(Codec::Opus, |line| line.codec).clock_rate()
    }
}

#[cfg(test)]
mod tests;
