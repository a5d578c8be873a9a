//! What a datagram is, by its first bytes.

/// The protocols that share one UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramKind {
    /// A STUN message (RFC 8489).
    Stun,
    /// One or more DTLS records (RFC 6347).
    Dtls,
    /// An SRTP packet (RFC 3711).
    Rtp,
    /// An SRTCP compound packet (RFC 3711).
    Rtcp,
}

/// A STUN header (RFC 8489 section 5).
const STUN_MIN: usize = 20;
/// A DTLS record header (RFC 6347 section 4.1).
const DTLS_MIN: usize = 13;
/// An RTP header without CSRCs (RFC 3550 section 5.1).
const RTP_MIN: usize = 12;
/// An RTCP header and its SSRC (RFC 3550 section 6.4).
const RTCP_MIN: usize = 8;

/// Tells what a datagram is (RFC 7983 section 7, RFC 5761 section 4), or `None` for what belongs to
/// none of the four or is too short for the header of its own kind. Nothing else is checked.
#[must_use]
pub fn classify(datagram: &[u8]) -> Option<DatagramKind> {
    let (first, second) = match datagram {
        [first, second, ..] => (*first, *second),
        _ => return None,
    };
    let (kind, least) = match (first, second) {
        (0..=3, _) => (DatagramKind::Stun, STUN_MIN),
        (20..=63, _) => (DatagramKind::Dtls, DTLS_MIN),
        (128..=191, 192..=223) => (DatagramKind::Rtcp, RTCP_MIN),
        (128..=191, _) => (DatagramKind::Rtp, RTP_MIN),
        _ => return None,
    };
    (datagram.len() >= least).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(first: u8, second: u8) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = first;
        bytes[1] = second;
        bytes
    }

    #[test]
    fn the_first_byte_tells_the_protocol() {
        for first in 0..=255 {
            let expected = match first {
                0..=3 => Some(DatagramKind::Stun),
                20..=63 => Some(DatagramKind::Dtls),
                128..=191 => Some(DatagramKind::Rtp),
                _ => None,
            };
            assert_eq!(classify(&datagram(first, 111)), expected, "{first}");
        }
    }

    #[test]
    fn the_second_byte_parts_rtcp_from_rtp() {
        for second in 0..=255 {
            let rtcp = (192..=223).contains(&second);
            let expected = if rtcp { DatagramKind::Rtcp } else { DatagramKind::Rtp };
            assert_eq!(classify(&datagram(0x80, second)), Some(expected), "{second}");
        }
    }

    #[test]
    fn too_short_is_nothing() {
        for (first, second, least) in [(0, 1, 20), (22, 254, 13), (0x80, 111, 12), (0x80, 200, 8)] {
            let bytes = datagram(first, second);
            assert!(classify(&bytes[..least]).is_some());
            assert_eq!(classify(&bytes[..least - 1]), None);
        }
        assert_eq!(classify(&[]), None);
    }
}
