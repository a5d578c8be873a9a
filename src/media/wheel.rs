//! When connections want to be woken: a timing wheel, so that ten thousand idle ones cost an idle worker
//! ten wake-ups a second and no search.
//!
//! A wake-up comes up to a step late, never early. A connection that puts its time off, as each check
//! for consent does, is left where it stands and put on when its old time comes.

use std::time::Duration;

use super::participant::Participant;
use super::slab::Key;
use crate::base::Time;

/// How far apart wake-ups are: consent ends after 30 s, and DTLS repeats itself after one.
const STEP: Duration = Duration::from_millis(100);
/// Steps of one turn. What is further off goes around again.
const STEPS: usize = 512;
const WORD: usize = 64;

/// One key's time, and the step that it stands at.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key<Participant>,
    at: Time,
    step: u64,
}

/// At most one time per key. As large as the slab that the keys are of.
pub(super) struct Wheel {
    /// By the key's place.
    entries: Vec<Option<Entry>>,
    /// The keys at each step; an entry says which of several standings of a key holds.
    steps: Vec<Vec<Key<Participant>>>,
    /// Which steps have keys.
    filled: [u64; STEPS / WORD],
    /// Steps before this are done.
    done: u64,
    /// Keys that are due, taken from their steps.
    due: Vec<Key<Participant>>,
}

impl Default for Wheel {
    fn default() -> Self {
        let steps = std::iter::repeat_with(Vec::new).take(STEPS).collect();
        Self { entries: Vec::new(), steps, filled: [0; STEPS / WORD], done: 0, due: Vec::new() }
    }
}

fn step_of(at: Time) -> u64 {
    at.as_micros().div_ceil(micros(STEP))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Wheel {
    /// Sets the time of a key, replacing an earlier one.
    pub(super) fn set(&mut self, now: Time, key: Key<Participant>, at: Time) {
        if self.entries.len() <= key.place() {
            self.entries.resize_with(key.place() + 1, || None);
        }
        let before = self.entries.get(key.place()).copied().flatten();
        let wanted = self.reachable(now, step_of(at));
        let stands = before.filter(|entry| entry.key == key && entry.step <= wanted);
        let step = stands.map_or(wanted, |entry| entry.step);
        if stands.is_none() {
            self.put(key, step);
        }
        if let Some(entry) = self.entries.get_mut(key.place()) {
            *entry = Some(Entry { key, at, step });
        }
    }

    /// Forgets the time of a key.
    pub(super) fn clear(&mut self, key: Key<Participant>) {
        if let Some(entry) = self.entries.get_mut(key.place()) {
            entry.take_if(|entry| entry.key == key);
        }
    }

    /// When the next key may be due; somebody may have put that off meanwhile.
    pub(super) fn next(&self) -> Option<Time> {
        if !self.due.is_empty() {
            return Some(Time(0));
        }
        self.next_step().map(|step| Time(step * micros(STEP)))
    }

    fn next_step(&self) -> Option<u64> {
        let start = index_of(self.done);
        let (first, bit) = (start / WORD, start % WORD);
        let words = STEPS / WORD;
        // The word that the turn starts in is looked at twice: from its start, and up to there.
        (0..=words).find_map(|turn| {
            let at = (first + turn) % words;
            let from_start = u64::MAX << bit;
            let mask = if turn == 0 {
                from_start
            } else if turn == words {
                !from_start
            } else {
                u64::MAX
            };
            let bits = self.filled.get(at)? & mask;
            let index = at * WORD + usize::try_from(bits.trailing_zeros()).ok()?;
            let ahead = (index + STEPS - start) % STEPS;
            (bits != 0).then(|| self.done + u64::try_from(ahead).unwrap_or(0))
        })
    }

    /// Takes a key that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Key<Participant>> {
        loop {
            while let Some(key) = self.due.pop() {
                let Some(place) = self.entries.get_mut(key.place()) else { continue };
                let Some(entry) = place.filter(|entry| entry.key == key) else { continue };
                if entry.at <= now {
                    *place = None;
                    return Some(key);
                }
                if entry.step >= self.done {
                    // It stood here twice, and stands elsewhere by now.
                    continue;
                }
                *place = None;
                self.set(now, key, entry.at);
            }
            let next = self.next_step().filter(|step| Time(*step * micros(STEP)) <= now)?;
            self.take_step(next);
        }
    }

    /// Takes the keys off a step whose time has come.
    fn take_step(&mut self, step: u64) {
        self.done = step + 1;
        let (word, bit) = place_of(step);
        if let Some(bits) = self.filled.get_mut(word) {
            *bits &= !bit;
        }
        let Some(keys) = self.steps.get_mut(index_of(step)) else { return };
        let entries = &self.entries;
        let stands = |key: &Key<Participant>| {
            entries.get(key.place()).copied().flatten().is_some_and(|one| one.key == *key && one.step == step)
        };
        self.due.extend(keys.drain(..).filter(stands));
    }

    fn put(&mut self, key: Key<Participant>, step: u64) {
        let (word, bit) = place_of(step);
        if let Some(bits) = self.filled.get_mut(word) {
            *bits |= bit;
        }
        if let Some(keys) = self.steps.get_mut(index_of(step)) {
            keys.push(key);
        }
    }

    /// A step that the wheel has now: none that is done, and none beyond one turn.
    fn reachable(&mut self, now: Time, step: u64) -> u64 {
        if self.due.is_empty() && self.filled.iter().all(|bits| *bits == 0) {
            // Nothing stands anywhere, so the wheel may turn on.
            self.done = self.done.max(now.as_micros() / micros(STEP));
        }
        let last = self.done + u64::try_from(STEPS).unwrap_or(1) - 1;
        step.clamp(self.done, last)
    }
}

fn index_of(step: u64) -> usize {
    usize::try_from(step % u64::try_from(STEPS).unwrap_or(1)).unwrap_or(0)
}

fn place_of(step: u64) -> (usize, u64) {
    let index = index_of(step);
    (index / WORD, 1 << (index % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::Random;
    use crate::media::slab::Slab;

    const START: Time = Time(1_700_000_000_000_000);

    fn keys(count: usize) -> Vec<Key<Participant>> {
        let mut slab: Slab<()> = Slab::default();
        (0..count).map(|_| slab.insert(()).cast()).collect()
    }

    fn due(wheel: &mut Wheel, now: Time) -> Vec<Key<Participant>> {
        std::iter::from_fn(|| wheel.pop_due(now)).collect()
    }

    #[test]
    fn nobody_is_woken_early_or_more_than_a_step_late() {
        let keys = keys(50);
        for seed in 0..20 {
            let (mut wheel, mut random) = (Wheel::default(), Random::from_number(seed));
            let mut set: BTreeMap<Key<Participant>, Time> = BTreeMap::new();
            let mut now = START;
            for _ in 0..2_000 {
                let key = keys[usize::try_from(random.below(50)).unwrap()];
                match random.below(4) {
                    0 => {
                        wheel.clear(key);
                        set.remove(&key);
                    }
                    1 | 2 => {
                        let at = now + Duration::from_millis(random.below(90_000));
                        wheel.set(now, key, at);
                        set.insert(key, at);
                    }
                    _ => {
                        now = wheel.next().unwrap_or(now).max(now) + Duration::from_millis(random.below(300));
                        for key in due(&mut wheel, now) {
                            assert!(set.remove(&key).unwrap() <= now, "early");
                        }
                        assert!(set.values().all(|at| *at + STEP > now), "late");
                    }
                }
                let next = wheel.next();
                assert!(set.values().all(|at| next.is_some_and(|next| next < *at + STEP)), "slept through");
            }
        }
    }

    #[test]
    fn ten_thousand_idle_ones_wake_a_worker_ten_times_a_second() {
        let keys = keys(10_000);
        let (mut wheel, mut now, mut wakes) = (Wheel::default(), START, 0);
        for (key, nth) in keys.iter().zip(0..) {
            wheel.set(now, *key, now + Duration::from_micros(30_000_000 + nth * 500));
        }
        let end = START + Duration::from_secs(60);
        while let Some(next) = wheel.next().filter(|next| *next < end) {
            (now, wakes) = (next, wakes + 1);
            for key in due(&mut wheel, now) {
                wheel.set(now, key, now + Duration::from_secs(5));
            }
        }
        assert!(wakes <= 600, "{wakes} in a minute");
        assert!(now > START + Duration::from_secs(59));
    }

    #[test]
    fn putting_a_time_off_leaves_one_standing_and_another_key_of_the_same_place_its_own() {
        let (mut wheel, first) = (Wheel::default(), keys(1)[0]);
        for ms in 0..1_000 {
            let now = START + Duration::from_millis(ms);
            wheel.set(now, first, now + Duration::from_secs(30));
        }
        assert_eq!(wheel.steps.iter().map(Vec::len).sum::<usize>(), 1);
        let mut slab: Slab<()> = Slab::default();
        let gone = slab.insert(());
        slab.remove(gone);
        let second = slab.insert(()).cast();
        wheel.set(START, second, START + Duration::from_secs(1));
        wheel.clear(first);
        assert_eq!(due(&mut wheel, START + Duration::from_secs(2)), [second]);
    }
}
