//! Breakout rooms are made.

use anteroom::message::Method;
use serde_json::{Value, json};

use crate::world::World;

pub(crate) fn plan() -> Value {
    json!({"participants": 2, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1})
}

#[test]
fn a_moderator_makes_rooms_and_every_moderator_hears() {
    let mut world = World::default();
    let moderator = world.moderator("Mia");
    let second = world.moderator("Max");
    let listener = world.participant("Lea");
    world.forget_frames();
    let mut params = plan();
    params["max_rooms"] = json!(3);
    params["name"] = json!("Group");
    let ack = world.must(&moderator, Method::CreateBreakOutRoom, params);
    assert_eq!(ack["msg"]["rooms"].as_array().unwrap().len(), 3);
    assert_eq!(ack["details"][2]["name"], "Group 3");
    let created = world.told(&second, "didBreakoutRoomCreated");
    assert_eq!(created.len(), 1);
    assert_eq!(created[0]["details"], ack["details"]);
    assert_eq!(created[0]["creator"], json!({"id": moderator.id, "name": "Mia"}));
    assert!(world.heard(&listener).is_empty());
}
