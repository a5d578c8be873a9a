//! What waits for a client that reads slowly, as it goes out.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Serialised frames that may wait for a client before it counts as too slow.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What is sent to a client.
#[derive(Debug)]
pub(in crate::api) enum Outgoing {
    /// A text.
    Text(String),
    /// Is the client there?
    Ping(Vec<u8>),
    /// The answer to a ping.
    Pong(Vec<u8>),
    /// Nothing follows; with a code of RFC 6455 section 7.4 and a reason of few bytes.
    Close(Option<u16>, &'static str),
}

/// So much waits already that the client cannot be reading.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) struct BacklogFull;

/// A frame as it goes over the wire. A server does not mask, so a text stays where it was made.
#[derive(Debug)]
struct Waiting {
    head: [u8; 10],
    head_len: usize,
    payload: Vec<u8>,
}

impl Waiting {
    /// A frame in one piece (RFC 6455 section 5.2).
    fn new(message: Outgoing) -> Self {
        let (opcode, payload) = match message {
            Outgoing::Text(text) => (0x1, text.into_bytes()),
            Outgoing::Close(code, reason) => {
                let code = code.map(u16::to_be_bytes);
                (0x8, code.map_or_else(Vec::new, |code| [&code, reason.as_bytes()].concat()))
            }
            Outgoing::Ping(payload) => (0x9, payload),
            Outgoing::Pong(payload) => (PONG, payload),
        };
        let first = 0x80 | opcode;
        let (head, head_len) = match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(len @ ..126), _) => ([first, len, 0, 0, 0, 0, 0, 0, 0, 0], 2),
            (_, Ok(len)) => {
                let [a, b] = len.to_be_bytes();
                ([first, 126, a, b, 0, 0, 0, 0, 0, 0], 4)
            }
            _ => {
                let len = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                let [a, b, c, d, e, f, g, h] = len.to_be_bytes();
                ([first, 127, a, b, c, d, e, f, g, h], 10)
            }
        };
        Self { head, head_len, payload }
    }

    fn pieces(&self) -> [&[u8]; 2] {
        [self.head.get(..self.head_len).unwrap_or_default(), &self.payload]
    }

    const fn len(&self) -> usize {
        self.head_len + self.payload.len()
    }

    /// What it counts towards the limit: a frame's own cost as well, so that empty ones count.
    const fn cost(&self) -> usize {
        64 + self.payload.len()
    }

    const fn is_pong(&self) -> bool {
        let [first, ..] = self.head;
        first & 0x0f == PONG
    }
}

const PONG: u8 = 0xa;

/// Frames in the order in which they go out. Holds no memory while nothing waits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    frames: VecDeque<Waiting>,
    cost: usize,
    /// Bytes of the oldest frame that have gone out.
    gone: usize,
}

impl Backlog {
    /// Puts a message behind the others. Only what waits before it counts against the limit, so that
    /// no answer is too long for a client that reads; a close is the last and goes in always.
    pub(super) fn push(&mut self, message: Outgoing) -> Result<(), BacklogFull> {
        if self.cost > MAX_BYTES && !matches!(message, Outgoing::Close(..)) {
            return Err(BacklogFull);
        }
        let frame = Waiting::new(message);
        // RFC 6455 section 5.5.3: of several pings the newest may be answered alone.
        if frame.is_pong() && self.frames.len() > 1 && self.frames.back().is_some_and(Waiting::is_pong) {
            self.cost -= self.frames.pop_back().map_or(0, |older| older.cost());
        }
        self.cost += frame.cost();
        self.frames.push_back(frame);
        Ok(())
    }

    /// Shows the oldest bytes, as far as there are slices for them; answers how many slices it took.
    pub(super) fn show<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut gone = self.gone;
        let pieces = self.frames.iter().flat_map(Waiting::pieces).filter_map(|piece| {
            let rest = piece.get(gone.min(piece.len())..)?;
            gone -= piece.len() - rest.len();
            (!rest.is_empty()).then_some(rest)
        });
        let mut taken = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            taken += 1;
        }
        taken
    }

    /// Takes out so many of the oldest bytes: they have gone out.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.gone += bytes;
        while let Some(frame) = self.frames.pop_front_if(|frame| frame.len() <= self.gone) {
            self.gone -= frame.len();
            self.cost -= frame.cost();
        }
        if self.frames.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Outgoing {
        Outgoing::Text("x".repeat(bytes))
    }

    /// All that waits, taken out in pieces of at most so many bytes.
    fn drain(backlog: &mut Backlog, at_once: usize) -> Vec<u8> {
        let mut found = Vec::new();
        while !backlog.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let taken = backlog.show(&mut slices);
            let before = found.len();
            found.extend(slices.iter().take(taken).flat_map(|slice| slice.iter()).take(at_once));
            let gone = found.len() - before;
            assert!(gone > 0);
            backlog.advance(gone);
        }
        assert_eq!(backlog.frames.capacity(), 0);
        found
    }

    #[test]
    fn one_message_is_never_too_long() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.push(text(2 * MAX_BYTES)), Ok(()));
        assert_eq!(backlog.push(text(1)), Err(BacklogFull));
        assert_eq!(backlog.push(Outgoing::Close(None, "")), Ok(()));
        backlog.advance(2 * MAX_BYTES);
        assert_eq!(backlog.push(text(1)), Err(BacklogFull), "its last bytes have not gone");
        backlog.advance(10);
        assert_eq!(backlog.push(text(1)), Ok(()));
    }

    #[test]
    fn what_waits_is_bounded_whatever_it_is_made_of() {
        let mut backlog = Backlog::default();
        let taken = (0..1_000_000).take_while(|_| backlog.push(text(0)).is_ok()).count();
        assert_eq!(taken, MAX_BYTES / 64 + 1);
    }

    #[test]
    fn frames_go_out_whole_and_in_order_in_whatever_pieces() {
        for at_once in [1, 2, 3, 7, 100, 1_000_000] {
            let mut backlog = Backlog::default();
            let lengths = [0, 5, 125, 126, 65_535, 65_536];
            let mut expected = Vec::new();
            for len in lengths {
                backlog.push(text(len)).unwrap();
                match len {
                    0..126 => expected.extend([0x81, u8::try_from(len).unwrap()]),
                    126 => expected.extend([0x81, 126, 0, 126]),
                    65_535 => expected.extend([0x81, 126, 0xff, 0xff]),
                    _ => expected.extend([0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
                }
                expected.extend(vec![b'x'; len]);
            }
            backlog.push(Outgoing::Ping(vec![7])).unwrap();
            backlog.push(Outgoing::Close(Some(1000), "left")).unwrap();
            expected.extend([0x89, 1, 7, 0x88, 6, 0x03, 0xe8]);
            expected.extend(b"left");
            assert_eq!(drain(&mut backlog, at_once), expected);
        }
    }

    #[test]
    fn of_a_flood_of_pings_the_newest_is_answered() {
        let mut backlog = Backlog::default();
        backlog.push(text(1)).unwrap();
        for number in 0..1_000_000_u32 {
            backlog.push(Outgoing::Pong(number.to_be_bytes().to_vec())).unwrap();
        }
        let [a, b, c, d] = 999_999_u32.to_be_bytes();
        assert_eq!(drain(&mut backlog, 100), [0x81, 1, b'x', 0x8a, 4, a, b, c, d]);
    }
}
