//! Judges every packet that a synthetic participant receives.
//!
//! A `slots` event says: packets of this SSRC from `from_seq` on are that publisher's, in that room,
//! until the next event. Packets can overtake the event, so a packet waits until the event that
//! covers it is there; what it is judged by is the order in which the server applied moves, as the
//! sequence numbers hold it, and never the order in which two channels happened to deliver.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::mark::Mark;
use super::seen_window::{Seen, SeenWindow};
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

impl SlotClaim {
    /// Reads one of the slots of a `slots` event or of the ack of `joinRoom`; nothing if it is none.
    #[must_use]
    pub fn read(slot: &Value) -> Option<Self> {
        let kind = slot.get("kind")?.as_str()?;
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let client = slot.get("clientId").and_then(Value::as_str).and_then(|id| id.parse().ok());
        Some(Self {
            ssrc: Ssrc(u32::try_from(slot.get("ssrc")?.as_u64()?).ok()?),
            from_seq: slot.get("from_seq")?.as_u64()?,
            publisher: client.map(|client| (client, kind)),
        })
    }
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
    /// Packets that a publisher sent and that never got a sequence number, while its stream filled
    /// the slot without a break.
    pub left_out: u64,
    /// Packets that an impaired network took on their way from the server. They are not in `lost`.
    pub taken: u64,
    /// Packets in `lost` or `left_out` that the network took on their way to the server.
    pub explained: u64,
}

/// A packet by what its publisher calls it: who, what, and its own count.
pub type Sent = (ClientId, Kind, u64);

#[derive(Clone, Copy, Debug)]
struct Binding {
    from_seq: u64,
    room: u64,
    publisher: Option<(ClientId, Kind)>,
}

/// Who sent a packet, what, and as a member of which room.
type Origin = (ClientId, Kind, u64);

/// Packets with consecutive sequence numbers that say the same of themselves.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: u64,
    last: u64,
    origin: Option<Origin>,
    /// What the publisher's own count passed over.
    left_out: u64,
    counter: u64,
}

#[derive(Debug, Default)]
struct SlotRecord {
    bindings: VecDeque<Binding>,
    waiting: VecDeque<Stretch>,
    seen: SeenWindow,
    /// What the packet with the highest number said of itself.
    last: Option<(Origin, u64)>,
    missing: u64,
    duplicates: u64,
}

/// The judge of one listener.
#[derive(Debug, Default)]
pub struct Judge {
    slots: BTreeMap<Ssrc, SlotRecord>,
    verdict: Verdict,
    holes: BTreeSet<Sent>,
    examples: Vec<(Ssrc, u64, Wrong)>,
    /// Whether it does not know what was said before its first `slots`.
    is_forgetful: bool,
}

/// A packet waits at most behind this many later stretches of its slot: longer than any event is late.
const MAX_WAITING: usize = 4096;
/// Wrong packets that are kept for the report.
const MAX_EXAMPLES: usize = 16;
/// Missing packets that are remembered by name: with more, a run is lost anyway.
const MAX_HOLES: usize = 65_536;

impl Judge {
    /// A judge that comes in the middle: it knows nothing of what was said before.
    #[must_use]
    pub fn forgetful() -> Self {
        Self { is_forgetful: true, ..Self::default() }
    }

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
        let seen = record.note_sequence(seq);
        if seen == Seen::Before {
            return;
        }
        record.note_holes(&mut self.holes, seen, mark);
        let origin = mark.map(|mark| (mark.publisher, mark.kind, mark.room));
        let counter = mark.map_or(0, |mark| mark.counter);
        match record.waiting.back_mut() {
            Some(stretch) if stretch.last + 1 == seq && stretch.origin == origin => {
                stretch.left_out += counter.saturating_sub(stretch.counter).saturating_sub(1);
                (stretch.last, stretch.counter) = (seq, counter);
            }
            _ => {
                let stretch = Stretch { first: seq, last: seq, origin, left_out: 0, counter };
                record.waiting.push_back(stretch);
            }
        }
        if record.waiting.len() > MAX_WAITING {
            self.settle(ssrc, false);
            self.settle_first(ssrc, u64::MAX);
        }
    }

    /// An impaired network has taken a packet that was on its way here: it is not missed.
    pub fn taken(&mut self, ssrc: Ssrc, seq: u64, mark: Option<Mark>) {
        let record = self.slots.entry(ssrc).or_default();
        let seen = record.note_sequence(seq);
        record.note_holes(&mut self.holes, seen, mark);
        self.verdict.taken += 1;
    }

    /// Finds those of the missing packets that never reached the server.
    pub fn explain(&mut self, taken: &BTreeSet<Sent>) {
        let explained = self.holes.iter().filter(|hole| taken.contains(*hole)).count();
        self.verdict.explained = u64::try_from(explained).unwrap_or(0);
    }

    /// Judges what still waits, by the last event: call it when nothing more will come.
    pub fn finish(&mut self) {
        let all: Vec<Ssrc> = self.slots.keys().copied().collect();
        for ssrc in all {
            self.settle(ssrc, true);
        }
    }

    /// Sequence numbers that have not come so far.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.slots.values().map(|slot| slot.missing).sum()
    }

    /// The counts so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.verdict.clone();
        verdict.lost = self.missing();
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
            let newest = record.bindings.back().map_or(0, |binding| binding.from_seq);
            let end = if all { u64::MAX } else { newest };
            if record.waiting.front().is_none_or(|first| first.first >= end) {
                break;
            }
            self.settle_first(ssrc, end);
        }
        if let Some(record) = self.slots.get_mut(&ssrc) {
            record.forget_old_bindings();
        }
    }

    /// Judges the first waiting packets: as many as one binding covers and lie before `end`.
    fn settle_first(&mut self, ssrc: Ssrc, end: u64) {
        let Some(record) = self.slots.get_mut(&ssrc) else { return };
        let Some(stretch) = record.waiting.pop_front() else { return };
        let Stretch { first, last, origin, .. } = stretch;
        let covered_until = record.next_binding_after(first).min(end) - 1;
        if last > covered_until {
            // Which part the publisher's other packets would have been in, nobody can tell.
            record.waiting.push_front(Stretch { first: covered_until + 1, left_out: 0, ..stretch });
        } else {
            self.verdict.left_out += stretch.left_out;
        }
        let packets = last.min(covered_until) - first + 1;
        let knows = record.bindings.front().is_some_and(|oldest| oldest.from_seq <= first);
        let wrong = record.judge(first, origin).filter(|_| knows || !self.is_forgetful);
        self.verdict.packets += packets;
        let Some(wrong) = wrong else { return };
        match wrong {
            Wrong::Room | Wrong::Unbound => self.verdict.wrong_group += packets,
            Wrong::Publisher | Wrong::NoMark | Wrong::Duplicate => self.verdict.wrong_publisher += packets,
        }
        let room = MAX_EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend((first..first + packets).take(room).map(|seq| (ssrc, seq, wrong)));
    }
}

impl SlotRecord {
    /// Counts gaps and duplicates.
    fn note_sequence(&mut self, seq: u64) -> Seen {
        let seen = self.seen.note(seq);
        match seen {
            Seen::Ahead { skipped } => self.missing += skipped,
            Seen::Late => self.missing = self.missing.saturating_sub(1),
            Seen::Before => self.duplicates += 1,
        }
        seen
    }

    /// Names what a publisher's count passes over while its stream fills the slot.
    fn note_holes(&mut self, holes: &mut BTreeSet<Sent>, seen: Seen, mark: Option<Mark>) {
        let Some(mark) = mark else { return };
        let origin = (mark.publisher, mark.kind, mark.room);
        match (seen, self.last) {
            (Seen::Ahead { .. }, last) => {
                let before = last.filter(|(of, _)| *of == origin).map_or(mark.counter, |(_, last)| last + 1);
                let room = MAX_HOLES.saturating_sub(holes.len());
                holes.extend((before..mark.counter).take(room).map(|c| (mark.publisher, mark.kind, c)));
                self.last = Some((origin, mark.counter));
            }
            (Seen::Late, _) => _ = holes.remove(&(mark.publisher, mark.kind, mark.counter)),
            (Seen::Before, _) => {}
        }
    }

    /// Where the binding ends that covers a sequence number.
    fn next_binding_after(&self, seq: u64) -> u64 {
        let later = self.bindings.iter().map(|binding| binding.from_seq).filter(|from| *from > seq);
        later.min().unwrap_or(u64::MAX)
    }

    fn judge(&self, seq: u64, origin: Option<Origin>) -> Option<Wrong> {
        let binding = self.bindings.iter().rev().find(|binding| binding.from_seq <= seq);
        let Some((publisher, kind)) = binding.and_then(|binding| binding.publisher) else {
            return Some(Wrong::Unbound);
        };
        let Some((sender, sent, room)) = origin else { return Some(Wrong::NoMark) };
        if binding.is_some_and(|binding| binding.room != room) {
            return Some(Wrong::Room);
        }
        (sender != publisher || sent != kind).then_some(Wrong::Publisher)
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
    fn what_the_network_took_is_told_from_what_the_server_lost() {
        let mut judge = Judge::default();
        judge.slots(room_tag("main"), &claim(0, Some(ALICE)));
        let numbered = |counter| mark(ALICE, "main").map(|mark| Mark { counter, ..mark });
        judge.packet(SLOT, 0, numbered(100));
        judge.taken(SLOT, 1, numbered(101));
        judge.packet(SLOT, 5, numbered(105));
        judge.packet(SLOT, 3, numbered(103));
        judge.finish();
        // 102 was taken before it reached the server; nobody took 104.
        judge.explain(&[(ALICE, Kind::Audio, 102), (BOB, Kind::Audio, 104)].into());
        let verdict = judge.verdict();
        assert_eq!((verdict.taken, verdict.lost, verdict.explained), (1, 2, 1));
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
