//! RTCP packets (RFC 3550 section 6, RFC 4585, RFC 5104): views over a compound, and writers.

mod arrivals;
mod bye;
mod keyframe_request;
mod nack;
mod remb;
mod report;
mod sdes;
mod transport_feedback;

pub use arrivals::Arrivals;
pub use bye::{ByeView, write_bye};
pub use keyframe_request::{FirView, PliView, write_fir, write_pli};
pub use nack::{NackView, write_nack};
pub use remb::RembView;
pub use report::{
    ReceiverReport, ReportBlock, ReportBlocks, SenderInfo, SenderReport, write_receiver_report,
    write_sender_report,
};
pub use sdes::{SdesView, write_sdes_cname};
pub use transport_feedback::{
    MAX_STATUSES, TransportFeedback, TransportFeedbackView, TransportStatuses, write_transport_feedback,
};

use super::WireError;
use super::bytes::{Reader, Writer};
use crate::base::Ssrc;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

const FORMAT_NACK: u8 = 1;
const FORMAT_TRANSPORT_CC: u8 = 15;
const FORMAT_PLI: u8 = 1;
const FORMAT_FIR: u8 = 4;
const FORMAT_APPLICATION: u8 = 15;

/// The most packets that are read of one compound. A browser sends fewer than ten; a datagram of
/// 1,500 bytes could name 375 and cost that many parses.
pub const MAX_PACKETS: usize = 64;

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum RtcpPacket<'a> {
    /// RFC 3550 section 6.4.1.
    SenderReport(SenderReport<'a>),
    /// RFC 3550 section 6.4.2.
    ReceiverReport(ReceiverReport<'a>),
    /// RFC 3550 section 6.5.
    Sdes(SdesView<'a>),
    /// RFC 3550 section 6.6.
    Bye(ByeView<'a>),
    /// RFC 4585 section 6.2.1.
    Nack(NackView<'a>),
    /// RFC 4585 section 6.3.1.
    Pli(PliView),
    /// RFC 5104 section 4.3.1.
    Fir(FirView<'a>),
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
    TransportFeedback(TransportFeedbackView<'a>),
    /// draft-alvestrand-rmcat-remb-03.
    Remb(RembView<'a>),
    /// Anything else; its length is checked, its content is not.
    Other {
        /// The packet type, 192..=223 in what a demultiplexer lets through.
        packet_type: u8,
        /// The five bits that hold a count, a subtype or a feedback format.
        count: u8,
    },
}

/// The packets of a compound in plaintext, reduced-size ones (RFC 5506) included.
///
/// A packet whose content is malformed is an error of its own and the next one follows. A broken
/// header is the last item, for where the next packet starts is then unknown; so is the
/// [`MAX_PACKETS`]th-and-first packet.
#[must_use]
pub const fn packets(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound, left: MAX_PACKETS }
}

/// Iterator of [`packets`].
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<RtcpPacket<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(left) = self.left.checked_sub(1) else {
            self.rest = &[];
            return Some(Err(WireError::Length("RTCP compound")));
        };
        self.left = left;
        match split(self.rest) {
            Ok((packet, rest)) => {
                self.rest = rest;
                Some(packet.and_then(read))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

struct RawPacket<'a> {
    count: u8,
    packet_type: u8,
    body: &'a [u8],
}

type Split<'a> = (Result<RawPacket<'a>, WireError>, &'a [u8]);

/// Takes the first packet off: an outer error means that the end of the packet is unknown, an inner
/// one that only its padding is wrong.
fn split(bytes: &[u8]) -> Result<Split<'_>, WireError> {
    let mut reader = Reader::new(bytes, "RTCP packet");
    let ([first, packet_type], words) = (reader.array()?, reader.u16()?);
    if first >> 6 != 2 {
        return Err(WireError::Value("RTCP version"));
    }
    let body = reader.take(usize::from(words) * 4)?;
    let unpadded = if first & 0x20 == 0 { Ok(body) } else { without_padding(body) };
    let packet = unpadded.map(|body| RawPacket { count: first & 0x1f, packet_type, body });
    Ok((packet, reader.rest()))
}

/// Padding fills up whole words (RFC 3550 section 6.4.1), but for libwebrtc: its transport feedback counts only the
/// one to three bytes that the last word lacked.
fn without_padding(body: &[u8]) -> Result<&[u8], WireError> {
    let count = body.last().copied().ok_or(WireError::Truncated("RTCP padding"))?;
    if count == 0 {
        return Err(WireError::Value("RTCP padding"));
    }
    let kept = body.len().checked_sub(usize::from(count));
    kept.and_then(|kept| body.get(..kept)).ok_or(WireError::Length("RTCP padding"))
}

fn read(packet: RawPacket<'_>) -> Result<RtcpPacket<'_>, WireError> {
    let RawPacket { count, packet_type, body } = packet;
    Ok(match (packet_type, count) {
        (SENDER_REPORT, _) => RtcpPacket::SenderReport(SenderReport::read(count, body)?),
        (RECEIVER_REPORT, _) => RtcpPacket::ReceiverReport(ReceiverReport::read(count, body)?),
        (SOURCE_DESCRIPTION, _) => RtcpPacket::Sdes(SdesView::read(count, body)?),
        (BYE, _) => RtcpPacket::Bye(ByeView::read(count, body)?),
        (TRANSPORT_FEEDBACK, FORMAT_NACK) => RtcpPacket::Nack(NackView::read(body)?),
        (TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_CC) => {
            RtcpPacket::TransportFeedback(TransportFeedbackView::read(body)?)
        }
        (PAYLOAD_FEEDBACK, FORMAT_PLI) => RtcpPacket::Pli(PliView::read(body)?),
        (PAYLOAD_FEEDBACK, FORMAT_FIR) => RtcpPacket::Fir(FirView::read(body)?),
        (PAYLOAD_FEEDBACK, FORMAT_APPLICATION) => match RembView::read(body)? {
            Some(remb) => RtcpPacket::Remb(remb),
            None => RtcpPacket::Other { packet_type, count },
        },
        _ => RtcpPacket::Other { packet_type, count },
    })
}

/// Writes a packet: header, whatever `body` writes, zeros up to a whole word. Answers its length.
fn write_packet(
    packet_type: u8,
    count: u8,
    out: &mut [u8],
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
) -> Result<usize, WireError> {
    let mut writer = Writer::new(out, "RTCP packet");
    writer.put(&[0x80 | count, packet_type, 0, 0])?;
    body(&mut writer)?;
    writer.align()?;
    let words = (writer.len() / 4).saturating_sub(1);
    writer.set_u16(2, u16::try_from(words).map_err(|_| WireError::Length("RTCP packet"))?)?;
    Ok(writer.len())
}

/// The two SSRCs at the front of every feedback packet (RFC 4585 section 6.1).
fn feedback_ssrcs(reader: &mut Reader<'_>) -> Result<(Ssrc, Ssrc), WireError> {
    Ok((Ssrc(reader.u32()?), Ssrc(reader.u32()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads every field of every packet.
    fn exhaust(compound: &[u8]) -> usize {
        packets(compound)
            .map(|packet| match packet {
                Ok(RtcpPacket::SenderReport(report)) => report.blocks().count(),
                Ok(RtcpPacket::ReceiverReport(report)) => report.blocks().count(),
                Ok(RtcpPacket::Sdes(sdes)) => sdes.cname().map_or(0, |(_, name)| name.len()),
                Ok(RtcpPacket::Bye(bye)) => bye.ssrcs().count(),
                Ok(RtcpPacket::Nack(nack)) => nack.sequences().count(),
                Ok(RtcpPacket::Fir(fir)) => fir.entries().count(),
                Ok(RtcpPacket::TransportFeedback(feedback)) => feedback.statuses().count(),
                Ok(RtcpPacket::Remb(remb)) => remb.ssrcs().count(),
                Ok(RtcpPacket::Pli(_) | RtcpPacket::Other { .. }) | Err(_) => 0,
            })
            .sum()
    }

    #[test]
    fn a_malformed_packet_does_not_hide_the_next() {
        let mut compound = vec![0x81, SENDER_REPORT, 0, 1, 0, 0, 0, 1];
        let mut pli = [0; 12];
        write_pli(Ssrc(1), Ssrc(2), &mut pli).unwrap();
        compound.extend(pli);
        let mut read = packets(&compound);
        assert!(matches!(read.next(), Some(Err(WireError::Truncated("sender report")))));
        assert!(matches!(read.next(), Some(Ok(RtcpPacket::Pli(pli))) if pli.media_ssrc == Ssrc(2)));
        assert!(read.next().is_none());
    }

    #[test]
    fn a_broken_header_is_the_last_item() {
        for broken in [&[0x80, 200, 0][..], &[0x80, 200, 0, 9, 0, 0, 0, 0], &[0x40, 200, 0, 0]] {
            let mut read = packets(broken);
            assert!(matches!(read.next(), Some(Err(_))));
            assert!(read.next().is_none());
        }
    }

    #[test]
    fn a_compound_is_read_up_to_its_bound() {
        let compound: Vec<u8> = [0x80, 207, 0, 0].repeat(MAX_PACKETS + 5);
        let read: Vec<_> = packets(&compound).collect();
        assert_eq!(read.len(), MAX_PACKETS + 1);
        assert!(matches!(read.last(), Some(Err(WireError::Length("RTCP compound")))));
    }

    #[test]
    fn padding_is_taken_off_the_body() {
        let padded = [0xa1, BYE, 0, 2, 0, 0, 0, 5, 0, 0, 0, 4];
        assert!(
            matches!(packets(&padded).next(), Some(Ok(RtcpPacket::Bye(bye))) if bye.ssrcs().count() == 1)
        );
        for count in (0..=255).filter(|count| !(1..=4).contains(count)) {
            let mut wrong = padded;
            wrong[11] = count;
            assert!(matches!(packets(&wrong).next(), Some(Err(_))), "{count}");
        }
    }

    #[test]
    fn browsers_pad_feedback_by_less_than_a_word() {
        // So many packets came, each 1 ms after the one before.
        for (came, padding) in [(1, &[1][..]), (4, &[0, 2]), (3, &[0, 0, 3])] {
            let mut feedback = vec![0xaf, TRANSPORT_FEEDBACK, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, came];
            feedback.extend([0, 0, 7, 3, 0x20, came]);
            feedback.extend(std::iter::repeat_n(4, came.into()));
            feedback.extend(padding);
            feedback[3] = u8::try_from(feedback.len() / 4 - 1).unwrap();
            let Some(Ok(RtcpPacket::TransportFeedback(view))) = packets(&feedback).next() else {
                panic!("{feedback:?}")
            };
            assert!(view.statuses().eq((9..9 + u16::from(came)).map(|number| (number, Some(4)))));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            exhaust(&bytes);
        }

        #[test]
        fn any_body_of_a_known_packet_is_read_or_refused(
            packet_type in 199_u8..=208, count in 0_u8..64, body in proptest::collection::vec(any::<u32>(), 0..40),
        ) {
            let mut compound = vec![0x80 | count, packet_type];
            compound.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
            compound.extend(body.iter().flat_map(|word| word.to_be_bytes()));
            exhaust(&compound);
        }
    }
}
