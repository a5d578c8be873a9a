//! A server on free loopback ports, and the least of an HTTP client.

use std::net::SocketAddr;
use std::time::Duration;

use anteroom::config::Config;
use anteroom::node::{Running, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The defaults, on free ports, with nothing kept.
pub(crate) fn free_ports() -> Config {
    let mut config = Config::default();
    config.listen.port = 0;
    config.listen.metrics.set_port(0);
    config.store.enabled = false;
    config
}

pub(crate) async fn start(config: &Config) -> (Running, SocketAddr) {
    let running = serve(config).await.unwrap();
    let address = running.http_addresses()[0];
    (running, address)
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
    }
}

/// One request on a connection of its own; `headers` are whole lines, each ended.
pub(crate) async fn ask(address: SocketAddr, line: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let request = format!(
        "{line} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path}"), "", "").await
}

/// The value of a metric with its labels, if it has some.
pub(crate) async fn metric(server: &Running, name: &str) -> u64 {
    let body = get(server.metrics_address(), "/metrics").await.body;
    let value = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {body}")).parse().unwrap()
}

/// A token of a server without a secret.
pub(crate) async fn development_token(address: SocketAddr, room: &str, name: &str, role: &str) -> String {
    let answer = get(address, &format!("/dev/token?room={room}&name={name}&role={role}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}
