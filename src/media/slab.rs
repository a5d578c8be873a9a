//! Storage whose places are named by keys that no later inhabitant answers to.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

/// Names one value of a [`Slab`]; of another slab or a later value it names nothing.
pub(super) struct Key<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    const fn pair(self) -> (u32, u32) {
        (self.index, self.generation)
    }

    /// Where in its slab the value is; its next inhabitant has the same.
    pub(super) fn place(self) -> usize {
        usize::try_from(self.index).unwrap_or(usize::MAX)
    }

    /// The same numbers for another kind of value.
    #[cfg(test)]
    pub(super) const fn cast<U>(self) -> Key<U> {
        Key { index: self.index, generation: self.generation, of: PhantomData }
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }
}

impl<T> Eq for Key<T> {}

impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pair().cmp(&other.pair())
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// Values by key. Its size is bounded by the number of its values, which the owner bounds.
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Stores a value.
    pub(super) fn insert(&mut self, value: T) -> Key<T> {
        if let Some(index) = self.free.pop()
            && let Some(place) = self.place_mut(index)
        {
            place.value = Some(value);
            return Key { index, generation: place.generation, of: PhantomData };
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: 0, value: Some(value) });
        Key { index, generation: 0, of: PhantomData }
    }

    /// Takes a value out; its key names nothing any more.
    pub(super) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let place = self.place_mut(key.index).filter(|place| place.generation == key.generation)?;
        let value = place.value.take()?;
        // A place whose generations are used up is never inhabited again.
        if let Some(next) = place.generation.checked_add(1) {
            place.generation = next;
            self.free.push(key.index);
        }
        Some(value)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: Key<T>) -> Option<&T> {
        let place = self.places.get(usize::try_from(key.index).ok()?)?;
        if place.generation == key.generation { place.value.as_ref() } else { None }
    }

    /// The value of a key, to change.
    pub(super) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let place = self.place_mut(key.index)?;
        if place.generation == key.generation { place.value.as_mut() } else { None }
    }

    /// All keys, in the order of places.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key<T>> + '_ {
        self.places.iter().zip(0..).filter(|(place, _)| place.value.is_some()).map(|(place, index)| Key {
            index,
            generation: place.generation,
            of: PhantomData,
        })
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.places.iter().filter(|place| place.value.is_some()).count()
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Place<T>> {
        self.places.get_mut(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_name_who_came_later() {
        let mut slab = Slab::default();
        let gone = slab.insert("gone");
        assert_eq!(slab.remove(gone), Some("gone"));
        let came = slab.insert("came");
        assert_eq!((slab.get(gone), slab.get(came)), (None, Some(&"came")));
        assert_eq!(slab.remove(gone), None);
        assert_eq!(slab.get_mut(came), Some(&mut "came"));
        assert_eq!((slab.len(), slab.keys().collect::<Vec<_>>()), (1, vec![came]));
    }
}
