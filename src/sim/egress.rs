//! What leaves the server for one person, as it is on the wire: sequence numbers, timestamps, indices.

use super::violation::{Invariant, Violations};
use crate::base::{Ssrc, Time};
use crate::message::SlotLine;

/// Streams of one connection: its slots, and as many for what is repeated.
const MOST_STREAMS: usize = 64;
/// How far a stream's numbers may go at once: a loss of the publisher's, and what did not fit in a queue. Of
/// a step of half of all numbers or more nobody can tell how far it goes (RFC 3711 section 3.3.1).
const MOST_NUMBERS: u16 = 2_048;
/// Sequence numbers that are remembered of a stream: the highest, and all that are no leap back from it.
const WINDOW: usize = MOST_NUMBERS as usize + 1;
/// How far a timestamp may run ahead of the time that has passed, or stay behind it, in seconds.
const OFF: u64 = 1;
/// .. and when what has waited for a worker leaves at once, or left so last: its clock was behind then.
const OFF_WHEN_LATE: u64 = 5;
/// A stream begins below this (RFC 3711 section 3.3.1).
const FIRST_BELOW: u64 = 1 << 15;

/// A number that was used, with the end of its packet: its authentication tag. There are many of these, so that
/// they are short: no stream of a simulation gets as far as 2^32 packets.
#[derive(Clone, Copy, Debug)]
struct Used {
    index: u32,
    tag: u32,
}

/// No number.
const UNUSED: Used = Used { index: u32::MAX, tag: 0 };

/// One SSRC.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// The clock rate of a slot; nothing for what repeats a slot's packets.
    clock: Option<u64>,
    /// The number that it began with.
    first: u64,
    highest: Option<u64>,
    timestamp: u32,
    at: Time,
    is_late: bool,
    /// Each number that was used.
    used: Vec<Used>,
}

/// One connection's streams.
#[derive(Debug, Default)]
pub(super) struct Egress {
    streams: Vec<Stream>,
    /// The SSRC of each, which is looked for with every packet.
    sources: Vec<u32>,
    /// The highest index of what is not RTP.
    control_index: Option<u32>,
    /// Whether the server's last flight of the handshake has left.
    is_greeted: bool,
    /// Whether the client has another certificate than it said.
    is_impostor: bool,
    /// Streams that began, of all connections.
    pub(super) begun: u64,
    /// Packets of RTCP.
    pub(super) controls: u64,
    /// Packets of sound and picture, repeated ones included.
    pub(super) packets: u64,
    /// Until then all that came for a stuck worker leaves at once.
    pub(super) late_until: Time,
}

/// A media packet's header, as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

/// What a datagram is, by its first two bytes (RFC 7983, RFC 5761).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Media,
    Control,
    Other,
}

/// What a datagram is.
pub(super) fn sort_of(datagram: &[u8]) -> Sort {
    match datagram {
        [128..=191, 192..=223, ..] => Sort::Control,
        [128..=191, ..] => Sort::Media,
        _ => Sort::Other,
    }
}

impl Egress {
    /// A new connection has these slots.
    pub(super) fn reset(&mut self, slots: &[SlotLine], is_impostor: bool) {
        (self.is_greeted, self.is_impostor) = (false, is_impostor);
        let clock = |slot: &SlotLine| Some(if slot.video { 90_000 } else { 48_000 });
        self.streams = slots.iter().map(|slot| Stream::new(slot.ssrc, clock(slot))).collect();
        self.sources = slots.iter().map(|slot| slot.ssrc.0).collect();
        self.control_index = None;
    }

    /// A media packet leaves.
    pub(super) fn media(&mut self, now: Time, packet: &[u8], who: usize, violations: &mut Violations) {
        self.packets += 1;
        if !self.is_greeted || self.is_impostor {
            violations.note(now, Invariant::I14, || {
                let why = if self.is_impostor { "has a wrong certificate" } else { "is not connected yet" };
                format!("person {who} {why} and is sent media")
            });
        }
        let Some(header) = Header::read(packet) else { return };
        let at = match self.sources.iter().position(|ssrc| *ssrc == header.ssrc) {
            Some(at) => at,
            None if self.streams.len() < MOST_STREAMS => {
                self.begun += 1;
                self.streams.push(Stream::new(Ssrc(header.ssrc), None));
                self.sources.push(header.ssrc);
                self.streams.len() - 1
            }
            None => {
                let text = || format!("person {who} is sent more than {MOST_STREAMS} streams");
                return violations.note(now, Invariant::I17, text);
            }
        };
        let is_late = now < self.late_until;
        if let Some(stream) = self.streams.get_mut(at) {
            stream.leaves(now, header, (tag_of(packet), is_late), who, violations);
        }
    }

    /// Something else leaves: of DTLS, the change of the cipher comes once the client has proved itself.
    pub(super) fn other(&mut self, datagram: &[u8]) {
        const CHANGE_CIPHER: u8 = 20;
        const HEADER: usize = 13;
        let mut rest = datagram;
        while let [sort, _, _, _, epoch, _, _, _, _, _, _, high, low, ..] = *rest {
            self.is_greeted |= sort == CHANGE_CIPHER || (21..=23).contains(&sort) && epoch > 0;
            let len = usize::from(u16::from_be_bytes([high, low]));
            rest = rest.get(HEADER + len..).unwrap_or_default();
        }
    }

    /// A packet of RTCP leaves; `behind` is how many bytes lie behind its index.
    pub(super) fn control(
        &mut self,
        now: Time,
        packet: &[u8],
        behind: usize,
        who: usize,
        violations: &mut Violations,
    ) {
        self.controls += 1;
        let end = packet.len().saturating_sub(behind);
        let Some(word) = packet.get(..end).and_then(<[u8]>::last_chunk::<4>) else { return };
        let index = u32::from_be_bytes(*word) & 0x7fff_ffff;
        if let Some(highest) = self.control_index.filter(|highest| index <= *highest) {
            let text = || format!("person {who}: SRTCP index {index} after {highest}");
            violations.note(now, Invariant::I9, text);
        }
        self.control_index = self.control_index.max(Some(index));
    }
}

impl Header {
    fn read(packet: &[u8]) -> Option<Self> {
        let [_, _, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *packet.first_chunk::<12>()?;
        Some(Self {
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        })
    }
}

fn tag_of(packet: &[u8]) -> u32 {
    packet.last_chunk::<4>().map_or(0, |end| u32::from_be_bytes(*end))
}

impl Stream {
    const fn new(ssrc: Ssrc, clock: Option<u64>) -> Self {
        Self {
            ssrc: ssrc.0,
            clock,
            first: 0,
            highest: None,
            timestamp: 0,
            at: Time(0),
            is_late: false,
            used: Vec::new(),
        }
    }

    fn leaves(
        &mut self,
        now: Time,
        header: Header,
        (tag, is_late): (u32, bool),
        who: usize,
        violations: &mut Violations,
    ) {
        let ssrc = self.ssrc;
        let Some(highest) = self.highest else {
            let first = u64::from(header.sequence);
            if first >= FIRST_BELOW {
                let text = || format!("person {who}: stream {ssrc} begins at {first}");
                violations.note(now, Invariant::I11, text);
            }
            self.first = first;
            self.used = vec![UNUSED; WINDOW];
            self.go_on((now, is_late), first, header.timestamp, tag);
            return;
        };
        let index = extend(highest, header.sequence);
        if index.abs_diff(highest) > u64::from(MOST_NUMBERS) {
            let text = || format!("person {who}: stream {ssrc} goes from {highest} to {index} at once");
            violations.note(now, Invariant::I10, text);
        } else if index < self.first {
            let text = || format!("person {who}: stream {ssrc} goes back to {index}, before it began");
            violations.note(now, Invariant::I10, text);
        }
        if index > highest {
            self.check_timestamp(now, (header.timestamp, is_late), who, violations);
            self.go_on((now, is_late), index, header.timestamp, tag);
            return;
        }
        let Some(entry) = self.used.get_mut(place(index)) else { return };
        let now_used = Used { index: low(index), tag };
        if entry.index == now_used.index {
            let (invariant, what) = match entry.tag == tag {
                true => (Invariant::I10, "again"),
                false => (Invariant::I9, "for other bytes"),
            };
            violations.note(now, invariant, || format!("person {who}: stream {ssrc} uses {index} {what}"));
        }
        // A leap back has been noted, and says nothing of the number that is known in its place.
        if entry.index == UNUSED.index || entry.index < now_used.index {
            *entry = now_used;
        }
    }

    fn go_on(&mut self, (now, is_late): (Time, bool), index: u64, timestamp: u32, tag: u32) {
        (self.highest, self.timestamp) = (Some(index), timestamp);
        (self.at, self.is_late) = (now, is_late);
        if let Some(entry) = self.used.get_mut(place(index)) {
            *entry = Used { index: low(index), tag };
        }
    }

    /// A slot's timestamp goes with the time, whoever is in it: a source that goes on keeps its clock, and another
    /// is put where the slot stands by then.
    fn check_timestamp(
        &self,
        now: Time,
        (timestamp, is_late): (u32, bool),
        who: usize,
        violations: &mut Violations,
    ) {
        let Some(clock) = self.clock else { return };
        let (ssrc, step) = (self.ssrc, timestamp.wrapping_sub(self.timestamp).cast_signed());
        let off = if is_late || self.is_late { OFF_WHEN_LATE } else { OFF };
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let ticks = |millis: u64| i64::try_from(clock * millis / 1_000).unwrap_or(i64::MAX);
        let least = ticks((passed / 1_000).saturating_sub(off * 1_000));
        let most = ticks(passed / 1_000 + off * 1_000);
        if !(least..=most).contains(&i64::from(step)) {
            violations.note(now, Invariant::I10, || {
                format!("person {who}: stream {ssrc}: the timestamp moves by {step} in {passed} us")
            });
        }
    }
}

/// The extended number that is nearest to the highest so far.
fn extend(highest: u64, sequence: u16) -> u64 {
    let low = u16::try_from(highest & 0xffff).unwrap_or(0);
    let ahead = sequence.wrapping_sub(low);
    if ahead < 1 << 15 {
        highest + u64::from(ahead)
    } else {
        highest.saturating_sub(u64::from(low.wrapping_sub(sequence)))
    }
}

fn low(index: u64) -> u32 {
    u32::try_from(index).unwrap_or(UNUSED.index)
}

fn place(index: u64) -> usize {
    usize::try_from(index).unwrap_or(0) % WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, timestamp: u32, tag: u8) -> Vec<u8> {
        let mut bytes = vec![0x80, 111];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(7_u32.to_be_bytes());
        bytes.extend([tag; 16]);
        bytes
    }

    fn found(packets: &[(u16, u32, u8)]) -> Vec<Invariant> {
        let (mut egress, mut violations) = (Egress::default(), Violations::new(Time(0)));
        egress.reset(&[SlotLine { mid: "0".into(), video: false, ssrc: Ssrc(7) }], false);
        egress.other(&[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        for (at, (sequence, timestamp, tag)) in (0_u64..).zip(packets) {
            egress.media(Time(at * 20_000), &packet(*sequence, *timestamp, *tag), 0, &mut violations);
        }
        violations.examples().iter().map(|violation| violation.invariant).collect()
    }

    #[test]
    fn a_stream_may_go_on_wrap_and_be_late() {
        assert_eq!(found(&[(9, 0, 1), (11, 1_920, 2), (10, 960, 3), (12, 2_880, 4)]), []);
    }

    #[test]
    fn numbers_are_used_once() {
        assert_eq!(found(&[(9, 0, 1), (10, 960, 2), (9, 0, 1)]), [Invariant::I10]);
        assert_eq!(found(&[(9, 0, 1), (10, 960, 2), (9, 0, 3)]), [Invariant::I9]);
    }

    #[test]
    fn numbers_that_are_far_behind_are_still_known() {
        assert_eq!(found(&[(9, 0, 1), (2_057, 960, 2), (9, 0, 3)]), [Invariant::I9]);
        assert_eq!(found(&[(9, 0, 1), (2_057, 960, 2), (9, 0, 1)]), [Invariant::I10]);
        assert_eq!(found(&[(2_009, 0, 1), (1_009, 0, 2)]), [Invariant::I10], "before it began");
    }

    #[test]
    fn a_clock_that_was_behind_may_catch_up_later() {
        for (late_until, expected) in [(0, vec![Invariant::I10]), (1, vec![])] {
            let (mut egress, mut violations) = (Egress::default(), Violations::new(Time(0)));
            egress.reset(&[SlotLine { mid: "0".into(), video: false, ssrc: Ssrc(7) }], false);
            egress.other(&[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
            egress.late_until = Time(late_until);
            egress.media(Time(0), &packet(9, 0, 1), 0, &mut violations);
            egress.media(Time(6_000_000), &packet(10, 8 * 48_000, 2), 0, &mut violations);
            egress.media(Time(6_020_000), &packet(11, 8 * 48_000 + 960, 3), 0, &mut violations);
            let found: Vec<_> = violations.examples().iter().map(|violation| violation.invariant).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn numbers_go_no_further_than_a_listener_can_follow() {
        assert_eq!(found(&[(9, 0, 1), (1_009, 960, 2)]), []);
        assert_eq!(found(&[(9, 0, 1), (20_473, 960, 2)]), [Invariant::I10], "86,000 for one who counts");
        assert_eq!(found(&[(30_000, 0, 1), (65_000, 960, 2)]), [Invariant::I10]);
    }

    #[test]
    fn nothing_leaves_before_the_handshake_is_done() {
        let (mut egress, mut violations) = (Egress::default(), Violations::new(Time(0)));
        egress.other(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        egress.media(Time(0), &packet(1, 0, 0), 0, &mut violations);
        assert_eq!(violations.count(Invariant::I14), 1);
    }

    #[test]
    fn timestamps_go_forward_with_the_clock() {
        assert_eq!(found(&[(9, 960, 1), (10, 0, 2)]), [Invariant::I10]);
        assert_eq!(found(&[(9, 0, 1), (10, 480_000, 2)]), [Invariant::I10]);
        assert_eq!(found(&[(40_000, 0, 1)]), [Invariant::I11]);
    }

    #[test]
    fn timestamps_do_not_stay_behind_the_clock() {
        let after = |seconds: u64, timestamp| {
            let (mut egress, mut violations) = (Egress::default(), Violations::new(Time(0)));
            egress.reset(&[SlotLine { mid: "0".into(), video: false, ssrc: Ssrc(7) }], false);
            egress.other(&[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
            egress.media(Time(0), &packet(9, 0, 1), 0, &mut violations);
            egress.media(Time(seconds * 1_000_000), &packet(10, timestamp, 2), 0, &mut violations);
            violations.count(Invariant::I10)
        };
        assert_eq!((after(1, 1), after(3, 1)), (0, 1));
        assert_eq!((after(3, 2 * 48_000), after(3, 2 * 48_000 - 1)), (0, 1));
    }
}
