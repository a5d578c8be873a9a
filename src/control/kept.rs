//! A map that knows which of its entries may differ from what is saved of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use crate::message::saved::Record;

/// Whoever can change an entry has touched it. Reading is the map's own.
pub(super) struct Kept<K, V> {
    map: BTreeMap<K, V>,
    touched: BTreeSet<K>,
    /// The fingerprint of what is saved of each.
    saved: BTreeMap<K, u64>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), touched: BTreeSet::new(), saved: BTreeMap::new() }
    }
}

impl<K, V> Deref for Kept<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl<K: Ord + Copy, V> Kept<K, V> {
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let found = self.map.get_mut(key)?;
        self.touched.insert(*key);
        Some(found)
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.touched.insert(key);
        self.map.insert(key, value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.map.remove(key)?;
        self.touched.insert(*key);
        Some(removed)
    }

    /// As [`Self::get_mut`], for a change of which nothing is saved.
    pub(super) fn get_unsaved_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    /// All values, for changes of which nothing is saved.
    pub(super) fn unsaved_values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.map.values_mut()
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> BTreeMap<K, V> {
        let map = std::mem::take(&mut self.map);
        self.touched.extend(map.keys().copied());
        map
    }

    /// Puts back what was saved.
    pub(super) fn restore(&mut self, key: K, value: V, fingerprint: u64) {
        self.map.insert(key, value);
        self.saved.insert(key, fingerprint);
    }

    /// Tells what differs from what is saved, and takes it for saved.
    pub(super) fn changed(&mut self, record: impl Fn(&V) -> Record, mut tell: impl FnMut(K, Option<Record>)) {
        while let Some(key) = self.touched.pop_first() {
            match self.map.get(&key).map(&record) {
                Some(record) => {
                    let fingerprint = record.fingerprint();
                    if self.saved.insert(key, fingerprint) != Some(fingerprint) {
                        tell(key, Some(record));
                    }
                }
                None if self.saved.remove(&key).is_some() => tell(key, None),
                None => {}
            }
        }
    }

    /// Forgets what may have changed: nothing is saved here.
    pub(super) fn settle(&mut self) {
        self.touched.clear();
    }

    /// Everything of which something is saved, to be forgotten.
    pub(super) fn forget_saved(&mut self) -> impl Iterator<Item = K> {
        std::mem::take(&mut self.saved).into_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BreakoutId;

    fn changed(kept: &mut Kept<u8, u128>) -> Vec<(u8, bool)> {
        let mut told = Vec::new();
        kept.changed(
            |value| Record::Destroyed(vec![BreakoutId(*value)]),
            |key, record| {
                told.push((key, record.is_some()));
            },
        );
        told
    }

    #[test]
    fn what_differs_is_told_once_and_what_came_and_went_is_not() {
        let mut kept = Kept::default();
        kept.insert(1, 10);
        kept.insert(2, 20);
        kept.remove(&2);
        assert_eq!(changed(&mut kept), [(1, true)]);
        *kept.get_mut(&1).unwrap() = 11;
        *kept.get_mut(&1).unwrap() = 10;
        assert_eq!(changed(&mut kept), [], "it is as it was");
        *kept.get_mut(&1).unwrap() = 12;
        assert_eq!(changed(&mut kept), [(1, true)]);
        kept.remove(&1);
        assert_eq!(changed(&mut kept), [(1, false)]);
        assert_eq!(changed(&mut kept), []);
    }
}
