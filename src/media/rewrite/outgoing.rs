//! What a slot has sent, over all its bindings.

use super::Placed;
use crate::base::plant::{self, Plant};
use crate::base::{Random, Time};
use crate::wire::vp8::PictureId;

const PICTURE_MASK: u16 = 0x7fff;

/// The most numbers in a row that a listener may miss because of a source. Who misses half of all numbers
/// takes the wrong rollover counter for good (RFC 3711 section 3.3.1), also for whoever has the slot next.
const MAX_LEAP: u64 = 1_000;

/// The highest numbers that left through a slot. They never go back while the slot lives.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// The next extended sequence number.
    pub(super) next: u64,
    /// The next extended sequence number of retransmissions.
    repair_next: u64,
    /// As many as that now, or none.
    pub(super) most_missing: u64,
    /// The newest timestamp, and when a packet with it came in.
    pub(super) timestamp: u32,
    pub(super) newest_at: Option<Time>,
    pub(super) picture: u16,
    pub(super) tl0: u8,
    pub(super) frame: u16,
    /// Packets sent, retransmissions not counted (RFC 3550 section 6.4.1).
    packets: u32,
    /// Bytes of payload in them.
    octets: u32,
}

impl Outgoing {
    /// A slot that has sent nothing.
    ///
    /// Sequence numbers start below 2^15, so that a receiver which misses the first packets cannot
    /// mistake the first wrap (RFC 3711 section 3.3.1).
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            next: random.below(1 << 15) | u64::from(plant::is(Plant::FirstSequenceHigh)) << 15,
            repair_next: random.below(1 << 15),
            most_missing: MAX_LEAP,
            timestamp: random.next_u32(),
            newest_at: None,
            picture: u16::try_from(random.below(1 << 15)).unwrap_or(0),
            tl0: u8::try_from(random.below(1 << 8)).unwrap_or(0),
            frame: u16::try_from(random.below(1 << 16)).unwrap_or(0),
            packets: 0,
            octets: 0,
        }
    }

    /// The extended sequence number that the next packet in order gets.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Packets and bytes of payload sent, as a sender report has them.
    pub(crate) const fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// Whether what a source leaves out stays out, or numbers close up.
    pub(crate) const fn keep_gaps(&mut self, keep: bool) {
        self.most_missing = if keep { MAX_LEAP } else { 0 };
    }

    /// The extended sequence number for one retransmission.
    pub(crate) fn take_repair(&mut self) -> u64 {
        let number = self.repair_next;
        self.repair_next += if plant::is(Plant::RepairIndexRepeats) { number % 2 } else { 1 };
        number
    }

    /// The extended sequence number that a retransmission would get.
    pub(crate) const fn peek_repair(&self) -> u64 {
        self.repair_next
    }

    /// Where the timestamp would stand at `now`: it runs on in real time, and never stands still.
    pub(super) fn timestamp_at(&self, now: Time, clock_rate: u32) -> u32 {
        let Some(newest_at) = self.newest_at else { return self.timestamp };
        let now = if plant::is(Plant::TimestampStandsStill) { newest_at } else { now };
        let elapsed = u64::try_from(now.since(newest_at).as_micros()).unwrap_or(u64::MAX);
        let ticks = elapsed.saturating_mul(u64::from(clock_rate)) / 1_000_000;
        let ticks = u32::try_from(ticks & u64::from(u32::MAX)).unwrap_or(1).max(1);
        self.timestamp.wrapping_add(ticks)
    }

    /// Remembers that a packet has left.
    pub(super) fn commit(&mut self, placed: &Placed, arrived: Time, payload_len: usize) {
        self.packets = self.packets.wrapping_add(1);
        let len = u32::try_from(payload_len).unwrap_or(0);
        self.octets = self.octets.wrapping_add(len);
        if placed.out < self.next {
            return;
        }
        self.next = placed.out + 1;
        if self.newest_at.is_none() || is_newer(placed.timestamp, self.timestamp) {
            self.timestamp = placed.timestamp;
            self.newest_at = Some(arrived);
        }
        if let Some(picture) = placed.numbers.picture {
            let width = if matches!(picture, PictureId::Short(_)) { 0x7f } else { PICTURE_MASK };
            let ahead = picture.value().wrapping_sub(self.picture) & width;
            if ahead <= width / 2 {
                self.picture = self.picture.wrapping_add(ahead) & PICTURE_MASK;
            }
        }
        if let Some(tl0) = placed.numbers.tl0
            && tl0.wrapping_sub(self.tl0) < 0x80
        {
            self.tl0 = tl0;
        }
        if let Some(frame) = placed.numbers.frame
            && frame.wrapping_sub(self.frame) < 0x8000
        {
            self.frame = frame;
        }
    }
}

/// Whether a timestamp is ahead of another, over wraps.
pub(super) const fn is_newer(timestamp: u32, than: u32) -> bool {
    let ahead = timestamp.wrapping_sub(than);
    ahead != 0 && ahead < 1 << 31
}
