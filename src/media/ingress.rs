//! From a datagram to the queues of those who hear it.

use super::feedback::{Late, Missing};
use super::intake::{Intake, Line};
use super::mirror::cross;
use super::outbox::{Purpose, Waiting};
use super::participant::Participant;
use super::ring::{AUDIO_PACKETS, PacketInfo, VIDEO_PACKETS};
use super::silence::Sign;
use super::slab::Key;
use super::statistics::DropReason;
use super::stream::Stream;
use super::talkers::{LARGEST_SILENCE, UNKNOWN_LEVEL};
use super::worker::Worker;
use crate::base::plant::{self, Plant};
use crate::base::{Epoch, Time};
use crate::transport::srtp::Opened;
use crate::transport::{Codec, Path};
use crate::wire::extension::{AudioLevel, read_transport_cc};
use crate::wire::rtp::RtpView;
use crate::wire::{av1, dependency_descriptor, h264, vp8, vp9};

/// A level that is silence for certain.
const SILENT_LEVEL: u8 = 127;

/// What a packet says, whichever way it came.
pub(super) struct Incoming<'a> {
    line: usize,
    pub(super) info: PacketInfo,
    pub(super) descriptor: &'a [u8],
    pub(super) payload: &'a [u8],
    /// Whether packets before it have gone missing beyond repair.
    lost_track: bool,
    /// How much later it is than the fastest of its source; of a repair nobody knows.
    late: Option<Late>,
    /// Whether another source spoke for the m-line before.
    took_over: bool,
    /// Whether it is from a participant of this worker.
    is_own: bool,
    /// Whether that one sends too much: pictures for a while after it did, sound while it does.
    is_greedy: bool,
}

impl Worker {
    /// Takes an RTP packet.
    ///
    /// # Errors
    ///
    /// Why it goes no further.
    pub(super) fn handle_rtp(
        &mut self,
        now: Time,
        path: Path,
        datagram: &mut [u8],
    ) -> Result<(), DropReason> {
        let key = self.demux.by_address(path.remote);
        #[cfg(feature = "planted-bugs")]
        let key = key.or_else(|| self.owner_of_ssrc(datagram));
        let key = key.ok_or(DropReason::UnknownSource)?;
        let session = self
            .participants
            .get_mut(key)
            .and_then(|participant| participant.session.as_mut())
            .ok_or(DropReason::UnknownSource)?;
        let left = session.budget.without(now, datagram.len()).ok_or(DropReason::OverRate)?;
        let opened = session.leg.open_rtp(now, path, datagram)?;
        session.budget.spend(now, left);
        session.hear(path, Sign::Media, self.emptied_at, now);
        let packet = datagram.get(..opened.len).unwrap_or_default();
        let view = RtpView::parse(packet).map_err(|_| DropReason::Malformed)?;
        self.statistics.media_in += 1;
        let number = session.intake.transport_sequence(&view);
        if let Some(number) = number {
            session.arrivals.note(number, now);
        }
        let mut incoming = session.intake.receive(now, opened, &view)?;
        incoming.late = incoming.late.map(|late| late.or_held(|| session.silences.held(path, now)));
        let line = session.intake.lines.get_mut(incoming.line).ok_or(DropReason::UnknownSsrc)?;
        incoming.is_greedy = if line.kind.is_video() {
            // A part of its pictures shows nobody anything, and fills the links of all who watch others.
            session.budget.is_greedy(now)
        } else {
            !line.sound.spend(now, opened.len)
        };
        let stream = line.stream;
        self.media_flows(now);
        self.forward(now, stream, &incoming)
    }

    /// Notes that there is something to be periodic about.
    pub(super) fn media_flows(&mut self, now: Time) {
        self.media_at = Some(now);
        if self.next_tick.is_none_or(|tick| tick > now + super::timers::TICK) {
            self.next_tick = Some(now + super::timers::TICK);
        }
    }

    /// Stores a packet and puts a copy into the queue of each listener; other workers do so for theirs.
    ///
    /// # Errors
    ///
    /// Why it goes nowhere.
    pub(super) fn forward(
        &mut self,
        now: Time,
        stream_key: Key<Stream>,
        incoming: &Incoming<'_>,
    ) -> Result<(), DropReason> {
        let stream = self.streams.get_mut(stream_key).ok_or(DropReason::UnknownSsrc)?;
        if incoming.took_over {
            stream.source_changed();
        }
        if incoming.payload.is_empty() {
            stream.skipped(incoming.info.index);
            return Err(DropReason::Empty);
        }
        let unknown = self.settings.media.in_flight();
        let due = incoming.late.map(|late| late.due(now, unknown));
        let refusal = refusal_of(stream, incoming, due, self.overload.is_on(now));
        let may_go_on = refusal.is_none_or(|reason| reason == DropReason::Unbound);
        let crossed = may_go_on && {
            let (group, needs_look) = (stream.group, listen(stream, incoming, now));
            if needs_look {
                self.look_at(group);
            }
            self.pass_on(now, stream_key, incoming)
        };
        let stream = self.streams.get_mut(stream_key).ok_or(DropReason::UnknownSsrc)?;
        match refusal {
            Some(DropReason::Unbound) => stream.unheard(&incoming.info),
            Some(_) => stream.refused(incoming.info.index),
            None => {}
        }
        if let Some(reason) = refusal.filter(|_| !crossed) {
            // What one missed of the stretch before a move came late, and says nothing of the one after.
            if reason == DropReason::Unbound || stream.is_newest(incoming.info.index) {
                let owner = stream.owner;
                self.forget_missing(owner, incoming.line);
            }
            return Err(reason);
        }
        if incoming.info.keyframe {
            stream.keyframes.arrived();
        }
        if incoming.lost_track && stream.kind.is_video() {
            stream.keyframes.want();
        }
        if refusal.is_some() {
            self.statistics.media_admitted += 1;
            return Ok(());
        }
        let segment = stream.admit(incoming.info, incoming.descriptor, incoming.payload);
        let segment = segment.ok_or(DropReason::TooLarge)?;
        self.statistics.media_admitted += 1;
        self.copy_along(now, stream_key, (incoming.info.index, segment));
        Ok(())
    }

    /// Puts a copy of a stored packet into the queue of each listener.
    fn copy_along(&mut self, now: Time, stream_key: Key<Stream>, (index, segment): (u64, u32)) {
        let hold = self.settings.media.hold();
        if !hold.is_zero() && self.flush_at.is_none() {
            self.flush_at = Some(now + hold);
        }
        let Some(stream) = self.streams.get(stream_key) else { return };
        let forgotten = usize::from(plant::is(Plant::CopyForgotten));
        for route in stream.routes.iter().skip(forgotten) {
            let listener = self.participants.get_mut(route.listener);
            let Some(session) = listener.and_then(|listener| listener.session.as_mut()) else { continue };
            self.statistics.copies += 1;
            if !session.is_up {
                self.statistics.drops.count(DropReason::ListenerDown);
                continue;
            }
            let waiting = Waiting {
                stream: stream_key,
                index,
                segment,
                slot: route.slot,
                video: stream.kind.is_video(),
                purpose: Purpose::Forward,
            };
            session.outbox.push(waiting, &mut self.statistics.drops);
            if !std::mem::replace(&mut session.is_ready, true) {
                self.ready.push_back(route.listener);
            }
        }
    }
}

impl Worker {
    /// Notes that a stream's group is heard, and hands the packet to the other workers that have members
    /// in it; answers whether it went to any.
    fn pass_on(&mut self, now: Time, key: Key<Stream>, incoming: &Incoming<'_>) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let Some(group) = stream.group.and_then(|group| self.groups.get_mut(&group)) else { return false };
        group.was_heard = true;
        if group.peers.is_empty() || !incoming.is_own {
            return false;
        }
        cross(&mut self.handovers, &mut self.statistics, (key, stream), group, incoming, now)
    }

    /// Whose a packet says to be, for [`Plant::SourceBelieved`](crate::base::plant::Plant::SourceBelieved).
    #[cfg(feature = "planted-bugs")]
    fn owner_of_ssrc(&self, packet: &[u8]) -> Option<Key<Participant>> {
        use crate::base::plant::{self, Plant};
        let (_, rest) = packet.split_at_checked(8).filter(|_| plant::is(Plant::SourceBelieved))?;
        let ssrc = crate::base::Ssrc(u32::from_be_bytes(*rest.first_chunk()?));
        self.participants.keys().find(|key| {
            let session = self.participants.get(*key).and_then(|one| one.session.as_ref());
            session.is_some_and(|one| one.intake.sources.iter().any(|source| source.ssrc == ssrc))
        })
    }

    /// What nobody is sent is not asked for.
    fn forget_missing(&mut self, key: Key<Participant>, line: usize) {
        let session = self.participants.get_mut(key).and_then(|publisher| publisher.session.as_mut());
        let Some(intake) = session.map(|session| &mut session.intake) else { return };
        if let Some(source) = intake.current_source(line).and_then(|at| intake.sources.get_mut(at)) {
            source.missing.clear();
        }
    }
}

/// Why a packet goes no further, if so.
fn refusal_of(
    stream: &mut Stream,
    incoming: &Incoming<'_>,
    due: Option<Time>,
    is_overloaded: bool,
) -> Option<DropReason> {
    let refusal = stream.refusal(due, incoming.info.index);
    if incoming.is_greedy {
        return Some(DropReason::Greedy);
    }
    // Another worker's pictures were held against the rest where they came in.
    if !stream.kind.is_video() || !incoming.is_own {
        return refusal;
    }
    match refusal {
        None | Some(DropReason::Unbound) if is_overloaded => Some(DropReason::Overload),
        None | Some(DropReason::Unbound)
            if !stream.bears_codec_of(&incoming.info, incoming.late.is_none()) =>
        {
            Some(DropReason::CodecChange)
        }
        refusal => refusal,
    }
}

/// Takes in what a packet says of its stream; answers whether the group's bindings need a look.
fn listen(stream: &mut Stream, incoming: &Incoming<'_>, now: Time) -> bool {
    if !stream.kind.is_video() && incoming.is_own {
        let level = match incoming.info.level {
            Some(level) => level.level,
            None if incoming.payload.len() > LARGEST_SILENCE => UNKNOWN_LEVEL,
            None => SILENT_LEVEL,
        };
        stream.loudness.hear(level, now);
    }
    stream.seen = true;
    stream.set_codec(incoming.info.codec, now) && stream.kind.is_video()
}

impl Intake {
    /// The packet's transport-wide number.
    fn transport_sequence(&self, view: &RtpView<'_>) -> Option<u16> {
        // One id for all lines, as a rule, and never that of something else.
        let mut tried = None;
        let ids = self.lines.iter().filter_map(|line| line.extensions.transport_cc);
        let mut others = ids.filter(|id| tried.replace(*id) != Some(*id));
        read_transport_cc(others.find_map(|id| view.extension(id))?).ok()
    }

    /// Finds a packet's source, takes note of it and takes a retransmission out of its wrapping.
    fn receive<'a>(
        &mut self,
        now: Time,
        opened: Opened,
        view: &RtpView<'a>,
    ) -> Result<Incoming<'a>, DropReason> {
        let at = self.source_of(view, now)?;
        let source = self.sources.get_mut(at).ok_or(DropReason::UnknownSsrc)?;
        let line_at = source.line;
        let line = self.lines.get_mut(line_at).ok_or(DropReason::UnknownSsrc)?;
        let (codec, repairs) = line.codec_of(view.payload_type()).ok_or(DropReason::UnknownPayloadType)?;
        source.last_at = now;
        let reach = if line.kind.is_video() { VIDEO_PACKETS } else { AUDIO_PACKETS };
        let before = source.highest();
        source.accept(opened.index, reach)?;
        let clock_rate = line.codecs.first().map_or(Codec::Opus, |line| line.codec).clock_rate();
        let late = source.reception.count(opened.index, view.timestamp(), now, clock_rate);
        let (mut lost_track, mut took_over) = (false, false);
        let (index, payload) = if repairs {
            let (original, payload) = view.payload().split_first_chunk::<2>().ok_or(DropReason::Empty)?;
            let current = line.current().ok_or(DropReason::UnknownSsrc)?;
            // What another source sent before this one has numbers of its own.
            if *source.repaired.get_or_insert(current) != current {
                return Err(DropReason::Late);
            }
            let media = self.current_source(line_at).and_then(|at| self.sources.get_mut(at));
            let media = media.ok_or(DropReason::UnknownSsrc)?;
            let index = media.extend(u16::from_be_bytes(*original)).ok_or(DropReason::Late)?;
            // A repair never runs ahead: what it repeats was sent before something that has come.
            if media.highest().is_none_or(|highest| index > highest) {
                return Err(DropReason::Late);
            }
            media.accept(index, reach)?;
            media.missing.arrived(index);
            (index, payload)
        } else {
            took_over = line.follow(view.ssrc(), now)?;
            if line.kind.is_video() {
                lost_track = note_missing(&mut source.missing, before, opened.index, now);
            }
            (opened.index, view.payload())
        };
        let late = (!repairs).then_some(late);
        let line = self.lines.get(line_at).ok_or(DropReason::UnknownSsrc)?;
        Ok(describe(line, line_at, codec, view, (index, payload), now).with(lost_track, took_over, late))
    }
}

impl<'a> Incoming<'a> {
    /// A packet that another worker has received.
    pub(super) const fn of_another_worker(info: PacketInfo, descriptor: &'a [u8], payload: &'a [u8]) -> Self {
        Self {
            line: 0,
            info,
            descriptor,
            payload,
            lost_track: false,
            took_over: false,
            late: Some(Late::NOT),
            is_own: false,
            is_greedy: false,
        }
    }

    const fn with(mut self, lost_track: bool, took_over: bool, late: Option<Late>) -> Self {
        self.lost_track = lost_track;
        self.took_over = took_over;
        self.late = late;
        self
    }
}

fn note_missing(missing: &mut Missing, before: Option<u64>, index: u64, now: Time) -> bool {
    match before {
        Some(before) if index > before + 1 => missing.note(before, index, now),
        Some(before) if index < before => {
            missing.arrived(index);
            false
        }
        _ => false,
    }
}

fn describe<'a>(
    line: &Line,
    line_at: usize,
    codec_at: u8,
    view: &RtpView<'a>,
    (index, payload): (u64, &'a [u8]),
    now: Time,
) -> Incoming<'a> {
    let extension = |id: Option<u8>| id.and_then(|id| view.extension(id));
    let descriptor = extension(line.extensions.dependency_descriptor).unwrap_or_default();
    let codec = line.codecs.get(usize::from(codec_at)).map_or(Codec::Opus, |line| line.codec);
    let info = PacketInfo {
        index,
        segment: 0,
        gap: 0,
        fresh: 0,
        epoch: Epoch(0),
        arrived: now,
        timestamp: view.timestamp(),
        marker: view.marker(),
        codec: codec_at,
        keyframe: line.kind.is_video() && is_keyframe(codec, descriptor, payload),
        level: extension(line.extensions.audio_level).and_then(|data| AudioLevel::read(data).ok()),
    };
    Incoming {
        line: line_at,
        info,
        descriptor,
        payload,
        lost_track: false,
        took_over: false,
        late: Some(Late::NOT),
        is_own: true,
        is_greedy: false,
    }
}

/// Whether a decoder can start at a packet: by its dependency descriptor where it has one, for that
/// is readable when the payload is encrypted end to end, else by its payload.
fn is_keyframe(codec: Codec, descriptor: &[u8], payload: &[u8]) -> bool {
    if let Ok(descriptor) = dependency_descriptor::Descriptor::parse(descriptor) {
        return descriptor.is_keyframe();
    }
    match codec {
        Codec::Opus => false,
        Codec::Vp8 => vp8::is_keyframe(payload),
        Codec::Vp9 { .. } => vp9::is_keyframe(payload),
        Codec::H264 { .. } => h264::is_keyframe(payload),
        Codec::Av1 { .. } => av1::is_keyframe(payload),
    }
}
