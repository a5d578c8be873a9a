//! The workload: several moderators and everybody else ask for things at the same time, at random.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::Event;
use super::violation::Invariant;
use super::world::{Phase, ROOM, Simulation};
use crate::base::{Kind, Random};
use crate::message::Method;

/// Time between two steps.
const STEP: Duration = Duration::from_millis(120);
/// How many talk at once.
const TALKERS: usize = 3;
/// Breakout rooms that the storm keeps; a session may have 10.
const ROOMS: usize = 6;
/// Ids of rooms that are remembered, destroyed ones included.
const MOST_ROOMS: usize = 24;
/// How soon everybody says the same once all are back and no trouble is left.
const SETTLE: Duration = Duration::from_secs(1);
/// How long trouble may last after the storm.
const CALM: Duration = Duration::from_secs(30);
/// How long nobody says anything before counters have to add up.
const SILENCE: Duration = Duration::from_secs(3);
/// A room that nobody is in ends after a minute; a seat that is kept for nobody lasts half a minute.
const EMPTY: Duration = Duration::from_secs(100);

/// What the storm remembers.
pub(super) struct Storm {
    pub(super) random: Random,
    /// Rooms that somebody was told of; some may be gone.
    pub(super) rooms: Vec<String>,
    pub(super) steps: u64,
    /// The phase that begins next, and the step at which.
    turn_at: Option<(u64, Phase)>,
    /// The step at which the storm was over.
    over_at: u64,
    /// Nothing happens by itself: a story says what does.
    pub(super) is_told: bool,
    /// Somebody was told that all rooms are gone.
    pub(super) is_closed: bool,
}

impl Storm {
    pub(super) const fn new(random: Random) -> Self {
        Self {
            random,
            rooms: Vec::new(),
            steps: 0,
            turn_at: None,
            over_at: 0,
            is_told: false,
            is_closed: false,
        }
    }

    /// Somebody was told of a room.
    pub(super) fn learn(&mut self, room: &str) {
        if self.rooms.len() >= MOST_ROOMS {
            self.rooms.remove(0);
        }
        self.rooms.push(room.to_owned());
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(u64::try_from(bound).unwrap_or(0))).unwrap_or(0)
    }

    fn room(&mut self) -> Option<String> {
        let newest = self.rooms.len().saturating_sub(ROOMS);
        let at = newest + self.below(self.rooms.len() - newest);
        self.rooms.get(at).cloned()
    }
}

impl Simulation {
    /// The script goes on.
    pub(super) fn step(&mut self) {
        self.storm.steps += 1;
        match self.phase {
            Phase::Storm if self.storm.is_told => {}
            Phase::Storm => {
                self.pass_the_word();
                self.present();
                self.operate();
                if self.options.trouble {
                    self.make_trouble();
                }
                if self.moves() >= self.options.moves && !self.is_closing() {
                    self.bring_back();
                }
            }
            Phase::Settled => self.settle(),
            Phase::Done => return,
            _ => {}
        }
        if let Some((at, phase)) = self.storm.turn_at
            && self.storm.steps >= at
        {
            self.begin(phase);
        }
        self.after(STEP, Event::Step);
    }

    fn turn_to(&mut self, phase: Phase, after: Duration) {
        self.storm.turn_at = Some((self.storm.steps + steps_in(after), phase));
    }

    /// Ends the breakout rooms, and waits for agreement as soon as nothing is left of the storm's trouble.
    fn settle(&mut self) {
        // Who could bring everybody back may just have been away.
        if !self.storm.is_closed && !self.is_closing() {
            self.close();
        }
        if self.storm.turn_at.is_some() {
            return;
        }
        let is_late = self.storm.steps >= self.storm.over_at + steps_in(CALM);
        if is_late {
            let text = || format!("{CALM:?} after the storm not everybody is back");
            self.judge.violations.note(self.now, Invariant::I19, text);
        }
        let are_awake = self.server.nodes.iter().all(|node| node.backlog.is_none());
        let are_back = || self.people.iter().all(|person| person.is_here() && !person.is_told_late(self.now));
        if is_late || self.storm.is_closed && are_awake && are_back() {
            self.turn_to(Phase::Silent, SETTLE);
        }
    }

    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.storm.turn_at = None;
        match phase {
            Phase::Silent => {
                self.check_agreement();
                for at in 0..self.people.len() {
                    self.set_presenting(at, None);
                    self.speak(at);
                }
                self.turn_to(Phase::Empty, SILENCE);
            }
            Phase::Empty => {
                self.check(true);
                self.check_verdicts();
                for at in 0..self.people.len() {
                    self.request(at, Method::LeaveRoom, json!({}));
                }
                self.turn_to(Phase::Done, EMPTY);
            }
            Phase::Done => self.check_nothing_is_left(),
            Phase::Storm | Phase::Settled => {}
        }
    }

    /// The storm is over: everybody comes back to the parent room.
    pub(super) fn bring_back(&mut self) {
        self.phase = Phase::Settled;
        (self.storm.is_closed, self.storm.over_at) = (false, self.storm.steps);
        self.close();
    }

    fn close(&mut self) {
        for moderator in self.moderators() {
            self.request(moderator, Method::DestroyAllBreakOutSession, json!({}));
        }
    }

    /// Whether somebody waits for the answer to such a request.
    fn is_closing(&self) -> bool {
        self.people.iter().any(|person| person.is_asking(Method::DestroyAllBreakOutSession))
    }

    /// The moderators who are in the parent room and can ask.
    pub(super) fn moderators(&self) -> Vec<usize> {
        let people = self.people.iter().filter(|person| person.is_moderator && person.is_here());
        people.map(|person| person.index).collect()
    }

    /// Now and then somebody else talks.
    fn pass_the_word(&mut self) {
        let talking: Vec<usize> =
            self.people.iter().filter(|person| person.is_talking).map(|person| person.index).collect();
        // Most of what is said is said where most people are.
        let is_away = |at: &usize| self.people.get(*at).is_some_and(|person| person.room != ROOM);
        let away = talking.iter().copied().find(is_away).filter(|_| self.storm.below(6) == 0);
        if talking.len() >= TALKERS {
            let any = talking.get(self.storm.below(talking.len())).copied();
            let Some(stops) = away.or_else(|| any.filter(|_| self.storm.below(16) == 0)) else { return };
            self.set_talking(stops, false);
        }
        let starts = self.anybody(|person, storm| person.room == ROOM || storm.below(6) == 0);
        if let Some(starts) = starts {
            self.set_talking(starts, true);
        }
    }

    pub(super) fn set_talking(&mut self, at: usize, is_talking: bool) {
        if let Some(person) = self.people.get_mut(at) {
            person.is_talking = is_talking;
        }
        self.speak(at);
        self.pump(at);
    }

    /// Somebody in the parent room presents, nearly always.
    fn present(&mut self) {
        let in_parent = |person: &super::person::Person| person.room == ROOM && person.presents.is_some();
        let asks = |person: &super::person::Person| person.is_asking(Method::StartScreenShare);
        if self.people.iter().any(|person| in_parent(person) || asks(person)) {
            return;
        }
        if let Some(at) = self.anybody(|person, _| person.room == ROOM) {
            self.request(at, Method::StartScreenShare, json!({}));
        }
    }

    /// Somebody who is here and suits.
    pub(super) fn anybody(
        &mut self,
        suits: impl Fn(&super::person::Person, &mut Storm) -> bool,
    ) -> Option<usize> {
        for _ in 0..8 {
            let at = self.storm.below(self.people.len());
            let person = self.people.get(at)?;
            if person.is_here() && suits(person, &mut self.storm) {
                return Some(at);
            }
        }
        None
    }

    fn a_moderator(&mut self) -> Option<usize> {
        let moderators = self.moderators();
        moderators.get(self.storm.below(moderators.len())).copied()
    }

    /// One thing happens, sometimes several at once.
    fn operate(&mut self) {
        if self.storm.rooms.len() < ROOMS {
            if let Some(moderator) = self.a_moderator().filter(|_| self.storm.steps.is_multiple_of(4)) {
                self.create(moderator);
            }
            if self.storm.rooms.is_empty() {
                return;
            }
        }
        let away = self.people.iter().filter(|person| person.room != ROOM && person.is_seated).count();
        if away > self.people.len() / 4
            && let Some(at) = self.anybody(|person, _| person.room != ROOM)
        {
            self.request(at, Method::Disconnect, json!({}));
        }
        match self.storm.below(1_000) {
            0..380 => self.go_or_return(),
            380..520 => self.force(),
            520..640 => self.invite(),
            640..740 => self.move_while_moving(),
            740..760 => self.race_destroy(),
            760..790 => self.clear(),
            790..840 => self.pause_or_mute(),
            840..880 => self.switch(),
            880..920 => self.present_elsewhere(),
            920..935 => self.deal(),
            935..945 => self.lose_the_link(),
            945..950 => self.leave(),
            950..970 => self.bind_anew(),
            970..980 => self.go_out(),
            980..990 => self.list(),
            990 if self.storm.below(6) == 0 => {
                let worker = self.storm.below(self.server.nodes.len());
                self.crash(worker);
            }
            _ => {}
        }
    }

    fn create(&mut self, at: usize) {
        let rooms = 2 + self.storm.below(3);
        let is_open = !self.trouble.closes_rooms(self.options.trouble);
        let params = json!({
            "participants": 5, "max_rooms": rooms, "open": is_open,
            "audio": true, "video": false, "canvas": true, "share": true,
        });
        self.request(at, Method::CreateBreakOutRoom, params);
    }

    fn join(&mut self, at: usize, room: &str) {
        let role = if self.people.get(at).is_some_and(|person| person.is_moderator) {
            "moderator"
        } else {
            "participant"
        };
        let is_heard = self.storm.below(8) > 0;
        let params = json!({
            "role": role, "room_id": room,
            "streamInfo": {"audio": is_heard, "video": false, "share": true, "canvas": true},
        });
        self.request(at, Method::JoinBreakOutRoom, params);
    }

    fn go_or_return(&mut self) {
        let presents_seldom = |person: &super::person::Person, storm: &mut Storm| {
            person.presents.is_none() || storm.below(10) == 0
        };
        let Some(at) = self.anybody(presents_seldom) else { return };
        if self.people.get(at).is_some_and(|person| person.room != ROOM) {
            self.request(at, Method::Disconnect, json!({}));
        } else if let Some(room) = self.storm.room() {
            self.join(at, &room);
        }
    }

    fn some_people(&mut self, most: usize) -> Vec<Value> {
        let count = 1 + self.storm.below(most);
        let chosen = (0..count)
            .filter_map(|_| self.anybody(|person, _| person.room == ROOM && person.presents.is_none()));
        let chosen: Vec<usize> = chosen.collect();
        let client = |at: &usize| self.people.get(*at)?.client.map(|client| json!(client));
        chosen.iter().filter_map(client).collect()
    }

    fn force(&mut self) {
        let (clients, Some(room)) = (self.some_people(4), self.storm.room()) else { return };
        let Some(moderator) = self.a_moderator() else { return };
        let params = json!({"clients": clients, "room_id": room, "force_join": true});
        self.request(moderator, Method::InviteToBreakOutRoom, params);
    }

    fn invite(&mut self) {
        let (clients, Some(room)) = (self.some_people(5), self.storm.room()) else { return };
        let Some(moderator) = self.a_moderator() else { return };
        let expires_in = self.storm.below(3);
        let params = json!({"clients": clients, "room_id": room, "expires_in": expires_in});
        self.request(moderator, Method::InviteToBreakOutRoom, params);
    }

    /// A person is invited: it comes, or turns the invitation down, or does nothing.
    pub(super) fn invited(&mut self, at: usize, room: String) {
        if self.phase != Phase::Storm || self.storm.is_told {
            return;
        }
        match self.storm.below(4) {
            0 | 1 => self.join(at, &room),
            2 => {
                self.request(at, Method::RejectBreakOutRoom, json!({"room_id": room}));
            }
            _ => {}
        }
    }

    fn move_while_moving(&mut self) {
        let Some(at) = self.anybody(|person, _| person.presents.is_none()) else { return };
        for _ in 0..2 + self.storm.below(3) {
            match (self.storm.below(2), self.storm.room()) {
                (0, Some(room)) => self.join(at, &room),
                _ => {
                    self.request(at, Method::Disconnect, json!({}));
                }
            }
        }
    }

    /// People join while one or several moderators destroy the rooms.
    fn race_destroy(&mut self) {
        for _ in 0..3 {
            let joins = self.anybody(|person, _| person.room == ROOM && person.presents.is_none());
            if let (Some(at), Some(room)) = (joins, self.storm.room()) {
                self.join(at, &room);
            }
        }
        for moderator in self.moderators().into_iter().take(2) {
            self.request(moderator, Method::DestroyAllBreakOutSession, json!({}));
        }
    }

    fn clear(&mut self) {
        if let Some(moderator) = self.a_moderator() {
            self.request(moderator, Method::ClearAllBreakOutSession, json!({}));
        }
    }

    /// The room, or an own leg, is paused or muted, and goes on a moment later.
    fn pause_or_mute(&mut self) {
        let Some(at) = self.a_moderator() else { return };
        let scope = if self.storm.below(3) > 0 { json!("room") } else { Value::Null };
        if self.storm.below(2) == 0 {
            self.request(at, Method::Pause, json!({"scope": scope}));
            self.request(at, Method::Resume, json!({"scope": scope}));
        } else {
            self.request(at, Method::MuteRoom, json!({"scope": scope, "audio": true, "video": true}));
            self.request(at, Method::UnmuteRoom, json!({"scope": scope}));
        }
    }

    /// Somebody's microphone goes off or on.
    fn switch(&mut self) {
        let Some(at) = self.anybody(|_, _| true) else { return };
        let on = self.storm.below(3) > 0;
        self.request(at, Method::SetMicrophone, json!({"on": on}));
    }

    fn present_elsewhere(&mut self) {
        let Some(at) = self.anybody(|person, _| person.room != ROOM) else { return };
        match self.people.get(at).and_then(|person| person.presents) {
            Some(Kind::Canvas) => self.request(at, Method::StopCanvas, json!({})),
            Some(_) => self.request(at, Method::StopScreenShare, json!({})),
            None if self.storm.below(2) == 0 => self.request(at, Method::StartCanvas, json!({})),
            None => self.request(at, Method::StartScreenShare, json!({})),
        };
    }

    /// A moderator makes rooms and deals people round.
    fn deal(&mut self) {
        let Some(at) = self.a_moderator() else { return };
        let params = json!({
            "participants": 4, "max_rooms": 2, "force_join": self.storm.below(2) == 0, "open": true,
            "audio": true, "video": false, "canvas": true, "share": true,
        });
        self.request(at, Method::CreateAndInviteBreakoutRoom, params);
    }

    fn lose_the_link(&mut self) {
        let Some(at) = self.anybody(|_, _| true) else { return };
        let away = Duration::from_millis(50 + self.storm.random.below(4_000));
        self.trace.line(self.now, format_args!("person {at} loses its link for {away:?}"));
        self.drop_link(at, away);
    }

    fn leave(&mut self) {
        let Some(at) = self.anybody(|person, _| !person.is_moderator) else { return };
        if self.request(at, Method::LeaveRoom, json!({}))
            && let Some(person) = self.people.get_mut(at)
        {
            person.resume = None;
        }
    }

    fn list(&mut self) {
        if let Some(at) = self.anybody(|_, _| true) {
            self.request(at, Method::ListBreakoutRooms, json!({}));
        }
    }
}

fn steps_in(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros() / STEP.as_micros()).unwrap_or(0)
}
