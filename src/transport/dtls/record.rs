//! Checked views of DTLS records and of the handshake fragments inside (RFC 6347 sections 4.1, 4.2.2).

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;

const RECORD_HEADER: usize = 13;
const FRAGMENT_HEADER: usize = 12;

/// One record. Nothing in it is authenticated yet.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) content_type: u8,
    pub(super) epoch: u16,
    /// The record's number in its epoch, 48 bits.
    pub(super) number: u64,
    pub(super) body: &'a [u8],
    /// The record with its header.
    pub(super) whole: &'a [u8],
}

/// The records of a datagram, as far as they are whole.
pub(super) fn records(mut datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = datagram.split_first_chunk::<RECORD_HEADER>()?;
        let [content_type, _, _, e0, e1, n0, n1, n2, n3, n4, n5, len_high, len_low] = *header;
        let number = u64::from_be_bytes([0, 0, n0, n1, n2, n3, n4, n5]);
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let body = rest.get(..len)?;
        let (whole, behind) = datagram.split_at_checked(RECORD_HEADER + len)?;
        datagram = behind;
        Some(Record { content_type, epoch: u16::from_be_bytes([e0, e1]), number, body, whole })
    })
}

/// One fragment of a handshake message, or all of it.
#[derive(Clone, Copy)]
pub(super) struct Fragment<'a> {
    pub(super) message_type: u8,
    /// The length of the whole message.
    pub(super) length: usize,
    /// The number of the message.
    pub(super) sequence: u16,
    /// Where in the message this fragment belongs.
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

/// The fragments of an unencrypted handshake record, or `None` if one of them is malformed.
pub(super) fn fragments(mut body: &[u8]) -> Option<Vec<Fragment<'_>>> {
    let mut fragments = Vec::new();
    while !body.is_empty() {
        let (header, rest) = body.split_first_chunk::<FRAGMENT_HEADER>()?;
        let [message_type, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2] = *header;
        let (length, offset) = (u24([l0, l1, l2]), u24([o0, o1, o2]));
        let (part, behind) = rest.split_at_checked(u24([f0, f1, f2]))?;
        if offset + part.len() > length {
            return None;
        }
        let sequence = u16::from_be_bytes([s0, s1]);
        fragments.push(Fragment { message_type, length, sequence, offset, body: part });
        body = behind;
    }
    Some(fragments)
}

pub(super) fn u24([a, b, c]: [u8; 3]) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

/// A handshake message of less than 2^16 bytes in one piece, with its header.
pub(super) fn write_message(message_type: u8, sequence: u16, body: &[u8]) -> Option<Vec<u8>> {
    let len = u16::try_from(body.len()).ok()?;
    let mut message = vec![message_type, 0];
    message.extend(len.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    const OFFSET_AND_HIGH_BITS: [u8; 4] = [0; 4];
    message.extend(OFFSET_AND_HIGH_BITS);
    message.extend(len.to_be_bytes());
    message.extend(body);
    Some(message)
}
