//! The loop of one media worker's thread: its sockets, its commands, its timers.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::media_sender::MediaSender;
use super::media_socket::{MediaSocket, ReceiveBuffers};
use super::peers::{HandedOver, PeerSender, Peers};
use super::worker_counters::CounterPublisher;
use crate::base::{Epoch, ParticipantId, Random, Time, WorkerId};
use crate::media::{Worker, WorkerSettings};
use crate::message::{MediaCommand, MediaReport};
use crate::telemetry::{Clock, Metrics};
use crate::transport::TimeAnchor;

/// Commands applied before sockets have their turn again.
const COMMANDS_PER_TURN: usize = 64;

/// Handovers taken before sockets have their turn again.
const HANDOVERS_PER_TURN: usize = 16;

/// The largest run of datagrams that one call sends.
const SEND_BYTES: usize = 65_536;

/// How often counters are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// How soon a report is offered again that control had no room for.
const REPORT_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// After an error of a socket, so that one that stays does not spin.
const AFTER_SOCKET_ERROR: Duration = Duration::from_millis(1);

/// A worker that cannot be made is not tried again at once.
const AFTER_FAILED_START: Duration = Duration::from_millis(250);

/// A worker that did nothing for so long has packets waiting that would be heard too late. While media
/// flows it does something every few milliseconds.
const NOTHING_DONE: Duration = Duration::from_secs(1);

/// Batches that are taken at once then: more than a socket's buffer holds.
const STALE_BATCHES: usize = 4_096;
/// .. and that are taken to see whether a socket is empty: what it holds, and that it holds no more.
const BATCHES: usize = 2;

/// What a worker's thread is told.
#[derive(Debug)]
pub(super) enum ToWorker {
    /// By control.
    Media(MediaCommand),
    /// That a worker was started, or took another's place, and the way to it.
    Peer(WorkerId, PeerSender),
    /// To fail, for tests of what happens then.
    Fail(WorkerFault),
}

/// How a worker is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerFault {
    /// Its thread panics.
    Panic,
    /// Its thread does nothing for this long.
    Hang(Duration),
}

/// A report, with the generation of the thread that made it.
#[derive(Debug)]
pub(super) struct WorkerReport {
    pub(super) worker: WorkerId,
    pub(super) generation: u64,
    pub(super) report: MediaReport,
}

/// Why a worker's thread ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WorkerEnd {
    /// The engine stops.
    Stopped,
    /// Another thread has taken its place.
    Fenced,
    /// It could not start.
    Failed(String),
}

/// Everything a worker's thread starts with.
pub(super) struct WorkerJob {
    pub(super) id: WorkerId,
    pub(super) generation: u64,
    /// The generation that may send.
    pub(super) fence: Arc<AtomicU64>,
    pub(super) settings: WorkerSettings,
    pub(super) random: Random,
    pub(super) clock: Clock,
    pub(super) sockets: Vec<std::net::UdpSocket>,
    /// Whether runs may be given to the system in one call.
    pub(super) may_offload: bool,
    pub(super) commands: mpsc::Receiver<ToWorker>,
    pub(super) peers: Peers,
    pub(super) handovers: mpsc::Receiver<HandedOver>,
    pub(super) reports: mpsc::Sender<WorkerReport>,
    pub(super) metrics: Metrics,
}

/// Runs a worker until it ends. Called on a thread of its own.
pub(super) fn run(job: WorkerJob) -> WorkerEnd {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return WorkerEnd::Failed(error.to_string()),
    };
    runtime.block_on(async {
        match WorkerLoop::new(job) {
            Ok(worker) => worker.run().await,
            Err(reason) => {
                sleep(AFTER_FAILED_START).await;
                WorkerEnd::Failed(reason)
            }
        }
    })
}

struct WorkerLoop {
    id: WorkerId,
    generation: u64,
    fence: Arc<AtomicU64>,
    clock: Clock,
    worker: Worker,
    sender: MediaSender,
    receive_buffers: ReceiveBuffers,
    send_buffer: Vec<u8>,
    commands: mpsc::Receiver<ToWorker>,
    peers: Peers,
    handovers: mpsc::Receiver<HandedOver>,
    reports: mpsc::Sender<WorkerReport>,
    unsent_report: Option<MediaReport>,
    /// Who has said to know of which placement. What waits in a socket may have been sent before that, and
    /// on a busy machine it waits for long: the worker is told once the sockets are empty.
    landed: BTreeMap<ParticipantId, Epoch>,
    counters: CounterPublisher,
    /// What is told of segmentation and receive offload.
    offload: [IntGauge; 2],
    publish_at: Time,
    /// When it last began to do something.
    woke_at: Time,
    /// Whether it should have done something long before: the process was stopped, or the machine slept.
    is_late: bool,
    /// Failed calls of the sockets since counters were published.
    failed_receives: u32,
}

enum Wake {
    Command(ToWorker),
    HandedOver(HandedOver),
    Ready,
    Stop,
}

impl WorkerLoop {
    fn new(job: WorkerJob) -> Result<Self, String> {
        let (at, instant) = job.clock.anchor();
        let worker = Worker::new(job.settings, job.random, TimeAnchor { at, instant })
            .map_err(|error| error.to_string())?;
        let sockets: Result<Vec<_>, _> =
            job.sockets.into_iter().map(|socket| MediaSocket::new(socket, job.may_offload)).collect();
        let sender = MediaSender::new(sockets.map_err(|error| error.to_string())?);
        let (gso, gro) = sender.offloads();
        tracing::info!(worker = job.id.0, gso, gro, "media worker starts");
        Ok(Self {
            id: job.id,
            generation: job.generation,
            fence: job.fence,
            clock: job.clock,
            worker,
            sender,
            offload: ["gso", "gro"].map(|kind| job.metrics.udp_offload(job.id.0, kind)),
            receive_buffers: ReceiveBuffers::new(),
            send_buffer: vec![0; SEND_BYTES],
            commands: job.commands,
            peers: job.peers,
            handovers: job.handovers,
            reports: job.reports,
            unsent_report: None,
            landed: BTreeMap::new(),
            counters: CounterPublisher::new(&job.metrics),
            publish_at: job.clock.now() + PUBLISH_EVERY,
            woke_at: job.clock.now(),
            is_late: false,
            failed_receives: 0,
        })
    }

    async fn run(mut self) -> WorkerEnd {
        loop {
            let wake = self.wait().await;
            // Whoever was replaced touches nothing any more: its sockets are its successor's.
            if !self.is_current() {
                return WorkerEnd::Fenced;
            }
            let is_last = matches!(wake, Wake::Stop);
            let mut handed = None;
            match wake {
                Wake::Command(command) => self.apply(command),
                Wake::HandedOver(first) => handed = Some(first),
                Wake::Ready | Wake::Stop => {}
            }
            self.apply_waiting_commands();
            self.take_handovers(handed);
            // It may have been replaced in the middle of what it did last, each time.
            if !self.is_current() {
                return WorkerEnd::Fenced;
            }
            self.receive().await;
            self.handle_timeout();
            if !self.is_current() {
                return WorkerEnd::Fenced;
            }
            self.hand_over();
            if !self.transmit().await {
                return WorkerEnd::Fenced;
            }
            self.report();
            self.publish(is_last);
            if is_last {
                return WorkerEnd::Stopped;
            }
        }
    }

    /// Waits for something to do, and notes whether it comes late to that.
    async fn wait(&mut self) -> Wake {
        let now = self.clock.now();
        let was_stuck = now.since(self.woke_at) >= NOTHING_DONE;
        let (wake, due) = self.wait_from(now).await;
        self.woke_at = self.clock.now();
        self.is_late = was_stuck || self.woke_at.since(due) >= NOTHING_DONE;
        if self.is_late {
            tracing::warn!(worker = self.id.0, "a media worker did nothing for a while; it drops what waits");
        }
        wake
    }

    /// Answers, too, until when it would have waited.
    async fn wait_from(&mut self, now: Time) -> (Wake, Time) {
        let mut until = self.publish_at;
        if let Some(timeout) = self.worker.poll_timeout() {
            until = until.min(timeout);
        }
        if self.unsent_report.is_some() {
            until = until.min(now + REPORT_AGAIN_AFTER);
        }
        // What waits for its turn has been due for a while: that is not this thread's being late.
        until = until.max(now);
        let sockets = self.sender.sockets();
        let readable = poll_fn(|cx| {
            let is_readable = sockets.iter().any(|socket| socket.poll_readable(cx).is_ready());
            if is_readable { Poll::Ready(()) } else { Poll::Pending }
        });
        let wake = tokio::select! {
            biased;
            command = self.commands.recv() => command.map_or(Wake::Stop, Wake::Command),
            Some(handed) = self.handovers.recv() => Wake::HandedOver(handed),
            () = readable => Wake::Ready,
            // A timer would wait for the next millisecond.
            () = yield_now(), if until == now => Wake::Ready,
            () = sleep(until.since(now)) => Wake::Ready,
        };
        (wake, until)
    }

    fn is_current(&self) -> bool {
        self.fence.load(Ordering::Acquire) == self.generation
    }

    fn apply_waiting_commands(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.commands.try_recv() else { return };
            self.apply(command);
        }
    }

    fn apply(&mut self, command: ToWorker) {
        match command {
            ToWorker::Media(MediaCommand::Landed { participant, epoch }) => {
                self.landed.insert(participant, epoch);
            }
            ToWorker::Media(command) => self.worker.handle_command(self.clock.now(), command),
            ToWorker::Peer(worker, way) => self.peers.set(worker, way),
            ToWorker::Fail(fault) => fail(fault),
        }
    }

    /// Takes what other workers have handed over, `first` before what still waits.
    fn take_handovers(&mut self, first: Option<HandedOver>) {
        let mut next = first.or_else(|| self.handovers.try_recv().ok());
        if next.is_none() {
            return;
        }
        if self.is_late {
            while let Some(HandedOver { handover, .. }) = next {
                self.worker.drop_stale_handover(&handover);
                next = self.handovers.try_recv().ok();
            }
            return;
        }
        let now = self.clock.now();
        for _ in 0..HANDOVERS_PER_TURN {
            let Some(HandedOver { from, handover }) = next else { return };
            self.worker.handle_handover(now, from, &handover);
            next = self.handovers.try_recv().ok();
        }
        if let Some(HandedOver { from, handover }) = next {
            self.worker.handle_handover(now, from, &handover);
        }
    }

    /// Hands over what other workers' members hear. Before own listeners are sent anything, so that both
    /// work at the same time.
    fn hand_over(&mut self) {
        while let Some((worker, handover)) = self.worker.poll_handover() {
            if let Err(refused) = self.peers.send(worker, handover) {
                self.worker.handover_refused(&refused);
            }
        }
    }

    async fn receive(&mut self) {
        if self.is_late {
            self.drop_stale();
        }
        let now = self.clock.now();
        let worker = &mut self.worker;
        let received = self.sender.receive(&mut self.receive_buffers, |path, datagram| {
            worker.handle_datagram(now, path, datagram);
        });
        let mut holds_more = received.as_ref().is_ok_and(|may_hold_more| *may_hold_more);
        if received.is_ok() && !holds_more && !self.landed.is_empty() {
            // The runtime may not know yet what has come; the system does.
            holds_more =
                !self.sender.receive_waiting(&mut self.receive_buffers, BATCHES, |path, datagram| {
                    worker.handle_datagram(now, path, datagram);
                });
        }
        worker.note_backlog(now, holds_more);
        if received.is_ok() && !holds_more {
            for (participant, epoch) in std::mem::take(&mut self.landed) {
                worker.handle_command(now, MediaCommand::Landed { participant, epoch });
            }
        }
        worker.end_batch(now);
        if let Err(error) = received {
            // One that stays says so once a second.
            if self.failed_receives == 0 {
                tracing::warn!(worker = self.id.0, %error, "a media socket failed to receive");
            }
            self.failed_receives = self.failed_receives.saturating_add(1);
            sleep(AFTER_SOCKET_ERROR).await;
        }
    }

    /// Empties the sockets of what has waited for too long.
    fn drop_stale(&mut self) {
        let (now, worker) = (self.clock.now(), &mut self.worker);
        self.sender.receive_waiting(&mut self.receive_buffers, STALE_BATCHES, |path, datagram| {
            worker.handle_stale_datagram(now, path, datagram);
        });
    }

    fn handle_timeout(&mut self) {
        let now = self.clock.now();
        if self.worker.poll_timeout().is_some_and(|due| due <= now) {
            self.worker.handle_timeout(now);
        }
    }

    /// Sends what there is; false if this thread may not send any more.
    async fn transmit(&mut self) -> bool {
        let now = self.clock.now();
        self.sender.begin_batch(now);
        while let Some(run) = self.worker.poll_transmit(now, &mut self.send_buffer) {
            if !self.is_current() {
                return false;
            }
            let contents = self.send_buffer.get(..run.len).unwrap_or_default();
            self.sender.send(&run.path, contents, run.segment_size).await;
        }
        true
    }

    fn report(&mut self) {
        while let Some(report) = self.unsent_report.take().or_else(|| self.worker.poll_report()) {
            let report = WorkerReport { worker: self.id, generation: self.generation, report };
            match self.reports.try_send(report) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(report)) => {
                    self.unsent_report = Some(report.report);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }

    fn publish(&mut self, at_once: bool) {
        let now = self.clock.now();
        if at_once || now >= self.publish_at {
            self.publish_at = now + PUBLISH_EVERY;
            self.failed_receives = 0;
            self.counters.publish(self.worker.statistics(), &self.sender.counters);
            let (gso, gro) = self.sender.offloads();
            for (gauge, has) in self.offload.iter().zip([gso, gro]) {
                gauge.set(i64::from(has));
            }
        }
    }
}

#[expect(clippy::panic, reason = "tests ask for it to see what happens then")]
pub(super) fn fail(fault: WorkerFault) {
    match fault {
        WorkerFault::Panic => panic!("asked to panic"),
        WorkerFault::Hang(duration) => {
            tracing::warn!(?duration, "asked to hang");
            std::thread::sleep(duration);
        }
    }
}
