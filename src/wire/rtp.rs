//! RTP packets: a checked view, and header extensions in both their forms.

use super::WireError;
use super::bytes::Reader;
use crate::base::Ssrc;

pub use super::rtp_header::{RtpHeader, pad};

/// The fixed part of an RTP header, in bytes.
pub const FIXED_HEADER: usize = 12;
/// The profile of one-byte extension headers (RFC 8285 section 4.2).
pub(crate) const ONE_BYTE_PROFILE: u16 = 0xbede;
/// The profile of two-byte extension headers, without its application bits (RFC 8285 section 4.3).
pub(crate) const TWO_BYTE_PROFILE: u16 = 0x1000;

/// A view of one RTP packet (RFC 3550 section 5.1) whose lengths are all checked.
#[derive(Clone, Copy, Debug)]
pub struct RtpView<'a> {
    marker_and_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: Ssrc,
    header_len: usize,
    padding_len: usize,
    extensions: Extensions<'a>,
    payload: &'a [u8],
}

impl<'a> RtpView<'a> {
    /// Reads a packet in plaintext.
    ///
    /// # Errors
    /// A version other than 2; CSRCs, an extension block or padding that do not fit; padding of
    /// length zero.
    pub fn parse(packet: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self::parse_protected(packet)?;
        if packet.first().is_some_and(|first| first & 0x20 != 0) {
            let count = view.payload.last().copied().ok_or(WireError::Truncated("RTP padding"))?;
            if count == 0 {
                return Err(WireError::Value("RTP padding"));
            }
            view.padding_len = usize::from(count);
            let kept = view.payload.len().checked_sub(view.padding_len);
            let kept = kept.ok_or(WireError::Length("RTP padding"))?;
            view.payload = view.payload.get(..kept).unwrap_or_default();
        }
        Ok(view)
    }

    /// Reads a packet whose payload is encrypted: the header is checked, and all behind it, padding
    /// and authentication tag included, counts as payload.
    ///
    /// # Errors
    /// As [`Self::parse`], but padding is not looked at.
    pub fn parse_protected(packet: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(packet, "RTP header");
        let [first, marker_and_type] = reader.array()?;
        if first >> 6 != 2 {
            return Err(WireError::Value("RTP version"));
        }
        let (sequence, timestamp, ssrc) = (reader.u16()?, reader.u32()?, Ssrc(reader.u32()?));
        reader.take(usize::from(first & 0x0f) * 4)?;
        let mut extensions = Extensions::default();
        if first & 0x10 != 0 {
            let (profile, words) = (reader.u16()?, reader.u16()?);
            extensions = Extensions::new(profile, reader.take(usize::from(words) * 4)?);
        }
        let payload = reader.rest();
        let header_len = packet.len() - payload.len();
        Ok(Self {
            marker_and_type,
            sequence,
            timestamp,
            ssrc,
            header_len,
            padding_len: 0,
            extensions,
            payload,
        })
    }

    /// The payload type, 0..=127.
    #[must_use]
    pub const fn payload_type(&self) -> u8 {
        self.marker_and_type & 0x7f
    }

    /// The marker bit.
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.marker_and_type & 0x80 != 0
    }

    /// The sequence number.
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        self.sequence
    }

    /// The timestamp, in ticks of the codec's clock.
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// The synchronization source.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Bytes before the payload: fixed header, CSRCs and extension block.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Bytes of padding behind the payload, its count byte included; 0 without padding.
    #[must_use]
    pub const fn padding_len(&self) -> usize {
        self.padding_len
    }

    /// The payload without padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The data of the first header extension with this id.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|(found, _)| *found == id).map(|(_, data)| data)
    }

    /// All header extensions as (id, data), in the order of the packet.
    #[must_use]
    pub const fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }

    /// The fields that a writer needs to write this header again, without its extensions.
    #[must_use]
    pub const fn header(&self) -> RtpHeader {
        RtpHeader {
            payload_type: self.payload_type(),
            marker: self.marker(),
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum Form {
    /// No extension block, or one that RFC 8285 does not know.
    #[default]
    Unknown,
    OneByte,
    TwoBytes,
}

/// The header extensions of a packet (RFC 8285). A malformed element ends the iteration; those
/// before it count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    const fn new(profile: u16, block: &'a [u8]) -> Self {
        let form = match profile {
            ONE_BYTE_PROFILE => Form::OneByte,
            other if other & 0xfff0 == TWO_BYTE_PROFILE => Form::TwoBytes,
            _ => Form::Unknown,
        };
        Self { form, rest: block }
    }

    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            self.rest = rest;
            if first == 0 {
                continue;
            }
            let (id, len) = match self.form {
                Form::Unknown => return None,
                Form::OneByte => (first >> 4, usize::from(first & 0x0f) + 1),
                Form::TwoBytes => {
                    let (&len, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    (first, usize::from(len))
                }
            };
            // RFC 8285 section 4.2: one-byte id 15, and id 0 with a length, end the block.
            if matches!((self.form, id), (Form::OneByte, 0 | 15)) {
                return None;
            }
            let (data, rest) = self.rest.split_at_checked(len)?;
            self.rest = rest;
            return Some((id, data));
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.element();
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: [u8; 14] = [0x80, 0xef, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 7, 0xaa, 0xbb];

    fn with_block(profile: u16, block: &[u8]) -> Vec<u8> {
        let mut packet = PLAIN[..12].to_vec();
        packet[0] |= 0x10;
        packet.extend(profile.to_be_bytes());
        packet.extend(u16::try_from(block.len() / 4).unwrap().to_be_bytes());
        packet.extend(block);
        packet.push(0xcc);
        packet
    }

    #[test]
    fn the_fixed_header_is_read() {
        let view = RtpView::parse(&PLAIN).unwrap();
        assert_eq!((view.payload_type(), view.marker(), view.sequence()), (111, true, 0x1234));
        assert_eq!((view.timestamp(), view.ssrc(), view.header_len()), (9, Ssrc(7), 12));
        assert_eq!((view.payload(), view.padding_len()), (&[0xaa, 0xbb][..], 0));
        assert_eq!(view.extensions().count(), 0);
    }

    #[test]
    fn csrcs_belong_to_the_header() {
        let mut packet = PLAIN.to_vec();
        packet[0] |= 2;
        assert_eq!(RtpView::parse(&packet).unwrap_err(), WireError::Truncated("RTP header"));
        packet.extend([0; 6]);
        packet.push(0xdd);
        let view = RtpView::parse(&packet).unwrap();
        assert_eq!((view.header_len(), view.payload()), (20, &[0xdd][..]));
    }

    #[test]
    fn id_15_ends_a_one_byte_block() {
        let packet = with_block(0xbede, &[0x10, 1, 0, 0x31, 5, 6, 0xf0, 9, 0x10, 2, 0, 0]);
        let view = RtpView::parse(&packet).unwrap();
        let found: Vec<_> = view.extensions().collect();
        assert_eq!(found, [(1, &[1][..]), (3, &[5, 6][..])]);
        assert_eq!((view.header_len(), view.payload()), (28, &[0xcc][..]));
        assert_eq!((view.extension(3), view.extension(15)), (Some(&[5, 6][..]), None));
    }

    #[test]
    fn id_0_with_a_length_ends_a_one_byte_block() {
        let packet = with_block(0xbede, &[0x10, 1, 0x03, 0x20, 4, 0, 0, 0]);
        let found: Vec<_> = RtpView::parse(&packet).unwrap().extensions().collect();
        assert_eq!(found, [(1, &[1][..])]);
    }

    #[test]
    fn two_byte_elements_may_be_empty_and_have_any_id() {
        let packet = with_block(0x1005, &[15, 1, 7, 0, 200, 0, 0, 0]);
        let found: Vec<_> = RtpView::parse(&packet).unwrap().extensions().collect();
        assert_eq!(found, [(15, &[7][..]), (200, &[][..])]);
    }

    #[test]
    fn an_element_that_leaves_its_block_ends_it() {
        for (profile, block) in
            [(0xbede, [0x10, 1, 0x27, 1]), (0x1000, [1, 1, 7, 9]), (0xabcd, [0x10, 1, 0, 0])]
        {
            let packet = with_block(profile, &block);
            assert!(RtpView::parse(&packet).unwrap().extensions().count() <= 1);
        }
    }

    #[test]
    fn padding_of_every_length_is_taken_off_or_refused() {
        for payload in 0..=10_usize {
            for padding in 0..=255_u8 {
                let mut packet = PLAIN[..12].to_vec();
                packet[0] |= 0x20;
                packet.resize(12 + payload, 0xee);
                packet.push(padding);
                match RtpView::parse(&packet) {
                    Ok(view) => {
                        assert_eq!(view.payload().len() + usize::from(padding), payload + 1);
                        assert_eq!(view.padding_len(), usize::from(padding));
                    }
                    Err(_) => assert!(padding == 0 || usize::from(padding) > payload + 1),
                }
            }
        }
        let nothing = [0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(RtpView::parse(&nothing).unwrap_err(), WireError::Truncated("RTP padding"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), rtp in any::<bool>()) {
            if let (true, Some(first)) = (rtp, bytes.first_mut()) {
                *first = 0x80 | (*first & 0x3f);
            }
            if let Ok(view) = RtpView::parse(&bytes) {
                prop_assert_eq!(view.header_len() + view.payload().len() + view.padding_len(), bytes.len());
                prop_assert!(view.extensions().map(|(_, data)| data.len()).sum::<usize>() <= bytes.len());
            }
        }
    }
}
