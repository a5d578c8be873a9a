//! The few header fields that SRTP needs, read from packets that may be hostile.
//!
//! The rest of the packet may be encrypted, so padding and the like cannot be looked at here.

const FIXED_RTP_HEADER: usize = 12;

/// The fixed part of the first RTCP header, which SRTCP never encrypts (RFC 3711 section 3.4).
pub(super) const RTCP_HEADER: usize = 8;

/// What SRTP reads of an RTP header.
#[derive(Clone, Copy)]
pub(super) struct RtpFields {
    /// Length with contributing sources and the extension block: what is not encrypted.
    pub(super) header_len: usize,
    pub(super) sequence: u16,
    pub(super) ssrc: u32,
}

/// Reads an RTP header (RFC 3550 section 5.1); `None` if the packet is shorter than it says.
pub(super) fn rtp_fields(packet: &[u8]) -> Option<RtpFields> {
    let first = *packet.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let sources = usize::from(first & 0x0f);
    let has_extension = first & 0x10 != 0;
    let mut header_len = FIXED_RTP_HEADER + 4 * sources;
    if has_extension {
        let words = u16_at(packet, header_len + 2)?;
        header_len += 4 + 4 * usize::from(words);
    }
    let fields = RtpFields { header_len, sequence: u16_at(packet, 2)?, ssrc: u32_at(packet, 8)? };
    (packet.len() >= header_len).then_some(fields)
}

/// The SSRC of the sender of a compound RTCP packet (RFC 3550 section 6.1).
pub(super) fn rtcp_sender(packet: &[u8]) -> Option<u32> {
    if packet.first()? >> 6 != 2 {
        return None;
    }
    u32_at(packet, 4)
}

/// The big-endian number of 32 bits at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}
