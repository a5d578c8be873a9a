//! What waits for a client that reads slowly.

use std::collections::VecDeque;

use axum::extract::ws::Message;

/// Serialised frames that may wait for a client before it counts as too slow.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// So much waits already that the client cannot be reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BacklogFull;

/// Messages in the order in which they go out.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Backlog {
    /// Puts a message behind the others. Only what waits before it counts against the limit, so that
    /// no answer is too long for a client that reads.
    pub(super) fn push(&mut self, message: Message) -> Result<(), BacklogFull> {
        if self.bytes > MAX_BYTES {
            return Err(BacklogFull);
        }
        self.bytes += size(&message);
        self.messages.push_back(message);
        Ok(())
    }

    /// Takes the oldest message out.
    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&message));
        Some(message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

fn size(message: &Message) -> usize {
    // A frame's own cost, so that empty ones count as well.
    const EACH: usize = 64;
    EACH + match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Message {
        Message::Text("x".repeat(bytes).into())
    }

    #[test]
    fn one_message_is_never_too_long() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.push(message(2 * MAX_BYTES)), Ok(()));
        assert_eq!(backlog.push(message(1)), Err(BacklogFull));
        assert!(backlog.pop().is_some());
        assert_eq!(backlog.push(message(1)), Ok(()));
    }

    #[test]
    fn what_waits_is_bounded_whatever_it_is_made_of() {
        let mut backlog = Backlog::default();
        let taken = (0..1_000_000).take_while(|_| backlog.push(message(0)).is_ok()).count();
        assert_eq!(taken, MAX_BYTES / 64 + 1);
    }
}
