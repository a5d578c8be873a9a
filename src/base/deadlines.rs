//! Deadlines by key: what is due next, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Time;

/// At most one deadline per key.
///
/// Its size is bounded by the number of keys, which the owner bounds.
#[derive(Clone, Debug)]
pub struct Deadlines<K> {
    by_time: BTreeSet<(Time, K)>,
    by_key: BTreeMap<K, Time>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Deadlines<K> {
    /// Sets the deadline of `key`, replacing an earlier one.
    pub fn set(&mut self, key: K, at: Time) {
        self.clear(&key);
        self.by_time.insert((at, key.clone()));
        self.by_key.insert(key, at);
    }

    /// Forgets the deadline of `key`; answers whether there was one.
    pub fn clear(&mut self, key: &K) -> bool {
        let Some(at) = self.by_key.remove(key) else { return false };
        self.by_time.remove(&(at, key.clone()))
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Time> {
        self.by_key.get(key).copied()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest key that is due at `now`; equal deadlines come in the order of keys.
    pub fn pop_due(&mut self, now: Time) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// Postpones the deadlines of some keys.
    pub fn postpone(&mut self, by: Duration, concerns: impl Fn(&K) -> bool) {
        let concerned = self.by_key.iter().filter(|(key, _)| concerns(key));
        let moved: Vec<(K, Time)> = concerned.map(|(key, at)| (key.clone(), *at + by)).collect();
        for (key, at) in moved {
            self.set(key, at);
        }
    }

    /// How many keys have a deadline.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no key has a deadline.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_only_when_due() {
        let mut deadlines = Deadlines::default();
        deadlines.set("invitation", Time(20));
        deadlines.set("seat", Time(10));
        assert_eq!(deadlines.next(), Some(Time(10)));
        assert_eq!(deadlines.pop_due(Time(9)), None);
        assert_eq!(deadlines.pop_due(Time(20)), Some("seat"));
        assert_eq!(deadlines.pop_due(Time(20)), Some("invitation"));
        assert!(deadlines.is_empty());
    }

    #[test]
    fn some_are_postponed() {
        let mut deadlines = Deadlines::default();
        (1..=3).for_each(|key| deadlines.set(key, Time(10)));
        deadlines.postpone(Duration::from_micros(5), |key| *key != 2);
        assert_eq!((deadlines.pop_due(Time(14)), deadlines.pop_due(Time(14))), (Some(2), None));
        assert_eq!((deadlines.pop_due(Time(15)), deadlines.pop_due(Time(15))), (Some(1), Some(3)));
    }

    #[test]
    fn setting_again_replaces() {
        let mut deadlines = Deadlines::default();
        deadlines.set(1, Time(10));
        deadlines.set(1, Time(30));
        assert_eq!((deadlines.len(), deadlines.next()), (1, Some(Time(30))));
        assert!(deadlines.clear(&1) && !deadlines.clear(&1));
    }
}
