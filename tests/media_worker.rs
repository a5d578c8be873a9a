//! A media worker and synthetic participants with real ICE, DTLS and SRTP between them, in virtual
//! time and without a socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

#[path = "support/tally.rs"]
mod tally;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom::base::{BatchId, ClientId, Epoch, GroupId, Kind, KindSet, ParticipantId, Random, Time};
use anteroom::client::{
    ClientIdentity, Participant, ParticipantReport, ParticipantSettings, Place, SlotClaim, room_tag,
};
use anteroom::media::{DropReason, Worker, WorkerSettings};
use anteroom::message::{
    Connect, GroupSettings, LossReason, MediaCommand, MediaReport, Placement, SlotBinding, SrtpProfile,
};
use anteroom::transport::{Path, TimeAnchor};
use tally::Tally;

const STEP: Duration = Duration::from_millis(1);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 3478);

struct Guest {
    participant: Participant,
    address: SocketAddr,
    epoch: Epoch,
    group: u64,
}

struct Hall {
    now: Time,
    anchor: TimeAnchor,
    worker: Worker,
    guests: BTreeMap<u64, Guest>,
    random: Random,
    epoch: u64,
    reports: VecDeque<MediaReport>,
    up: Vec<(u64, SrtpProfile)>,
    lost: Vec<(u64, LossReason)>,
    /// Addresses from and to which nothing comes through.
    cut: Vec<SocketAddr>,
    batch: u64,
}

impl Hall {
    fn new(groups: u64) -> Self {
        let now = Time::from_unix_seconds(1_700_000_000);
        #[allow(clippy::disallowed_methods, reason = "an anchor has to be some instant")]
        let anchor = TimeAnchor { at: now, instant: Instant::now() };
        let settings = WorkerSettings { advertised: vec![SERVER.into()], ..WorkerSettings::default() };
        let worker = Worker::new(settings, Random::from_number(1), anchor).unwrap();
        let mut hall = Self {
            now,
            anchor,
            worker,
            guests: BTreeMap::new(),
            random: Random::from_number(2),
            epoch: 0,
            reports: VecDeque::new(),
            up: vec![],
            lost: vec![],
            cut: vec![],
            batch: 0,
        };
        for group in 1..=groups {
            let settings =
                GroupSettings { group: GroupId(group), max_active_talkers: 6, blocked: KindSet::NONE };
            hall.command(MediaCommand::SetGroup(settings));
        }
        hall
    }

    fn command(&mut self, command: MediaCommand) {
        self.worker.handle_command(self.now, command);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(report) = self.worker.poll_report() {
            match &report {
                MediaReport::TransportUp { participant, srtp, .. } => self.up.push((participant.0, *srtp)),
                MediaReport::TransportLost { participant, reason, .. } => {
                    self.lost.push((participant.0, *reason));
                }
                MediaReport::Slots { participant, epoch, group, slots } => {
                    self.tell(participant.0, *epoch, group.0, slots);
                }
                MediaReport::Moved { moved, .. } => {
                    for moved in moved {
                        let group = self.guests[&moved.participant.0].group;
                        let guest = self.guests.get_mut(&moved.participant.0).unwrap();
                        guest.participant.moved(self.now);
                        self.tell(moved.participant.0, moved.epoch, group, &moved.slots);
                        let landed =
                            MediaCommand::Landed { participant: moved.participant, epoch: moved.epoch };
                        self.worker.handle_command(self.now, landed);
                    }
                }
                _ => {}
            }
            self.reports.push_back(report);
        }
    }

    fn tell(&mut self, id: u64, epoch: Epoch, group: u64, slots: &[SlotBinding]) {
        let Some(guest) = self.guests.get_mut(&id) else { return };
        let claims: Vec<_> = slots
            .iter()
            .map(|slot| SlotClaim {
                ssrc: slot.ssrc,
                from_seq: slot.from_seq,
                publisher: slot.publisher.map(|(id, kind)| (ClientId(u128::from(id.0)), kind)),
            })
            .collect();
        let room = room_tag(&group.to_string());
        let place = Place { client: ClientId(u128::from(id)), room, epoch };
        guest.participant.slots(place, &claims);
    }

    fn next_epoch(&mut self) -> Epoch {
        self.epoch += 1;
        Epoch(self.epoch)
    }

    fn join(&mut self, id: u64, group: u64, settings: ParticipantSettings) {
        let identity = ClientIdentity::generate().unwrap();
        let mut participant = Participant::new(settings, self.anchor, identity, self.random.fork());
        let (offer, tracks) = participant.offer();
        let epoch = self.next_epoch();
        let placement =
            Placement { participant: ParticipantId(id), group: GroupId(group), epoch, publish: KindSet::ALL };
        let connect = Connect { offer, tracks: Some(tracks), placement };
        self.worker.handle_command(self.now, MediaCommand::Connect(connect));
        let answer = loop {
            match self.worker.poll_report().expect("an answer") {
                MediaReport::Answered { result, .. } => break result.unwrap(),
                other => self.reports.push_back(other),
            }
        };
        assert_eq!(participant.answer(self.now, &answer.sdp).unwrap(), [SocketAddr::from(SERVER)]);
        participant.publish(self.now, Kind::Audio, true);
        let address = SocketAddr::from(([10, 0, 1, 1], 5_000 + self.epoch as u16));
        self.guests.insert(id, Guest { participant, address, epoch, group });
        self.collect();
    }

    fn move_to(&mut self, moves: &[(u64, u64)]) {
        let mut placements = vec![];
        for (id, group) in moves {
            let epoch = self.next_epoch();
            let guest = self.guests.get_mut(id).unwrap();
            (guest.epoch, guest.group) = (epoch, *group);
            placements.push(Placement {
                participant: ParticipantId(*id),
                group: GroupId(*group),
                epoch,
                publish: KindSet::ALL,
            });
        }
        self.batch += 1;
        self.command(MediaCommand::Move { batch: BatchId(self.batch), placements });
    }

    /// Lets time pass, a millisecond at a time; what is sent arrives in the same one.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut buffer = vec![0; 65_536];
        while self.now < end {
            self.now = self.now + STEP;
            for guest in self.guests.values_mut() {
                if guest.participant.poll_timeout().is_some_and(|at| at <= self.now) {
                    guest.participant.handle_timeout(self.now);
                }
                while let Some((_, len)) = guest.participant.poll_transmit(self.now, &mut buffer) {
                    if !self.cut.contains(&guest.address) {
                        let path = Path::new(guest.address, None);
                        self.worker.handle_datagram(self.now, path, &mut buffer[..len]);
                    }
                }
            }
            self.worker.end_batch(self.now);
            while self.worker.poll_timeout().is_some_and(|at| at <= self.now) {
                self.worker.handle_timeout(self.now);
            }
            self.collect();
            while let Some(transmit) = self.worker.poll_transmit(self.now, &mut buffer) {
                let segment = transmit.segment_size.unwrap_or(transmit.len);
                let guest = self.guests.values_mut().find(|guest| guest.address == transmit.path.remote);
                let Some(guest) = guest else { continue };
                if self.cut.contains(&guest.address) {
                    continue;
                }
                for datagram in buffer[..transmit.len].chunks_mut(segment) {
                    guest.participant.handle_datagram(self.now, SERVER.into(), datagram);
                }
            }
            self.collect();
        }
    }

    /// Somebody's checks come from this address for a while, 100 a second.
    fn check_from(&mut self, id: u64, address: SocketAddr, duration: Duration) {
        let (end, mut buffer) = (self.now + duration, [0; 2_048]);
        while self.now < end {
            let participant = &mut self.guests.get_mut(&id).unwrap().participant;
            participant.address_changed(self.now);
            while let Some((_, len)) = participant.poll_transmit(self.now, &mut buffer) {
                self.worker.handle_datagram(self.now, Path::new(address, None), &mut buffer[..len]);
            }
            self.pass(10 * STEP);
        }
    }

    fn all_up(&self) -> bool {
        self.guests.values().all(|guest| guest.participant.is_up())
    }

    fn finish(mut self) -> (BTreeMap<u64, ParticipantReport>, Worker) {
        self.pass(Duration::from_millis(100));
        let reports = self.guests.into_iter().map(|(id, guest)| (id, guest.participant.finish())).collect();
        (reports, self.worker)
    }
}

#[test]
fn a_meeting_splits_and_rejoins_and_no_packet_goes_astray() {
    let mut hall = Hall::new(4);
    for id in 1..=8 {
        hall.join(id, 1, ParticipantSettings::default());
    }
    hall.pass(Duration::from_millis(500));
    assert!(hall.all_up(), "{:?}", hall.up);
    let now = hall.now;
    hall.guests.get_mut(&1).unwrap().participant.publish(now, Kind::Share, true);
    for round in 0..40_u64 {
        let moves: Vec<_> =
            (1..=8).filter(|id| (id + round) % 3 == 0).map(|id| (id, 1 + (id * round) % 4)).collect();
        hall.move_to(&moves);
        hall.pass(Duration::from_millis(60));
    }
    let everybody: Vec<_> = (1..=8).map(|id| (id, 1)).collect();
    hall.move_to(&everybody);
    hall.pass(Duration::from_millis(500));
    let (reports, worker) = hall.finish();
    for (id, report) in &reports {
        let verdict = &report.verdict;
        assert_eq!((verdict.wrong_group, verdict.wrong_publisher), (0, 0), "{id}: {report:?}");
        assert_eq!(
            (verdict.lost, verdict.duplicates, report.decrypt_failures),
            (0, 0, 0),
            "{id}: {report:?}"
        );
        assert!(verdict.packets > 200, "{id}: {verdict:?}");
        assert_eq!(report.srtp, Some(SrtpProfile::AeadAes128Gcm));
    }
    assert_eq!(worker.statistics().drops.get(DropReason::WrongEpoch), 0);
}

#[test]
fn who_comes_to_talkers_hears_them_once_nothing_of_theirs_is_in_flight() {
    let mut hall = Hall::new(2);
    for id in 1..=6 {
        hall.join(id, 1 + id % 2, ParticipantSettings::default());
        hall.pass(Duration::from_millis(7));
    }
    hall.pass(Duration::from_millis(500));
    for round in 0..10 {
        hall.move_to(&[(1, 1 + round % 2)]);
        hall.pass(Duration::from_millis(333));
        let everybody: Vec<_> = (1..=6).map(|id| (id, 1 + round % 2)).collect();
        hall.move_to(&everybody);
        hall.pass(Duration::from_millis(333));
        let halves: Vec<_> = (2..=6).map(|id| (id, 1 + id % 2)).collect();
        hall.move_to(&halves);
        hall.pass(Duration::from_millis(100));
    }
    let (reports, _) = hall.finish();
    for (id, report) in &reports {
        assert!(report.first_packets.len() >= 20, "{id}: {report:?}");
        let worst = report.first_packets.iter().max().unwrap();
        // Talkers who have just moved are waited for 100 ms: synthetic ones send no sender reports, so that
        // their round trip is not known.
        assert!(*worst <= Duration::from_millis(140), "{id}: {report:?}");
        assert_eq!((report.verdict.wrong_group, report.verdict.lost), (0, 0), "{id}: {report:?}");
    }
}

#[test]
fn who_has_only_the_old_cipher_hears_the_same_room() {
    let mut hall = Hall::new(1);
    hall.join(1, 1, ParticipantSettings::default());
    let old = ParticipantSettings {
        profiles: vec![SrtpProfile::AesCm128HmacSha1_80],
        ..ParticipantSettings::default()
    };
    hall.join(2, 1, old);
    hall.pass(Duration::from_secs(1));
    hall.up.sort_by_key(|(id, _)| *id);
    assert_eq!(hall.up, [(1, SrtpProfile::AeadAes128Gcm), (2, SrtpProfile::AesCm128HmacSha1_80)]);
    let (reports, _) = hall.finish();
    assert!(reports.values().all(|report| report.verdict.packets > 20 && report.verdict.wrong_group == 0));
}

#[test]
fn a_new_connection_takes_the_place_of_the_old() {
    let mut hall = Hall::new(1);
    hall.join(1, 1, ParticipantSettings::default());
    hall.join(2, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(300));
    hall.join(1, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(500));
    assert!(hall.all_up());
    assert_eq!(hall.worker.statistics().participants, 2);
    assert!(hall.lost.is_empty());
    let (reports, _) = hall.finish();
    assert!(reports.values().all(|report| report.verdict.packets > 15 && report.verdict.wrong_group == 0));
}

#[test]
fn a_refused_offer_changes_nothing() {
    let mut hall = Hall::new(1);
    hall.join(1, 1, ParticipantSettings::default());
    hall.join(2, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(300));
    let epoch = hall.next_epoch();
    let placement =
        Placement { participant: ParticipantId(1), group: GroupId(1), epoch, publish: KindSet::ALL };
    hall.reports.clear();
    hall.command(MediaCommand::Connect(Connect { offer: "v=0".into(), tracks: None, placement }));
    let refused =
        hall.reports.iter().any(|report| matches!(report, MediaReport::Answered { result: Err(_), .. }));
    assert!(refused);
    let before = hall.guests[&2].participant.received();
    hall.pass(Duration::from_millis(300));
    assert!(hall.guests[&2].participant.received() > before + 10);
}

#[test]
fn who_falls_silent_is_lost_after_thirty_seconds_and_keeps_the_place() {
    let mut hall = Hall::new(1);
    hall.join(1, 1, ParticipantSettings::default());
    hall.join(2, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(300));
    let address = hall.guests[&1].address;
    hall.cut.push(address);
    hall.pass(Duration::from_secs(29));
    assert!(hall.lost.is_empty());
    hall.pass(Duration::from_secs(3));
    assert_eq!(hall.lost, [(1, LossReason::Consent)]);
    assert_eq!(hall.worker.statistics().participants, 2);
    assert_eq!(hall.worker.statistics().streams, 4);
    hall.join(1, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(500));
    assert!(hall.all_up());
}

#[test]
fn f04_media_goes_on_at_once_after_10_seconds_and_is_given_up_after_30() {
    let mut tally = Tally::of("faults", "F4");
    for seconds in [3, 10, 40, 70] {
        let mut hall = Hall::new(1);
        hall.join(1, 1, ParticipantSettings::default());
        hall.join(2, 1, ParticipantSettings::default());
        hall.pass(Duration::from_millis(300));
        let address = hall.guests[&1].address;
        hall.cut.push(address);
        hall.pass(Duration::from_secs(seconds));
        hall.cut.clear();
        let expected: &[(u64, LossReason)] = if seconds < 30 { &[] } else { &[(1, LossReason::Consent)] };
        assert_eq!(hall.lost, expected, "{seconds} s");
        if seconds > 30 {
            // A connection that was given up is made anew.
            hall.join(1, 1, ParticipantSettings::default());
        }
        let before: Vec<u64> = hall.guests.values().map(|guest| guest.participant.received()).collect();
        hall.pass(Duration::from_secs(1));
        for (guest, before) in hall.guests.values().zip(before) {
            let came = guest.participant.received() - before;
            assert!(came > 25, "{seconds} s: {came} packets in the first second");
        }
    }
    tally.count(4, "outages");
}

#[test]
fn who_takes_over_an_address_keeps_it() {
    let mut hall = Hall::new(1);
    hall.join(1, 1, ParticipantSettings::default());
    hall.join(3, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(300));
    let gone = hall.guests.remove(&1).unwrap();
    hall.join(2, 1, ParticipantSettings::default());
    hall.guests.get_mut(&2).unwrap().address = gone.address;
    // As soon as it is clear that the other is not there any more.
    hall.pass(Duration::from_millis(5_500));
    assert!(hall.all_up());
    // Whatever happens to the connection that had the address before.
    let (offer, _) = gone.participant.offer();
    let offer = offer.replace("a=ice-ufrag:", "a=ice-ufrag:anew").replace("a=ice-pwd:", "a=ice-pwd:anew");
    hall.command(MediaCommand::RestartIce { participant: ParticipantId(1), number: 7, offer });
    let restarted =
        |report: &MediaReport| matches!(report, MediaReport::IceRestarted { number: 7, result: Ok(_), .. });
    assert!(hall.reports.iter().any(restarted));
    let before = hall.guests[&3].participant.received();
    hall.pass(Duration::from_millis(300));
    assert!(hall.guests[&3].participant.received() > before + 10);
}

#[test]
fn nobody_takes_the_address_where_another_lives() {
    let mut hall = Hall::new(1);
    (1..=3).for_each(|id| hall.join(id, 1, ParticipantSettings::default()));
    hall.pass(Duration::from_millis(300));
    let (victim, own) = (hall.guests[&1].address, hall.guests[&3].address);
    hall.cut.push(own);
    for outage in [0, 8] {
        hall.cut.push(victim);
        hall.check_from(3, victim, Duration::from_secs(outage));
        hall.cut.retain(|cut| *cut != victim);
        if outage > 0 {
            // It has the address back from its next check for consent on.
            hall.check_from(3, victim, Duration::from_secs(6));
        }
        let before = hall.guests[&2].participant.received();
        hall.check_from(3, victim, Duration::from_secs(10));
        let came = hall.guests[&2].participant.received() - before;
        assert!((498..=502).contains(&came), "{came} packets in 10 s, after {outage} s");
    }
    assert!(hall.worker.statistics().drops.get(DropReason::AddressTaken) > 2_000);
}

#[test]
fn who_connects_anew_from_the_same_address_is_not_held_up() {
    let mut hall = Hall::new(1);
    hall.join(1, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(300));
    let address = hall.guests[&1].address;
    hall.join(1, 1, ParticipantSettings::default());
    hall.guests.get_mut(&1).unwrap().address = address;
    hall.pass(Duration::from_millis(300));
    assert!(hall.all_up());
}

#[test]
fn strangers_get_no_answer() {
    let mut hall = Hall::new(1);
    hall.join(1, 1, ParticipantSettings::default());
    hall.pass(Duration::from_millis(300));
    let stranger = Path::new("203.0.113.9:9".parse().unwrap(), None);
    let mut random = Random::from_number(9);
    for first in 0..=255_u8 {
        for len in [1, 12, 20, 60, 200] {
            let mut junk = vec![0; len];
            random.fill(&mut junk);
            junk[0] = first;
            hall.worker.handle_datagram(hall.now, stranger, &mut junk);
        }
    }
    let mut buffer = vec![0; 65_536];
    while let Some(transmit) = hall.worker.poll_transmit(hall.now, &mut buffer) {
        assert_ne!(transmit.path, stranger);
    }
    assert_eq!(hall.worker.statistics().media_in, hall.worker.statistics().media_admitted + unbound(&hall));
}

fn unbound(hall: &Hall) -> u64 {
    hall.worker.statistics().drops.get(DropReason::Unbound)
}
