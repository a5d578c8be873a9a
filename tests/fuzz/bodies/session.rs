//! A session, and what its people ask of it.

#[path = "../../support/control_world.rs"]
#[allow(dead_code, reason = "no user of the world uses all of it")]
mod control_world;

use std::collections::BTreeMap;
use std::time::Duration;

use anteroom::api::readers::read_request;
use anteroom::base::{Epoch, LinkId};
use anteroom::message::{ControlInput, Method};
use control_world::World;
use serde_json::json;

/// Requests that one run makes.
const MAX_REQUESTS: usize = 40;

/// Each line is somebody's message behind a letter that says whose. Every request that can be read has one
/// ack at the most, and the session is what its events say: the world checks that after each step.
pub fn session(data: &[u8]) {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let speaker = world.participant("Sam");
    let listener = world.participant("Lea");
    let rooms = json!({"participants": 2, "max_rooms": 2, "audio": true, "video": false});
    world.ask(moderator.link, Method::CreateBreakOutRoom, rooms);
    let links = [moderator.link, speaker.link, listener.link];
    let room = world.view().rooms.keys().next().map(ToString::to_string).unwrap_or_default();
    world.forget_frames();
    let mut asked: BTreeMap<(LinkId, String), usize> = BTreeMap::new();
    for line in data.split(|byte| *byte == b'\n').take(MAX_REQUESTS) {
        let Some((first, text)) = line.split_first() else { continue };
        let link = links[usize::from(first % 3)];
        match first {
            b'+' => world.wait(Duration::from_secs(u64::from(text.len() as u8))),
            b'-' => world.input(ControlInput::LinkClosed { link: links[text.len() % 3] }),
            b'*' => world.input(ControlInput::Told { link, epoch: Epoch(text.len() as u64) }),
            _ => {
                let ids = [("$room", &room), ("$speaker", &speaker.id), ("$listener", &listener.id)];
                let mut text = String::from_utf8_lossy(text).into_owned();
                ids.iter().for_each(|(name, id)| text = text.replace(name, id));
                let Ok(request) = read_request(&text) else { continue };
                *asked.entry((link, request.id.clone())).or_default() += 1;
                world.request(link, request);
            }
        }
    }
    world.wait(Duration::from_secs(30));
    for ((link, id), count) in asked {
        let acks = world.acks(link, &id).len();
        assert!(acks <= count, "{acks} acks to {count} requests {id}");
    }
}
