//! What is to happen, by virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::Time;

/// Events that may wait: far more than any seed has under way.
const MOST: usize = 1 << PLACE_BITS;
/// Bits of a place, and of the order of an event.
const PLACE_BITS: u32 = 18;
const ORDER_BITS: u32 = 64 - PLACE_BITS;

/// When an event is due, its order and its place, in one number: that is compared at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u128);

impl Due {
    fn new(at: Time, order: u64, place: usize) -> Self {
        let low = (order & ((1 << ORDER_BITS) - 1)) << PLACE_BITS | u64::try_from(place).unwrap_or(u64::MAX);
        Self(u128::from(at.0) << 64 | u128::from(low))
    }

    fn at(self) -> Time {
        Time(u64::try_from(self.0 >> 64).unwrap_or(u64::MAX))
    }

    fn place(self) -> usize {
        usize::try_from(self.0 & ((1 << PLACE_BITS) - 1)).unwrap_or(usize::MAX)
    }
}

/// A queue of events. What is due at the same moment comes in the order in which it was put in.
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<Due>>,
    /// The events themselves, which the heap need not move about.
    places: Vec<Option<E>>,
    free: Vec<usize>,
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
        let place = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(place) {
            Some(slot) => *slot = Some(event),
            None => self.places.push(Some(event)),
        }
        self.order += 1;
        self.heap.push(Reverse(Due::new(at, self.order, place)));
        true
    }

    /// When the next event is due.
    pub(super) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(due)| due.at())
    }

    /// When the next event is due, and what it is.
    pub(super) fn peek(&self) -> Option<(Time, &E)> {
        let Reverse(due) = self.heap.peek()?;
        Some((due.at(), self.places.get(due.place())?.as_ref()?))
    }

    /// The next event.
    pub(super) fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse(due) = self.heap.pop()?;
        let event = self.places.get_mut(due.place())?.take()?;
        self.free.push(due.place());
        Some((due.at(), event))
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
