//! What waits for one listener until the batch ends.

use std::collections::VecDeque;

use super::slab::Key;
use super::statistics::{DropReason, Drops};
use super::stream::Stream;
use crate::base::plant::{self, Plant};
use crate::transport::sdp::MAX_MEDIA_LINES;

/// Copies of video that wait for one listener: a keyframe of 200 packets and what comes behind it
/// while it is paced.
const MAX_PICTURES: usize = 512;
/// Copies of sound that wait for one listener: 16 talkers while packets are held.
const MAX_SOUNDS: usize = 64;
/// Slots that are told apart when a copy gives way.
const MAX_SLOTS: usize = MAX_MEDIA_LINES;

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
    /// Puts a copy at the end. When there are too many one of its sort gives way: the oldest of whoever has
    /// the most there, so that nobody's burst costs others a word or a frame.
    pub(super) fn push(&mut self, waiting: Waiting, drops: &mut Drops) {
        let (queue, most) =
            if waiting.video { (&mut self.picture, MAX_PICTURES) } else { (&mut self.sound, MAX_SOUNDS) };
        if queue.len() >= most {
            let victim = queue.remove(oldest_of_most(queue));
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

/// Where the oldest copy is of the slot that the most wait for.
fn oldest_of_most(queue: &VecDeque<Waiting>) -> usize {
    let mut waiting = [0_usize; MAX_SLOTS];
    let mut most = (0, 0);
    for copy in queue {
        if let Some(count) = waiting.get_mut(copy.slot) {
            *count += 1;
            most = most.max((*count, copy.slot));
        }
    }
    queue.iter().position(|copy| copy.slot == most.1).unwrap_or(0)
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

    #[test]
    fn a_burst_costs_others_nothing() {
        let mut keys: Slab<()> = Slab::default();
        let stream = keys.insert(()).cast();
        for (video, most) in [(false, MAX_SOUNDS), (true, MAX_PICTURES)] {
            let copy =
                |slot, index| Waiting { stream, index, segment: 0, slot, video, purpose: Purpose::Forward };
            let (mut outbox, mut drops) = (Outbox::default(), Drops::default());
            (0..5).for_each(|index| outbox.push(copy(3, index), &mut drops));
            (0..1_000).for_each(|index| outbox.push(copy(7, index), &mut drops));
            (5..10).for_each(|index| outbox.push(copy(3, index), &mut drops));
            let queue = if video { &outbox.picture } else { &outbox.sound };
            let of = |slot| queue.iter().filter(move |copy| copy.slot == slot).map(|copy| copy.index);
            assert!(of(3).eq(0..10), "all copies of the one who does not flood, in their order");
            assert!(of(7).eq(1_010 - most as u64..1_000));
            assert_eq!(drops.get(DropReason::QueueFull), 1_010 - most as u64);
        }
    }
}
