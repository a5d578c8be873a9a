//! Judges every packet that a synthetic participant receives.
//!
//! A `slots` event says: packets of this SSRC from `from_seq` on are that publisher's, in that room,
//! until the next event. Packets can overtake the event, so a packet waits until the event that
//! covers it is there; what it is judged by is the order in which the server applied moves, as the
//! sequence numbers hold it, and never the order in which two channels happened to deliver.

use std::collections::{BTreeMap, VecDeque};

use super::mark::Mark;
use crate::base::{ClientId, Kind, Ssrc};

/// What a `slots` event says of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotClaim {
    /// The slot.
    pub ssrc: Ssrc,
    /// Packets from this extended sequence number on.
    pub from_seq: u64,
    /// Who fills the slot and with what.
    pub publisher: Option<(ClientId, Kind)>,
}

/// Why a packet was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its mark names another room than the one that the listener was in.
    Room,
    /// Its mark names another publisher, or another kind, than the slot's.
    Publisher,
    /// The slot was bound to nobody.
    Unbound,
    /// The payload bears no mark.
    NoMark,
    /// It came twice.
    Duplicate,
}

/// The counts of a judge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Packets that were judged.
    pub packets: u64,
    /// Packets of a room that the listener was not in, or of nobody.
    pub wrong_group: u64,
    /// Packets of another publisher or kind than the slot's, or without a mark.
    pub wrong_publisher: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Sequence numbers of a slot that never came.
    pub lost: u64,
}

#[derive(Clone, Copy, Debug)]
struct Binding {
    from_seq: u64,
    room: u64,
    publisher: Option<(ClientId, Kind)>,
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    seq: u64,
    mark: Option<Mark>,
}

#[derive(Debug, Default)]
struct SlotRecord {
    bindings: VecDeque<Binding>,
    waiting: VecDeque<Packet>,
    highest: Option<u64>,
    recent: BTreeMap<u64, ()>,
    missing: u64,
    duplicates: u64,
}

/// The judge of one listener.
#[derive(Debug, Default)]
pub struct Judge {
    slots: BTreeMap<Ssrc, SlotRecord>,
    verdict: Verdict,
    examples: Vec<(Ssrc, u64, Wrong)>,
}

/// A packet waits at most behind this many later ones of its slot: longer than any event is late.
const MAX_WAITING: usize = 4096;
/// Sequence numbers remembered to tell a duplicate from a late packet.
const MAX_RECENT: usize = 1024;
/// Wrong packets that are kept for the report.
const MAX_EXAMPLES: usize = 16;

impl Judge {
    /// Takes a whole `slots` event of the room with this [`super::room_tag`].
    pub fn slots(&mut self, room: u64, claims: &[SlotClaim]) {
        for claim in claims {
            let record = self.slots.entry(claim.ssrc).or_default();
            let binding = Binding { from_seq: claim.from_seq, room, publisher: claim.publisher };
            match record.bindings.back_mut() {
                // Nothing was sent under the older claim: it covers no sequence number.
                Some(last) if last.from_seq >= claim.from_seq => *last = binding,
                _ => record.bindings.push_back(binding),
            }
            self.settle(claim.ssrc, false);
        }
    }

    /// Takes a packet: its slot, extended sequence number and payload mark.
    pub fn packet(&mut self, ssrc: Ssrc, seq: u64, mark: Option<Mark>) {
        let record = self.slots.entry(ssrc).or_default();
        if !record.note_sequence(seq) {
            return;
        }
        record.waiting.push_back(Packet { seq, mark });
        if record.waiting.len() > MAX_WAITING {
            self.settle(ssrc, false);
            self.settle_one(ssrc);
        }
    }

    /// Judges what still waits, by the last event: call it when nothing more will come.
    pub fn finish(&mut self) {
        let all: Vec<Ssrc> = self.slots.keys().copied().collect();
        for ssrc in all {
            self.settle(ssrc, true);
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.verdict.clone();
        verdict.lost = self.slots.values().map(|slot| slot.missing).sum();
        verdict.duplicates = self.slots.values().map(|slot| slot.duplicates).sum();
        verdict
    }

    /// The first wrong packets: slot, extended sequence number, why.
    #[must_use]
    pub fn examples(&self) -> &[(Ssrc, u64, Wrong)] {
        &self.examples
    }

    /// Judges the waiting packets that lie before the newest binding, or all of them.
    fn settle(&mut self, ssrc: Ssrc, all: bool) {
        loop {
            let Some(record) = self.slots.get_mut(&ssrc) else { return };
            let newest = record.bindings.back().map(|binding| binding.from_seq);
            let Some(first) = record.waiting.front() else { break };
            if !all && newest.is_none_or(|from| first.seq >= from) {
                break;
            }
            self.settle_one(ssrc);
        }
        if let Some(record) = self.slots.get_mut(&ssrc) {
            record.forget_old_bindings();
        }
    }

    fn settle_one(&mut self, ssrc: Ssrc) {
        let Some(record) = self.slots.get_mut(&ssrc) else { return };
        let Some(packet) = record.waiting.pop_front() else { return };
        let wrong = record.judge(&packet);
        self.verdict.packets += 1;
        let Some(wrong) = wrong else { return };
        match wrong {
            Wrong::Room | Wrong::Unbound => self.verdict.wrong_group += 1,
            Wrong::Publisher | Wrong::NoMark | Wrong::Duplicate => self.verdict.wrong_publisher += 1,
        }
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push((ssrc, packet.seq, wrong));
        }
    }
}

impl SlotRecord {
    /// Counts gaps and duplicates; answers whether the packet is new.
    fn note_sequence(&mut self, seq: u64) -> bool {
        if self.recent.insert(seq, ()).is_some() {
            self.duplicates += 1;
            return false;
        }
        if self.recent.len() > MAX_RECENT {
            self.recent.pop_first();
        }
        match self.highest {
            None => self.highest = Some(seq),
            Some(highest) if seq > highest => {
                self.missing += seq - highest - 1;
                self.highest = Some(seq);
            }
            Some(_) => self.missing = self.missing.saturating_sub(1),
        }
        true
    }

    fn judge(&self, packet: &Packet) -> Option<Wrong> {
        let binding = self.bindings.iter().rev().find(|binding| binding.from_seq <= packet.seq);
        let Some((publisher, kind)) = binding.and_then(|binding| binding.publisher) else {
            return Some(Wrong::Unbound);
        };
        let Some(mark) = packet.mark else { return Some(Wrong::NoMark) };
        if binding.is_some_and(|binding| binding.room != mark.room) {
            return Some(Wrong::Room);
        }
        (mark.publisher != publisher || mark.kind != kind).then_some(Wrong::Publisher)
    }

    /// Keeps the bindings that a waiting or a late packet may still need.
    fn forget_old_bindings(&mut self) {
        while self.bindings.len() > 64 {
            self.bindings.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, Time};
    use crate::client::room_tag;

    const SLOT: Ssrc = Ssrc(1);
    const ALICE: ClientId = ClientId(1);
    const BOB: ClientId = ClientId(2);

    fn mark(publisher: ClientId, room: &str) -> Option<Mark> {
        Some(Mark {
            publisher,
            kind: Kind::Audio,
            room: room_tag(room),
            epoch: Epoch(1),
            counter: 0,
            sent_at: Time(0),
        })
    }

    fn claim(from_seq: u64, publisher: Option<ClientId>) -> [SlotClaim; 1] {
        [SlotClaim { ssrc: SLOT, from_seq, publisher: publisher.map(|who| (who, Kind::Audio)) }]
    }

    #[test]
    fn packets_that_overtake_their_event_are_judged_by_it() {
        let mut judge = Judge::default();
        judge.slots(room_tag("main"), &claim(10, Some(ALICE)));
        judge.packet(SLOT, 10, mark(ALICE, "main"));
        judge.packet(SLOT, 11, mark(BOB, "breakout"));
        judge.slots(room_tag("breakout"), &claim(11, Some(BOB)));
        judge.finish();
        assert_eq!(judge.verdict(), Verdict { packets: 2, ..Verdict::default() });
    }

    #[test]
    fn a_packet_of_the_old_room_after_the_move_is_wrong() {
        let mut judge = Judge::default();
        judge.slots(room_tag("main"), &claim(10, Some(ALICE)));
        judge.slots(room_tag("breakout"), &claim(12, Some(BOB)));
        judge.packet(SLOT, 12, mark(ALICE, "main"));
        judge.packet(SLOT, 13, mark(ALICE, "breakout"));
        judge.finish();
        assert_eq!((judge.verdict().wrong_group, judge.verdict().wrong_publisher), (1, 1));
        assert_eq!(judge.examples(), [(SLOT, 12, Wrong::Room), (SLOT, 13, Wrong::Publisher)]);
    }

    #[test]
    fn a_packet_on_an_empty_slot_is_wrong() {
        let mut judge = Judge::default();
        judge.slots(room_tag("main"), &claim(0, None));
        judge.packet(SLOT, 0, mark(ALICE, "main"));
        judge.finish();
        assert_eq!(judge.verdict().wrong_group, 1);
    }

    #[test]
    fn gaps_are_lost_until_the_late_packet_comes() {
        let mut judge = Judge::default();
        judge.slots(room_tag("main"), &claim(0, Some(ALICE)));
        for seq in [0, 1, 4, 3, 3] {
            judge.packet(SLOT, seq, mark(ALICE, "main"));
        }
        judge.finish();
        let verdict = judge.verdict();
        assert_eq!((verdict.packets, verdict.lost, verdict.duplicates), (4, 1, 1));
    }
}
