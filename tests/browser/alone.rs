//! Stories of one person at a server of its own, which mostly wait: they are played beside the others.

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
