//! Pause and mute: nothing flows, rather than quietly.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::hearing::expect_groups;
use super::person::{Person, meeting};
use super::world::story;

/// How long nothing must arrive: at 50 packets a second and talker, many would.
const SILENCE: Duration = Duration::from_millis(400);

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Packets {
    audio: u64,
    video: u64,
}

/// Asserts that not one packet arrives at anybody.
async fn expect_no_packets(when: &str, everybody: &[&Person]) {
    let mut before = Vec::new();
    for person in everybody {
        before.push(person.js::<Packets>("test.packets()").await);
    }
    tokio::time::sleep(SILENCE).await;
    for (person, before) in everybody.iter().zip(before) {
        assert_eq!(person.js::<Packets>("test.packets()").await, before, "{when}: {}", person.name);
    }
}

/// Waits until the page says of just these own switches that they are of no use.
async fn warned_of(person: &Person, switches: &[&str]) {
    let warned = "[...document.querySelectorAll('#dock .taken[title^=\"Nobody \"]')].map(({textContent}) => textContent).join()";
    let wanted = switches.join(",");
    person.until(&format!("it warns of {wanted:?}"), &format!("{warned} === '{wanted}'")).await;
}

#[test]
fn pause_and_mute_silence_the_main_room() {
    story("pause and mute silence the main room", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        expect_groups("before", &everybody, &[&everybody]).await;
        let both: &[&str] = &["Mic", "Camera"];
        for (stop, params, start, switches) in [
            ("pause", json!({}), "resume", both),
            ("muteRoom", json!({"audio": true}), "unmuteRoom", &["Mic"]),
        ] {
            ada.does(stop, params).await;
            bob.told("parentStateChanged").await;
            warned_of(&bob, switches).await;
            // What had left before the ack may still be on its way.
            expect_groups(&format!("after {stop}"), &everybody, &[]).await;
            expect_no_packets(stop, &everybody).await;
            let refused = bob.ask(start, json!({})).await.unwrap_err();
            assert_eq!(refused.error, "forbidden");
            ada.does(start, json!({})).await;
            expect_groups(&format!("after {start}"), &everybody, &[&everybody]).await;
            warned_of(&bob, &[]).await;
        }
        // Cameras are another kind.
        ada.does("muteRoom", json!({"video": true})).await;
        expect_groups("with cameras muted", &everybody, &[&everybody]).await;
        warned_of(&bob, &["Camera"]).await;
    });
}

#[test]
fn a_paused_main_room_and_its_breakouts() {
    story("a paused main room and its breakout rooms", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        let paused = ada.does("pause", json!({})).await;
        assert_eq!(
            paused["state"],
            json!({"paused": true, "audio_muted": false, "video_muted": false, "scope": "room"})
        );
        expect_groups("with the main room paused", &everybody, &[&[&bob, &cy]]).await;
        // A breakout room that carries no cameras is heard nevertheless.
        warned_of(&bob, &["Camera"]).await;
        ada.does("clearAllBreakOutSession", json!({})).await;
        expect_groups("back in a paused room", &everybody, &[]).await;
        ada.brings(&[&cy, &dee], &table).await;
        expect_groups("away again", &everybody, &[&[&cy, &dee]]).await;
        // Nobody returns to a paused room when the breakout rooms end.
        ada.does("destroyAllBreakOutSession", json!({})).await;
        expect_groups("after destroy", &everybody, &[&everybody]).await;
    });
}

#[test]
fn the_own_leg_is_paused_from_a_breakout() {
    story("the own leg is paused from a breakout room", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        let groups: [&[&Person]; 2] = [&[&ada, &dee], &[&bob, &cy]];
        for (method, params) in [
            ("pause", json!({})),
            ("muteRoom", json!({"audio": true})),
            ("resume", json!({})),
            ("unmuteRoom", json!({})),
        ] {
            let answer = bob.does(method, params).await;
            assert_eq!(answer["state"]["scope"], "leg");
            // Neither is anything stopped here, nor does a resume reach through from the main room.
            expect_groups(&format!("after {method} of the leg"), &everybody, &groups).await;
        }
        bob.does("pause", json!({})).await;
        bob.does("disconnect", json!({})).await;
        expect_groups("after the return", &everybody, &[&[&ada, &bob, &dee], &[&cy]]).await;
    });
}
