//! How every door reaches the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

use super::link::{Link, LinkParts, Outbox};
use crate::base::{Epoch, LinkId};
use crate::message::{AdminReply, AdminRequest, Claims, Intake, Request};
use crate::telemetry::Metrics;

/// Inputs that may wait for control: some milliseconds of its work. Doors wait when it is full.
const INPUTS_WAITING: usize = 4_096;

/// With so many waiting nobody else is let in: the other half of the queue is for those who are here.
const OVERLOADED_FROM: usize = INPUTS_WAITING / 2;

/// What the doors tell the engine.
#[derive(Debug)]
pub enum DoorInput {
    /// A client with a checked token is there.
    Opened {
        /// Its link.
        link: LinkId,
        /// What its token says.
        claims: Claims,
        /// Where its frames go.
        outbox: Outbox,
    },
    /// It asks something.
    Request {
        /// Its link.
        link: LinkId,
        /// What it asks.
        request: Request,
    },
    /// It has taken in the `slots` of a placement.
    Told {
        /// Its link.
        link: LinkId,
        /// The placement.
        epoch: Epoch,
    },
    /// It is gone.
    Closed {
        /// Its link.
        link: LinkId,
    },
    /// An operator asks something, or a door does.
    Admin {
        /// What.
        request: AdminRequest,
        /// Where the answer goes.
        reply: oneshot::Sender<AdminReply>,
    },
}

/// The engine has stopped or is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub struct EngineStopped;

/// The links that are open, and those that closed while the queue was full: at most one entry per
/// link that was open.
#[derive(Debug, Default)]
pub(super) struct LinkBook {
    open: AtomicUsize,
    none_open: Notify,
    closed: Mutex<Vec<LinkId>>,
    some_closed: Notify,
}

impl LinkBook {
    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        if self.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.none_open.notify_waiters();
        }
    }

    pub(super) fn note_closed(&self, link: LinkId) {
        self.closed.lock().push(link);
        self.some_closed.notify_one();
    }
}

/// What every door and every link shares.
#[derive(Debug)]
pub(super) struct Shared {
    next_link: AtomicU64,
    stopping: AtomicBool,
    ready: AtomicBool,
    keeps: AtomicBool,
    /// Whether memory is short.
    full: AtomicBool,
    media_behind: AtomicBool,
    pub(super) book: Arc<LinkBook>,
    pub(super) metrics: Metrics,
}

/// The way into the engine, for any number of doors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Doorway {
    inputs: mpsc::Sender<DoorInput>,
    shared: Arc<Shared>,
}

/// The engine's end of a [`Doorway`].
#[derive(Debug)]
pub struct DoorReceiver {
    inputs: mpsc::Receiver<DoorInput>,
    book: Arc<LinkBook>,
}

impl Doorway {
    /// A doorway and the engine's end of it.
    #[must_use]
    pub fn new(metrics: Metrics) -> (Self, DoorReceiver) {
        let (inputs, receiver) = mpsc::channel(INPUTS_WAITING);
        let book = Arc::new(LinkBook::default());
        let shared = Shared {
            next_link: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            keeps: AtomicBool::new(true),
            full: AtomicBool::new(false),
            media_behind: AtomicBool::new(false),
            book: Arc::clone(&book),
            metrics,
        };
        (Self { inputs, shared: Arc::new(shared) }, DoorReceiver { inputs: receiver, book })
    }

    /// Opens a link for a client whose token was checked.
    ///
    /// # Errors
    /// When the engine is stopping.
    pub async fn open_link(&self, claims: Claims) -> Result<Link, EngineStopped> {
        if self.is_stopping() {
            return Err(EngineStopped);
        }
        let id = LinkId(self.shared.next_link.fetch_add(1, Ordering::Relaxed));
        let (outbox, link) =
            Link::new(LinkParts { id, inputs: self.inputs.clone(), shared: Arc::clone(&self.shared) });
        // `link` is made first: dropped on failure, it takes its own count back.
        self.inputs.send(DoorInput::Opened { link: id, claims, outbox }).await.map_err(|_| EngineStopped)?;
        Ok(link)
    }

    /// Asks something for a door, or for an operator whose key was checked.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn admin(&self, request: AdminRequest) -> Result<AdminReply, EngineStopped> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(DoorInput::Admin { request, reply }).await.map_err(|_| EngineStopped)?;
        answer.await.map_err(|_| EngineStopped)
    }

    /// The metrics that the doors count in.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Says whether every part of the engine works.
    pub fn set_ready(&self, ready: bool) {
        self.shared.ready.store(ready, Ordering::Relaxed);
    }

    /// Says whether what people are told is kept as it should be.
    pub fn set_keeps(&self, keeps: bool) {
        self.shared.keeps.store(keeps, Ordering::Relaxed);
    }

    /// Why clients are not welcome; nothing while they are.
    #[must_use]
    pub fn is_unready(&self) -> Option<&'static str> {
        let Shared { ready, keeps, .. } = &*self.shared;
        if self.is_stopping() {
            Some("the server is stopping")
        } else if !ready.load(Ordering::Relaxed) {
            Some("a media worker is being started")
        } else if !keeps.load(Ordering::Relaxed) {
            Some("the store cannot be written to")
        } else {
            None
        }
    }

    /// Says whether people who have no seat may take one.
    pub fn set_intake(&self, intake: Intake) {
        self.shared.full.store(intake == Intake::ShortOfMemory, Ordering::Relaxed);
    }

    /// Whether there is no memory for newcomers.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Relaxed)
    }

    /// Says whether a media worker is behind with what it was told.
    pub fn set_media_behind(&self, behind: bool) {
        self.shared.media_behind.store(behind, Ordering::Relaxed);
    }

    /// Whether the running meetings would suffer from anybody else: control or a media worker is behind.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        let waiting = self.inputs.max_capacity().saturating_sub(self.inputs.capacity());
        waiting >= OVERLOADED_FROM || self.shared.media_behind.load(Ordering::Relaxed)
    }

    /// Lets no new link in.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }

    /// Waits until no link is open.
    pub async fn all_links_closed(&self) {
        loop {
            let mut none_open = std::pin::pin!(self.shared.book.none_open.notified());
            // Listens before it looks, so that the last close cannot fall in between.
            none_open.as_mut().enable();
            if self.shared.book.open.load(Ordering::Relaxed) == 0 {
                return;
            }
            none_open.await;
        }
    }

    /// Whether the engine is stopping or has stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed) || self.inputs.is_closed()
    }
}

impl DoorReceiver {
    /// The next input; `None` when no doorway and no link is left.
    pub async fn recv(&mut self) -> Option<DoorInput> {
        tokio::select! {
            biased;
            input = self.inputs.recv() => input,
            () = self.book.some_closed.notified() => match self.take_closed() {
                Some(input) => Some(input),
                None => self.inputs.recv().await,
            },
        }
    }

    /// The next input if one is there.
    pub fn try_recv(&mut self) -> Option<DoorInput> {
        self.inputs.try_recv().ok().or_else(|| self.take_closed())
    }

    fn take_closed(&self) -> Option<DoorInput> {
        let mut links = self.book.closed.lock();
        let link = links.pop()?;
        if !links.is_empty() {
            self.book.some_closed.notify_one();
        }
        Some(DoorInput::Closed { link })
    }
}
