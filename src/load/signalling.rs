//! A client's end of the signalling WebSocket: requests, acks and events as JSON.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// What a connection reads at once. There are thousands, and the usual 128 KiB would be most of the
/// tool's memory.
const BUFFER_BYTES: usize = 4 * 1024;

/// Why signalling failed.
#[derive(Debug, thiserror::Error)]
pub enum SignallingError {
    /// The WebSocket could not be had, or broke.
    #[error("WebSocket: {0}")]
    WebSocket(#[from] Box<tungstenite::Error>),
    /// The server closed it.
    #[error("the server closed the connection{0}")]
    Closed(String),
    /// The server sent what the protocol does not know.
    #[error("not a frame of the protocol: {0}")]
    NotAFrame(String),
}

/// What the server sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Incoming {
    /// The answer to the request of this id.
    Ack {
        /// The request's id.
        id: String,
        /// The method that was asked.
        method: String,
        /// The answer's data; `result` is 0 in success.
        data: Value,
    },
    /// Something that happened.
    Event {
        /// The event's name.
        event: String,
        /// Its data.
        data: Value,
    },
}

/// One signalling connection.
pub(super) struct Signalling {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_id: u64,
    pending: BTreeMap<String, String>,
}

impl Signalling {
    /// Opens the connection to `http_address` (`host:port`) with a token.
    ///
    /// # Errors
    /// [`SignallingError::WebSocket`] where the server does not answer or refuses the token.
    pub(super) async fn open(http_address: &str, token: &str) -> Result<Self, SignallingError> {
        let url = format!("ws://{http_address}/v1/ws?token={token}");
        let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
        // A request is one small frame: it has nothing to wait for.
        let (socket, _) = connect_async_with_config(url, Some(config), true).await.map_err(Box::new)?;
        Ok(Self { socket, next_id: 0, pending: BTreeMap::new() })
    }

    /// Sends a request and answers its id.
    ///
    /// # Errors
    /// [`SignallingError::WebSocket`] where the connection is gone.
    pub(super) async fn request(&mut self, method: &str, params: &Value) -> Result<String, SignallingError> {
        self.next_id += 1;
        let id = self.next_id.to_string();
        let frame = json!({"id": id, "method": method, "params": params}).to_string();
        self.pending.insert(id.clone(), method.to_owned());
        self.socket.send(Message::text(frame)).await.map_err(Box::new)?;
        Ok(id)
    }

    /// The next frame of the server. Safe to cancel.
    ///
    /// # Errors
    /// Where the connection is gone or what came is no frame.
    pub(super) async fn next(&mut self) -> Result<Incoming, SignallingError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return self.read_frame(&text),
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|f| format!(": {} {}", f.code, f.reason)).unwrap_or_default();
                    return Err(SignallingError::Closed(why));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Box::new(error).into()),
                None => return Err(SignallingError::Closed(String::new())),
            }
        }
    }

    /// Says goodbye to the server.
    pub(super) async fn close(&mut self) {
        let _ = self.socket.close(None).await;
    }

    fn read_frame(&mut self, text: &str) -> Result<Incoming, SignallingError> {
        let unknown = || SignallingError::NotAFrame(text.chars().take(200).collect());
        let mut frame: Value = serde_json::from_str(text).map_err(|_| unknown())?;
        let data = frame.get_mut("data").map(Value::take).unwrap_or_default();
        if let Some(event) = frame.get("event").and_then(Value::as_str) {
            return Ok(Incoming::Event { event: event.to_owned(), data });
        }
        let id = frame.get("id").and_then(Value::as_str).ok_or_else(unknown)?.to_owned();
        let method = self.pending.remove(&id).ok_or_else(unknown)?;
        Ok(Incoming::Ack { id, method, data })
    }
}
