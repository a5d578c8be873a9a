//! Sealing what we send.

use std::fmt;

use super::cipher::Cipher;
use super::header::{RTCP_HEADER, rtcp_sender, rtp_fields};
use super::{MasterKey, SrtpError};
use crate::base::plant::{self, Plant};
use crate::message::SrtpProfile;

const LAST_RTP_INDEX: u64 = (1 << 48) - 1;
const LAST_RTCP_INDEX: u32 = (1 << 31) - 1;
const ENCRYPTED: u32 = 1 << 31;

/// The sending half of one participant's SRTP.
pub struct Outbound {
    cipher: Cipher,
    /// One counter for all sources: it never repeats, whichever SSRC a packet comes from.
    next_rtcp_index: u32,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("next_rtcp_index", &self.next_rtcp_index).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Keys from a master key and salt.
    ///
    /// # Errors
    ///
    /// [`SrtpError::KeyLength`]; see [`MasterKey::new`].
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Self::from_master(profile, &MasterKey::new(profile, key, salt)?)
    }

    pub(super) fn from_master(profile: SrtpProfile, master: &MasterKey) -> Result<Self, SrtpError> {
        // RFC 3711 section 3.4 starts at 0; libsrtp and the browsers start at 1, and so do we.
        Ok(Self { cipher: Cipher::new(profile, master)?, next_rtcp_index: 1 })
    }

    /// Seals the RTP packet in the first `len` bytes of `buffer` and answers its new length, at most
    /// [`super::OVERHEAD_RTP`] more.
    ///
    /// `index` is `ROC << 16 | sequence number` (RFC 3711 section 3.3.1). Under one SSRC no index may
    /// ever seal two different packets; the caller counts, so that sealing needs no look-up.
    ///
    /// # Errors
    ///
    /// [`SrtpError::NoRoom`], [`SrtpError::Malformed`], [`SrtpError::WrongIndex`] or
    /// [`SrtpError::Exhausted`]; the packet is then unchanged.
    pub fn seal_rtp(&mut self, buffer: &mut [u8], len: usize, index: u64) -> Result<usize, SrtpError> {
        let fields = rtp_fields(buffer.get(..len).ok_or(SrtpError::NoRoom)?).ok_or(SrtpError::Malformed)?;
        if index > LAST_RTP_INDEX {
            return Err(SrtpError::Exhausted);
        }
        if index & 0xffff != u64::from(fields.sequence) {
            return Err(SrtpError::WrongIndex);
        }
        let sealed_len = len + self.cipher.rtp_overhead();
        let packet = buffer.get_mut(..sealed_len).ok_or(SrtpError::NoRoom)?;
        self.cipher.seal_rtp(packet, fields.header_len, fields.ssrc, index)?;
        Ok(sealed_len)
    }

    /// Seals the compound RTCP packet in the first `len` bytes of `buffer` and answers its new length,
    /// at most [`super::OVERHEAD_RTCP`] more.
    ///
    /// # Errors
    ///
    /// [`SrtpError::NoRoom`], [`SrtpError::Malformed`] or, after 2^31 packets,
    /// [`SrtpError::Exhausted`]; the packet is then unchanged.
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let plain = buffer.get(..len).ok_or(SrtpError::NoRoom)?;
        if len < RTCP_HEADER {
            return Err(SrtpError::Malformed);
        }
        let ssrc = rtcp_sender(plain).ok_or(SrtpError::Malformed)?;
        if self.next_rtcp_index > LAST_RTCP_INDEX {
            return Err(SrtpError::Exhausted);
        }
        let sealed_len = len + self.cipher.rtcp_overhead();
        let packet = buffer.get_mut(..sealed_len).ok_or(SrtpError::NoRoom)?;
        let word = (ENCRYPTED | self.next_rtcp_index).to_be_bytes();
        // Used up even if sealing failed half-way: an index is never tried twice.
        if !(plant::is(Plant::ControlIndexRepeats) && self.next_rtcp_index == 7) {
            self.next_rtcp_index += 1;
        }
        self.cipher.seal_rtcp(packet, ssrc, word)?;
        Ok(sealed_len)
    }

    #[cfg(test)]
    pub(super) fn with_cipher(cipher: Cipher, next_rtcp_index: u32) -> Self {
        Self { cipher, next_rtcp_index }
    }
}
