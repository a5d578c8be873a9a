//! Which packets of one source were seen: the replay list of RFC 3711 section 3.3.2, and the guess of
//! the full index from 16 bits (section 3.3.1).

/// How far behind the newest packet one may be: the window's size in packets.
///
/// RFC 3711 asks for at least 64. Twice that also lets late packets of a screen at 1,000 packets a
/// second through, which networks reorder by tens of milliseconds.
pub(super) const WINDOW: u64 = 128;

const LAST_INDEX: u64 = (1 << 48) - 1;

/// The window of one source; made from its first authenticated packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: whether the packet `highest - n` was seen.
    seen: u128,
}

impl Window {
    pub(super) const fn starting_at(index: u64) -> Self {
        Self { highest: index, seen: 1 }
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
            Some(behind) => behind >= WINDOW || (self.seen >> behind) & 1 == 1,
        }
    }

    /// Remembers an authenticated packet.
    pub(super) fn accept(&mut self, index: u64) {
        if let Some(behind) = self.highest.checked_sub(index) {
            if behind < WINDOW {
                self.seen |= 1 << behind;
            }
            return;
        }
        let ahead = index - self.highest;
        self.seen = if ahead < WINDOW { (self.seen << ahead) | 1 } else { 1 };
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
        assert!(window.is_stale(1001), "127 packets and one more behind");
        window.accept(10_000);
        assert!(window.is_stale(10_000) && !window.is_stale(9_999) && window.is_stale(9_000));
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
