//! A simulated world that follows a script instead of a storm.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::options::SimulationOptions;
use super::world::{Phase, Simulation, SimulationError};
use crate::base::{ClientId, Kind};
use crate::client::TimeAnchor;
use crate::message::Method;

/// Answers that are kept.
const MOST_ANSWERS: usize = 1 << 14;
/// A step of time while something is waited for.
const STEP: Duration = Duration::from_millis(20);

/// What a script needs to know.
#[derive(Debug, Default)]
pub(super) struct Story {
    answers: BTreeMap<(usize, String), Value>,
    is_told: bool,
}

impl Story {
    /// A request was answered.
    pub(super) fn answered(&mut self, person: usize, id: &str, data: &Value) {
        if self.is_told && self.answers.len() < MOST_ANSWERS {
            self.answers.insert((person, id.to_owned()), data.clone());
        }
    }
}

impl Simulation {
    /// A world in which only that happens which a script asks for. Everybody comes by itself.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn story(options: SimulationOptions, anchor: TimeAnchor) -> Result<Self, SimulationError> {
        let mut world = Self::new(SimulationOptions { trouble: false, ..options }, anchor)?;
        world.storm.is_told = true;
        world.story.is_told = true;
        world.judge.hearing = Some(BTreeSet::new());
        Ok(world)
    }

    /// Lets time pass until something is so; answers whether it came to be.
    pub fn wait_for(&mut self, patience: Duration, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let end = self.elapsed() + patience;
        while !is_so(self) {
            if self.elapsed() >= end || !self.advance(STEP) {
                return false;
            }
        }
        true
    }

    /// Whether somebody has its seat, its link and its media.
    #[must_use]
    pub fn is_here(&self, person: usize) -> bool {
        self.people.get(person).is_some_and(super::person::Person::is_here)
    }

    /// Somebody asks for something; answers the request's id.
    pub fn ask(&mut self, person: usize, method: Method, params: Value) -> Option<String> {
        self.request(person, method, params).then_some(())?;
        self.people.get(person).map(|person| person.next_request.to_string())
    }

    /// What a request was answered.
    #[must_use]
    pub fn answer(&self, person: usize, id: &str) -> Option<&Value> {
        self.story.answers.get(&(person, id.to_owned()))
    }

    /// Who somebody is in the meeting.
    #[must_use]
    pub fn client(&self, person: usize) -> Option<ClientId> {
        self.people.get(person)?.client
    }

    /// The room whose slots somebody was told last.
    #[must_use]
    pub fn room(&self, person: usize) -> &str {
        self.people.get(person).map_or("", |person| &person.room)
    }

    /// Somebody talks, or falls silent.
    pub fn talk(&mut self, person: usize, is_talking: bool) {
        self.set_talking(person, is_talking);
    }

    /// Somebody sends so many times as many packets of a kind.
    pub fn hurry(&mut self, person: usize, kind: Kind, factor: f64) {
        let participant = self.people.get_mut(person).and_then(|person| person.participant.as_mut());
        participant.into_iter().for_each(|participant| participant.set_rate_of(kind, factor));
        self.pump(person);
    }

    /// Somebody's link and media are lost; it comes back a while later.
    pub fn lose(&mut self, person: usize, back_after: Duration) {
        self.drop_link(person, back_after);
    }

    /// A worker crashes.
    pub fn crash_worker(&mut self, worker: usize) {
        self.crash(worker);
    }

    /// A worker does nothing for a while.
    pub fn hang_worker(&mut self, worker: usize, how_long: Duration) {
        self.get_stuck(worker, how_long);
    }

    /// Who heard or saw whom since the last look.
    pub fn take_hearing(&mut self) -> BTreeMap<usize, BTreeSet<(usize, Kind)>> {
        let heard = self.judge.hearing.replace(BTreeSet::new()).unwrap_or_default();
        let mut hearing: BTreeMap<usize, BTreeSet<(usize, Kind)>> = BTreeMap::new();
        for (listener, publisher, kind) in heard {
            let person = self.people.iter().find(|person| person.client == Some(publisher));
            if let Some(person) = person {
                hearing.entry(listener).or_default().insert((person.index, kind));
            }
        }
        hearing
    }

    /// Brings the story to its end, with everything that is checked there; answers whether it came to it.
    pub fn end(&mut self, patience: Duration) -> bool {
        if self.phase == Phase::Storm {
            self.bring_back();
        }
        let end = self.elapsed() + patience;
        while self.advance(Duration::from_secs(1)) {
            if self.elapsed() >= end {
                return false;
            }
        }
        true
    }
}
