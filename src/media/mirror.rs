//! Participants whose connections are other workers': what is handed to those, and taken from them.
//!
//! A packet crosses to another worker once, in plaintext, with the placement that it was sent in, and
//! is forwarded there as if it had been received there. Sound crosses while its talker speaks or has a
//! seat. Video crosses while somebody there watches; otherwise a packet now and then shows that it
//! exists.

use std::collections::BTreeMap;
use std::time::Duration;

use super::group::Group;
use super::handover::{Ask, Crossing, Handover};
use super::ingress::Incoming;
use super::participant::Participant;
use super::slab::Key;
use super::statistics::{DropReason, WorkerStatistics};
use super::stream::{Demand, Stream};
use super::worker::Worker;
use crate::base::{Kind, Time, WorkerId};
use crate::message::Placement;
use crate::transport::{Codec, CodecLine};

/// How often a wish for a stream is repeated ..
const ASK_EVERY: Duration = Duration::from_secs(1);
/// .. and for how long it holds: two of three may be lost.
const ASK_HOLDS: Duration = Duration::from_secs(3);
/// How often a stream that nobody watches shows itself.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// The codecs of one mirrored stream: more than any client offers.
const MAX_CODECS: usize = 16;

impl Worker {
    /// Makes a participant of another worker known, or places it anew.
    pub(super) fn mirror(&mut self, now: Time, placement: &Placement, home: WorkerId) {
        let known = self.by_id.get(&placement.participant).copied();
        if let Some(known) = known.and_then(|key| self.participants.get(key))
            && (known.home.is_none() || known.epoch >= placement.epoch || known.awaits > placement.epoch)
        {
            return;
        }
        let left = known.and_then(|key| self.revoke(key));
        let key = known.unwrap_or_else(|| self.participants.insert(Participant::new(placement)));
        self.drop_mirror(key);
        self.by_id.insert(placement.participant, key);
        if let Some(participant) = self.participants.get_mut(key) {
            participant.home = Some(home);
            self.mirrors += 1;
        }
        self.grant(now, key, placement, false);
        for group in left.into_iter().filter(|left| *left != placement.group).chain([placement.group]) {
            self.refresh(now, group);
        }
    }

    /// Forgets what another worker has handed over of a participant.
    pub(super) fn drop_mirror(&mut self, key: Key<Participant>) {
        let Some(participant) = self.participants.get_mut(key).filter(|one| one.home.is_some()) else {
            return;
        };
        participant.home = None;
        self.mirrors = self.mirrors.saturating_sub(1);
        for stream in std::mem::take(&mut participant.streams) {
            self.streams.remove(stream);
        }
    }

    /// Takes what another worker hands over.
    pub fn handle_handover(&mut self, now: Time, from: WorkerId, handover: &Handover) {
        for ask in handover.asks() {
            self.note_ask(now, from, ask);
        }
        for (crossing, descriptor, payload) in handover.iter() {
            self.statistics.taken_over += 1;
            if let Err(reason) = self.take_crossing(now, from, crossing, descriptor, payload) {
                self.statistics.drops.count(reason);
            }
        }
    }

    /// Counts packets that another worker took no more of.
    pub fn handover_refused(&mut self, handover: &Handover) {
        self.statistics.handover_full += u64::try_from(handover.packets()).unwrap_or(0);
    }

    fn take_crossing(
        &mut self,
        now: Time,
        from: WorkerId,
        crossing: &Crossing,
        descriptor: &[u8],
        payload: &[u8],
    ) -> Result<(), DropReason> {
        let key = self.by_id.get(&crossing.publisher).copied().ok_or(DropReason::Outdated)?;
        let participant = self.participants.get(key).ok_or(DropReason::Outdated)?;
        let place = (participant.home, participant.epoch, participant.group);
        if place != (Some(from), crossing.epoch, Some(crossing.group)) {
            return Err(DropReason::Outdated);
        }
        let stream_key = self.mirrored_stream(key, crossing.kind).ok_or(DropReason::Outdated)?;
        let codec = self.mirrored_codec(stream_key, crossing.codec).ok_or(DropReason::UnknownPayloadType)?;
        let stream = self.streams.get_mut(stream_key).ok_or(DropReason::Outdated)?;
        stream.adopt(crossing.breaks);
        stream.clock = crossing.clock;
        stream.loudness.adopt(crossing.loudness);
        let info = super::ring::PacketInfo { codec, ..crossing.info };
        self.media_flows(now);
        self.forward(now, stream_key, &Incoming::of_another_worker(info, descriptor, payload))
    }

    /// The stream of a mirrored participant; a new one if there is none yet.
    fn mirrored_stream(&mut self, key: Key<Participant>, kind: Kind) -> Option<Key<Stream>> {
        let participant = self.participants.get_mut(key)?;
        let is_it = |known: &Key<Stream>| self.streams.get(*known).is_some_and(|stream| stream.kind == kind);
        if let Some(known) = participant.streams.iter().copied().find(is_it) {
            return Some(known);
        }
        let mut stream = Stream::new(key, participant.id, kind, Vec::new());
        stream.place(participant.group, participant.epoch, None);
        let stream = self.streams.insert(stream);
        participant.streams.push(stream);
        let group = participant.group;
        self.regulate(key);
        self.look_at(group);
        Some(stream)
    }

    /// The place of a codec in a mirrored stream's list.
    fn mirrored_codec(&mut self, key: Key<Stream>, codec: Codec) -> Option<u8> {
        let stream = self.streams.get_mut(key)?;
        let known = stream.codecs.iter().position(|line| line.codec == codec);
        let at = known.unwrap_or(stream.codecs.len());
        if known.is_none() {
            if at >= MAX_CODECS {
                return None;
            }
            // Only the publisher's own worker knows the numbers that the publisher calls it by.
            stream.codecs.push(CodecLine { codec, payload_type: 0, rtx_payload_type: None });
            let group = stream.group;
            // Listeners' lists of codecs are of the shorter list.
            self.unbind_all_routes(key);
            self.look_at(group);
        }
        u8::try_from(at).ok()
    }

    /// Notes that somebody of another worker watches a stream.
    fn note_ask(&mut self, now: Time, from: WorkerId, ask: &Ask) {
        let key = self.by_id.get(&ask.publisher).copied();
        let Some(participant) = key.and_then(|key| self.participants.get(key)) else { return };
        if participant.epoch != ask.epoch || participant.home.is_some() {
            return;
        }
        let is_it = |key: &Key<Stream>| {
            self.streams.get(*key).is_some_and(|stream| stream.kind == ask.kind && stream.closed.is_none())
        };
        let Some(key) = participant.streams.iter().copied().find(is_it) else { return };
        if let Some(stream) = self.streams.get_mut(key) {
            stream.demand_of(from).until = Some(now + ASK_HOLDS);
        }
        if ask.keyframe {
            self.want_keyframe(now, key);
        }
    }

    /// Asks other workers for the streams of theirs that are watched here, where it is time to.
    pub(super) fn ask_homes(&mut self, now: Time, key: Key<Stream>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let home = self.participants.get(stream.owner).and_then(|owner| owner.home);
        let Some(home) = home.filter(|_| stream.kind.is_video() && !stream.routes.is_empty()) else { return };
        let keyframe = stream.keyframes.is_due(now);
        if !keyframe && stream.asked_at.is_some_and(|at| now.since(at) < ASK_EVERY) {
            return;
        }
        if keyframe {
            stream.keyframes.sent(now);
        }
        stream.asked_at = Some(now);
        let ask = Ask { publisher: stream.owner_id, kind: stream.kind, epoch: stream.epoch, keyframe };
        self.handovers.entry(home).or_default().ask(ask);
    }

    /// Has a group's bindings looked at when the batch ends.
    pub(super) fn look_at(&mut self, group: Option<crate::base::GroupId>) {
        if let Some(group) = group.filter(|group| !self.to_refresh.contains(group)) {
            self.to_refresh.push(group);
        }
    }
}

impl Stream {
    fn demand_of(&mut self, worker: WorkerId) -> &mut Demand {
        self.demand.entry(worker).or_default()
    }

    /// Whether a packet that comes now is handed to a worker.
    fn crosses_to(&mut self, worker: WorkerId, is_seated: bool, now: Time) -> bool {
        if !self.kind.is_video() {
            return is_seated || self.loudness.speaks(now);
        }
        let demand = self.demand_of(worker);
        let is_watched = demand.until.is_some_and(|until| now < until);
        let goes = is_watched || demand.shown_at.is_none_or(|at| now.since(at) >= SHOW_EVERY);
        if goes {
            demand.shown_at = Some(now);
        }
        goes
    }
}

/// Hands a packet to the other workers whose members may hear it: once to each, however many they are.
/// Answers whether it went to any.
pub(super) fn cross(
    handovers: &mut BTreeMap<WorkerId, Handover>,
    statistics: &mut WorkerStatistics,
    (stream_key, stream): (Key<Stream>, &mut Stream),
    group: &Group,
    incoming: &Incoming<'_>,
    now: Time,
) -> bool {
    let codec = stream.codecs.get(usize::from(incoming.info.codec)).map(|line| line.codec);
    let Some(codec) = codec else { return false };
    let is_seated = !stream.kind.is_video() && group.seats.iter().any(|seat| seat == stream_key);
    let mut crossed = false;
    for (worker, _) in &group.peers {
        if !stream.crosses_to(*worker, is_seated, now) {
            continue;
        }
        let crossing = Crossing::new(
            (stream.owner_id, stream.kind),
            (stream.epoch, group.settings.group),
            codec,
            incoming.info,
            (stream.breaks(), stream.loudness, stream.clock),
        );
        if handovers.entry(*worker).or_default().add(crossing, incoming.descriptor, incoming.payload) {
            statistics.handed_over += 1;
            crossed = true;
        } else {
            statistics.handover_full += 1;
        }
    }
    crossed
}
