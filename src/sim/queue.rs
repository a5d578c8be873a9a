//! What is to happen, by virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::Time;

/// Events that may wait: far more than any seed has under way.
const MOST: usize = 1 << 18;

/// A queue of events. What is due at the same moment comes in the order in which it was put in.
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
    /// The events themselves, which the heap need not move about.
    places: Vec<Option<E>>,
    free: Vec<u32>,
    order: u64,
}

impl<E> Queue<E> {
    /// An empty queue.
    pub(super) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), places: Vec::new(), free: Vec::new(), order: 0 }
    }

    /// Puts an event in; answers whether there was room.
    pub(super) fn push(&mut self, at: Time, event: E) -> bool {
        if self.heap.len() >= MOST {
            return false;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let Some(slot) = usize::try_from(place).ok().and_then(|at| self.places.get_mut(at)) else {
            return false;
        };
        *slot = Some(event);
        self.order += 1;
        self.heap.push(Reverse((at, self.order, place)));
        true
    }

    /// When the next event is due, and what it is.
    pub(super) fn peek(&self) -> Option<(Time, &E)> {
        let Reverse((at, _, place)) = self.heap.peek()?;
        let event = self.places.get(usize::try_from(*place).ok()?)?.as_ref()?;
        Some((*at, event))
    }

    /// The next event.
    pub(super) fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        let event = self.places.get_mut(usize::try_from(place).ok()?)?.take()?;
        self.free.push(place);
        Some((at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_their_order() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            assert!(queue.push(Time(at), event));
        }
        assert_eq!(queue.peek(), Some((Time(3), &'a')));
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
        assert!(queue.push(Time(1), 'e'));
        assert_eq!(queue.places.len(), 4);
    }
}
