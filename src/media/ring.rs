//! The last packets of one published stream, in plaintext, for everybody who hears it.
//!
//! It is both the place where a packet waits until the batch ends and the store that retransmissions
//! come from, so a packet is copied once, however many listeners it has.

use crate::base::{Epoch, Time};
use crate::wire::extension::AudioLevel;

/// Packets kept of a video stream: about two seconds at 2.5 Mbit/s, and 768 KiB at the most.
pub(super) const VIDEO_PACKETS: usize = 512;
/// Packets kept of an audio stream: they only wait for the batch to end.
pub(super) const AUDIO_PACKETS: usize = 64;
/// The longest payload with its descriptor that is kept; what a browser sends fits into 1,200 bytes.
pub(super) const MAX_PACKET: usize = 1_500;

/// What is known of a packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketInfo {
    /// Its extended sequence number at the publisher.
    pub(super) index: u64,
    /// The stretch of the stream that it belongs to, within which numbers are kept as they are.
    pub(super) segment: u32,
    /// Of the first of its stretch: how many numbers before it are lost, and not of ours to close up.
    pub(super) gap: u16,
    /// Counts the stretches that a decoder cannot enter in the middle of.
    pub(super) fresh: u32,
    /// The publisher's placement when it came.
    pub(super) epoch: Epoch,
    /// When it came.
    pub(super) arrived: Time,
    /// Its timestamp at the publisher.
    pub(super) timestamp: u32,
    /// Its marker bit.
    pub(super) marker: bool,
    /// Its codec: a place in the list of the publisher's m-line.
    pub(super) codec: u8,
    /// Whether a decoder can start at it.
    pub(super) keyframe: bool,
    /// Its loudness, where it says so.
    pub(super) level: Option<AudioLevel>,
}

/// A stored packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) info: &'a PacketInfo,
    /// The data of its dependency descriptor; empty if it has none.
    pub(super) descriptor: &'a [u8],
    pub(super) payload: &'a [u8],
}

#[derive(Default)]
struct Entry {
    info: Option<PacketInfo>,
    descriptor_len: usize,
    bytes: Vec<u8>,
}

/// Packets by extended sequence number; a new one takes the place of the one `capacity` before it.
pub(super) struct Ring {
    capacity: usize,
    entries: Vec<Entry>,
}

impl Ring {
    /// An empty ring. Memory is taken as packets come, and then kept.
    pub(super) const fn new(capacity: usize) -> Self {
        Self { capacity, entries: Vec::new() }
    }

    /// Whether a packet is small enough to be stored.
    pub(super) const fn takes(descriptor: &[u8], payload: &[u8]) -> bool {
        descriptor.len() + payload.len() <= MAX_PACKET
    }

    /// Stores a packet; answers whether it was small enough.
    pub(super) fn put(&mut self, info: PacketInfo, descriptor: &[u8], payload: &[u8]) -> bool {
        if !Self::takes(descriptor, payload) {
            return false;
        }
        if self.entries.is_empty() {
            self.entries.resize_with(self.capacity, Entry::default);
        }
        let place = self.place(info.index);
        let Some(entry) = self.entries.get_mut(place) else { return false };
        entry.bytes.clear();
        entry.bytes.extend_from_slice(descriptor);
        entry.bytes.extend_from_slice(payload);
        entry.descriptor_len = descriptor.len();
        entry.info = Some(info);
        true
    }

    /// The packet with this number in this segment.
    pub(super) fn get(&self, index: u64, segment: u32) -> Option<Stored<'_>> {
        let entry = self.entries.get(self.place(index))?;
        let info = entry.info.as_ref().filter(|info| info.index == index && info.segment == segment)?;
        let (descriptor, payload) = entry.bytes.split_at_checked(entry.descriptor_len)?;
        Some(Stored { info, descriptor, payload })
    }

    /// Forgets all packets.
    pub(super) fn clear(&mut self) {
        for entry in &mut self.entries {
            entry.info = None;
        }
    }

    fn place(&self, index: u64) -> usize {
        let capacity = u64::try_from(self.capacity).unwrap_or(1).max(1);
        usize::try_from(index % capacity).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(index: u64) -> PacketInfo {
        PacketInfo {
            index,
            gap: 0,
            segment: 1,
            fresh: 1,
            epoch: Epoch(1),
            arrived: Time(0),
            timestamp: 0,
            marker: false,
            codec: 0,
            keyframe: false,
            level: None,
        }
    }

    #[test]
    fn a_packet_is_there_until_its_place_is_taken() {
        let mut ring = Ring::new(4);
        for index in 10..15 {
            assert!(ring.put(info(index), &[9], &[u8::try_from(index).unwrap()]));
        }
        assert!(ring.get(10, 1).is_none());
        let kept = ring.get(11, 1).unwrap();
        assert_eq!((kept.descriptor, kept.payload), (&[9][..], &[11][..]));
        assert!(ring.get(11, 2).is_none());
        ring.clear();
        assert!(ring.get(14, 1).is_none());
    }

    #[test]
    fn a_packet_above_the_limit_is_not_kept() {
        let mut ring = Ring::new(4);
        assert!(!ring.put(info(1), &[1], &[0; MAX_PACKET]));
        assert!(ring.get(1, 1).is_none());
    }
}
