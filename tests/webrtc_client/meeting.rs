//! The people of one story, and what is asked of all of them.

use std::collections::BTreeMap;

use anteroom::base::{ClientId, Kind};
use serde_json::json;

use crate::client::Client;
use crate::judge::judge;
use crate::memory::Memory;

/// Packets that show that somebody is heard and goes on being heard: half a second of speech.
const A_WHILE: u64 = 25;

/// Waits until these people have one another's voices, and the voices of `others`, and nobody
/// else's, in `room`; and then hear each for a while.
pub(crate) async fn hear_each_other(room: &str, people: &[&Client], others: &[ClientId]) {
    let everyone: Vec<ClientId> =
        people.iter().map(|person| person.id).chain(others.iter().copied()).collect();
    for person in people {
        let voices: Vec<ClientId> = everyone.iter().copied().filter(|id| *id != person.id).collect();
        person.has_voices(room, &voices).await;
    }
    for person in people {
        for voice in everyone.iter().filter(|id| **id != person.id) {
            person.hears(*voice, Kind::Audio, room, A_WHILE).await;
        }
    }
}

/// Whether `listener` has heard anything that `speaker` said as a member of `room`.
pub(crate) fn overheard(listener: &Client, speaker: &Client, room: &str) -> bool {
    listener.with(|memory| memory.heard(speaker.id, Kind::Audio, room) > 0)
}

/// Makes one breakout room for two and gives its id.
pub(crate) async fn create_room(owner: &mut Client) -> String {
    let params = json!({
        "participants": 2, "max_rooms": 1, "audio": true, "video": false, "share": true, "canvas": true,
    });
    let created = owner.ask("createBreakOutRoom", params).await;
    created["msg"]["rooms"][0].as_str().unwrap().to_owned()
}

/// Forces people into a breakout room and waits until they are there.
pub(crate) async fn force_into(room: &str, moderator: &mut Client, people: &[&Client]) {
    let ids: Vec<ClientId> = people.iter().map(|person| person.id).collect();
    let params = json!({"clients": ids, "room_id": room, "force_join": true});
    let forced = moderator.ask("inviteToBreakOutRoom", params).await;
    assert_eq!(forced["failed"], json!([]), "{forced}");
    for person in people {
        person.until(&format!("is in {room}"), |memory| memory.room == room).await;
    }
}

/// Lets everybody go and judges all that they received.
pub(crate) async fn part(people: Vec<Client>) {
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    for (number, person) in people.into_iter().enumerate() {
        let name = format!("{} ({number})", person.name);
        memories.insert(name, person.vanish().await);
    }
    settle(&memories);
}

/// Judges what these memories hold: nothing may be wrong.
pub(crate) fn settle(memories: &BTreeMap<String, Memory>) {
    let verdict = judge(memories);
    let count = verdict.wrong.len();
    assert!(
        verdict.wrong.is_empty(),
        "{count} wrong packets, among them: {:#?}",
        &verdict.wrong[..count.min(8)]
    );
    assert!(verdict.packets > 0);
    // The server drops them; one may be between the client's pen and its socket when it learns.
    assert!(verdict.unknowing <= 2, "{} packets were sent unknowing", verdict.unknowing);
}
