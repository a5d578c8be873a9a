//! The front of the VP9 payload descriptor (RFC 9628 section 4.2).

use super::WireError;
use super::bytes::Reader;

/// What a packet says of its frame, up to the layer indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Whether the frame is predicted from other pictures.
    pub inter_picture: bool,
    /// Whether the packet is the first of its frame.
    pub start_of_frame: bool,
    /// Whether the packet is the last of its frame.
    pub end_of_frame: bool,
    /// The picture's number, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// The temporal layer, 0..=7.
    pub temporal_layer: Option<u8>,
    /// The spatial layer, 0..=7.
    pub spatial_layer: Option<u8>,
    /// Whether the frame is predicted from the spatial layer below.
    pub inter_layer: bool,
}

impl Descriptor {
    /// Reads the descriptor at the front of a payload.
    ///
    /// # Errors
    /// A descriptor that is cut short.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "VP9 descriptor");
        let first = reader.u8()?;
        let mut descriptor = Self {
            inter_picture: first & 0x40 != 0,
            start_of_frame: first & 0x08 != 0,
            end_of_frame: first & 0x04 != 0,
            ..Self::default()
        };
        if first & 0x80 != 0 {
            let high = reader.u8()?;
            let wide = high & 0x80 != 0;
            let id = if wide { u16::from_be_bytes([high & 0x7f, reader.u8()?]) } else { u16::from(high) };
            descriptor.picture_id = Some(id);
        }
        if first & 0x20 != 0 {
            let layers = reader.u8()?;
            descriptor.temporal_layer = Some(layers >> 5);
            descriptor.spatial_layer = Some(layers >> 1 & 7);
            descriptor.inter_layer = layers & 1 != 0;
        }
        Ok(descriptor)
    }
}

/// Whether the packet starts a keyframe: the first packet of a frame of the lowest spatial layer that
/// is predicted from nothing.
#[must_use]
pub fn is_keyframe(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| {
        descriptor.start_of_frame
            && !descriptor.inter_picture
            && !descriptor.inter_layer
            && descriptor.spatial_layer.unwrap_or(0) == 0
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_descriptor_is_read() {
        let read = Descriptor::parse(&[0xac, 0x81, 0x02, 0x45]).unwrap();
        assert_eq!(
            (read.picture_id, read.temporal_layer, read.spatial_layer),
            (Some(0x102), Some(2), Some(2))
        );
        assert!(read.start_of_frame && read.end_of_frame && read.inter_layer && !read.inter_picture);
        assert_eq!(Descriptor::parse(&[0x80, 0x7f]).unwrap().picture_id, Some(0x7f));
    }

    #[test]
    fn only_the_first_packet_of_an_independent_frame_is_a_keyframe() {
        assert!(is_keyframe(&[0x08]));
        assert!(is_keyframe(&[0x28, 0x20]), "a higher temporal layer");
        assert!(is_keyframe(&[0x8a, 0x81, 0x02, 0x18]), "with a scalability structure");
        for (wrong, why) in [
            (&[0x48][..], "predicted from other pictures"),
            (&[0x04], "not the start"),
            (&[0x28, 0x02], "an upper spatial layer"),
            (&[0x28, 0x01], "predicted from a layer"),
            (&[0x28], "cut short"),
            (&[], "nothing"),
        ] {
            assert!(!is_keyframe(wrong), "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            let read = Descriptor::parse(&bytes);
            prop_assert!(read.is_ok() || bytes.len() < 4);
            let _ = is_keyframe(&bytes);
        }
    }
}
