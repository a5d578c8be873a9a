//! Anteroom as a target: its own signalling, slots and all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::super::generator::{Addressing, Orders};
use super::super::options::LoadOptions;
use super::super::person::{self, Person, PersonError};
use super::super::run::{CONNECT_WITHIN, LoadError, say};
use super::super::scenario::Scenario;
use super::super::server_process::{Limits, ServerProcess, SpawnedServer};
use super::super::tokens::Tokens;
use super::{Attendee, Newcomer, Outcome, Target};
use crate::base::{ClientId, Kind};
use crate::client::{ClientIdentity, ParticipantReport, ServerKind};
use crate::message::Role;

/// Sockets that all participants share.
const SOCKETS: usize = 16;

/// A server of this binary, its own or another's.
pub(super) struct Anteroom {
    address: String,
    tokens: Tokens,
    pid: Option<u32>,
    /// One certificate for all: making one costs more than a handshake.
    identity: ClientIdentity,
    /// Ends with the target.
    _server: Option<ServerProcess>,
}

impl Anteroom {
    pub(super) fn open(
        options: &LoadOptions,
        scenario: &Scenario,
        processor: Option<usize>,
    ) -> Result<Self, LoadError> {
        let identity = ClientIdentity::generate().map_err(|error| io::Error::other(error.to_string()))?;
        if !options.spawn {
            let address = options.server.clone().unwrap_or_default();
            let tokens = Tokens::Development(address.clone());
            return Ok(Self { address, tokens, pid: options.server_pid, identity, _server: None });
        }
        let limits = Limits::of(scenario);
        say(&format!("starting a server with {limits}"));
        let processor = processor.filter(|_| options.workers == 1);
        let SpawnedServer { process, http_address } = SpawnedServer::start(options, &limits, processor)?;
        let pid = Some(process.pid());
        Ok(Self { address: http_address, tokens: Tokens::Signed, pid, identity, _server: Some(process) })
    }
}

/// What a parent room is called.
pub(in super::super) fn room_name(room: usize) -> String {
    format!("load-{room}")
}

impl Target for Anteroom {
    fn name(&self) -> String {
        format!("anteroom {} at {}", env!("CARGO_PKG_VERSION"), self.address)
    }

    fn kind(&self) -> ServerKind {
        ServerKind::Anteroom
    }

    /// Participants have addresses of their own where the server is on loopback, and sockets elsewhere.
    fn addressing(&self) -> Addressing {
        match self.address.parse::<SocketAddr>().map(|address| address.ip()) {
            Ok(IpAddr::V4(ip)) if ip.is_loopback() => Addressing::Loopback { sockets: SOCKETS },
            Ok(IpAddr::V6(ip)) if ip.is_loopback() => Addressing::Own(ip.into()),
            Ok(IpAddr::V6(_)) => Addressing::Own(std::net::Ipv6Addr::UNSPECIFIED.into()),
            Ok(IpAddr::V4(_)) | Err(_) => Addressing::Own(Ipv4Addr::UNSPECIFIED.into()),
        }
    }

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn join<'a>(&'a self, newcomer: Newcomer, media: &'a Orders) -> Outcome<'a, Box<dyn Attendee>> {
        async move {
            let (room, name) = (room_name(newcomer.room), newcomer.name());
            let role = if newcomer.publisher.is_some() { Role::Moderator } else { Role::Participant };
            let token = self.tokens.token(&room, &name, role).await?;
            let Newcomer { id, settings, random, began, .. } = newcomer;
            let newcomer = person::Newcomer {
                http_address: &self.address,
                name: &name,
                token: &token,
                id,
                settings,
                random,
                began,
                identity: self.identity.clone(),
            };
            let person = Person::join(newcomer, media).await?;
            Ok(Box::new(person) as Box<dyn Attendee>)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        futures_util::future::ready(()).boxed()
    }
}

impl Attendee for Person {
    fn name(&self) -> &str {
        &self.name
    }

    fn connected(&self) -> Outcome<'_, ()> {
        async {
            let up = self.wait("media connected", |state| state.media.joined_in.is_some());
            let late = |_| PersonError::Late(format!("{}: media", self.name), CONNECT_WITHIN);
            tokio::time::timeout(CONNECT_WITHIN, up).await.map_err(late)?
        }
        .boxed()
    }

    fn publish(&self, kind: Kind, on: bool) -> Outcome<'_, ()> {
        async move {
            if kind == Kind::Share && on {
                self.request("startScreenShare", json!({})).await?;
            }
            Self::publish(self, kind, on).await;
            Ok(())
        }
        .boxed()
    }

    fn hears(&self, publishers: usize) -> Outcome<'_, ()> {
        self.wait("hearing everybody", move |state| state.hears >= publishers).boxed()
    }

    fn ask(&self, method: &'static str, params: Value) -> Outcome<'_, Value> {
        async move { self.request(method, params).await.map(|answered| answered.data) }.boxed()
    }

    fn is_in<'a>(&'a self, room: &'a str) -> Outcome<'a, ()> {
        self.wait("being where it is sent", move |state| state.room_id == room).boxed()
    }

    fn has_heard(&self) -> Outcome<'_, Duration> {
        async {
            self.wait("hearing something", |state| state.media.heard_in.is_some()).await?;
            self.state().media.heard_in.ok_or(PersonError::Gone)
        }
        .boxed()
    }

    fn client_id(&self) -> Option<ClientId> {
        Self::client_id(self).ok()
    }

    fn finish(self: Box<Self>) -> Outcome<'static, Vec<ParticipantReport>> {
        async { Self::finish(*self).await.map(|report| vec![report]) }.boxed()
    }
}
