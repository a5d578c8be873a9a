//! Counts what comes from a server that tells of no slots, by what publishers wrote into it.

use std::collections::BTreeMap;

use super::judge::Verdict;
use super::mark::Mark;
use super::seen_window::{Seen, SeenWindow};
use crate::base::{ClientId, Kind};

/// One stream of one publisher.
#[derive(Debug, Default)]
struct Stream {
    seen: SeenWindow,
    missing: u64,
}

/// What one listener has of each publisher. Every server forwards payloads as they are, and so the
/// marks in them: their counters tell what is missing whatever a server does to sequence numbers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    streams: BTreeMap<(ClientId, Kind), Stream>,
    verdict: Verdict,
}

impl Tally {
    /// Takes a packet's mark; `room` is where the listener is.
    pub(super) fn packet(&mut self, room: Option<u64>, mark: Option<Mark>) {
        self.verdict.packets += 1;
        let Some(mark) = mark else {
            self.verdict.wrong_publisher += 1;
            return;
        };
        if room != Some(mark.room) {
            self.verdict.wrong_group += 1;
            return;
        }
        let stream = self.streams.entry((mark.publisher, mark.kind)).or_default();
        match stream.seen.note(mark.counter) {
            Seen::Ahead { skipped } => stream.missing += skipped,
            Seen::Late => stream.missing = stream.missing.saturating_sub(1),
            Seen::Before => self.verdict.duplicates += 1,
        }
    }

    /// Packets that have not come so far.
    #[must_use]
    pub(super) fn missing(&self) -> u64 {
        self.streams.values().map(|stream| stream.missing).sum()
    }

    /// The counts so far.
    #[must_use]
    pub(super) fn verdict(&self) -> Verdict {
        Verdict { lost: self.missing(), ..self.verdict.clone() }
    }

    /// Publishers of whom something has come.
    #[must_use]
    pub(super) fn publishers(&self) -> usize {
        self.streams.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, Time};

    fn mark(publisher: u128, room: u64, counter: u64) -> Option<Mark> {
        let (publisher, kind, epoch) = (ClientId(publisher), Kind::Audio, Epoch(1));
        Some(Mark { publisher, kind, room, epoch, counter, sent_at: Time(0) })
    }

    #[test]
    fn each_publisher_is_counted_alone() {
        let mut tally = Tally::default();
        for (publisher, counter) in [(1, 7), (2, 90), (1, 8), (2, 93), (1, 8), (2, 92)] {
            tally.packet(Some(5), mark(publisher, 5, counter));
        }
        assert_eq!(tally.verdict(), Verdict { packets: 6, lost: 1, duplicates: 1, ..Verdict::default() });
        assert_eq!(tally.publishers(), 2);
    }

    #[test]
    fn what_is_of_another_room_or_nobody_is_wrong() {
        let mut tally = Tally::default();
        tally.packet(Some(5), mark(1, 6, 0));
        tally.packet(None, mark(1, 5, 0));
        tally.packet(Some(5), None);
        assert_eq!((tally.verdict().wrong_group, tally.verdict().wrong_publisher), (2, 1));
    }
}
