//! The media workers' threads: started, fenced, replaced.

use std::any::Any;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::addresses::{bind_all, bind_udp, candidates};
use super::engine::NodeError;
use super::peers::{self, PeerSender, Peers};
use super::worker_loop::{self, ToWorker, WorkerEnd, WorkerJob, WorkerReport};
use crate::base::{Random, WorkerId};
use crate::config::Config;
use crate::media::WorkerSettings;
use crate::message::MediaCommand;
use crate::telemetry::{Clock, Metrics};

/// Commands that may wait for a worker. What one that takes another's place is told at once of ten
/// thousand rooms and their people fits; one that is further behind is no better than a silent one.
const COMMANDS_WAITING: usize = 1 << 18;

/// A worker for which more wait is behind: the dearest of them, an offer, takes it a millisecond.
const COMMANDS_BEHIND: usize = 1_024;

/// That a worker's thread has ended.
#[derive(Debug)]
pub(super) struct WorkerEnded {
    pub(super) worker: WorkerId,
    pub(super) generation: u64,
    /// For people; `None` where it was asked to end.
    pub(super) reason: Option<String>,
    /// For metrics.
    pub(super) cause: &'static str,
}

/// What all workers share.
#[derive(Clone)]
pub(super) struct WorkerContext {
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) reports: mpsc::Sender<WorkerReport>,
    pub(super) ended: mpsc::Sender<WorkerEnded>,
}

/// One worker's place: its sockets outlive its threads.
struct Slot {
    id: WorkerId,
    sockets: Vec<UdpSocket>,
    settings: WorkerSettings,
    may_offload: bool,
    fence: Arc<AtomicU64>,
    commands: mpsc::Sender<ToWorker>,
    /// The way for other workers.
    way: PeerSender,
    thread: Option<JoinHandle<()>>,
}

/// All workers of the engine.
pub(super) struct WorkerSet {
    slots: Vec<Slot>,
    context: WorkerContext,
    random: Random,
}

/// A worker takes no more commands.
#[derive(Debug)]
pub(super) struct WorkerStuck;

impl WorkerSet {
    /// Binds the sockets and starts the threads.
    pub(super) fn start(config: &Config, context: WorkerContext, random: Random) -> Result<Self, NodeError> {
        let mut set = Self { slots: Vec::new(), context, random };
        for index in 0..config.node.worker_count() {
            let (sockets, advertised) = bind(config, index)?;
            tracing::info!(worker = index, candidates = ?advertised, "media worker listens");
            set.slots.push(Slot {
                id: WorkerId(index),
                sockets,
                settings: WorkerSettings { advertised, media: config.media.clone() },
                may_offload: config.node.segmentation_offload,
                fence: Arc::new(AtomicU64::new(0)),
                commands: mpsc::channel(1).0,
                way: peers::way().0,
                thread: None,
            });
            set.replace(WorkerId(index)).map_err(NodeError::Thread)?;
        }
        Ok(set)
    }

    /// One worker without sockets and thread: its commands are the test's.
    #[cfg(test)]
    pub(super) fn pretended(context: WorkerContext, commands: mpsc::Sender<ToWorker>) -> Self {
        let settings = WorkerSettings { advertised: Vec::new(), media: Config::default().media };
        let fence = Arc::new(AtomicU64::new(1));
        let (id, sockets, way) = (WorkerId(0), Vec::new(), peers::way().0);
        let slot = Slot { id, sockets, settings, may_offload: true, fence, commands, way, thread: None };
        Self { slots: vec![slot], context, random: Random::from_number(1) }
    }

    /// Where clients reach the workers.
    pub(super) fn candidates(&self) -> Vec<SocketAddr> {
        self.slots.iter().flat_map(|slot| slot.settings.advertised.iter().copied()).collect()
    }

    /// Whether a thread is the one that holds its worker's place.
    pub(super) fn is_current(&self, worker: WorkerId, generation: u64) -> bool {
        self.slot(worker).is_some_and(|slot| slot.fence.load(Ordering::Acquire) == generation)
    }

    /// Hands a command to a worker.
    pub(super) fn send(&self, worker: WorkerId, command: MediaCommand) -> Result<(), WorkerStuck> {
        self.send_any(worker, ToWorker::Media(command))
    }

    /// Hands anything to a worker.
    pub(super) fn send_any(&self, worker: WorkerId, command: ToWorker) -> Result<(), WorkerStuck> {
        let slot = self.slot(worker).ok_or(WorkerStuck)?;
        match slot.commands.try_send(command) {
            Err(mpsc::error::TrySendError::Full(_)) => Err(WorkerStuck),
            // One that has ended says so itself, and why.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Whether a worker is so far behind that nobody else should be let in.
    pub(super) fn is_behind(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| slot.commands.max_capacity() - slot.commands.capacity() > COMMANDS_BEHIND)
    }

    /// Fences a worker's thread, which may be gone already, and starts another in its place.
    pub(super) fn replace(&mut self, worker: WorkerId) -> io::Result<()> {
        let (way, handovers) = peers::way();
        let ways: Vec<_> = self.slots.iter().map(|slot| (slot.id, slot.way.clone())).collect();
        for peer in self.slots.iter().filter(|slot| slot.id != worker) {
            // One that takes nothing is about to be replaced itself, and then knows.
            let _ = peer.commands.try_send(ToWorker::Peer(worker, way.clone()));
        }
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == worker) else { return Ok(()) };
        // From here on the old thread's packets stay where they are.
        let generation = slot.fence.fetch_add(1, Ordering::AcqRel) + 1;
        let (commands, receiver) = mpsc::channel(COMMANDS_WAITING);
        (slot.commands, slot.way) = (commands, way);
        self.context.metrics.worker_up(worker.0, false);
        let sockets: io::Result<Vec<_>> = slot.sockets.iter().map(UdpSocket::try_clone).collect();
        let job = WorkerJob {
            id: worker,
            generation,
            fence: Arc::clone(&slot.fence),
            settings: slot.settings.clone(),
            random: self.random.fork(),
            clock: self.context.clock,
            sockets: sockets?,
            may_offload: slot.may_offload,
            commands: receiver,
            peers: Peers::new(worker, ways.into_iter()),
            handovers,
            reports: self.context.reports.clone(),
            metrics: self.context.metrics.clone(),
        };
        // A stuck thread that is replaced here is left alone: it sees the fence when it wakes.
        slot.thread = Some(spawn(job, self.context.ended.clone())?);
        self.context.metrics.worker_up(worker.0, true);
        Ok(())
    }

    /// Lets all workers end after what they were told; the handles are of their threads.
    pub(super) fn stop(self) -> Vec<JoinHandle<()>> {
        self.slots.into_iter().filter_map(|slot| slot.thread).collect()
    }

    fn slot(&self, worker: WorkerId) -> Option<&Slot> {
        self.slots.get(usize::from(worker.0))
    }
}

fn bind(config: &Config, index: u16) -> Result<(Vec<UdpSocket>, Vec<SocketAddr>), NodeError> {
    let listen = &config.listen;
    let port = if listen.media_port == 0 { 0 } else { listen.media_port.saturating_add(index) };
    let bytes = usize::try_from(config.node.socket_buffer_bytes).unwrap_or(usize::MAX);
    let sockets = bind_all(&listen.media, port, |address| bind_udp(address, bytes))
        .map_err(|(address, error)| NodeError::Bind { what: "media", address, error })?;
    let bound: io::Result<Vec<SocketAddr>> = sockets.iter().map(UdpSocket::local_addr).collect();
    let advertised: &[IpAddr] = &listen.advertised;
    let told = bound.and_then(|bound| candidates(&bound, advertised)).map_err(NodeError::Interfaces)?;
    Ok((sockets, told))
}

fn spawn(job: WorkerJob, ended: mpsc::Sender<WorkerEnded>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("media-{}", job.id)).spawn(move || {
        let (worker, generation) = (job.id, job.generation);
        let (reason, cause) = match catch_unwind(AssertUnwindSafe(|| worker_loop::run(job))) {
            Ok(WorkerEnd::Stopped) => (None, "stop"),
            Ok(WorkerEnd::Fenced) => (Some("it was fenced".to_owned()), "fence"),
            Ok(WorkerEnd::Failed(reason)) => (Some(reason), "error"),
            Err(panic) => (Some(text_of(panic.as_ref())), "panic"),
        };
        // Without a control loop nobody wants to know.
        let _ = ended.blocking_send(WorkerEnded { worker, generation, reason, cause });
    })
}

/// What a panic said.
pub(super) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}
