//! How one binding's source numbers become those of the slot.

use std::collections::VecDeque;

use super::outgoing::is_newer;
use super::{Numbers, Outgoing};
use crate::base::Time;
use crate::base::plant::{self, Plant};
use crate::media::ring::PacketInfo;

/// Stretches remembered per binding, for late packets and retransmissions. A new one begins with
/// each mute or jump of the source; what lies 16 of them back is no longer asked for.
const MAX_PIECES: usize = 16;

/// A stretch of source packets whose numbers all move by the same distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    segment: u32,
    source_first: u64,
    out_first: u64,
    timestamp_offset: u32,
    picture_offset: u16,
    tl0_offset: u8,
    frame_offset: u16,
}

impl Piece {
    fn place(&self, info: &PacketInfo, numbers: Numbers) -> Option<Placed> {
        let distance = info.index.checked_sub(self.source_first)?;
        Some(Placed {
            out: self.out_first + distance,
            timestamp: info.timestamp.wrapping_add(self.timestamp_offset),
            numbers: Numbers {
                picture: numbers
                    .picture
                    .map(|picture| picture.with_value(picture.value().wrapping_add(self.picture_offset))),
                tl0: numbers.tl0.map(|tl0| tl0.wrapping_add(self.tl0_offset)),
                frame: numbers.frame.map(|frame| frame.wrapping_add(self.frame_offset)),
            },
            begins: None,
        })
    }
}

/// A packet's numbers in its slot. Nothing is remembered of them before [`Mapping::commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its extended sequence number.
    pub(crate) out: u64,
    /// Its timestamp.
    pub(crate) timestamp: u32,
    /// Its codec's numbers.
    pub(crate) numbers: Numbers,
    begins: Option<(Piece, u32)>,
}

impl Placed {
    /// Whether the packet is the first of a stretch.
    pub(crate) const fn begins_stretch(&self) -> bool {
        self.begins.is_some()
    }
}

/// The mapping of one binding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    pieces: VecDeque<Piece>,
    fresh: u32,
}

impl Mapping {
    /// The numbers of a packet in the slot, or `None` if it is from before what the binding may
    /// carry, or too late to be placed.
    pub(crate) fn place(
        &self,
        outgoing: &Outgoing,
        info: &PacketInfo,
        numbers: Numbers,
        clock_rate: u32,
    ) -> Option<Placed> {
        match self.pieces.back() {
            Some(last) if info.segment <= last.segment => {
                let placed = self.place_in_known(info, numbers)?;
                if placed.out <= outgoing.next + outgoing.most_missing {
                    return Some(placed);
                }
                Self::enter(Self::leap(last, outgoing, info), info, numbers)
            }
            Some(last) if info.fresh == self.fresh => {
                Self::enter(Self::go_on(last, outgoing, info), info, numbers)
            }
            last => Self::enter(Self::begin(last, outgoing, info, numbers, clock_rate), info, numbers),
        }
    }

    fn enter(piece: Piece, info: &PacketInfo, numbers: Numbers) -> Option<Placed> {
        let placed = piece.place(info, numbers)?;
        Some(Placed { begins: Some((piece, info.fresh)), ..placed })
    }

    fn place_in_known(&self, info: &PacketInfo, numbers: Numbers) -> Option<Placed> {
        let mut end = u64::MAX;
        for piece in self.pieces.iter().rev() {
            // One that came before a leap within its segment is of the piece before.
            if piece.segment == info.segment
                && let Some(placed) = piece.place(info, numbers)
            {
                return Some(placed).filter(|placed| placed.out < end);
            }
            end = piece.out_first;
        }
        None
    }

    /// The same source after a hole that is ours: the numbers close up as far as it is, all else stays.
    fn go_on(last: &Piece, outgoing: &Outgoing, info: &PacketInfo) -> Piece {
        let out_first = outgoing.next + u64::from(info.gap).min(outgoing.most_missing);
        Piece { segment: info.segment, source_first: info.index, out_first, ..*last }
    }

    /// The same stretch after more of it than a listener may miss: one number stays out, so that its decoder
    /// sees that something is missing.
    fn leap(last: &Piece, outgoing: &Outgoing, info: &PacketInfo) -> Piece {
        Piece { out_first: outgoing.next + outgoing.most_missing.min(1), ..Self::go_on(last, outgoing, info) }
    }

    /// Another source, or one that a decoder enters anew: every number goes on where the slot stands.
    fn begin(
        last: Option<&Piece>,
        outgoing: &Outgoing,
        info: &PacketInfo,
        numbers: Numbers,
        clock_rate: u32,
    ) -> Piece {
        let mut target = outgoing.timestamp_at(info.arrived, clock_rate);
        if plant::is(Plant::TimestampGoesBack) {
            target = target.wrapping_sub(clock_rate * 10);
        }
        // The clock of a source that only paused is kept, so that its sound and picture stay in step.
        let kept = last.map(|last| last.timestamp_offset).filter(|offset| {
            let natural = info.timestamp.wrapping_add(*offset);
            let off = natural.wrapping_sub(target).cast_signed().unsigned_abs();
            is_newer(natural, outgoing.timestamp) && off <= clock_rate
        });
        let picture = numbers.picture.map_or(0, |picture| picture.value());
        let back = match () {
            () if plant::is(Plant::SequenceRewinds) => 1_000,
            () => u64::from(plant::is(Plant::SequenceRepeats)),
        };
        Piece {
            segment: info.segment,
            source_first: info.index,
            out_first: outgoing.next.saturating_sub(back),
            timestamp_offset: kept.unwrap_or_else(|| target.wrapping_sub(info.timestamp)),
            picture_offset: outgoing.picture.wrapping_add(1).wrapping_sub(picture),
            tl0_offset: outgoing.tl0.wrapping_add(1).wrapping_sub(numbers.tl0.unwrap_or(0)),
            frame_offset: outgoing.frame.wrapping_add(1).wrapping_sub(numbers.frame.unwrap_or(0)),
        }
    }

    /// Remembers that the packet has left.
    pub(crate) fn commit(
        &mut self,
        outgoing: &mut Outgoing,
        placed: &Placed,
        arrived: Time,
        payload_len: usize,
    ) {
        if let Some((piece, fresh)) = placed.begins {
            if self.pieces.len() >= MAX_PIECES {
                self.pieces.pop_front();
            }
            self.pieces.push_back(piece);
            self.fresh = fresh;
        }
        outgoing.commit(placed, arrived, payload_len);
    }

    /// Which source packet left under an extended sequence number: its segment and index.
    pub(crate) fn source_of(&self, out: u64) -> Option<(u32, u64)> {
        let piece = self.pieces.iter().rev().find(|piece| piece.out_first <= out)?;
        Some((piece.segment, piece.source_first + (out - piece.out_first)))
    }

    /// What is added to the source's timestamps now; `None` before the first packet.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.pieces.back().map(|piece| piece.timestamp_offset)
    }

    /// The latest stretch entered by a decoder.
    pub(crate) const fn fresh(&self) -> u32 {
        self.fresh
    }
}
