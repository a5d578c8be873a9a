//! Requests for a keyframe: PLI (RFC 4585 section 6.3.1) and FIR (RFC 5104 section 4.3.1).

use super::{FORMAT_FIR, FORMAT_PLI, PAYLOAD_FEEDBACK, feedback_ssrcs, write_packet};
use crate::base::Ssrc;
use crate::wire::WireError;
use crate::wire::bytes::Reader;

/// A picture loss indication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PliView {
    /// Who asks.
    pub sender_ssrc: Ssrc,
    /// The stream that lost its picture.
    pub media_ssrc: Ssrc,
}

impl PliView {
    pub(super) fn read(body: &[u8]) -> Result<Self, WireError> {
        let (sender_ssrc, media_ssrc) = feedback_ssrcs(&mut Reader::new(body, "PLI"))?;
        Ok(Self { sender_ssrc, media_ssrc })
    }
}

/// A full intra request.
#[derive(Clone, Copy, Debug)]
pub struct FirView<'a> {
    /// Who asks.
    pub sender_ssrc: Ssrc,
    entries: &'a [u8],
}

impl<'a> FirView<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body, "FIR");
        let (sender_ssrc, _unused) = feedback_ssrcs(&mut reader)?;
        Ok(Self { sender_ssrc, entries: reader.rest() })
    }

    /// The streams asked of, each with the request's number: a number seen before is a repetition.
    pub fn entries(&self) -> impl Iterator<Item = (Ssrc, u8)> + use<'a> {
        let entries = self.entries.as_chunks::<8>().0.iter();
        entries.map(|[a, b, c, d, number, ..]| (Ssrc(u32::from_be_bytes([*a, *b, *c, *d])), *number))
    }
}

/// Writes a PLI and answers its length.
///
/// # Errors
/// A buffer that is too small.
pub fn write_pli(sender_ssrc: Ssrc, media_ssrc: Ssrc, out: &mut [u8]) -> Result<usize, WireError> {
    write_packet(PAYLOAD_FEEDBACK, FORMAT_PLI, out, |writer| {
        writer.u32(sender_ssrc.0)?;
        writer.u32(media_ssrc.0)
    })
}

/// Writes a FIR and answers its length. Each entry is a stream and the request's number.
///
/// # Errors
/// A buffer that is too small.
pub fn write_fir(sender_ssrc: Ssrc, entries: &[(Ssrc, u8)], out: &mut [u8]) -> Result<usize, WireError> {
    write_packet(PAYLOAD_FEEDBACK, FORMAT_FIR, out, |writer| {
        writer.u32(sender_ssrc.0)?;
        writer.u32(0)?;
        for (ssrc, number) in entries {
            writer.u32(ssrc.0)?;
            writer.put(&[*number, 0, 0, 0])?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    #[test]
    fn requests_read_back_from_one_compound() {
        let mut out = [0xff; 64];
        let first = write_pli(Ssrc(1), Ssrc(2), &mut out).unwrap();
        let asked = [(Ssrc(3), 255), (Ssrc(4), 0)];
        let second = write_fir(Ssrc(1), &asked, &mut out[first..]).unwrap();
        let mut read = packets(&out[..first + second]);
        let expected = PliView { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(2) };
        assert!(matches!(read.next(), Some(Ok(RtcpPacket::Pli(pli))) if pli == expected));
        let Some(Ok(RtcpPacket::Fir(fir))) = read.next() else { panic!() };
        assert_eq!(fir.entries().collect::<Vec<_>>(), asked);
        assert!(read.next().is_none());
    }
}
