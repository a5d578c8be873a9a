//! Source descriptions (RFC 3550 section 6.5), of which only the CNAME matters here.

use super::{SOURCE_DESCRIPTION, write_packet};
use crate::base::Ssrc;
use crate::wire::WireError;
use crate::wire::bytes::Reader;

const CNAME: u8 = 1;

/// A source description; only its first chunk is read, for a browser sends one.
#[derive(Clone, Copy, Debug)]
pub struct SdesView<'a> {
    cname: Option<(Ssrc, &'a [u8])>,
}

impl<'a> SdesView<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, WireError> {
        if count == 0 {
            return Ok(Self { cname: None });
        }
        let mut reader = Reader::new(body, "source description");
        let ssrc = Ssrc(reader.u32()?);
        loop {
            let item = reader.u8()?;
            if item == 0 {
                return Ok(Self { cname: None });
            }
            let len = reader.u8()?;
            let text = reader.take(usize::from(len))?;
            if item == CNAME {
                return Ok(Self { cname: Some((ssrc, text)) });
            }
        }
    }

    /// The source and its canonical name, in the sender's bytes.
    #[must_use]
    pub const fn cname(&self) -> Option<(Ssrc, &'a [u8])> {
        self.cname
    }
}

/// Writes a source description of one CNAME and answers its length.
///
/// # Errors
/// A name above 255 bytes; a buffer that is too small.
pub fn write_sdes_cname(ssrc: Ssrc, cname: &str, out: &mut [u8]) -> Result<usize, WireError> {
    let len = u8::try_from(cname.len()).map_err(|_| WireError::Length("CNAME"))?;
    write_packet(SOURCE_DESCRIPTION, 1, out, |writer| {
        writer.u32(ssrc.0)?;
        writer.put(&[CNAME, len])?;
        writer.put(cname.as_bytes())?;
        // The item list ends with a zero byte; alignment adds up to three more.
        writer.u8(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{RtcpPacket, packets};

    #[test]
    fn a_cname_of_any_length_reads_back() {
        for len in 0..=255 {
            let name = "n".repeat(len);
            let mut out = [0xff; 300];
            let written = write_sdes_cname(Ssrc(7), &name, &mut out).unwrap();
            let Some(Ok(RtcpPacket::Sdes(sdes))) = packets(&out[..written]).next() else { panic!() };
            assert_eq!(sdes.cname(), Some((Ssrc(7), name.as_bytes())));
        }
        assert!(write_sdes_cname(Ssrc(7), &"n".repeat(256), &mut [0; 300]).is_err());
    }

    #[test]
    fn other_items_are_passed_over() {
        let note_then_cname = [0x81, 202, 0, 4, 0, 0, 0, 9, 7, 3, b'a', b'b', b'c', 1, 1, b'x', 0, 0, 0, 0];
        let Some(Ok(RtcpPacket::Sdes(sdes))) = packets(&note_then_cname).next() else { panic!() };
        assert_eq!(sdes.cname(), Some((Ssrc(9), &b"x"[..])));
    }
}
