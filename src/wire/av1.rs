//! Keyframes in AV1 payloads (RTP Payload Format For AV1, version 1.0, section 4).

use super::bytes::Reader;

/// The OBU type of a sequence header, which stands before each keyframe.
const SEQUENCE_HEADER: u8 = 1;

/// Whether a decoder can start at this packet: it is marked as the first of a coded video sequence
/// (N), or a sequence header starts in it.
#[must_use]
pub fn is_keyframe(payload: &[u8]) -> bool {
    let Some((aggregation, elements)) = payload.split_first() else { return false };
    let continues = aggregation & 0x80 != 0;
    let starts_sequence = aggregation & 0x08 != 0;
    if elements.is_empty() {
        return false;
    }
    (starts_sequence && !continues) || has_sequence_header(elements, aggregation >> 4 & 3, continues)
}

/// Looks at the OBU elements until one is cut short. `count` is 0 if each has a length before it, else
/// the number of elements, of which the last has none.
fn has_sequence_header(elements: &[u8], count: u8, continues: bool) -> bool {
    let mut reader = Reader::new(elements, "AV1 OBU");
    let mut index = 0_u8;
    while !reader.is_empty() {
        index = index.saturating_add(1);
        let len = if index == count { Some(reader.len()) } else { leb128(&mut reader) };
        let Some(element) = len.and_then(|len| reader.take(len).ok()) else { return false };
        let is_start = index > 1 || !continues;
        if is_start && element.first().is_some_and(|header| header >> 3 == SEQUENCE_HEADER) {
            return true;
        }
        if index == count {
            return false;
        }
    }
    false
}

/// A length of at most eight bytes (AV1 specification section 4.10.5).
fn leb128(reader: &mut Reader<'_>) -> Option<usize> {
    let mut value = 0_u64;
    for index in 0..8 {
        let byte = reader.u8().ok()?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decoder_can_start_at_a_new_sequence() {
        for (payload, expected, why) in [
            (&[0x18, 0x32, 1][..], true, "N"),
            (&[0x98, 0x32, 1], false, "N on a packet that continues an OBU"),
            (&[0x08], false, "nothing but the header"),
            (&[0x10, 0x0a, 1], true, "one element, a sequence header"),
            (&[0x90, 0x0a, 1], false, "the rest of an OBU that began before"),
            (&[0x20, 2, 0x12, 0, 0x0a, 1], true, "the second of two"),
            (&[0x00, 2, 0x12, 0, 2, 0x0a, 1], true, "the second, all with lengths"),
            (&[0x00, 0x82, 0x00, 0x12, 0, 2, 0x0a, 1], true, "a length in two bytes"),
            (&[0x00, 2, 0x32, 0, 2, 0x32, 1], false, "frames only"),
            (&[0x10, 0x8a, 1], false, "the forbidden bit"),
            (&[0x00, 9, 0x0a], false, "cut short"),
            (&[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false, "a length without end"),
            (&[], false, "nothing"),
        ] {
            assert_eq!(is_keyframe(payload), expected, "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = is_keyframe(&bytes);
        }
    }
}
