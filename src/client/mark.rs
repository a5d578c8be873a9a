//! The mark in every synthetic payload: who sent it, into which group, when. The judge reads it.

use crate::base::{ClientId, Epoch, Kind, Time};

/// What a synthetic publisher knew when it sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Who published.
    pub publisher: ClientId,
    /// What it published.
    pub kind: Kind,
    /// The room that it believed to be in: [`room_tag`] of its id.
    pub room: u64,
    /// The epoch of its placement there.
    pub epoch: Epoch,
    /// Counts the publisher's packets of this kind from 0.
    pub counter: u64,
    /// When it was sent, by the sender's clock.
    pub sent_at: Time,
}

const MAGIC: [u8; 4] = *b"anTR";

impl Mark {
    /// The mark's length in bytes.
    pub const LEN: usize = 56;

    /// The mark as bytes, all numbers in network order.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let fields: [&[u8]; 7] = [
            &MAGIC,
            &[self.kind as u8, 0, 0, 0],
            &self.publisher.0.to_be_bytes(),
            &self.room.to_be_bytes(),
            &self.epoch.0.to_be_bytes(),
            &self.counter.to_be_bytes(),
            &self.sent_at.0.to_be_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Reads the mark that `bytes` begin with; `None` where there is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (publisher, rest) = rest.split_first_chunk::<16>()?;
        let (room, rest) = rest.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (counter, rest) = rest.split_first_chunk::<8>()?;
        let (sent_at, _) = rest.split_first_chunk::<8>()?;
        let kind = Kind::ALL.into_iter().find(|known| [*known as u8, 0, 0, 0] == *kind)?;
        Some(Self {
            publisher: ClientId(u128::from_be_bytes(*publisher)),
            kind,
            room: u64::from_be_bytes(*room),
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            counter: u64::from_be_bytes(*counter),
            sent_at: Time(u64::from_be_bytes(*sent_at)),
        })
    }
}

impl Mark {
    /// Finds the mark behind a codec descriptor of at most 24 bytes, and where it is.
    #[must_use]
    pub fn find(payload: &[u8]) -> Option<(usize, Self)> {
        (0..=MAX_DESCRIPTOR).find_map(|at| Some((at, Self::parse(payload.get(at..)?)?)))
    }
}

/// The longest codec descriptor and payload header that a synthetic packet bears before its mark.
const MAX_DESCRIPTOR: usize = 24;

/// A number that stands for a room's id in a mark (FNV-1a, 64 bits).
#[must_use]
pub fn room_tag(room_id: &str) -> u64 {
    room_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            publisher: ClientId(7),
            kind: Kind::Canvas,
            room: room_tag("main"),
            epoch: Epoch(3),
            counter: 9,
            sent_at: Time(1_000_001),
        }
    }

    #[test]
    fn a_mark_reads_back_what_was_written() {
        assert_eq!(Mark::parse(&mark().to_bytes()), Some(mark()));
    }

    #[test]
    fn what_is_no_mark_is_told_apart() {
        let bytes = mark().to_bytes();
        for len in 0..Mark::LEN {
            assert_eq!(Mark::parse(&bytes[..len]), None);
        }
        let mut other = bytes;
        other[0] ^= 1;
        assert_eq!(Mark::parse(&other), None);
        other = bytes;
        other[4] = 9;
        assert_eq!(Mark::parse(&other), None);
    }

    #[test]
    fn rooms_have_tags_of_their_own() {
        assert_ne!(room_tag("main"), room_tag("mainn"));
        assert_eq!(room_tag(""), 0xcbf2_9ce4_8422_2325);
    }
}
