//! What an act plays on: who is where, and until when.

use std::ops::Range;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

use super::super::generator::{HomeBy, Homecoming, Order, Orders};
use super::super::scenario::Scenario;
use super::super::servers::{Attendee, room_name};
use super::{LoadError, failed};
use crate::base::Time;
use crate::client::room_tag;
use crate::telemetry::Clock;

/// Requests that are under way at the same time.
const ASKING_AT_ONCE: usize = 64;

/// The people of a run, and how they are reached.
pub(super) struct Stage<'a> {
    pub(super) scenario: &'a Scenario,
    people: &'a [Box<dyn Attendee>],
    orders: Orders,
}

impl<'a> Stage<'a> {
    pub(super) fn new(scenario: &'a Scenario, people: &'a [Box<dyn Attendee>], orders: Orders) -> Self {
        Self { scenario, people, orders }
    }

    pub(super) fn clock(&self) -> Clock {
        self.orders.clock()
    }

    pub(super) fn orders(&self) -> &Orders {
        &self.orders
    }

    /// How many people there are.
    pub(super) fn count(&self) -> usize {
        self.people.len()
    }

    pub(super) fn rooms(&self) -> Range<usize> {
        0..self.scenario.people.rooms
    }

    /// Who talks in a room, if it is their turn.
    pub(super) fn talkers(&self, room: usize) -> &'a [Box<dyn Attendee>] {
        let talkers = self.scenario.sound.talkers;
        self.publishers(room).get(..talkers).unwrap_or_default()
    }

    /// Who shares a screen in a room, if it is their turn.
    pub(super) fn presenters(&self, room: usize) -> &'a [Box<dyn Attendee>] {
        let talkers = self.scenario.sound.talkers;
        self.publishers(room).get(talkers..).unwrap_or_default()
    }

    fn publishers(&self, room: usize) -> &'a [Box<dyn Attendee>] {
        let each = self.scenario.publishers_per_room();
        self.people.get(room * each..(room + 1) * each).unwrap_or_default()
    }

    /// Who may move others about in a room.
    pub(super) fn moderator(&self, room: usize) -> Result<&'a dyn Attendee, LoadError> {
        let first = self.publishers(room).first();
        first.map(AsRef::as_ref).ok_or_else(|| LoadError::Late(format!("room {room} has no moderator")))
    }

    /// The numbers of those who listen in a room.
    pub(super) fn listeners(&self, room: usize) -> impl Iterator<Item = usize> + use<'a> {
        (self.scenario.publishers() + room..self.people.len()).step_by(self.scenario.people.rooms.max(1))
    }

    pub(super) fn person(&self, number: usize) -> Result<&'a dyn Attendee, LoadError> {
        let person = self.people.get(number).map(AsRef::as_ref);
        person.ok_or_else(|| LoadError::Late(format!("there is no participant {number}")))
    }

    pub(super) async fn ask(
        &self,
        person: &dyn Attendee,
        method: &'static str,
        params: Value,
    ) -> Result<Value, LoadError> {
        person.ask(method, params).await.map_err(|error| failed(person, error))
    }

    /// Lets it be timed how long people wait for their parent room's media; the request that brings
    /// them home comes right behind.
    pub(super) async fn expect_home(&self, room: usize, ids: Vec<usize>, by: HomeBy) -> Time {
        let since = self.clock().now();
        let home = Homecoming { ids, room: room_tag(&room_name(room)), since, by };
        self.orders.give(Order::Homecoming(home)).await;
        since
    }

    /// Does something with many people at a time.
    ///
    /// # Errors
    /// The first one.
    pub(super) async fn each<F: Future<Output = Result<(), LoadError>>>(
        &self,
        all: impl Iterator<Item = F>,
    ) -> Result<(), LoadError> {
        let mut done = stream::iter(all).buffer_unordered(ASKING_AT_ONCE);
        while let Some(one) = done.next().await {
            one?;
        }
        Ok(())
    }
}

/// How often something is due that happens so many times a second; `None` for never.
pub(super) fn interval_of(per_second: f64) -> Option<Duration> {
    (per_second > 0.0).then(|| Duration::from_secs_f64(1.0 / per_second))
}
