//! People go to breakout rooms and come back, and rooms are cleared and destroyed, while the others talk
//! on.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::end::End;
use super::super::generator::{HomeBy, Order};
use super::acts::Acted;
use super::stage::{Stage, interval_of};
use super::{LoadError, failed};
use crate::base::{Kind, Time};

/// How long is listened to the parent rooms after the last destruction.
const AT_HOME: Duration = Duration::from_millis(500);

/// What is done next, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Move,
    BringHome(HomeBy),
}

/// One operation's rhythm.
struct Rhythm {
    step: Step,
    interval: Duration,
    due: Time,
}

/// One parent room: who is moved about, and where.
struct Meeting {
    room: usize,
    waiting: VecDeque<usize>,
    /// Those who are out, with the number of their breakout room, the longest first.
    out: VecDeque<(usize, usize)>,
    breakouts: Vec<(String, usize)>,
}

/// Moves, clears and destroys at the scenario's rates until the end; then destroys all breakout rooms.
/// Each parent room goes its own way, so that none waits for another's acks.
///
/// # Errors
/// Where the server refuses something.
pub(super) async fn churn(stage: &Stage<'_>, end: &End) -> Result<Acted, LoadError> {
    let mut meetings = Vec::new();
    for room in stage.rooms() {
        let waiting = stage.listeners(room).collect();
        let mut meeting = Meeting { room, waiting, out: VecDeque::new(), breakouts: Vec::new() };
        meeting.open(stage).await?;
        meetings.push(meeting);
    }
    if stage.scenario.operations.movers_talk {
        talk(stage, true).await?;
    }
    let mut acted = Acted::default();
    let churned = meetings.iter_mut().map(|meeting| meeting.churn(stage, end));
    for one in join_all(churned).await {
        let one = one?;
        acted.move_acks.extend(one.move_acks);
        acted.clears += one.clears;
        acted.destroy_acks.extend(one.destroy_acks);
    }
    let asked = stage.clock().now();
    let ended = meetings.iter_mut().map(|meeting| meeting.bring_home(stage, HomeBy::Destroy));
    for took in join_all(ended).await {
        acted.destroy_acks.push(took?);
    }
    acted.destroy_spread = stage.clock().now().since(asked);
    acted.moves = u64::try_from(acted.move_acks.len()).unwrap_or(0);
    sleep(AT_HOME).await;
    if stage.scenario.operations.movers_talk {
        talk(stage, false).await?;
    }
    Ok(acted)
}

/// Those who change rooms talk, or fall silent.
async fn talk(stage: &Stage<'_>, on: bool) -> Result<(), LoadError> {
    for number in stage.rooms().flat_map(|room| stage.listeners(room)) {
        let person = stage.person(number)?;
        person.publish(Kind::Audio, on).await.map_err(|error| failed(person, error))?;
    }
    Ok(())
}

/// A room's part of all. What is rare begins half an interval after the start in the first room, so that
/// it happens in a short run, too; the rooms have their turn one after the other.
fn rhythms(stage: &Stage<'_>, room: usize) -> Vec<Rhythm> {
    let operations = &stage.scenario.operations;
    let steps = [
        (Step::Move, operations.moves),
        (Step::BringHome(HomeBy::Clear), operations.clears),
        (Step::BringHome(HomeBy::Destroy), operations.destroys),
    ];
    let now = stage.clock().now();
    let rhythm = |(step, per_second)| {
        let interval = interval_of(per_second)?;
        let first = if step == Step::BringHome(HomeBy::Destroy) { interval } else { interval / 2 };
        let turn = u32::try_from(room).unwrap_or(0);
        let rooms = u32::try_from(stage.scenario.people.rooms).unwrap_or(1);
        Some(Rhythm { step, interval: interval * rooms, due: now + first + interval * turn })
    };
    steps.into_iter().filter_map(rhythm).collect()
}

impl Meeting {
    /// Moves, clears and destroys here until the end.
    async fn churn(&mut self, stage: &Stage<'_>, end: &End) -> Result<Acted, LoadError> {
        let mut acted = Acted::default();
        let mut rhythms = rhythms(stage, self.room);
        while let Some(next) = rhythms.iter_mut().min_by_key(|rhythm| rhythm.due)
            && end.is_after(next.due).await
        {
            // Rather slower than asked than ever more at once.
            next.due = (next.due + next.interval).max(stage.clock().now());
            match next.step {
                Step::Move => acted.move_acks.extend(self.step(stage).await?),
                Step::BringHome(by) => {
                    let took = self.bring_home(stage, by).await?;
                    match by {
                        HomeBy::Clear => acted.clears += 1,
                        HomeBy::Destroy => {
                            acted.destroy_acks.push(took);
                            self.open(stage).await?;
                        }
                    }
                }
            }
        }
        end.comes().await;
        Ok(acted)
    }

    /// Makes the breakout rooms.
    async fn open(&mut self, stage: &Stage<'_>) -> Result<(), LoadError> {
        let breakouts = &stage.scenario.breakouts;
        let params = json!({
            "participants": breakouts.seats, "max_rooms": breakouts.rooms,
            "audio": true, "video": false, "canvas": true, "share": true,
        });
        let created = stage.ask(stage.moderator(self.room)?, "createBreakOutRoom", params).await?;
        let ids = created.pointer("/msg/rooms").and_then(Value::as_array).cloned().unwrap_or_default();
        self.breakouts = ids.iter().filter_map(Value::as_str).map(|id| (id.to_owned(), 0)).collect();
        Ok(())
    }

    /// Sends somebody out, or lets the one come back who has been out longest; answers how long it took
    /// until the server said that it was done.
    async fn step(&mut self, stage: &Stage<'_>) -> Result<Option<Duration>, LoadError> {
        let seats = self.breakouts.len() * stage.scenario.breakouts.seats;
        let asked = stage.clock().now();
        if self.out.len() * 2 >= seats.min(self.out.len() + self.waiting.len()) {
            let Some((number, breakout)) = self.out.pop_front() else { return Ok(None) };
            stage.ask(stage.person(number)?, "disconnect", json!({})).await?;
            if let Some((_, taken)) = self.breakouts.get_mut(breakout) {
                *taken -= 1;
            }
            self.waiting.push_back(number);
            return Ok(Some(stage.clock().now().since(asked)));
        }
        let free = self.breakouts.iter_mut().enumerate().min_by_key(|(_, (_, taken))| *taken);
        let (Some(number), Some((breakout, (id, taken)))) = (self.waiting.pop_front(), free) else {
            return Ok(None);
        };
        let person = stage.person(number)?;
        stage.orders().give(Order::Away { id: number }).await;
        let params = json!({"clients": [person.client_id()], "room_id": id, "force_join": true});
        let moved = stage.ask(stage.moderator(self.room)?, "inviteToBreakOutRoom", params).await?;
        if moved.get("failed").and_then(Value::as_array).is_some_and(|failed| !failed.is_empty()) {
            return Err(LoadError::Late(format!("{} could not be moved: {moved}", person.name())));
        }
        *taken += 1;
        self.out.push_back((number, breakout));
        Ok(Some(stage.clock().now().since(asked)))
    }

    /// Brings everybody home; answers how long it took until the server said that it was done.
    async fn bring_home(&mut self, stage: &Stage<'_>, by: HomeBy) -> Result<Duration, LoadError> {
        let method = match by {
            HomeBy::Clear => "clearAllBreakOutSession",
            HomeBy::Destroy => "destroyAllBreakOutSession",
        };
        let out: Vec<usize> = self.out.drain(..).map(|(number, _)| number).collect();
        self.breakouts.iter_mut().for_each(|(_, taken)| *taken = 0);
        self.waiting.extend(&out);
        let asked = stage.expect_home(self.room, out, by).await;
        stage.ask(stage.moderator(self.room)?, method, json!({})).await?;
        Ok(stage.clock().now().since(asked))
    }
}
