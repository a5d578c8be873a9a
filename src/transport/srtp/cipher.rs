//! The two profiles behind one set of functions.

use super::cm::{self, Cm};
use super::gcm::{self, Gcm};
use super::header::u32_at;
use super::keys::MasterKey;
use super::{OVERHEAD_RTCP, OVERHEAD_RTP, SrtpError};
use crate::message::SrtpProfile;

const _: () = assert!(gcm::TAG <= OVERHEAD_RTP && cm::TAG <= OVERHEAD_RTP);
const _: () = assert!(gcm::RTCP_OVERHEAD <= OVERHEAD_RTCP && cm::RTCP_OVERHEAD <= OVERHEAD_RTCP);

/// The session keys of one direction.
pub(super) enum Cipher {
    Gcm(Box<Gcm>),
    Cm(Box<Cm>),
}

impl Cipher {
    pub(super) fn new(profile: SrtpProfile, master: &MasterKey) -> Result<Self, SrtpError> {
        match profile {
            SrtpProfile::AeadAes128Gcm => Gcm::new(master).map(|gcm| Self::Gcm(Box::new(gcm))),
            SrtpProfile::AesCm128HmacSha1_80 => Cm::new(master).map(|cm| Self::Cm(Box::new(cm))),
        }
    }

    pub(super) const fn rtp_overhead(&self) -> usize {
        match self {
            Self::Gcm(_) => gcm::TAG,
            Self::Cm(_) => cm::TAG,
        }
    }

    pub(super) const fn rtcp_overhead(&self) -> usize {
        match self {
            Self::Gcm(_) => gcm::RTCP_OVERHEAD,
            Self::Cm(_) => cm::RTCP_OVERHEAD,
        }
    }

    /// Seals `packet`, which ends with [`Self::rtp_overhead`] bytes of room.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(packet, header_len, ssrc, index),
            Self::Cm(cm) => cm.seal_rtp(packet, header_len, ssrc, index),
        }
    }

    /// Opens `packet` and answers how long it is without its tag.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtp(packet, header_len, ssrc, index),
            Self::Cm(cm) => cm.open_rtp(packet, header_len, ssrc, index),
        }
    }

    /// Seals `packet`, which ends with [`Self::rtcp_overhead`] bytes of room.
    pub(super) fn seal_rtcp(&self, packet: &mut [u8], ssrc: u32, word: [u8; 4]) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtcp(packet, ssrc, word),
            Self::Cm(cm) => cm.seal_rtcp(packet, ssrc, word),
        }
    }

    /// Opens `packet` and answers how long it is without tag and index.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        encrypted: bool,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(packet, ssrc, encrypted),
            Self::Cm(cm) => cm.open_rtcp(packet, ssrc, encrypted),
        }
    }

    /// The word of an SRTCP packet that holds the E flag and the index: at the end under GCM, before
    /// the tag under AES-CM. It is not yet authenticated.
    pub(super) fn rtcp_word(&self, packet: &[u8]) -> Option<u32> {
        let behind = match self {
            Self::Gcm(_) => 4,
            Self::Cm(_) => cm::RTCP_OVERHEAD,
        };
        u32_at(packet, packet.len().checked_sub(behind)?)
    }
}
