//! A worker with people around it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::base::{BatchId, Epoch, GroupId, Kind, KindSet, ParticipantId, Random, Ssrc, Time};
use crate::media::leg::Leg;
use crate::media::leg::plain::PlainLeg;
use crate::media::settings::MediaSettings;
use crate::media::{DropReason, Worker, WorkerSettings};
use crate::message::{GroupSettings, MediaCommand, MediaReport, Moved, Placement, SlotBinding};
use crate::transport::{Codec, CodecLine, ExtensionIds, Negotiated, Path, SendLine, Slot, TimeAnchor};
use crate::wire::extension::AudioLevel;
use crate::wire::rtp::{RtpHeader, RtpView};

/// The ids that every client here gave.
pub(super) const IDS: ExtensionIds = ExtensionIds {
    mid: Some(1),
    audio_level: Some(2),
    transport_cc: Some(3),
    abs_send_time: Some(4),
    dependency_descriptor: Some(5),
};
pub(super) const LOUD: u8 = 20;
pub(super) const SILENT: u8 = 127;
const VP8: CodecLine = CodecLine { codec: Codec::Vp8, payload_type: 96, rtx_payload_type: Some(97) };

/// What a client can do.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) audio_slots: usize,
    pub(super) video_slots: usize,
    /// What it sends video in.
    pub(super) sends: Vec<CodecLine>,
    /// What it can receive.
    pub(super) receives: Vec<CodecLine>,
    /// Whether its packets say how loud they are.
    pub(super) levels: bool,
}

impl Default for Client {
    fn default() -> Self {
        let own = CodecLine { payload_type: 120, rtx_payload_type: Some(121), ..VP8 };
        Self { audio_slots: 6, video_slots: 2, sends: vec![VP8], receives: vec![own], levels: true }
    }
}

/// What one person sends of one kind.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) picture: u16,
}

pub(super) struct Person {
    pub(super) path: Path,
    pub(super) group: GroupId,
    pub(super) epoch: Epoch,
    pub(super) client: Client,
    pub(super) sending: BTreeMap<Kind, Sending>,
}

/// A packet that reached somebody.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) listener: u64,
    pub(super) bytes: Vec<u8>,
}

impl Heard {
    pub(super) fn view(&self) -> RtpView<'_> {
        RtpView::parse(&self.bytes).unwrap()
    }

    /// The mark in its last 24 bytes: publisher, group, counter.
    pub(super) fn mark(&self) -> (u64, u64, u64) {
        let payload = self.view().payload();
        let mark = &payload[payload.len() - 24..];
        let number = |at: usize| u64::from_be_bytes(mark[at..at + 8].try_into().unwrap());
        (number(0), number(8), number(16))
    }
}

/// A packet of somebody's picture once more, as its client answers who misses it.
pub(super) fn again(packet: &[u8], sequence: u16) -> Vec<u8> {
    let view = RtpView::parse(packet).unwrap();
    let mut header = view.header();
    (header.payload_type, header.sequence) = (97, sequence);
    header.ssrc = Ssrc(view.ssrc().0 + 8);
    let mut repair = vec![0; 12];
    header.write(&[], &mut repair).unwrap();
    repair.extend(view.sequence().to_be_bytes());
    repair.extend(view.payload());
    repair
}

pub(super) struct World {
    pub(super) worker: Worker,
    pub(super) now: Time,
    pub(super) people: BTreeMap<u64, Person>,
    pub(super) reports: Vec<MediaReport>,
    /// RTCP that was sent: to whom, and the compound.
    pub(super) rtcp: Vec<(u64, Vec<u8>)>,
    pub(super) counter: u64,
    pub(super) batches: u64,
    random: Random,
    next_epoch: u64,
}

pub(super) fn ssrc_of(id: u64, kind: Kind) -> Ssrc {
    Ssrc(u32::try_from(id * 16).unwrap() + kind as u32 + 1)
}

impl World {
    pub(super) fn new() -> Self {
        Self::from_seed(1)
    }

    pub(super) fn from_seed(seed: u64) -> Self {
        let now = Time::from_unix_seconds(1_700_000_000);
        #[expect(clippy::disallowed_methods, reason = "an anchor has to be some instant")]
        let anchor = TimeAnchor { at: now, instant: Instant::now() };
        let mut random = Random::from_number(seed);
        // Nobody says here that they know of a move, but where a test has them say so.
        let media = MediaSettings { in_flight_ms: 10, ..MediaSettings::default() };
        let settings = WorkerSettings { media, ..WorkerSettings::default() };
        let worker = Worker::new(settings, random.fork(), anchor).unwrap();
        Self {
            worker,
            now,
            people: BTreeMap::new(),
            reports: Vec::new(),
            rtcp: Vec::new(),
            counter: 0,
            batches: 0,
            random,
            next_epoch: 1,
        }
    }

    pub(super) fn group(&mut self, group: u64, max_active_talkers: u8, blocked: KindSet) {
        let settings = GroupSettings { group: GroupId(group), max_active_talkers, blocked };
        self.command(MediaCommand::SetGroup(settings));
    }

    pub(super) fn command(&mut self, command: MediaCommand) {
        self.worker.handle_command(self.now, command);
        self.reports.extend(std::iter::from_fn(|| self.worker.poll_report()));
    }

    /// Lets the next epochs be higher than this.
    pub(super) fn set_epoch(&mut self, epoch: u64) {
        self.next_epoch = self.next_epoch.max(epoch);
    }

    pub(super) fn epoch(&mut self) -> Epoch {
        self.next_epoch += 1;
        Epoch(self.next_epoch)
    }

    pub(super) fn join(&mut self, id: u64, group: u64) {
        self.join_as(id, group, KindSet::ALL, Client::default());
    }

    pub(super) fn join_as(&mut self, id: u64, group: u64, publish: KindSet, client: Client) {
        let port = u16::try_from(1_000 + id).unwrap();
        let path = Path::new(([127, 0, 0, 1], port).into(), None);
        let negotiated = self.negotiated(id, &client);
        let epoch = self.epoch();
        let leg = Leg::Plain(PlainLeg::new(path));
        let mut session = self.worker.new_session(leg, epoch, negotiated, format!("cname-{id}"));
        session.is_up = true;
        let placement = Placement { participant: ParticipantId(id), group: GroupId(group), epoch, publish };
        let key = self.worker.attach(self.now, &placement, session);
        self.worker.demux.add_address(path.remote, key);
        let session = self.worker.participants.get_mut(key).unwrap().session.as_mut().unwrap();
        session.addresses.push(path.remote);
        self.worker.refresh(self.now, GroupId(group));
        self.worker.count_gauges();
        self.reports.extend(std::iter::from_fn(|| self.worker.poll_report()));
        let person = Person { path, group: GroupId(group), epoch, client, sending: BTreeMap::new() };
        self.people.insert(id, person);
    }

    fn negotiated(&mut self, id: u64, client: &Client) -> Negotiated {
        let opus = CodecLine { codec: Codec::Opus, payload_type: 111, rtx_payload_type: None };
        let sends = Kind::ALL.iter().map(|kind| SendLine {
            mid: format!("s{}", *kind as u8).as_str().into(),
            kind: *kind,
            codecs: if kind.is_video() { client.sends.clone() } else { vec![opus] },
            declared_ssrcs: vec![(ssrc_of(id, *kind), Some(Ssrc(ssrc_of(id, *kind).0 + 8)))],
            extensions: IDS,
        });
        let slots = (0..client.audio_slots + client.video_slots).map(|at| {
            let video = at >= client.audio_slots;
            Slot {
                mid: format!("r{at}").as_str().into(),
                video,
                ssrc: Ssrc(self.random.next_u32() | 1 << 31),
                rtx_ssrc: video.then(|| Ssrc(self.random.next_u32() | 1 << 31)),
                codecs: if video { client.receives.clone() } else { vec![opus] },
                extensions: IDS,
            }
        });
        Negotiated {
            remote_ufrag: String::new(),
            remote_pwd: String::new(),
            fingerprints: vec![],
            slots: slots.collect(),
            sends: sends.collect(),
        }
    }

    /// Moves people as one batch; answers who was told to be moved.
    pub(super) fn move_to(&mut self, moves: &[(u64, u64)], publish: KindSet) -> Vec<Moved> {
        let placements: Vec<_> = moves
            .iter()
            .map(|(id, group)| {
                let epoch = self.epoch();
                let person = self.people.get_mut(id).unwrap();
                (person.group, person.epoch) = (GroupId(*group), epoch);
                Placement { participant: ParticipantId(*id), group: GroupId(*group), epoch, publish }
            })
            .collect();
        self.batches += 1;
        let batch = BatchId(self.batches);
        self.command(MediaCommand::Move { batch, placements });
        self.reports
            .iter()
            .find_map(|report| match report {
                MediaReport::Moved { batch: of, moved, .. } if *of == batch => Some(moved.clone()),
                _ => None,
            })
            .unwrap()
    }

    /// Somebody says that they know where they are.
    pub(super) fn landed(&mut self, id: u64) {
        let epoch = self.people[&id].epoch;
        self.command(MediaCommand::Landed { participant: ParticipantId(id), epoch });
    }

    /// One packet from somebody: its header and the bytes before its mark.
    pub(super) fn packet(&mut self, id: u64, kind: Kind, level: u8, front: &[u8]) -> Vec<u8> {
        let random = &mut self.random;
        self.counter += 1;
        let counter = self.counter;
        let rate = if kind.is_video() { 90 } else { 48 };
        let ticks = u32::try_from((self.now.as_micros() * rate / 1_000) & 0xffff_ffff);
        let person = self.people.get_mut(&id).unwrap();
        let sending = person.sending.entry(kind).or_insert_with(|| Sending {
            sequence: 65_000 + u16::try_from(random.below(500)).unwrap(),
            timestamp: random.next_u32(),
            picture: 32_700,
        });
        sending.sequence = sending.sequence.wrapping_add(1);
        let mut payload = front.to_vec();
        for number in [id, person.group.0, counter] {
            payload.extend(number.to_be_bytes());
        }
        let header = RtpHeader {
            payload_type: if kind.is_video() { person.client.sends[0].payload_type } else { 111 },
            marker: false,
            sequence: sending.sequence,
            timestamp: sending.timestamp.wrapping_add(ticks.unwrap()),
            ssrc: ssrc_of(id, kind),
        };
        let level = AudioLevel { level, voice: false }.write();
        let transport = sending.sequence.to_be_bytes();
        let mut extensions: Vec<(u8, &[u8])> = vec![(3, &transport)];
        if kind == Kind::Audio && person.client.levels {
            extensions.push((2, &level));
        }
        let mut packet = vec![0; 200];
        let len = header.write(&extensions, &mut packet).unwrap();
        packet.truncate(len);
        packet.extend(payload);
        packet
    }

    pub(super) fn hand_in(&mut self, id: u64, mut packet: Vec<u8>) {
        let path = self.people[&id].path;
        self.worker.handle_datagram(self.now, path, &mut packet);
    }

    /// One person says something.
    pub(super) fn say(&mut self, id: u64, level: u8) {
        let packet = self.packet(id, Kind::Audio, level, &[0x78]);
        self.hand_in(id, packet);
    }

    /// One packet of a VP8 frame, on its way.
    pub(super) fn frame(&mut self, id: u64, kind: Kind, keyframe: bool) -> Vec<u8> {
        let picture = self.people[&id].sending.get(&kind).map_or(32_700, |sending| sending.picture);
        let [high, low] = (picture | 0x8000).to_be_bytes();
        let frame = [0x90, 0xc0, high, low, 7, u8::from(!keyframe), 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0];
        let packet = self.packet(id, kind, SILENT, &frame);
        self.people.get_mut(&id).unwrap().sending.get_mut(&kind).unwrap().picture = (picture + 1) & 0x7fff;
        packet
    }

    /// One packet of a VP8 frame.
    pub(super) fn show(&mut self, id: u64, kind: Kind, keyframe: bool) {
        let packet = self.frame(id, kind, keyframe);
        self.hand_in(id, packet);
    }

    /// Ends the batch and answers what left.
    pub(super) fn flush(&mut self) -> Vec<Heard> {
        self.worker.end_batch(self.now);
        self.reports.extend(std::iter::from_fn(|| self.worker.poll_report()));
        let (mut buffer, mut heard) = (vec![0; 65_536], Vec::new());
        while let Some(transmit) = self.worker.poll_transmit(self.now, &mut buffer) {
            let listener = self.people.iter().find(|(_, person)| person.path == transmit.path);
            let listener = *listener.expect("sent to where nobody is").0;
            let segment = transmit.segment_size.unwrap_or(transmit.len);
            for bytes in buffer[..transmit.len].chunks(segment) {
                if (192..=223).contains(&bytes[1]) {
                    self.rtcp.push((listener, bytes.to_vec()));
                } else {
                    heard.push(Heard { listener, bytes: bytes.to_vec() });
                }
            }
        }
        heard
    }

    /// Lets time pass with its timers.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.worker.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.worker.handle_timeout(self.now);
            self.reports.extend(std::iter::from_fn(|| self.worker.poll_report()));
        }
        self.now = end;
        self.worker.end_batch(end);
    }

    /// Everybody named says something each 20 ms.
    pub(super) fn talk(&mut self, ms: u64, levels: &[(u64, u8)]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for _ in 0..ms / 20 {
            for (id, level) in levels {
                self.say(*id, *level);
            }
            heard.extend(self.flush());
            self.pass(20);
        }
        heard
    }

    pub(super) fn slots(&self, id: u64) -> Vec<SlotBinding> {
        let key = self.worker.by_id[&ParticipantId(id)];
        self.worker.participants.get(key).unwrap().slots()
    }

    /// Whom somebody hears, by kind.
    pub(super) fn bound(&self, id: u64, kind: Kind) -> Vec<u64> {
        let mut bound: Vec<u64> = self
            .slots(id)
            .iter()
            .filter_map(|slot| slot.publisher)
            .filter(|(_, of)| *of == kind)
            .map(|(publisher, _)| publisher.0)
            .collect();
        bound.sort_unstable();
        bound
    }

    pub(super) fn drops(&self, reason: DropReason) -> u64 {
        self.worker.statistics().drops.get(reason)
    }

    /// What somebody was asked to send once more.
    pub(super) fn asked_again(&self, id: u64) -> Vec<u16> {
        use crate::wire::rtcp::{RtcpPacket, packets};
        let of_person = self.rtcp.iter().filter(|(to, _)| *to == id);
        let nacks = of_person.flat_map(|(_, compound)| packets(compound)).filter_map(|packet| match packet {
            Ok(RtcpPacket::Nack(nack)) => Some(nack.sequences().collect::<Vec<_>>()),
            _ => None,
        });
        nacks.flatten().collect()
    }

    /// How many keyframes somebody was asked for.
    pub(super) fn asked_for_keyframes(&self, id: u64) -> usize {
        use crate::wire::rtcp::{RtcpPacket, packets};
        let of_person = self.rtcp.iter().filter(|(to, _)| *to == id);
        of_person
            .flat_map(|(_, compound)| packets(compound))
            .filter(|packet| matches!(packet, Ok(RtcpPacket::Pli(_))))
            .count()
    }

    /// Whether nothing is unaccounted for.
    pub(super) fn check_conservation(&self) {
        let statistics = self.worker.statistics();
        let of = |copies: bool| -> u64 {
            statistics
                .drops
                .iter()
                .filter(|(reason, _)| reason.is_of_a_copy() == copies)
                .filter(|(reason, _)| *reason as u8 >= DropReason::TooLarge as u8)
                .filter(|(reason, _)| (*reason as u8) < DropReason::RetransmitUnavailable as u8)
                .map(|(_, count)| count)
                .sum()
        };
        assert_eq!(statistics.media_in + statistics.taken_over, statistics.media_admitted + of(false));
        assert_eq!(statistics.copies, statistics.media_out + of(true));
        assert_eq!(statistics.drops.get(DropReason::WrongEpoch), 0);
    }
}
