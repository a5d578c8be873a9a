//! Transport-wide congestion control feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

use super::{FORMAT_TRANSPORT_CC, TRANSPORT_FEEDBACK, feedback_ssrcs, write_packet};
use crate::base::Ssrc;
use crate::wire::WireError;
use crate::wire::bytes::{Reader, Writer};

/// The most packets that one feedback may speak of. Feedback comes every 50-250 ms, in which a
/// listener is sent some hundreds; the count's 16 bits would let 36 bytes cost 65,535 steps.
pub const MAX_STATUSES: usize = 8_192;

const NOT_RECEIVED: u16 = 0;
const SMALL_DELTA: u16 = 1;
const LARGE_DELTA: u16 = 2;
const RESERVED: u16 = 3;
/// The longest run of one chunk: 13 bits.
const MAX_RUN: usize = 0x1fff;

/// The arrival of packets, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// Who received.
    pub sender_ssrc: Ssrc,
    /// A stream of the sender; any one.
    pub media_ssrc: Ssrc,
    /// The transport-wide sequence number of the first status.
    pub base: u16,
    /// 24 bits, in units of 64 ms; the first delta counts from here.
    pub reference_time: u32,
    /// Counts the feedback packets, so that the sender sees which are lost.
    pub count: u8,
    /// From `base` on without a gap: `None` if the packet did not arrive, else the time since the
    /// one that arrived before it, in units of 250 us.
    pub statuses: &'a [Option<i16>],
}

/// The arrival of packets, as read.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedbackView<'a> {
    /// Who received.
    pub sender_ssrc: Ssrc,
    /// A stream of the sender.
    pub media_ssrc: Ssrc,
    /// The transport-wide sequence number of the first status.
    pub base: u16,
    /// 24 bits, in units of 64 ms; the first delta counts from here.
    pub reference_time: u32,
    /// Counts the feedback packets.
    pub count: u8,
    statuses: TransportStatuses<'a>,
}

impl<'a> TransportFeedbackView<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body, "transport feedback");
        let (sender_ssrc, media_ssrc) = feedback_ssrcs(&mut reader)?;
        let (base, status_count) = (reader.u16()?, usize::from(reader.u16()?));
        let (reference_time, count) = (reader.u24()?, reader.u8()?);
        if status_count > MAX_STATUSES {
            return Err(WireError::Length("transport feedback"));
        }
        let chunks = reader;
        let (mut covered, mut delta_bytes) = (0, 0);
        while covered < status_count {
            let (symbols, bytes) = Chunk(reader.u16()?).measure(status_count - covered)?;
            covered += symbols;
            delta_bytes += bytes;
        }
        let deltas = Reader::new(reader.take(delta_bytes)?, "transport feedback");
        let statuses = TransportStatuses { next: base, left: status_count, chunks, chunk: None, deltas };
        Ok(Self { sender_ssrc, media_ssrc, base, reference_time, count, statuses })
    }

    /// Each packet's sequence number and status, at most [`MAX_STATUSES`]: `None` if it did not
    /// arrive, else the time since the one before it, in units of 250 us.
    #[must_use]
    pub const fn statuses(&self) -> TransportStatuses<'a> {
        self.statuses
    }
}

/// Iterator of [`TransportFeedbackView::statuses`].
#[derive(Clone, Copy, Debug)]
pub struct TransportStatuses<'a> {
    next: u16,
    left: usize,
    chunks: Reader<'a>,
    /// The chunk being read and how many of its symbols are used up.
    chunk: Option<(Chunk, usize)>,
    deltas: Reader<'a>,
}

impl TransportStatuses<'_> {
    fn symbol(&mut self) -> Option<u16> {
        let (chunk, used) = match self.chunk {
            Some((chunk, used)) if used < chunk.capacity() => (chunk, used),
            _ => (Chunk(self.chunks.u16().ok()?), 0),
        };
        self.chunk = Some((chunk, used + 1));
        chunk.symbol(used)
    }
}

impl Iterator for TransportStatuses<'_> {
    type Item = (u16, Option<i16>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let delta = match self.symbol()? {
            SMALL_DELTA => Some(i16::from(self.deltas.u8().ok()?)),
            LARGE_DELTA => Some(self.deltas.u16().ok()?.cast_signed()),
            _ => None,
        };
        let sequence = self.next;
        self.next = sequence.wrapping_add(1);
        Some((sequence, delta))
    }
}

/// A run of one symbol, or a vector of 14 one-bit or 7 two-bit symbols.
#[derive(Clone, Copy, Debug)]
struct Chunk(u16);

impl Chunk {
    const fn is_run(self) -> bool {
        self.0 & 0x8000 == 0
    }

    /// How many symbols it holds.
    fn capacity(self) -> usize {
        match self.0 >> 14 {
            0 | 1 => usize::from(self.0 & 0x1fff),
            2 => 14,
            _ => 7,
        }
    }

    /// The symbol at `index`; `None` beyond the last.
    fn symbol(self, index: usize) -> Option<u16> {
        if index >= self.capacity() {
            return None;
        }
        Some(match self.0 >> 14 {
            0 | 1 => self.0 >> 13 & 3,
            2 => self.0 >> (13 - index) & 1,
            _ => self.0 >> (12 - 2 * index) & 3,
        })
    }

    /// How many of at most `left` symbols it gives, and how many bytes of deltas they want.
    fn measure(self, left: usize) -> Result<(usize, usize), WireError> {
        const WRONG: WireError = WireError::Value("transport feedback chunk");
        let symbols = self.capacity().min(left);
        // A run of none would let a chunk pass without progress.
        if symbols == 0 {
            return Err(WRONG);
        }
        let distinct = if self.is_run() { 1 } else { symbols };
        let mut bytes = 0;
        for symbol in (0..distinct).filter_map(|index| self.symbol(index)) {
            if symbol == RESERVED {
                return Err(WRONG);
            }
            bytes += usize::from(symbol);
        }
        Ok((symbols, if self.is_run() { bytes * symbols } else { bytes }))
    }
}

/// Writes transport-wide feedback and answers its length.
///
/// # Errors
/// More than [`MAX_STATUSES`] statuses or none; a buffer that is too small.
pub fn write_transport_feedback(
    feedback: &TransportFeedback<'_>,
    out: &mut [u8],
) -> Result<usize, WireError> {
    const WRONG: WireError = WireError::Length("transport feedback");
    if feedback.statuses.is_empty() || feedback.statuses.len() > MAX_STATUSES {
        return Err(WRONG);
    }
    let status_count = u16::try_from(feedback.statuses.len()).map_err(|_| WRONG)?;
    write_packet(TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_CC, out, |writer| {
        writer.u32(feedback.sender_ssrc.0)?;
        writer.u32(feedback.media_ssrc.0)?;
        writer.u16(feedback.base)?;
        writer.u16(status_count)?;
        writer.u24(feedback.reference_time)?;
        writer.u8(feedback.count)?;
        let mut rest = feedback.statuses;
        while !rest.is_empty() {
            rest = write_chunk(rest, writer)?;
        }
        for delta in feedback.statuses.iter().flatten() {
            match u8::try_from(*delta) {
                Ok(small) => writer.u8(small)?,
                Err(_) => writer.u16(delta.cast_unsigned())?,
            }
        }
        Ok(())
    })
}

/// Writes the chunk that covers most of the front of `statuses`; answers what it leaves.
fn write_chunk<'a>(
    statuses: &'a [Option<i16>],
    writer: &mut Writer<'_>,
) -> Result<&'a [Option<i16>], WireError> {
    let first = statuses.first().map_or(NOT_RECEIVED, symbol_of);
    let run = statuses.iter().take(MAX_RUN).take_while(|status| symbol_of(status) == first).count();
    let one_bit = statuses.iter().take(14).all(|status| symbol_of(status) != LARGE_DELTA);
    let vector = if one_bit { 14 } else { 7 };
    let (word, covered) = if run >= vector.min(statuses.len()) {
        (first << 13 | u16::try_from(run).unwrap_or(0), run)
    } else {
        let (mark, width) = if one_bit { (0x8000, 1) } else { (0xc000, 2) };
        let word = statuses
            .iter()
            .take(vector)
            .enumerate()
            .fold(mark, |word, (index, status)| word | symbol_of(status) << (14 - width * (index + 1)));
        (word, vector.min(statuses.len()))
    };
    writer.u16(word)?;
    Ok(statuses.get(covered..).unwrap_or_default())
}

fn symbol_of(status: &Option<i16>) -> u16 {
    match status {
        None => NOT_RECEIVED,
        Some(0..=255) => SMALL_DELTA,
        Some(_) => LARGE_DELTA,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    fn feedback(statuses: &[Option<i16>]) -> TransportFeedback<'_> {
        TransportFeedback {
            sender_ssrc: Ssrc(1),
            media_ssrc: Ssrc(2),
            base: 65_530,
            reference_time: 0xab_cdef,
            count: 9,
            statuses,
        }
    }

    fn read(packet: &[u8]) -> Result<TransportFeedbackView<'_>, WireError> {
        match packets(packet).next() {
            Some(Ok(RtcpPacket::TransportFeedback(view))) => Ok(view),
            Some(Err(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// A packet of the given chunks and deltas that claims `count` statuses.
    fn crafted(count: u16, chunks_and_deltas: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5];
        packet.extend(count.to_be_bytes());
        packet.extend([0, 0, 0, 0]);
        packet.extend(chunks_and_deltas);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet[3] = u8::try_from(packet.len() / 4 - 1).unwrap();
        packet
    }

    #[test]
    fn a_long_silence_is_one_chunk() {
        let mut statuses = vec![None; 1000];
        statuses.insert(0, Some(4));
        let mut out = [0; 64];
        let len = write_transport_feedback(&feedback(&statuses), &mut out).unwrap();
        assert_eq!(len, 28, "20 bytes of header, two chunks, one delta, aligned");
    }

    #[test]
    fn every_form_of_chunk_is_read() {
        // Sections 3.1.3 and 3.1.4: a run of 221 lost packets, and a vector of each width.
        let lost = crafted(221, &[0x00, 0xdd]);
        assert!(read(&lost).unwrap().statuses().all(|(_, status)| status.is_none()));
        let one_bit = crafted(14, &[0x9f, 0x1c, 1, 2, 3, 4, 5, 6, 7, 8]);
        let arrived: Vec<u16> = read(&one_bit)
            .unwrap()
            .statuses()
            .filter(|(_, status)| status.is_some())
            .map(|(n, _)| n)
            .collect();
        assert_eq!(arrived, [6, 7, 8, 9, 10, 14, 15, 16]);
        let two_bits = crafted(7, &[0xc5, 0x50, 1, 2, 3, 4]);
        let statuses: Vec<_> = read(&two_bits).unwrap().statuses().map(|(_, status)| status).collect();
        assert_eq!(statuses, [None, Some(1), Some(2), Some(3), Some(4), None, None]);
    }

    #[test]
    fn lies_are_refused() {
        let wrong = WireError::Value("transport feedback chunk");
        assert_eq!(read(&crafted(7, &[0xff, 0xff])).unwrap_err(), wrong, "reserved symbols in a vector");
        assert_eq!(read(&crafted(7, &[0x60, 0x07])).unwrap_err(), wrong, "a run of the reserved symbol");
        assert_eq!(read(&crafted(7, &[0, 0, 0, 0])).unwrap_err(), wrong, "runs of none");
        let cut = WireError::Truncated("transport feedback");
        assert_eq!(read(&crafted(200, &[0x20, 0xc8, 1, 1])).unwrap_err(), cut, "deltas that are not there");
        assert_eq!(read(&crafted(1, &[])).unwrap_err(), cut, "chunks that are not there");
        assert_eq!(
            read(&crafted(65_535, &[0x1f, 0xff])).unwrap_err(),
            WireError::Length("transport feedback")
        );
    }

    #[test]
    fn more_than_the_bound_is_not_written() {
        let mut out = [0; 100];
        for statuses in [vec![], vec![None; MAX_STATUSES + 1]] {
            let refused = write_transport_feedback(&feedback(&statuses), &mut out);
            assert_eq!(refused, Err(WireError::Length("transport feedback")));
        }
    }

    fn any_status() -> impl Strategy<Value = Vec<Option<i16>>> {
        let piece = (
            prop_oneof![Just(None), (0_i16..=255).prop_map(Some), any::<i16>().prop_map(Some)],
            prop_oneof![1_usize..4, 1_usize..40],
        );
        proptest::collection::vec(piece, 1..60)
            .prop_map(|pieces| pieces.into_iter().flat_map(|(status, count)| vec![status; count]).collect())
    }

    proptest! {
        #[test]
        fn statuses_read_back_as_they_were_written(statuses in any_status()) {
            let mut out = vec![0xff; 8_000];
            let len = write_transport_feedback(&feedback(&statuses), &mut out).unwrap();
            let view = read(&out[..len]).unwrap();
            prop_assert_eq!((view.base, view.reference_time, view.count), (65_530, 0xab_cdef, 9));
            let sequences: Vec<u16> = view.statuses().map(|(sequence, _)| sequence).collect();
            prop_assert_eq!(sequences.first(), Some(&65_530));
            prop_assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
            prop_assert_eq!(view.statuses().map(|(_, status)| status).collect::<Vec<_>>(), statuses);
        }

        #[test]
        fn any_chunks_are_read_or_refused(count in 0_u16..9_000, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(view) = read(&crafted(count, &bytes)) {
                prop_assert_eq!(view.statuses().count(), usize::from(count));
            }
        }
    }
}
