//! A WebSocket, as a server has it (RFC 6455): no extensions, texts only.
//!
//! The libraries for this keep a buffer as long as the longest message in either direction, for as
//! long as the socket is open: with 500 people in a room, whose joiners are told who is there, that was
//! two thirds of what a participant cost. This one holds no bytes but those that are on their way.

mod backlog;
mod frame_reader;
mod upgrade;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use backlog::Backlog;
pub(super) use backlog::{BacklogFull, Outgoing};
pub use frame_reader::{FrameReader, Incoming, Violation};
pub(super) use upgrade::Upgrade;

/// What is read at once. On the stack, so that a client that says nothing takes no memory.
const READ_BYTES: usize = 4 * 1024;

/// Pieces that are written at once: a frame is two.
const PIECES: usize = 16;

/// Why nothing more is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The connection has ended.
    #[error("the connection has ended")]
    Gone,
    /// The client does not keep to the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// One client's WebSocket over its connection.
pub(super) struct WebSocket<S> {
    connection: S,
    reader: FrameReader,
    /// What was read together with the last message and lies behind it.
    rest: Bytes,
    backlog: Backlog,
    is_unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    pub(super) fn new(connection: S, max_message: usize) -> Self {
        Self {
            connection,
            reader: FrameReader::new(max_message),
            rest: Bytes::new(),
            backlog: Backlog::default(),
            is_unflushed: false,
        }
    }

    /// Puts a message behind those that wait; [`Self::poll_write`] sends them.
    pub(super) fn push(&mut self, message: Outgoing) -> Result<(), BacklogFull> {
        self.is_unflushed = true;
        self.backlog.push(message)
    }

    /// Messages are passed over from here on; only the client's close is told.
    pub(super) fn turn_deaf(&mut self) {
        self.reader.turn_deaf();
    }

    /// How many frames have begun to come since this was last asked.
    pub(super) fn take_frames(&mut self) -> u64 {
        self.reader.take_frames()
    }

    /// Sends what waits; ready when all has gone out.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.backlog.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let taken = self.backlog.show(&mut slices);
            let slices = slices.get(..taken).unwrap_or_default();
            let written = ready!(Pin::new(&mut self.connection).poll_write_vectored(cx, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.backlog.advance(written);
        }
        if self.is_unflushed {
            ready!(Pin::new(&mut self.connection).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The client's next message. A ping's pong and a close's answer wait to be sent.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Broken>> {
        let incoming = loop {
            if let Some(incoming) = self.read_rest()? {
                break incoming;
            }
            let mut space = [0; READ_BYTES];
            let mut filled = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.connection).poll_read(cx, &mut filled));
            let mut bytes = filled.filled();
            if read.is_err() || bytes.is_empty() {
                return Poll::Ready(Err(Broken::Gone));
            }
            let read = self.reader.read(&mut bytes);
            self.rest = Bytes::copy_from_slice(bytes);
            if let Some(incoming) = read? {
                break incoming;
            }
        };
        let answer = match &incoming {
            Incoming::Ping(payload) => Outgoing::Pong(payload.clone()),
            Incoming::Close(code) => Outgoing::Close(*code, ""),
            Incoming::Text(_) | Incoming::Pong(_) => return Poll::Ready(Ok(incoming)),
        };
        // Where too much waits, the next message to be sent says so.
        let _ = self.push(answer);
        Poll::Ready(Ok(incoming))
    }

    fn read_rest(&mut self) -> Result<Option<Incoming>, Violation> {
        let mut bytes = &self.rest[..];
        if bytes.is_empty() {
            return Ok(None);
        }
        let read = self.reader.read(&mut bytes);
        self.rest = if bytes.is_empty() { Bytes::new() } else { self.rest.slice_ref(bytes) };
        read
    }
}

#[cfg(test)]
mod tests;
