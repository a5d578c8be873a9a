//! Anteroom as a target: its own signalling, slots and all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::super::generator::{Addressing, Orders};
use super::super::load_run::{CONNECT_WITHIN, LoadError, say};
use super::super::options::LoadOptions;
use super::super::person::{self, Person, PersonError};
use super::super::server_process::{ServerProcess, SpawnedServer};
use super::super::tokens::Tokens;
use super::{Attendee, Newcomer, Outcome, Target};
use crate::base::{ClientId, Kind};
use crate::client::{ParticipantReport, ServerKind};
use crate::message::Role;

/// Sockets that all participants share.
const SOCKETS: usize = 16;

/// A server of this binary, its own or another's.
pub(super) struct Anteroom {
    address: String,
    tokens: Tokens,
    pid: Option<u32>,
    /// Ends with the target.
    _server: Option<ServerProcess>,
}

impl Anteroom {
    pub(super) fn open(options: &LoadOptions, processor: Option<usize>) -> Result<Self, LoadError> {
        if !options.spawn {
            let address = options.server.clone().unwrap_or_default();
            let tokens = Tokens::Development(address.clone());
            return Ok(Self { address, tokens, pid: options.server_pid, _server: None });
        }
        say("starting a server with limits raised to what the test needs");
        let processor = processor.filter(|_| options.workers == 1);
        let SpawnedServer { process, http_address } = SpawnedServer::start(options, processor)?;
        let pid = Some(process.pid());
        Ok(Self { address: http_address, tokens: Tokens::Signed, pid, _server: Some(process) })
    }
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
            let (room, name) = (format!("load-{}", newcomer.room), newcomer.name());
            let role = if newcomer.publisher.is_some() { Role::Moderator } else { Role::Participant };
            let token = self.tokens.token(&room, &name, role).await?;
            let Newcomer { id, settings, random, .. } = newcomer;
            let newcomer = person::Newcomer {
                http_address: &self.address,
                name: &name,
                token: &token,
                id,
                settings,
                random,
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

    fn client_id(&self) -> Option<ClientId> {
        Self::client_id(self).ok()
    }

    fn finish(self: Box<Self>) -> Outcome<'static, Vec<ParticipantReport>> {
        async { Self::finish(*self).await.map(|report| vec![report]) }.boxed()
    }
}
