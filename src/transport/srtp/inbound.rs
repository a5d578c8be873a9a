//! Opening what the peer sends.

use std::fmt;

use super::cipher::Cipher;
use super::header::{RTCP_HEADER, rtcp_sender, rtp_fields};
use super::sources::Sources;
use super::{MasterKey, SrtpError};
use crate::base::plant::{self, Plant};
use crate::message::SrtpProfile;

const ENCRYPTED: u32 = 1 << 31;

/// An RTP packet that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The packet's length without its tag.
    pub len: usize,
    /// `ROC << 16 | sequence number` (RFC 3711 section 3.3.1).
    pub index: u64,
}

/// The receiving half of one participant's SRTP.
pub struct Inbound {
    cipher: Cipher,
    rtp: Sources,
    rtcp: Sources,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("rtp_sources", &self.rtp.count())
            .field("rtcp_sources", &self.rtcp.count())
            .finish_non_exhaustive()
    }
}

impl Inbound {
    /// Keys from a master key and salt.
    ///
    /// # Errors
    ///
    /// [`SrtpError::KeyLength`]; see [`MasterKey::new`].
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Self::from_master(profile, &MasterKey::new(profile, key, salt)?)
    }

    pub(super) fn from_master(profile: SrtpProfile, master: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self::with_cipher(Cipher::new(profile, master)?))
    }

    pub(super) fn with_cipher(cipher: Cipher) -> Self {
        Self { cipher, rtp: Sources::default(), rtcp: Sources::default() }
    }

    /// Opens an RTP packet in place.
    ///
    /// # Errors
    ///
    /// Any of the packet's or the peer's faults. The packet's bytes may then be garbage; what we
    /// remember of the peer is as before.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<Opened, SrtpError> {
        let fields = rtp_fields(packet).ok_or(SrtpError::Malformed)?;
        if packet.len() < fields.header_len + self.cipher.rtp_overhead() {
            return Err(SrtpError::Malformed);
        }
        let place = self.rtp.find(fields.ssrc)?;
        let index = self.rtp.guess(place, fields.sequence).ok_or(SrtpError::Exhausted)?;
        self.rtp.check_fresh(place, index)?;
        let len = self.cipher.open_rtp(packet, fields.header_len, fields.ssrc, index)?;
        self.rtp.accept(place, fields.ssrc, index);
        Ok(Opened { len, index })
    }

    /// Opens a compound RTCP packet in place and answers its length without tag and index.
    ///
    /// # Errors
    ///
    /// As [`Self::open_rtp`].
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        if packet.len() < RTCP_HEADER + self.cipher.rtcp_overhead() {
            return Err(SrtpError::Malformed);
        }
        let ssrc = rtcp_sender(packet).ok_or(SrtpError::Malformed)?;
        let word = self.cipher.rtcp_word(packet).ok_or(SrtpError::Malformed)?;
        let index = u64::from(word & !ENCRYPTED);
        let place = self.rtcp.find(ssrc)?;
        self.rtcp.check_fresh(place, index)?;
        if plant::is(Plant::PlainControlBelieved) && word & ENCRYPTED == 0 {
            return Ok(packet.len() - self.cipher.rtcp_overhead());
        }
        let len = self.cipher.open_rtcp(packet, ssrc, word & ENCRYPTED != 0)?;
        self.rtcp.accept(place, ssrc, index);
        Ok(len)
    }

    /// How many sources the peer has sent RTP from.
    #[must_use]
    pub const fn rtp_sources(&self) -> usize {
        self.rtp.count()
    }
}
