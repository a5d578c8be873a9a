//! HTTP connections: accepted, bounded, served.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use prometheus::IntCounter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::api::ConnectionSeat;

/// How long a client may leave unread what it was sent, in milliseconds.
const UNREAD_WITHIN_MS: u32 = 30_000;

/// A request's head has to be there in this time, also that of the next one on a kept connection.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// Bytes of a request's head: a token of 4 KiB and what browsers add.
const MAX_HEAD_BYTES: usize = 16_384;

/// Header fields of a request.
const MAX_HEADERS: usize = 64;

/// After a failed accept: out of file descriptors, most likely.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// A listener on one address.
pub(super) struct HttpListener {
    listener: TcpListener,
    router: Router,
    seats: Arc<Semaphore>,
    refused: IntCounter,
}

impl HttpListener {
    /// Takes over a bound, non-blocking listener; `seats` bounds connections, perhaps of several
    /// listeners together; `refused` counts those too many.
    pub(super) fn new(
        listener: StdListener,
        router: Router,
        seats: Arc<Semaphore>,
        refused: IntCounter,
    ) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, router, seats, refused })
    }

    /// Its address.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts and serves until it is dropped, and its connections with it.
    pub(super) async fn run(self) {
        let mut connections = JoinSet::new();
        let mut fails = false;
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        if std::mem::take(&mut fails) {
                            tracing::info!("connections are accepted again");
                        }
                        self.serve(&mut connections, stream);
                    }
                    Err(error) => {
                        // Once, however long it lasts.
                        if !std::mem::replace(&mut fails, true) {
                            tracing::warn!(%error, "connections cannot be accepted");
                        }
                        sleep(AFTER_FAILED_ACCEPT).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    fn serve(&self, connections: &mut JoinSet<()>, stream: TcpStream) {
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            self.refused.inc();
            return;
        };
        // Acks are small and wanted at once; a socket without the option still works.
        let _ = stream.set_nodelay(true);
        // Who reads nothing of what it was sent is gone; it would keep its place for ever.
        let _ = setsockopt(&stream, TcpUserTimeout, &UNREAD_WITHIN_MS);
        let seat = ConnectionSeat(Arc::new(seat));
        let routes = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(seat.clone());
            routes.call(request)
        });
        connections.spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .max_headers(MAX_HEADERS)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}
