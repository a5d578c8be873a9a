//! What waits for one listener until the batch ends.

use std::collections::VecDeque;

use super::slab::Key;
use super::statistics::{DropReason, Drops};
use super::stream::Stream;
use crate::base::plant::{self, Plant};

/// Copies of video that wait for one listener: a keyframe of 200 packets and what comes behind it
/// while it is paced.
const MAX_PICTURES: usize = 512;
/// Copies of sound that wait for one listener: 16 talkers while packets are held.
const MAX_SOUNDS: usize = 64;

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

/// The copies of one listener, each sort in the order of its coming. Sound is apart, so that no
/// picture is in its way and its packets, which are alike in size, leave together.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) sound: VecDeque<Waiting>,
    pub(super) picture: VecDeque<Waiting>,
}

impl Outbox {
    /// Puts a copy at the end. When there are too many the oldest of its sort gives way.
    pub(super) fn push(&mut self, waiting: Waiting, drops: &mut Drops) {
        let (queue, most) =
            if waiting.video { (&mut self.picture, MAX_PICTURES) } else { (&mut self.sound, MAX_SOUNDS) };
        if queue.len() >= most {
            let victim = queue.pop_front();
            count(drops, victim.as_ref(), DropReason::QueueFull);
        }
        queue.push_back(waiting);
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.sound.is_empty() && self.picture.is_empty()
    }

    /// Drops what the condition says.
    pub(super) fn drop_if(
        &mut self,
        reason: DropReason,
        drops: &mut Drops,
        condition: impl Fn(&Waiting) -> bool,
    ) {
        for queue in [&mut self.sound, &mut self.picture] {
            queue.retain(|waiting| {
                let goes = condition(waiting);
                if goes {
                    count(drops, Some(waiting), reason);
                }
                !goes
            });
        }
    }
}

/// Retransmissions are counted apart from copies.
pub(super) fn count(drops: &mut Drops, waiting: Option<&Waiting>, reason: DropReason) {
    match waiting.map(|waiting| waiting.purpose) {
        Some(Purpose::Forward) if reason == DropReason::Revoked && plant::is(Plant::DropUncounted) => {}
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
    fn the_oldest_gives_way_and_video_never_costs_sound() {
        let mut keys: Slab<()> = Slab::default();
        let stream = keys.insert(()).cast();
        let copy =
            |index, video| Waiting { stream, index, segment: 0, slot: 0, video, purpose: Purpose::Forward };
        let (mut outbox, mut drops) = (Outbox::default(), Drops::default());
        outbox.push(copy(0, false), &mut drops);
        for index in 1..2_000 {
            outbox.push(copy(index, true), &mut drops);
        }
        assert_eq!((outbox.sound.len(), outbox.picture.len()), (1, MAX_PICTURES));
        assert_eq!(drops.get(DropReason::QueueFull), 1_999 - 512);
        assert_eq!(outbox.picture.front().map(|waiting| waiting.index), Some(2_000 - 512));
        for index in 0..70 {
            outbox.push(copy(index, false), &mut drops);
        }
        assert_eq!(outbox.sound.len(), MAX_SOUNDS);
    }
}
