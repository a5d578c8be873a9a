//! Holds every packet that leaves the server, and every one that is decrypted, against what the server
//! has applied.

use std::collections::{BTreeMap, BTreeSet};

use super::by_id::ById;
use super::egress::{Egress, Sort, sort_of};
use super::listening::{Counted, Listening, Published};
use super::placements::{Placements, Tag};
use super::violation::{Invariant, Violations};
use crate::base::{ClientId, Epoch, GroupId, Kind, ParticipantId, Time};
use crate::client::Heard;
use crate::media::{DropReason, WorkerStatistics};
use crate::message::{MediaCommand, SlotLine, SrtpProfile};

/// Copies that may wait for one listener: sound, pictures and what is being sent.
const MOST_WAITING: u64 = 64 + 512 + 64;

/// The judge of a simulation.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) violations: Violations,
    pub(super) placements: Placements,
    pub(super) listening: Listening,
    clients: ById<ClientId, ParticipantId>,
    /// The room that each group is, as people were told: the tag of its id.
    rooms: BTreeMap<GroupId, u64>,
    egress: Vec<Egress>,
    /// Media packets that each worker was seen to send since it was made.
    sent: Vec<u64>,
    /// Packets that were decrypted and judged.
    pub(super) heard: u64,
    /// Who heard or saw whom since somebody looked; kept for stories only.
    pub(super) hearing: Option<BTreeSet<(usize, ClientId, Kind)>>,
}

impl Judge {
    /// A judge of a server without people.
    pub(super) fn new(start: Time, workers: usize, people: usize) -> Self {
        Self {
            violations: Violations::new(start),
            placements: Placements::new(workers),
            listening: Listening::new(workers),
            clients: ById::default(),
            rooms: BTreeMap::new(),
            egress: (0..people).map(|_| Egress::default()).collect(),
            sent: vec![0; workers],
            heard: 0,
            hearing: None,
        }
    }

    /// A participant has a seat.
    pub(super) fn seated(&mut self, client: ClientId, participant: ParticipantId) {
        self.clients.insert(client, participant);
    }

    /// A person has a new connection with these slots.
    pub(super) fn connected(&mut self, person: usize, slots: &[SlotLine], is_impostor: bool) {
        if let Some(egress) = self.egress.get_mut(person) {
            egress.reset(slots, is_impostor);
        }
    }

    /// A worker has applied a command.
    pub(super) fn applied(&mut self, now: Time, worker: usize, command: &MediaCommand) {
        self.placements.applied(now, worker, command, &mut self.violations);
    }

    /// A worker has taken packets.
    pub(super) fn took(
        &mut self,
        now: Time,
        worker: usize,
        counted: (Counted, Counted),
        taken: &[Option<Published>],
    ) {
        let by = (worker, &self.placements);
        self.listening.took(now, by, counted, taken, &mut self.violations);
    }

    /// A worker was replaced.
    pub(super) fn replaced(&mut self, worker: usize) {
        self.placements.replaced(worker);
        self.listening.replaced(worker);
        if let Some(sent) = self.sent.get_mut(worker) {
            *sent = 0;
        }
    }

    /// Control has answered a move, or told of a placement.
    pub(super) fn told(&mut self, now: Time, participant: ParticipantId, epoch: Option<Epoch>) {
        self.placements.check_applied(now, participant, epoch, &mut self.violations);
    }

    /// A person believes from now on that a placement of its is in a room, and marks what it sends so: all who
    /// are placed in its group have to believe the same.
    pub(super) fn believed(&mut self, now: Time, client: ClientId, epoch: Epoch, room: u64) {
        let participant = self.clients.get(&client).copied();
        let group = participant.and_then(|id| self.placements.group_of(id, epoch));
        let Some((participant, group)) = participant.zip(group) else { return };
        let known = *self.rooms.entry(group).or_insert(room);
        if known != room {
            self.violations.note(now, Invariant::I2, || {
                format!("participant {participant} in group {group} believes to be in another room than others of it")
            });
        }
    }

    /// A worker was stuck, or a network holds things up: for a while, what has come meanwhile leaves at once.
    pub(super) fn woke(&mut self, until: Time) {
        self.egress.iter_mut().for_each(|egress| egress.late_until = egress.late_until.max(until));
    }

    /// How often each invariant was looked at.
    pub(super) fn checks(&self) -> BTreeMap<String, u64> {
        let (mut packets, mut controls, mut streams) = (0, 0, 0);
        for egress in &self.egress {
            packets += egress.packets;
            controls += egress.controls;
            streams += egress.begun;
        }
        let (placed, told) = (self.placements.placed, self.placements.told);
        let of_packets = [
            (Invariant::I2, self.heard),
            (Invariant::I3, self.heard),
            (Invariant::I4, packets + told),
            (Invariant::I5, placed),
            (Invariant::I9, packets + controls),
            (Invariant::I10, packets),
            (Invariant::I11, streams),
            (Invariant::I12, self.heard),
            (Invariant::I14, packets),
            (Invariant::I15, self.heard),
            (Invariant::I18, self.listening.judged),
        ];
        let all = self.violations.checks().iter().map(|(of, count)| (*of, *count)).chain(of_packets);
        let mut checks = BTreeMap::new();
        for (of, count) in all {
            *checks.entry(of.to_string()).or_default() += count;
        }
        checks
    }

    /// A datagram leaves a worker for a person.
    pub(super) fn leaves(
        &mut self,
        tag: &Tag,
        (worker, person): (usize, usize),
        datagram: &[u8],
        profile: SrtpProfile,
    ) {
        let Some(egress) = self.egress.get_mut(person) else { return };
        match sort_of(datagram) {
            Sort::Media => {
                if let Some(sent) = self.sent.get_mut(worker) {
                    *sent += 1;
                }
                if tag.group.is_none() {
                    let text =
                        || format!("worker {worker} sends media to person {person}, who is in no group");
                    self.violations.note(tag.at, Invariant::I4, text);
                }
                if tag.is_past {
                    return;
                }
                egress.media(tag.at, datagram, person, &mut self.violations);
            }
            Sort::Control if tag.is_past => {}
            Sort::Control => {
                // AEAD has the index at the end, the other profile before its tag of 10 bytes.
                let behind = if profile == SrtpProfile::AeadAes128Gcm { 0 } else { 10 };
                egress.control(tag.at, datagram, behind, person, &mut self.violations);
            }
            Sort::Other if tag.is_past => {}
            Sort::Other => egress.other(datagram),
        }
    }

    /// A person has decrypted a packet that left a worker under this tag.
    pub(super) fn heard(&mut self, now: Time, (worker, person): (usize, usize), tag: &Tag, heard: &Heard) {
        self.heard += 1;
        let mark = &heard.mark;
        if let Some(hearing) = &mut self.hearing {
            hearing.insert((person, mark.publisher, mark.kind));
        }
        if !heard.intact {
            let text = || format!("person {person} hears {mark:?} in a payload that was changed");
            self.violations.note(now, Invariant::I15, text);
        }
        let publisher = self.clients.get(&mark.publisher).copied();
        let sent_into = publisher.and_then(|id| self.placements.group_of(id, mark.epoch));
        let Some((publisher, sent_into)) = publisher.zip(sent_into) else {
            let text = || format!("person {person} hears {mark:?}, which nobody can have sent");
            return self.violations.note(now, Invariant::I2, text);
        };
        if tag.group != Some(sent_into) {
            // It has left its own group as well.
            self.violations.note(now, Invariant::I3, || {
                format!("participant {publisher} is heard in {:?}, not only in group {sent_into}", tag.group)
            });
            self.violations.note(now, Invariant::I2, || {
                let late = tag.at.since(mark.sent_at).as_micros();
                format!(
                    "person {person} in group {:?} is sent packet {} ({}) of participant {publisher}, who sent it into group {sent_into} in placement {}, {late} us before it left",
                    tag.group, mark.counter, mark.kind, mark.epoch
                )
            });
        }
        let forbidden = self
            .placements
            .forbidden_since(worker, publisher, |publish| !publish.contains(mark.kind))
            .is_some_and(|since| since < tag.at);
        if tag.blocked.contains(mark.kind) || forbidden {
            self.violations.note(now, Invariant::I12, || {
                format!(
                    "person {person} hears {} of participant {publisher}, which may not be sent",
                    mark.kind
                )
            });
        }
    }

    /// A worker's counters have to add up; all of them once nothing waits any more.
    pub(super) fn check_counters(
        &mut self,
        now: Time,
        worker: usize,
        counters: &WorkerStatistics,
        is_drained: bool,
    ) {
        [Invariant::I17, Invariant::I18].into_iter().for_each(|of| self.violations.checked(of, 2));
        let dropped = |of_a_copy: bool| -> u64 {
            let drops = counters.drops.iter().filter(|(reason, _)| reason.is_of_a_copy() == of_a_copy);
            let after_opening = DropReason::TooLarge as u8..DropReason::RetransmitUnavailable as u8;
            drops.filter(|(reason, _)| after_opening.contains(&(*reason as u8))).map(|(_, count)| count).sum()
        };
        let (came, went) =
            (counters.media_in + counters.taken_over, counters.media_admitted + dropped(false));
        if came != went {
            let text = || format!("worker {worker}: {came} packets came in, {went} are accounted for");
            self.violations.note(now, Invariant::I18, text);
        }
        let gone = counters.media_out + dropped(true);
        let waiting = counters.copies.saturating_sub(gone);
        if gone > counters.copies || (is_drained && waiting > 0) {
            let text = || format!("worker {worker}: {} copies were made, {gone} are gone", counters.copies);
            self.violations.note(now, Invariant::I18, text);
        }
        if waiting > MOST_WAITING * counters.participants.max(1) {
            let text = || format!("worker {worker}: {waiting} copies wait");
            self.violations.note(now, Invariant::I17, text);
        }
        let (seen, counted) =
            (self.sent.get(worker).copied().unwrap_or(0), counters.media_out + counters.retransmitted);
        if seen != counted {
            let text = || format!("worker {worker} counts {counted} packets sent, {seen} were seen");
            self.violations.note(now, Invariant::I18, text);
        }
        if counters.drops.get(DropReason::WrongEpoch) > 0 {
            let text = || format!("worker {worker} stopped a packet by the last check before the socket");
            self.violations.note(now, Invariant::I2, text);
        }
    }
}
