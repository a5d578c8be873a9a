//! Generic NACK (RFC 4585 section 6.2.1).

use super::{FORMAT_NACK, TRANSPORT_FEEDBACK, feedback_ssrcs, write_packet};
use crate::base::Ssrc;
use crate::wire::WireError;
use crate::wire::bytes::Reader;

/// Packets that a receiver misses.
#[derive(Clone, Copy, Debug)]
pub struct NackView<'a> {
    /// Who misses them.
    pub sender_ssrc: Ssrc,
    /// The stream that they belong to.
    pub media_ssrc: Ssrc,
    entries: &'a [u8],
}

impl<'a> NackView<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body, "NACK");
        let (sender_ssrc, media_ssrc) = feedback_ssrcs(&mut reader)?;
        Ok(Self { sender_ssrc, media_ssrc, entries: reader.rest() })
    }

    /// The missing sequence numbers, up to 17 for each four bytes; a hostile list may repeat them.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.entries.as_chunks::<4>().0.iter().flat_map(|[p0, p1, b0, b1]| {
            let (first, following) = (u16::from_be_bytes([*p0, *p1]), u16::from_be_bytes([*b0, *b1]));
            let others = (0..16).filter(move |bit| following >> bit & 1 != 0);
            std::iter::once(first).chain(others.map(move |bit| first.wrapping_add(bit).wrapping_add(1)))
        })
    }
}

/// Writes a NACK for `sequences` and answers its length. In rising order (wraps allowed) they take
/// the least space.
///
/// # Errors
/// A buffer that is too small.
pub fn write_nack(
    sender_ssrc: Ssrc,
    media_ssrc: Ssrc,
    sequences: &[u16],
    out: &mut [u8],
) -> Result<usize, WireError> {
    write_packet(TRANSPORT_FEEDBACK, FORMAT_NACK, out, |writer| {
        writer.u32(sender_ssrc.0)?;
        writer.u32(media_ssrc.0)?;
        let mut rest = sequences.iter().copied().peekable();
        while let Some(first) = rest.next() {
            let mut following = 0_u16;
            while let Some(bit) = rest.peek().and_then(|next| bit_after(first, *next)) {
                following |= bit;
                rest.next();
            }
            writer.u16(first)?;
            writer.u16(following)?;
        }
        Ok(())
    })
}

/// The bit that stands for `next` in an entry that starts with `first`.
fn bit_after(first: u16, next: u16) -> Option<u16> {
    match next.wrapping_sub(first) {
        distance @ 1..=16 => Some(1 << (distance - 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    fn written_and_read(sequences: &[u16]) -> (usize, Vec<u16>) {
        let mut out = [0xff; 1000];
        let len = write_nack(Ssrc(1), Ssrc(2), sequences, &mut out).unwrap();
        let Some(Ok(RtcpPacket::Nack(nack))) = packets(&out[..len]).next() else { panic!() };
        assert_eq!((nack.sender_ssrc, nack.media_ssrc), (Ssrc(1), Ssrc(2)));
        (len, nack.sequences().collect())
    }

    #[test]
    fn neighbours_share_an_entry_over_the_wrap() {
        let missing = [65_530, 65_535, 0, 10];
        assert_eq!(written_and_read(&missing), (16, missing.to_vec()));
        assert_eq!(written_and_read(&[65_530, 11]).0, 20);
    }

    proptest! {
        #[test]
        fn a_rising_list_reads_back(start in any::<u16>(), steps in proptest::collection::vec(1_u16..40, 0..100)) {
            let missing: Vec<u16> = steps
                .iter()
                .scan(start, |at, step| {
                    *at = at.wrapping_add(*step);
                    Some(*at)
                })
                .collect();
            prop_assert_eq!(written_and_read(&missing).1, missing);
        }

        #[test]
        fn any_list_asks_for_the_same_packets(missing in proptest::collection::vec(any::<u16>(), 0..50)) {
            let mut read = written_and_read(&missing).1;
            let mut missing = missing;
            read.sort_unstable();
            read.dedup();
            missing.sort_unstable();
            missing.dedup();
            prop_assert_eq!(read, missing);
        }
    }
}
