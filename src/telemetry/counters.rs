//! From plain counters of one thread to the process's counters.

use prometheus::IntCounter;

/// Adds the growth of a plain counter to a shared one.
///
/// The owner of the plain counter counts without any atomic and publishes now and then. A new
/// mirror starts at zero, so totals go on growing when the owner is replaced by a fresh one.
#[derive(Debug)]
pub struct CounterMirror {
    published: u64,
    into: IntCounter,
}

impl CounterMirror {
    /// A mirror that has published nothing.
    #[must_use]
    pub fn new(into: IntCounter) -> Self {
        Self { published: 0, into }
    }

    /// Publishes what has been counted since the last time.
    pub fn publish(&mut self, counted: u64) {
        self.into.inc_by(counted.saturating_sub(self.published));
        self.published = self.published.max(counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_grow_over_a_replaced_owner() {
        let total = IntCounter::new("packets_total", "Packets.").unwrap();
        let mut first = CounterMirror::new(total.clone());
        first.publish(10);
        first.publish(15);
        CounterMirror::new(total.clone()).publish(3);
        assert_eq!(total.get(), 18);
    }
}
