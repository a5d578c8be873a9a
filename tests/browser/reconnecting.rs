//! Coming back: after a reload, a lost WebSocket, a lost path.

use serde_json::{Value, json};

use super::hearing::expect_groups;
use super::person::meeting;
use super::world::story;

#[test]
fn a_reload_comes_back_to_its_breakout_seat() {
    story("a reload comes back to its breakout seat", async |world| {
        let [ada, mut bob, cy, dee] = meeting(world).await;
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        let seat = bob.id.clone();
        bob.reload().await;
        assert_eq!(bob.id, seat, "the same seat");
        bob.until("the page says where it is", "document.querySelector('.place').classList.contains('away')")
            .await;
        let everybody = [&ada, &bob, &cy, &dee];
        expect_groups("after the reload", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;
        assert_eq!(bob.js::<usize>("test.offers").await, 1);
        bob.does("disconnect", json!({"room_id": table})).await;
        expect_groups("after the return", &everybody, &[&[&ada, &bob, &dee], &[&cy]]).await;
    });
}

#[test]
fn a_lost_socket_leaves_media_running() {
    story("a lost socket leaves media running, and no event is lost", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        expect_groups("before", &everybody, &[&everybody]).await;
        let table = ada.creates_room().await;
        // The client may come back only when it is let.
        let cut = "(() => { test.url = anteroom.url; anteroom.url = 'ws://127.0.0.1:9/'; anteroom.signalling.socket.close(); return true; })()";
        assert!(bob.js::<bool>(cut).await);
        assert_eq!(ada.told("didUserReconnecting").await["clientId"], bob.id);
        bob.until("the page says so", "document.querySelector('.line').textContent !== ''").await;
        expect_groups("without a socket", &everybody, &[&everybody]).await;
        let forced = json!({"clients": [bob.id], "room_id": table, "force_join": true});
        let refused = ada.ask("inviteToBreakOutRoom", forced).await.unwrap_err();
        assert_eq!(refused.error, "not_connected");
        ada.does("muteRoom", json!({"video": true})).await;

        assert!(bob.js::<bool>("(() => { anteroom.url = test.url; return true; })()").await);
        assert_eq!(ada.told("didUserReconnected").await["clientId"], bob.id);
        assert_eq!(bob.told("parentStateChanged").await["video_muted"], true, "what was missed is told");
        let (connections, offers): (usize, usize) = bob.js("[test.connections.length, test.offers]").await;
        assert_eq!((connections, offers), (1, 1), "media was not touched");
        ada.brings(&[&bob, &cy], &table).await;
        expect_groups("moved afterwards", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;
    });
}

#[test]
fn who_missed_too_much_learns_what_its_slots_carry() {
    story("who missed too much learns what its slots carry", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        expect_groups("before", &[&ada, &bob, &cy, &dee], &[&[&ada, &bob, &cy, &dee]]).await;
        let heard = "anteroom.slots.filter((slot) => slot.clientId && slot.track).length";
        bob.until("others are in its slots", &format!("{heard} >= 3")).await;
        let before: usize = bob.js(heard).await;
        // As behind a crash: there is no such number.
        let forget = "(async () => { anteroom.slots = []; anteroom.log.last = 1e9; await anteroom.log.catchUp(); return true; })()";
        assert!(bob.js::<bool>(forget).await);
        assert_eq!(bob.js::<usize>(heard).await, before);
    });
}

#[test]
fn an_ice_restart_keeps_everything() {
    story("an ICE restart keeps everything", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        let ufrag = "anteroom.connection.pc.remoteDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]";
        let before: String = bob.js(ufrag).await;
        bob.does("restartIce", Value::Null).await;
        assert_ne!(bob.js::<String>(ufrag).await, before);
        bob.until("media flows", "anteroom.connection.isUp").await;
        expect_groups("after the restart", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;
        let (connections, offers): (usize, usize) = bob.js("[test.connections.length, test.offers]").await;
        assert_eq!((connections, offers), (1, 2));
        // The client does the same by itself when its path is gone.
        let weak = "(() => { anteroom.connection.dispatchEvent(new Event('weak')); return true; })()";
        assert!(bob.js::<bool>(weak).await);
        bob.until(
            "ICE is renewed",
            "test.offers === 3 && anteroom.connection.pc.signalingState === 'stable'",
        )
        .await;
        expect_groups("after its own restart", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;
    });
}

#[test]
fn a_seat_that_is_gone_gives_a_new_one() {
    story("a seat that is gone gives a new one", async |world| {
        let [ada, mut bob, cy, dee] = meeting(world).await;
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        let before = bob.id.clone();
        let forget =
            "(() => { anteroom.seat = '0'.repeat(32); anteroom.signalling.socket.close(); return true; })()";
        assert!(bob.js::<bool>(forget).await);
        bob.until(
            "there is a new seat",
            &format!("anteroom.state === 'joined' && anteroom.clientId !== '{before}'"),
        )
        .await;
        bob.settle().await;
        let everybody = [&ada, &bob, &cy, &dee];
        // Whoever is new starts in the main room.
        expect_groups("on the new seat", &everybody, &[&[&ada, &bob, &dee], &[&cy]]).await;
        bob.until("the page follows", "!document.querySelector('.place').classList.contains('away')").await;
    });
}

#[test]
fn a_lost_connection_is_made_anew() {
    story("a lost connection is made anew", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        // As if the browser had given it up.
        assert!(
            bob.js::<bool>(
                "(() => { anteroom.connection.dispatchEvent(new Event('lost')); return true; })()"
            )
            .await
        );
        bob.until(
            "there is a new connection",
            "test.connections.length === 2 && anteroom.state === 'joined' && anteroom.connection.isUp",
        )
        .await;
        expect_groups("over the new connection", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;
    });
}
