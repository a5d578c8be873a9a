//! One client's signalling, between its door and the engine.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::doorway::{DoorInput, EngineStopped, Shared};
use crate::base::{Epoch, LinkId};
use crate::message::{CloseReason, Frame, Method, Request};
use crate::telemetry::Metrics;

/// Bytes of frames that may wait for a client: one this far behind is gone or does not read. A burst
/// that a large meeting can make, such as ten thousand invitations that end at once, is half of it.
/// Each frame counts at least 64.
const BYTES_WAITING: usize = 4 * 1024 * 1024;

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
    queue: Arc<Mutex<Queue>>,
    /// The placement that the last frame told of, until the next one is asked for.
    untold: Option<Epoch>,
}

/// The engine's end of a link. Dropping it ends the link.
#[derive(Debug)]
pub struct Outbox {
    queue: Arc<Mutex<Queue>>,
}

/// Frames on their way to the client. Holds no memory while none waits: a channel would keep room for
/// 32 of them in each of ten thousand links.
#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(usize, Frame)>,
    /// Bytes of the frames that wait.
    waiting: usize,
    /// Who waits for a frame.
    reader: Option<Waker>,
    /// Whether the engine's end is gone: nothing comes any more.
    is_ended: bool,
    /// Whether the client's end is gone: nobody reads any more.
    is_left: bool,
    end: Option<LinkEnd>,
}

impl Queue {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The client is too far behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFull;

#[derive(Debug)]
pub(super) struct LinkParts {
    pub(super) id: LinkId,
    pub(super) inputs: mpsc::Sender<DoorInput>,
    /// Not copies of what is in it: a link's task is there ten thousand times.
    pub(super) shared: Arc<Shared>,
}

impl Link {
    pub(super) fn new(parts: LinkParts) -> (Outbox, Self) {
        parts.shared.book.opened();
        parts.shared.metrics.links.inc();
        parts.shared.metrics.links_opened.inc();
        let queue = Arc::default();
        (Outbox { queue: Arc::clone(&queue) }, Self { parts, queue, untold: None })
    }

    /// Hands a request to the engine; waits while the engine has too much to do. Its ack comes by
    /// [`Self::recv`].
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn send(&self, request: Request) -> Result<(), EngineStopped> {
        self.parts.shared.metrics.requests.inc();
        let input = DoorInput::Request { link: self.parts.id, request };
        self.parts.inputs.send(input).await.map_err(|_| EngineStopped)
    }

    /// The next frame for the client; `None` when the server has ended the link, see
    /// [`Self::end`]. Asking for it says that the frame before was taken in.
    pub async fn recv(&mut self) -> Option<Frame> {
        if let Some(epoch) = self.untold.take() {
            self.told(epoch).await;
        }
        let frame = poll_fn(|cx| self.poll_recv_untold(cx)).await?;
        self.untold = placement_of(&frame);
        Some(frame)
    }

    /// The next frame, of which [`Self::told`] is said apart: by a door whose client is far away.
    pub(super) fn poll_recv_untold(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        let mut queue = self.queue.lock();
        if let Some((size, frame)) = queue.frames.pop_front() {
            queue.waiting -= size;
            if queue.frames.is_empty() {
                queue.frames = VecDeque::new();
            }
            return Poll::Ready(Some(frame));
        }
        if queue.is_ended {
            return Poll::Ready(None);
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
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
        self.queue.lock().end.unwrap_or(LinkEnd::Stopped)
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.parts.shared.metrics
    }
}

/// The placement that a frame tells of, if it does: who comes back by signalling alone right after a move
/// learns of it by the ack, and a refusal names none.
pub(super) fn placement_of(frame: &Frame) -> Option<Epoch> {
    let epoch = match frame {
        Frame::Event { event: "slots", data, .. } => data.get("epoch"),
        Frame::Ack { ack, data, .. } if *ack == Method::JoinRoom.ack() => data.get("epoch"),
        _ => None,
    };
    epoch?.as_u64().map(Epoch)
}

impl Drop for Link {
    fn drop(&mut self) {
        self.parts.shared.metrics.links.dec();
        // Behind the link's requests where there is room, so that a `leaveRoom` before it counts.
        let link = self.parts.id;
        if let Err(mpsc::error::TrySendError::Full(_)) =
            self.parts.inputs.try_send(DoorInput::Closed { link })
        {
            self.parts.shared.book.note_closed(link);
        }
        self.parts.shared.book.closed();
        let mut queue = self.queue.lock();
        queue.is_left = true;
        queue.frames = VecDeque::new();
    }
}

impl Outbox {
    /// Queues a frame for the client.
    ///
    /// # Errors
    /// When the client is too far behind; the caller drops the link. The frame itself does not count,
    /// however long it is. A client that is gone takes everything.
    pub fn push(&self, frame: Frame) -> Result<(), OutboxFull> {
        let mut queue = self.queue.lock();
        if queue.is_left {
            return Ok(());
        }
        if queue.waiting > BYTES_WAITING {
            return Err(OutboxFull);
        }
        let size = frame.size();
        queue.waiting += size;
        queue.frames.push_back((size, frame));
        queue.wake();
        Ok(())
    }

    /// Ends the link after what was queued.
    pub fn end(self, end: LinkEnd) {
        // The first reason stands.
        self.queue.lock().end.get_or_insert(end);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.is_ended = true;
        queue.wake();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::doorway::{DoorReceiver, Doorway};
    use super::*;
    use crate::base::Time;
    use crate::message::{Claims, Role};

    fn frame(text: &str) -> Frame {
        Frame::Event { seq: 1, prev: 0, event: "x", data: json!({"text": text}).into() }
    }

    async fn link() -> (Outbox, Link) {
        let (outbox, link, _) = link_to_engine().await;
        (outbox, link)
    }

    async fn link_to_engine() -> (Outbox, Link, DoorReceiver) {
        let (doorway, mut engine) = Doorway::new(Metrics::new().unwrap());
        let claims = Claims {
            room: "daily".to_owned(),
            name: "Mia".to_owned(),
            role: Role::Moderator,
            expires_at: Time(0),
            lapsed: false,
        };
        let link = doorway.open_link(claims).await.unwrap();
        match engine.recv().await.unwrap() {
            DoorInput::Opened { outbox, .. } => (outbox, link, engine),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_burst_waits_for_its_reader() {
        let (outbox, mut link) = link().await;
        let text = "x".repeat(150);
        for _ in 0..10_000 {
            outbox.push(frame(&text)).unwrap();
        }
        for _ in 0..10_000 {
            assert!(link.recv().await.is_some());
        }
        let queue = link.queue.lock();
        assert_eq!((queue.waiting, queue.frames.capacity()), (0, 0));
    }

    #[tokio::test]
    async fn who_is_told_of_a_placement_by_slots_or_by_the_ack_of_a_join_says_so() {
        let (outbox, mut link, mut engine) = link_to_engine().await;
        let ack = |ack, data| Frame::Ack { id: "7".to_owned(), ack, seq: None, data };
        let slots = Frame::Event { seq: 1, prev: 0, event: "slots", data: json!({"epoch": 6}).into() };
        let frames = [
            ack("didJoinRoom", json!({"result": 0, "epoch": 5})),
            slots,
            ack("didJoinRoom", json!({"result": 1729, "error": "join_failed"})),
            ack("didAckReplay", json!({"result": 0, "epoch": 7})),
            frame("the last"),
        ];
        for frame in frames {
            outbox.push(frame).unwrap();
            assert!(link.recv().await.is_some());
        }
        drop(link);
        let mut said = Vec::new();
        while let Some(DoorInput::Told { epoch, .. }) = engine.recv().await {
            said.push(epoch);
        }
        assert_eq!(said, [Epoch(5), Epoch(6)]);
    }

    #[tokio::test]
    async fn who_reads_nothing_is_too_far_behind() {
        let (outbox, mut link) = link().await;
        let long = "x".repeat(BYTES_WAITING + 1);
        outbox.push(frame(&long)).unwrap();
        assert_eq!(outbox.push(frame("")), Err(OutboxFull));
        assert!(link.recv().await.is_some());
        let empty = Frame::Event { seq: 1, prev: 0, event: "", data: json!({}).into() };
        let taken = (0..1_000_000).take_while(|_| outbox.push(empty.clone()).is_ok()).count();
        assert!((50_000..=BYTES_WAITING / 64).contains(&taken), "{taken}");
    }

    #[tokio::test]
    async fn what_was_queued_comes_before_the_end() {
        let (outbox, mut link) = link().await;
        let reading = async {
            assert!(link.recv().await.is_some());
            assert!(link.recv().await.is_none());
        };
        let writing = async {
            tokio::task::yield_now().await;
            outbox.push(frame("last")).unwrap();
            tokio::task::yield_now().await;
            outbox.end(LinkEnd::TooSlow);
        };
        tokio::join!(reading, writing);
        assert_eq!(link.end(), LinkEnd::TooSlow);
    }

    #[tokio::test]
    async fn a_client_that_is_gone_takes_everything() {
        let (outbox, link) = link().await;
        drop(link);
        let long = "x".repeat(BYTES_WAITING);
        for _ in 0..10 {
            assert_eq!(outbox.push(frame(&long)), Ok(()));
        }
        assert_eq!(outbox.queue.lock().frames.capacity(), 0);
    }
}
