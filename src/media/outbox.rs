//! What waits for one listener until the batch ends.

use std::collections::VecDeque;

use super::slab::Key;
use super::statistics::{DropReason, Drops};
use super::stream::Stream;

/// Copies that wait for one listener: a keyframe of 200 packets and the sound beside it. A batch is
/// sent before the next is read, so more means that the socket does not take what we have.
const MAX_WAITING: usize = 512;

/// Why a copy waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It has never been sent.
    Forward,
    /// It was sent under this extended sequence number and is asked for again.
    Repair(u64),
}

/// A packet of a stream for a slot. The bytes are in the stream's ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) stream: Key<Stream>,
    pub(super) index: u64,
    pub(super) segment: u32,
    pub(super) slot: usize,
    pub(super) video: bool,
    pub(super) purpose: Purpose,
}

/// The copies of one listener, in the order of their coming.
#[derive(Debug, Default)]
pub(super) struct Outbox(VecDeque<Waiting>);

impl Outbox {
    /// Puts a copy at the end. When it is full the oldest video gives way, and sound last.
    pub(super) fn push(&mut self, waiting: Waiting, drops: &mut Drops) {
        if self.0.len() >= MAX_WAITING {
            let oldest_video = self.0.iter().position(|waiting| waiting.video);
            if oldest_video.is_none() && waiting.video {
                count(drops, Some(&waiting), DropReason::QueueFull);
                return;
            }
            let victim = self.0.remove(oldest_video.unwrap_or(0));
            count(drops, victim.as_ref(), DropReason::QueueFull);
        }
        self.0.push_back(waiting);
    }

    /// The next copy.
    pub(super) fn front(&self) -> Option<Waiting> {
        self.0.front().copied()
    }

    /// Takes the next copy out.
    pub(super) fn pop(&mut self) {
        self.0.pop_front();
    }

    /// Drops what the condition says.
    pub(super) fn drop_if(
        &mut self,
        reason: DropReason,
        drops: &mut Drops,
        condition: impl Fn(&Waiting) -> bool,
    ) {
        self.0.retain(|waiting| {
            let goes = condition(waiting);
            if goes {
                count(drops, Some(waiting), reason);
            }
            !goes
        });
    }
}

/// Retransmissions are counted apart from copies.
pub(super) fn count(drops: &mut Drops, waiting: Option<&Waiting>, reason: DropReason) {
    match waiting.map(|waiting| waiting.purpose) {
        Some(Purpose::Forward) => drops.count(reason),
        Some(Purpose::Repair(_)) => drops.count(DropReason::RetransmitUnavailable),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::slab::Slab;

    #[test]
    fn video_gives_way_before_sound() {
        let mut keys: Slab<()> = Slab::default();
        let stream = keys.insert(()).cast();
        let copy =
            |index, video| Waiting { stream, index, segment: 0, slot: 0, video, purpose: Purpose::Forward };
        let (mut outbox, mut drops) = (Outbox::default(), Drops::default());
        outbox.push(copy(0, false), &mut drops);
        for index in 1..2_000 {
            outbox.push(copy(index, index % 2 == 0), &mut drops);
        }
        assert_eq!(outbox.0.len(), MAX_WAITING);
        assert_eq!(drops.get(DropReason::QueueFull), 2_000 - 512);
        assert!(outbox.0.iter().all(|waiting| !waiting.video), "only sound is left");
        outbox.push(copy(5_000, true), &mut drops);
        assert!(outbox.0.iter().all(|waiting| waiting.index != 5_000));
    }
}
