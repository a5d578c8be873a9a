//! BYE (RFC 3550 section 6.6).

use super::{BYE, write_packet};
use crate::base::Ssrc;
use crate::wire::WireError;
use crate::wire::bytes::Reader;

/// Streams that ended; a reason is not read.
#[derive(Clone, Copy, Debug)]
pub struct ByeView<'a> {
    ssrcs: &'a [u8],
}

impl<'a> ByeView<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, WireError> {
        Ok(Self { ssrcs: Reader::new(body, "BYE").take(usize::from(count) * 4)? })
    }

    /// The streams; at most 31.
    pub fn ssrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        ssrcs(self.ssrcs)
    }
}

/// The SSRCs in `bytes`, four bytes each.
pub(super) fn ssrcs(bytes: &[u8]) -> impl Iterator<Item = Ssrc> + use<'_> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| Ssrc(u32::from_be_bytes(*chunk)))
}

/// Writes a BYE and answers its length.
///
/// # Errors
/// More than 31 streams; a buffer that is too small.
pub fn write_bye(ssrcs: &[Ssrc], out: &mut [u8]) -> Result<usize, WireError> {
    let count =
        u8::try_from(ssrcs.len()).ok().filter(|count| *count <= 31).ok_or(WireError::Length("BYE"))?;
    write_packet(BYE, count, out, |writer| ssrcs.iter().try_for_each(|ssrc| writer.u32(ssrc.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    #[test]
    fn a_bye_reads_back() {
        let gone = [Ssrc(1), Ssrc(u32::MAX)];
        let mut out = [0; 16];
        let len = write_bye(&gone, &mut out).unwrap();
        let Some(Ok(RtcpPacket::Bye(bye))) = packets(&out[..len]).next() else { panic!() };
        assert_eq!(bye.ssrcs().collect::<Vec<_>>(), gone);
        assert_eq!(write_bye(&[Ssrc(0); 32], &mut [0; 200]), Err(WireError::Length("BYE")));
    }

    #[test]
    fn a_bye_must_hold_the_streams_it_counts() {
        assert!(matches!(
            packets(&[0x82, BYE, 0, 1, 0, 0, 0, 1]).next(),
            Some(Err(WireError::Truncated("BYE")))
        ));
    }
}
