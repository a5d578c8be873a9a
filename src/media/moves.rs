//! Placing participants: everything old is revoked before anything new is granted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::group::Group;
use super::participant::Participant;
use super::slab::Key;
use super::statistics::DropReason;
use super::worker::Worker;
use crate::base::plant::{self, Plant};
use crate::base::{BatchId, Epoch, GroupId, ParticipantId, Time};
use crate::message::{MediaReport, Moved, Placement};

/// How much later than the client's word about a move a packet may come that was sent before it, at
/// the least: the two take different ways.
const LEAST_SKEW: Duration = Duration::from_millis(2);
/// How long a client is waited for that has answered before: it will again, however busy it or its
/// server is, and until then it speaks to those whom it has left.
const CONFIRMS_WITHIN: Duration = Duration::from_secs(5);
/// The same for a client whose round trip has not been measured yet.
const UNKNOWN_SKEW: Duration = Duration::from_millis(100);

impl Worker {
    /// Moves participants as one step and reports it.
    pub(super) fn move_batch(&mut self, now: Time, batch: BatchId, placements: Vec<Placement>) {
        let (mut unknown, mut known) = (Vec::new(), Vec::new());
        for placement in newest_of_each(placements) {
            match self.by_id.get(&placement.participant) {
                Some(key) => known.push((*key, placement)),
                None => unknown.push(placement.participant),
            }
        }
        // An older placement than the current one has no effect; the current one again is as good as
        // applied.
        known.retain(|(key, placement)| {
            plant::is(Plant::StaleApplied)
                || self
                    .participants
                    .get(*key)
                    .is_some_and(|participant| participant.epoch.max(participant.awaits) <= placement.epoch)
        });
        let is_new = |worker: &Self, (key, placement): &(Key<Participant>, Placement)| {
            plant::is(Plant::StaleApplied)
                || worker
                    .participants
                    .get(*key)
                    .is_some_and(|participant| participant.epoch < placement.epoch)
        };
        let fresh: Vec<_> = known.iter().filter(|entry| is_new(self, entry)).copied().collect();
        let left: Vec<Option<GroupId>> = fresh.iter().map(|(key, _)| self.revoke(*key)).collect();
        for ((key, placement), left) in fresh.iter().zip(&left) {
            self.grant(now, *key, placement, *left != Some(placement.group));
        }
        let entered = fresh.iter().map(|(_, placement)| placement.group);
        let mut groups: Vec<GroupId> = left.iter().copied().flatten().chain(entered).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            self.refresh(now, group);
        }
        #[cfg(feature = "planted-bugs")]
        self.lose_routes(&fresh);
        // Nothing is held across a move.
        self.flush_at = self.flush_at.map(|at| if plant::is(Plant::QueueSurvives) { at } else { now });
        let moved: Vec<Moved> = known.iter().filter_map(|(key, _)| self.moved(*key)).collect();
        self.forget_told_slots();
        // Mirrored ones are counted where their connections are.
        let is_own =
            |key: &Key<Participant>| self.participants.get(*key).is_some_and(|one| one.home.is_none());
        let own = fresh.iter().filter(|(key, _)| is_own(key)).count();
        self.statistics.moves += u64::try_from(own).unwrap_or(0);
        self.reports.push_back(MediaReport::Moved { batch, moved, unknown });
    }

    /// Takes everything from participants who are about to be placed anew, and reports it.
    pub(super) fn revoke_batch(
        &mut self,
        now: Time,
        batch: BatchId,
        participants: &[(ParticipantId, Epoch)],
    ) {
        let mut left = Vec::new();
        for (id, epoch) in participants {
            let key = self.by_id.get(id).copied();
            let is_older = |key: &Key<Participant>| {
                self.participants.get(*key).is_some_and(|participant| participant.epoch < *epoch)
            };
            if let Some(key) = key.filter(is_older) {
                left.extend(self.revoke(key));
                if let Some(participant) = self.participants.get_mut(key) {
                    participant.awaits = participant.awaits.max(*epoch);
                }
            }
        }
        left.sort_unstable();
        left.dedup();
        for group in left {
            self.refresh(now, group);
        }
        self.flush_at = self.flush_at.map(|at| if plant::is(Plant::QueueSurvives) { at } else { now });
        self.reports.push_back(MediaReport::Revoked { batch });
    }

    /// What [`Plant::RouteLost`] does.
    #[cfg(feature = "planted-bugs")]
    fn lose_routes(&mut self, moved: &[(Key<Participant>, Placement)]) {
        if moved.len() < 2 || !plant::is(Plant::RouteLost) {
            return;
        }
        let streams: Vec<_> = self.streams.keys().collect();
        for stream in streams {
            if let Some(stream) = self.streams.get_mut(stream) {
                stream.routes.retain(|route| moved.iter().all(|(key, _)| *key != route.listener));
            }
        }
    }

    fn moved(&mut self, key: Key<Participant>) -> Option<Moved> {
        let participant = self.participants.get_mut(key).filter(|one| one.home.is_none())?;
        // The report itself tells of the slots.
        participant.slots_changed = false;
        Some(Moved { participant: participant.id, epoch: participant.epoch, slots: participant.slots() })
    }

    /// Takes everything from a participant and everybody from its streams: afterwards nothing binds
    /// it to anybody, and nothing waits or can be asked for again. Answers the group that it leaves.
    pub(super) fn revoke(&mut self, key: Key<Participant>) -> Option<GroupId> {
        let forgets = plant::is(Plant::RevokeForgotten) || plant::is(Plant::EpochUnchecked);
        if !forgets {
            self.unbind_all_slots(key);
        }
        for stream in self.streams_of(key) {
            if !forgets {
                self.unbind_all_routes(stream);
            }
            if let Some(stream) = self.streams.get_mut(stream) {
                let epoch = stream.epoch;
                stream.place(None, epoch, stream.in_flight_until);
                stream.closed = Some(DropReason::NoGroup);
            }
        }
        let session = self.participants.get_mut(key).and_then(|one| one.session.as_mut());
        for (stream, next) in session.map(|session| session.intake.leave_behind()).unwrap_or_default() {
            if let Some(stream) = self.streams.get_mut(stream) {
                stream.raise_floor(next);
            }
        }
        let group = self.participants.get_mut(key)?.group.take()?;
        let home = self.participants.get(key).and_then(|participant| participant.home);
        if let Some(group) = self.groups.get_mut(&group) {
            group.remove(key, home);
        }
        Some(group)
    }

    /// Puts a participant into a group. `from_elsewhere` says that it may still have packets on the
    /// way that are meant for another.
    pub(super) fn grant(
        &mut self,
        now: Time,
        key: Key<Participant>,
        placement: &Placement,
        from_elsewhere: bool,
    ) {
        let group = self.groups.entry(placement.group).or_insert_with(|| Group::unknown(placement.group));
        let Some(participant) = self.participants.get_mut(key) else { return };
        group.add(key, participant.home);
        let longest = if participant.confirms { CONFIRMS_WITHIN } else { self.settings.media.in_flight() };
        participant.group = Some(placement.group);
        participant.epoch = placement.epoch;
        participant.publish = placement.publish;
        // What another worker hands over has landed there.
        let in_flight_until = (from_elsewhere && participant.home.is_none()).then(|| now + longest);
        for stream in self.streams_of(key) {
            if let Some(stream) = self.streams.get_mut(stream) {
                // What an earlier move left on the way is not yet there because of a later one.
                let in_flight_until = in_flight_until.or(stream.in_flight_until);
                stream.place(Some(placement.group), placement.epoch, in_flight_until);
            }
        }
        self.regulate(key);
    }

    /// A participant knows of its placement. What it sent before is on its way for a round trip at the
    /// most, and no more than half of one where both directions take the same time: nobody knows that.
    pub(super) fn landed(&mut self, now: Time, id: ParticipantId, epoch: Epoch) {
        let Some(key) = self.by_id.get(&id).copied() else { return };
        let Some(participant) = self.participants.get_mut(key).filter(|found| found.epoch == epoch) else {
            return;
        };
        participant.confirms = true;
        let round_trip = participant.session.as_ref().and_then(|session| session.round_trip.at_most());
        let until = now + round_trip.map_or(UNKNOWN_SKEW, |trip| trip.max(LEAST_SKEW));
        for stream in self.streams_of(key) {
            if let Some(stream) = self.streams.get_mut(stream) {
                stream.in_flight_until = stream.in_flight_until.map(|longest| longest.min(until));
            }
        }
    }

    /// Opens and closes a participant's streams by what it and its group allow. A video that is opened
    /// is bound anew when slots are filled, and asked for a keyframe there.
    pub(super) fn regulate(&mut self, key: Key<Participant>) {
        let Some(participant) = self.participants.get(key) else { return };
        let publish = participant.publish;
        let blocked =
            participant.group.and_then(|group| self.groups.get(&group)).map(|group| group.settings.blocked);
        for key in self.streams_of(key) {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.regulate(publish, blocked);
            }
        }
    }

    /// Ends a group; whoever is still in it is in none.
    pub(super) fn end_group(&mut self, group: GroupId) {
        let Some(ended) = self.groups.get(&group).filter(|_| !plant::is(Plant::GroupKept)) else { return };
        for key in ended.members.clone() {
            self.revoke(key);
        }
        self.groups.remove(&group);
    }
}

/// One placement per participant, the newest, in the order of participants.
fn newest_of_each(placements: Vec<Placement>) -> impl Iterator<Item = Placement> {
    let mut newest: BTreeMap<ParticipantId, Placement> = BTreeMap::new();
    for placement in placements {
        let known = newest.entry(placement.participant).or_insert(placement);
        if known.epoch < placement.epoch {
            *known = placement;
        }
    }
    newest.into_values()
}
