//! A media worker and the people around it: real ICE, DTLS and SRTP between them, in virtual time
//! and without a socket. Everything follows from a seed but keys and certificates, which come from
//! the operating system.

#![allow(dead_code, reason = "no bench uses all of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anteroom::base::{BatchId, ClientId, Epoch, GroupId, Kind, KindSet, ParticipantId, Random, Time};
use anteroom::client::{ClientIdentity, Participant, ParticipantSettings, Pattern, Place, room_tag};
use anteroom::media::{Worker, WorkerSettings};
use anteroom::message::{Connect, GroupSettings, MediaCommand, MediaReport, Placement};
use anteroom::transport::{Path, TimeAnchor};
use anteroom::wire::demux::{DatagramKind, classify};

const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 3478);
const FIRST_ADDRESS: u32 = 0x0a01_0000;
const PORT: u16 = 5_000;

/// The group in which everybody is at first.
pub(crate) const PARENT: u64 = 1;
/// A group to which everybody can move.
pub(crate) const BREAKOUT: u64 = 2;
/// The first of the groups of [`Hall::split`].
const ROOMS: u64 = 1_000;
const ROOM_SIZE: usize = 10;
/// At the start each is alone, so that a crowd comes together at the cost of one move.
const ALONE: u64 = 1_000_000;

/// How often everybody's timers are looked at: far below the time after which consent is lost.
const ROUND: Duration = Duration::from_secs(2);

/// 30 frames a second of 11 packets: a camera at 2.9 Mbit/s.
pub(crate) const FRAME_PACKETS: usize = 11;
const CAMERA: Pattern = Pattern {
    interval: Duration::from_millis(33),
    packets_per_frame: 11,
    payload_len: 1_100,
    burst: 11,
    spacing: Duration::ZERO,
};

/// What publishers sent at once: sealed, and from where.
pub(crate) struct Batch(Vec<(Path, Vec<u8>)>);

impl Batch {
    /// How many packets it has.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }
}

/// The worker, and the people by the number of their id.
pub(crate) struct Hall {
    worker: Worker,
    now: Time,
    anchor: TimeAnchor,
    people: Vec<Participant>,
    /// Who sends media.
    publishers: Vec<usize>,
    epoch: u64,
    next_round: Time,
    buffer: Vec<u8>,
}

impl Hall {
    /// Many people in one group, all connected, of whom nobody sends yet.
    pub(crate) fn new(people: usize) -> Self {
        let now = Time::from_unix_seconds(1_700_000_000);
        let anchor = TimeAnchor { at: now, instant: Instant::now() };
        let settings = WorkerSettings { advertised: vec![SERVER.into()], ..WorkerSettings::default() };
        let worker = Worker::new(settings, Random::from_number(1), anchor).unwrap();
        let mut hall = Self {
            worker,
            now,
            anchor,
            people: Vec::new(),
            publishers: Vec::new(),
            epoch: 0,
            next_round: now,
            buffer: vec![0; 65_536],
        };
        let mut random = Random::from_number(2);
        // One certificate for all: only its owner's key differs, and nothing here depends on it.
        let identity = ClientIdentity::generate().unwrap();
        for _ in 0..people {
            hall.join(&identity, &mut random);
        }
        while !hall.people.iter().all(Participant::is_up) {
            hall.now = hall.now + Duration::from_millis(5);
            hall.round();
        }
        hall.make_group(PARENT);
        let everybody: Vec<_> = (0..people).map(|at| (at, PARENT)).collect();
        hall.move_to(&everybody);
        for at in 0..people {
            hall.worker.handle_command(hall.now, MediaCommand::EndGroup(GroupId(ALONE + id_of(at).0)));
        }
        hall.quiet();
        hall
    }

    fn join(&mut self, identity: &ClientIdentity, random: &mut Random) {
        let settings = ParticipantSettings { video: CAMERA, ..ParticipantSettings::default() };
        let mut participant = Participant::new(settings, self.anchor, identity.clone(), random.fork());
        let (offer, tracks) = participant.offer();
        let id = id_of(self.people.len());
        self.make_group(ALONE + id.0);
        let placement = self.placement(self.people.len(), ALONE + id.0);
        let connect = Connect { offer, tracks: Some(tracks), placement };
        self.worker.handle_command(self.now, MediaCommand::Connect(connect));
        let answer = std::iter::from_fn(|| self.worker.poll_report()).find_map(|report| match report {
            MediaReport::Answered { result, .. } => Some(result.unwrap()),
            _ => None,
        });
        participant.answer(self.now, &answer.unwrap().sdp).unwrap();
        let place =
            Place { client: ClientId(u128::from(id.0)), room: room_tag("parent"), epoch: placement.epoch };
        participant.slots(place, &[]);
        self.people.push(participant);
    }

    /// Makes a group.
    pub(crate) fn make_group(&mut self, group: u64) {
        let settings = GroupSettings { group: GroupId(group), max_active_talkers: 6, blocked: KindSet::NONE };
        self.worker.handle_command(self.now, MediaCommand::SetGroup(settings));
    }

    /// Lets some people send, until it has settled who is heard and seen.
    pub(crate) fn publish(&mut self, publishers: usize, kind: Kind) {
        self.publishers = (0..publishers).collect();
        for at in 0..publishers {
            self.people[at].publish(self.now, kind, true);
        }
        for _ in 0..60 {
            let mut batch = self.next_batch();
            self.deliver(&mut batch);
        }
    }

    /// Lets time pass until each publisher has sent its next frame, does all that is due, and hands
    /// the packets out instead of delivering them.
    pub(crate) fn next_batch(&mut self) -> Batch {
        let mut batch = Batch(Vec::new());
        self.now = self.now + Duration::from_millis(1);
        while !self.publishers.iter().all(|at| batch.0.iter().any(|(path, _)| *path == path_of(*at))) {
            self.now = self.now + Duration::from_millis(1);
            for at in self.publishers.clone() {
                self.poll_person(at, Some(&mut batch));
            }
        }
        if self.now >= self.next_round {
            self.next_round = self.now + ROUND;
            self.round();
        }
        self.quiet();
        batch
    }

    /// Hands a batch to the worker and takes all that leaves; answers how many packets that was.
    /// This is what is measured.
    pub(crate) fn deliver(&mut self, batch: &mut Batch) -> usize {
        for (path, datagram) in &mut batch.0 {
            self.worker.handle_datagram(self.now, *path, datagram);
        }
        self.worker.end_batch(self.now);
        let mut packets = 0;
        while let Some(transmit) = self.worker.poll_transmit(self.now, &mut self.buffer) {
            packets += transmit.segment_size.map_or(1, |size| transmit.len.div_ceil(size));
        }
        packets
    }

    /// The command that moves people, each with the group that it goes to.
    pub(crate) fn move_command(&mut self, moves: &[(usize, u64)]) -> MediaCommand {
        let placements = moves.iter().map(|(at, group)| self.placement(*at, *group)).collect();
        MediaCommand::Move { batch: BatchId(self.epoch), placements }
    }

    /// Applies a command. This is what is measured.
    pub(crate) fn command(&mut self, command: MediaCommand) {
        self.worker.handle_command(self.now, command);
    }

    /// Moves people and lets their clients know.
    pub(crate) fn move_to(&mut self, moves: &[(usize, u64)]) {
        let command = self.move_command(moves);
        self.command(command);
        self.land();
    }

    /// Puts people into rooms of ten.
    pub(crate) fn split(&mut self, people: usize) {
        for room in rooms(people) {
            self.make_group(room);
        }
        let there: Vec<_> = (0..people).map(|at| (at, ROOMS + (at / ROOM_SIZE) as u64)).collect();
        self.move_to(&there);
    }

    /// Ends the rooms of [`Self::split`].
    pub(crate) fn end_rooms(&mut self, people: usize) {
        for room in rooms(people) {
            self.worker.handle_command(self.now, MediaCommand::EndGroup(GroupId(room)));
        }
    }

    /// Takes the worker's reports, and tells it that movers know where they are.
    pub(crate) fn land(&mut self) -> usize {
        let mut count = 0;
        while let Some(report) = self.worker.poll_report() {
            let MediaReport::Moved { moved, .. } = report else { continue };
            count += moved.len();
            for moved in moved {
                let landed = MediaCommand::Landed { participant: moved.participant, epoch: moved.epoch };
                self.worker.handle_command(self.now, landed);
            }
        }
        count
    }

    fn placement(&mut self, at: usize, group: u64) -> Placement {
        self.epoch += 1;
        let (participant, epoch) = (id_of(at), Epoch(self.epoch));
        // Only presenters may send a screen or a canvas, and here is none.
        let publish = KindSet::of(&[Kind::Audio, Kind::Video]);
        Placement { participant, group: GroupId(group), epoch, publish }
    }

    /// Everybody's timers and what they send that is not media.
    fn round(&mut self) {
        for at in 0..self.people.len() {
            self.poll_person(at, None);
        }
        self.quiet();
    }

    fn poll_person(&mut self, at: usize, mut batch: Option<&mut Batch>) {
        let person = &mut self.people[at];
        if person.poll_timeout().is_some_and(|due| due <= self.now) {
            person.handle_timeout(self.now);
        }
        if batch.is_none() && self.publishers.contains(&at) {
            return;
        }
        while let Some((_, len)) = person.poll_transmit(self.now, &mut self.buffer) {
            let datagram = &mut self.buffer[..len];
            match (&mut batch, classify(datagram)) {
                (Some(batch), Some(DatagramKind::Rtp)) => batch.0.push((path_of(at), datagram.to_vec())),
                _ => self.worker.handle_datagram(self.now, path_of(at), datagram),
            }
        }
    }

    /// Does all that the worker has to do now, so that nothing of it falls into what is measured.
    fn quiet(&mut self) {
        self.worker.end_batch(self.now);
        while self.worker.poll_timeout().is_some_and(|at| at <= self.now) {
            self.worker.handle_timeout(self.now);
        }
        while let Some(transmit) = self.worker.poll_transmit(self.now, &mut self.buffer) {
            let segment = transmit.segment_size.unwrap_or(transmit.len);
            let person = &mut self.people[position_of(transmit.path.remote)];
            for datagram in self.buffer[..transmit.len].chunks_mut(segment) {
                person.handle_datagram(self.now, SERVER.into(), datagram);
            }
        }
        while self.worker.poll_report().is_some() {}
    }
}

fn rooms(people: usize) -> impl Iterator<Item = u64> {
    ROOMS..ROOMS + people.div_ceil(ROOM_SIZE) as u64
}

fn id_of(at: usize) -> ParticipantId {
    ParticipantId(at as u64 + 1)
}

fn path_of(at: usize) -> Path {
    let address = Ipv4Addr::from(FIRST_ADDRESS + at as u32);
    Path::new(SocketAddr::new(IpAddr::V4(address), PORT), None)
}

fn position_of(address: SocketAddr) -> usize {
    let IpAddr::V4(address) = address.ip() else { panic!("nobody has the address {address}") };
    (u32::from(address) - FIRST_ADDRESS) as usize
}
