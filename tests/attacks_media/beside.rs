//! A server of this process with a live call on it, beside which an attack goes on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anteroom::config::Config;
use anteroom::node::Running;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{sleep, timeout};

use super::attacker::{Done, pace};
use super::http::{PATIENCE, free_ports, get, start};
use super::live_call::{CallReport, LiveCall};

/// Long floods take the machine for themselves, or they would be measured by each other's calls.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// One's part of the machine.
pub(crate) enum Part {
    Shared(#[allow(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Whole(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

impl Part {
    pub(crate) async fn shared() -> Self {
        Self::Shared(MACHINE.read().await)
    }

    pub(crate) async fn whole() -> Self {
        Self::Whole(MACHINE.write().await)
    }

    /// What a flood takes, and how many datagrams it sends a second: short ones leave others place on a machine of
    /// two processors.
    pub(crate) async fn flood() -> (Self, u64) {
        if is_long() { (Self::whole().await, 50_000) } else { (Self::shared().await, 20_000) }
    }
}

/// A server and a live call.
pub(crate) struct Beside {
    pub(crate) server: Running,
    pub(crate) http: SocketAddr,
    /// Where the one media worker is, which the call and its attacker share.
    pub(crate) media: SocketAddr,
    call: Option<LiveCall>,
    #[allow(dead_code, reason = "held until the end")]
    part: Part,
}

const RECEIVED: &str = "anteroom_datagrams_received_total";

/// A counter of the server with its metrics there, which workers publish every second.
pub(crate) async fn metric(metrics: SocketAddr, name: &str) -> u64 {
    value(&get(metrics, "/metrics").await.body, name)
}

fn value(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |count| count.parse().unwrap())
}

/// Datagrams that the server has taken and that were no RTP which it could open.
pub(crate) async fn other_than_media(metrics: SocketAddr) -> u64 {
    let page = get(metrics, "/metrics").await.body;
    value(&page, RECEIVED).saturating_sub(value(&page, "anteroom_packets_received_total"))
}

/// Waits until the server has taken so many datagrams that were no RTP which it could open.
pub(crate) async fn has_taken(metrics: SocketAddr, count: u64) {
    let taken = async {
        while other_than_media(metrics).await < count {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let late = timeout(2 * PATIENCE, taken).await.is_err();
    assert!(!late, "{} of {count} taken", other_than_media(metrics).await);
}

/// One media worker on one address.
pub(crate) fn one_worker() -> Config {
    let mut config = free_ports();
    config.node.workers = 1;
    config.listen.media = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    config
}

impl Beside {
    /// Returns once the call's packets flow; it goes on until it is ended, judged for at least so many seconds.
    pub(crate) async fn start(part: Part, seconds: u64) -> Self {
        let (server, http) = start(&one_worker()).await;
        let call = LiveCall::open(http, Duration::from_secs(seconds));
        Self::with(part, server, http, call).await
    }

    pub(crate) async fn with(part: Part, server: Running, http: SocketAddr, call: LiveCall) -> Self {
        let media = server.engine().media_addresses()[0];
        let mut beside = Self { server, http, media, call: Some(call), part };
        let flows = async {
            while beside.metric("anteroom_packets_forwarded_total").await == 0 {
                assert!(beside.is_on(), "the call ended before it began");
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(4 * PATIENCE, flows).await.expect("the call's packets");
        beside
    }

    /// A counter of the server, which workers publish every second.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        metric(self.server.metrics_address(), name).await
    }

    /// Packets that the server dropped for a reason.
    pub(crate) async fn dropped(&self, reason: &str) -> u64 {
        self.metric(&format!("anteroom_packets_dropped_total{{reason=\"{reason}\"}}")).await
    }

    /// Waits until the server has counted at least so many packets dropped for a reason.
    pub(crate) async fn has_dropped(&self, reason: &str, count: u64) {
        let counted = async {
            while self.dropped(reason).await < count {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let late = timeout(PATIENCE, counted).await.is_err();
        assert!(!late, "{} of {count} dropped as {reason}", self.dropped(reason).await);
    }

    /// Datagrams that the server has taken and that were no RTP which it could open.
    pub(crate) async fn other_than_media(&self) -> u64 {
        other_than_media(self.server.metrics_address()).await
    }

    /// Waits until the server has taken so many datagrams that were no RTP which it could open.
    pub(crate) async fn has_taken(&self, count: u64) {
        has_taken(self.server.metrics_address(), count).await;
    }

    /// Returns once the counters have everything that the worker had taken when this was called. It publishes
    /// all of them at once, and a page that shows the first change may show one from just before.
    pub(crate) async fn has_counted(&self) {
        let counted = async {
            for _ in 0..2 {
                let before = self.metric(RECEIVED).await;
                while self.metric(RECEIVED).await == before {
                    sleep(Duration::from_millis(20)).await;
                }
            }
        };
        timeout(PATIENCE, counted).await.expect("the call's packets are counted");
    }

    /// Whether the call is still going on: an attack that outlives it has shown nothing.
    pub(crate) fn is_on(&mut self) -> bool {
        self.call.as_mut().is_some_and(LiveCall::is_on)
    }

    /// Ends the call, which nothing may have disturbed, once it was judged for long enough, and then the attack.
    pub(crate) async fn end(&mut self, attack: Attack) -> (CallReport, u64) {
        let report = self.call.take().unwrap().hang_up().await;
        let done = attack.stop();
        report.assert_undisturbed();
        (report, done)
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// An attack on a thread of its own, which goes on until it is stopped.
pub(crate) struct Attack {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Done>,
}

impl Attack {
    /// `each` does a step; it is called so many times a second, or as often as it can be, and answers how
    /// many packets it has sent.
    pub(crate) fn start(per_second: u64, each: impl FnMut(u64) -> u64 + Send + 'static) -> Self {
        Self::at_least(0, per_second, each)
    }

    /// One that does not stop before so many steps.
    pub(crate) fn at_least(
        steps: u64,
        per_second: u64,
        each: impl FnMut(u64) -> u64 + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let is_over = move |done| done >= steps && stopped.load(Ordering::Relaxed);
        let run = move || pace(per_second, is_over, each);
        Self { stop, thread: std::thread::spawn(run) }
    }

    /// No attack besides what the test does itself.
    pub(crate) fn none() -> Self {
        Self { stop: Arc::default(), thread: std::thread::spawn(Done::default) }
    }

    /// How many packets it has sent in all.
    pub(crate) fn stop(self) -> u64 {
        self.end().sent
    }

    /// What it has done in all.
    pub(crate) fn end(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Whether the long forms are asked for.
pub(crate) fn is_long() -> bool {
    std::env::var_os("ANTEROOM_LONG").is_some()
}
