//! What happens to a server besides moves: late commands, stuck workers, slow readers, impostors, and
//! people who ask for what is not theirs. Its randomness is its own, so that a storm stays as it is
//! without it.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::event::{Event, Uplink};
use super::person::Person;
use super::world::{Phase, ROOM, Simulation};
use crate::base::{Random, Time};
use crate::message::{MediaCommand, Method};

/// Commands that may come once more.
const MOST_COMMANDS: usize = 256;
/// Of so many connections one is an impostor's.
const IMPOSTORS: u64 = 40;
/// People who are moderators for a while.
const MOST_RAISED: usize = 2;

/// What is needed to make trouble.
pub(super) struct Trouble {
    pub(super) random: Random,
    commands: VecDeque<(usize, MediaCommand)>,
    raised: VecDeque<usize>,
}

impl Trouble {
    pub(super) fn new(seed: u64) -> Self {
        let random = Random::from_number(seed ^ 0x7_2007);
        Self { random, commands: VecDeque::new(), raised: VecDeque::new() }
    }

    /// A worker has applied a command.
    pub(super) fn remember(&mut self, worker: usize, command: MediaCommand) {
        if !matches!(command, MediaCommand::Move { .. } | MediaCommand::Revoke { .. }) {
            return;
        }
        if self.commands.len() >= MOST_COMMANDS {
            self.commands.pop_front();
        }
        self.commands.push_back((worker, command));
    }

    /// Whether somebody comes with another certificate than it says.
    pub(super) fn sends_an_impostor(&mut self, phase: Phase, is_on: bool) -> bool {
        is_on && phase == Phase::Storm && self.random.below(IMPOSTORS) == 0
    }

    /// Whether new rooms let in only whom somebody invites.
    pub(super) fn closes_rooms(&mut self, is_on: bool) -> bool {
        is_on && self.random.below(4) == 0
    }

    /// When somebody who asks for a move asks for another connection as well, if ever.
    pub(super) fn connects_anew_after(&mut self, is_on: bool) -> Option<Duration> {
        let is_one = is_on && self.random.below(8) == 0;
        is_one.then(|| Duration::from_micros(self.random.below(40_000)))
    }

    /// Whether somebody asks after a move for what was before it.
    pub(super) fn asks_again(&mut self, is_on: bool) -> bool {
        is_on && self.random.below(4) == 0
    }
}

impl Simulation {
    /// Something goes wrong, or somebody tries something.
    pub(super) fn make_trouble(&mut self) {
        match self.trouble.random.below(1_000) {
            0..40 => self.say_again(),
            40..46 => {
                let workers = u64::try_from(self.server.nodes.len()).unwrap_or(1);
                let at = usize::try_from(self.trouble.random.below(workers)).unwrap_or(0);
                let how_long = Duration::from_millis(100 + self.trouble.random.below(2_900));
                self.get_stuck(at, how_long);
            }
            46..53 => self.detach(),
            53..63 => self.read_slowly(),
            63..83 => self.ask_for_a_role(),
            83..93 => self.raise_or_lower(),
            93..153 => {
                if let Some(participant) = self.somebody().and_then(|at| self.people.get_mut(at)) {
                    participant.participant.iter_mut().for_each(crate::client::Participant::ask_again);
                }
            }
            _ => {}
        }
    }

    fn somebody(&mut self) -> Option<usize> {
        let people = u64::try_from(self.people.len()).unwrap_or(0);
        let at = usize::try_from(self.trouble.random.below(people)).ok()?;
        self.people.get(at).filter(|person| person.is_here()).map(|person| person.index)
    }

    /// A command reaches its worker a second time, long after the first.
    fn say_again(&mut self) {
        let known = u64::try_from(self.trouble.commands.len()).unwrap_or(0);
        if known == 0 {
            return;
        }
        let at = usize::try_from(self.trouble.random.below(known)).unwrap_or(0);
        let Some((worker, command)) = self.trouble.commands.get(at).cloned() else { return };
        let Some(node) = self.server.nodes.get(worker) else { return };
        let (generation, command) = (node.generation, Box::new(command));
        self.at(self.now, Event::Command { worker, generation, command });
    }

    /// Somebody's link is lost; its media stays, and the link comes back to it.
    fn detach(&mut self) {
        let Some(at) = self.somebody() else { return };
        self.trace.line(self.now, format_args!("person {at} loses its link and keeps its media"));
        self.send_uplink(at, Uplink::Closed);
        let Some(person) = self.people.get_mut(at) else { return };
        person.unlink();
        person.uplink_free = Time(0);
        person.participant.iter_mut().for_each(crate::client::Participant::lose_track);
        let away = Duration::from_millis(100 + self.trouble.random.below(1_900));
        self.after(away, Event::Reattach { person: at });
    }

    /// A link comes back to a seat whose media has never been away.
    pub(super) fn reattach(&mut self, at: usize) {
        let Some(person) = self.people.get(at).filter(|person| person.link.is_none()) else { return };
        let Some(resume) = person.resume.clone().filter(|_| person.participant.is_some()) else {
            return self.come(at);
        };
        self.open_link(at);
        self.request(at, Method::JoinRoom, json!({"resume": resume}));
    }

    /// Somebody who is here makes another media connection.
    pub(super) fn connect_anew(&mut self, at: usize) {
        if self.people.get(at).is_some_and(Person::is_here) {
            self.reconnect_media(at);
        }
    }

    /// What somebody is sent on its link comes late for a while.
    fn read_slowly(&mut self) {
        let Some(at) = self.somebody() else { return };
        let late = Duration::from_millis(self.trouble.random.below(2_500));
        if let Some(person) = self.people.get_mut(at) {
            person.downlink_free = person.downlink_free.max(self.now + late);
        }
    }

    /// Somebody wants to be a moderator who is none.
    fn ask_for_a_role(&mut self) {
        let Some(at) = self.somebody().filter(|at| !self.trouble.raised.contains(at)) else { return };
        let Some(person) = self.people.get(at).filter(|person| !person.is_moderator) else { return };
        let params = json!({"clientId": person.client, "role": "moderator"});
        self.request(at, Method::SetRole, params);
    }

    /// A moderator makes somebody a moderator, or a participant again.
    fn raise_or_lower(&mut self) {
        let moderators = self.moderators();
        let Some(by) = moderators.first().copied() else { return };
        let (at, role) = match self.trouble.raised.pop_front_if(|_| true) {
            Some(at) => (Some(at), "participant"),
            None => (self.somebody(), "moderator"),
        };
        let is_other = |at: &usize| self.people.get(*at).is_some_and(|person| !person.is_moderator);
        let Some(at) = at.filter(is_other) else { return };
        let client =
            self.people.get(at).filter(|person| person.room == ROOM).and_then(|person| person.client);
        if role == "moderator" && self.trouble.raised.len() < MOST_RAISED {
            self.trouble.raised.push_back(at);
        }
        self.request(by, Method::SetRole, json!({"clientId": client, "role": role}));
    }

    /// A NAT gives somebody another port.
    pub(super) fn bind_anew(&mut self) {
        let Some(at) = self.anybody(|_, _| true) else { return };
        if let Some(person) = self.people.get_mut(at) {
            person.next_port(self.now);
        }
    }

    /// Nothing of somebody's media gets through for a while. On uneven networks it waits on its way instead.
    pub(super) fn go_out(&mut self) {
        let Some(at) = self.anybody(|_, _| true) else { return };
        let millis = 100 + self.storm.random.below(3_000);
        if self.options.first_words {
            return self.hold_up(at, millis);
        }
        let until = self.now + Duration::from_millis(millis);
        if let Some(person) = self.people.get_mut(at) {
            person.up.go_out(until);
            person.down.go_out(until);
        }
    }

    /// Who asks for a move has just begun to wait for its network, seldom.
    pub(super) fn hold_up_who_moves(&mut self, at: usize) {
        if self.trouble.random.below(16) == 0 {
            let millis = 100 + self.trouble.random.below(3_000);
            self.hold_up(at, millis);
        }
    }

    fn hold_up(&mut self, at: usize, millis: u64) {
        let until = self.now + Duration::from_millis(millis * 3 / 2);
        let Some(person) = self.people.get_mut(at) else { return };
        for way in [&mut person.up, &mut person.down] {
            way.hold_up(until, millis % 13 * 300);
        }
    }
}
