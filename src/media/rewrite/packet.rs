//! Writing a stored packet the way its listener wants it.

use super::Placed;
use crate::base::plant::{self, Plant};
use crate::base::{Mid, Ssrc, Time};
use crate::media::ring::Stored;
use crate::transport::{Codec, ExtensionIds};
use crate::wire::extension::{AbsSendTime, write_transport_cc};
use crate::wire::rtp::RtpHeader;
use crate::wire::{WireError, dependency_descriptor, vp8};

/// The longest data of a header extension (RFC 8285 section 4.3).
const MAX_EXTENSION: usize = 255;

/// What a listener's packet has on that does not come from its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dress<'a> {
    pub(crate) mid: &'a Mid,
    pub(crate) extensions: &'a ExtensionIds,
    pub(crate) ssrc: Ssrc,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) marker: bool,
    pub(crate) codec: Codec,
    /// The listener's transport-wide sequence number.
    pub(crate) transport_cc: u16,
    pub(crate) now: Time,
    /// For a retransmission: the sequence number that the packet first had (RFC 4588 section 4).
    pub(crate) original_sequence: Option<u16>,
}

/// Writes the packet in plaintext to the front of `buffer` and answers its length.
///
/// # Errors
///
/// A buffer that is too small.
pub(crate) fn write_packet(
    stored: &Stored<'_>,
    placed: &Placed,
    dress: &Dress<'_>,
    buffer: &mut [u8],
) -> Result<usize, WireError> {
    let header = RtpHeader {
        payload_type: dress.payload_type,
        marker: dress.marker,
        sequence: dress.sequence,
        timestamp: placed.timestamp,
        ssrc: dress.ssrc,
    };
    let mut descriptor = [0; MAX_EXTENSION];
    let descriptor = copy_descriptor(stored.descriptor, placed, &mut descriptor);
    let level = stored.info.level.map(|level| level.write());
    let level = level.as_ref().map_or(&[][..], |level| &level[..]);
    let (sent_at, transport_cc) =
        (AbsSendTime::from_time(dress.now).write(), write_transport_cc(dress.transport_cc));
    let wanted = [
        (dress.extensions.mid, dress.mid.as_str().as_bytes()),
        (dress.extensions.audio_level, level),
        (dress.extensions.abs_send_time, &sent_at),
        (dress.extensions.transport_cc, &transport_cc),
        (dress.extensions.dependency_descriptor, descriptor),
    ];
    let mut extensions = [(0, &[][..]); 5];
    let mut count = 0;
    for (id, data) in wanted {
        if let (Some(id), false, Some(place)) = (id, data.is_empty(), extensions.get_mut(count)) {
            *place = (id, data);
            count += 1;
        }
    }
    let mut len = header.write(extensions.get(..count).unwrap_or_default(), buffer)?;
    if let Some(original) = dress.original_sequence {
        len += put(buffer, len, &original.to_be_bytes())?;
    }
    let at = len;
    len += put(buffer, len, stored.payload)?;
    if plant::is(Plant::PayloadChanged)
        && let Some(last) = buffer.get_mut(len - 1)
    {
        *last ^= 1;
    }
    if matches!(dress.codec, Codec::Vp8) && (placed.numbers.picture.is_some() || placed.numbers.tl0.is_some())
    {
        let payload = buffer.get_mut(at..len).unwrap_or_default();
        vp8::rewrite(payload, placed.numbers.picture.map(|picture| picture.value()), placed.numbers.tl0)?;
    }
    Ok(len)
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> Result<usize, WireError> {
    let place = buffer.get_mut(at..at + bytes.len()).ok_or(WireError::NoSpace("RTP payload"))?;
    place.copy_from_slice(bytes);
    Ok(bytes.len())
}

/// The dependency descriptor with the frame's number in the slot; as it is where it has none.
fn copy_descriptor<'a>(descriptor: &[u8], placed: &Placed, scratch: &'a mut [u8; MAX_EXTENSION]) -> &'a [u8] {
    let Some(copy) = scratch.get_mut(..descriptor.len()) else { return &[] };
    copy.copy_from_slice(descriptor);
    if let Some(frame) = placed.numbers.frame {
        // A number was read, so the descriptor is long enough to take one.
        let _ = dependency_descriptor::set_frame_number(copy, frame);
    }
    copy
}
