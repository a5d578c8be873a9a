//! The server without any door.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::control_loop::{ControlJob, ControlLoop, Order};
use super::fault::{Fault, Saboteur};
use super::gate::Gate;
use super::keeper::Keeper;
use super::worker_loop::WorkerFault;
use super::worker_set::{WorkerContext, WorkerSet, text_of};
use crate::api::{Doorway, EngineStopped, Link};
use crate::base::{Random, WorkerId};
use crate::config::{Config, ConfigError};
use crate::control::Control;
use crate::message::{AdminReply, AdminRequest, Claims};
use crate::store::{Store, StoreError};
use crate::telemetry::{Clock, Metrics};

/// Reports that may wait for control; workers keep what does not fit.
const REPORTS_WAITING: usize = 4_096;

/// Ends of threads that may wait for control: more than can follow each other within a turn.
const ENDS_WAITING: usize = 64;

/// What of a stop's time is kept back for threads to end in.
const THREADS_END_WITHIN: Duration = Duration::from_secs(1);

/// Where it is set what something listens on.
fn setting_of(what: &str) -> &'static str {
    match what {
        "http" => "`http` and `port` in [listen], or --port",
        "metrics" => "`metrics` in [listen], or --port 0 for a free one",
        _ => "`media` and `media_port` in [listen]",
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration cannot be had.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({what}): {error}; see {}", setting_of(what))]
    Bind {
        /// What for.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The machine's addresses cannot be listed.
    #[error("cannot list this machine's addresses: {0}; set `advertised` in [listen]")]
    Interfaces(io::Error),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The limit of open files, so many, leaves none for connections.
    #[error(
        "the limit of open files, {0}, leaves none for connections: raise LimitNOFILE of the unit (or `ulimit -Hn`)"
    )]
    Files(u64),
    /// The metrics clash.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// What should survive a crash cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no randomness.
    #[error("cannot get randomness from the system: {0}")]
    Randomness(String),
}

/// The control plane panicked: every room is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the control plane failed: {0}")]
pub struct EngineFailed(String);

/// Control, media workers and their sockets.
///
/// Dropping it ends it as well, without waiting for anybody.
#[derive(Debug)]
pub struct Engine {
    doorway: Doorway,
    clock: Clock,
    seed: [u8; 32],
    media_addresses: Vec<SocketAddr>,
    orders: mpsc::Sender<Order>,
    failure: watch::Receiver<Option<EngineFailed>>,
    control_thread: JoinHandle<()>,
    stop_within: Duration,
}

impl Engine {
    /// Binds the media sockets and starts the threads. Only the sections `listen`, `rooms`,
    /// `breakout`, `node`, `media` and `store` of the configuration matter here.
    ///
    /// # Errors
    /// When the configuration cannot be had, or the system does not give what it takes.
    pub fn start(config: &Config) -> Result<Self, NodeError> {
        config.check()?;
        let mut random = system_random()?;
        let clock = Clock::start();
        let metrics = Metrics::new()?;
        let (doorway, doors) = Doorway::new(metrics.clone());
        let (reports_in, reports) = mpsc::channel(REPORTS_WAITING);
        let (ended_in, ended) = mpsc::channel(ENDS_WAITING);
        let (orders_in, orders) = mpsc::channel(1);
        let (failure_in, failure) = watch::channel(None);
        let context = WorkerContext { clock, metrics, reports: reports_in, ended: ended_in };
        let workers = WorkerSet::start(config, context, random.fork())?;
        let media_addresses = workers.candidates();
        let Beginning { control, keeper, seed } = take_up(config, &mut random, clock, &doorway)?;
        let gate = Gate::new(config.node.memory_bytes(), doorway.metrics());
        let job = ControlJob {
            control,
            keeper,
            clock,
            doorway: doorway.clone(),
            doors,
            reports,
            ended,
            orders,
            workers,
            gate,
        };
        let control_thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || run_control(job, &failure_in))
            .map_err(NodeError::Thread)?;
        doorway.set_ready(true);
        let stop_within = Duration::from_secs(u64::from(config.node.stop_seconds));
        Ok(Self {
            doorway,
            clock,
            seed,
            media_addresses,
            orders: orders_in,
            failure,
            control_thread,
            stop_within,
        })
    }

    /// Opens a link for somebody of whom the caller knows what a token would say.
    ///
    /// # Errors
    /// When the engine is stopping.
    pub async fn open_link(&self, claims: Claims) -> Result<Link, EngineStopped> {
        self.doorway.open_link(claims).await
    }

    /// Asks something as an operator.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn admin(&self, request: AdminRequest) -> Result<AdminReply, EngineStopped> {
        self.doorway.admin(request).await
    }

    /// What a door needs; see [`crate::api`].
    #[must_use]
    pub fn doorway(&self) -> &Doorway {
        &self.doorway
    }

    /// The engine's clock.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Random bytes that outlive a restart where anything does.
    pub(super) const fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// The addresses that clients are told for media, worker by worker.
    #[must_use]
    pub fn media_addresses(&self) -> &[SocketAddr] {
        &self.media_addresses
    }

    /// Waits until the control plane fails, which it never should.
    pub async fn failed(&self) -> EngineFailed {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        match failed {
            Some(failed) => failed,
            // The control thread has ended as it was asked to.
            None => std::future::pending().await,
        }
    }

    /// Makes a media worker fail: for tests of what the others hear then.
    pub async fn fail_worker(&self, worker: WorkerId, fault: WorkerFault) {
        self.saboteur().fail(Fault::Worker(worker, fault)).await;
    }

    /// Makes parts of this engine fail, for tests, also while somebody else has the engine.
    #[must_use]
    pub fn saboteur(&self) -> Saboteur {
        Saboteur(self.orders.downgrade())
    }

    /// Lets nobody in any more, ends all rooms, waits until everybody has been told and has gone,
    /// and ends the threads: within `stop_seconds` of the configuration.
    pub async fn stop(self) {
        self.doorway.stop();
        let for_threads = THREADS_END_WITHIN.min(self.stop_within / 2);
        if timeout(self.stop_within.saturating_sub(for_threads), self.see_off()).await.is_err() {
            tracing::warn!("some clients did not go in time");
        }
        drop(self.orders);
        let threads = tokio::task::spawn_blocking(move || self.control_thread.join());
        if timeout(for_threads, threads).await.is_err() {
            tracing::warn!("some threads did not end in time");
        }
    }

    /// Ends every room, so that its people are told, then every link, and waits until all are gone.
    async fn see_off(&self) {
        // Whoever is connected already and has no seat stays without one.
        let _ = self.orders.send(Order::LetNobodyIn).await;
        if let Ok(AdminReply::Rooms(rooms)) = self.doorway.admin(AdminRequest::ListRooms).await {
            // All at once, so that many share a write. A room that has ended meanwhile is as good. One that an
            // operator made is there again, empty, after the next start.
            let names = rooms.into_iter().map(|(name, ..)| name);
            join_all(names.map(|name| self.doorway.admin(AdminRequest::EndRoom { name }))).await;
        }
        // A loop that has ended has closed them.
        let _ = self.orders.send(Order::CloseLinks).await;
        self.doorway.all_links_closed().await;
    }
}

/// What the control thread begins with.
struct Beginning {
    control: Control,
    keeper: Option<Keeper>,
    seed: [u8; 32],
}

/// The control plane as it was when the server stopped or crashed, and what keeps it for the next time.
fn take_up(
    config: &Config,
    random: &mut Random,
    clock: Clock,
    doorway: &Doorway,
) -> Result<Beginning, NodeError> {
    let workers = config.node.worker_count();
    let mut seed = [0; 32];
    random.fill(&mut seed);
    if !config.store.enabled {
        tracing::info!("nothing survives a crash: `enabled` in [store] is false");
        let control = Control::new(config.control(), workers, random.fork());
        return Ok(Beginning { control, keeper: None, seed });
    }
    let (store, saved) = Store::open(&config.store)?;
    let records = saved.len();
    let restored = Control::restore(config.control(), workers, random.fork(), (clock.now(), saved));
    let (control, store) = match restored {
        Ok(control) => (control, store),
        Err(misfit) => {
            let store = store.replaced(&misfit.to_string())?;
            let nothing = (clock.now(), BTreeMap::new());
            let control = Control::restore(config.control(), workers, random.fork(), nothing);
            (control.map_err(|error| NodeError::Randomness(error.to_string()))?, store)
        }
    };
    let totals = control.totals();
    tracing::info!(
        store = %store.path().display(),
        records,
        rooms = totals.rooms,
        participants = totals.participants,
        "taken up what was saved"
    );
    let seed = store.lasting_seed(seed)?;
    let keeper = Keeper::start(store, doorway.clone()).map_err(NodeError::Thread)?;
    Ok(Beginning { control, keeper: Some(keeper), seed })
}

fn run_control(job: ControlJob, failure: &watch::Sender<Option<EngineFailed>>) {
    let doorway = job.doorway.clone();
    let ran = catch_unwind(AssertUnwindSafe(|| -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (workers, store) = runtime.block_on(ControlLoop::new(job).run());
        for thread in workers.stop().into_iter().chain(store) {
            // How a thread ended was told where it ended.
            let _ = thread.join();
        }
        Ok(())
    }));
    let reason = match ran {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => text_of(panic.as_ref()),
    };
    doorway.set_ready(false);
    failure.send_replace(Some(EngineFailed(reason.clone())));
    tracing::error!(reason, "the control plane failed");
}

/// A generator seeded by the operating system.
fn system_random() -> Result<Random, NodeError> {
    use ring::rand::SecureRandom;
    let mut seed = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut seed)
        .map_err(|error| NodeError::Randomness(error.to_string()))?;
    Ok(Random::from_seed(seed))
}
