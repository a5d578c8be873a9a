//! What one worker hands to another between two batches.

use super::feedback::SenderClock;
use super::ring::PacketInfo;
use super::stream::Breaks;
use super::talkers::Loudness;
use crate::base::{Epoch, GroupId, Kind, ParticipantId};
use crate::transport::Codec;

/// Packets for one worker in one batch: what 16 talkers and a few keyframes make while it is busy.
const MAX_PACKETS: usize = 512;
/// Wishes for one worker in one batch.
const MAX_ASKS: usize = 256;

/// A packet in plaintext, on its way to another worker. Its bytes are in the handover.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing {
    pub(super) publisher: ParticipantId,
    pub(super) kind: Kind,
    /// The placement that it was sent in; of any other the receiver drops it.
    pub(super) epoch: Epoch,
    pub(super) group: GroupId,
    pub(super) codec: Codec,
    pub(super) info: PacketInfo,
    pub(super) breaks: Breaks,
    /// How loud the stream is.
    pub(super) loudness: Loudness,
    /// Which RTP time the stream had when, on our clock.
    pub(super) clock: Option<SenderClock>,
    descriptor_len: usize,
    payload_len: usize,
}

/// A wish for a video stream of another worker's participant. It is repeated while it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) publisher: ParticipantId,
    pub(super) kind: Kind,
    pub(super) epoch: Epoch,
    /// Whether somebody cannot go on without a keyframe.
    pub(super) keyframe: bool,
}

/// Packets and wishes from one worker to another. Each packet is in it once, however many hear it.
#[derive(Clone, Debug, Default)]
pub struct Handover {
    packets: Vec<Crossing>,
    bytes: Vec<u8>,
    asks: Vec<Ask>,
}

impl Handover {
    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.packets.is_empty() && self.asks.is_empty()
    }

    /// How many packets there are.
    #[must_use]
    pub const fn packets(&self) -> usize {
        self.packets.len()
    }

    /// Whose packets these are, and of which kind.
    pub fn published(&self) -> impl Iterator<Item = (ParticipantId, Kind)> {
        self.packets.iter().map(|crossing| (crossing.publisher, crossing.kind))
    }

    /// Adds a packet; answers whether there was room.
    pub(super) fn add(&mut self, mut crossing: Crossing, descriptor: &[u8], payload: &[u8]) -> bool {
        if self.packets.len() >= MAX_PACKETS {
            return false;
        }
        (crossing.descriptor_len, crossing.payload_len) = (descriptor.len(), payload.len());
        self.bytes.extend_from_slice(descriptor);
        self.bytes.extend_from_slice(payload);
        self.packets.push(crossing);
        true
    }

    /// Adds a wish. One too many is dropped: it comes again.
    pub(super) fn ask(&mut self, ask: Ask) {
        if self.asks.len() < MAX_ASKS {
            self.asks.push(ask);
        }
    }

    /// The packets in their order, each with its descriptor and payload.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Crossing, &[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.packets.iter().filter_map(move |crossing| {
            let (descriptor, after) = rest.split_at_checked(crossing.descriptor_len)?;
            let (payload, after) = after.split_at_checked(crossing.payload_len)?;
            rest = after;
            Some((crossing, descriptor, payload))
        })
    }

    /// The wishes.
    pub(super) fn asks(&self) -> &[Ask] {
        &self.asks
    }
}

impl Crossing {
    /// A packet of a stream in its placement.
    pub(super) const fn new(
        (publisher, kind): (ParticipantId, Kind),
        (epoch, group): (Epoch, GroupId),
        codec: Codec,
        info: PacketInfo,
        (breaks, loudness, clock): (Breaks, Loudness, Option<SenderClock>),
    ) -> Self {
        let (descriptor_len, payload_len) = (0, 0);
        Self {
            publisher,
            kind,
            epoch,
            group,
            codec,
            info,
            breaks,
            loudness,
            clock,
            descriptor_len,
            payload_len,
        }
    }
}
