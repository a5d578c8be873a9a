//! Sender and receiver reports (RFC 3550 section 6.4).

use super::{RECEIVER_REPORT, SENDER_REPORT, write_packet};
use crate::base::Ssrc;
use crate::wire::WireError;
use crate::wire::bytes::{Reader, Writer};

/// Bytes of one report block.
const BLOCK: usize = 24;
/// The count has five bits.
const MAX_BLOCKS: usize = 31;

/// What a sender says of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent, NTP 32.32 fixed point.
    pub ntp: u64,
    /// The same moment in the ticks of the stream.
    pub rtp_timestamp: u32,
    /// Packets sent since the stream began.
    pub packet_count: u32,
    /// Bytes of payload sent since the stream began.
    pub octet_count: u32,
}

/// What a receiver says of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: Ssrc,
    /// Packets lost since the last report, in 256ths of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the stream began; 24 bits signed, clamped when written.
    pub cumulative_lost: i32,
    /// The highest sequence number, with its cycles in the upper half.
    pub highest_sequence: u32,
    /// Interarrival jitter in ticks of the stream.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report; 0 if there was none.
    pub last_sender_report: u32,
    /// Since that report arrived, in 1/65536 s.
    pub delay: u32,
}

impl ReportBlock {
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            ssrc: Ssrc(reader.u32()?),
            fraction_lost: reader.u8()?,
            // Shifted up and down again, so that the sign of 24 bits becomes that of 32.
            cumulative_lost: (reader.u24()? << 8).cast_signed() >> 8,
            highest_sequence: reader.u32()?,
            jitter: reader.u32()?,
            last_sender_report: reader.u32()?,
            delay: reader.u32()?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), WireError> {
        writer.u32(self.ssrc.0)?;
        writer.u8(self.fraction_lost)?;
        writer.u24(self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned())?;
        writer.u32(self.highest_sequence)?;
        writer.u32(self.jitter)?;
        writer.u32(self.last_sender_report)?;
        writer.u32(self.delay)
    }
}

/// The blocks of a report.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a>(Reader<'a>);

impl<'a> ReportBlocks<'a> {
    fn read(count: u8, reader: &mut Reader<'a>, what: &'static str) -> Result<Self, WireError> {
        Ok(Self(Reader::new(reader.take(usize::from(count) * BLOCK)?, what)))
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        ReportBlock::read(&mut self.0).ok()
    }
}

/// A sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// Who reports, and the stream that `info` is about.
    pub sender_ssrc: Ssrc,
    /// What it sent.
    pub info: SenderInfo,
    blocks: ReportBlocks<'a>,
}

impl<'a> SenderReport<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body, "sender report");
        let sender_ssrc = Ssrc(reader.u32()?);
        let info = SenderInfo {
            ntp: reader.u64()?,
            rtp_timestamp: reader.u32()?,
            packet_count: reader.u32()?,
            octet_count: reader.u32()?,
        };
        let blocks = ReportBlocks::read(count, &mut reader, "sender report")?;
        Ok(Self { sender_ssrc, info, blocks })
    }

    /// What it received; at most 31.
    #[must_use]
    pub const fn blocks(&self) -> ReportBlocks<'a> {
        self.blocks
    }
}

/// A receiver report.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub sender_ssrc: Ssrc,
    blocks: ReportBlocks<'a>,
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body, "receiver report");
        let sender_ssrc = Ssrc(reader.u32()?);
        Ok(Self { sender_ssrc, blocks: ReportBlocks::read(count, &mut reader, "receiver report")? })
    }

    /// What it received; at most 31.
    #[must_use]
    pub const fn blocks(&self) -> ReportBlocks<'a> {
        self.blocks
    }
}

/// Writes a sender report and answers its length.
///
/// # Errors
/// More than 31 blocks; a buffer that is too small.
pub fn write_sender_report(
    sender_ssrc: Ssrc,
    info: &SenderInfo,
    blocks: &[ReportBlock],
    out: &mut [u8],
) -> Result<usize, WireError> {
    write_packet(SENDER_REPORT, block_count(blocks)?, out, |writer| {
        writer.u32(sender_ssrc.0)?;
        writer.u64(info.ntp)?;
        writer.u32(info.rtp_timestamp)?;
        writer.u32(info.packet_count)?;
        writer.u32(info.octet_count)?;
        blocks.iter().try_for_each(|block| block.write(writer))
    })
}

/// Writes a receiver report and answers its length.
///
/// # Errors
/// More than 31 blocks; a buffer that is too small.
pub fn write_receiver_report(
    sender_ssrc: Ssrc,
    blocks: &[ReportBlock],
    out: &mut [u8],
) -> Result<usize, WireError> {
    write_packet(RECEIVER_REPORT, block_count(blocks)?, out, |writer| {
        writer.u32(sender_ssrc.0)?;
        blocks.iter().try_for_each(|block| block.write(writer))
    })
}

fn block_count(blocks: &[ReportBlock]) -> Result<u8, WireError> {
    let count = u8::try_from(blocks.len()).ok().filter(|_| blocks.len() <= MAX_BLOCKS);
    count.ok_or(WireError::Length("report blocks"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    fn any_block() -> impl Strategy<Value = ReportBlock> {
        (any::<[u32; 5]>(), any::<u8>(), -0x80_0000_i32..=0x7f_ffff).prop_map(
            |(words, fraction_lost, lost)| {
                let [ssrc, highest_sequence, jitter, last_sender_report, delay] = words;
                ReportBlock {
                    ssrc: Ssrc(ssrc),
                    fraction_lost,
                    cumulative_lost: lost,
                    highest_sequence,
                    jitter,
                    last_sender_report,
                    delay,
                }
            },
        )
    }

    #[test]
    fn loss_is_clamped_to_24_bits() {
        for (lost, read) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-1, -1)] {
            let block = ReportBlock {
                ssrc: Ssrc(1),
                fraction_lost: 0,
                cumulative_lost: lost,
                highest_sequence: 0,
                jitter: 0,
                last_sender_report: 0,
                delay: 0,
            };
            let mut out = [0; 32];
            write_receiver_report(Ssrc(2), &[block], &mut out).unwrap();
            let Some(Ok(RtcpPacket::ReceiverReport(report))) = packets(&out).next() else { panic!() };
            assert_eq!(report.blocks().next().unwrap().cumulative_lost, read);
        }
    }

    #[test]
    fn a_report_has_at_most_31_blocks_and_all_that_it_claims() {
        let mut out = [0; 1000];
        let block = ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter: 0,
            last_sender_report: 0,
            delay: 0,
        };
        assert_eq!(
            write_receiver_report(Ssrc(2), &[block; 32], &mut out),
            Err(WireError::Length("report blocks"))
        );
        let len = write_receiver_report(Ssrc(2), &[block], &mut out).unwrap();
        out[0] = 0x82;
        assert!(matches!(packets(&out[..len]).next(), Some(Err(WireError::Truncated("receiver report")))));
    }

    proptest! {
        #[test]
        fn reports_read_back_as_they_were_written(
            ssrc in any::<u32>(), ntp in any::<u64>(), words in any::<[u32; 3]>(),
            blocks in proptest::collection::vec(any_block(), 0..=31),
        ) {
            let [rtp_timestamp, packet_count, octet_count] = words;
            let info = SenderInfo { ntp, rtp_timestamp, packet_count, octet_count };
            let mut out = [0xff; 2000];
            let first = write_sender_report(Ssrc(ssrc), &info, &blocks, &mut out).unwrap();
            let second = write_receiver_report(Ssrc(ssrc), &blocks, &mut out[first..]).unwrap();
            let mut read = packets(&out[..first + second]);
            let Some(Ok(RtcpPacket::SenderReport(sender))) = read.next() else { panic!() };
            let Some(Ok(RtcpPacket::ReceiverReport(receiver))) = read.next() else { panic!() };
            prop_assert_eq!((sender.sender_ssrc, sender.info), (Ssrc(ssrc), info));
            prop_assert_eq!(sender.blocks().collect::<Vec<_>>(), blocks.clone());
            prop_assert_eq!(receiver.sender_ssrc, Ssrc(ssrc));
            prop_assert_eq!(receiver.blocks().collect::<Vec<_>>(), blocks);
        }
    }
}
