//! STUN attributes: their numbers, how they follow each other, and addresses inside them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{MAGIC_COOKIE, TransactionId};
use crate::wire::WireError;
use crate::wire::bytes::Reader;

pub(super) const USERNAME: u16 = 0x0006;
pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(super) const ERROR_CODE: u16 = 0x0009;
pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(super) const PRIORITY: u16 = 0x0024;
pub(super) const USE_CANDIDATE: u16 = 0x0025;
pub(super) const FINGERPRINT: u16 = 0x8028;
pub(super) const ICE_CONTROLLED: u16 = 0x8029;
pub(super) const ICE_CONTROLLING: u16 = 0x802a;

/// Comprehension-required attributes that are understood, or harmless where they do not belong: the
/// above, MAPPED-ADDRESS, REALM and NONCE (RFC 8489 section 18.3, RFC 8445 section 16.1).
const KNOWN_REQUIRED: [u16; 11] = [
    0x0001,
    USERNAME,
    MESSAGE_INTEGRITY,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    0x0014,
    0x0015,
    MESSAGE_INTEGRITY_SHA256,
    XOR_MAPPED_ADDRESS,
    PRIORITY,
    USE_CANDIDATE,
];

/// Whether a receiver that does not know this type must refuse the message (RFC 8489 section 14).
pub(super) fn is_unknown_and_required(kind: u16) -> bool {
    kind < 0x8000 && !KNOWN_REQUIRED.contains(&kind)
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
    /// Where its header starts, counted from the first attribute.
    pub(super) at: usize,
}

/// The attributes of a message, one after the other (RFC 8489 section 14). An attribute that is cut
/// short is an error and the last item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a> {
    total: usize,
    reader: Reader<'a>,
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { total: bytes.len(), reader: Reader::new(bytes, "STUN attribute") }
    }

    fn read(&mut self) -> Result<Attribute<'a>, WireError> {
        let at = self.total - self.reader.len();
        let (kind, len) = (self.reader.u16()?, usize::from(self.reader.u16()?));
        let padded = self.reader.take(len.next_multiple_of(4))?;
        Ok(Attribute { kind, value: padded.get(..len).unwrap_or_default(), at })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            *self = Self::new(&[]);
        }
        Some(read)
    }
}

/// Reads an address that is XORed with cookie and transaction id (RFC 8489 section 14.2).
pub(super) fn read_xor_address(value: &[u8], transaction: &TransactionId) -> Result<SocketAddr, WireError> {
    let mut reader = Reader::new(value, "XOR-MAPPED-ADDRESS");
    let ([_zero, family], port) = (reader.array()?, reader.u16()?);
    let ip = match family {
        1 => {
            let mut octets = reader.array::<4>()?;
            xor(&mut octets, transaction);
            IpAddr::V4(Ipv4Addr::from(octets))
        }
        2 => {
            let mut octets = reader.array::<16>()?;
            xor(&mut octets, transaction);
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return Err(WireError::Value("XOR-MAPPED-ADDRESS")),
    };
    let mut port = port.to_be_bytes();
    xor(&mut port, transaction);
    Ok(SocketAddr::new(ip, u16::from_be_bytes(port)))
}

/// The bytes of such an address, and how many of them count.
pub(super) fn write_xor_address(address: SocketAddr, transaction: &TransactionId) -> ([u8; 20], usize) {
    let mut port = address.port().to_be_bytes();
    xor(&mut port, transaction);
    let (family, octets, len) = match address.ip() {
        IpAddr::V4(ip) => {
            let mut octets = [0; 16];
            octets.iter_mut().zip(ip.octets()).for_each(|(octet, from)| *octet = from);
            (1, octets, 8)
        }
        IpAddr::V6(ip) => (2, ip.octets(), 20),
    };
    let mut octets = octets;
    xor(&mut octets, transaction);
    let mut value = [0; 20];
    let head = [0, family].into_iter().chain(port).chain(octets);
    value.iter_mut().zip(head).take(len).for_each(|(byte, from)| *byte = from);
    (value, len)
}

fn xor(bytes: &mut [u8], transaction: &TransactionId) {
    bytes.iter_mut().zip(MAGIC_COOKIE.iter().chain(transaction)).for_each(|(byte, mask)| *byte ^= mask);
}
