//! Who publishes changes: speakers take turns, and so do those who share a screen.

use std::time::Duration;

use futures_util::future::{join, join_all};

use super::super::end::End;
use super::stage::Stage;
use super::{LoadError, failed};
use crate::base::Kind;

/// Takes turns in all rooms until the end; answers how many there were.
pub(super) async fn take_turns(stage: &Stage<'_>, end: &End) -> Result<u64, LoadError> {
    let rooms = stage.rooms().map(|room| async move {
        let (sound, share) = join(speakers(stage, room, end), presenters(stage, room, end)).await;
        Ok::<_, LoadError>(sound? + share?)
    });
    join_all(rooms).await.into_iter().sum()
}

/// The one who has talked longest falls silent, and the next one talks.
async fn speakers(stage: &Stage<'_>, room: usize, end: &End) -> Result<u64, LoadError> {
    let (talkers, turn) = (stage.talkers(room), stage.scenario.sound.turn_seconds);
    if turn <= 0.0 {
        return Ok(0);
    }
    let turn = Duration::from_secs_f64(turn);
    let mut due = stage.clock().now() + phase(turn, room, stage.rooms().len());
    let mut turns = 0;
    for first in (0..talkers.len()).cycle() {
        due = due + turn;
        if !end.is_after(due).await {
            break;
        }
        let next = (first + stage.scenario.talking()) % talkers.len();
        for (number, on) in [(first, false), (next, true)] {
            let Some(person) = talkers.get(number) else { continue };
            person.publish(Kind::Audio, on).await.map_err(|error| failed(person.as_ref(), error))?;
        }
        turns += 1;
    }
    Ok(turns)
}

/// One shares, then nobody does, then the next one.
async fn presenters(stage: &Stage<'_>, room: usize, end: &End) -> Result<u64, LoadError> {
    let (presenters, share) = (stage.presenters(room), &stage.scenario.share);
    if share.on_seconds <= 0.0 || presenters.is_empty() {
        return Ok(0);
    }
    let (on, off) = (Duration::from_secs_f64(share.on_seconds), Duration::from_secs_f64(share.off_seconds));
    let mut due = stage.clock().now() + phase(on, room, stage.rooms().len());
    let mut turns = 0;
    // The first one shares already.
    for (present, next) in (0..presenters.len()).cycle().zip((0..presenters.len()).cycle().skip(1)) {
        for (number, shares, wait) in [(present, false, on), (next, true, off)] {
            due = due + wait;
            if !end.is_after(due).await {
                return Ok(turns);
            }
            let Some(person) = presenters.get(number) else { continue };
            person.publish(Kind::Share, shares).await.map_err(|error| failed(person.as_ref(), error))?;
        }
        turns += 1;
    }
    Ok(turns)
}

/// Rooms do not take their turns together.
fn phase(turn: Duration, room: usize, rooms: usize) -> Duration {
    let whole = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    turn * whole(room) / whole(rooms.max(1))
}
