//! Which stream is in which slot.

use std::collections::BTreeMap;

use super::participant::Participant;
use super::slab::Key;
use super::slot::Binding;
use super::statistics::DropReason;
use super::stream::{Route, Stream};
use super::talkers::Candidate;
use super::video_choice::{VideoChoice, assign};
use super::worker::Worker;
use crate::base::plant::{self, Plant};
use crate::base::{GroupId, Kind, Time};
use crate::message::{MediaReport, SlotReason};

/// What there is to hear and see in a group.
struct Program {
    /// By rank; one more than a member hears.
    talkers: Vec<Key<Stream>>,
    heard: usize,
    video: VideoChoice,
}

impl Worker {
    /// Ranks a group's talkers and fills all its members' slots.
    pub(super) fn refresh(&mut self, now: Time, group: GroupId) {
        self.rank(now, group);
        self.fill_slots(now, group);
    }

    /// Ranks a group's talkers; answers whether a seat changed hands.
    pub(super) fn rank(&mut self, now: Time, group: GroupId) -> bool {
        let Some(members) = self.groups.get(&group).map(|group| group.members.clone()) else { return false };
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let members = members.iter().filter_map(|member| self.participants.get(*member));
        for key in members.flat_map(|member| member.streams.iter().copied()) {
            if let Some(stream) = self.streams.get(key).filter(|stream| stream.kind == Kind::Audio) {
                let is_up = self.participants.get(stream.owner).is_some_and(|owner| {
                    owner.home.is_some() || owner.session.as_ref().is_some_and(|session| session.is_up)
                });
                candidates.push(Candidate {
                    stream: key,
                    allowed: stream.closed.is_none() && is_up,
                    loudness: stream.loudness,
                });
            }
        }
        let changed = self.groups.get_mut(&group).is_some_and(|group| {
            let heard = group.heard();
            group.seats.rank(now, heard, &mut candidates)
        });
        for candidate in &candidates {
            if let Some(stream) = self.streams.get_mut(candidate.stream) {
                stream.loudness = candidate.loudness;
            }
        }
        self.candidates = candidates;
        changed
    }

    /// Puts the group's program into the slots of its members.
    pub(super) fn fill_slots(&mut self, now: Time, id: GroupId) {
        let Some(program) = self.program(id) else { return };
        let members = self.groups.get(&id).map(|group| group.members.clone()).unwrap_or_default();
        for member in members {
            self.fill_slots_of(now, member, &program);
        }
    }

    /// Puts the programs of listeners' groups into their slots. Making one looks at the whole group, so that it is
    /// made once for all of them.
    pub(super) fn refill(&mut self, now: Time, listeners: &[Key<Participant>]) {
        let mut programs = BTreeMap::new();
        for listener in listeners {
            let group = self.participants.get(*listener).and_then(|listener| listener.group);
            let Some(group) = group else { continue };
            if let Some(program) = programs.entry(group).or_insert_with(|| self.program(group)) {
                self.fill_slots_of(now, *listener, program);
            }
        }
    }

    fn program(&self, id: GroupId) -> Option<Program> {
        let group = self.groups.get(&id)?;
        let mut program = Program {
            talkers: group.seats.iter().collect(),
            heard: group.heard(),
            video: VideoChoice::default(),
        };
        let present = group.members.iter().filter_map(|member| self.participants.get(*member));
        for key in present.flat_map(|member| member.streams.iter().copied()) {
            let Some(stream) = self.streams.get(key).filter(|stream| stream.closed.is_none()) else {
                continue;
            };
            let talks = program.talkers.iter().position(|talker| {
                self.streams.get(*talker).is_some_and(|talker| talker.owner == stream.owner)
            });
            program.video.add(key, stream.kind, stream.seen, talks);
        }
        program.video.rank();
        Some(program)
    }

    fn fill_slots_of(&mut self, now: Time, key: Key<Participant>, program: &Program) {
        let Some(session) = self.participants.get(key).and_then(|listener| listener.session.as_ref()) else {
            return;
        };
        let is_others =
            |stream: &Key<Stream>| self.streams.get(*stream).is_some_and(|stream| stream.owner != key);
        for video in [false, true] {
            let (places, held): (Vec<usize>, Vec<_>) = session
                .slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.line.video == video)
                .map(|(at, slot)| (at, slot.holder()))
                .unzip();
            let wanted: Vec<Key<Stream>> = if video {
                program.video.for_listener(&held, places.len(), is_others)
            } else {
                let most = program.heard.min(places.len());
                program.talkers.iter().copied().filter(is_others).take(most).collect()
            };
            let assigned = assign(&held, &wanted);
            self.plan.extend(places.into_iter().zip(assigned));
        }
        // What is freed goes first, so that a stream that changes its slot is never in two.
        let plan = std::mem::take(&mut self.plan);
        for (at, stream) in &plan {
            self.vacate_unless(key, *at, *stream);
        }
        for (at, stream) in &plan {
            if let Some(stream) = stream {
                self.occupy(now, key, *at, *stream);
            }
        }
        self.plan = plan;
        self.plan.clear();
    }

    fn vacate_unless(&mut self, key: Key<Participant>, at: usize, stream: Option<Key<Stream>>) {
        let slot = self.slot_mut(key, at);
        if slot.is_some_and(|slot| slot.holder().is_some() && slot.holder() != stream) {
            self.unbind(key, at);
        }
    }

    /// Binds a stream to a slot, or reserves the slot where the listener lacks its codec or a link that
    /// bears pictures.
    fn occupy(&mut self, now: Time, listener: Key<Participant>, at: usize, key: Key<Stream>) {
        let Some(participant) = self.participants.get_mut(listener) else { return };
        let (listener_epoch, group) = (participant.epoch, participant.group);
        let Some(session) = participant.session.as_mut() else { return };
        let (is_up, is_paused) = (session.is_up, session.congestion.is_paused() || session.is_unheard);
        let slot = session.slots.get_mut(at);
        let (Some(slot), Some(stream), Some(group)) = (slot, self.streams.get_mut(key), group) else {
            return;
        };
        let codecs = slot.map_codecs(&stream.codecs);
        let understands = match stream.codec {
            Some(codec) => codecs.get(usize::from(codec)).is_some_and(Option::is_some),
            None => codecs.iter().any(Option::is_some),
        };
        let reason = match understands {
            false => Some(SlotReason::Codec),
            true => (is_paused && slot.line.video).then_some(SlotReason::Congestion),
        };
        match (reason, slot.binding.is_some()) {
            (None, true) => {}
            (None, false) => {
                slot.reserved = None;
                slot.reported_at = None;
                slot.binding = Some(Binding {
                    stream: key,
                    publisher: (stream.owner_id, stream.kind),
                    group,
                    publisher_epoch: stream.epoch,
                    listener_epoch,
                    codecs,
                    mapping: super::rewrite::Mapping::default(),
                    from_seq: slot.outgoing.next(),
                });
                stream.routes.push(Route { listener, slot: at });
                let is_video = stream.kind.is_video();
                self.slots_changed(listener);
                // Who is not up yet can show none: it is asked for when it comes up.
                if is_video && is_up {
                    self.want_keyframe(now, key);
                }
            }
            (Some(reason), bound) => {
                let reserved = Some((key, reason));
                if bound {
                    self.unbind(listener, at);
                }
                if let Some(slot) = self.slot_mut(listener, at)
                    && slot.reserved != reserved
                {
                    slot.reserved = reserved;
                    self.slots_changed(listener);
                }
            }
        }
    }

    /// Empties a slot: what waits in it goes, and what was sent through it can no longer be asked for.
    pub(super) fn unbind(&mut self, key: Key<Participant>, at: usize) {
        let Some(session) = self.participants.get_mut(key).and_then(|listener| listener.session.as_mut())
        else {
            return;
        };
        let Some(slot) = session.slots.get_mut(at) else { return };
        slot.reserved = None;
        let binding = slot.binding.take();
        #[cfg(feature = "planted-bugs")]
        if plant::is(Plant::RingReadable) && binding.is_some() {
            slot.past.clone_from(&binding);
        }
        session.outbox.drop_if(DropReason::Revoked, &mut self.statistics.drops, |waiting| {
            waiting.slot == at && !plant::is(Plant::QueueSurvives)
        });
        if let Some(stream) = binding.and_then(|binding| self.streams.get_mut(binding.stream)) {
            stream.drop_route(Route { listener: key, slot: at });
        }
        self.slots_changed(key);
    }

    /// Empties all slots of a participant.
    pub(super) fn unbind_all_slots(&mut self, key: Key<Participant>) {
        let slots =
            self.participants.get(key).and_then(|one| one.session.as_ref()).map_or(0, |one| one.slots.len());
        for at in 0..slots {
            if self.slot_mut(key, at).is_some_and(|slot| slot.holder().is_some()) {
                self.unbind(key, at);
            }
        }
    }

    /// Takes a stream out of all slots.
    pub(super) fn unbind_all_routes(&mut self, key: Key<Stream>) {
        // Taken out at once: in a room of thousands, looking each up would take as long as all else.
        let routes = self.streams.get_mut(key).map(|stream| std::mem::take(&mut stream.routes));
        for route in routes.unwrap_or_default() {
            self.unbind(route.listener, route.slot);
        }
    }

    fn slots_changed(&mut self, key: Key<Participant>) {
        if let Some(participant) = self.participants.get_mut(key)
            && !participant.slots_changed
        {
            participant.slots_changed = true;
            self.to_tell.push_back(key);
        }
    }

    /// The slots of the next one whose slots have changed since control was told of them, as they are now.
    pub(super) fn next_changed_slots(&mut self) -> Option<MediaReport> {
        while let Some(key) = self.to_tell.pop_front() {
            let Some(participant) = self.participants.get_mut(key) else { continue };
            if std::mem::take(&mut participant.slots_changed)
                && let (Some(group), Some(_)) = (participant.group, &participant.session)
            {
                return Some(MediaReport::Slots {
                    participant: participant.id,
                    epoch: participant.epoch,
                    group,
                    slots: participant.slots(),
                });
            }
        }
        None
    }

    /// Forgets of whose slots a move has told.
    pub(super) fn forget_told_slots(&mut self) {
        let participants = &self.participants;
        self.to_tell
            .retain(|key| participants.get(*key).is_some_and(|participant| participant.slots_changed));
    }
}
