//! Janus as a target: rooms of its VideoRoom plugin, with the API of version 1 (several streams a
//! subscriber).

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::super::generator::{Addressing, Orders};
use super::super::options::LoadOptions;
use super::super::person::PersonError;
use super::super::run::{LoadError, say};
use super::super::server_process::ServerProcess;
use super::janus_process;
use super::janus_socket::JanusSocket;
use super::link::{Beginning, Link};
use super::{Attendee, Newcomer, Outcome, Target};
use crate::base::Kind;
use crate::client::{ParticipantReport, ServerKind};

/// A Janus that was just started opens its door within this time.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
const LOOKS_EVERY: Duration = Duration::from_millis(100);
/// The most publishers of a room: talkers are at most 16.
const MAX_PUBLISHERS: u32 = 20;

/// A Janus, its own or another's.
pub(super) struct Janus {
    url: String,
    name: String,
    rooms: Vec<u64>,
    pid: Option<u32>,
    /// Ends with the target.
    server: Option<ServerProcess>,
}

impl Janus {
    /// Finds a Janus or starts one, and makes the rooms.
    pub(super) async fn open(
        options: &LoadOptions,
        rooms: usize,
        processor: Option<usize>,
    ) -> Result<Self, LoadError> {
        let (server, url) = if options.spawn {
            say("starting Janus");
            let (process, url) = janus_process::start(options, processor)?;
            (Some(process), url)
        } else {
            (None, options.janus.clone().unwrap_or_default())
        };
        let failed = |error| LoadError::Person { who: "Janus".to_owned(), error };
        let mut socket = first_connection(&url, server.is_some()).await.map_err(failed)?;
        let version = socket.info().await.map_err(failed)?;
        socket.begin().await.map_err(failed)?;
        let loops =
            if server.is_some() { format!(", event loops: {}", options.event_loops) } else { String::new() };
        let first = u64::from(std::process::id()) * 10_000;
        let rooms: Vec<u64> = (first..).take(rooms).collect();
        for room in &rooms {
            socket.message(description(*room), None, false).await.map_err(failed)?;
        }
        socket.close().await;
        let pid = server.as_ref().map(ServerProcess::pid).or(options.server_pid);
        Ok(Self { name: format!("{version} at {url}{loops}"), url, rooms, pid, server })
    }

    async fn publisher(&self, newcomer: Newcomer, media: &Orders) -> Result<Visitor, PersonError> {
        let (room, name) = (self.room(&newcomer), newcomer.name());
        let mut socket = JanusSocket::open(&self.url).await?;
        let beginning = Beginning::of(&newcomer, media)?;
        let (sdp, _) = beginning.participant.offer();
        let body =
            json!({"request": "joinandconfigure", "ptype": "publisher", "room": room, "display": name});
        let answer = socket.message(body, Some(jsep("offer", &sdp)), true).await?;
        let link = beginning.answered(&answer.sdp.unwrap_or_default(), media).await?;
        Ok(Visitor::new(name, link, socket))
    }

    async fn subscriber(&self, newcomer: Newcomer, media: &Orders) -> Result<Visitor, PersonError> {
        let (room, name) = (self.room(&newcomer), newcomer.name());
        let mut socket = JanusSocket::open(&self.url).await?;
        let list = json!({"request": "listparticipants", "room": room});
        let present = socket.message(list, None, false).await?;
        let streams: Vec<Value> = feeds(&present.data).map(|feed| json!({"feed": feed})).collect();
        let beginning = Beginning::of(&newcomer, media)?;
        let body = json!({"request": "join", "ptype": "subscriber", "room": room, "streams": streams});
        let offer = socket.message(body, None, true).await?;
        let (link, sdp) = beginning.offered(&offer.sdp.unwrap_or_default(), media).await?;
        let start = json!({"request": "start", "room": room});
        socket.message(start, Some(jsep("answer", &sdp)), false).await?;
        Ok(Visitor::new(name, link, socket))
    }

    fn room(&self, newcomer: &Newcomer) -> u64 {
        self.rooms.get(newcomer.room).copied().unwrap_or_default()
    }
}

impl Target for Janus {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn kind(&self) -> ServerKind {
        ServerKind::Other
    }

    /// Janus does no media on loopback: each participant has a socket, on whatever interface.
    fn addressing(&self) -> Addressing {
        Addressing::Own(Ipv4Addr::UNSPECIFIED.into())
    }

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn join<'a>(&'a self, newcomer: Newcomer, media: &'a Orders) -> Outcome<'a, Box<dyn Attendee>> {
        async move {
            let visitor = match newcomer.publisher {
                Some(_) => self.publisher(newcomer, media).await?,
                None => self.subscriber(newcomer, media).await?,
            };
            Ok(Box::new(visitor) as Box<dyn Attendee>)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            if self.server.is_some() {
                return;
            }
            let Ok(mut socket) = JanusSocket::open(&self.url).await else { return };
            for room in &self.rooms {
                let _ = socket.message(json!({"request": "destroy", "room": room}), None, false).await;
            }
            socket.close().await;
        }
        .boxed()
    }
}

/// Somebody at a Janus.
struct Visitor {
    name: String,
    link: Link,
    /// Ends the session.
    end: oneshot::Sender<()>,
    session: tokio::task::JoinHandle<()>,
}

impl Visitor {
    fn new(name: String, link: Link, socket: JanusSocket) -> Self {
        let (end, ended) = oneshot::channel();
        Self { name, link, end, session: tokio::spawn(socket.keep(ended)) }
    }
}

impl Attendee for Visitor {
    fn name(&self) -> &str {
        &self.name
    }

    fn connected(&self) -> Outcome<'_, ()> {
        self.link.connected().boxed()
    }

    fn publish(&self, kind: Kind, on: bool) -> Outcome<'_, ()> {
        self.link.publish(kind, on).map(Ok).boxed()
    }

    fn hears(&self, _publishers: usize) -> Outcome<'_, ()> {
        futures_util::future::ready(Ok(())).boxed()
    }

    fn finish(self: Box<Self>) -> Outcome<'static, Vec<ParticipantReport>> {
        async move {
            let Self { link, end, session, .. } = *self;
            // The report first: media that fails because the session ends is no finding.
            let report = link.finish().await;
            let _ = end.send(());
            let _ = session.await;
            Ok(vec![report?])
        }
        .boxed()
    }
}

/// The first connection, to a server that may just be starting.
async fn first_connection(url: &str, is_starting: bool) -> Result<JanusSocket, PersonError> {
    let mut left = if is_starting { STARTS_WITHIN } else { Duration::ZERO };
    loop {
        match JanusSocket::connect(url).await {
            Err(error) if left.is_zero() => return Err(error),
            Err(_) => {
                tokio::time::sleep(LOOKS_EVERY).await;
                left = left.saturating_sub(LOOKS_EVERY);
            }
            opened => return opened,
        }
    }
}

/// A room without anything that the test does not ask for.
fn description(room: u64) -> Value {
    json!({
        "request": "create", "room": room, "permanent": false, "is_private": true,
        "publishers": MAX_PUBLISHERS, "bitrate": 0, "audiocodec": "opus", "videocodec": "vp8",
        "audiolevel_event": false, "notify_joining": false,
    })
}

fn jsep(kind: &str, sdp: &str) -> Value {
    json!({"type": kind, "sdp": sdp, "trickle": false})
}

/// Who publishes, by the answer to `listparticipants`.
fn feeds(present: &Value) -> impl Iterator<Item = u64> {
    let people = present.get("participants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let publishers = people.iter().filter(|one| one.get("publisher").and_then(Value::as_bool) == Some(true));
    publishers.filter_map(|one| one.get("id")?.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_publishers_are_feeds() {
        let present = json!({"videoroom": "participants", "room": 5, "participants": [
            {"id": 11, "display": "Speaker 0", "publisher": true},
            {"id": 12, "display": "Listener 1", "publisher": false},
            {"id": 13, "publisher": true},
        ]});
        assert_eq!(feeds(&present).collect::<Vec<_>>(), [11, 13]);
        assert_eq!(feeds(&Value::Null).count(), 0);
    }
}
