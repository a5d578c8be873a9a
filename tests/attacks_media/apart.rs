//! A server in a process of its own with a live call on it: what it takes of memory is nobody else's.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::beside::Part;
use super::http::get;
use super::live_call::LiveCall;
use super::server_process::ServerProcess;

const SETTINGS: &str = "media = [\"127.0.0.1\"]\n[node]\nworkers = 1\n[store]\nenabled = false\n\
                        [log]\nfilter = \"warn\"\n";

pub(crate) struct Apart {
    server: ServerProcess,
    pub(crate) http: SocketAddr,
    pub(crate) metrics: SocketAddr,
    #[allow(dead_code, reason = "held until the end")]
    part: Part,
}

impl Apart {
    pub(crate) async fn start() -> Self {
        // Alone: what others do costs time, which takes memory.
        let part = Part::whole().await;
        // A port that the system has just found free: the server does not say which one it has taken.
        let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listen = format!("[listen]\nhttp = [\"127.0.0.1\"]\nport = 0\nmetrics = \"{metrics}\"\n");
        let server = ServerProcess::start(&[], &(listen + SETTINGS)).await;
        Self { http: server.address, metrics, server, part }
    }

    /// A call beside what is done to the server, judged for at least so long.
    pub(crate) fn call(&self, least: Duration) -> LiveCall {
        LiveCall::open(self.http, least)
    }

    /// KiB of memory that it has.
    pub(crate) fn kib(&self) -> u64 {
        self.server.resident_bytes() / 1_024
    }

    /// What it has once it gives nothing back any more.
    pub(crate) async fn kib_at_rest(&self) -> u64 {
        const CALM: Duration = Duration::from_secs(3);
        let (mut least, mut since) = (u64::MAX, Instant::now());
        while since.elapsed() < CALM {
            let kib = self.kib();
            if kib < least {
                (least, since) = (kib, Instant::now());
            }
            // The allocator gives back when it is asked for something.
            get(self.http, "/livez").await;
            sleep(Duration::from_millis(20)).await;
        }
        least
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}
