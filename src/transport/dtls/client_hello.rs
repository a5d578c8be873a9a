//! The ClientHello, read before DTLS does: the server wants to choose the SRTP profile.

use super::message::Partial;
use super::record::{Fragment, HANDSHAKE, fragments, records};
use crate::message::SrtpProfile;

const CLIENT_HELLO: u8 = 1;
const USE_SRTP: u16 = 14;
const GCM_128: u16 = 0x0007;
const CM_SHA1_80: u16 = 0x0001;

/// A ClientHello of a browser takes 2 fragments; one with post-quantum key shares 2 or 3.
const MAX_FRAGMENTS: usize = 8;
/// The longest ClientHello, and the most bytes that wait for the rest of it.
const MAX_BYTES: usize = 16 * 1024;

/// Puts a ClientHello together from fragments in any order.
#[derive(Default)]
pub(super) struct HelloReader {
    /// What came so far, as it came.
    datagrams: Vec<Vec<u8>>,
    message: Option<Partial>,
}

/// A whole ClientHello.
pub(super) struct Hello {
    /// The best SRTP profile that the client offers.
    pub(super) profile: Option<SrtpProfile>,
    /// The datagrams that it came in.
    pub(super) datagrams: Vec<Vec<u8>>,
}

impl HelloReader {
    /// Takes a datagram in; answers the ClientHello once it is whole.
    pub(super) fn push(&mut self, datagram: &[u8]) -> Option<Hello> {
        if !self.take_parts(datagram) {
            return None;
        }
        let message = self.message.as_ref()?.whole()?;
        let Some(profiles) = srtp_profiles(&message) else {
            // Not a ClientHello after all. A good one may still come.
            *self = Self::default();
            return None;
        };
        let offers = |profile| profiles.contains(&profile);
        let profile = if offers(GCM_128) {
            Some(SrtpProfile::AeadAes128Gcm)
        } else if offers(CM_SHA1_80) {
            Some(SrtpProfile::AesCm128HmacSha1_80)
        } else {
            None
        };
        Some(Hello { profile, datagrams: std::mem::take(&mut self.datagrams) })
    }

    /// Remembers the parts of the first ClientHello in `datagram`; answers whether any was new.
    fn take_parts(&mut self, datagram: &[u8]) -> bool {
        let mut is_new = false;
        for record in records(datagram) {
            if record.epoch != 0 || record.content_type != HANDSHAKE {
                continue;
            }
            for part in fragments(record.body).unwrap_or_default() {
                if part.message_type == CLIENT_HELLO && part.sequence == 0 && part.length <= MAX_BYTES {
                    is_new |= self.take_part(&part);
                }
            }
        }
        if is_new {
            self.datagrams.push(datagram.to_vec());
        }
        is_new
    }

    fn take_part(&mut self, part: &Fragment<'_>) -> bool {
        let bytes: usize = self.datagrams.iter().map(Vec::len).sum();
        let has_room =
            |known: &Partial| known.parts() < MAX_FRAGMENTS && bytes + part.body.len() <= MAX_BYTES;
        // Another message, or too much of this one: start again, so that junk cannot block for ever.
        if !self.message.as_ref().is_some_and(|known| known.fits(part) && has_room(known)) {
            *self = Self { message: Some(Partial::of(part)), ..Self::default() };
        }
        self.message.as_mut().is_some_and(|message| message.push(part))
    }
}

/// The profiles of the `use_srtp` extension (RFC 5764 section 4.1.1), empty without one; `None` if
/// this is no ClientHello (RFC 6347 section 4.2.1).
fn srtp_profiles(message: &[u8]) -> Option<Vec<u16>> {
    const VERSION: [u8; 2] = [0xfe, 0xfd];
    const RANDOM: usize = 32;
    let behind_version = message.strip_prefix(&VERSION)?;
    let mut rest = Reader(behind_version.get(RANDOM..)?);
    rest.vector8()?; // session id
    rest.vector8()?; // cookie
    rest.vector16()?; // cipher suites
    rest.vector8()?; // compression methods
    let mut extensions = Reader(if rest.0.is_empty() { &[] } else { rest.vector16()? });
    if !rest.0.is_empty() {
        return None;
    }
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let body = extensions.vector16()?;
        if kind == USE_SRTP {
            let list = Reader(body).vector16()?;
            return Some(list.chunks_exact(2).filter_map(|pair| Reader(pair).number()).collect());
        }
    }
    Some(Vec::new())
}

/// Reads the vectors of TLS (RFC 5246 section 4.3).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first()?;
        self.0 = rest;
        self.take(usize::from(*len))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(usize::from(len))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}
