//! Stories of one person at a server of its own, which mostly wait: they are played beside the others.

use std::net::TcpListener;

use super::person::Person;
use super::server_process::ServerProcess;
use super::world::beside;

/// How many words of the page's log have this in them.
fn logged(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#panel-log li')].filter(({{textContent}}) => textContent.includes('{text}')).length"
    )
}

#[test]
fn media_that_never_gets_through_is_told_once() {
    beside("media that never gets through is told once", async |world| {
        // Nobody answers there.
        let config = "[listen]\nport = 0\nmetrics = \"127.0.0.1:0\"\nadvertised = [\"127.0.0.77\"]\n[store]\nenabled = false\n";
        let server = ServerProcess::start(&[], config).await;
        let ada = Person::alone(world, &format!("http://{}/", server.address), "Ada").await;
        let told = logged("No media gets to the server at 127.0.0.77.");
        ada.until("the page says where it has sent media in vain", &format!("{told} === 1")).await;
        ada.until(
            "it goes on trying",
            "test.connections.length > 1 && anteroom.state === 'joined' && !anteroom.recovering",
        )
        .await;
        // Another connection that fails is no news.
        let lost = "(() => { anteroom.connection.dispatchEvent(new Event('lost')); return true; })()";
        assert!(ada.js::<bool>(lost).await);
        ada.until("it still goes on", "test.connections.length > 2 && anteroom.state === 'joined'").await;
        assert_eq!(ada.js::<usize>(&told).await, 1);
        ada.goes().await;
    });
}

#[test]
fn who_presents_to_nobody_behind_a_crash_is_told() {
    beside("who presents to nobody behind a crash is told", async |world| {
        let folder = tempfile::tempdir().unwrap();
        // The page comes back to the address that it knows.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "[listen]\nhttp = [\"127.0.0.1\"]\nport = {port}\nmetrics = \"127.0.0.1:0\"\n[store]\npath = \"{}\"\n",
            folder.path().join("store").display()
        );
        let server = ServerProcess::start(&[], &config).await;
        let mut ada = Person::alone(world, &format!("http://{}/", server.address), "Ada").await;
        ada.settle().await;
        let seat = ada.id.clone();
        ada.press("Board", "#dock").await;
        let presents = "anteroom.local.has('canvas')";
        ada.until("Ada presents", presents).await;
        server.stop().await;
        ada.until("the page knows", "anteroom.state === 'reconnecting'").await;
        let _server = ServerProcess::start(&[], &config).await;
        ada.settle().await;
        assert_eq!(ada.id, seat, "the same seat");
        assert!(!ada.js::<bool>(presents).await, "the server knows no presenter");
        let pressed =
            "document.querySelector('#dock [title=\"Share a board\"]').getAttribute('aria-pressed')";
        ada.until("the button says so", &format!("{pressed} === 'false'")).await;
        ada.until("so does the page", &format!("{} === 1", logged("Your board is no longer shared"))).await;
        // It can be shared again.
        ada.press("Board", "#dock").await;
        ada.until("Ada presents again", presents).await;
        ada.goes().await;
    });
}
