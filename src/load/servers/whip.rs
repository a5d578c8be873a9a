//! Any server with WHIP (RFC 9725) and WHEP as a target. A stream is published at one address and
//! listened to at another, so a listener has a connection for each publisher of its room.

use std::net::Ipv4Addr;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};

use super::super::generator::{Addressing, Orders};
use super::super::options::LoadOptions;
use super::super::person::PersonError;
use super::http;
use super::link::{Beginning, Link};
use super::{Attendee, Newcomer, Outcome, Target};
use crate::base::Kind;
use crate::client::{ParticipantReport, ServerKind};

/// Addresses of a server.
pub(super) struct Whip {
    publish_at: String,
    listen_at: String,
    publishers_per_room: usize,
    pid: Option<u32>,
}

impl Whip {
    pub(super) fn open(options: &LoadOptions, publishers_per_room: usize) -> Self {
        Self {
            publish_at: options.whip.clone().unwrap_or_default(),
            listen_at: options.whep.clone().unwrap_or_default(),
            publishers_per_room,
            pid: options.server_pid,
        }
    }
}

/// The address of one publisher's stream.
fn address(template: &str, room: usize, publisher: usize) -> String {
    template.replace("{room}", &room.to_string()).replace("{publisher}", &publisher.to_string())
}

async fn connect(url: &str, beginning: Beginning, media: &Orders) -> Result<Connection, PersonError> {
    let (offer, _) = beginning.participant.offer();
    let created = http::post_offer(url, offer).await?;
    let link = beginning.answered(&created.sdp, media).await?;
    Ok(Connection { link, resource: created.resource })
}

impl Target for Whip {
    fn name(&self) -> String {
        format!("WHIP at {}", self.publish_at)
    }

    fn kind(&self) -> ServerKind {
        ServerKind::Other
    }

    /// Where its media will be nobody knows yet: each connection has a socket, on whatever interface.
    fn addressing(&self) -> Addressing {
        Addressing::Own(Ipv4Addr::UNSPECIFIED.into())
    }

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn join<'a>(&'a self, newcomer: Newcomer, media: &'a Orders) -> Outcome<'a, Box<dyn Attendee>> {
        async move {
            let (name, room) = (newcomer.name(), newcomer.room);
            // Each connection has a number of its own in the generator.
            let first = newcomer.id * self.publishers_per_room.max(1);
            let mut random = newcomer.random;
            let mut connections = Vec::new();
            let streams = match newcomer.publisher {
                Some(publisher) => publisher..publisher + 1,
                None => 0..self.publishers_per_room,
            };
            let template = if newcomer.publisher.is_some() { &self.publish_at } else { &self.listen_at };
            for (id, publisher) in (first..).zip(streams) {
                let settings = newcomer.settings.clone();
                let beginning = Beginning::new((id, room), settings, random.fork(), media)?;
                connections.push(connect(&address(template, room, publisher), beginning, media).await?);
            }
            Ok(Box::new(Visitor { name, connections }) as Box<dyn Attendee>)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        futures_util::future::ready(()).boxed()
    }
}

struct Connection {
    link: Link,
    /// What is deleted at the end.
    resource: Option<String>,
}

/// Somebody at such a server.
struct Visitor {
    name: String,
    connections: Vec<Connection>,
}

impl Attendee for Visitor {
    fn name(&self) -> &str {
        &self.name
    }

    fn connected(&self) -> Outcome<'_, ()> {
        async {
            for connection in &self.connections {
                connection.link.connected().await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn publish(&self, kind: Kind, on: bool) -> Outcome<'_, ()> {
        async move {
            for connection in &self.connections {
                connection.link.publish(kind, on).await;
            }
            Ok(())
        }
        .boxed()
    }

    fn hears(&self, _publishers: usize) -> Outcome<'_, ()> {
        futures_util::future::ready(Ok(())).boxed()
    }

    fn finish(self: Box<Self>) -> Outcome<'static, Vec<ParticipantReport>> {
        async move {
            let finished = self.connections.into_iter().map(|Connection { link, resource }| async move {
                // The report first: media that fails because the session ends is no finding.
                let report = link.finish().await;
                if let Some(resource) = resource {
                    http::delete(&resource).await;
                }
                report
            });
            join_all(finished).await.into_iter().collect()
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_publisher_of_each_room_has_an_address() {
        assert_eq!(address("http://h/r{room}-{publisher}/whip", 2, 1), "http://h/r2-1/whip");
        assert_eq!(address("http://h/live/whip", 2, 1), "http://h/live/whip");
    }
}
