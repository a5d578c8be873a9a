//! A synthetic participant's end of the connection: ICE, DTLS as client, SRTP.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::ice::ClientIce;
use crate::base::{Random, Time};
use crate::message::SrtpProfile;
use crate::transport::dtls::{Dtls, DtlsEvent, RtcDtls};
use crate::transport::srtp::{Inbound, Outbound, SrtpError};
use crate::wire::demux::{DatagramKind, classify};

/// What a datagram held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Nothing for the application.
    Nothing,
    /// An RTP packet of this length in the datagram's place, with this SRTP index.
    Rtp(usize, u64),
    /// A compound RTCP packet of this length.
    Rtcp(usize),
    /// A packet that has come before, or too old to tell.
    Again,
    /// Media before there are keys: the flight that brings them was lost or overtaken.
    Early,
    /// A packet that could not be decrypted.
    Failed,
}

/// One connection to a server.
pub(super) struct ClientTransport {
    ice: ClientIce,
    dtls: RtcDtls,
    srtp: Option<(Outbound, Inbound)>,
    profile: Option<SrtpProfile>,
    failed: bool,
    outgoing: VecDeque<Vec<u8>>,
    replies: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// DTLS flights are a handful of datagrams.
const MAX_OUTGOING: usize = 64;

impl ClientTransport {
    /// A connection that starts checking at once.
    #[must_use]
    pub(super) fn new(ice: ClientIce, dtls: RtcDtls) -> Self {
        Self {
            ice,
            dtls,
            srtp: None,
            profile: None,
            failed: false,
            outgoing: VecDeque::new(),
            replies: VecDeque::new(),
        }
    }

    /// What protects the media, once that is agreed.
    #[must_use]
    pub(super) fn profile(&self) -> Option<SrtpProfile> {
        self.profile
    }

    /// Whether the connection failed for good.
    #[must_use]
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Takes a datagram; media is decrypted in place.
    pub(super) fn handle(&mut self, now: Time, from: SocketAddr, datagram: &mut [u8]) -> Opened {
        match classify(datagram) {
            Some(DatagramKind::Stun) => {
                self.ice.handle_response(now, from, datagram);
                if let Some(reply) = self.ice.reply(from, datagram)
                    && self.replies.len() < MAX_OUTGOING
                {
                    self.replies.push_back((from, reply));
                }
                // The first flight has been waiting for somebody to talk to.
                self.drive();
            }
            Some(DatagramKind::Dtls) => {
                self.dtls.handle_datagram(now, datagram);
                self.drive();
            }
            Some(DatagramKind::Rtp) => {
                let Some((_, inbound)) = &mut self.srtp else { return Opened::Early };
                return match inbound.open_rtp(datagram) {
                    Ok(opened) => Opened::Rtp(opened.len, opened.index),
                    Err(SrtpError::Replayed) => Opened::Again,
                    Err(_) => Opened::Failed,
                };
            }
            Some(DatagramKind::Rtcp) => {
                let Some((_, inbound)) = &mut self.srtp else { return Opened::Early };
                return match inbound.open_rtcp(datagram) {
                    Ok(len) => Opened::Rtcp(len),
                    Err(SrtpError::Replayed) => Opened::Again,
                    Err(_) => Opened::Failed,
                };
            }
            None => {}
        }
        Opened::Nothing
    }

    /// Where media goes, once it may.
    #[must_use]
    pub(super) fn media_address(&self) -> Option<SocketAddr> {
        self.srtp.as_ref().and_then(|_| self.ice.selected())
    }

    /// Seals the RTP packet of `len` bytes in `buffer`; answers the new length.
    ///
    /// # Errors
    /// As [`Outbound::seal_rtp`]; before there are keys as well.
    pub(super) fn seal_rtp(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        index: u64,
    ) -> Result<Option<usize>, SrtpError> {
        let Some((outbound, _)) = &mut self.srtp else { return Ok(None) };
        outbound.seal_rtp(buffer, len, index).map(Some)
    }

    /// Seals the compound RTCP packet of `len` bytes in `buffer`; answers the new length.
    ///
    /// # Errors
    /// As [`Outbound::seal_rtcp`].
    pub(super) fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<Option<usize>, SrtpError> {
        let Some((outbound, _)) = &mut self.srtp else { return Ok(None) };
        outbound.seal_rtcp(buffer, len).map(Some)
    }

    /// Writes the next datagram of ICE or DTLS; answers where it goes and its length.
    pub(super) fn poll_transmit(
        &mut self,
        now: Time,
        random: &mut Random,
        out: &mut [u8],
    ) -> Option<(SocketAddr, usize)> {
        if let Some((to, reply)) = self.replies.pop_front() {
            out.get_mut(..reply.len())?.copy_from_slice(&reply);
            return Some((to, reply.len()));
        }
        if let Ok(Some(check)) = self.ice.poll_check(now, random, out) {
            return Some(check);
        }
        let to = self.ice.selected()?;
        let datagram = self.outgoing.pop_front()?;
        out.get_mut(..datagram.len())?.copy_from_slice(&datagram);
        Some((to, datagram.len()))
    }

    /// The own address has changed.
    pub(super) fn address_changed(&mut self, now: Time) {
        self.ice.address_changed(now);
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Time {
        let ice = self.ice.poll_timeout();
        self.dtls.poll_timeout().filter(|_| self.ice.selected().is_some()).map_or(ice, |dtls| dtls.min(ice))
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        // The handshake starts once there is somebody to talk to.
        if self.ice.selected().is_some() {
            self.dtls.handle_timeout(now);
            self.drive();
        }
    }

    fn drive(&mut self) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            if self.outgoing.len() < MAX_OUTGOING {
                self.outgoing.push_back(datagram);
            }
        }
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Connected(keys) => {
                    self.profile = Some(keys.profile);
                    self.srtp = keys.client_contexts().ok();
                }
                DtlsEvent::Failed(_) | DtlsEvent::Closed => self.failed = true,
            }
        }
    }
}
