//! The worker of a meeting, and what is known of where everybody has to be.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use anteroom::base::{BatchId, Epoch, GroupId, KindSet, ParticipantId, Random, Time, WorkerId};
use anteroom::media::{DropReason, Handover, Worker, WorkerSettings};
use anteroom::message::{Connect, GroupSettings, MediaCommand, MediaReport, Placement};
use anteroom::transport::Path;
use anteroom::transport::dtls::{Dtls, DtlsEvent};
use anteroom::transport::sdp::ServerAnswer;
use anteroom::transport::srtp::OVERHEAD_RTCP;
use anteroom::wire::demux::{DatagramKind, classify};
use anteroom::wire::rtcp::packets;
use anteroom::wire::rtp::RtpView;

use super::people::{Mark, Packet, Person, offer_of};
use crate::bodies::dtls::{NOW, anchor, client_of};

pub(super) const GROUPS: u64 = 3;
const PEOPLE: u64 = 3;
/// Datagrams that may leave after one step: all that waits for three people.
const MAX_LEAVING: usize = 20_000;

pub(super) struct Hall {
    worker: Worker,
    now: Time,
    people: Vec<Person>,
    groups: BTreeSet<u64>,
    epoch: u64,
    batches: u64,
    transactions: u8,
    heard: u64,
    handovers: VecDeque<Handover>,
    buffer: Vec<u8>,
}

impl Hall {
    /// Three people, connected: two in a group and one in another.
    pub(super) fn new() -> Self {
        let worker = Worker::new(WorkerSettings::default(), Random::from_number(1), anchor()).unwrap();
        let mut hall = Self {
            worker,
            now: NOW,
            people: Vec::new(),
            groups: BTreeSet::new(),
            epoch: 0,
            batches: 0,
            transactions: 0,
            heard: 0,
            handovers: VecDeque::new(),
            buffer: vec![0; 65_536],
        };
        (1..=GROUPS).for_each(|group| hall.make_group(group));
        for (id, group) in [(1, 1), (2, 1), (3, 2)] {
            hall.join(id, group);
        }
        hall
    }

    fn join(&mut self, id: u64, group: u64) {
        let offer = offer_of(id);
        let epoch = Epoch(self.next_epoch());
        let placement =
            Placement { participant: ParticipantId(id), group: GroupId(group), epoch, publish: KindSet::ALL };
        let connect = Connect { offer: offer.write(), tracks: Some(offer.tracks()), placement };
        self.worker.handle_command(self.now, MediaCommand::Connect(connect));
        let answered = std::iter::from_fn(|| self.worker.poll_report()).find_map(|report| match report {
            MediaReport::Answered { result, .. } => Some(result.unwrap()),
            _ => None,
        });
        let answer = ServerAnswer::parse(&answered.unwrap().sdp).unwrap();
        self.people.push(Person::new(id, epoch, group, &answer));
        let at = self.people.len() - 1;
        self.check(u8::try_from(at).unwrap(), 0, true);
        let (path, mut dtls) = (self.people[at].path, client_of(&answer.fingerprint));
        for _ in 0..10 {
            while let Some(mut datagram) = dtls.poll_transmit() {
                self.worker.handle_datagram(self.now, path, &mut datagram);
            }
            self.worker.end_batch(self.now);
            // Handshakes wait for their turn.
            while self.worker.poll_timeout().is_some_and(|due| due <= self.now) {
                self.worker.handle_timeout(self.now);
            }
            while let Some(transmit) = self.worker.poll_transmit(self.now, &mut self.buffer) {
                if classify(&self.buffer[..transmit.len]) == Some(DatagramKind::Dtls) && transmit.path == path
                {
                    dtls.handle_datagram(self.now, &self.buffer[..transmit.len]);
                }
            }
            if let Some(DtlsEvent::Connected(keys)) = dtls.poll_event() {
                let (outbound, inbound) = keys.client_contexts().unwrap();
                let person = &mut self.people[at];
                (person.outbound, person.inbound) = (Some(outbound), Some(inbound));
            }
        }
        assert!(self.people[at].outbound.is_some(), "not connected");
        self.landed(u8::try_from(at).unwrap(), false);
    }

    pub(super) const fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    fn person(&mut self, who: u8) -> &mut Person {
        &mut self.people[usize::from(who) % PEOPLE as usize]
    }

    pub(super) fn placement(&mut self, who: u8) -> (ParticipantId, Epoch) {
        let person = self.person(who);
        (person.participant(), person.epoch)
    }

    // What people send.

    pub(super) fn send(&mut self, who: u8, packet: Packet) {
        let person = self.person(who);
        let path = person.path;
        if let Some(sealed) = person.seal(&packet) {
            self.raw(path, sealed);
        }
    }

    pub(super) fn control_packet(&mut self, who: u8, compound: &[u8]) {
        let person = self.person(who);
        let mut sealed = [compound, &[0; OVERHEAD_RTCP]].concat();
        let (path, outbound) = (person.path, person.outbound.as_mut().unwrap());
        if let Ok(len) = outbound.seal_rtcp(&mut sealed, compound.len()) {
            sealed.truncate(len);
            self.raw(path, sealed);
        }
    }

    pub(super) fn raw(&mut self, path: Path, mut datagram: Vec<u8>) {
        self.worker.handle_datagram(self.now, path, &mut datagram);
    }

    /// A check from one of somebody's ports.
    pub(super) fn check(&mut self, who: u8, port: u16, nominates: bool) {
        self.transactions = self.transactions.wrapping_add(1);
        let transaction = [self.transactions; 12];
        let person = self.person(who);
        let mut path = person.path;
        path.remote.set_port(5_000 + port);
        if nominates {
            person.path = path;
        }
        let check = person.check(nominates, transaction);
        self.raw(path, check);
    }

    // What control says.

    pub(super) fn command(&mut self, command: MediaCommand) {
        if let MediaCommand::SetGroup(settings) = &command {
            self.groups.insert(settings.group.0);
        }
        self.worker.handle_command(self.now, command);
    }

    fn make_group(&mut self, group: u64) {
        let settings = GroupSettings { group: GroupId(group), max_active_talkers: 3, blocked: KindSet::NONE };
        self.command(MediaCommand::SetGroup(settings));
    }

    /// Moves somebody; with an old placement that has no effect.
    pub(super) fn place(&mut self, who: u8, group: u8, publish: KindSet, old: bool) {
        let group = 1 + u64::from(group) % GROUPS;
        if !self.groups.contains(&group) {
            self.make_group(group);
        }
        let next = Epoch(self.next_epoch());
        self.batches += 1;
        let batch = BatchId(self.batches);
        let person = self.person(who);
        let epoch = if old { Epoch(person.epoch.0 - 1) } else { next };
        let placement =
            Placement { participant: person.participant(), group: GroupId(group), epoch, publish };
        if person.is_here && !old {
            (person.group, person.epoch) = (Some(group), epoch);
        }
        self.command(MediaCommand::Move { batch, placements: vec![placement] });
    }

    pub(super) fn revoke(&mut self, who: u8) {
        let epoch = Epoch(self.next_epoch());
        self.batches += 1;
        let batch = BatchId(self.batches);
        let person = self.person(who);
        let participants = vec![(person.participant(), epoch)];
        person.group = None;
        self.command(MediaCommand::Revoke { batch, participants });
    }

    pub(super) fn landed(&mut self, who: u8, old: bool) {
        let (participant, epoch) = self.placement(who);
        let epoch = Epoch(epoch.0 - u64::from(old));
        self.command(MediaCommand::Landed { participant, epoch });
    }

    pub(super) fn end_group(&mut self, group: u64) {
        self.groups.remove(&group);
        for person in self.people.iter_mut().filter(|person| person.group == Some(group)) {
            person.group = None;
        }
        self.command(MediaCommand::EndGroup(GroupId(group)));
    }

    pub(super) fn disconnect(&mut self, who: u8) {
        let person = self.person(who);
        (person.is_here, person.group) = (false, None);
        let participant = person.participant();
        self.command(MediaCommand::Disconnect(participant));
    }

    /// Another worker hands back what it was handed: it has none of these people, so nobody hears it.
    pub(super) fn hand_back(&mut self) {
        while let Some(handover) = self.handovers.pop_front() {
            self.worker.handle_handover(self.now, WorkerId(1), &handover);
        }
    }

    // Time, and what leaves.

    pub(super) fn pass(&mut self, duration: Duration) {
        let (end, mut turns) = (self.now + duration, 0);
        while let Some(at) = self.worker.poll_timeout().filter(|at| *at <= end) {
            turns += 1;
            assert!(turns < 100_000, "the timers do not come to rest");
            self.now = self.now.max(at);
            self.worker.handle_timeout(self.now);
            self.flush();
        }
        self.now = end;
    }

    pub(super) fn flush(&mut self) {
        self.worker.end_batch(self.now);
        while let Some((to, handover)) = self.worker.poll_handover() {
            assert_eq!(to, WorkerId(1));
            if self.handovers.len() < 8 {
                self.handovers.push_back(handover);
            }
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut leaving = 0;
        while let Some(transmit) = self.worker.poll_transmit(self.now, &mut buffer) {
            let segment = transmit.segment_size.unwrap_or(transmit.len);
            for datagram in buffer[..transmit.len].chunks_mut(segment) {
                leaving += 1;
                assert!(leaving < MAX_LEAVING, "it does not stop");
                self.receive(transmit.path, datagram);
            }
        }
        self.buffer = buffer;
        while self.worker.poll_report().is_some() {}
    }

    /// Somebody gets a datagram: it can be opened, and whoever speaks in it is in the same group.
    fn receive(&mut self, path: Path, datagram: &mut [u8]) {
        let kind = classify(datagram).expect("a datagram of no kind left");
        let IpAddr::V4(ip) = path.remote.ip() else { panic!("sent to {path:?}") };
        let at = usize::from(ip.octets()[3]);
        match kind {
            DatagramKind::Stun | DatagramKind::Dtls => {}
            DatagramKind::Rtp => {
                let listener = &mut self.people[at];
                assert!(listener.is_here, "media for somebody who is gone");
                let (id, group) = (listener.id, listener.group);
                let opened = listener.inbound.as_mut().unwrap().open_rtp(datagram).expect("it opens");
                let view = RtpView::parse(&datagram[..opened.len]).expect("it is RTP");
                assert!(!view.payload().is_empty(), "a packet of nothing");
                let group = group.expect("media for somebody who is in no group");
                if let Some(mark) = Mark::find(view.payload()) {
                    let publisher = self.people.iter().find(|person| person.id == mark.publisher);
                    let publisher = publisher.expect("marked by nobody");
                    assert_eq!(
                        (mark.group, publisher.group),
                        (group, Some(group)),
                        "the wrong ear: {mark:?}"
                    );
                    assert_ne!(publisher.id, id, "its own voice");
                    self.heard += 1;
                }
            }
            DatagramKind::Rtcp => {
                let listener = &mut self.people[at];
                assert!(listener.is_here, "reports for somebody who is gone");
                let len = listener.inbound.as_mut().unwrap().open_rtcp(datagram).expect("it opens");
                assert!(packets(&datagram[..len]).all(|packet| packet.is_ok()));
            }
        }
    }

    /// Lets all that waits leave, and sees that nothing is unaccounted for; answers how many marked packets reached
    /// somebody.
    pub(super) fn finish(&mut self) -> u64 {
        self.flush();
        for _ in 0..20 {
            self.pass(Duration::from_millis(100));
            self.flush();
        }
        let statistics = self.worker.statistics();
        let of = |copies: bool| -> u64 {
            let drops = statistics.drops.iter().filter(|(reason, _)| reason.is_of_a_copy() == copies);
            let drops = drops.filter(|(reason, _)| *reason as u8 >= DropReason::TooLarge as u8);
            let drops = drops.filter(|(reason, _)| (*reason as u8) < DropReason::RetransmitUnavailable as u8);
            drops.map(|(_, count)| count).sum()
        };
        assert_eq!(statistics.media_in + statistics.taken_over, statistics.media_admitted + of(false));
        assert_eq!(statistics.copies, statistics.media_out + of(true));
        assert_eq!(statistics.drops.get(DropReason::WrongEpoch), 0);
        self.heard
    }
}
