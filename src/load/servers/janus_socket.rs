//! A session with the VideoRoom of a Janus over its WebSocket: requests, and the answers to them.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::super::person::PersonError;
use super::super::signalling::SignallingError;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Janus forgets a session of which it has not heard for a minute.
const KEEPALIVE: Duration = Duration::from_secs(25);
const PLUGIN: &str = "janus.plugin.videoroom";

/// An answer of the plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// What the plugin says.
    pub(super) data: Value,
    /// The SDP beside it, if there is one.
    pub(super) sdp: Option<String>,
}

/// A session with one handle of the plugin.
pub(super) struct JanusSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    transactions: u64,
    session: Option<u64>,
    handle: Option<u64>,
}

fn broken(error: tungstenite::Error) -> PersonError {
    PersonError::Signalling(SignallingError::WebSocket(Box::new(error)))
}

impl JanusSocket {
    /// Connects, and opens a session and a handle of the plugin.
    ///
    /// # Errors
    /// Where there is no Janus, or it refuses.
    pub(super) async fn open(url: &str) -> Result<Self, PersonError> {
        let mut janus = Self::connect(url).await?;
        janus.begin().await?;
        Ok(janus)
    }

    /// Connects; there is no session yet.
    ///
    /// # Errors
    /// Where there is no Janus.
    pub(super) async fn connect(url: &str) -> Result<Self, PersonError> {
        let mut request = url.into_client_request().map_err(broken)?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("janus-protocol"));
        let (socket, _) = connect_async(request).await.map_err(broken)?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            let _ = stream.set_nodelay(true);
        }
        Ok(Self { socket, transactions: 0, session: None, handle: None })
    }

    /// Opens a session and a handle of the plugin.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn begin(&mut self) -> Result<(), PersonError> {
        self.session = number(&self.ask(json!({"janus": "create"})).await?);
        self.handle = number(&self.ask(json!({"janus": "attach", "plugin": PLUGIN})).await?);
        Ok(())
    }

    /// What the server is: its name and version. It tells only who has no session.
    ///
    /// # Errors
    /// Where it does not say.
    pub(super) async fn info(&mut self) -> Result<String, PersonError> {
        let info = self.ask(json!({"janus": "info"})).await?;
        let version = info.get("version_string").and_then(Value::as_str).unwrap_or("of an unknown version");
        Ok(format!("Janus {version}"))
    }

    /// Asks the plugin. With `sdp` wanted, waits for an answer that has one.
    ///
    /// # Errors
    /// Where it refuses, or does not answer.
    pub(super) async fn message(
        &mut self,
        body: Value,
        jsep: Option<Value>,
        wants_sdp: bool,
    ) -> Result<Answer, PersonError> {
        let method = body.get("request").and_then(Value::as_str).unwrap_or("message").to_owned();
        let mut request = json!({"janus": "message", "body": body});
        if let (Some(jsep), Some(request)) = (jsep, request.as_object_mut()) {
            request.insert("jsep".to_owned(), jsep);
        }
        let transaction = self.send(request).await?;
        loop {
            let answer = self.answer(&transaction, &method).await?;
            let answer = read_answer(&answer);
            if answer.data.get("error").is_some() {
                return Err(PersonError::Refused { method, answer: answer.data.to_string() });
            }
            if answer.sdp.is_some() || !wants_sdp {
                return Ok(answer);
            }
        }
    }

    /// Keeps the session until `end`, then ends it.
    pub(super) async fn keep(mut self, mut end: oneshot::Receiver<()>) {
        let mut due = tokio::time::interval(KEEPALIVE);
        loop {
            tokio::select! {
                _ = &mut end => break,
                _ = due.tick() => if self.send(json!({"janus": "keepalive"})).await.is_err() { return },
                frame = self.socket.next() => if !matches!(frame, Some(Ok(_))) { return },
            }
        }
        self.close().await;
    }

    /// Ends the session.
    pub(super) async fn close(mut self) {
        let _ = self.ask(json!({"janus": "destroy"})).await;
        let _ = self.socket.close(None).await;
    }

    async fn ask(&mut self, request: Value) -> Result<Value, PersonError> {
        let method = request.get("janus").and_then(Value::as_str).unwrap_or_default().to_owned();
        let transaction = self.send(request).await?;
        self.answer(&transaction, &method).await
    }

    async fn send(&mut self, mut request: Value) -> Result<String, PersonError> {
        self.transactions += 1;
        let transaction = self.transactions.to_string();
        if let Some(request) = request.as_object_mut() {
            request.insert("transaction".to_owned(), json!(transaction));
            for (key, id) in [("session_id", self.session), ("handle_id", self.handle)] {
                id.map(|id| request.insert(key.to_owned(), json!(id)));
            }
        }
        self.socket.send(Message::text(request.to_string())).await.map_err(broken)?;
        Ok(transaction)
    }

    /// The next answer to a request, but for acks: a slow request is acked first.
    async fn answer(&mut self, transaction: &str, method: &str) -> Result<Value, PersonError> {
        let late = |_| PersonError::Late(method.to_owned(), PATIENCE);
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await.map_err(late)?;
            let text = match frame {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(broken(error)),
                None => return Err(SignallingError::Closed(String::new()).into()),
            };
            let frame: Value = serde_json::from_str(&text)
                .map_err(|_| SignallingError::NotAFrame(text.chars().take(200).collect()))?;
            if frame.get("transaction").and_then(Value::as_str) != Some(transaction) {
                continue;
            }
            match frame.get("janus").and_then(Value::as_str) {
                Some("ack") => {}
                Some("error") => {
                    return Err(PersonError::Refused {
                        method: method.to_owned(),
                        answer: frame.to_string(),
                    });
                }
                _ => return Ok(frame),
            }
        }
    }
}

fn number(answer: &Value) -> Option<u64> {
    answer.get("data")?.get("id")?.as_u64()
}

fn read_answer(frame: &Value) -> Answer {
    let data = frame.get("plugindata").and_then(|plugin| plugin.get("data")).cloned().unwrap_or_default();
    let sdp = frame.get("jsep").and_then(|jsep| jsep.get("sdp")).and_then(Value::as_str);
    Answer { data, sdp: sdp.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_plugins_words_and_perhaps_sdp() {
        let frame = json!({
            "janus": "event", "transaction": "7", "sender": 1,
            "plugindata": {"plugin": PLUGIN, "data": {"videoroom": "attached", "room": 5}},
            "jsep": {"type": "offer", "sdp": "v=0"},
        });
        let answer = read_answer(&frame);
        assert_eq!(answer.data["videoroom"], "attached");
        assert_eq!(answer.sdp.as_deref(), Some("v=0"));
        assert_eq!(read_answer(&json!({"janus": "success"})), Answer::default());
        assert_eq!(number(&json!({"janus": "success", "data": {"id": 77}})), Some(77));
    }
}
