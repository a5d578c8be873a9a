//! A STUN message, read.

use std::net::SocketAddr;

use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::attribute::{self, Attribute, Attributes};
use super::{Class, HEADER, MAGIC_COOKIE, TransactionId, class_and_method, fingerprint};
use crate::wire::WireError;
use crate::wire::bytes::Reader;

/// Bytes of MESSAGE-INTEGRITY with its header.
const INTEGRITY: usize = 24;
/// Bytes of FINGERPRINT with its header.
const FINGERPRINT: usize = 8;

/// A view of one STUN message whose lengths and, if it has one, fingerprint are checked.
///
/// What stands behind MESSAGE-INTEGRITY is not covered by it and therefore not seen (RFC 8489 section
/// 14.5).
#[derive(Clone, Copy, Debug)]
pub struct StunView<'a> {
    class: Class,
    method: u16,
    transaction: TransactionId,
    /// The attributes that count: those before MESSAGE-INTEGRITY, or all.
    attributes: Attributes<'a>,
    /// What the integrity covers, header first, and its value.
    integrity: Option<(&'a [u8], &'a [u8])>,
    fingerprint: bool,
}

impl<'a> StunView<'a> {
    /// Reads a message that fills the datagram.
    ///
    /// # Errors
    /// A header that is not STUN's; a length that is not the datagram's; attributes that are cut
    /// short; a FINGERPRINT that is wrong or not the last attribute.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message, "STUN header");
        let (message_type, len) = (reader.u16()?, reader.u16()?);
        if message_type & 0xc000 != 0 || reader.array()? != MAGIC_COOKIE {
            return Err(WireError::Value("STUN header"));
        }
        let transaction = reader.array()?;
        if len % 4 != 0 || usize::from(len) != reader.len() {
            return Err(WireError::Length("STUN message"));
        }
        let body = reader.rest();
        let (mut counting, mut integrity, mut has_fingerprint) = (body, None, false);
        for attribute in Attributes::new(body) {
            let attribute = attribute?;
            if has_fingerprint {
                return Err(WireError::Value("FINGERPRINT"));
            }
            match attribute.kind {
                attribute::MESSAGE_INTEGRITY if integrity.is_none() => {
                    if attribute.value.len() + 4 != INTEGRITY {
                        return Err(WireError::Length("MESSAGE-INTEGRITY"));
                    }
                    counting = body.get(..attribute.at).unwrap_or_default();
                    let covered = message.get(..HEADER + attribute.at).unwrap_or_default();
                    integrity = Some((covered, attribute.value));
                }
                attribute::FINGERPRINT => {
                    check_fingerprint(message, attribute)?;
                    has_fingerprint = true;
                }
                _ => {}
            }
        }
        let (class, method) = class_and_method(message_type);
        let attributes = Attributes::new(counting);
        Ok(Self { class, method, transaction, attributes, integrity, fingerprint: has_fingerprint })
    }

    /// Request, indication or response.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The method; [`super::METHOD_BINDING`] for ICE.
    #[must_use]
    pub const fn method(&self) -> u16 {
        self.method
    }

    /// The id that pairs a response with its request.
    #[must_use]
    pub const fn transaction_id(&self) -> TransactionId {
        self.transaction
    }

    /// Whether there is a FINGERPRINT (which then is right).
    #[must_use]
    pub const fn has_fingerprint(&self) -> bool {
        self.fingerprint
    }

    /// The user name: in ICE the receiver's fragment, a colon, the sender's (RFC 8445 section 7.2.2).
    #[must_use]
    pub fn username(&self) -> Option<&'a str> {
        std::str::from_utf8(self.value(attribute::USERNAME)?).ok()
    }

    /// The priority that a peer-reflexive candidate would have (RFC 8445 section 7.1.1).
    #[must_use]
    pub fn priority(&self) -> Option<u32> {
        self.fixed(attribute::PRIORITY).map(u32::from_be_bytes)
    }

    /// Whether the sender nominates the pair (RFC 8445 section 7.1.2).
    #[must_use]
    pub fn use_candidate(&self) -> bool {
        self.value(attribute::USE_CANDIDATE).is_some()
    }

    /// The tie-breaker of a sender that takes itself for the controlling agent.
    #[must_use]
    pub fn ice_controlling(&self) -> Option<u64> {
        self.fixed(attribute::ICE_CONTROLLING).map(u64::from_be_bytes)
    }

    /// The tie-breaker of a sender that takes itself for the controlled agent.
    #[must_use]
    pub fn ice_controlled(&self) -> Option<u64> {
        self.fixed(attribute::ICE_CONTROLLED).map(u64::from_be_bytes)
    }

    /// The address that the responder saw.
    #[must_use]
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        let value = self.value(attribute::XOR_MAPPED_ADDRESS)?;
        attribute::read_xor_address(value, &self.transaction).ok()
    }

    /// The error code of an error response, 300..=699.
    #[must_use]
    pub fn error_code(&self) -> Option<u16> {
        let [_, _, class, number, ..] = self.value(attribute::ERROR_CODE)? else { return None };
        let (class, number) = (u16::from(class & 7), u16::from(*number));
        ((3..=6).contains(&class) && number < 100).then_some(class * 100 + number)
    }

    /// The types of attributes that must be understood and are not (RFC 8489 section 6.3.1).
    pub fn unknown_comprehension_required(&self) -> impl Iterator<Item = u16> + use<'a> {
        let kinds = self.attributes.flatten().map(|attribute| attribute.kind);
        kinds.filter(|kind| attribute::is_unknown_and_required(*kind))
    }

    /// The types that an error response 420 lists.
    pub fn unknown_attributes(&self) -> impl Iterator<Item = u16> + use<'a> {
        let value = self.value(attribute::UNKNOWN_ATTRIBUTES).unwrap_or_default();
        value.as_chunks::<2>().0.iter().map(|kind| u16::from_be_bytes(*kind))
    }

    /// Whether there is a MESSAGE-INTEGRITY and `key` made it; compares in constant time. For ICE
    /// the key is the password of the receiver of a request (RFC 8445 section 7.2.2).
    #[must_use]
    pub fn check_integrity(&self, key: &[u8]) -> bool {
        let Some((covered, value)) = self.integrity else { return false };
        integrity(key, covered).is_some_and(|mac| mac.verify_slice(value).is_ok())
    }

    /// The first attribute of a kind; repetitions do not count (RFC 8489 section 14).
    fn value(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes.flatten().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    fn fixed<const N: usize>(&self, kind: u16) -> Option<[u8; N]> {
        self.value(kind)?.try_into().ok()
    }
}

/// The user name fragment that the receiver of a request goes by: what stands before the colon of
/// USERNAME. Reads no more than it must and computes no checksum, so that a request for nobody costs
/// next to nothing.
#[must_use]
pub fn local_ufrag(message: &[u8]) -> Option<&str> {
    let mut reader = Reader::new(message, "STUN header");
    let (_message_type, len) = (reader.u16().ok()?, usize::from(reader.u16().ok()?));
    if reader.array().ok()? != MAGIC_COOKIE {
        return None;
    }
    reader.take(12).ok()?;
    let attributes = Attributes::new(reader.take(len).ok()?);
    let username = attributes.flatten().find(|attribute| attribute.kind == attribute::USERNAME)?.value;
    std::str::from_utf8(username).ok()?.split_once(':').map(|(local, _)| local)
}

fn check_fingerprint(message: &[u8], attribute: Attribute<'_>) -> Result<(), WireError> {
    let covered = message.get(..HEADER + attribute.at).unwrap_or_default();
    let expected = fingerprint::fingerprint([covered, &[], &[]]);
    if *attribute.value == expected.to_be_bytes() { Ok(()) } else { Err(WireError::Value("FINGERPRINT")) }
}

/// The HMAC-SHA1 over `covered`, whose length field is taken to end behind MESSAGE-INTEGRITY (RFC
/// 8489 section 14.5). `None` for a message that is too short or long to be one.
pub(super) fn integrity(key: &[u8], covered: &[u8]) -> Option<Hmac<Sha1>> {
    let (message_type, rest) = covered.split_first_chunk::<2>()?;
    let (_len, rest) = rest.split_first_chunk::<2>()?;
    let len = u16::try_from((covered.len() + INTEGRITY).checked_sub(HEADER)?).ok()?;
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(message_type);
    mac.update(&len.to_be_bytes());
    mac.update(rest);
    Some(mac)
}

/// The FINGERPRINT of a message of which `covered` is written and which ends behind FINGERPRINT.
pub(super) fn fingerprint_of(covered: &[u8]) -> Option<u32> {
    let (message_type, rest) = covered.split_first_chunk::<2>()?;
    let (_len, rest) = rest.split_first_chunk::<2>()?;
    let len = u16::try_from((covered.len() + FINGERPRINT).checked_sub(HEADER)?).ok()?;
    Some(fingerprint::fingerprint([message_type, &len.to_be_bytes(), rest]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            stun in any::<bool>(), mut bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let len = bytes.len();
            if stun && len >= HEADER {
                bytes[0] &= 0x3f;
                bytes[2..4].copy_from_slice(&u16::try_from(len - HEADER).unwrap().to_be_bytes());
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
            }
            let _ = local_ufrag(&bytes);
            if let Ok(view) = StunView::parse(&bytes) {
                let _ = (view.username(), view.priority(), view.use_candidate(), view.error_code());
                let _ = (view.ice_controlled(), view.ice_controlling(), view.xor_mapped_address());
                prop_assert!(view.unknown_comprehension_required().count() <= 20);
                prop_assert!(!view.check_integrity(b"guess"));
            }
        }

        #[test]
        fn any_attributes_are_read_or_refused(attributes in proptest::collection::vec(
            (prop_oneof![0_u16..0x30, 0x8020_u16..0x8030, any::<u16>()], 0_u16..30, any::<[u8; 32]>()), 0..8,
        )) {
            let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
            for (kind, len, bytes) in attributes {
                message.extend(kind.to_be_bytes());
                message.extend(len.to_be_bytes());
                message.extend(&bytes[..usize::from(len).next_multiple_of(4)]);
            }
            let len = u16::try_from(message.len() - HEADER).unwrap();
            message[2..4].copy_from_slice(&len.to_be_bytes());
            let _ = local_ufrag(&message);
            if let Ok(view) = StunView::parse(&message) {
                let _ = (view.username(), view.priority(), view.use_candidate(), view.error_code());
                let _ = (view.ice_controlled(), view.ice_controlling(), view.xor_mapped_address());
                prop_assert!(view.unknown_attributes().count() <= 15);
            }
        }
    }
}
