//! A meeting by the page's own buttons only, as a person holds it.

use super::hearing::expect_groups;
use super::person::{Person, meeting};
use super::world::story;

async fn opens(person: &Person, panel: &str) {
    let open = format!("(() => {{ document.getElementById('tab-{panel}').click(); return true; }})()");
    assert!(person.js::<bool>(&open).await);
}

/// Ticks everybody in the dialog that asks whom to invite.
async fn ticks_everybody(person: &Person) {
    let tick = "(() => { document.querySelectorAll('dialog fieldset input').forEach((box) => box.click()); return true; })()";
    assert!(person.js::<bool>(tick).await);
}

async fn reads(person: &Person, selector: &str, text: &str) {
    let is_there = format!(
        "[...document.querySelectorAll('{selector}')].some(({{textContent}}) => textContent.includes('{text}'))"
    );
    person.until(&format!("{text:?} is to be read in {selector}"), &is_there).await;
}

#[test]
fn a_meeting_by_buttons() {
    story("a meeting by buttons", async |world| {
        let [ada, bob, cy, dee] = meeting(world).await;
        let everybody = [&ada, &bob, &cy, &dee];
        opens(&ada, "rooms").await;
        ada.press("Create…", "#panel-rooms").await;
        ada.press("Create", "dialog").await;
        reads(&ada, ".room-card h3", "2").await;
        ada.press("Invite…", ".room-card:first-child").await;
        ticks_everybody(&ada).await;
        ada.press("Invite", "dialog").await;

        bob.press("Join", "#invitations").await;
        cy.press("Join", "#invitations").await;
        dee.press("Not now", "#invitations").await;
        reads(&ada, "#panel-log .log", "Dee will not join").await;
        reads(&ada, ".room-card .members", "Bob, Cy").await;
        reads(&dee, ".places h3", "In breakout rooms").await;
        expect_groups("after the answers", &everybody, &[&[&ada, &dee], &[&bob, &cy]]).await;

        bob.press("Back", "#dock").await;
        reads(&bob, ".place", "Main room").await;
        expect_groups("after Bob went back", &everybody, &[&[&ada, &bob, &dee], &[&cy]]).await;

        opens(&ada, "meeting").await;
        ada.press("Pause everything", "#panel-meeting").await;
        reads(&bob, ".flags", "paused").await;
        opens(&ada, "rooms").await;
        ada.press("Close all rooms", "#panel-rooms").await;
        ada.press("Close all", "dialog").await;
        reads(&cy, ".place", "Main room").await;
        reads(&ada, "#panel-rooms .empty-title", "No breakout rooms").await;
        expect_groups("after the rooms were closed", &everybody, &[&everybody]).await;

        ada.press("Leave", "#dock").await;
        reads(&ada, "#entry", "You left the meeting").await;
        expect_groups("after Ada left", &[&bob, &cy, &dee], &[&[&bob, &cy, &dee]]).await;
    });
}

/// What is wrong with the page as it is shown: controls without a name, and things that are wider
/// than the screen.
const UNREADABLE: &str = "(() => {
    const shown = (element) => element.offsetParent !== null;
    const named = (element) => element.ariaLabel || element.textContent.trim() || element.labels?.length > 0;
    const controls = [...document.querySelectorAll('button, input, select, textarea')].filter(shown);
    const nameless = controls.filter((control) => !named(control));
    const wide = [...controls, document.documentElement].filter((element) =>
        element.getBoundingClientRect().right > innerWidth + 1 && !element.closest('.tiles'));
    return [...nameless, ...wide].map((element) => element.outerHTML.slice(0, 120));
})()";

#[test]
fn the_page_fits_a_phone() {
    story("the page fits a phone", async |world| {
        let [ada, bob, cy, _dee] = meeting(world).await;
        ada.screen_width(360).await;
        let table = ada.creates_room().await;
        ada.brings(&[&bob, &cy], &table).await;
        bob.press("Board", "#dock").await;
        ada.enters(&table).await;
        for panel in ["stage", "people", "rooms", "meeting", "log"] {
            opens(&ada, panel).await;
            assert_eq!(ada.js::<Vec<String>>(UNREADABLE).await, Vec::<String>::new(), "{panel}");
        }
        ada.press("Back", "#dock").await;
        opens(&ada, "rooms").await;
        for button in ["Create…", "Join…", "Invite…"] {
            ada.press(button, "#panel-rooms").await;
            assert_eq!(ada.js::<Vec<String>>(UNREADABLE).await, Vec::<String>::new(), "{button}");
            assert!(
                ada.js::<bool>("(() => { document.querySelector('dialog').close(); return true; })()").await
            );
        }
    });
}

#[test]
fn the_page_names_what_was_refused() {
    story("the page names what was refused", async |world| {
        let [ada, bob, _cy, _dee] = meeting(world).await;
        ada.press("Board", "#dock").await;
        bob.until("Bob knows", "document.querySelector('.dock-button.taken') !== null").await;
        bob.press("Screen", "#dock").await;
        reads(&bob, "#alerts", "already presenting").await;
        let is_local = bob.js::<bool>("anteroom.local.has('share')").await;
        assert!(!is_local, "what was refused is not captured");
        opens(&ada, "meeting").await;
        ada.press("Switch to lecture mode", "#panel-meeting").await;
        reads(&bob, ".flags", "Lecture").await;
        opens(&ada, "rooms").await;
        reads(&ada, "#panel-rooms .hint", "lecture mode").await;
    });
}
