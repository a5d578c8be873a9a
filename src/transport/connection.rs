//! One participant's connection: ICE-lite, DTLS and SRTP as one machine.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::dtls::{Dtls, DtlsEvent, DtlsFailure, DtlsIdentity, RtcDtls};
use super::ice::{IceCredentials, IceDrop, IceLite, IceOutcome, MAX_REPLY};
use super::srtp::{Inbound, Opened, Outbound, SrtpError};
use super::{Negotiated, Path, TimeAnchor};
use crate::base::Time;
use crate::base::plant::{self, Plant};
use crate::message::{LossReason, SrtpProfile};

#[cfg(test)]
mod tests;

/// How long a connection may take from its answer to the end of its handshake. DTLS gives up 10 s
/// after its first record; this is for clients that never get so far.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// STUN replies that wait to be fetched. A client checks a handful of paths a few times a second.
const MAX_REPLIES: usize = 32;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The handshake is done with the right certificate: media may flow.
    Up(SrtpProfile),
    /// It is over. The last event.
    Lost(LossReason),
}

/// Why a media packet was not opened or sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// There are no keys yet, or none any more.
    #[error("the connection is not up")]
    NotUp,
    /// The packet came from an address that no authenticated check came from.
    #[error("the packet came over a path that ICE has not validated")]
    UnknownPath,
    /// It was refused by SRTP.
    #[error(transparent)]
    Srtp(#[from] SrtpError),
}

/// The server's end of one client's connection.
///
/// It is fed datagrams by kind and drained with [`Self::poll_transmit`] and [`Self::poll_event`] after
/// each. Addresses are learnt from authenticated ICE checks and from nothing else. Once it is lost or
/// closed it takes nothing in; it may still hold one last DTLS alert to send.
pub struct Connection {
    ice: IceLite,
    dtls: Box<dyn Dtls + Send>,
    state: State,
    /// The validated path that the last DTLS record came over: where to send before the first
    /// nomination. After that it is past.
    dtls_path: Option<Path>,
    replies: VecDeque<(Path, Vec<u8>)>,
    event: Option<ConnectionEvent>,
    /// When the first DTLS datagram came.
    greeted_at: Option<Time>,
    /// Half of what the handshake took, which is two round trips (RFC 6347 section 4.2.1) and what both
    /// ends computed.
    handshake_trip: Option<Duration>,
}

enum State {
    Connecting {
        deadline: Time,
    },
    Up {
        profile: SrtpProfile,
        outbound: Outbound,
        inbound: Inbound,
        /// Whether the client has sent something under the keys.
        is_settled: bool,
    },
    Over,
}

impl Connection {
    /// A connection to the client of an offer; `local` are the credentials of the answer.
    #[must_use]
    pub fn new(
        now: Time,
        negotiated: &Negotiated,
        local: IceCredentials,
        identity: &DtlsIdentity,
        anchor: TimeAnchor,
    ) -> Self {
        let remote =
            IceCredentials { ufrag: negotiated.remote_ufrag.clone(), pwd: negotiated.remote_pwd.clone() };
        let dtls = RtcDtls::server(identity, &negotiated.fingerprints, anchor);
        Self::with_dtls(now, IceLite::new(local, remote), Box::new(dtls))
    }

    /// A connection over any implementation of DTLS.
    #[must_use]
    pub fn with_dtls(now: Time, ice: IceLite, dtls: Box<dyn Dtls + Send>) -> Self {
        Self {
            ice,
            dtls,
            state: State::Connecting { deadline: now + CONNECT_TIMEOUT },
            dtls_path: None,
            replies: VecDeque::new(),
            event: None,
            greeted_at: None,
            handshake_trip: None,
        }
    }

    /// Takes a STUN message in. The outcome tells which paths became valid or ceased to be; a reply
    /// waits in [`Self::poll_transmit`].
    pub fn handle_stun(&mut self, now: Time, path: Path, message: &[u8]) -> IceOutcome {
        if self.is_over() {
            // The session whose name the message bears is no more.
            return IceOutcome::Dropped(IceDrop::UnknownUser);
        }
        let mut reply = [0; MAX_REPLY];
        let outcome = self.ice.handle_request(now, path, message, &mut reply);
        if let Some(reply) = outcome.reply_len().and_then(|len| reply.get(..len))
            && self.replies.len() < MAX_REPLIES
        {
            self.replies.push_back((path.canonical(), reply.to_vec()));
        }
        if matches!(outcome, IceOutcome::Accepted(accepted) if accepted.selected || accepted.restarted) {
            self.dtls_path = None;
        }
        outcome
    }

    /// Takes a DTLS datagram in; nothing happens to one from a path that ICE has not validated.
    /// Answers whether it was taken.
    pub fn handle_dtls(&mut self, now: Time, path: Path, datagram: &[u8]) -> bool {
        if self.is_over() || !self.ice.is_validated(path) {
            return false;
        }
        if self.ice.selected().is_none() {
            self.dtls_path = Some(path.canonical());
        }
        self.greeted_at.get_or_insert(now);
        self.dtls.handle_datagram(now, datagram);
        self.take_dtls_events();
        if self.is_up() {
            let began = self.greeted_at.unwrap_or(now);
            self.handshake_trip.get_or_insert_with(|| now.since(began) / 2);
        }
        true
    }

    /// Opens an RTP packet in place; an authentic one prolongs the consent of its path.
    ///
    /// # Errors
    ///
    /// [`MediaError`]; the packet may then be garbage, and the connection is as before.
    pub fn open_rtp(&mut self, now: Time, path: Path, packet: &mut [u8]) -> Result<Opened, MediaError> {
        let (inbound, heard) = self.inbound(path)?;
        let opened = inbound.open_rtp(packet)?;
        if let Some(heard) = heard {
            *heard = now;
        }
        self.settle();
        Ok(opened)
    }

    /// Opens a compound RTCP packet in place and answers its length; see [`Self::open_rtp`].
    ///
    /// # Errors
    ///
    /// As [`Self::open_rtp`].
    pub fn open_rtcp(&mut self, now: Time, path: Path, packet: &mut [u8]) -> Result<usize, MediaError> {
        let (inbound, heard) = self.inbound(path)?;
        let len = inbound.open_rtcp(packet)?;
        if let Some(heard) = heard {
            *heard = now;
        }
        self.settle();
        Ok(len)
    }

    /// A client that uses the keys has got the end of the handshake.
    fn settle(&mut self) {
        if let State::Up { is_settled: is_settled @ false, .. } = &mut self.state {
            *is_settled = true;
            self.dtls.settle();
        }
    }

    /// What opens media, and when the last came over its path.
    fn inbound(&mut self, path: Path) -> Result<(&mut Inbound, Option<&mut Time>), MediaError> {
        let State::Up { inbound, .. } = &mut self.state else { return Err(MediaError::NotUp) };
        let heard = self.ice.heard(path);
        if heard.is_some() || plant::is(Plant::SourceBelieved) {
            Ok((inbound, heard))
        } else {
            Err(MediaError::UnknownPath)
        }
    }

    /// Seals an RTP packet in place; see [`Outbound::seal_rtp`]. It is to be sent to [`Self::path`].
    ///
    /// # Errors
    ///
    /// [`MediaError::NotUp`] or [`MediaError::Srtp`].
    pub fn seal_rtp(&mut self, buffer: &mut [u8], len: usize, index: u64) -> Result<usize, MediaError> {
        Ok(self.outbound()?.seal_rtp(buffer, len, index)?)
    }

    /// Seals a compound RTCP packet in place; see [`Outbound::seal_rtcp`].
    ///
    /// # Errors
    ///
    /// [`MediaError::NotUp`] or [`MediaError::Srtp`].
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, MediaError> {
        Ok(self.outbound()?.seal_rtcp(buffer, len)?)
    }

    const fn outbound(&mut self) -> Result<&mut Outbound, MediaError> {
        match &mut self.state {
            State::Up { outbound, .. } => Ok(outbound),
            State::Connecting { .. } | State::Over => Err(MediaError::NotUp),
        }
    }

    /// Where to send: the path that the client nominated; before that, where its DTLS comes from.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        let from_dtls = || self.dtls_path.filter(|path| self.ice.is_validated(*path));
        self.ice.selected().or_else(from_dtls).or_else(|| self.ice.path())
    }

    /// The paths on which datagrams of this client may come.
    pub fn paths(&self) -> impl Iterator<Item = Path> {
        self.ice.paths()
    }

    /// When the first and the last authenticated check came from an address, while its consent lasts.
    #[must_use]
    pub fn checks_from(&self, remote: SocketAddr) -> Option<(Time, Time)> {
        self.ice.checks_from(remote)
    }

    /// The user name fragments by which checks find this connection: two during an ICE restart.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        self.ice.local_ufrags()
    }

    /// Whether media can flow.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// The round trip by the handshake, once it is done: never less than it was.
    #[must_use]
    pub const fn handshake_trip(&self) -> Option<Duration> {
        self.handshake_trip
    }

    /// What protects the media, once the connection is up.
    #[must_use]
    pub const fn profile(&self) -> Option<SrtpProfile> {
        match &self.state {
            State::Up { profile, .. } => Some(*profile),
            State::Connecting { .. } | State::Over => None,
        }
    }

    const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next datagram to send, which is not media, and where to.
    pub fn poll_transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        if let Some(reply) = self.replies.pop_front() {
            if self.replies.is_empty() {
                self.replies = VecDeque::new();
            }
            return Some(reply);
        }
        let path = self.path()?;
        self.dtls.poll_transmit().map(|datagram| (path, datagram))
    }

    /// What has happened, once each.
    pub const fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.event.take()
    }

    /// When [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = match self.state {
            State::Connecting { deadline } => Some(deadline),
            State::Up { .. } => None,
            State::Over => return None,
        };
        [deadline, self.ice.poll_timeout(), self.dtls.poll_timeout()].into_iter().flatten().min()
    }

    /// Does what is due; answers which paths are not valid any more.
    pub fn handle_timeout(&mut self, now: Time) -> Vec<Path> {
        if self.is_over() {
            return Vec::new();
        }
        let gone = self.ice.handle_timeout(now);
        if self.ice.is_lost() {
            // Without consent nothing may be sent, not even a goodbye: there is no path left for one.
            self.replies.clear();
            self.lose(LossReason::Consent);
            return gone;
        }
        self.dtls.handle_timeout(now);
        self.take_dtls_events();
        if matches!(self.state, State::Connecting { deadline } if deadline <= now) {
            self.lose(LossReason::Handshake);
        }
        gone
    }

    /// Renews ICE (RFC 8445 section 9). Paths, DTLS and SRTP stay as they are until the client uses
    /// the new credentials, and the latter two also then.
    pub fn restart_ice(&mut self, local: IceCredentials, remote: IceCredentials) {
        self.ice.restart(local, remote);
    }

    /// Ends the connection and tells the client, if the handshake was done. No event follows.
    pub fn close(&mut self, now: Time) {
        self.dtls.close(now);
        self.state = State::Over;
        self.event = None;
    }

    fn take_dtls_events(&mut self) {
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Connected(keys) => match keys.server_contexts() {
                    Ok((outbound, inbound)) if !self.is_over() => {
                        let (profile, is_settled) = (keys.profile, false);
                        self.state = State::Up { profile, outbound, inbound, is_settled };
                        self.event = Some(ConnectionEvent::Up(keys.profile));
                    }
                    Ok(_) => {}
                    Err(_) => self.lose(LossReason::Handshake),
                },
                DtlsEvent::Failed(DtlsFailure::Fingerprint) => self.lose(LossReason::Fingerprint),
                DtlsEvent::Failed(_) => self.lose(LossReason::Handshake),
                DtlsEvent::Closed => self.lose(LossReason::Closed),
            }
        }
    }

    /// Drops the keys, so that nothing can be opened or sealed any more. A loss replaces news that
    /// nobody has fetched.
    fn lose(&mut self, reason: LossReason) {
        if !self.is_over() {
            self.state = State::Over;
            self.event = Some(ConnectionEvent::Lost(reason));
        }
    }
}
