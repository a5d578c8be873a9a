//! The whole server, in this process, on free ports of loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anteroom::base::Secret;
use anteroom::config::Config;
use anteroom::node::{Running, serve};
use serde_json::json;

use crate::sending::now;

const SECRET: &str = "a secret of these tests, long enough";

pub(crate) struct Server(Running);

impl Server {
    pub(crate) async fn start() -> Self {
        let mut config = Config::default();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        config.listen.http = vec![loopback];
        config.listen.port = 0;
        config.listen.metrics = SocketAddr::new(loopback, 0);
        config.listen.media = vec![loopback];
        config.store.enabled = false;
        config.tokens.secret = Secret::new(SECRET);
        // The two of each story live on two media workers, so that everything crosses; the browsers'
        // stories are on one.
        (config.node.workers, config.node.seats_per_worker) = (2, 1);
        Self(serve(&config).await.unwrap())
    }

    /// Address of the WebSocket.
    pub(crate) fn http(&self) -> SocketAddr {
        self.0.http_addresses()[0]
    }

    pub(crate) async fn stop(self) {
        self.0.stop().await;
    }
}

/// A token for a room.
pub(crate) fn token(room: &str, name: &str, role: &str) -> String {
    let claims = json!({"room": room, "name": name, "role": role, "exp": now().as_unix_seconds() + 600});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}
