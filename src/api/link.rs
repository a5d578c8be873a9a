//! One client's signalling, between its door and the engine.

use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::doorway::{DoorInput, EngineStopped, LinkBook};
use crate::base::{Epoch, LinkId};
use crate::message::{CloseReason, Frame, Request};
use crate::telemetry::Metrics;

/// Frames that may wait for a client: a client this far behind is gone or does not read.
const FRAMES_WAITING: usize = 1_024;

/// Why the server ended a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// Control closed it.
    Closed(CloseReason),
    /// The client did not read what was sent to it.
    TooSlow,
    /// The engine has stopped.
    Stopped,
}

/// A client's link, as a door or an embedder holds it. Dropping it closes it.
#[derive(Debug)]
pub struct Link {
    parts: LinkParts,
    frames: mpsc::Receiver<Frame>,
    end: Arc<OnceLock<LinkEnd>>,
    /// The placement that the last frame told of, until the next one is asked for.
    untold: Option<Epoch>,
}

/// The engine's end of a link. Dropping it ends the link.
#[derive(Debug)]
pub struct Outbox {
    frames: mpsc::Sender<Frame>,
    end: Arc<OnceLock<LinkEnd>>,
}

/// The client is too far behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFull;

#[derive(Debug)]
pub(super) struct LinkParts {
    pub(super) id: LinkId,
    pub(super) inputs: mpsc::Sender<DoorInput>,
    pub(super) book: Arc<LinkBook>,
    pub(super) metrics: Metrics,
}

impl Link {
    pub(super) fn new(parts: LinkParts) -> (Outbox, Self) {
        parts.book.opened();
        parts.metrics.links.inc();
        parts.metrics.links_opened.inc();
        let (sender, frames) = mpsc::channel(FRAMES_WAITING);
        let end = Arc::new(OnceLock::new());
        (Outbox { frames: sender, end: Arc::clone(&end) }, Self { parts, frames, end, untold: None })
    }

    /// Hands a request to the engine; waits while the engine has too much to do. Its ack comes by
    /// [`Self::recv`].
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn send(&self, request: Request) -> Result<(), EngineStopped> {
        self.parts.metrics.requests.inc();
        let input = DoorInput::Request { link: self.parts.id, request };
        self.parts.inputs.send(input).await.map_err(|_| EngineStopped)
    }

    /// The next frame for the client; `None` when the server has ended the link, see
    /// [`Self::end`]. Asking for it says that the frame before was taken in.
    pub async fn recv(&mut self) -> Option<Frame> {
        if let Some(epoch) = self.untold.take() {
            self.told(epoch).await;
        }
        let frame = self.recv_untold().await?;
        self.untold = placement_of(&frame);
        Some(frame)
    }

    /// The next frame, of which [`Self::told`] is said apart: by a door whose client is far away.
    pub(super) async fn recv_untold(&mut self) -> Option<Frame> {
        self.frames.recv().await
    }

    /// Says that the client has taken in the `slots` of a placement: what it publishes from now on
    /// is meant for the room that they name.
    pub(super) async fn told(&self, epoch: Epoch) {
        // An engine that has stopped forwards nothing any more.
        let _ = self.parts.inputs.send(DoorInput::Told { link: self.parts.id, epoch }).await;
    }

    /// Why the server ended the link; [`LinkEnd::Stopped`] also while it has not.
    #[must_use]
    pub fn end(&self) -> LinkEnd {
        self.end.get().copied().unwrap_or(LinkEnd::Stopped)
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }
}

/// The placement that a frame tells of, if it does.
pub(super) fn placement_of(frame: &Frame) -> Option<Epoch> {
    match frame {
        Frame::Event { event: "slots", data, .. } => data.get("epoch")?.as_u64().map(Epoch),
        _ => None,
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.parts.metrics.links.dec();
        // Behind the link's requests where there is room, so that a `leaveRoom` before it counts.
        let link = self.parts.id;
        if let Err(mpsc::error::TrySendError::Full(_)) =
            self.parts.inputs.try_send(DoorInput::Closed { link })
        {
            self.parts.book.note_closed(link);
        }
        self.parts.book.closed();
    }
}

impl Outbox {
    /// Queues a frame for the client.
    ///
    /// # Errors
    /// When the client is too far behind; the caller drops the link. A client that is gone takes
    /// everything.
    pub fn push(&self, frame: Frame) -> Result<(), OutboxFull> {
        match self.frames.try_send(frame) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(OutboxFull),
        }
    }

    /// Ends the link after what was queued.
    pub fn end(self, end: LinkEnd) {
        // The first reason stands.
        let _ = self.end.set(end);
    }
}
