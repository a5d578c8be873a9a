//! The servers that a load test can be made against, with the same participants for all.

mod anteroom;
mod http;
mod janus;
mod janus_process;
mod janus_socket;
mod link;
mod whip;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;

pub(super) use anteroom::room_name;

use super::generator::{Addressing, Orders};
use super::options::{LoadOptions, TargetKind};
use super::person::PersonError;
use super::run::LoadError;
use super::scenario::Scenario;
use crate::base::{ClientId, Kind, Random, Time};
use crate::client::{ParticipantReport, ParticipantSettings, ServerKind};

/// Who comes to a load test, and how.
pub(super) struct Newcomer {
    /// Its number, from 0 in the order of joining.
    pub(super) id: usize,
    /// Its room, from 0.
    pub(super) room: usize,
    /// For a publisher, its number within its room.
    pub(super) publisher: Option<usize>,
    /// What it is like.
    pub(super) settings: ParticipantSettings,
    /// Its randomness.
    pub(super) random: Random,
    /// When its join began, where that was before it has its turn.
    pub(super) began: Option<Time>,
}

impl Newcomer {
    /// Its name, for people.
    pub(super) fn name(&self) -> String {
        let what = if self.publisher.is_some() { "Speaker" } else { "Listener" };
        format!("{what} {}", self.id)
    }
}

/// What comes of something that is asked of a server.
pub(super) type Outcome<'a, T> = BoxFuture<'a, Result<T, PersonError>>;

/// A server under load.
pub(super) trait Target: Send + Sync {
    /// Its name, its version and where it is.
    fn name(&self) -> String;

    /// Whose it is: whether it tells who is heard where.
    fn kind(&self) -> ServerKind;

    /// How its participants are told apart.
    fn addressing(&self) -> Addressing;

    /// Its process, where it is on this machine.
    fn pid(&self) -> Option<u32>;

    /// Brings somebody in. Publishers of a room come before its listeners.
    fn join<'a>(&'a self, newcomer: Newcomer, media: &'a Orders) -> Outcome<'a, Box<dyn Attendee>>;

    /// Clears away what the test has made on a server that goes on without it.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Somebody who has joined.
pub(super) trait Attendee: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Waits until media can flow.
    fn connected(&self) -> Outcome<'_, ()>;

    /// Starts or stops publishing.
    fn publish(&self, kind: Kind, on: bool) -> Outcome<'_, ()>;

    /// Waits until the server says that it hears so many; at once where a server says nothing.
    fn hears(&self, publishers: usize) -> Outcome<'_, ()>;

    /// Asks for something that only Anteroom has; answers the ack's data.
    fn ask(&self, method: &'static str, params: Value) -> Outcome<'_, Value> {
        let _ = params;
        let answer = "this server has no breakout rooms".to_owned();
        futures_util::future::ready(Err(PersonError::Refused { method: method.to_owned(), answer })).boxed()
    }

    /// Waits until it is told that it is in a room.
    fn is_in<'a>(&'a self, room: &'a str) -> Outcome<'a, ()> {
        let _ = room;
        futures_util::future::ready(Ok(())).boxed()
    }

    /// Waits until it has heard something; answers how long after its join's begin that was.
    fn has_heard(&self) -> Outcome<'_, Duration> {
        let answer = "nobody asks this of other servers".to_owned();
        let refused = PersonError::Refused { method: "listening".to_owned(), answer };
        futures_util::future::ready(Err(refused)).boxed()
    }

    /// Its id on the server, where there are ids.
    fn client_id(&self) -> Option<ClientId> {
        None
    }

    /// Leaves, and answers what it found: a report for each of its connections.
    fn finish(self: Box<Self>) -> Outcome<'static, Vec<ParticipantReport>>;
}

/// Opens the target that the options name; starts it, if they say so.
///
/// # Errors
/// Where it does not start, or does not answer.
pub(super) async fn open(
    options: &LoadOptions,
    scenario: &Scenario,
    processor: Option<usize>,
) -> Result<Arc<dyn Target>, LoadError> {
    Ok(match options.target {
        TargetKind::Anteroom => Arc::new(anteroom::Anteroom::open(options, scenario, processor)?),
        TargetKind::Janus => Arc::new(janus::Janus::open(options, scenario.people.rooms, processor).await?),
        TargetKind::Whip => Arc::new(whip::Whip::open(options, scenario.publishers_per_room())),
    })
}
