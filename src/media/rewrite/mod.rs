//! From a publisher's numbers to those of a listener's slot.

mod mapping;
mod outgoing;
mod packet;
#[cfg(test)]
mod tests;

pub(super) use mapping::{Mapping, Placed};
pub(super) use outgoing::Outgoing;
pub(super) use packet::{Dress, write_packet};

use crate::transport::Codec;
use crate::wire::{dependency_descriptor, vp8};

/// The numbers that a packet carries besides those of its RTP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// VP8's picture id, 7 or 15 bits.
    pub(super) picture: Option<vp8::PictureId>,
    /// VP8's index of pictures of the lowest temporal layer.
    pub(super) tl0: Option<u8>,
    /// The dependency descriptor's frame number.
    pub(super) frame: Option<u16>,
}

impl Numbers {
    /// Reads them; what cannot be read is not there and passes unchanged.
    pub(super) fn read(codec: Codec, payload: &[u8], descriptor: &[u8]) -> Self {
        let mut numbers = Self::default();
        if matches!(codec, Codec::Vp8)
            && let Ok((read, _)) = vp8::Descriptor::parse(payload)
        {
            numbers.picture = read.picture_id;
            numbers.tl0 = read.tl0_picidx;
        }
        if !descriptor.is_empty()
            && let Ok(read) = dependency_descriptor::Descriptor::parse(descriptor)
        {
            numbers.frame = Some(read.frame_number);
        }
        numbers
    }
}
