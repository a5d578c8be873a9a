//! What many stories begin with.

use anteroom::base::BreakoutId;
use anteroom::message::Method;
use serde_json::{Value, json};

use crate::world::{Person, World};

/// What `createBreakOutRoom` is asked for.
pub(crate) fn plan() -> Value {
    json!({"participants": 2, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1})
}

/// `params` with one field set; `null` takes it away.
pub(crate) fn with(mut params: Value, field: &str, value: Value) -> Value {
    let fields = params.as_object_mut().unwrap();
    if value.is_null() {
        fields.remove(field)
    } else {
        fields.insert(field.to_owned(), value)
    };
    params
}

/// Makes one room and answers its id.
pub(crate) fn make_room(world: &mut World, owner: &Person) -> String {
    make_rooms(world, owner, plan()).remove(0)
}

pub(crate) fn make_rooms(world: &mut World, owner: &Person, params: Value) -> Vec<String> {
    let ack = world.must(owner, Method::CreateBreakOutRoom, params);
    ack["msg"]["rooms"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn room_id(text: &str) -> BreakoutId {
    text.parse().unwrap()
}

pub(crate) fn entry(room: &str) -> Value {
    json!({"role": "participant", "room_id": room, "streamInfo": {"audio": true, "video": false}})
}

pub(crate) fn enter(world: &mut World, person: &Person, room: &str) -> Value {
    world.must(person, Method::JoinBreakOutRoom, entry(room))
}

pub(crate) fn invite(world: &mut World, host: &Person, people: &[&Person], room: &str) -> Value {
    let clients: Vec<&str> = people.iter().map(|person| person.id.as_str()).collect();
    world.must(host, Method::InviteToBreakOutRoom, json!({"clients": clients, "room_id": room}))
}

pub(crate) fn force(world: &mut World, host: &Person, people: &[&Person], room: &str) -> Value {
    let clients: Vec<&str> = people.iter().map(|person| person.id.as_str()).collect();
    let params = json!({"clients": clients, "room_id": room, "force_join": true});
    world.must(host, Method::InviteToBreakOutRoom, params)
}
