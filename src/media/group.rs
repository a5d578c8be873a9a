//! One group: who is in it and who is heard.

use std::time::Duration;

use super::participant::Participant;
use super::slab::Key;
use super::talkers::Seats;
use crate::base::{GroupId, KindSet, ParticipantId, Time, WorkerId};
use crate::message::GroupSettings;

/// The least time between two reports of talkers.
const TALKERS_INTERVAL: Duration = Duration::from_millis(200);
/// What control allows: 1..=16.
const MAX_TALKERS: u8 = 16;

/// One group.
pub(super) struct Group {
    pub(super) settings: GroupSettings,
    /// In the order of their coming.
    pub(super) members: Vec<Key<Participant>>,
    /// The other workers that have members in it, and how many.
    pub(super) peers: Vec<(WorkerId, usize)>,
    pub(super) seats: Seats,
    /// Whether packets came since the last ranking.
    pub(super) was_heard: bool,
    told: Vec<ParticipantId>,
    told_at: Option<Time>,
}

impl Group {
    /// An empty group.
    pub(super) fn new(settings: GroupSettings) -> Self {
        Self {
            settings,
            members: Vec::new(),
            peers: Vec::new(),
            seats: Seats::default(),
            was_heard: false,
            told: Vec::new(),
            told_at: None,
        }
    }

    /// Adds a member; `home` is the worker whose its connection is, if that is another.
    pub(super) fn add(&mut self, member: Key<Participant>, home: Option<WorkerId>) {
        self.members.push(member);
        let Some(home) = home else { return };
        match self.peers.iter_mut().find(|(worker, _)| *worker == home) {
            Some((_, members)) => *members += 1,
            None => self.peers.push((home, 1)),
        }
    }

    /// Takes a member out.
    pub(super) fn remove(&mut self, member: Key<Participant>, home: Option<WorkerId>) {
        self.members.retain(|known| *known != member);
        if let Some((_, members)) = self.peers.iter_mut().find(|(worker, _)| Some(*worker) == home) {
            *members = members.saturating_sub(1);
            self.peers.retain(|(_, members)| *members > 0);
        }
    }

    /// A group that somebody was put into before control told what it is like: nothing flows in it.
    pub(super) fn unknown(group: GroupId) -> Self {
        Self::new(GroupSettings { group, max_active_talkers: MAX_TALKERS, blocked: KindSet::ALL })
    }

    /// How many talkers a member hears at once.
    pub(super) fn heard(&self) -> usize {
        usize::from(self.settings.max_active_talkers.clamp(1, MAX_TALKERS))
    }

    /// Whether these talkers, loudest first, are to be told now: others than the last, or another one
    /// in front, and not too soon.
    pub(super) fn is_news(&mut self, now: Time, talkers: &[ParticipantId]) -> bool {
        let same = self.told.len() == talkers.len()
            && self.told.first() == talkers.first()
            && talkers.iter().all(|talker| self.told.contains(talker));
        if same || self.told_at.is_some_and(|told| now.since(told) < TALKERS_INTERVAL) {
            return false;
        }
        self.told = talkers.to_vec();
        self.told_at = Some(now);
        true
    }

    /// Whether somebody is told to talk.
    pub(super) fn has_told_talkers(&self) -> bool {
        !self.told.is_empty()
    }
}
