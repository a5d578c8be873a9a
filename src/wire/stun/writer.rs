//! A STUN message, written.

use std::net::SocketAddr;

use hmac::Mac;

use super::view::{fingerprint_of, integrity};
use super::{Class, HEADER, MAGIC_COOKIE, TransactionId, attribute, message_type};
use crate::wire::WireError;
use crate::wire::bytes::Writer;

/// Writes one STUN message into a slice, attribute by attribute. MESSAGE-INTEGRITY must follow all
/// that it protects, FINGERPRINT comes last (RFC 8489 sections 14.5 and 14.7).
///
/// Every step fails with [`WireError::NoSpace`] if the slice is too small.
#[derive(Debug)]
#[must_use]
pub struct StunWriter<'a> {
    writer: Writer<'a>,
    transaction: TransactionId,
}

impl<'a> StunWriter<'a> {
    /// Starts a message with its header.
    ///
    /// # Errors
    /// A slice that is too small.
    pub fn new(
        class: Class,
        method: u16,
        transaction: TransactionId,
        out: &'a mut [u8],
    ) -> Result<Self, WireError> {
        let mut writer = Writer::new(out, "STUN message");
        writer.u16(message_type(class, method))?;
        writer.u16(0)?;
        writer.put(&MAGIC_COOKIE)?;
        writer.put(&transaction)?;
        Ok(Self { writer, transaction })
    }

    /// Adds an attribute of any kind.
    ///
    /// # Errors
    /// A message that grows above 65,535 bytes; a slice that is too small.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Result<Self, WireError> {
        const TOO_LONG: WireError = WireError::Length("STUN message");
        self.writer.u16(kind)?;
        self.writer.u16(u16::try_from(value.len()).map_err(|_| TOO_LONG)?)?;
        self.writer.put(value)?;
        self.writer.align()?;
        let len = u16::try_from(self.writer.len() - HEADER).map_err(|_| TOO_LONG)?;
        self.writer.set_u16(2, len)?;
        Ok(self)
    }

    /// Adds USERNAME: the receiver's fragment, a colon, the sender's.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn username(self, username: &str) -> Result<Self, WireError> {
        self.attribute(attribute::USERNAME, username.as_bytes())
    }

    /// Adds PRIORITY.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn priority(self, priority: u32) -> Result<Self, WireError> {
        self.attribute(attribute::PRIORITY, &priority.to_be_bytes())
    }

    /// Adds USE-CANDIDATE.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn use_candidate(self) -> Result<Self, WireError> {
        self.attribute(attribute::USE_CANDIDATE, &[])
    }

    /// Adds ICE-CONTROLLING.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn ice_controlling(self, tie_breaker: u64) -> Result<Self, WireError> {
        self.attribute(attribute::ICE_CONTROLLING, &tie_breaker.to_be_bytes())
    }

    /// Adds ICE-CONTROLLED.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn ice_controlled(self, tie_breaker: u64) -> Result<Self, WireError> {
        self.attribute(attribute::ICE_CONTROLLED, &tie_breaker.to_be_bytes())
    }

    /// Adds XOR-MAPPED-ADDRESS.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn xor_mapped_address(self, address: SocketAddr) -> Result<Self, WireError> {
        let (value, len) = attribute::write_xor_address(address, &self.transaction);
        self.attribute(attribute::XOR_MAPPED_ADDRESS, value.get(..len).unwrap_or_default())
    }

    /// Adds ERROR-CODE without a reason phrase.
    ///
    /// # Errors
    /// A code outside 300..=699; else as [`Self::attribute`].
    pub fn error_code(self, code: u16) -> Result<Self, WireError> {
        const WRONG: WireError = WireError::Value("ERROR-CODE");
        if !(300..=699).contains(&code) {
            return Err(WRONG);
        }
        let class = u8::try_from(code / 100).map_err(|_| WRONG)?;
        let number = u8::try_from(code % 100).map_err(|_| WRONG)?;
        self.attribute(attribute::ERROR_CODE, &[0, 0, class, number])
    }

    /// Adds UNKNOWN-ATTRIBUTES with the first eight of `kinds`: enough to say what is wrong, and the
    /// response stays small.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn unknown_attributes(self, kinds: impl Iterator<Item = u16>) -> Result<Self, WireError> {
        let mut value = [0; 16];
        let mut len = 0;
        for (place, kind) in value.as_chunks_mut::<2>().0.iter_mut().zip(kinds) {
            *place = kind.to_be_bytes();
            len += 2;
        }
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, value.get(..len).unwrap_or_default())
    }

    /// Adds MESSAGE-INTEGRITY over all so far.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn integrity(self, key: &[u8]) -> Result<Self, WireError> {
        let mac = integrity(key, self.writer.written()).ok_or(WireError::Length("STUN message"))?;
        let value: [u8; 20] = mac.finalize().into_bytes().into();
        self.attribute(attribute::MESSAGE_INTEGRITY, &value)
    }

    /// Adds FINGERPRINT over all so far.
    ///
    /// # Errors
    /// As [`Self::attribute`].
    pub fn fingerprint(self) -> Result<Self, WireError> {
        let value = fingerprint_of(self.writer.written()).ok_or(WireError::Length("STUN message"))?;
        self.attribute(attribute::FINGERPRINT, &value.to_be_bytes())
    }

    /// The length of the message.
    #[must_use]
    pub const fn finish(self) -> usize {
        self.writer.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::stun::{METHOD_BINDING, StunView, local_ufrag};

    fn request<'a>(out: &'a mut [u8], username: &str, tie_breaker: u64) -> Result<StunWriter<'a>, WireError> {
        StunWriter::new(Class::Request, METHOD_BINDING, [7; 12], out)?
            .username(username)?
            .priority(123)?
            .use_candidate()?
            .ice_controlling(tie_breaker)
    }

    proptest! {
        #[test]
        fn a_request_reads_back_as_it_was_written(
            local in "[a-zA-Z0-9+/]{4,32}", remote in "[a-zA-Z0-9+/]{4,256}", tie_breaker in any::<u64>(),
            key in "[a-zA-Z0-9+/]{22,80}",
        ) {
            let mut out = [0xff; 512];
            let username = format!("{local}:{remote}");
            let writer = request(&mut out, &username, tie_breaker).unwrap();
            let len = writer.integrity(key.as_bytes()).unwrap().fingerprint().unwrap().finish();
            prop_assert_eq!(local_ufrag(&out[..len]), Some(&local[..]));
            let view = StunView::parse(&out[..len]).unwrap();
            prop_assert_eq!((view.class(), view.method()), (Class::Request, METHOD_BINDING));
            prop_assert_eq!((view.transaction_id(), view.username()), ([7; 12], Some(&username[..])));
            prop_assert_eq!((view.priority(), view.use_candidate()), (Some(123), true));
            prop_assert_eq!((view.ice_controlling(), view.ice_controlled()), (Some(tie_breaker), None));
            prop_assert!(view.has_fingerprint() && view.check_integrity(key.as_bytes()));
            prop_assert!(!view.check_integrity(b"") && !view.check_integrity(&key.as_bytes()[1..]));
        }

        #[test]
        fn an_address_reads_back(ip in any::<std::net::IpAddr>(), port in any::<u16>(), transaction in any::<[u8; 12]>()) {
            let address = SocketAddr::new(ip, port);
            let mut out = [0; 64];
            let writer = StunWriter::new(Class::Success, METHOD_BINDING, transaction, &mut out).unwrap();
            let len = writer.xor_mapped_address(address).unwrap().finish();
            prop_assert_eq!(StunView::parse(&out[..len]).unwrap().xor_mapped_address(), Some(address));
        }
    }

    #[test]
    fn one_changed_bit_breaks_integrity_or_the_message() {
        let mut out = [0; 128];
        let len = request(&mut out, "here:there", 1).unwrap().integrity(b"password").unwrap().finish();
        for bit in 0..len * 8 {
            let mut forged = out;
            forged[bit / 8] ^= 1 << (bit % 8);
            let holds = StunView::parse(&forged[..len]).is_ok_and(|view| view.check_integrity(b"password"));
            assert!(!holds, "bit {bit}");
        }
    }

    #[test]
    fn what_stands_behind_integrity_is_not_seen() {
        let mut out = [0; 128];
        let writer = StunWriter::new(Class::Request, METHOD_BINDING, [7; 12], &mut out).unwrap();
        let writer = writer.integrity(b"password").unwrap().use_candidate().unwrap().username("a:b").unwrap();
        let len = writer.attribute(0x0099, &[1]).unwrap().fingerprint().unwrap().finish();
        let view = StunView::parse(&out[..len]).unwrap();
        assert!(view.check_integrity(b"password"));
        assert!(!view.use_candidate() && view.username().is_none());
        assert_eq!(view.unknown_comprehension_required().count(), 0);
    }

    #[test]
    fn a_wrong_or_early_fingerprint_is_refused() {
        let mut out = [0; 128];
        let len = request(&mut out, "a:b", 1).unwrap().fingerprint().unwrap().finish();
        out[len - 1] ^= 1;
        assert_eq!(StunView::parse(&out[..len]).unwrap_err(), WireError::Value("FINGERPRINT"));
        let early = StunWriter::new(Class::Request, METHOD_BINDING, [7; 12], &mut out).unwrap();
        let len = early.fingerprint().unwrap().use_candidate().unwrap().finish();
        assert!(StunView::parse(&out[..len]).is_err());
    }

    #[test]
    fn an_error_response_names_its_code_and_what_is_unknown() {
        let mut out = [0; 128];
        let writer = StunWriter::new(Class::Error, METHOD_BINDING, [7; 12], &mut out).unwrap();
        let writer = writer.error_code(420).unwrap().unknown_attributes(0x0100..0x0200).unwrap();
        let len = writer.attribute(0x0033, &[]).unwrap().attribute(0xc057, &[1, 2]).unwrap().finish();
        let view = StunView::parse(&out[..len]).unwrap();
        assert_eq!((view.class(), view.error_code()), (Class::Error, Some(420)));
        assert_eq!(view.unknown_attributes().collect::<Vec<_>>(), (0x0100..0x0108).collect::<Vec<_>>());
        assert_eq!(view.unknown_comprehension_required().collect::<Vec<_>>(), [0x0033]);
        let writer = StunWriter::new(Class::Error, METHOD_BINDING, [7; 12], &mut out).unwrap();
        assert_eq!(writer.error_code(700).unwrap_err(), WireError::Value("ERROR-CODE"));
    }

    #[test]
    fn a_slice_that_is_too_small_is_refused() {
        let mut out = [0; 64];
        for len in 0..60 {
            assert!(
                request(&mut out[..len], "here:there", 1)
                    .is_err_and(|e| e == WireError::NoSpace("STUN message"))
            );
        }
    }
}
