//! People go to breakout rooms and come back while the others talk on.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::load_run::{LoadError, failed};
use super::servers::Attendee;
use crate::base::Time;
use crate::telemetry::Clock;

/// What has moved.
#[derive(Clone, Debug, Default)]
pub(super) struct Churned {
    /// People who changed rooms.
    pub(super) moves: u64,
    /// From each request that moved somebody to its ack.
    pub(super) acks: Vec<Duration>,
    /// From the last request, which destroyed all rooms, to its ack.
    pub(super) destroyed_in: Option<Duration>,
}

/// Breakout rooms of each parent room.
const BREAKOUTS: usize = 10;
/// `max_active_talkers - 1` of a server with the default of 6: the largest breakout room.
const SEATS: usize = 5;

/// One parent room: who moderates it, who is moved about, and where.
struct Meeting<'a> {
    moderator: &'a dyn Attendee,
    waiting: VecDeque<&'a dyn Attendee>,
    /// Those who are out, with the number of their breakout room, the longest first.
    out: VecDeque<(&'a dyn Attendee, usize)>,
    rooms: Vec<(String, usize)>,
}

/// Moves people in turn, `per_second` of them, until `ends`; then destroys the breakout rooms. `people`
/// are `publishers` for each of `rooms` parent rooms, who moderate, and then listeners, dealt round.
///
/// # Errors
/// Where the server refuses a move.
pub(super) async fn churn(
    people: &[Box<dyn Attendee>],
    (rooms, publishers): (usize, usize),
    per_second: f64,
    (clock, ends): (Clock, Time),
) -> Result<Churned, LoadError> {
    let (first, listeners) = people.split_at_checked(rooms * publishers).unwrap_or_default();
    let mut meetings = Vec::new();
    for (number, moderators) in first.chunks(publishers.max(1)).enumerate() {
        let Some(moderator) = moderators.first() else { continue };
        let waiting = listeners.iter().skip(number).step_by(rooms).map(AsRef::as_ref).collect();
        meetings.push(Meeting::open(moderator.as_ref(), waiting).await?);
    }
    let mut churned = Churned::default();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second.max(0.01)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0_usize;
    while clock.now() < ends && !meetings.is_empty() {
        ticks.tick().await;
        let at = turn % meetings.len();
        if let Some(meeting) = meetings.get_mut(at) {
            churned.acks.extend(meeting.step(clock).await?);
        }
        turn += 1;
    }
    churned.moves = u64::try_from(churned.acks.len()).unwrap_or(0);
    let asked = clock.now();
    for meeting in &meetings {
        ask(meeting.moderator, "destroyAllBreakOutSession", json!({})).await?;
    }
    churned.destroyed_in = Some(clock.now().since(asked));
    Ok(churned)
}

impl<'a> Meeting<'a> {
    async fn open(
        moderator: &'a dyn Attendee,
        waiting: VecDeque<&'a dyn Attendee>,
    ) -> Result<Self, LoadError> {
        let params = json!({
            "participants": SEATS, "max_rooms": BREAKOUTS,
            "audio": true, "video": false, "canvas": true, "share": true,
        });
        let created = ask(moderator, "createBreakOutRoom", params).await?;
        let ids = created.pointer("/msg/rooms").and_then(Value::as_array).cloned().unwrap_or_default();
        let rooms = ids.iter().filter_map(Value::as_str).map(|id| (id.to_owned(), 0)).collect();
        Ok(Self { moderator, waiting, out: VecDeque::new(), rooms })
    }

    /// Sends somebody out, or lets the one come back who has been out longest; answers how long it took
    /// until the server said that it was done.
    async fn step(&mut self, clock: Clock) -> Result<Option<Duration>, LoadError> {
        let seats = self.rooms.len() * SEATS;
        let asked = clock.now();
        if self.out.len() * 2 >= seats.min(self.out.len() + self.waiting.len()) {
            let Some((person, room)) = self.out.pop_front() else { return Ok(None) };
            ask(person, "disconnect", json!({})).await?;
            if let Some((_, taken)) = self.rooms.get_mut(room) {
                *taken -= 1;
            }
            self.waiting.push_back(person);
            return Ok(Some(clock.now().since(asked)));
        }
        let free = self.rooms.iter_mut().enumerate().min_by_key(|(_, (_, taken))| *taken);
        let (Some(person), Some((number, (room, taken)))) = (self.waiting.pop_front(), free) else {
            return Ok(None);
        };
        let params = json!({"clients": [person.client_id()], "room_id": room, "force_join": true});
        let moved = ask(self.moderator, "inviteToBreakOutRoom", params).await?;
        if moved.get("failed").and_then(Value::as_array).is_some_and(|failed| !failed.is_empty()) {
            return Err(LoadError::Late(format!("{} could not be moved: {moved}", person.name())));
        }
        *taken += 1;
        self.out.push_back((person, number));
        Ok(Some(clock.now().since(asked)))
    }
}

async fn ask(person: &dyn Attendee, method: &'static str, params: Value) -> Result<Value, LoadError> {
    person.ask(method, params).await.map_err(|error| failed(person, error))
}
