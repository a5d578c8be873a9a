//! Which of the newest sequence numbers of a stream have come.

/// Numbers remembered: a packet that is later than these counts as new.
const SIZE: u64 = 1024;
const WORDS: usize = 16;

/// What a sequence number is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The highest so far; this many between it and the one before have not come.
    Ahead {
        /// Zero in an unbroken stream.
        skipped: u64,
    },
    /// One that was skipped.
    Late,
    /// One that has come before.
    Before,
}

/// A bit for each of the newest [`SIZE`] numbers.
#[derive(Debug, Default)]
pub(super) struct SeenWindow {
    highest: Option<u64>,
    bits: [u64; WORDS],
}

impl SeenWindow {
    /// Notes a sequence number.
    pub(super) fn note(&mut self, seq: u64) -> Seen {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            self.set(seq, true);
            return Seen::Ahead { skipped: 0 };
        };
        if seq > highest {
            for skipped in (highest + 1..seq).rev().take(WORDS * 64) {
                self.set(skipped, false);
            }
            self.highest = Some(seq);
            self.set(seq, true);
            return Seen::Ahead { skipped: seq - highest - 1 };
        }
        if highest - seq >= SIZE {
            return Seen::Late;
        }
        if self.set(seq, true) { Seen::Before } else { Seen::Late }
    }

    /// Sets a number's bit; answers what it was.
    fn set(&mut self, seq: u64, to: bool) -> bool {
        let at = usize::try_from(seq % SIZE).unwrap_or(0);
        let Some(word) = self.bits.get_mut(at / 64) else { return false };
        let bit = 1 << (at % 64);
        let was = *word & bit != 0;
        *word = if to { *word | bit } else { *word & !bit };
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_late_ones_and_repeats_are_told_apart() {
        let mut window = SeenWindow::default();
        assert_eq!(window.note(70_000), Seen::Ahead { skipped: 0 });
        assert_eq!(window.note(70_003), Seen::Ahead { skipped: 2 });
        assert_eq!(window.note(70_002), Seen::Late);
        assert_eq!(window.note(70_002), Seen::Before);
        assert_eq!(window.note(70_003), Seen::Before);
        assert_eq!(window.note(72_003), Seen::Ahead { skipped: 1_999 });
        assert_eq!(window.note(72_003 - 1_023), Seen::Late, "its place was another's before");
    }
}
