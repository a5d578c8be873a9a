//! The secured connection as the media plane sees it: a narrow door, so that its own tests can run in
//! plaintext.

use std::net::SocketAddr;

use super::statistics::DropReason;
use crate::base::Time;
use crate::message::SrtpProfile;
use crate::transport::srtp::Opened;
use crate::transport::{Connection, MediaError, Path};

#[cfg(test)]
pub(super) mod plain;

/// One participant's way in and out.
pub(super) enum Leg {
    /// ICE, DTLS and SRTP.
    Secure(Box<Connection>),
    /// Without any protection.
    #[cfg(test)]
    Plain(plain::PlainLeg),
}

impl Leg {
    /// The connection, where there is one.
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Secure(connection) => Some(connection),
            #[cfg(test)]
            Self::Plain(_) => None,
        }
    }

    /// Opens an RTP packet in place.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub(super) fn open_rtp(
        &mut self,
        now: Time,
        path: Path,
        packet: &mut [u8],
    ) -> Result<Opened, DropReason> {
        match self {
            Self::Secure(connection) => {
                connection.open_rtp(now, path, packet).map_err(|error| reason(&error))
            }
            #[cfg(test)]
            Self::Plain(leg) => leg.open_rtp(packet).ok_or(DropReason::NotAuthentic),
        }
    }

    /// Opens a compound RTCP packet in place and answers its length.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub(super) fn open_rtcp(
        &mut self,
        now: Time,
        path: Path,
        packet: &mut [u8],
    ) -> Result<usize, DropReason> {
        match self {
            Self::Secure(connection) => {
                connection.open_rtcp(now, path, packet).map_err(|error| reason(&error))
            }
            #[cfg(test)]
            Self::Plain(_) => Ok(packet.len()),
        }
    }

    /// Seals the packet at the front of the buffer and answers its new length.
    pub(super) fn seal_rtp(&mut self, buffer: &mut [u8], len: usize, index: u64) -> Option<usize> {
        match self {
            Self::Secure(connection) => connection.seal_rtp(buffer, len, index).ok(),
            #[cfg(test)]
            Self::Plain(leg) => leg.seal_rtp(buffer, len, index),
        }
    }

    /// Seals the compound packet at the front of the buffer and answers its new length.
    pub(super) fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        match self {
            Self::Secure(connection) => connection.seal_rtcp(buffer, len).ok(),
            #[cfg(test)]
            Self::Plain(_) => Some(len),
        }
    }

    /// How much longer sealing makes an RTP packet: the tag (RFC 7714 section 12, RFC 5764 section
    /// 4.1.2).
    pub(super) const fn overhead(&self) -> usize {
        match self {
            Self::Secure(connection) => match connection.profile() {
                Some(SrtpProfile::AeadAes128Gcm) | None => 16,
                Some(SrtpProfile::AesCm128HmacSha1_80) => 10,
            },
            #[cfg(test)]
            Self::Plain(_) => 0,
        }
    }

    /// When the first and the last authenticated check came from an address.
    pub(super) fn checks_from(&self, remote: SocketAddr) -> Option<(Time, Time)> {
        match self {
            Self::Secure(connection) => connection.checks_from(remote),
            #[cfg(test)]
            Self::Plain(_) => None,
        }
    }

    /// Where to send.
    pub(super) fn path(&self) -> Option<Path> {
        match self {
            Self::Secure(connection) => connection.path(),
            #[cfg(test)]
            Self::Plain(leg) => Some(leg.path),
        }
    }
}

const fn reason(error: &MediaError) -> DropReason {
    match error {
        MediaError::UnknownPath => DropReason::UnknownSource,
        MediaError::NotUp | MediaError::Srtp(_) => DropReason::NotAuthentic,
    }
}
