//! The event log of one session: every change in order, and who was told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::plant::{self, Plant};
use crate::base::{ClientId, Time};
use crate::message::Event;

/// How many events a session keeps for replay.
const MAX_EVENTS: usize = 10_000;

/// How long it keeps them.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Who is told of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Nobody; the change counts all the same.
    Nobody,
    /// Everybody who had a seat before the event.
    Everyone,
    /// These seats, in ascending order.
    Only(Arc<[ClientId]>),
}

impl Audience {
    /// These seats, but for one. A seat named twice is told once.
    pub(super) fn of(clients: impl IntoIterator<Item = ClientId>, except: Option<ClientId>) -> Self {
        let mut clients: Vec<ClientId> =
            clients.into_iter().filter(|client| Some(*client) != except).collect();
        clients.sort_unstable();
        clients.dedup();
        if clients.is_empty() { Self::Nobody } else { Self::Only(clients.into()) }
    }

    pub(super) fn one(client: ClientId) -> Self {
        Self::Only(Arc::new([client]))
    }

    /// Whether a seat that was taken with the event `since` is told of the event `seq`.
    pub(super) fn includes(&self, client: ClientId, since: u64, seq: u64) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everyone => since < seq,
            Self::Only(clients) => since < seq && clients.binary_search(&client).is_ok(),
        }
    }
}

/// One change of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// Its number: 1 is the session's first, and there are no gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub event: Event,
    /// Who was told.
    pub audience: Audience,
}

#[derive(Default)]
pub(super) struct EventLog {
    entries: VecDeque<LoggedEvent>,
    last: u64,
}

impl EventLog {
    /// The number of the last event; 0 before the first.
    pub(super) const fn seq(&self) -> u64 {
        self.last
    }

    /// Goes on behind a number, of whose events nothing is known any more.
    pub(super) fn go_on_after(&mut self, seq: u64) {
        self.last = seq;
    }

    pub(super) fn push(&mut self, at: Time, event: Event, audience: Audience) -> u64 {
        self.last += if plant::is(Plant::EventGap) && self.last % 64 == 63 { 2 } else { 1 };
        self.entries.push_back(LoggedEvent { seq: self.last, at, event, audience });
        self.last
    }

    /// Takes out the oldest event if it is one too many or too old.
    pub(super) fn pop_outdated(&mut self, now: Time) -> Option<LoggedEvent> {
        let outdated = self.entries.len() > MAX_EVENTS
            || self.entries.front().is_some_and(|entry| now.since(entry.at) > KEPT_FOR);
        if outdated { self.entries.pop_front() } else { None }
    }

    /// The number of the oldest event kept; of the next event if none is.
    pub(super) fn first(&self) -> u64 {
        self.entries.front().map_or(self.last + 1, |entry| entry.seq)
    }

    /// The events kept, oldest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &LoggedEvent> {
        self.entries.iter()
    }

    /// The events from a number on, oldest first.
    pub(super) fn from(&self, seq: u64) -> impl Iterator<Item = &LoggedEvent> {
        let skip = usize::try_from(seq.saturating_sub(self.first())).unwrap_or(usize::MAX);
        self.entries.range(skip.min(self.entries.len())..)
    }
}
