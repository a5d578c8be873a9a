//! Screens and canvases: their pixels arrive, and only where they should.

use serde_json::json;

use super::hearing::expect_groups;
use super::person::{Person, meeting};
use super::world::story;

/// The picture that the stage shows large.
const LARGE: &str = ".large figure:not(.own):not(.board) video";

/// Whether a colour is near another one: what a video codec leaves of it.
fn near(colour: &str, wanted: [u8; 3]) -> String {
    let distance = format!("{colour}?.every((part, at) => Math.abs(part - {wanted:?}[at]) < 40)");
    format!("{distance} === true")
}

async fn sees(person: &Person, what: &str, wanted: [u8; 3]) {
    person.until(&format!("{what} is seen"), &near(&format!("test.colour({})", json!(LARGE)), wanted)).await;
}

async fn sees_nothing(person: &Person, what: &str) {
    person
        .until(
            &format!("{what}: nothing is shown"),
            &format!("document.querySelector({}) === null", json!(LARGE)),
        )
        .await;
}

/// Fills the shared board with a colour.
async fn paints(person: &Person, colour: &str) {
    let paint = format!(
        "(() => {{ const pen = document.querySelector('.board canvas').getContext('2d'); \
         pen.fillStyle = '{colour}'; pen.fillRect(0, 0, 1280, 720); return true; }})()"
    );
    person.until("there is a board", "document.querySelector('.board canvas') !== null").await;
    assert!(person.js::<bool>(&paint).await);
}

#[test]
fn a_shared_screen_is_seen_where_it_is_shared() {
    story("a shared screen is seen where it is shared", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let table = ada.creates_room().await;
        ada.brings(&[&dee], &table).await;
        bob.press("Screen", "#dock").await;
        assert_eq!(cy.told("didScreenShareStarted").await["clientId"], bob.id);
        // Chromium's own test screen: what it shows here is what the others have to see.
        let own = "test.colour('.large figure.own video')";
        bob.until("the own screen is shown", &format!("{own} !== null")).await;
        // Its middle turns; its ground does not.
        let [red, green, blue] = bob.js::<[u8; 3]>(own).await;
        assert!(green > 80 && red < 110 && blue < 80, "{red} {green} {blue}");
        for person in [&ada, &cy] {
            person
                .until(
                    "Bob's screen is seen",
                    &format!(
                        "(([r, g, b]) => g > 80 && r < 110 && b < 80)(test.colour({}) ?? [255, 0, 0])",
                        json!(LARGE)
                    ),
                )
                .await;
        }
        sees_nothing(&dee, "away").await;
        let refused = cy.ask("startCanvas", json!({})).await.unwrap_err();
        assert_eq!(refused.error, "share_or_canvas_active");

        // Whoever comes later gets a whole picture, whoever goes sees nothing more.
        ada.brings(&[&cy], &table).await;
        sees_nothing(&cy, "moved").await;
        dee.does("disconnect", json!({})).await;
        dee.until("Bob's screen is seen by Dee", &format!("test.colour({}) !== null", json!(LARGE))).await;
        bob.press("Screen", "#dock").await;
        sees_nothing(&ada, "stopped").await;
    });
}

#[test]
fn a_canvas_in_a_breakout_stays_there() {
    story("a canvas in a breakout room stays there", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        bob.press("Board", "#dock").await;
        paints(&bob, "#2040c0").await;
        sees(&cy, "the blue board", [0x20, 0x40, 0xc0]).await;
        paints(&bob, "#e0a020").await;
        sees(&cy, "the amber board", [0xe0, 0xa0, 0x20]).await;
        sees_nothing(&ada, "in the main room").await;

        // The main room has a presenter of its own at the same time.
        dee.press("Board", "#dock").await;
        paints(&dee, "#c02020").await;
        sees(&ada, "the red board", [0xc0, 0x20, 0x20]).await;
        // A move ends what the mover presented.
        ada.does("clearAllBreakOutSession", json!({})).await;
        for person in [&bob, &cy] {
            sees(person, "the red board, back in the main room", [0xc0, 0x20, 0x20]).await;
        }
        assert!(!bob.js::<bool>("anteroom.local.has('canvas')").await);
        ada.does("pause", json!({})).await;
        expect_groups("paused", &everybody, &[]).await;
        ada.does("resume", json!({})).await;
        paints(&dee, "#20a040").await;
        for person in [&ada, &bob, &cy] {
            sees(person, "the green board after a pause", [0x20, 0xa0, 0x40]).await;
        }
    });
}

#[test]
fn cameras_are_seen_as_tiles() {
    story("cameras are seen as tiles", async |world| {
        let [ada, bob, _cy, _dee] = meeting(world).await;
        bob.press("Camera", "#dock").await;
        ada.told("didCameraChanged").await;
        ada.until("Bob's camera is seen", "test.colour('.tiles figure:not(.own):not(.dark) video') !== null")
            .await;
        bob.press("Camera", "#dock").await;
        ada.until(
            "Bob's camera is gone",
            "document.querySelector('.tiles figure:not(.own):not(.dark)') === null",
        )
        .await;
    });
}
