//! A peer that says nothing any more, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom::base::{ClientId, Epoch, GroupId, Kind, KindSet, ParticipantId, Random, Time};
use anteroom::client::{ClientIdentity, Participant, ParticipantSettings, Place, TimeAnchor};
use anteroom::media::{Worker, WorkerSettings};
use anteroom::message::{Connect, GroupSettings, LossReason, MediaCommand, MediaReport, Placement};
use anteroom::transport::Path;

use super::tally::Tally;

const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 3478);

struct Pair {
    now: Time,
    worker: Worker,
    people: Vec<(SocketAddr, Participant)>,
    /// Whose datagrams come through no more.
    frozen: Option<SocketAddr>,
    /// Who makes no checks any more, as stock GStreamer does.
    unchecked: Option<SocketAddr>,
    /// Who sends nothing but checks any more, as who only looks on and reports nothing.
    only_checks: Option<SocketAddr>,
    /// When the last datagram left for that one.
    last_sent: Time,
    lost: Vec<(Time, ParticipantId, LossReason)>,
}

impl Pair {
    fn new() -> Self {
        let now = Time::from_unix_seconds(1_700_000_000);
        let anchor = TimeAnchor { at: now, instant: Instant::now() };
        let settings = WorkerSettings { advertised: vec![SERVER.into()], ..WorkerSettings::default() };
        let mut worker = Worker::new(settings, Random::from_number(1), anchor).unwrap();
        let group = GroupSettings { group: GroupId(1), max_active_talkers: 6, blocked: KindSet::NONE };
        worker.handle_command(now, MediaCommand::SetGroup(group));
        let mut people = Vec::new();
        for id in 1..=2_u64 {
            let identity = ClientIdentity::generate().unwrap();
            let mut participant =
                Participant::new(ParticipantSettings::default(), anchor, identity, Random::from_number(id));
            let (offer, tracks) = participant.offer();
            let (participant_id, epoch) = (ParticipantId(id), Epoch(id));
            let placement =
                Placement { participant: participant_id, group: GroupId(1), epoch, publish: KindSet::ALL };
            let connect = Connect { offer, tracks: Some(tracks), placement };
            worker.handle_command(now, MediaCommand::Connect(connect));
            let answer = std::iter::from_fn(|| worker.poll_report()).find_map(|report| match report {
                MediaReport::Answered { result, .. } => Some(result.unwrap()),
                _ => None,
            });
            participant.answer(now, &answer.unwrap().sdp).unwrap();
            participant.slots(Place { client: ClientId(u128::from(id)), room: 1, epoch }, &[]);
            participant.publish(now, Kind::Audio, true);
            people.push((SocketAddr::from(([10, 0, 1, id as u8], 5_000)), participant));
        }
        Self {
            now,
            worker,
            people,
            frozen: None,
            unchecked: None,
            only_checks: None,
            last_sent: now,
            lost: Vec::new(),
        }
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut buffer = vec![0; 65_536];
        while self.now < end {
            self.now = self.now + Duration::from_millis(5);
            let now = self.now;
            for (address, participant) in &mut self.people {
                participant.handle_timeout(now);
                while let Some((_, len)) = participant.poll_transmit(now, &mut buffer) {
                    let is_check = buffer[0] < 4;
                    let silenced = if is_check { self.unchecked } else { self.only_checks };
                    if [self.frozen, silenced].contains(&Some(*address)) {
                        continue;
                    }
                    self.worker.handle_datagram(now, Path::new(*address, None), &mut buffer[..len]);
                }
            }
            self.worker.end_batch(now);
            while self.worker.poll_timeout().is_some_and(|at| at <= now) {
                self.worker.handle_timeout(now);
            }
            while let Some(report) = self.worker.poll_report() {
                if let MediaReport::TransportLost { participant, reason, .. } = report {
                    self.lost.push((now, participant, reason));
                }
            }
            while let Some(transmit) = self.worker.poll_transmit(now, &mut buffer) {
                if self.frozen == Some(transmit.path.remote) {
                    self.last_sent = now;
                    continue;
                }
                let segment = transmit.segment_size.unwrap_or(transmit.len);
                let to = self.people.iter_mut().find(|(address, _)| *address == transmit.path.remote);
                let Some((_, participant)) = to else { continue };
                for datagram in buffer[..transmit.len].chunks_mut(segment) {
                    participant.handle_datagram(now, SERVER.into(), datagram);
                }
            }
        }
    }
}

#[test]
fn a13_nothing_is_sent_to_who_was_silent_for_thirty_seconds() {
    let _tally = Tally::of("attacks", "A13");
    let mut pair = Pair::new();
    pair.pass(Duration::from_secs(2));
    assert!(pair.people.iter().all(|(_, participant)| participant.is_up() && participant.received() > 20));
    let frozen_at = pair.now;
    pair.frozen = Some(pair.people[0].0);
    pair.pass(Duration::from_secs(40));
    assert_eq!(pair.lost.len(), 1, "{:?}", pair.lost);
    let (at, who, why) = pair.lost[0];
    assert_eq!((who, why), (ParticipantId(1), LossReason::Consent));
    assert!(at.since(frozen_at) <= Duration::from_millis(30_050), "{:?}", at.since(frozen_at));
    let sent_for = pair.last_sent.since(frozen_at);
    // It was sent to as long as consent lasted, and then not once more.
    assert!(sent_for >= Duration::from_secs(20) && pair.last_sent <= at, "{sent_for:?}");
    let heard = pair.people[1].1.received();
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.people[1].1.received(), heard, "who is gone is not heard");
    assert_eq!(pair.lost.len(), 1, "the other stays");
}

#[test]
fn who_sends_media_without_checks_is_heard_and_sent_to() {
    let mut pair = Pair::new();
    pair.pass(Duration::from_secs(2));
    pair.unchecked = Some(pair.people[0].0);
    pair.pass(Duration::from_secs(58));
    let received = |pair: &Pair| pair.people.iter().map(|(_, one)| one.received()).collect::<Vec<_>>();
    let before = received(&pair);
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.lost, []);
    for (before, now) in before.into_iter().zip(received(&pair)) {
        assert!((90..=110).contains(&(now - before)), "{} of 100", now - before);
    }
}

#[test]
fn who_makes_checks_and_reports_nothing_goes_on_seeing() {
    let mut pair = Pair::new();
    pair.people[1].1.publish(pair.now, Kind::Share, true);
    pair.people[1].1.set_rate_of(Kind::Share, 4.0);
    pair.pass(Duration::from_secs(2));
    pair.only_checks = Some(pair.people[0].0);
    let before = pair.people[0].1.received();
    pair.pass(Duration::from_secs(2));
    let in_two_seconds = pair.people[0].1.received() - before;
    // More than may go by for who is not heard at all.
    while pair.people[0].1.received() < 30_000 {
        let before = pair.people[0].1.received();
        pair.pass(Duration::from_secs(2));
        let now = pair.people[0].1.received() - before;
        assert!(now + 20 > in_two_seconds, "{now} of {in_two_seconds}, after {before}");
    }
    assert_eq!(pair.lost, []);
}
