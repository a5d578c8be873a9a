//! Counters that wrap on the wire and do not wrap here.

/// Extends 16-bit sequence numbers (RFC 3550 section 5.1).
///
/// The first number is kept with one cycle (2^16) added, so that a packet from before it still has
/// a number above zero; the lower 16 bits are always those of the wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequenceUnwrapper {
    highest: Option<u64>,
}

impl SequenceUnwrapper {
    /// An unwrapper that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The extended number nearest to the highest one so far; of two equally near, the later one.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        unwrap(&mut self.highest, u64::from(sequence), 16)
    }

    /// The highest extended number so far.
    #[must_use]
    pub const fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Extends 32-bit RTP timestamps, as [`SequenceUnwrapper`] does for sequence numbers; the first one
/// is kept with 2^32 added.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimestampUnwrapper {
    highest: Option<u64>,
}

impl TimestampUnwrapper {
    /// An unwrapper that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The extended timestamp nearest to the highest one so far; of two equally near, the later.
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        unwrap(&mut self.highest, u64::from(timestamp), 32)
    }

    /// The highest extended timestamp so far.
    #[must_use]
    pub const fn highest(&self) -> Option<u64> {
        self.highest
    }
}

fn unwrap(highest: &mut Option<u64>, value: u64, bits: u32) -> u64 {
    let cycle = 1_u64 << bits;
    let Some(reference) = *highest else {
        let first = cycle + value;
        *highest = Some(first);
        return first;
    };
    // The reference never falls, so it stays at or above one cycle and nothing here can underflow.
    let ahead = value.wrapping_sub(reference) & (cycle - 1);
    if ahead <= cycle / 2 {
        let extended = reference + ahead;
        *highest = Some(extended);
        extended
    } else {
        reference - (cycle - ahead)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrap_goes_on_counting() {
        let mut sequences = SequenceUnwrapper::new();
        let first = sequences.unwrap(65_534);
        let next: Vec<u64> = [65_535, 0, 1].into_iter().map(|n| sequences.unwrap(n) - first).collect();
        assert_eq!(next, [1, 2, 3]);
    }

    #[test]
    fn a_late_packet_keeps_its_place() {
        let mut sequences = SequenceUnwrapper::new();
        let first = sequences.unwrap(1);
        assert_eq!(first, 65_537);
        assert_eq!(sequences.unwrap(65_535), first - 2);
        assert_eq!(sequences.highest(), Some(first));
        assert_eq!(sequences.unwrap(2), first + 1);
    }

    #[test]
    fn a_timestamp_wraps_too() {
        let mut timestamps = TimestampUnwrapper::new();
        let first = timestamps.unwrap(u32::MAX - 959);
        assert_eq!(timestamps.unwrap(0), first + 960);
        assert_eq!(timestamps.unwrap(u32::MAX), first + 959);
    }

    proptest! {
        #[test]
        fn the_extended_number_follows_any_walk_of_small_steps(
            start in any::<u16>(), steps in proptest::collection::vec(-30_000_i64..30_000, 0..200),
        ) {
            let mut sequences = SequenceUnwrapper::new();
            let mut highest = i64::try_from(sequences.unwrap(start)).unwrap();
            for step in steps {
                let expected = highest + step;
                let on_wire = u16::try_from(expected.rem_euclid(65_536)).unwrap();
                prop_assert_eq!(i64::try_from(sequences.unwrap(on_wire)).unwrap(), expected);
                highest = highest.max(expected);
            }
        }
    }
}
