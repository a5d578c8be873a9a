//! What happens without a datagram.

use std::time::Duration;

use super::participant::Participant;
use super::slab::Key;
use super::worker::Worker;
use crate::base::{GroupId, Kind, ParticipantId, Time};
use crate::message::{MediaReport, Talker};

/// The step of everything that is periodic, while media flows.
pub(super) const TICK: Duration = Duration::from_millis(25);
/// How much later a tick may come: while media flows it goes along with a batch, so that it costs no
/// waking up of its own.
pub(super) const TICK_SLACK: Duration = Duration::from_millis(20);
/// The step while only somebody waits, for a keyframe or to be heard.
const SLOW_TICK: Duration = Duration::from_millis(250);
/// Media is said to flow for this long after its last packet.
const FLOWS: Duration = Duration::from_secs(2);

impl Worker {
    /// Ticks if it is time.
    pub(super) fn tick_if_due(&mut self, now: Time) {
        if self.next_tick.is_some_and(|tick| tick <= now) {
            self.tick(now);
        }
    }

    /// Ranks talkers, asks for keyframes and sends feedback where it is due.
    fn tick(&mut self, now: Time) {
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for group in groups {
            self.rank_and_tell(now, group);
        }
        let mut anybody_waits = self.ask_for_keyframes(now);
        let participants: Vec<Key<Participant>> = self.participants.keys().collect();
        let mut changed = Vec::new();
        for key in participants {
            let session = self.participants.get(key).and_then(|participant| participant.session.as_ref());
            if session.is_some_and(|session| session.has_feedback(&self.streams, now)) {
                self.feedback_is_due(key);
            }
            let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
            let changes = session.is_some_and(|session| {
                let has_changed = session.look_whether_heard();
                anybody_waits |= session.is_unheard;
                session.congestion.resume_if_due(now) | has_changed
            });
            if changes {
                changed.push(key);
            }
        }
        self.refill(now, &changed);
        let flows = self.media_at.is_some_and(|at| now.since(at) < FLOWS);
        self.next_tick = match (flows, anybody_waits) {
            (true, _) => Some(now + TICK),
            (false, true) => Some(now + SLOW_TICK),
            (false, false) => None,
        };
    }

    fn rank_and_tell(&mut self, now: Time, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if !std::mem::take(&mut group.was_heard) && !group.has_told_talkers() {
            return;
        }
        if self.rank(now, id) {
            self.fill_slots(now, id);
        }
        let Some(group) = self.groups.get_mut(&id) else { return };
        let mut talkers: Vec<Talker> = group
            .seats
            .iter()
            .filter_map(|seat| self.streams.get(seat))
            .filter(|stream| stream.closed.is_none() && stream.loudness.speaks(now))
            .map(|stream| Talker { participant: stream.owner_id, level: stream.loudness.decibels(now) })
            .collect();
        talkers.sort_by_key(|talker| talker.level);
        talkers.truncate(group.heard());
        if !self.tells_of(id) {
            return;
        }
        let Some(group) = self.groups.get_mut(&id) else { return };
        let names: Vec<ParticipantId> = talkers.iter().map(|talker| talker.participant).collect();
        if group.is_news(now, &names) {
            // What control has had no room for is no news any more.
            self.reports.retain(|waits| !matches!(waits, MediaReport::Talkers { group, .. } if *group == id));
            self.reports.push_back(MediaReport::Talkers { group: id, talkers });
        }
    }

    /// Whether it is for this worker to tell of a group's talkers: of several, it is the one that has the
    /// member who is longest on this server.
    fn tells_of(&self, id: GroupId) -> bool {
        let Some(group) = self.groups.get(&id).filter(|group| !group.peers.is_empty()) else { return true };
        let members = group.members.iter().filter_map(|member| self.participants.get(*member));
        members.min_by_key(|member| member.id).is_none_or(|first| first.home.is_none())
    }

    /// Goes on asking for the keyframes that listeners wait for, for a stream may be silent until it
    /// is asked; answers whether anybody waits.
    fn ask_for_keyframes(&mut self, now: Time) -> bool {
        let mut anybody_waits = false;
        let keys: Vec<_> = self.streams.keys().collect();
        for key in keys {
            let Some(stream) = self.streams.get(key) else { continue };
            if stream.kind == Kind::Audio || stream.closed.is_some() || stream.routes.is_empty() {
                continue;
            }
            let fresh = stream.next_fresh();
            let waits = stream.keyframes.is_wanted()
                || stream.routes.iter().any(|route| {
                    let session = self.participants.get(route.listener).and_then(|one| one.session.as_ref());
                    session.filter(|session| session.is_up).is_some_and(|session| {
                        let slot = session.slots.get(route.slot);
                        let binding = slot.and_then(|slot| slot.binding.as_ref());
                        binding.is_some_and(|binding| binding.awaits_keyframe(fresh))
                    })
                });
            if waits {
                anybody_waits = true;
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.keyframes.want();
                }
            }
            self.ask_homes(now, key);
        }
        anybody_waits
    }
}
