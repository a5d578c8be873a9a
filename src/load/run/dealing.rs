//! Everybody is dealt out to breakout rooms, and brought home when all rooms are destroyed at once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::end::End;
use super::super::generator::HomeBy;
use super::super::servers::room_name;
use super::acts::Acted;
use super::stage::Stage;
use super::{LoadError, failed, say};
use crate::base::Kind;

/// How long is listened to the parent rooms afterwards.
const AT_HOME: Duration = Duration::from_secs(1);

/// Who is out.
pub(super) struct Dealt {
    /// The numbers of those who are out, for each parent room.
    out: Vec<Vec<usize>>,
    /// Those who talk there.
    talkers: Vec<(usize, usize)>,
    acks: Vec<Duration>,
}

/// Deals out who listens, in all rooms at the same time, and lets some of them talk.
pub(super) async fn deal(stage: &Stage<'_>) -> Result<Dealt, LoadError> {
    say("participants are dealt out to breakout rooms");
    let mut dealt = Dealt { out: Vec::new(), talkers: Vec::new(), acks: Vec::new() };
    for (room, one) in
        join_all(stage.rooms().map(|room| deal_room(stage, room))).await.into_iter().enumerate()
    {
        let (groups, took) = one?;
        let talkers =
            groups.iter().flat_map(|(_, people)| people.iter().take(stage.scenario.breakouts.talkers));
        dealt.talkers.extend(talkers.map(|number| (room, *number)));
        let listening = groups.iter().flat_map(|(id, people)| people.iter().map(move |number| (id, *number)));
        stage.each(listening.map(|(id, number)| is_in(stage, number, id))).await?;
        dealt.out.push(groups.into_iter().flat_map(|(_, people)| people).collect());
        dealt.acks.push(took);
    }
    for (_, number) in &dealt.talkers {
        let person = stage.person(*number)?;
        person.publish(Kind::Audio, true).await.map_err(|error| failed(person, error))?;
    }
    let heard = stage.scenario.breakouts.talkers;
    let talks = |number: &usize| dealt.talkers.iter().any(|(_, talker)| talker == number);
    let listening = dealt.out.iter().flatten().filter(|number| !talks(number));
    stage.each(listening.map(|number| hears(stage, *number, heard))).await?;
    Ok(dealt)
}

/// The breakout rooms of one parent room, each with the numbers of those who are in it.
type Groups = Vec<(String, Vec<usize>)>;

async fn deal_room(stage: &Stage<'_>, room: usize) -> Result<(Groups, Duration), LoadError> {
    let breakouts = &stage.scenario.breakouts;
    let params = json!({
        "participants": breakouts.seats, "max_rooms": breakouts.rooms, "force_join": true,
        "audio": true, "video": false, "canvas": true, "share": true,
    });
    let asked = stage.clock().now();
    let answer = stage.ask(stage.moderator(room)?, "createAndInviteBreakoutRoom", params).await?;
    let took = stage.clock().now().since(asked);
    let mut numbers = BTreeMap::new();
    for number in stage.listeners(room) {
        if let Some(id) = stage.person(number)?.client_id() {
            numbers.insert(id.to_string(), number);
        }
    }
    let assignments = answer.get("assignments").and_then(Value::as_object).cloned().unwrap_or_default();
    let groups = assignments.into_iter().map(|(id, people)| {
        let people = people.as_array().into_iter().flatten().filter_map(Value::as_str);
        (id, people.filter_map(|client| numbers.get(client).copied()).collect())
    });
    let groups: Groups = groups.collect();
    let out: usize = groups.iter().map(|(_, people)| people.len()).sum();
    if out != numbers.len() {
        return Err(LoadError::Late(format!("{out} of {} could be dealt out: {answer}", numbers.len())));
    }
    Ok((groups, took))
}

async fn is_in(stage: &Stage<'_>, number: usize, room: &str) -> Result<(), LoadError> {
    let person = stage.person(number)?;
    person.is_in(room).await.map_err(|error| failed(person, error))
}

async fn hears(stage: &Stage<'_>, number: usize, talkers: usize) -> Result<(), LoadError> {
    let person = stage.person(number)?;
    person.hears(talkers).await.map_err(|error| failed(person, error))
}

impl Dealt {
    /// Destroys all rooms at the end, and listens to the parent rooms for a while.
    pub(super) async fn bring_home(self, stage: &Stage<'_>, end: &End) -> Result<Acted, LoadError> {
        let moved = self.out.iter().map(Vec::len).sum::<usize>();
        end.comes().await;
        let mut asked = Vec::new();
        for (room, out) in self.out.into_iter().enumerate() {
            asked.push(stage.expect_home(room, out, HomeBy::Destroy).await);
        }
        let destroy = |room: usize| async move {
            let asked = stage.clock().now();
            stage.ask(stage.moderator(room)?, "destroyAllBreakOutSession", json!({})).await?;
            Ok::<_, LoadError>((asked, stage.clock().now().since(asked)))
        };
        // Who talked in a breakout room falls silent once it is home.
        let silence = self.talkers.iter().map(|(room, number)| fall_silent(stage, *room, *number));
        let (destroyed, silent) = tokio::join!(join_all(stage.rooms().map(destroy)), stage.each(silence));
        silent?;
        let mut acted = Acted { move_acks: self.acks, ..Acted::default() };
        for one in destroyed {
            let (at, took) = one?;
            asked.push(at);
            acted.destroy_acks.push(took);
        }
        let first = asked.iter().min().zip(asked.iter().max());
        acted.destroy_spread = first.map(|(first, last)| last.since(*first)).unwrap_or_default();
        acted.moves = u64::try_from(moved * 2).unwrap_or(0);
        sleep(AT_HOME).await;
        Ok(acted)
    }
}

async fn fall_silent(stage: &Stage<'_>, room: usize, number: usize) -> Result<(), LoadError> {
    is_in(stage, number, &room_name(room)).await?;
    let person = stage.person(number)?;
    person.publish(Kind::Audio, false).await.map_err(|error| failed(person, error))
}
