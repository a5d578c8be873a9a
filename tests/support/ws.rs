//! A client of the WebSocket: requests in, acks and events out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anteroom::message::Method;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::http::{PATIENCE, development_token};

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: VecDeque<Value>,
}

impl Client {
    /// With a development token.
    pub(crate) async fn enter(address: SocketAddr, room: &str, name: &str, role: &str) -> Self {
        let token = development_token(address, room, name, role).await;
        Self::connect(address, &token).await.unwrap()
    }

    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Result<Self, Box<Error>> {
        let (socket, _) = connect_async(format!("ws://{address}/v1/ws?token={token}")).await?;
        Ok(Self { socket, events: VecDeque::new() })
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message that is no ping; `None` at the end.
    pub(crate) async fn next_message(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a message in time") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn next_frame(&mut self) -> Value {
        match self.next_message().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    /// The code and reason with which the server closes.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next_message().await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Message::Text(_)) => {}
                other => panic!("expected a close, got {other:?}"),
            }
        }
    }

    /// Sends a request and answers its whole ack; events meanwhile are kept.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        // One number for all clients: whoever comes back to a seat must not ask under an old id.
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed).to_string();
        self.send_text(&json!({"id": id, "method": method, "params": params}).to_string()).await;
        loop {
            let frame = self.next_frame().await;
            if frame["id"] == id.as_str() {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// The data of a request's ack, which has to be a success under the contract's name.
    pub(crate) async fn succeed(&mut self, method: &str, params: Value) -> Value {
        let ack = method.parse::<Method>().unwrap().ack();
        let mut frame = self.request(method, params).await;
        assert_eq!((&frame["ack"], &frame["data"]["result"]), (&json!(ack), &json!(0)), "{frame}");
        frame["data"].take()
    }

    /// The code with which a request is refused, under the contract's name.
    pub(crate) async fn refused(&mut self, method: &str, params: Value) -> u64 {
        let ack = method.parse::<Method>().unwrap().failure_ack();
        let frame = self.request(method, params).await;
        assert_eq!(frame["ack"], ack, "{frame}");
        frame["data"]["result"].as_u64().unwrap()
    }

    /// How many events of a name have come that nobody has asked for yet.
    pub(crate) fn kept(&self, name: &str) -> usize {
        self.events.iter().filter(|event| event["event"] == name).count()
    }

    /// The data of the next event of a name, past the others.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        while let Some(mut frame) = self.events.pop_front() {
            if frame["event"] == name {
                return frame["data"].take();
            }
        }
        loop {
            let mut frame = self.next_frame().await;
            if frame["event"] == name {
                return frame["data"].take();
            }
        }
    }
}
