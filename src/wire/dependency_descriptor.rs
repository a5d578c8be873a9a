//! The dependency descriptor header extension (RTP Payload Format For AV1, version 1.0, appendix A),
//! which says what a frame is even where its payload cannot be read.

use super::WireError;
use super::bytes::Reader;

/// Bytes that every descriptor has.
const MANDATORY: usize = 3;

/// What a descriptor says of its packet. Templates are named, not resolved: only a receiver that
/// chooses layers needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Whether the packet is the first of its frame.
    pub first_in_frame: bool,
    /// Whether the packet is the last of its frame.
    pub last_in_frame: bool,
    /// The template that the frame follows, 0..=63.
    pub template_id: u8,
    /// The number of the frame.
    pub frame_number: u16,
    /// Whether a template structure is attached: encoders do so with each keyframe.
    pub structure_attached: bool,
    /// Whether the set of active decode targets is attached.
    pub active_decode_targets_attached: bool,
}

impl Descriptor {
    /// Reads the data of the extension.
    ///
    /// # Errors
    /// Fewer than three bytes.
    pub fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(data, "dependency descriptor");
        let (first, frame_number) = (reader.u8()?, reader.u16()?);
        // The flags of the extended part: structure, decode targets, three more of no interest here.
        let flags = reader.u8().unwrap_or(0);
        Ok(Self {
            first_in_frame: first & 0x80 != 0,
            last_in_frame: first & 0x40 != 0,
            template_id: first & 0x3f,
            frame_number,
            structure_attached: flags & 0x80 != 0,
            active_decode_targets_attached: flags & 0x40 != 0,
        })
    }

    /// Whether the packet starts a keyframe: the first of its frame, with a structure.
    #[must_use]
    pub const fn is_keyframe(&self) -> bool {
        self.first_in_frame && self.structure_attached
    }
}

/// Puts another frame number into the data of the extension.
///
/// # Errors
/// Fewer than three bytes; `data` is then as it was.
pub fn set_frame_number(data: &mut [u8], frame_number: u16) -> Result<(), WireError> {
    let mandatory =
        data.first_chunk_mut::<MANDATORY>().ok_or(WireError::Truncated("dependency descriptor"))?;
    let ([_, number @ ..], bytes) = (mandatory, frame_number.to_be_bytes());
    *number = bytes;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first packet of a keyframe: a structure begins in the fourth byte.
    const KEYFRAME: [u8; 8] = [0x80, 0x12, 0x34, 0x80, 0x01, 0x1e, 0xa8, 0x51];

    #[test]
    fn a_structure_on_a_first_packet_is_a_keyframe() {
        let read = Descriptor::parse(&KEYFRAME).unwrap();
        assert!(read.is_keyframe() && !read.last_in_frame && !read.active_decode_targets_attached);
        assert_eq!((read.frame_number, read.template_id), (0x1234, 0));
        for (at, bit, why) in [(0, 0x80, "not the first packet"), (3, 0x80, "no structure")] {
            let mut other = KEYFRAME;
            other[at] ^= bit;
            assert!(!Descriptor::parse(&other).unwrap().is_keyframe(), "{why}");
        }
        assert!(!Descriptor::parse(&KEYFRAME[..3]).unwrap().is_keyframe());
    }

    #[test]
    fn a_template_that_nobody_declared_is_only_a_number() {
        let read = Descriptor::parse(&[0xff, 0, 1]).unwrap();
        assert_eq!((read.template_id, read.frame_number), (63, 1));
        assert!(read.first_in_frame && read.last_in_frame && !read.is_keyframe());
    }

    proptest! {
        #[test]
        fn a_frame_number_changes_and_nothing_else(
            mut data in proptest::collection::vec(any::<u8>(), 0..12), number in any::<u16>(),
        ) {
            let before = data.clone();
            match set_frame_number(&mut data, number) {
                Ok(()) => {
                    let expected = Descriptor { frame_number: number, ..Descriptor::parse(&before).unwrap() };
                    prop_assert_eq!(Descriptor::parse(&data), Ok(expected));
                    prop_assert_eq!((data[0], &data[3..]), (before[0], &before[3..]));
                }
                Err(_) => prop_assert!(before.len() < 3 && data == before),
            }
        }
    }
}
