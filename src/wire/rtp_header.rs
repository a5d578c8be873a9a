//! RTP headers, written.

use super::WireError;
use super::bytes::Writer;
use super::rtp::{ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use crate::base::Ssrc;

/// The fields of an RTP header (RFC 3550 section 5.1) that a sender chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in ticks of the codec's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: Ssrc,
}

impl RtpHeader {
    /// Writes the header with `extensions`, each an id and its data, and answers its length, which
    /// is a multiple of four. One-byte extension headers are used where all ids and lengths allow,
    /// else two-byte ones (RFC 8285 section 4.1.2).
    ///
    /// # Errors
    /// A payload type above 127; an extension with id 0 or with more than 255 bytes; an extension
    /// block above 65,535 words; a buffer that is too small.
    pub fn write(&self, extensions: &[(u8, &[u8])], out: &mut [u8]) -> Result<usize, WireError> {
        if self.payload_type > 0x7f {
            return Err(WireError::Value("RTP payload type"));
        }
        let mut writer = Writer::new(out, "RTP header");
        let extended = if extensions.is_empty() { 0 } else { 0x10 };
        writer.u8(0x80 | extended)?;
        writer.u8(self.payload_type | u8::from(self.marker) << 7)?;
        writer.u16(self.sequence)?;
        writer.u32(self.timestamp)?;
        writer.u32(self.ssrc.0)?;
        if !extensions.is_empty() {
            write_extensions(extensions, &mut writer)?;
        }
        Ok(writer.len())
    }
}

fn write_extensions(extensions: &[(u8, &[u8])], writer: &mut Writer<'_>) -> Result<(), WireError> {
    let one_byte =
        extensions.iter().all(|(id, data)| (1..=14).contains(id) && (1..=16).contains(&data.len()));
    let start = writer.len();
    writer.u16(if one_byte { ONE_BYTE_PROFILE } else { TWO_BYTE_PROFILE })?;
    writer.u16(0)?;
    for (id, data) in extensions {
        if *id == 0 {
            return Err(WireError::Value("header extension id"));
        }
        let len = u8::try_from(data.len()).map_err(|_| WireError::Length("header extension"))?;
        if one_byte {
            writer.u8(id << 4 | len.saturating_sub(1))?;
        } else {
            writer.put(&[*id, len])?;
        }
        writer.put(data)?;
    }
    writer.align()?;
    let words = (writer.len() - start) / 4 - 1;
    let words = u16::try_from(words).map_err(|_| WireError::Length("header extension block"))?;
    writer.set_u16(start + 2, words)
}

/// Pads the RTP packet in the first `len` bytes of `packet` to `padded_len` bytes (RFC 3550 section
/// 5.1), so that the packets of one run are of one size. The packet must not be padded yet. Equal
/// lengths leave it as it is.
///
/// # Errors
/// `padded_len` below `len` or more than 255 above it; a buffer that is too small.
pub fn pad(packet: &mut [u8], len: usize, padded_len: usize) -> Result<(), WireError> {
    let count = padded_len.checked_sub(len).ok_or(WireError::Length("RTP padding"))?;
    let count = u8::try_from(count).map_err(|_| WireError::Length("RTP padding"))?;
    if count == 0 {
        return Ok(());
    }
    let no_space = WireError::NoSpace("RTP padding");
    let padding = packet.get_mut(len..padded_len).ok_or(no_space)?;
    padding.fill(0);
    *padding.last_mut().ok_or(no_space)? = count;
    *packet.first_mut().ok_or(no_space)? |= 0x20;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::rtp::RtpView;

    const HEADER: RtpHeader = RtpHeader {
        payload_type: 96,
        marker: true,
        sequence: 65_535,
        timestamp: 90_000,
        ssrc: Ssrc(0xdead_beef),
    };

    #[test]
    fn short_extensions_take_one_byte_headers() {
        let mut out = [0xff; 64];
        let len = HEADER.write(&[(1, &[9]), (14, &[7; 16])], &mut out).unwrap();
        assert_eq!((len, &out[12..14]), (36, &[0xbe, 0xde][..]));
    }

    #[test]
    fn one_long_high_or_empty_extension_makes_all_two_byte() {
        for odd in [(2, &[0; 17][..]), (15, &[0; 1][..]), (3, &[][..])] {
            let mut out = [0xff; 64];
            let len = HEADER.write(&[(1, &[9]), odd], &mut out).unwrap();
            assert_eq!(out[12..14], [0x10, 0x00]);
            let view = RtpView::parse(&out[..len]).unwrap();
            assert_eq!(view.extensions().collect::<Vec<_>>(), [(1, &[9][..]), odd]);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut out = [0; 64];
        assert_eq!(HEADER.write(&[], &mut out[..11]), Err(WireError::NoSpace("RTP header")));
        assert_eq!(HEADER.write(&[(0, &[1])], &mut out), Err(WireError::Value("header extension id")));
        assert_eq!(HEADER.write(&[(1, &[0; 256])], &mut out), Err(WireError::Length("header extension")));
        let wrong = RtpHeader { payload_type: 128, ..HEADER };
        assert_eq!(wrong.write(&[], &mut out), Err(WireError::Value("RTP payload type")));
    }

    #[test]
    fn a_padded_packet_has_the_payload_it_had() {
        let mut packet = [0xee; 400];
        let len = HEADER.write(&[], &mut packet).unwrap() + 10;
        pad(&mut packet, len, len).unwrap();
        assert_eq!(RtpView::parse(&packet[..len]).unwrap().padding_len(), 0);
        pad(&mut packet, len, len + 255).unwrap();
        let view = RtpView::parse(&packet[..len + 255]).unwrap();
        assert_eq!((view.padding_len(), view.payload()), (255, &[0xee; 10][..]));
        assert_eq!(pad(&mut packet, len, len - 1), Err(WireError::Length("RTP padding")));
        assert_eq!(pad(&mut packet, len, len + 256), Err(WireError::Length("RTP padding")));
    }

    proptest! {
        #[test]
        fn a_header_reads_back_as_it_was_written(
            payload_type in 0_u8..=127, marker in any::<bool>(), sequence in any::<u16>(), timestamp in any::<u32>(),
            ssrc in any::<u32>(),
            extensions in proptest::collection::vec((1_u8..=20, proptest::collection::vec(any::<u8>(), 0..20)), 0..6),
        ) {
            let header = RtpHeader { payload_type, marker, sequence, timestamp, ssrc: Ssrc(ssrc) };
            let extensions: Vec<(u8, &[u8])> = extensions.iter().map(|(id, data)| (*id, &data[..])).collect();
            let mut out = [0xff; 400];
            let len = header.write(&extensions, &mut out).unwrap();
            out[len] = 0x55;
            let view = RtpView::parse(&out[..=len]).unwrap();
            prop_assert_eq!(view.header(), header);
            prop_assert_eq!(view.header_len(), len);
            prop_assert_eq!(view.payload(), &[0x55]);
            prop_assert_eq!(view.extensions().collect::<Vec<_>>(), extensions);
        }
    }
}
