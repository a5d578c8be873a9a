//! DevTools of a browser (Chrome DevTools Protocol): commands, answers and events over one WebSocket, in which each
//! page has a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long a command, or a page's load, may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(30);

/// Who waits for an event has at most so many before it.
const EVENTS: usize = 1_024;

/// What a command's result is, or why there is none.
type Answer = Result<Value, String>;

/// A link to a browser. It ends with its last copy.
#[derive(Clone)]
pub(crate) struct DevTools {
    commands: mpsc::Sender<(Value, oneshot::Sender<Answer>)>,
    events: broadcast::Sender<Arc<Value>>,
}

/// A page, by its session.
#[derive(Clone)]
pub(crate) struct Page {
    devtools: DevTools,
    target: Value,
    session: Value,
}

impl DevTools {
    /// A link to the browser whose DevTools have this address.
    ///
    /// # Errors
    /// A text that says why there is none.
    pub(crate) async fn connect(address: &str) -> Result<Self, String> {
        let (socket, _) = connect_async(address).await.map_err(|error| format!("{address}: {error}"))?;
        let (commands, asked) = mpsc::channel(16);
        let events = broadcast::Sender::new(EVENTS);
        tokio::spawn(carry(socket, asked, events.clone()));
        Ok(Self { commands, events })
    }

    /// Asks the browser itself.
    ///
    /// # Errors
    /// What the browser says, or that it is gone or does not answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Answer {
        self.send(json!({"method": method, "params": params})).await
    }

    /// A page in a storage of its own, which may use microphone and camera on the server at `url`.
    ///
    /// # Errors
    /// As those of [`DevTools::ask`].
    pub(crate) async fn page(&self, url: &str) -> Result<Page, String> {
        let context = self.ask("Target.createBrowserContext", json!({})).await?["browserContextId"].take();
        // Without it Chromium hides its addresses, and gathers none on loopback.
        for name in ["microphone", "camera"] {
            let grant = json!({
                "permission": {"name": name}, "setting": "granted",
                "origin": url.trim_end_matches('/'), "browserContextId": context,
            });
            self.ask("Browser.setPermission", grant).await?;
        }
        let empty = json!({"url": "about:blank", "browserContextId": context});
        let target = self.ask("Target.createTarget", empty).await?["targetId"].take();
        let wish = json!({"targetId": target, "flatten": true});
        let session = self.ask("Target.attachToTarget", wish).await?["sessionId"].take();
        let page = Page { devtools: self.clone(), target, session };
        page.ask("Page.enable", json!({})).await?;
        Ok(page)
    }

    async fn send(&self, command: Value) -> Answer {
        let method = command["method"].clone();
        let (answer, answered) = oneshot::channel();
        let gone = || format!("{method}: the browser is gone");
        self.commands.send((command, answer)).await.map_err(|_| gone())?;
        match tokio::time::timeout(WITHIN, answered).await {
            Ok(answer) => answer.map_err(|_| gone())?.map_err(|error| format!("{method}: {error}")),
            Err(_) => Err(format!("{method}: no answer within {WITHIN:?}")),
        }
    }
}

impl Page {
    /// Asks the browser something about this page.
    ///
    /// # Errors
    /// As those of [`DevTools::ask`].
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Answer {
        self.devtools.send(json!({"sessionId": self.session, "method": method, "params": params})).await
    }

    /// What an expression comes to, after its promises; null for `undefined`.
    ///
    /// # Errors
    /// As those of [`DevTools::ask`], and what the script throws.
    pub(crate) async fn evaluate(&self, expression: &str) -> Answer {
        let wish = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.ask("Runtime.evaluate", wish).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(thrown.to_string()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Goes to an address and waits until all of it is there.
    ///
    /// # Errors
    /// As those of [`DevTools::ask`], or that it cannot be reached.
    pub(crate) async fn goes_to(&self, url: &str) -> Result<(), String> {
        self.loads("Page.navigate", json!({"url": url})).await
    }

    /// Loads anew what is there, as the browser's button does.
    ///
    /// # Errors
    /// As those of [`Page::goes_to`].
    pub(crate) async fn reload(&self) -> Result<(), String> {
        self.loads("Page.reload", json!({})).await
    }

    /// Closes the page.
    ///
    /// # Errors
    /// As those of [`DevTools::ask`].
    pub(crate) async fn close(&self) -> Answer {
        self.devtools.ask("Target.closeTarget", json!({"targetId": self.target})).await
    }

    async fn loads(&self, method: &str, params: Value) -> Result<(), String> {
        let mut events = self.devtools.events.subscribe();
        let answer = self.ask(method, params).await?;
        if let Some(why) = answer.get("errorText") {
            return Err(format!("{method}: {why}"));
        }
        let loaded = async {
            // The first tells that what is loaded from now on is the new document.
            for awaited in ["Page.frameNavigated", "Page.loadEventFired"] {
                loop {
                    let event = events.recv().await.map_err(|error| error.to_string())?;
                    let is_within = event["params"]["frame"].get("parentId").is_some();
                    if event["method"] == awaited && event["sessionId"] == self.session && !is_within {
                        break;
                    }
                }
            }
            Ok(())
        };
        tokio::time::timeout(WITHIN, loaded)
            .await
            .map_err(|_| format!("{method}: not loaded within {WITHIN:?}"))?
    }
}

/// Carries commands to the browser, and answers and events back, until one side ends.
async fn carry(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    mut commands: mpsc::Receiver<(Value, oneshot::Sender<Answer>)>,
    events: broadcast::Sender<Arc<Value>>,
) {
    let mut waiting: BTreeMap<u64, oneshot::Sender<Answer>> = BTreeMap::new();
    let mut id = 0;
    loop {
        tokio::select! {
            command = commands.recv() => {
                let Some((mut command, answer)) = command else { return };
                id += 1;
                command["id"] = id.into();
                waiting.insert(id, answer);
                if socket.send(Message::text(command.to_string())).await.is_err() {
                    return;
                }
            }
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                let Ok(mut message) = serde_json::from_slice::<Value>(&message.into_data()) else { continue };
                match message["id"].as_u64().and_then(|id| waiting.remove(&id)) {
                    // Who asked may have given up.
                    Some(answer) => drop(answer.send(match message.get_mut("error") {
                        Some(error) => Err(error.to_string()),
                        None => Ok(message["result"].take()),
                    })),
                    // Mostly nobody waits for one.
                    None => drop(events.send(Arc::new(message))),
                }
            }
        }
    }
}
