//! The meeting that the demo plays, round after round: talk, share, deal out, come back, invite,
//! reject, force, clear, destroy.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::demo::DemoError;
use super::person::{Answered, Person, PersonError};
use crate::base::{Kind, Time};
use crate::telemetry::Clock;

/// What the meeting has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Participants who changed group.
    pub moves: u64,
    /// From each request that moved people to its ack.
    pub acks: Vec<Duration>,
}

/// A meeting under way.
pub(super) struct Meeting {
    people: Vec<Person>,
    breakouts: usize,
    tally: Tally,
    round: usize,
}

/// How long people stay in a room before the next step.
const DWELL: Duration = Duration::from_millis(350);

/// The room that all come from.
const PARENT: &str = "demo";

/// `max_active_talkers - 1` with the default of 6: the largest breakout room.
const LARGEST_BREAKOUT: usize = 5;

impl Meeting {
    /// A meeting of people of whom the first is the moderator.
    pub(super) fn new(people: Vec<Person>, breakouts: usize) -> Self {
        Self { people, breakouts, tally: Tally::default(), round: 0 }
    }

    /// Everybody in it.
    pub(super) fn people(&self) -> &[Person] {
        &self.people
    }

    /// What was counted so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Ends the meeting.
    pub(super) fn into_parts(self) -> (Vec<Person>, Tally) {
        (self.people, self.tally)
    }

    /// Plays whole rounds until `until`; at least one.
    ///
    /// # Errors
    /// Where a step was refused or did not happen in time.
    pub(super) async fn play(
        &mut self,
        clock: Clock,
        until: Time,
        tell: impl Fn(&Self, &str),
    ) -> Result<(), DemoError> {
        tell(self, "everybody talks in the parent room");
        for person in &self.people {
            person.publish(Kind::Audio, true).await;
        }
        tokio::time::sleep(DWELL).await;
        loop {
            self.round += 1;
            self.speak_up().await;
            tell(self, "one shares a canvas in the parent room");
            self.present("Canvas", Kind::Canvas, 1).await?;
            tell(self, "the moderator deals people out to breakout rooms");
            let rooms = self.deal_out().await?;
            tell(self, "one shares a screen in a breakout room");
            self.present("ScreenShare", Kind::Share, 2).await?;
            tell(self, "some come back by themselves");
            let returned = self.come_back().await?;
            tell(self, "they are invited again: one rejects, the others join");
            self.invite(&returned).await?;
            tell(self, "the moderator visits a room");
            self.visit(&rooms).await?;
            tokio::time::sleep(DWELL).await;
            tell(self, "everybody is brought back");
            self.bring_back().await?;
            tokio::time::sleep(DWELL).await;
            if clock.now() >= until {
                return self.fall_silent().await;
            }
        }
    }

    fn moderator(&self) -> Result<&Person, DemoError> {
        self.people.first().ok_or_else(|| failed("moderator", PersonError::Gone))
    }

    fn person(&self, number: usize) -> Result<&Person, DemoError> {
        self.people.get(number).ok_or_else(|| failed("person", PersonError::Gone))
    }

    async fn ask(person: &Person, method: &str, params: Value) -> Result<Answered, DemoError> {
        person.request(method, params).await.map_err(|error| failed(&person.name, error))
    }

    async fn wait_in(person: &Person, room: &str) -> Result<(), DemoError> {
        let waited = person.wait(&format!("being in {room}"), |state| state.room_id == room).await;
        waited.map_err(|error| failed(&person.name, error))
    }

    /// Other people are the loudest in each round.
    async fn speak_up(&self) {
        for (number, person) in self.people.iter().enumerate() {
            let level = 20 + (number * 7 + self.round * 13) % 30;
            person.level(u8::try_from(level).unwrap_or(127)).await;
        }
    }

    async fn present(&self, what: &str, kind: Kind, number: usize) -> Result<(), DemoError> {
        let presenter = self.person(number)?;
        Self::ask(presenter, &format!("start{what}"), json!({})).await?;
        presenter.publish(kind, true).await;
        tokio::time::sleep(DWELL).await;
        presenter.publish(kind, false).await;
        Self::ask(presenter, &format!("stop{what}"), json!({})).await?;
        Ok(())
    }

    /// Forces everybody but the moderator into breakout rooms.
    async fn deal_out(&mut self) -> Result<Vec<String>, DemoError> {
        let each = (self.people.len() - 1).div_ceil(self.breakouts).clamp(2, LARGEST_BREAKOUT);
        let params = json!({
            "participants": each, "max_rooms": self.breakouts, "force_join": true,
            "audio": true, "video": false, "canvas": true, "share": true,
        });
        let answered = Self::ask(self.moderator()?, "createAndInviteBreakoutRoom", params).await?;
        let assignments =
            answered.data.get("assignments").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut place_of = BTreeMap::new();
        for (room, clients) in &assignments {
            for client in clients.as_array().into_iter().flatten().filter_map(Value::as_str) {
                place_of.insert(client.to_owned(), room.clone());
            }
        }
        for person in &self.people {
            let id = person.client_id().map_err(|error| failed(&person.name, error))?.to_string();
            if let Some(room) = place_of.get(&id) {
                Self::wait_in(person, room).await?;
            }
        }
        self.count(place_of.len(), answered.took);
        tokio::time::sleep(DWELL).await;
        Ok(assignments.keys().cloned().collect())
    }

    /// Every third person leaves its breakout room; answers who left which.
    async fn come_back(&mut self) -> Result<Vec<(usize, String)>, DemoError> {
        let room_of = |number: usize| Some((number, self.people.get(number)?.state().room_id));
        let thirds = (1..self.people.len()).step_by(3).filter_map(room_of);
        let leaving: Vec<(usize, String)> = thirds.filter(|(_, room)| room != PARENT).collect();
        let leave = leaving.iter().filter_map(|(n, _)| self.people.get(*n)).map(|person| async {
            let answered = Self::ask(person, "disconnect", json!({})).await?;
            Self::wait_in(person, PARENT).await?;
            Ok::<_, DemoError>(answered.took)
        });
        for took in join_all(leave).await {
            self.count(1, took?);
        }
        tokio::time::sleep(DWELL).await;
        Ok(leaving)
    }

    /// Invites those who came back to where they were; the first rejects and is forced afterwards,
    /// the others join.
    async fn invite(&mut self, returned: &[(usize, String)]) -> Result<(), DemoError> {
        for (at, (number, room)) in returned.iter().enumerate() {
            let person = self.person(*number)?;
            let id = person.client_id().map_err(|error| failed(&person.name, error))?;
            let params = json!({"clients": [id], "room_id": room, "expires_in": 30});
            Self::ask(self.moderator()?, "inviteToBreakOutRoom", params).await?;
            let invited = person.wait("an invitation", |state| state.invitations.contains(room)).await;
            invited.map_err(|error| failed(&person.name, error))?;
            if at == 0 {
                Self::ask(person, "rejectBreakOutRoom", json!({"room_id": room})).await?;
                let params = json!({"clients": [id], "room_id": room, "force_join": true});
                let answered = Self::ask(self.moderator()?, "inviteToBreakOutRoom", params).await?;
                Self::wait_in(person, room).await?;
                self.count(1, answered.took);
            }
        }
        let joining = returned.iter().skip(1).filter_map(|(n, room)| Some((self.people.get(*n)?, room)));
        let join = joining.map(|(person, room)| async {
            let answered = Self::ask(person, "joinBreakOutRoom", join_params(room, "participant")).await?;
            Self::wait_in(person, room).await?;
            Ok::<_, DemoError>(answered.took)
        });
        for took in join_all(join).await {
            self.count(1, took?);
        }
        Ok(())
    }

    async fn visit(&mut self, rooms: &[String]) -> Result<(), DemoError> {
        let Some(room) = rooms.get(self.round % rooms.len().max(1)) else { return Ok(()) };
        let moderator = self.moderator()?;
        let joined = Self::ask(moderator, "joinBreakOutRoom", join_params(room, "moderator")).await?;
        Self::wait_in(moderator, room).await?;
        tokio::time::sleep(DWELL).await;
        let left = Self::ask(moderator, "disconnect", json!({"room_id": room})).await?;
        Self::wait_in(moderator, PARENT).await?;
        self.count(1, joined.took);
        self.count(1, left.took);
        Ok(())
    }

    /// Clears in odd rounds, and destroys in all.
    async fn bring_back(&mut self) -> Result<(), DemoError> {
        let away = self.people.iter().filter(|person| person.state().room_id != PARENT).count();
        let mut took = None;
        if self.round % 2 == 1 {
            took = Some(Self::ask(self.moderator()?, "clearAllBreakOutSession", json!({})).await?.took);
        }
        let destroyed = Self::ask(self.moderator()?, "destroyAllBreakOutSession", json!({})).await?.took;
        for person in &self.people {
            Self::wait_in(person, PARENT).await?;
        }
        self.count(away, took.unwrap_or(destroyed));
        Ok(())
    }

    /// Everybody stops talking, and has read what the server said until then: afterwards nothing is
    /// left that could be judged by an older `slots` than it was sent under.
    async fn fall_silent(&self) -> Result<(), DemoError> {
        for person in &self.people {
            person.publish(Kind::Audio, false).await;
        }
        tokio::time::sleep(DWELL).await;
        for person in &self.people {
            Self::ask(person, "listBreakoutRooms", json!({})).await?;
        }
        Ok(())
    }

    fn count(&mut self, moved: usize, took: Duration) {
        self.tally.moves += u64::try_from(moved).unwrap_or(0);
        self.tally.acks.push(took);
    }
}

fn join_params(room: &str, role: &str) -> Value {
    json!({
        "role": role, "room_id": room,
        "streamInfo": {"audio": true, "video": false, "share": true, "canvas": true},
    })
}

fn failed(who: &str, error: PersonError) -> DemoError {
    DemoError::Person { who: who.to_owned(), error }
}
