//! Participants' connections: offers answered, ICE and DTLS served, losses noticed.

use std::net::SocketAddr;

use super::handshakes::{LONGEST, Step};
use super::leg::Leg;
use super::participant::Participant;
use super::session::Session;
use super::silence::{Sign, Silences};
use super::slab::Key;
use super::statistics::DropReason;
use super::worker::{Transmit, Worker};
use crate::base::{ParticipantId, Time};
use crate::message::{Answer, Connect, LossReason, MediaReport, SdpRefusal, SlotLine};
use crate::transport::ice::{IceCredentials, IceDrop, IceOutcome, local_ufrag};
use crate::transport::sdp::{LocalDescription, Offer, check_restart, negotiate, write_answer};
use crate::transport::{Connection, ConnectionEvent, Negotiated, Path};

/// Datagrams of connections that wait to be sent. Each answers one that came in or a timer; more
/// than these wait only when the socket takes nothing.
const MAX_LOOSE: usize = 4_096;

impl Worker {
    /// Answers an offer; on refusal nothing has changed.
    pub(super) fn connect(&mut self, now: Time, connect: &Connect) {
        let placement = &connect.placement;
        let result = self.try_connect(now, connect);
        if result.is_err() {
            self.statistics.refused_offers += 1;
        }
        self.reports.push_back(MediaReport::Answered {
            participant: placement.participant,
            epoch: placement.epoch,
            result,
        });
    }

    fn try_connect(&mut self, now: Time, connect: &Connect) -> Result<Answer, SdpRefusal> {
        let placement = &connect.placement;
        let known = self.by_id.get(&placement.participant).and_then(|key| self.participants.get(*key));
        if known.is_some_and(|known| known.epoch >= placement.epoch) {
            return Err(SdpRefusal { reason: "A newer connection or move has overtaken this offer.".into() });
        }
        let offer = Offer::parse(&connect.offer)?;
        let mut negotiated = negotiate(&offer, connect.tracks.as_ref(), &mut self.random)?;
        self.make_ssrcs_unique(&mut negotiated);
        let local = self.new_credentials();
        let cname = format!("{:016x}", self.random.next_u64());
        let description = LocalDescription {
            ufrag: local.ufrag.clone(),
            pwd: local.pwd.clone(),
            fingerprint: self.identity.fingerprint().clone(),
            candidates: self.settings.advertised.clone(),
            // RFC 8866 section 5.2 wants digits; RFC 9429 section 5.2.1 wants them below 2^63.
            session_id: self.random.next_u64() >> 1,
            version: 1,
            cname: cname.clone(),
        };
        let sdp = write_answer(&offer, &negotiated, &description);
        let slots = negotiated.slots.iter().map(|slot| SlotLine {
            mid: slot.mid.clone(),
            video: slot.video,
            ssrc: slot.ssrc,
        });
        let answer = Answer { sdp, slots: slots.collect() };
        let connection = Connection::new(now, &negotiated, local, &self.identity, self.anchor);
        let leg = Leg::Secure(Box::new(connection));
        let mut session = self.new_session(leg, placement.epoch, negotiated, cname);
        session.session_id = description.session_id;
        let key = self.attach(now, placement, session);
        self.after_connection_work(now, key);
        Ok(answer)
    }

    /// Gives slots other SSRCs where theirs are taken, here or by the client itself.
    fn make_ssrcs_unique(&mut self, negotiated: &mut Negotiated) {
        let clients: Vec<_> = negotiated
            .sends
            .iter()
            .flat_map(|send| send.declared_ssrcs.iter())
            .flat_map(|(media, repair)| [Some(*media), *repair])
            .flatten()
            .collect();
        for slot in &mut negotiated.slots {
            for ssrc in [Some(&mut slot.ssrc), slot.rtx_ssrc.as_mut()].into_iter().flatten() {
                while clients.contains(ssrc) || !self.own_ssrcs.insert(*ssrc) {
                    *ssrc = self.new_ssrc();
                    self.own_ssrcs.remove(ssrc);
                }
            }
        }
    }

    fn new_credentials(&mut self) -> IceCredentials {
        loop {
            let local = IceCredentials::random(&mut self.random);
            if !self.demux.has_ufrag(&local.ufrag) {
                return local;
            }
        }
    }

    /// Renews ICE on the connection that is there.
    pub(super) fn restart_ice(&mut self, now: Time, participant: ParticipantId, number: u64, offer: &str) {
        let result = self.try_restart_ice(now, participant, offer);
        self.reports.push_back(MediaReport::IceRestarted { participant, number, result });
    }

    fn try_restart_ice(
        &mut self,
        now: Time,
        participant: ParticipantId,
        offer: &str,
    ) -> Result<String, SdpRefusal> {
        let offer = Offer::parse(offer)?;
        let local = self.new_credentials();
        let key = self.by_id.get(&participant).copied();
        let session = key
            .and_then(|key| self.participants.get_mut(key))
            .and_then(|participant| participant.session.as_mut());
        let (Some(key), Some(session)) = (key, session) else {
            return Err(SdpRefusal { reason: "There is no connection to restart: join anew.".into() });
        };
        check_restart(&offer, &session.negotiated)?;
        let (ufrag, pwd) = offer.ice()?;
        session.answer_version += 1;
        let description = LocalDescription {
            ufrag: local.ufrag.clone(),
            pwd: local.pwd.clone(),
            fingerprint: self.identity.fingerprint().clone(),
            candidates: self.settings.advertised.clone(),
            session_id: session.session_id,
            version: session.answer_version,
            cname: session.cname.clone(),
        };
        let answer = write_answer(&offer, &session.negotiated, &description);
        if let Some(connection) = session.leg.connection() {
            connection.restart_ice(local, IceCredentials { ufrag, pwd });
        }
        self.after_connection_work(now, key);
        Ok(answer)
    }

    /// Takes a STUN message: found by the fragment that it is for, before anything is computed.
    ///
    /// # Errors
    ///
    /// Why it was ignored.
    pub(super) fn handle_stun(&mut self, now: Time, path: Path, message: &[u8]) -> Result<(), DropReason> {
        let ufrag = local_ufrag(message).ok_or(DropReason::Malformed)?;
        let key = self.demux.by_ufrag(ufrag).ok_or(DropReason::UnknownUfrag)?;
        if self.is_anothers(now, path.remote, key) {
            return Err(DropReason::AddressTaken);
        }
        let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
        let session = session.ok_or(DropReason::UnknownUfrag)?;
        let connection = session.leg.connection().ok_or(DropReason::UnknownUfrag)?;
        match connection.handle_stun(now, path, message) {
            IceOutcome::Dropped(IceDrop::TooMany) => return Err(DropReason::OverRate),
            // It has changed nothing.
            IceOutcome::Dropped(_) => return Err(DropReason::NotAuthentic),
            IceOutcome::Refused { .. } => {}
            // From where media goes to it is as good a sign as a packet: some report nothing.
            IceOutcome::Accepted(_) if session.leg.path() == Some(path) => {
                session.hear(path, Sign::Alone, self.emptied_at, now);
            }
            IceOutcome::Accepted(_) => session.silences.end(path, Sign::Alone, self.emptied_at, now),
        }
        self.after_connection_work(now, key);
        // The last to prove itself from an address has it, also where another has had it since.
        let session = self.participants.get(key).and_then(|participant| participant.session.as_ref());
        if session.is_some_and(|session| session.addresses.contains(&path.remote)) {
            self.demux.add_address(path.remote, key);
        }
        Ok(())
    }

    /// Whether somebody else lives at an address. A check says who sent it, and not that the sender is
    /// there: otherwise one could take another's packets away by checks with a forged source. Who was there
    /// before comes back at once.
    fn is_anothers(&self, now: Time, address: SocketAddr, key: Key<Participant>) -> bool {
        let session_of = |key| self.participants.get(key).and_then(|one| one.session.as_ref());
        let owner = self.demux.by_address(address).filter(|owner| *owner != key).and_then(session_of);
        let Some(owner) = owner.filter(|owner| owner.lives_at(now, address)) else { return false };
        let since = |session: &Session| session.leg.checks_from(address).map(|(first, _)| first);
        let before = since(owner);
        session_of(key).and_then(since).is_none_or(|own| before.is_some_and(|before| before <= own))
    }

    /// Lets a DTLS datagram wait from an address that ICE has validated.
    ///
    /// # Errors
    ///
    /// Why it was ignored.
    pub(super) fn note_dtls(&mut self, now: Time, path: Path, datagram: &[u8]) -> Result<(), DropReason> {
        let key = self.demux.by_address(path.remote).ok_or(DropReason::UnknownSource)?;
        let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
        let session = session.ok_or(DropReason::UnknownSource)?;
        if datagram.len() > LONGEST {
            return Err(DropReason::Malformed);
        }
        let epoch = session.epoch;
        let step = || Step { came: now, path, key, epoch, datagram: datagram.to_vec() };
        if self.handshakes.add(&mut session.handshakes, step) { Ok(()) } else { Err(DropReason::OverRate) }
    }

    /// Takes the oldest DTLS datagram that waits.
    pub(super) fn take_dtls(&mut self, now: Time) {
        let Some(Step { path, key, epoch, datagram, .. }) = self.handshakes.take() else { return };
        let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
        // What came for a connection that another has replaced is nobody's.
        let taken = session.filter(|session| session.epoch == epoch).is_some_and(|session| {
            session.handshakes.taken();
            let connection = session.leg.connection();
            connection.is_some_and(|connection| connection.handle_dtls(now, path, &datagram))
        });
        if !taken {
            return self.statistics.drops.count(DropReason::UnknownSource);
        }
        self.after_connection_work(now, key);
    }

    /// Wakes a connection.
    pub(super) fn handle_connection_timeout(&mut self, now: Time, key: Key<Participant>) {
        let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
        if let Some(connection) = session.and_then(|session| session.leg.connection()) {
            connection.handle_timeout(now);
        }
        self.after_connection_work(now, key);
    }

    /// Takes over what a connection has to say: addresses, datagrams, news, its next deadline.
    fn after_connection_work(&mut self, now: Time, key: Key<Participant>) {
        let session = self.participants.get_mut(key).and_then(|participant| participant.session.as_mut());
        let Some(session) = session else { return };
        let Some(connection) = session.leg.connection() else { return };
        let addresses: Vec<_> = connection.paths().map(|path| path.remote).collect();
        let ufrags: Vec<_> = connection.local_ufrags().map(str::to_owned).collect();
        let event = connection.poll_event();
        let deadline = connection.poll_timeout();
        for gone in session.addresses.iter().filter(|known| !addresses.contains(known)) {
            self.demux.remove_address(*gone, key);
        }
        for validated in addresses.iter().filter(|address| !session.addresses.contains(address)) {
            self.demux.add_address(*validated, key);
        }
        for gone in session.ufrags.iter().filter(|known| !ufrags.contains(known)) {
            self.demux.remove_ufrag(gone, key);
        }
        for ufrag in &ufrags {
            self.demux.add_ufrag(ufrag, key);
        }
        session.addresses = addresses;
        session.ufrags = ufrags;
        match deadline {
            Some(deadline) => self.deadlines.set(now, key, deadline),
            None => self.deadlines.clear(key),
        }
        drain_transmits(&mut session.leg, &mut self.loose);
        match event {
            Some(ConnectionEvent::Up(srtp)) => self.come_up(now, key, srtp),
            Some(ConnectionEvent::Lost(reason)) => self.lose(now, key, reason),
            None => {}
        }
    }

    pub(super) fn come_up(&mut self, now: Time, key: Key<Participant>, srtp: crate::message::SrtpProfile) {
        let Some(participant) = self.participants.get_mut(key) else { return };
        let (id, group) = (participant.id, participant.group);
        let Some(session) = participant.session.as_mut() else { return };
        session.is_up = true;
        // Before, nothing could be sent that opens.
        session.silences = Silences::default();
        if let Some(path) = session.leg.path() {
            session.silences.end(path, Sign::Alone, self.emptied_at, now);
        }
        let trip = session.leg.connection().and_then(|connection| connection.handshake_trip());
        session.round_trip.assume(trip);
        let epoch = session.epoch;
        let seen: Vec<_> = session
            .slots
            .iter()
            .filter_map(|slot| slot.binding.as_ref().map(|binding| binding.stream))
            .collect();
        self.statistics.transports_up += 1;
        self.reports.push_back(MediaReport::TransportUp { participant: id, epoch, srtp });
        for stream in seen {
            self.want_keyframe(now, stream);
        }
        if let Some(group) = group {
            self.refresh(now, group);
        }
    }

    /// Forgets a connection that is over. The participant keeps its place in its group.
    fn lose(&mut self, now: Time, key: Key<Participant>, reason: LossReason) {
        self.unbind_all_slots(key);
        for stream in self.streams_of(key) {
            self.unbind_all_routes(stream);
        }
        let Some(participant) = self.participants.get(key) else { return };
        let (id, group) = (participant.id, participant.group);
        let Some(epoch) = participant.session.as_ref().map(|session| session.epoch) else { return };
        self.drop_session(now, key);
        self.statistics.transports_lost += 1;
        self.reports.push_back(MediaReport::TransportLost { participant: id, epoch, reason });
        if let Some(group) = group {
            self.refresh(now, group);
        }
        self.count_gauges();
    }

    /// Ends a connection and keeps its goodbye to be sent.
    pub(super) fn close_leg(&mut self, now: Time, leg: &mut Leg) {
        if let Some(connection) = leg.connection() {
            connection.close(now);
        }
        drain_transmits(leg, &mut self.loose);
    }

    /// The next datagram of a connection itself.
    pub(super) fn next_loose(&mut self, buffer: &mut [u8]) -> Option<Transmit> {
        loop {
            let (path, datagram) = self.loose.pop_front()?;
            if let Some(place) = buffer.get_mut(..datagram.len()) {
                place.copy_from_slice(&datagram);
                return Some(Transmit { path, len: datagram.len(), segment_size: None });
            }
        }
    }
}

fn drain_transmits(leg: &mut Leg, loose: &mut std::collections::VecDeque<(Path, Vec<u8>)>) {
    let Some(connection) = leg.connection() else { return };
    while let Some(transmit) = connection.poll_transmit() {
        if loose.len() < MAX_LOOSE {
            loose.push_back(transmit);
        }
    }
}
