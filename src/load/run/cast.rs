//! Who takes part in a run from its beginning to its end.

use std::sync::Arc;

use futures_util::future::join_all;

use super::super::generator::Orders;
use super::super::load_report::LoadReport;
use super::super::scenario::Scenario;
use super::super::servers::{Attendee, Newcomer, Target};
use super::stage::Stage;
use super::{LoadError, failed, say};
use crate::base::{Kind, Random};
use crate::client::{ParticipantSettings, ServerKind};

/// Participants who join at the same time.
const JOINING_AT_ONCE: usize = 32;
/// Requests that are under way at the same time.
const ASKING_AT_ONCE: usize = 64;

/// The people, publishers of all rooms first; then those who listen, dealt round.
pub(super) struct Cast {
    scenario: Scenario,
    target: Arc<dyn Target>,
    orders: Orders,
    seed: Random,
    people: Vec<Box<dyn Attendee>>,
}

impl Cast {
    pub(super) fn new(scenario: &Scenario, target: Arc<dyn Target>, orders: Orders) -> Self {
        let seed = Random::from_number(orders.clock().now().as_micros());
        Self { scenario: scenario.clone(), target, orders, seed, people: Vec::new() }
    }

    pub(super) fn people(&self) -> &[Box<dyn Attendee>] {
        &self.people
    }

    pub(super) fn target(&self) -> Arc<dyn Target> {
        Arc::clone(&self.target)
    }

    /// What the acts play on.
    pub(super) fn stage(&self) -> Stage<'_> {
        Stage::new(&self.scenario, &self.people, self.orders.clone())
    }

    /// Brings everybody in and starts what they publish. Other servers offer a listener what is
    /// published when it comes, Anteroom slots for whatever there will be.
    pub(super) async fn bring_in(&mut self) -> Result<(), LoadError> {
        let (rooms, each) = (self.scenario.people.rooms, self.scenario.publishers_per_room());
        let publishers = (0..rooms).flat_map(|room| (0..each).map(move |number| (room, Some(number))));
        let listeners = (0..self.scenario.people.participants).map(|number| (number % rooms, None));
        say(&format!("{} participants join", self.scenario.people.participants + rooms * each));
        let publishes_first = self.target.kind() == ServerKind::Other;
        self.join_all(publishers.collect()).await?;
        if publishes_first {
            self.start_publishing().await?;
        }
        self.join_all(listeners.collect()).await?;
        if !publishes_first {
            self.start_publishing().await?;
        }
        let heard = self.scenario.talking();
        for person in self.people.iter().skip(rooms * each) {
            person.hears(heard).await.map_err(|error| failed(person.as_ref(), error))?;
        }
        Ok(())
    }

    /// Brings in some, each with its room and its number as a publisher, and waits for their media.
    async fn join_all(&mut self, newcomers: Vec<(usize, Option<usize>)>) -> Result<(), LoadError> {
        let before = self.people.len();
        for group in newcomers.chunks(JOINING_AT_ONCE) {
            let first = self.people.len();
            let (orders, target) = (&self.orders, self.target.as_ref());
            let (seed, scenario) = (&mut self.seed, &self.scenario);
            let joining = group.iter().zip(first..).map(|((room, publisher), id)| {
                let settings = settings(scenario, target.kind(), publisher.is_some());
                let (room, publisher, random) = (*room, *publisher, seed.fork());
                let newcomer = Newcomer { id, room, publisher, settings, random, began: None };
                let who = newcomer.name();
                async move {
                    let joined = target.join(newcomer, orders).await;
                    joined.map_err(|error| LoadError::Person { who, error })
                }
            });
            for joined in join_all(joining).await {
                self.people.push(joined?);
            }
        }
        for person in self.people.iter().skip(before) {
            person.connected().await.map_err(|error| failed(person.as_ref(), error))?;
        }
        Ok(())
    }

    /// Those start who publish at first.
    async fn start_publishing(&self) -> Result<(), LoadError> {
        let stage = self.stage();
        for room in stage.rooms() {
            let talking = stage.talkers(room).iter().take(self.scenario.talking());
            let first = talking.map(|person| (person, Kind::Audio));
            for (person, kind) in first.chain(stage.presenters(room).iter().take(1).map(|p| (p, Kind::Share)))
            {
                person.publish(kind, true).await.map_err(|error| failed(person.as_ref(), error))?;
            }
        }
        Ok(())
    }

    /// Nobody publishes any more.
    pub(super) async fn fall_silent(&self) -> Result<(), LoadError> {
        let stage = self.stage();
        for room in stage.rooms() {
            let talkers = stage.talkers(room).iter().map(|person| (person, Kind::Audio));
            let presenters = stage.presenters(room).iter().map(|person| (person, Kind::Share));
            for (person, kind) in talkers.chain(presenters) {
                person.publish(kind, false).await.map_err(|error| failed(person.as_ref(), error))?;
            }
        }
        Ok(())
    }

    /// Lets everybody go and adds what they found.
    pub(super) async fn gather(&mut self, report: &mut LoadReport) {
        let publishers = self.scenario.publishers();
        let expected = match self.target.kind() {
            ServerKind::Anteroom => 0,
            ServerKind::Other => self.scenario.publishers_per_room(),
        };
        let mut people = std::mem::take(&mut self.people).into_iter().enumerate().peekable();
        let mut moves = Vec::new();
        while people.peek().is_some() {
            let leaving: Vec<_> = people.by_ref().take(ASKING_AT_ONCE).collect();
            let leaving =
                leaving.into_iter().map(|(number, person)| async move { (number, person.finish().await) });
            for (number, finished) in join_all(leaving).await {
                let listens = number >= publishers;
                match finished {
                    Ok(found) => {
                        moves.extend(found.iter().flat_map(|found| found.first_packets.iter().copied()));
                        let heard: usize = found.iter().map(|found| found.publishers).sum();
                        if listens && heard < expected {
                            report.problem(format!("participant {number} heard {heard} of {expected}"));
                        }
                        found.iter().for_each(|found| report.add(found));
                        if listens && publishers > 0 && found.iter().all(|found| found.received == 0) {
                            report.problem(format!("participant {number} received nothing"));
                        }
                    }
                    Err(error) => report.cut_short(&format!("participant {number}"), error),
                }
            }
        }
        report.add_moves(&moves);
    }
}

/// What a participant is like.
pub(super) fn settings(scenario: &Scenario, server: ServerKind, publishes: bool) -> ParticipantSettings {
    let usual = ParticipantSettings { server, ..ParticipantSettings::default() };
    let (audio, video) = (scenario.sound_pattern(), scenario.share_pattern());
    if server == ServerKind::Other {
        // Such a server has a line for each stream: here it is one to send on or one to listen to.
        let kind = scenario.only_kind().unwrap_or(Kind::Audio);
        let sends = if publishes { vec![kind] } else { Vec::new() };
        let lines = usize::from(!publishes);
        let (audio_slots, video_slots) = if kind.is_video() { (0, lines) } else { (lines, 0) };
        return ParticipantSettings { sends, audio_slots, video_slots, audio, video, ..usual };
    }
    // Publishers only publish, so that what is received is listeners times what is sent.
    let (audio_slots, video_slots) =
        if publishes { (0, 0) } else { (scenario.audio_slots(), usual.video_slots) };
    ParticipantSettings { audio_slots, video_slots, audio, video, ..usual }
}
