//! What a synthetic participant asks for again (RFC 4585 section 6.2.1), and what it gets (RFC 4588).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::{Ssrc, Time};
use crate::transport::Slot;
use crate::wire::WireError;
use crate::wire::rtcp::write_nack;

/// A larger gap is not asked for.
const MOST_MISSING: u64 = 32;
/// Packets that are waited for at the same time.
const MOST_WAITING: usize = 512;
/// Between two requests for one packet: longer than the ways of the tests.
const AGAIN: Duration = Duration::from_millis(100);
/// Requests for one packet.
const MOST_TRIES: u8 = 5;
/// Packets named by one request.
const MOST_NAMED: usize = 64;
/// Packets that [`Repair::ask_again`] asks for of each slot.
const NEWEST: u64 = 40;
/// Its requests that wait to be sent.
const MOST_REQUESTS: usize = 32;

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

/// A packet that did not come.
#[derive(Clone, Copy, Debug)]
struct Missing {
    due: Time,
    tries: u8,
}

/// What is missing of the video slots of one connection.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// Each slot for video by the SSRC under which its packets are repeated.
    slots: BTreeMap<Ssrc, Ssrc>,
    highest: BTreeMap<Ssrc, u64>,
    missing: BTreeMap<(Ssrc, u64), Missing>,
    /// What is asked for whether it came or not.
    again: VecDeque<(Ssrc, Vec<u16>)>,
}

impl Repair {
    /// A connection has these slots.
    pub(super) fn begin(&mut self, slots: &[Slot]) {
        let repeated = slots.iter().filter(|slot| slot.video);
        self.slots = repeated.filter_map(|slot| Some((slot.rtx_ssrc?, slot.ssrc))).collect();
    }

    /// A packet has come, the first time or again; what it leaves out is asked for.
    pub(super) fn packet(&mut self, now: Time, slot: Ssrc, index: u64) {
        if !self.slots.values().any(|known| *known == slot) {
            return;
        }
        self.missing.remove(&(slot, index));
        let highest = self.highest.entry(slot).or_insert(index);
        let missing = *highest + 1..index;
        *highest = index.max(*highest);
        if !missing.is_empty() && missing.end - missing.start <= MOST_MISSING {
            let room = MOST_WAITING.saturating_sub(self.missing.len());
            let missing = missing.take(room).map(|index| ((slot, index), Missing { due: now, tries: 0 }));
            self.missing.extend(missing);
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

    /// Asks for the newest packets of every slot.
    pub(super) fn ask_again(&mut self) {
        for (slot, index) in &self.highest {
            if self.again.len() < MOST_REQUESTS {
                let newest = (index.saturating_sub(NEWEST)..=*index).map(low).collect();
                self.again.push_back((*slot, newest));
            }
        }
    }

    /// Whether something is to be asked for now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        !self.again.is_empty() || self.missing.values().any(|missing| missing.due <= now)
    }

    /// When something is to be asked for.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.missing.values().map(|missing| missing.due).min()
    }

    /// Writes a request for what is due of one slot; answers its length.
    ///
    /// # Errors
    /// Where `out` is too small.
    pub(super) fn poll(
        &mut self,
        now: Time,
        sender: Ssrc,
        out: &mut [u8],
    ) -> Result<Option<usize>, WireError> {
        if let Some((slot, sequences)) = self.again.pop_front() {
            return write_nack(sender, slot, &sequences, out).map(Some);
        }
        self.missing.retain(|_, missing| missing.due > now || missing.tries < MOST_TRIES);
        let due = self.missing.iter_mut().filter(|(_, missing)| missing.due <= now);
        let (mut slot, mut sequences) = (None, Vec::new());
        for ((of, index), missing) in due {
            if *slot.get_or_insert(*of) == *of && sequences.len() < MOST_NAMED {
                sequences.push(low(*index));
                (missing.due, missing.tries) = (now + AGAIN, missing.tries + 1);
            }
        }
        slot.map(|slot| write_nack(sender, slot, &sequences, out)).transpose()
    }
}

fn low(index: u64) -> u16 {
    u16::try_from(index & 0xffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    const SLOT: Ssrc = Ssrc(1);
    const REPEATS: Ssrc = Ssrc(2);

    fn repair() -> Repair {
        Repair { slots: BTreeMap::from([(REPEATS, SLOT)]), ..Repair::default() }
    }

    fn asked(repair: &mut Repair, now: Time) -> Vec<u16> {
        let mut out = [0; 200];
        let Some(len) = repair.poll(now, Ssrc(9), &mut out).unwrap() else { return Vec::new() };
        match packets(&out[..len]).next() {
            Some(Ok(RtcpPacket::Nack(nack))) if nack.media_ssrc == SLOT => nack.sequences().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_left_out_is_asked_for_until_it_comes() {
        let (mut repair, mut now) = (repair(), Time(1_000_000));
        for index in [65_534, 65_538, 65_536, 65_539] {
            repair.packet(now, SLOT, index);
        }
        repair.packet(now, Ssrc(7), 1);
        repair.packet(now, Ssrc(7), 3);
        assert_eq!(asked(&mut repair, now), [65_535, 1]);
        assert_eq!(asked(&mut repair, now), [] as [u16; 0]);
        assert_eq!(repair.poll_timeout(), Some(now + AGAIN));
        repair.packet(now, SLOT, 65_535);
        for _ in 1..MOST_TRIES {
            now = now + AGAIN;
            assert_eq!(asked(&mut repair, now), [1]);
        }
        assert_eq!(asked(&mut repair, now + AGAIN), [] as [u16; 0]);
        assert_eq!(repair.poll_timeout(), None);
    }

    #[test]
    fn what_was_sent_again_is_found_by_the_number_that_it_had_first() {
        let mut repair = repair();
        assert_eq!(repair.open(REPEATS, &[0, 1, 9]).unwrap().index, None);
        repair.packet(Time(1), SLOT, 65_540);
        let found = repair.open(REPEATS, &[0xff, 0xff, 9]).unwrap();
        assert_eq!((found.slot, found.index, found.payload), (SLOT, Some(65_535), &[9][..]));
        assert_eq!(repair.open(SLOT, &[0, 0, 9]), None);
    }
}
