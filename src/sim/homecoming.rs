//! Who is brought back hears the parent room again, and soon.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::placements::Standing;
use super::violation::Invariant;
use super::world::Simulation;
use crate::base::{ClientId, Time};
use crate::client::Participant;
use crate::message::Frame;

/// How soon something of the parent room has to be on its way.
const SOON: Duration = Duration::from_millis(500);
/// A voice counts that has been there, and heard, for so long ..
const STEADY: Duration = Duration::from_secs(1);
/// .. and in the room for so long, so that nothing of it is in flight.
const LANDED: Duration = Duration::from_secs(6);
/// .. and of which so many packets came since: most of what is sent in [`SOON`].
const AUDIBLE: u64 = 20;
/// Workers that crash or are stuck take voices with them for this long.
const DISTURBED: Duration = Duration::from_secs(8);
/// People who are brought back at the same time.
const MOST: usize = 1_024;

/// Somebody who was just brought back.
#[derive(Debug)]
struct Return {
    person: usize,
    since: Time,
    standing: Standing,
    /// What of everybody had come by then.
    arrived: Vec<u64>,
    /// Whom it has heard since.
    heard: BTreeSet<ClientId>,
}

/// Everybody who was just brought back.
#[derive(Debug)]
pub(super) struct Homecoming {
    returns: Vec<Return>,
    disturbed: Time,
}

impl Homecoming {
    /// Nobody has been away.
    pub(super) const fn new(start: Time) -> Self {
        Self { returns: Vec::new(), disturbed: start }
    }

    /// Somebody hears somebody.
    pub(super) fn heard(&mut self, person: usize, publisher: ClientId) {
        for home in self.returns.iter_mut().filter(|home| home.person == person) {
            home.heard.insert(publisher);
        }
    }

    /// A worker crashes, is stuck or fenced.
    pub(super) const fn disturbed(&mut self, now: Time) {
        self.disturbed = now;
    }
}

impl Simulation {
    /// If a frame says that somebody was brought back, it is to hear something.
    pub(super) fn expect_home(&mut self, at: usize, frame: &Frame) {
        let Frame::Event { event: "didDisconnectedBreakoutRoom", data, .. } = frame else { return };
        let reason = data.get("reason").and_then(Value::as_str);
        if !matches!(reason, Some("cleared" | "destroyed")) || self.homecoming.returns.len() >= MOST {
            return;
        }
        let Some(person) = self.people.get(at) else { return };
        let is_up = person.participant.as_ref().is_some_and(Participant::is_up);
        let standing = person.id.and_then(|id| self.judge.placements.standing(id));
        let Some(standing) = standing.filter(|standing| is_up && standing.placed_at <= self.now) else {
            return;
        };
        let arrived = self.people.iter().map(|person| person.arrived).collect();
        let heard = BTreeSet::new();
        self.homecoming.returns.push(Return { person: at, since: self.now, standing, arrived, heard });
    }

    /// Looks at those whose time is over.
    pub(super) fn check_homecomings(&mut self) {
        let now = self.now;
        let mut due = Vec::new();
        self.homecoming.returns.retain_mut(|home| {
            let is_due = home.since + SOON <= now;
            if is_due {
                let (arrived, heard) = (std::mem::take(&mut home.arrived), std::mem::take(&mut home.heard));
                due.push(Return { arrived, heard, ..*home });
            }
            !is_due
        });
        let is_calm = self.homecoming.disturbed + DISTURBED <= now;
        for home in due.into_iter().filter(|_| is_calm) {
            let Some(voice) = self.steady_voice(&home) else { continue };
            self.judge.violations.checked(Invariant::I6, 1);
            let client = self.people.get(voice).and_then(|voice| voice.client);
            if client.is_some_and(|client| !home.heard.contains(&client)) {
                self.judge.violations.note(now, Invariant::I6, || {
                    format!(
                        "person {} was brought back {:?} ago and does not hear person {voice}",
                        home.person,
                        now.since(home.since)
                    )
                });
            }
        }
    }

    /// Somebody whom this one has to have heard since; nothing if that is not certain.
    fn steady_voice(&self, home: &Return) -> Option<usize> {
        let standing = |at: usize| self.people.get(at)?.id.and_then(|id| self.judge.placements.standing(id));
        let listener = self.people.get(home.person)?;
        let stays = standing(home.person)
            .is_some_and(|now| (now.group, now.placed_at) == (home.standing.group, home.standing.placed_at));
        let is_reached = listener.port_since + LANDED <= home.since
            && listener.reached_since.is_some_and(|since| since <= home.since)
            && !listener.down.was_out(home.since)
            && !listener.up.was_out(home.since);
        if !stays || !is_reached || !listener.participant.as_ref().is_some_and(Participant::is_up) {
            return None;
        }
        let talks = |at: &usize| {
            let (Some(person), Some(before)) = (self.people.get(*at), home.arrived.get(*at)) else {
                return false;
            };
            let is_steady = standing(*at).is_some_and(|standing| {
                standing.group == home.standing.group
                    && standing.placed_at + LANDED <= home.since
                    && standing.heard_since.is_some_and(|since| since + STEADY <= home.since)
            });
            *at != home.person
                && person.port_since + LANDED <= home.since
                && !person.up.was_out(home.since)
                && person.reached_since.is_some_and(|since| since + STEADY <= home.since)
                && is_steady
                && person.is_talking
                && person.has_sent
                && person.talks_since + STEADY <= home.since
                && person.arrived - before >= AUDIBLE
        };
        (0..self.people.len()).find(talks)
    }
}
