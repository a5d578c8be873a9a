//! The media of all synthetic participants: one thread, few sockets, paced by each packet's own time.

mod crowd;
mod homecoming;
mod media_thread;
mod relay;
mod sockets;
mod timer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use homecoming::{HomeBy, Homecoming, Homecomings};
pub(crate) use media_thread::pin_to;
pub(crate) use relay::{Impaired, NetworkModel};
pub(crate) use sockets::{Addressing, SinkSockets};

use crate::base::{Kind, Time};
use crate::client::{Participant, ParticipantReport, Place, SlotClaim};
use crate::telemetry::Clock;

/// Orders that may wait for the thread.
const ORDERS_WAITING: usize = 4_096;

/// What the thread is told of one participant.
pub(crate) enum Order {
    /// It has an answer and begins to connect. Numbers count from 0 in the order of joining.
    Add {
        /// Its number.
        id: usize,
        /// The participant.
        participant: Box<Participant>,
        /// When its join began.
        began: Time,
        /// Who is told of it.
        news: MediaNews,
    },
    /// A `slots` event; `taken` is told when it counts.
    Slots {
        /// Its number.
        id: usize,
        /// Where it is.
        place: Place,
        /// What its slots carry.
        claims: Vec<SlotClaim>,
        /// Told when it counts.
        taken: oneshot::Sender<()>,
    },
    /// The message that ends a move has come.
    Moved {
        /// Its number.
        id: usize,
    },
    /// It starts or stops sending a kind.
    Publish {
        /// Its number.
        id: usize,
        /// What.
        kind: Kind,
        /// Starts.
        on: bool,
    },
    /// Everybody sends this much faster than usual.
    Rate(f64),
    /// It speaks as loud as this, in -dBov.
    Level {
        /// Its number.
        id: usize,
        /// How loud.
        level: u8,
    },
    /// Some are about to be brought home: their first packets from there are timed.
    Homecoming(Homecoming),
    /// It is sent away, and what it would hear at home next says nothing.
    Away {
        /// Its number.
        id: usize,
    },
    /// What comes to it from now on is for nobody.
    Deafen {
        /// Its number.
        id: usize,
        /// Told when it counts.
        done: oneshot::Sender<()>,
    },
    /// It is gone.
    Remove {
        /// Its number.
        id: usize,
        /// What it found.
        report: oneshot::Sender<ParticipantReport>,
    },
    /// The measurement begins: latencies, and packets sent and received, count from here.
    Begin,
    /// A step of the measurement ends and the next begins.
    Step {
        /// What the step was like.
        seen: oneshot::Sender<StepSeen>,
    },
    /// The measurement ends.
    End {
        /// What was measured.
        measured: oneshot::Sender<Measured>,
    },
    /// Everything ends.
    Finish,
}

/// What the measurement found.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Media packets that participants sent.
    pub(crate) sent: u64,
    /// Media packets that reached participants and could be decrypted.
    pub(crate) received: u64,
    /// From the time when a packet should have left its publisher to the batch in which it came, in
    /// microseconds.
    pub(crate) latency: Histogram<u64>,
    /// Processor time of the thread.
    pub(crate) cpu_ns: u64,
}

/// What one step of the measurement was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepSeen {
    /// Media packets that came in it.
    pub(crate) received: u64,
    /// Packets missing by now, since the start.
    pub(crate) missing: u64,
    /// The median latency of the step, in microseconds.
    pub(crate) p50: u64,
    /// The 99th percentile of the step, in microseconds.
    pub(crate) p99: u64,
    /// Processor time of the thread, since the start, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Participants who have heard something, since the start.
    pub(crate) heard: u64,
    /// Datagrams that an impaired network dropped, since the start.
    pub(crate) dropped: u64,
}

/// What is known of one participant's media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MediaState {
    /// From its join's begin to media that can flow, once it can.
    pub(crate) joined_in: Option<Duration>,
    /// From its join's begin to the first packet that could be decrypted, once there is one.
    pub(crate) heard_in: Option<Duration>,
    /// Whether its connection has failed for good.
    pub(crate) failed: bool,
}

/// Where one participant's media is told of.
pub(crate) struct MediaNews {
    /// Its state.
    pub(crate) state: watch::Sender<MediaState>,
    /// Media packets that reached it, counted now and then.
    pub(crate) received: Arc<AtomicU64>,
}

/// What is known while it runs.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Participants whose media can flow.
    pub(crate) up: AtomicU64,
    /// Participants whose connection failed.
    pub(crate) failed: AtomicU64,
}

impl Progress {
    pub(crate) fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// All that the participants found.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The reports of those who stayed to the end.
    pub(crate) reports: Vec<ParticipantReport>,
    /// From each join's begin to media that can flow.
    pub(crate) joins: Vec<Duration>,
    /// What those found who were brought home.
    pub(crate) homecomings: Homecomings,
    /// What an impaired network did.
    pub(crate) impaired: Impaired,
}

/// How the thread works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GeneratorSettings {
    /// How participants are told apart.
    pub(crate) addressing: Addressing,
    /// Whether the system may coalesce what comes in.
    pub(crate) gro: bool,
    /// The processor that it stays on.
    pub(crate) processor: Option<usize>,
    /// The clock that packets are stamped by.
    pub(crate) clock: Clock,
    /// What lies between participants and server, where that is not perfect.
    pub(crate) network: Option<NetworkModel>,
}

/// The handle of the thread.
pub(crate) struct Generator {
    orders: mpsc::Sender<Order>,
    waker: Arc<mio::Waker>,
    progress: Arc<Progress>,
    thread: JoinHandle<Gathered>,
    clock: Clock,
}

/// A cheap handle by which participants are told to do something.
#[derive(Clone)]
pub(crate) struct Orders {
    orders: mpsc::Sender<Order>,
    waker: Arc<mio::Waker>,
    clock: Clock,
}

impl Orders {
    /// The clock that packets are stamped by.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Gives an order. One to a thread that has ended has no effect.
    pub(crate) async fn give(&self, order: Order) {
        if self.orders.send(order).await.is_ok() {
            let _ = self.waker.wake();
        }
    }
}

impl Generator {
    /// Starts the thread.
    ///
    /// # Errors
    /// Of the system, for its sockets and its timer.
    pub(crate) fn start(settings: GeneratorSettings) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel(ORDERS_WAITING);
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        let (thread, waker) = media_thread::MediaThread::new(settings, inbox, shared)?;
        let thread = std::thread::Builder::new().name("load-media".to_owned()).spawn(move || thread.run())?;
        Ok(Self { orders, waker: Arc::new(waker), progress, thread, clock: settings.clock })
    }

    /// What is known now.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The way to give orders.
    pub(crate) fn orders(&self) -> Orders {
        Orders { orders: self.orders.clone(), waker: Arc::clone(&self.waker), clock: self.clock }
    }

    /// Ends the thread and answers what all found; `None` where it had failed.
    pub(crate) async fn finish(self) -> Option<Gathered> {
        self.orders().give(Order::Finish).await;
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join().ok()).await.ok().flatten()
    }
}
