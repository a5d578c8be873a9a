//! The whole server: an engine and its HTTP doors.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use prometheus::IntCounter;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::addresses::{bind_all, bind_tcp};
use super::engine::{Engine, EngineFailed, NodeError};
use super::http_listener::HttpListener;
use crate::api::{DoorSettings, TokenDoor, metrics_router, public_router};
use crate::base::Random;
use crate::config::Config;
use crate::telemetry::{files_open, raise_open_files};

/// Connections to the metrics' address: a few scrapers and probes.
const METRICS_CONNECTIONS: usize = 64;

/// Files that a media worker takes that is started in place of another, scrapes, and connections too many
/// that are told so.
const SPARE_FILES: u64 = 96;

/// A server that runs. Dropping it ends it at once.
#[derive(Debug)]
pub struct Running {
    engine: Engine,
    http_addresses: Vec<SocketAddr>,
    metrics_address: SocketAddr,
    is_development: bool,
    listeners: JoinSet<()>,
}

/// Starts the server that a configuration describes.
///
/// # Errors
/// When the configuration cannot be had, or the system does not give what it takes.
pub async fn serve(config: &Config) -> Result<Running, NodeError> {
    config.check()?;
    // Bound before anything starts, so that a taken port is told first.
    let http = bind_all(&config.listen.http, config.listen.port, bind_tcp)
        .map_err(|(address, error)| NodeError::Bind { what: "http", address, error })?;
    let metrics = config.listen.metrics;
    let metrics_listener = bind_all(&[metrics.ip()], metrics.port(), bind_tcp)
        .map_err(|(address, error)| NodeError::Bind { what: "metrics", address, error })?;
    // Many workers take many files; how many are left for connections is seen afterwards.
    let _ = raise_open_files(u64::from(config.http.max_connections).saturating_add(SPARE_FILES));
    let engine = Engine::start(config)?;
    // Tokens that it hands out itself let people in after a crash, too.
    let tokens = TokenDoor::new(&config.tokens, &mut Random::from_seed(engine.seed()));
    let is_development = tokens.is_development();
    let doors = DoorSettings {
        tokens,
        admin_key: config.admin.key.clone(),
        allowed_origins: config.http.allowed_origins.clone(),
        room_defaults: config.rooms.clone(),
        clock: engine.clock(),
    };
    let mut listeners = JoinSet::new();
    let seats = seats(config.http.max_connections)?;
    let public = public_router(engine.doorway().clone(), doors);
    let refused = &engine.doorway().metrics().connections_refused;
    let http_addresses = listen(&mut listeners, http, &public, (seats, refused), "http")?;
    let router = metrics_router(engine.doorway().clone());
    let addresses =
        listen(&mut listeners, metrics_listener, &router, (METRICS_CONNECTIONS, refused), "metrics")?;
    let metrics_address = addresses.first().copied().unwrap_or(metrics);
    Ok(Running { engine, http_addresses, metrics_address, is_development, listeners })
}

/// How many connections the limit of open files has room for, once everything else is open; tells the
/// operator where these are too few. One that had no file would wait for its turn instead of being refused.
///
/// # Errors
/// When there is room for none.
fn seats(connections: u32) -> Result<usize, NodeError> {
    let wanted = usize::try_from(connections).unwrap_or(usize::MAX);
    let others = files_open().unwrap_or(0).saturating_add(SPARE_FILES);
    let allowed = raise_open_files(others.saturating_add(connections.into()));
    let seats = usize::try_from(allowed.saturating_sub(others)).unwrap_or(usize::MAX).min(wanted);
    if seats == 0 {
        return Err(NodeError::Files(allowed));
    }
    if seats < wanted {
        tracing::warn!(
            allowed,
            seats,
            connections,
            "the limit of open files is too low for `max_connections` in [http]: raise LimitNOFILE of the unit \
             (or `ulimit -Hn`), or lower the setting"
        );
    }
    Ok(seats)
}

fn listen(
    listeners: &mut JoinSet<()>,
    sockets: Vec<std::net::TcpListener>,
    router: &Router,
    (seats, refused): (usize, &IntCounter),
    what: &'static str,
) -> Result<Vec<SocketAddr>, NodeError> {
    let seats = Arc::new(Semaphore::new(seats.min(Semaphore::MAX_PERMITS)));
    let mut addresses = Vec::new();
    for socket in sockets {
        let listener = HttpListener::new(socket, router.clone(), Arc::clone(&seats), refused.clone())
            .map_err(NodeError::Thread)?;
        let address = listener.address().map_err(NodeError::Thread)?;
        tracing::info!(%address, "{what} listens");
        listeners.spawn(listener.run());
        addresses.push(address);
    }
    Ok(addresses)
}

impl Running {
    /// The addresses of page, WebSocket and rooms.
    #[must_use]
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http_addresses
    }

    /// The address of `/metrics`.
    #[must_use]
    pub const fn metrics_address(&self) -> SocketAddr {
        self.metrics_address
    }

    /// Where to point a browser on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let first = self.http_addresses.first();
        let is_local = |address: &&SocketAddr| address.ip().is_loopback() || address.ip().is_unspecified();
        match self.http_addresses.iter().find(is_local).or(first) {
            Some(address) if address.ip().is_unspecified() => format!("http://localhost:{}/", address.port()),
            Some(address) => format!("http://{address}/"),
            None => String::new(),
        }
    }

    /// Whether tokens are handed to whoever asks on this machine.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        self.is_development
    }

    /// The engine behind the doors.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Serves until `signal` comes, then stops in good order.
    ///
    /// # Errors
    /// When the control plane fails before.
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> Result<(), EngineFailed> {
        tokio::select! {
            failed = self.engine.failed() => return Err(failed),
            () = signal => {}
        }
        self.stop().await;
        Ok(())
    }

    /// Stops: no new joins, rooms ended, everybody told, within `stop_seconds`.
    pub async fn stop(self) {
        tracing::info!("stopping");
        // The doors stay open meanwhile, so that probes learn that the server is not ready.
        self.engine.stop().await;
        drop(self.listeners);
        tracing::info!("stopped");
    }
}
