//! Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03).

use super::bye::ssrcs;
use super::feedback_ssrcs;
use crate::base::Ssrc;
use crate::wire::WireError;
use crate::wire::bytes::Reader;

/// What a receiver believes its path can carry.
#[derive(Clone, Copy, Debug)]
pub struct RembView<'a> {
    /// Who estimates.
    pub sender_ssrc: Ssrc,
    /// Bits per second, as claimed: up to 2^81 can be written, which is read as `u64::MAX`.
    pub bitrate: u64,
    ssrcs: &'a [u8],
}

impl<'a> RembView<'a> {
    /// `None` for an application's feedback of another name.
    pub(super) fn read(body: &'a [u8]) -> Result<Option<Self>, WireError> {
        let mut reader = Reader::new(body, "REMB");
        let (sender_ssrc, _unused) = feedback_ssrcs(&mut reader)?;
        if reader.array()? != *b"REMB" {
            return Ok(None);
        }
        let (count, rate) = (reader.u8()?, reader.u24()?);
        let (exponent, mantissa) = (rate >> 18, u64::from(rate & 0x3_ffff));
        let bitrate = if mantissa.leading_zeros() >= exponent { mantissa << exponent } else { u64::MAX };
        Ok(Some(Self { sender_ssrc, bitrate, ssrcs: reader.take(usize::from(count) * 4)? }))
    }

    /// The streams that the estimate is about; at most 255.
    pub fn ssrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        ssrcs(self.ssrcs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    fn remb(count: u8, rate: [u8; 3], ssrcs: u8) -> Vec<u8> {
        let mut packet = vec![0x8f, 206, 0, 4 + ssrcs, 0, 0, 0, 1, 0, 0, 0, 0];
        packet.extend(b"REMB");
        packet.push(count);
        packet.extend(rate);
        (0..ssrcs).for_each(|ssrc| packet.extend([0, 0, 0, ssrc]));
        packet
    }

    fn bitrate(rate: [u8; 3]) -> u64 {
        match packets(&remb(0, rate, 0)).next() {
            Some(Ok(RtcpPacket::Remb(remb))) => remb.bitrate,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_rate_has_mantissa_and_exponent() {
        assert_eq!(bitrate([0, 0, 9]), 9);
        assert_eq!(bitrate([1 << 2, 0, 9]), 18);
        assert_eq!(bitrate([0xff, 0xff, 0xff]), u64::MAX);
        assert_eq!(bitrate([63 << 2, 0, 1]), 1 << 63);
        assert_eq!(bitrate([63 << 2, 0, 0]), 0);
    }

    #[test]
    fn it_must_hold_the_streams_it_counts() {
        let whole = remb(3, [0; 3], 3);
        let Some(Ok(RtcpPacket::Remb(read))) = packets(&whole).next() else { panic!() };
        assert_eq!(read.ssrcs().collect::<Vec<_>>(), [Ssrc(0), Ssrc(1), Ssrc(2)]);
        assert!(matches!(packets(&remb(255, [0; 3], 3)).next(), Some(Err(WireError::Truncated("REMB")))));
    }

    #[test]
    fn other_applications_are_let_alone() {
        let mut packet = remb(0, [0; 3], 0);
        packet[12] = b'X';
        assert!(matches!(
            packets(&packet).next(),
            Some(Ok(RtcpPacket::Other { packet_type: 206, count: 15 }))
        ));
    }
}
