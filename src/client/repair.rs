//! What a synthetic participant asks for again (RFC 4585 section 6.2.1), and what it gets (RFC 4588).

use std::collections::{BTreeMap, VecDeque};

use crate::base::Ssrc;
use crate::transport::Slot;
use crate::wire::WireError;
use crate::wire::rtcp::write_nack;

/// A larger gap is not asked for.
const MOST_MISSING: u64 = 32;
/// Packets that [`Repair::ask_again`] asks for of each slot.
const NEWEST: u64 = 40;
/// Requests that wait to be sent.
const MOST_WAITING: usize = 32;

/// A packet that was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated<'a> {
    /// Its slot.
    pub(super) slot: Ssrc,
    /// The extended sequence number that it had first; nothing if the slot has had no other packet.
    pub(super) index: Option<u64>,
    /// Its payload.
    pub(super) payload: &'a [u8],
}

/// What is missing of the video slots of one connection.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// Each slot for video by the SSRC under which its packets are repeated.
    slots: BTreeMap<Ssrc, Ssrc>,
    highest: BTreeMap<Ssrc, u64>,
    due: VecDeque<(Ssrc, Vec<u16>)>,
}

impl Repair {
    /// A connection has these slots.
    pub(super) fn begin(&mut self, slots: &[Slot]) {
        let repeated = slots.iter().filter(|slot| slot.video);
        self.slots = repeated.filter_map(|slot| Some((slot.rtx_ssrc?, slot.ssrc))).collect();
    }

    /// A packet has come; what it leaves out is asked for.
    pub(super) fn packet(&mut self, slot: Ssrc, index: u64) {
        if !self.slots.values().any(|known| *known == slot) {
            return;
        }
        let highest = self.highest.entry(slot).or_insert(index);
        let missing = *highest + 1..index;
        *highest = index.max(*highest);
        if !missing.is_empty() && missing.end - missing.start <= MOST_MISSING {
            self.ask(slot, missing.map(low).collect());
        }
    }

    /// Asks for the newest packets of every slot.
    pub(super) fn ask_again(&mut self) {
        let newest: Vec<_> = self.highest.iter().map(|(slot, index)| (*slot, *index)).collect();
        for (slot, index) in newest {
            self.ask(slot, (index.saturating_sub(NEWEST)..=index).map(low).collect());
        }
    }

    fn ask(&mut self, slot: Ssrc, sequences: Vec<u16>) {
        if self.due.len() < MOST_WAITING {
            self.due.push_back((slot, sequences));
        }
    }

    /// Takes what was sent again out of its wrapping; nothing if the SSRC repeats nothing.
    pub(super) fn open<'a>(&self, ssrc: Ssrc, payload: &'a [u8]) -> Option<Repeated<'a>> {
        let slot = *self.slots.get(&ssrc)?;
        let (original, payload) = payload.split_first_chunk::<2>()?;
        let original = u16::from_be_bytes(*original);
        let index = self
            .highest
            .get(&slot)
            .and_then(|highest| highest.checked_sub(u64::from(low(*highest).wrapping_sub(original))));
        Some(Repeated { slot, index, payload })
    }

    /// Whether something is to be asked for.
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Writes the next request; answers its length.
    ///
    /// # Errors
    /// Where `out` is too small.
    pub(super) fn poll(&mut self, sender: Ssrc, out: &mut [u8]) -> Result<Option<usize>, WireError> {
        let Some((slot, sequences)) = self.due.pop_front() else { return Ok(None) };
        write_nack(sender, slot, &sequences, out).map(Some)
    }
}

fn low(index: u64) -> u16 {
    u16::try_from(index & 0xffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Ssrc = Ssrc(1);
    const REPEATS: Ssrc = Ssrc(2);

    fn repair() -> Repair {
        Repair { slots: BTreeMap::from([(REPEATS, SLOT)]), ..Repair::default() }
    }

    #[test]
    fn what_is_left_out_is_asked_for_once() {
        let mut repair = repair();
        for index in [65_534, 65_538, 65_536, 65_539] {
            repair.packet(SLOT, index);
        }
        repair.packet(Ssrc(7), 1);
        repair.packet(Ssrc(7), 3);
        assert_eq!(repair.due, [(SLOT, vec![65_535, 0, 1])]);
    }

    #[test]
    fn what_was_sent_again_is_found_by_the_number_that_it_had_first() {
        let mut repair = repair();
        assert_eq!(repair.open(REPEATS, &[0, 1, 9]).unwrap().index, None);
        repair.packet(SLOT, 65_540);
        let found = repair.open(REPEATS, &[0xff, 0xff, 9]).unwrap();
        assert_eq!((found.slot, found.index, found.payload), (SLOT, Some(65_535), &[9][..]));
        assert_eq!(repair.open(SLOT, &[0, 0, 9]), None);
    }
}
