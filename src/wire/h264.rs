//! Keyframes in H.264 payloads (RFC 6184).

use super::bytes::Reader;

/// A slice of an IDR picture.
const IDR: u8 = 5;
/// A sequence parameter set, which encoders send before each IDR picture.
const SPS: u8 = 7;
/// Several NAL units in one packet.
const STAP_A: u8 = 24;
/// A piece of a NAL unit.
const FU_A: u8 = 28;

/// Whether a decoder can start at this packet: it holds an SPS or the start of an IDR slice, alone,
/// in an aggregate (STAP-A) or as a first fragment (FU-A).
#[must_use]
pub fn is_keyframe(payload: &[u8]) -> bool {
    let Some((first, rest)) = payload.split_first() else { return false };
    match first & 0x1f {
        IDR | SPS => true,
        STAP_A => aggregate_has_key(rest),
        FU_A => rest.first().is_some_and(|header| header & 0x80 != 0 && is_key(*header)),
        _ => false,
    }
}

const fn is_key(nal_header: u8) -> bool {
    matches!(nal_header & 0x1f, IDR | SPS)
}

/// Looks at NAL units until one is cut short.
fn aggregate_has_key(units: &[u8]) -> bool {
    let mut reader = Reader::new(units, "STAP-A");
    while let Ok(unit) = reader.u16().and_then(|len| reader.take(usize::from(len))) {
        if unit.first().is_some_and(|header| is_key(*header)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decoder_can_start_at_idr_or_sps() {
        for (payload, expected) in [
            (&[0x65, 1, 2][..], true),
            (&[0x67, 1], true),
            (&[0x68, 1], false),
            (&[0x41, 1], false),
            (&[0x78, 0, 1, 0x09, 0, 2, 0x67, 1], true),
            (&[0x78, 0, 1, 0x09, 0, 2, 0x68, 1], false),
            (&[0x78, 0, 0, 0, 1, 0x65], true),
            (&[0x78, 0, 9, 0x67], false),
            (&[0x7c, 0x85, 1], true),
            (&[0x7c, 0x05, 1], false),
            (&[0x7c, 0x81, 1], false),
            (&[0x7c], false),
            (&[], false),
        ] {
            assert_eq!(is_keyframe(payload), expected, "{payload:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_aggregate_is_read(mut bytes in proptest::collection::vec(any::<u8>(), 1..60)) {
            let _ = is_keyframe(&bytes);
            bytes[0] = 0x78;
            let _ = is_keyframe(&bytes);
        }
    }
}
