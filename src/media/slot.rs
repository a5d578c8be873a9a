//! One receive m-line of a listener: its steady SSRC, and what is bound to it.

use std::time::Duration;

use super::congestion::FullReports;
use super::rewrite::{Mapping, Outgoing};
use super::ring::VIDEO_PACKETS;
use super::slab::Key;
use super::stream::Stream;
use crate::base::{Epoch, GroupId, Kind, ParticipantId, Random, Time};
use crate::message::{SlotBinding, SlotReason};
use crate::transport::{self, Codec, CodecLine};

/// Retransmissions remembered per slot, so that none is repeated too soon: as many as packets are kept, so that no two
/// that can be had are in each other's place.
const REMEMBERED_REPAIRS: usize = VIDEO_PACKETS;
/// The least time between two retransmissions of one packet; a longer round trip counts.
const REPAIR_INTERVAL: Duration = Duration::from_millis(20);

/// How a publisher's codec is called by the listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct MappedCodec {
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
    pub(super) rtx_payload_type: Option<u8>,
}

/// A stream bound to a slot. It is of exactly one placement of each end: a packet leaves only while
/// both are current.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) stream: Key<Stream>,
    pub(super) publisher: (ParticipantId, Kind),
    pub(super) group: GroupId,
    pub(super) publisher_epoch: Epoch,
    pub(super) listener_epoch: Epoch,
    /// By the place in the publisher's list of codecs.
    pub(super) codecs: Vec<Option<MappedCodec>>,
    pub(super) mapping: Mapping,
    /// The first extended sequence number of this binding.
    pub(super) from_seq: u64,
}

impl Binding {
    /// Whether the listener needs a keyframe of a video stream before anything else.
    pub(super) fn awaits_keyframe(&self, fresh: u32) -> bool {
        self.mapping.timestamp_offset().is_none() || self.mapping.fresh() != fresh
    }

    /// The listener's name of a codec.
    pub(super) fn codec(&self, codec: u8) -> Option<MappedCodec> {
        self.codecs.get(usize::from(codec)).copied().flatten()
    }
}

/// What a slot had sent at a report of its listener.
#[derive(Clone, Copy, Debug)]
struct Told {
    next: u64,
    packets: u32,
    /// The part of the numbers since the report before that packets had, of 256.
    sent: u64,
}

/// One receive m-line.
pub(super) struct Slot {
    pub(super) line: transport::Slot,
    pub(super) outgoing: Outgoing,
    pub(super) binding: Option<Binding>,
    /// Whose place this is although nothing can be bound, and why.
    pub(super) reserved: Option<(Key<Stream>, SlotReason)>,
    /// When the last sender report left.
    pub(super) reported_at: Option<Time>,
    /// What had been sent when the listener last reported.
    told: Told,
    pub(super) full_reports: FullReports,
    /// The next number when the listener was last heard.
    pub(super) next_when_heard: u64,
    repaired: Vec<(u64, Time)>,
    /// The binding before, for [`Plant::RingReadable`](crate::base::plant::Plant::RingReadable).
    #[cfg(feature = "planted-bugs")]
    pub(super) past: Option<Binding>,
}

impl Slot {
    /// An empty slot.
    pub(super) fn new(line: transport::Slot, random: &mut Random) -> Self {
        let outgoing = Outgoing::new(random);
        let next_when_heard = outgoing.next();
        let told = Told { next: next_when_heard, packets: 0, sent: 256 };
        Self {
            line,
            outgoing,
            binding: None,
            reserved: None,
            reported_at: None,
            told,
            full_reports: FullReports::default(),
            next_when_heard,
            repaired: Vec::new(),
            #[cfg(feature = "planted-bugs")]
            past: None,
        }
    }

    /// The binding under which a packet was sent that may be asked for again.
    pub(super) fn binding_of(&self, out: u64) -> Option<&Binding> {
        let is_its = |binding: &&Binding| out >= binding.from_seq;
        let found = self.binding.as_ref().filter(is_its);
        #[cfg(feature = "planted-bugs")]
        let found = found.or(self.past.as_ref().filter(is_its));
        found
    }

    /// The stream that has this slot, bound or not.
    pub(super) fn holder(&self) -> Option<Key<Stream>> {
        let bound = self.binding.as_ref().map(|binding| binding.stream);
        bound.or_else(|| self.reserved.map(|(stream, _)| stream))
    }

    /// What control is told of it.
    pub(super) fn report(&self) -> SlotBinding {
        SlotBinding {
            mid: self.line.mid.clone(),
            video: self.line.video,
            ssrc: self.line.ssrc,
            publisher: self.binding.as_ref().map(|binding| binding.publisher),
            from_seq: self.binding.as_ref().map_or(self.outgoing.next(), |binding| binding.from_seq),
            reason: self.reserved.map(|(_, reason)| reason),
        }
    }

    /// How this listener calls each of a publisher's codecs.
    pub(super) fn map_codecs(&self, offered: &[CodecLine]) -> Vec<Option<MappedCodec>> {
        let find = |sent: Codec| {
            let same = self.line.codecs.iter().find(|own| own.codec == sent);
            same.or_else(|| self.line.codecs.iter().find(|own| own.codec.shows(sent)))
        };
        offered
            .iter()
            .map(|line| {
                find(line.codec).map(|own| MappedCodec {
                    codec: own.codec,
                    payload_type: own.payload_type,
                    rtx_payload_type: own.rtx_payload_type,
                })
            })
            .collect()
    }

    /// The part of its packets that the listener's link has lost, of 256, by the part of the numbers that
    /// the listener's new report says is missing: not all were sent, for a publisher's gaps stay gaps. A
    /// report does not know yet of what is on its way, so that a gap counts in the one after as well.
    pub(super) fn lost_by_link(&mut self, missing: u8) -> u8 {
        let (packets, _) = self.outgoing.sent();
        let before = self.told;
        let numbers = self.outgoing.next().saturating_sub(before.next);
        let sent = u64::from(packets.wrapping_sub(before.packets)).saturating_mul(256);
        let sent = sent.checked_div(numbers).unwrap_or(256).min(256);
        self.told = Told { next: self.outgoing.next(), packets, sent };
        let arrived = (256 - u64::from(missing)) * 256;
        let arrived = arrived.checked_div(sent.min(before.sent)).unwrap_or(256);
        u8::try_from(256_u64.saturating_sub(arrived)).unwrap_or(u8::MAX)
    }

    /// Whether a packet may be sent again now; remembers it if so.
    pub(super) fn may_repair(&mut self, out: u64, now: Time, round_trip: Option<Duration>) -> bool {
        if self.repaired.is_empty() {
            self.repaired.resize(REMEMBERED_REPAIRS, (u64::MAX, Time(0)));
        }
        let place = usize::try_from(out).unwrap_or(0) % REMEMBERED_REPAIRS;
        let Some(place) = self.repaired.get_mut(place) else { return false };
        let interval = round_trip.unwrap_or(REPAIR_INTERVAL).max(REPAIR_INTERVAL);
        if place.0 == out && now.since(place.1) < interval {
            return false;
        }
        *place = (out, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ssrc;
    use crate::transport::ExtensionIds;

    /// The payload types by which a listener that receives `own` calls what is `sent`.
    fn mapped(own: &[(Codec, u8)], sent: &[Codec]) -> Vec<Option<u8>> {
        let line = |(codec, payload_type)| CodecLine { codec, payload_type, rtx_payload_type: None };
        let slot = transport::Slot {
            mid: "r".into(),
            video: true,
            ssrc: Ssrc(1),
            rtx_ssrc: None,
            codecs: own.iter().copied().map(line).collect(),
            extensions: ExtensionIds::default(),
        };
        let offered: Vec<_> = sent.iter().map(|codec| line((*codec, 96))).collect();
        let mapped = Slot::new(slot, &mut Random::from_number(1)).map_codecs(&offered);
        mapped.into_iter().map(|codec| codec.map(|codec| codec.payload_type)).collect()
    }

    #[test]
    fn a_listeners_own_codec_goes_before_one_that_shows_it_too() {
        let h264 = |profile, packetization_mode| Codec::H264 { profile, packetization_mode };
        let sent = [h264(0x42e0, 1), h264(0x42e0, 0), h264(0x4d00, 1), Codec::Vp8];
        let own = [(h264(0x4200, 1), 100), (h264(0x42e0, 0), 101), (h264(0x42e0, 1), 102)];
        assert_eq!(mapped(&own, &sent), [Some(102), Some(101), None, None]);
        assert_eq!(mapped(&own[..1], &sent), [Some(100), Some(100), None, None]);
        assert_eq!(
            mapped(&[(h264(0x6400, 0), 103), (Codec::Vp8, 104)], &sent),
            [None, Some(103), None, Some(104)]
        );
    }
}
