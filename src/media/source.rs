//! One SSRC that a participant sends.

use super::feedback::{Missing, Reception};
use super::statistics::DropReason;
use crate::base::plant::{self, Plant};
use crate::base::{Ssrc, Time};

/// How far back a packet can come late and still be told from a duplicate. Not more than a video
/// ring holds, so that a late packet never takes the place of a newer one.
const REACH: u64 = 512;
const WORDS: usize = 8;

/// Which of the last packets have come.
#[derive(Clone, Debug, Default)]
struct Received {
    highest: Option<u64>,
    bits: [u64; WORDS],
}

impl Received {
    fn accept(&mut self, index: u64, reach: u64) -> Result<(), DropReason> {
        let Some(highest) = self.highest else {
            self.highest = Some(index);
            self.set(index, true);
            return Ok(());
        };
        if index > highest {
            let first = (highest + 1).max(index.saturating_sub(REACH - 1));
            for skipped in first..index {
                self.set(skipped, false);
            }
            self.highest = Some(index);
        } else if highest - index >= reach.min(REACH) {
            return Err(DropReason::Late);
        } else if self.is_set(index) {
            return Err(DropReason::Duplicate);
        }
        self.set(index, true);
        Ok(())
    }

    fn place(index: u64) -> (usize, u64) {
        let bit = index % REACH;
        (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64))
    }

    fn is_set(&self, index: u64) -> bool {
        let (word, bit) = Self::place(index);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn set(&mut self, index: u64, on: bool) {
        let (word, bit) = Self::place(index);
        if let Some(bits) = self.bits.get_mut(word) {
            *bits = if on { *bits | bit } else { *bits & !bit };
        }
    }
}

/// One SSRC that a participant sends.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) ssrc: Ssrc,
    /// The m-line that it belongs to: a place in the session's list.
    pub(super) line: usize,
    /// Whether it repeats packets of another (RFC 4588).
    pub(super) repairs: bool,
    /// Whose packets it repeats: the one that its m-line's was when it first repeated one.
    pub(super) repaired: Option<Ssrc>,
    pub(super) last_at: Time,
    pub(super) reception: Reception,
    pub(super) missing: Missing,
    received: Received,
}

impl Source {
    /// A source that has just appeared.
    pub(super) fn new(ssrc: Ssrc, line: usize, repairs: bool, now: Time) -> Self {
        Self {
            ssrc,
            line,
            repairs,
            repaired: None,
            last_at: now,
            reception: Reception::default(),
            missing: Missing::default(),
            received: Received::default(),
        }
    }

    /// The highest extended sequence number so far.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.received.highest
    }

    /// Takes note of a packet.
    ///
    /// # Errors
    ///
    /// [`DropReason::Duplicate`] or [`DropReason::Late`].
    pub(super) fn accept(&mut self, index: u64, reach: usize) -> Result<(), DropReason> {
        let accepted = self.received.accept(index, u64::try_from(reach).unwrap_or(REACH));
        if plant::is(Plant::ReplayAccepted) { Ok(()) } else { accepted }
    }

    /// The extended number of a sequence number of this source that is near the highest.
    pub(super) fn extend(&self, sequence: u16) -> Option<u64> {
        let highest = self.highest()?;
        let low = u16::try_from(highest & 0xffff).unwrap_or(0);
        let ahead = u64::from(sequence.wrapping_sub(low));
        if ahead < 1 << 15 { Some(highest + ahead) } else { (highest + ahead).checked_sub(1 << 16) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::new(Ssrc(1), 0, false, Time(0))
    }

    #[test]
    fn each_packet_is_accepted_once() {
        let mut source = source();
        assert_eq!(source.accept(1_000, 512), Ok(()));
        assert_eq!(source.accept(1_003, 512), Ok(()));
        assert_eq!(source.accept(1_001, 512), Ok(()));
        assert_eq!(source.accept(1_001, 512), Err(DropReason::Duplicate));
        assert_eq!(source.accept(1_003, 512), Err(DropReason::Duplicate));
        assert_eq!(source.accept(5_000, 512), Ok(()));
        assert_eq!(source.accept(5_000 - 511, 512), Ok(()));
        assert_eq!(source.accept(5_000 - 512, 512), Err(DropReason::Late));
        assert_eq!(source.accept(5_000 - 60, 50), Err(DropReason::Late));
    }

    #[test]
    fn a_sequence_number_is_extended_near_the_highest() {
        let mut source = source();
        assert_eq!(source.extend(5), None);
        source.accept(65_540, 512).unwrap();
        assert_eq!(source.extend(65_535), Some(65_535));
        assert_eq!(source.extend(6), Some(65_542));
        assert_eq!(source.extend(4), Some(65_540));
    }
}
