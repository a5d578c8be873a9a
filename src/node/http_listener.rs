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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

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

/// What a connection too many is told, whatever it asks.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 82\r\n\r\n\
    {\"error\":\"overloaded\",\"msg\":\"the server has all its connections; try again soon\"}\n";

/// Connections too many that are told so at once; more are closed without a word.
const REFUSALS: usize = 64;

/// How long one may take to hear it.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

/// A listener on one address.
pub(super) struct HttpListener {
    listener: TcpListener,
    router: Router,
    seats: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
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
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        Ok(Self { listener: TcpListener::from_std(listener)?, router, seats, refusals, refused })
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
            self.refuse(connections, stream);
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

    /// Says why, as far as that costs little.
    fn refuse(&self, connections: &mut JoinSet<()>, mut stream: TcpStream) {
        let Ok(seat) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        connections.spawn(async move {
            let say = async {
                stream.write_all(FULL).await?;
                stream.shutdown().await?;
                // A connection that is closed with something unread is reset, and the answer lost.
                let mut unread = [0; 1_024];
                while stream.read(&mut unread).await? > 0 {}
                io::Result::Ok(())
            };
            // Who does not listen in time is no worse off than before.
            let _ = timeout(REFUSED_WITHIN, say).await;
            drop(seat);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert!(body.ends_with("}\n"));
    }
}
