//! The VP8 payload descriptor (RFC 7741 section 4.2).

use super::WireError;
use super::bytes::{Reader, Writer};

/// A picture's number in one of its two widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureId {
    /// 7 bits.
    Short(u8),
    /// 15 bits.
    Long(u16),
}

impl PictureId {
    /// The number.
    #[must_use]
    pub fn value(self) -> u16 {
        match self {
            Self::Short(value) => u16::from(value),
            Self::Long(value) => value,
        }
    }

    /// `value` in this width; what does not fit is cut off.
    #[must_use]
    pub fn with_value(self, value: u16) -> Self {
        let [_, low] = value.to_be_bytes();
        match self {
            Self::Short(_) => Self::Short(low & 0x7f),
            Self::Long(_) => Self::Long(value & 0x7fff),
        }
    }
}

/// What stands before the VP8 data of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Whether the picture can be dropped without harm to others.
    pub non_reference: bool,
    /// Whether the packet starts a partition.
    pub start_of_partition: bool,
    /// The partition, 0..=7; the first holds the frame header.
    pub partition: u8,
    /// The number of the picture.
    pub picture_id: Option<PictureId>,
    /// Counts the pictures of temporal layer 0.
    pub tl0_picidx: Option<u8>,
    /// The temporal layer, 0..=3.
    pub temporal_layer: Option<u8>,
    /// Whether the picture needs nothing but layer 0.
    pub layer_sync: bool,
    /// The last key picture's index, 0..=31.
    pub key_index: Option<u8>,
}

/// A descriptor with the places of what [`rewrite`] changes.
struct Placed {
    descriptor: Descriptor,
    len: usize,
    picture_id_at: usize,
    tl0_picidx_at: usize,
}

impl Descriptor {
    /// Reads the descriptor of a payload; answers it and its length.
    ///
    /// # Errors
    /// A descriptor that is cut short.
    pub fn parse(payload: &[u8]) -> Result<(Self, usize), WireError> {
        place(payload).map(|placed| (placed.descriptor, placed.len))
    }

    /// Writes the descriptor and answers its length.
    ///
    /// # Errors
    /// A buffer that is too small.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut writer = Writer::new(out, "VP8 descriptor");
        let flag = |set: bool, bit: u8| u8::from(set) << bit;
        let control = flag(self.picture_id.is_some(), 7)
            | flag(self.tl0_picidx.is_some(), 6)
            | flag(self.temporal_layer.is_some(), 5)
            | flag(self.key_index.is_some(), 4);
        writer.u8(flag(control != 0, 7)
            | flag(self.non_reference, 5)
            | flag(self.start_of_partition, 4)
            | self.partition & 7)?;
        if control == 0 {
            return Ok(writer.len());
        }
        writer.u8(control)?;
        match self.picture_id {
            Some(PictureId::Short(value)) => writer.u8(value & 0x7f)?,
            Some(PictureId::Long(value)) => writer.u16(value | 0x8000)?,
            None => {}
        }
        if let Some(tl0_picidx) = self.tl0_picidx {
            writer.u8(tl0_picidx)?;
        }
        if control & 0x30 != 0 {
            let layer = self.temporal_layer.unwrap_or(0) & 3;
            writer.u8(layer << 6 | flag(self.layer_sync, 5) | self.key_index.unwrap_or(0) & 31)?;
        }
        Ok(writer.len())
    }
}

fn place(payload: &[u8]) -> Result<Placed, WireError> {
    let mut reader = Reader::new(payload, "VP8 descriptor");
    let first = reader.u8()?;
    let mut descriptor = Descriptor {
        non_reference: first & 0x20 != 0,
        start_of_partition: first & 0x10 != 0,
        partition: first & 7,
        ..Descriptor::default()
    };
    let control = if first & 0x80 == 0 { 0 } else { reader.u8()? };
    let picture_id_at = payload.len() - reader.len();
    if control & 0x80 != 0 {
        let high = reader.u8()?;
        descriptor.picture_id = Some(if high & 0x80 == 0 {
            PictureId::Short(high)
        } else {
            PictureId::Long(u16::from_be_bytes([high & 0x7f, reader.u8()?]))
        });
    }
    let tl0_picidx_at = payload.len() - reader.len();
    if control & 0x40 != 0 {
        descriptor.tl0_picidx = Some(reader.u8()?);
    }
    if control & 0x30 != 0 {
        let byte = reader.u8()?;
        descriptor.temporal_layer = (control & 0x20 != 0).then_some(byte >> 6);
        descriptor.layer_sync = byte & 0x20 != 0;
        descriptor.key_index = (control & 0x10 != 0).then_some(byte & 31);
    }
    Ok(Placed { descriptor, len: payload.len() - reader.len(), picture_id_at, tl0_picidx_at })
}

/// Puts other numbers into the descriptor at the front of `payload`, in the width that is there. A
/// number that the descriptor does not have is not added.
///
/// # Errors
/// A descriptor that is cut short; `payload` is then as it was.
pub fn rewrite(payload: &mut [u8], picture_id: Option<u16>, tl0_picidx: Option<u8>) -> Result<(), WireError> {
    let placed = place(payload)?;
    if let (Some(old), Some(value)) = (placed.descriptor.picture_id, picture_id) {
        let mut writer =
            Writer::new(payload.get_mut(placed.picture_id_at..).unwrap_or_default(), "VP8 descriptor");
        match old.with_value(value) {
            PictureId::Short(value) => writer.u8(value)?,
            PictureId::Long(value) => writer.u16(value | 0x8000)?,
        }
    }
    if let (Some(_), Some(value), Some(place)) =
        (placed.descriptor.tl0_picidx, tl0_picidx, payload.get_mut(placed.tl0_picidx_at))
    {
        *place = value;
    }
    Ok(())
}

/// Whether the packet starts a keyframe: the first packet of the first partition, the frame tag's
/// key bit and the start code that only keyframes have (RFC 6386 section 9.1).
#[must_use]
pub fn is_keyframe(payload: &[u8]) -> bool {
    let Ok((descriptor, len)) = Descriptor::parse(payload) else { return false };
    let data = payload.get(len..).unwrap_or_default();
    descriptor.start_of_partition
        && descriptor.partition == 0
        && matches!(data, [tag, _, _, 0x9d, 0x01, 0x2a, ..] if tag & 1 == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame tag of a keyframe, its start code and a size.
    const KEYFRAME: [u8; 10] = [0x50, 0x42, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01];

    fn any_descriptor() -> impl Strategy<Value = Descriptor> {
        let picture_id =
            prop_oneof![(0_u8..128).prop_map(PictureId::Short), (0_u16..0x8000).prop_map(PictureId::Long)];
        let layer = proptest::option::of((0_u8..4, any::<bool>()));
        (
            any::<[bool; 2]>(),
            0_u8..8,
            proptest::option::of(picture_id),
            proptest::option::of(any::<u8>()),
            layer,
            proptest::option::of(0_u8..32),
        )
            .prop_map(|(flags, partition, picture_id, tl0_picidx, layer, key_index)| Descriptor {
                non_reference: flags[0],
                start_of_partition: flags[1],
                partition,
                picture_id,
                tl0_picidx,
                temporal_layer: layer.map(|(layer, _)| layer),
                layer_sync: layer.is_some_and(|(_, sync)| sync),
                key_index,
            })
    }

    #[test]
    fn only_the_first_packet_of_a_key_picture_is_a_keyframe() {
        let first = [&[0x10][..], &KEYFRAME].concat();
        assert!(is_keyframe(&first));
        let extended = [&[0x90, 0xe0, 0x81, 0x02, 7, 0x20][..], &KEYFRAME].concat();
        assert!(is_keyframe(&extended));
        let mut delta = first.clone();
        delta[1] |= 1;
        assert!(!is_keyframe(&delta), "an interframe");
        assert!(!is_keyframe(&[&[0x00][..], &KEYFRAME].concat()), "not the start of a partition");
        assert!(!is_keyframe(&[&[0x11][..], &KEYFRAME].concat()), "another partition");
        let mut encrypted = first.clone();
        encrypted[4] ^= 0xff;
        assert!(!is_keyframe(&encrypted), "no start code");
        (0..6).for_each(|len| assert!(!is_keyframe(&first[..len])));
    }

    #[test]
    fn a_number_that_is_not_there_is_not_added() {
        let mut payload = [0x10, 1, 2, 3];
        rewrite(&mut payload, Some(5), Some(6)).unwrap();
        assert_eq!(payload, [0x10, 1, 2, 3]);
        let mut cut = [0x80, 0xc0, 0x80];
        assert_eq!(rewrite(&mut cut, Some(5), Some(6)), Err(WireError::Truncated("VP8 descriptor")));
        assert_eq!(cut, [0x80, 0xc0, 0x80]);
    }

    proptest! {
        #[test]
        fn a_descriptor_reads_back_as_it_was_written(descriptor in any_descriptor()) {
            let mut out = [0xff; 8];
            let len = descriptor.write(&mut out).unwrap();
            prop_assert_eq!(Descriptor::parse(&out), Ok((descriptor, len)));
        }

        #[test]
        fn rewriting_changes_the_numbers_and_nothing_else(
            descriptor in any_descriptor(), picture_id in proptest::option::of(any::<u16>()),
            tl0_picidx in proptest::option::of(any::<u8>()),
        ) {
            let mut payload = [0x77; 12];
            let len = descriptor.write(&mut payload).unwrap();
            rewrite(&mut payload, picture_id, tl0_picidx).unwrap();
            let expected = Descriptor {
                picture_id: descriptor.picture_id.map(|old| picture_id.map_or(old, |value| old.with_value(value))),
                tl0_picidx: descriptor.tl0_picidx.map(|old| tl0_picidx.unwrap_or(old)),
                ..descriptor
            };
            prop_assert_eq!(Descriptor::parse(&payload), Ok((expected, len)));
            prop_assert!(payload[len..].iter().all(|byte| *byte == 0x77));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let _ = is_keyframe(&bytes);
            let before = bytes.len();
            let _ = rewrite(&mut bytes, Some(1), Some(2));
            prop_assert_eq!(bytes.len(), before);
        }
    }
}
