//! Who is where, by what each worker has applied: what the judge holds packets against.
//!
//! It is kept from the commands alone, as their contract has it, and knows nothing of how a worker
//! carries them out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::by_id::ById;
use super::violation::{Invariant, Violations};
use crate::base::{Epoch, GroupId, Kind, KindSet, ParticipantId, Time};
use crate::message::{MediaCommand, Placement};

/// Placements of one participant that are remembered: packets are under way for a few at most.
const MOST_PAST: usize = 64;
/// Participants whose placements are remembered.
const MOST_PARTICIPANTS: usize = 4_096;

/// What was true for a listener when a datagram left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// When.
    pub(super) at: Time,
    /// The listener's group; nothing if it was in none.
    pub(super) group: Option<GroupId>,
    /// What nobody might send there.
    pub(super) blocked: KindSet,
    /// Whether it was for a seat that its owner had left before it came back to another.
    pub(super) is_past: bool,
}

/// What one worker has applied of one participant.
#[derive(Clone, Copy, Debug)]
struct View {
    group: Option<GroupId>,
    epoch: Epoch,
    placed_at: Time,
    publish: KindSet,
    publish_since: Time,
    is_own: bool,
    /// Nothing before this placement is applied any more.
    awaits: Epoch,
}

/// What one worker has applied.
#[derive(Debug, Default)]
struct Table {
    people: ById<ParticipantId, View>,
    groups: BTreeMap<GroupId, (KindSet, Time)>,
}

/// Where a participant is, and since when nothing about that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) group: GroupId,
    pub(super) placed_at: Time,
    /// Since when it may be heard there; nothing if it may not.
    pub(super) heard_since: Option<Time>,
}

/// A placement that control has said.
#[derive(Clone, Copy, Debug)]
struct Said {
    epoch: Epoch,
    group: GroupId,
    /// Whether it was a move: a new connection is there once its own worker has it, for what others hand
    /// over of the placement before has its number on it.
    is_move: bool,
}

/// What all workers have applied, and what control has said.
#[derive(Debug)]
pub(super) struct Placements {
    tables: Vec<Table>,
    /// What control has ever said of a participant, the newest last.
    said: ById<ParticipantId, VecDeque<Said>>,
    /// Of whom it has said something, the oldest first.
    known: VecDeque<ParticipantId>,
    /// Placements that were held against those of other workers.
    pub(super) placed: u64,
    /// Words to people about their placement that were held against what workers have applied.
    pub(super) told: u64,
}

impl Placements {
    /// Nobody is anywhere.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            tables: (0..workers).map(|_| Table::default()).collect(),
            said: ById::default(),
            known: VecDeque::new(),
            placed: 0,
            told: 0,
        }
    }

    /// Control has said something to a worker.
    pub(super) fn said(&mut self, command: &MediaCommand) {
        match command {
            MediaCommand::Connect(connect) => self.remember(&connect.placement, false),
            MediaCommand::Move { placements, .. } => {
                placements.iter().for_each(|one| self.remember(one, true))
            }
            _ => {}
        }
    }

    fn remember(&mut self, placement: &Placement, is_move: bool) {
        let known = &mut self.known;
        let past = self.said.entry(placement.participant).or_insert_with(|| {
            known.push_back(placement.participant);
            VecDeque::new()
        });
        if past.back().is_none_or(|last| last.epoch < placement.epoch) {
            past.push_back(Said { epoch: placement.epoch, group: placement.group, is_move });
        }
        if past.len() > MOST_PAST {
            past.pop_front();
        }
        if self.known.len() > MOST_PARTICIPANTS
            && let Some(oldest) = self.known.pop_front()
        {
            self.said.remove(&oldest);
        }
    }

    /// The group of one of a participant's placements.
    pub(super) fn group_of(&self, participant: ParticipantId, epoch: Epoch) -> Option<GroupId> {
        self.said_of(participant, epoch).map(|said| said.group)
    }

    fn said_of(&self, participant: ParticipantId, epoch: Epoch) -> Option<Said> {
        self.said.get(&participant)?.iter().rev().find(|said| said.epoch == epoch).copied()
    }

    /// A worker was replaced: the new one knows nobody.
    pub(super) fn replaced(&mut self, worker: usize) {
        if let Some(table) = self.tables.get_mut(worker) {
            *table = Table::default();
        }
    }

    /// A worker has applied a command.
    pub(super) fn applied(
        &mut self,
        now: Time,
        worker: usize,
        command: &MediaCommand,
        violations: &mut Violations,
    ) {
        match command {
            MediaCommand::Connect(connect) => {
                // What others still know of a connection that was lost with its worker lets nothing through.
                let id = &connect.placement.participant;
                let had_another = self.tables.get(worker).is_some_and(|table| table.people.contains_key(id));
                if self.place(now, worker, &connect.placement, Some(true)) && had_another {
                    self.check_one_group(now, worker, &connect.placement, violations);
                }
            }
            MediaCommand::Mirror { placement, .. } => {
                self.place(now, worker, placement, Some(false));
            }
            MediaCommand::Move { placements, .. } => {
                for placement in placements {
                    if self.place(now, worker, placement, None) {
                        self.check_one_group(now, worker, placement, violations);
                    }
                }
            }
            other => {
                if let Some(table) = self.tables.get_mut(worker) {
                    table.apply(now, other);
                }
            }
        }
    }

    /// Puts a participant somewhere; answers whether that had an effect.
    fn place(&mut self, now: Time, worker: usize, placement: &Placement, is_own: Option<bool>) -> bool {
        let Some(table) = self.tables.get_mut(worker) else { return false };
        let known = table.people.get(&placement.participant).copied();
        let known_is_newer = known.is_some_and(|view| match is_own {
            Some(true) => view.is_own && view.epoch > placement.epoch,
            // A mirror takes no participant away from the worker that has its connection.
            Some(false) => view.is_own || view.epoch >= placement.epoch || view.awaits > placement.epoch,
            None => view.epoch >= placement.epoch || view.awaits > placement.epoch,
        });
        let Some(is_own) = is_own.or(known.map(|view| view.is_own)) else { return false };
        if known_is_newer {
            return false;
        }
        let view = View {
            group: Some(placement.group),
            epoch: placement.epoch,
            placed_at: now,
            publish: placement.publish,
            publish_since: now,
            is_own,
            awaits: known.map_or(Epoch(0), |view| view.awaits),
        };
        table.people.insert(placement.participant, view);
        true
    }

    /// Nobody may be in another group of an older placement on any worker.
    fn check_one_group(
        &mut self,
        now: Time,
        worker: usize,
        placement: &Placement,
        violations: &mut Violations,
    ) {
        self.placed += 1;
        let id = placement.participant;
        let others = self.tables.iter().enumerate().filter(|(other, _)| *other != worker);
        for (other, view) in others.filter_map(|(at, table)| Some((at, table.people.get(&id)?))) {
            if view.epoch < placement.epoch && view.group.is_some_and(|group| group != placement.group) {
                violations.note(now, Invariant::I5, || {
                    format!(
                        "participant {id} is in group {} on worker {worker} and still in {:?} on worker {other}",
                        placement.group, view.group
                    )
                });
            }
        }
    }

    /// Control says by an answer or a `slots` that a placement counts: it has to be applied everywhere.
    pub(super) fn check_applied(
        &mut self,
        now: Time,
        id: ParticipantId,
        epoch: Option<Epoch>,
        violations: &mut Violations,
    ) {
        self.told += 1;
        let newest = || self.said.get(&id).and_then(|past| past.back()).map(|last| last.epoch);
        let Some(epoch) = epoch.or_else(newest) else { return };
        for (worker, table) in self.tables.iter().enumerate() {
            let said = self.said_of(id, epoch);
            let is_elsewhere = |view: &View| {
                let counts = view.is_own || said.is_none_or(|said| said.is_move);
                counts && view.group.is_some() && view.group != said.map(|said| said.group)
            };
            if table.people.get(&id).is_some_and(|view| view.epoch < epoch && is_elsewhere(view)) {
                violations.note(now, Invariant::I4, || {
                    format!(
                        "participant {id} is told of placement {epoch}, which worker {worker} has not applied"
                    )
                });
            }
        }
    }

    /// What is true for a listener of a worker now.
    pub(super) fn tag(&self, now: Time, worker: usize, listener: Option<ParticipantId>) -> Tag {
        let table = self.tables.get(worker);
        let view = table.and_then(|table| table.people.get(&listener?));
        let group = view.filter(|view| view.is_own).and_then(|view| view.group);
        let blocked = group.and_then(|group| table?.groups.get(&group)).map(|(blocked, _)| *blocked);
        Tag { at: now, group, blocked: blocked.unwrap_or_default(), is_past: false }
    }

    /// Since when a participant may not publish a kind, as the worker of a listener has it; nothing if
    /// it may.
    pub(super) fn forbidden_since(
        &self,
        worker: usize,
        id: ParticipantId,
        forbids: impl Fn(KindSet) -> bool,
    ) -> Option<Time> {
        let view = self.tables.get(worker)?.people.get(&id)?;
        (view.group.is_some() && forbids(view.publish)).then_some(view.publish_since)
    }

    /// Where a participant is on the worker that has its connection.
    pub(super) fn place_of(&self, id: ParticipantId) -> Option<GroupId> {
        self.tables.iter().find_map(|table| table.people.get(&id).filter(|view| view.is_own))?.group
    }

    /// How a participant stands on the worker that has its connection.
    pub(super) fn standing(&self, id: ParticipantId) -> Option<Standing> {
        let own = |table: &Table| table.people.get(&id).copied().filter(|view| view.is_own);
        let (table, view) = self.tables.iter().find_map(|table| Some((table, own(table)?)))?;
        let (group, placed_at) = (view.group?, view.placed_at);
        let (blocked, since) = table.groups.get(&group).copied()?;
        let is_heard = view.publish.contains(Kind::Audio) && !blocked.contains(Kind::Audio);
        let heard_since = is_heard.then(|| view.publish_since.max(since));
        Some(Standing { group, placed_at, heard_since })
    }

    /// The placement of a participant that a worker has applied.
    pub(super) fn epoch_on(&self, worker: usize, id: ParticipantId) -> Option<Epoch> {
        self.tables.get(worker)?.people.get(&id).map(|view| view.epoch)
    }

    /// Holds against each other where the connections of participants are.
    pub(super) fn check_homes(&self, now: Time, violations: &mut Violations) {
        let mut homes = BTreeSet::new();
        for table in &self.tables {
            let own = table.people.iter().filter(|(_, view)| view.is_own).map(|(id, _)| *id);
            own.filter(|id| !homes.insert(*id)).for_each(|id| {
                violations.note(now, Invariant::I1, || format!("participant {id} is on two workers"));
            });
        }
        violations.checked(Invariant::I1, u64::try_from(homes.len()).unwrap_or(0));
    }

    /// How many participants of its own, and how many groups, a worker should have.
    pub(super) fn gauges(&self, worker: usize) -> (u64, u64) {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        self.tables.get(worker).map_or((0, 0), |table| {
            let own = table.people.values().filter(|view| view.is_own).count();
            (count(own), count(table.groups.len()))
        })
    }

    /// The placement that a worker's own participant is in.
    pub(super) fn listens(&self, worker: usize, id: ParticipantId) -> Option<(Epoch, GroupId)> {
        let view = self.tables.get(worker)?.people.get(&id).filter(|view| view.is_own)?;
        Some((view.epoch, view.group?))
    }

    /// The group that a worker has somebody in.
    pub(super) fn group_on(&self, worker: usize, id: ParticipantId) -> Option<GroupId> {
        self.tables.get(worker)?.people.get(&id)?.group
    }
}

impl Table {
    fn apply(&mut self, now: Time, command: &MediaCommand) {
        match command {
            MediaCommand::SetGroup(settings) => {
                self.groups.insert(settings.group, (settings.blocked, now));
            }
            MediaCommand::EndGroup(ended) => {
                self.groups.remove(ended);
                self.people.values_mut().for_each(|view| {
                    view.group = view.group.filter(|group| group != ended);
                });
            }
            MediaCommand::Revoke { participants, .. } => {
                for (id, epoch) in participants {
                    if let Some(view) = self.people.get_mut(id).filter(|view| view.epoch < *epoch) {
                        view.group = None;
                        view.awaits = view.awaits.max(*epoch);
                    }
                }
            }
            MediaCommand::SetPublish { participant, epoch, publish } => {
                if let Some(view) = self.people.get_mut(participant).filter(|view| view.epoch == *epoch) {
                    (view.publish, view.publish_since) = (*publish, now);
                }
            }
            MediaCommand::Disconnect(participant) => {
                self.people.remove(participant);
            }
            _ => {}
        }
    }
}
