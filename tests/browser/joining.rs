//! Joining, hearing, and the one connection that is never renegotiated.

use serde::Deserialize;
use serde_json::json;

use super::hearing::expect_groups;
use super::person::{Person, late_joiner, meeting};
use super::world::story;

/// What must not change while somebody is moved about.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Connection {
    connections: usize,
    offers: usize,
    states: Vec<String>,
    signaling_state: String,
    mids: Vec<String>,
    transports: Vec<String>,
    pair: String,
    dtls: String,
    cipher: String,
    fingerprint: String,
    remote: String,
}

async fn connection(person: &Person) -> Connection {
    person.js("test.connection()").await
}

#[test]
fn everybody_hears_everybody_else() {
    story("everybody hears everybody else", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        expect_groups("after the joins", &everybody, &[&everybody]).await;
        for person in everybody {
            let connection = connection(person).await;
            // Some releases of Chromium write `SRTP_` before the name.
            assert!(
                connection.cipher.ends_with("AEAD_AES_128_GCM"),
                "{}: {}",
                person.name,
                connection.cipher
            );
            assert_eq!(connection.dtls, "connected", "{}", person.name);
        }
        bob.does("leaveRoom", json!({})).await;
        expect_groups("after Bob left", &everybody, &[&[&ada, &cy, &dee]]).await;
        let room: String = ada.js("document.querySelector('.room-name').textContent").await;
        let eve = late_joiner(world, &room, "Eve").await;
        let everybody = [&ada, &cy, &dee, &eve];
        expect_groups("after a late join", &everybody, &[&everybody]).await;
    });
}

#[test]
fn a_move_never_renegotiates() {
    story("a move never renegotiates", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let mut before = Vec::new();
        for person in everybody {
            before.push(connection(person).await);
        }
        for connection in &before {
            assert_eq!((connection.connections, connection.offers), (1, 1));
            assert_eq!(connection.states, ["have-local-offer", "stable"]);
        }
        let room = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &room).await;
        ada.does("clearAllBreakOutSession", json!({})).await;
        ada.brings(&[&dee], &room).await;
        dee.does("disconnect", json!({})).await;
        ada.does("destroyAllBreakOutSession", json!({})).await;
        expect_groups("after all moves", &everybody, &[&everybody]).await;
        for (person, before) in everybody.iter().zip(&before) {
            assert_eq!(&connection(person).await, before, "{}", person.name);
        }
    });
}

#[test]
fn own_microphone_is_a_switch_of_its_own() {
    story("the own microphone is a switch of its own", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        bob.press("Mic", "#dock").await;
        ada.told("didMicrophoneChanged").await;
        expect_groups("with Bob's microphone off", &[&ada, &cy, &dee], &[&[&ada, &cy, &dee]]).await;
        // Neither a room's mute nor a move turns it on.
        let room = ada.creates_room().await;
        ada.does("muteRoom", json!({"audio": true})).await;
        ada.does("unmuteRoom", json!({})).await;
        ada.brings(&[&bob, &cy], &room).await;
        ada.does("destroyAllBreakOutSession", json!({})).await;
        expect_groups("after mute and moves", &[&ada, &cy, &dee], &[&[&ada, &cy, &dee]]).await;
        bob.press("Mic", "#dock").await;
        expect_groups("with Bob's microphone on", &everybody, &[&everybody]).await;
    });
}
