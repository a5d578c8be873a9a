//! Which packets of one source were seen: the replay list of RFC 3711 section 3.3.2, and the guess of
//! the full index from 16 bits (section 3.3.1).

/// How far behind the newest packet one may be: the window's size in packets.
///
/// RFC 3711 asks for at least 64. As many as the media plane takes late: a publisher without RTX repeats
/// what it was asked for under the old numbers, and of a screen at 1,000 packets a second that comes
/// hundreds of packets later.
pub(super) const WINDOW: u64 = 512;

const WORDS: usize = 8;

const LAST_INDEX: u64 = (1 << 48) - 1;

/// The window of one source; made from its first authenticated packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Whether the packets of the window were seen, each at its index modulo the window: the next packet
    /// in order moves nothing.
    seen: [u64; WORDS],
}

impl Window {
    pub(super) fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.set(index, true);
        window
    }

    /// The window of a source of which only its highest index is known: nothing up to that is taken.
    pub(super) const fn closed_at(highest: u64) -> Self {
        Self { highest, seen: [u64::MAX; WORDS] }
    }

    /// The highest index that was seen.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    fn place(index: u64) -> (usize, u64) {
        let bit = index % WINDOW;
        (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64))
    }

    fn is_set(&self, index: u64) -> bool {
        let (word, bit) = Self::place(index);
        self.seen.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, index: u64, on: bool) {
        let (word, bit) = Self::place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word = if on { *word | bit } else { *word & !bit };
        }
    }

    /// The index whose last 16 bits are `sequence` and that is nearest to the highest seen.
    ///
    /// `None` when that is beyond the last index, where the key must not be used any more.
    pub(super) fn guess(&self, sequence: u16) -> Option<u64> {
        const HALF: u64 = 1 << 15;
        let (rollovers, last) = (self.highest >> 16, self.highest & 0xffff);
        let sequence = u64::from(sequence);
        let guessed = if last < HALF {
            // Before the first rollover there is nothing behind, so a far jump goes forward.
            if sequence > last + HALF && rollovers > 0 { rollovers - 1 } else { rollovers }
        } else if last - HALF > sequence {
            rollovers + 1
        } else {
            rollovers
        };
        let index = (guessed << 16) | sequence;
        (index <= LAST_INDEX).then_some(index)
    }

    /// Whether the packet was seen, or is so old that nobody knows.
    pub(super) fn is_stale(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => false,
            Some(behind) => behind >= WINDOW || self.is_set(index),
        }
    }

    /// Remembers an authenticated packet.
    pub(super) fn accept(&mut self, index: u64) {
        if let Some(behind) = self.highest.checked_sub(index) {
            if behind < WINDOW {
                self.set(index, true);
            }
            return;
        }
        if index - self.highest < WINDOW {
            for skipped in self.highest + 1..index {
                self.set(skipped, false);
            }
        } else {
            self.seen = [0; WORDS];
        }
        self.set(index, true);
        self.highest = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_fresh_once() {
        let mut window = Window::starting_at(1000);
        assert!(window.is_stale(1000) && !window.is_stale(999) && !window.is_stale(1001));
        window.accept(1001);
        window.accept(999);
        assert!(window.is_stale(999) && window.is_stale(1000) && window.is_stale(1001));
        assert!(!window.is_stale(998));
    }

    #[test]
    fn what_left_the_window_is_stale() {
        let mut window = Window::starting_at(1000);
        window.accept(1000 + WINDOW - 1);
        assert!(window.is_stale(1000) && !window.is_stale(1001));
        window.accept(1001 + WINDOW);
        assert!(window.is_stale(1001), "one more behind than the window is long");
        window.accept(10_000);
        assert!(window.is_stale(10_000) && !window.is_stale(9_999) && window.is_stale(9_000));
    }

    #[test]
    fn a_repair_of_long_ago_is_taken_once() {
        let mut window = Window::starting_at(1000);
        for index in (1001..2000).filter(|index| *index != 1699) {
            window.accept(index);
        }
        assert!(!window.is_stale(1699), "300 behind");
        window.accept(1699);
        assert!(window.is_stale(1699));
    }

    #[test]
    fn it_remembers_what_a_list_of_all_would() {
        let mut window = Window::starting_at(100_000);
        let (mut all, mut highest) = (std::collections::BTreeSet::from([100_000]), 100_000);
        for round in 0..2_000_u64 {
            let steps = [1, 1, 2, 63, 1, 64, 65, 1, 511, 1, 512, 1, 513, 3];
            let index = if round % 3 == 2 {
                highest - round * 37 % (WINDOW + 20)
            } else {
                highest + steps[usize::try_from(round).unwrap() % steps.len()]
            };
            let stale = |index| all.contains(&index) || index + WINDOW <= highest;
            for near in highest - WINDOW - 70..highest + 70 {
                assert_eq!(window.is_stale(near), stale(near), "{near} at {highest}");
            }
            window.accept(index);
            all.insert(index);
            highest = highest.max(index);
        }
    }

    #[test]
    fn the_guess_follows_the_rollover_both_ways() {
        assert_eq!(Window::starting_at(65_530).guess(3), Some(0x1_0003));
        assert_eq!(Window::starting_at(0x1_0003).guess(65_530), Some(65_530));
        assert_eq!(Window::starting_at(0x2_8000).guess(0x7fff), Some(0x2_7fff));
        assert_eq!(Window::starting_at(10).guess(40_000), Some(40_000));
        assert_eq!(Window::starting_at(LAST_INDEX).guess(0), None);
    }
}
