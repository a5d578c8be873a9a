//! DTLS by the crate `rtc`.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;

use super::client_hello::HelloReader;
use super::packed_state::PackedState;
use super::peer_check::PeerCheck;
use super::record::records;
use super::record_gate::{RecordGate, is_end};
use super::{Dtls, DtlsEvent, DtlsFailure, DtlsIdentity, DtlsSetupError, MAX_DATAGRAM};
use crate::base::Time;
use crate::message::SrtpProfile;
use crate::transport::srtp::SrtpKeys;
use crate::transport::{Fingerprint, TimeAnchor};

/// With forward secrecy and authenticated encryption, for keys such as ours; the first is what everybody has (RFC 8827
/// section 6.5). The crate's own list has CBC with SHA-1 too, which a client could pick.
const CIPHER_SUITES: [CipherSuiteId; 2] = [
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
];

/// From the first record to the last of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// When the crate makes a flight anew. It gives up after 8 of these, so they must outlast
/// [`HANDSHAKE_TIMEOUT`].
const RENEW_AFTER: Duration = Duration::from_millis(1_250);

/// When we send a flight again as it was; then twice as long, and so on (RFC 6347 section 4.2.4.1).
const REPEAT_AFTER: Duration = Duration::from_millis(200);

/// How long a peer may repeat the end of its handshake: twice the longest time that a segment lives
/// (RFC 6347 section 4.2.4, RFC 793 section 3.3).
const SETTLE_AFTER: Duration = Duration::from_secs(240);

/// How often we send one flight again: the last time 6.2 s after the first.
const MAX_REPEATS: u32 = 5;

/// Datagrams that wait to be fetched. The longest flight takes 3.
const MAX_TRANSMITS: usize = 32;

/// The crate cuts messages at this length and puts up to 50 bytes of headers and tags around.
const MESSAGE_CUT: usize = MAX_DATAGRAM - 50;

/// The crate keeps an association per address. One address for all, so that ours survives a change
/// of path; it is never sent to (RFC 5737).
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// An association of either role.
pub struct RtcDtls {
    identity: DtlsIdentity,
    check: PeerCheck,
    anchor: TimeAnchor,
    is_client: bool,
    state: State,
    /// When the handshake must be done; from its first record on.
    deadline: Option<Time>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<DtlsEvent>,
}

enum State {
    /// A server that waits for the whole ClientHello.
    AwaitingHello(HelloReader),
    Handshaking {
        endpoint: Box<Endpoint>,
        gate: RecordGate,
        flight: Flight,
    },
    /// The peer may repeat its last flight, as it has not got ours.
    Established {
        endpoint: Box<Endpoint>,
        gate: RecordGate,
        settle_at: Option<Time>,
    },
    /// What is left to come is a goodbye, one way or the other: the keys are kept for it, and no more.
    Settled(PackedState),
    Ended,
}

/// What we sent last, until it is answered.
#[derive(Default)]
struct Flight {
    datagrams: Vec<Vec<u8>>,
    repeats: u32,
    repeat_at: Option<Time>,
}

impl RtcDtls {
    /// The passive role: waits for a ClientHello of a peer with one of these certificates.
    #[must_use]
    pub fn server(identity: &DtlsIdentity, peer: &[Fingerprint], anchor: TimeAnchor) -> Self {
        Self::new(identity, peer, anchor, State::AwaitingHello(HelloReader::default()))
    }

    /// The active role: starts the handshake at once, with `profiles` in the order of preference.
    ///
    /// # Errors
    ///
    /// The crate refuses the configuration.
    pub fn client(
        now: Time,
        identity: &DtlsIdentity,
        peer: &[Fingerprint],
        profiles: &[SrtpProfile],
        anchor: TimeAnchor,
    ) -> Result<Self, DtlsSetupError> {
        let mut client = Self { is_client: true, ..Self::new(identity, peer, anchor, State::Ended) };
        let config = client.config(profiles).map_err(|error| DtlsSetupError(error.to_string()))?;
        let mut endpoint = new_endpoint(None);
        endpoint
            .connect(anchor.instant(now), PEER, config, None)
            .map_err(|error| DtlsSetupError(error.to_string()))?;
        client.start(now, endpoint);
        client.collect_transmits(now);
        Ok(client)
    }

    fn new(identity: &DtlsIdentity, peer: &[Fingerprint], anchor: TimeAnchor, state: State) -> Self {
        Self {
            identity: identity.clone(),
            check: PeerCheck::new(peer),
            anchor,
            is_client: false,
            state,
            deadline: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    #[cfg(test)]
    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.state, State::Settled(_))
    }

    fn config(&self, profiles: &[SrtpProfile]) -> Result<Arc<HandshakeConfig>, Error> {
        let check = self.check.clone();
        ConfigBuilder::default()
            .with_crypto_provider(self.identity.provider())
            .with_certificates(vec![self.identity.certificate()])
            .with_cipher_suites(CIPHER_SUITES.to_vec())
            .with_srtp_protection_profiles(profiles.iter().copied().map(to_theirs).collect())
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // No authority vouches for a self-signed certificate; the fingerprint does.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(move |chain: &[Vec<u8>], _: &_| {
                let own = chain.first().map(Vec::as_slice);
                if check.judge(own) { Ok(()) } else { Err(Error::Other("wrong fingerprint".to_owned())) }
            })))
            .with_flight_interval(RENEW_AFTER)
            .with_mtu(MESSAGE_CUT)
            .build(self.is_client, None)
            .map(Arc::new)
    }

    fn start(&mut self, now: Time, endpoint: Endpoint) {
        self.deadline.get_or_insert(now + HANDSHAKE_TIMEOUT);
        let (gate, flight) = (RecordGate::new(), Flight::default());
        self.state = State::Handshaking { endpoint: Box::new(endpoint), gate, flight };
    }

    /// A server's first datagrams, until the ClientHello is whole.
    fn handle_hello(&mut self, now: Time, datagram: &[u8]) {
        let State::AwaitingHello(reader) = &mut self.state else { return };
        if records(datagram).next().is_none() {
            return;
        }
        self.deadline.get_or_insert(now + HANDSHAKE_TIMEOUT);
        let Some(hello) = reader.push(datagram) else { return };
        let Some(profile) = hello.profile else {
            return self.fail(DtlsFailure::NoSrtpProfile);
        };
        match self.config(&[profile]) {
            Ok(config) => self.start(now, new_endpoint(Some(config))),
            Err(error) => return self.fail(DtlsFailure::Handshake(error.to_string())),
        }
        for datagram in hello.datagrams {
            self.handle_record_data(now, &datagram);
        }
    }

    fn handle_record_data(&mut self, now: Time, datagram: &[u8]) {
        let at = self.anchor.instant(now);
        let (endpoint, passed) = match &mut self.state {
            State::Handshaking { endpoint, gate, .. } => (endpoint, gate.during_handshake(datagram)),
            State::Established { endpoint, gate, .. } => (endpoint, gate.after_handshake(datagram)),
            State::AwaitingHello(_) | State::Settled(_) | State::Ended => return,
        };
        if passed.is_empty() {
            return;
        }
        let outcome = endpoint.read(at, PEER, None, passed.as_slice().into());
        // Also after an error: an alert may wait to be sent.
        self.collect_transmits(now);
        match outcome {
            Ok(events) => events.iter().for_each(|event| self.handle_event(now, event)),
            Err(error) => self.handle_error(&error),
        }
    }

    fn handle_event(&mut self, now: Time, event: &EndpointEvent) {
        match event {
            EndpointEvent::HandshakeComplete => match self.export() {
                Ok(keys) => self.establish(now, keys),
                Err(failure) => self.fail(failure),
            },
            EndpointEvent::PeerClosed => self.end_by_peer(),
            // No application data passes the gate, and other events do not concern us.
            _ => {}
        }
    }

    fn handle_error(&mut self, error: &Error) {
        match &self.state {
            State::Established { .. } if is_end(error) => self.end_by_peer(),
            State::Handshaking { .. } if self.check.has_failed() => self.fail(DtlsFailure::Fingerprint),
            State::Handshaking { .. } => self.fail(DtlsFailure::Handshake(error.to_string())),
            _ => {}
        }
    }

    fn end_by_peer(&mut self) {
        match self.state {
            State::Established { .. } => {
                self.state = State::Ended;
                self.events.push_back(DtlsEvent::Closed);
            }
            _ => self.fail(DtlsFailure::Handshake("the peer closed during the handshake".to_owned())),
        }
    }

    /// The SRTP keys, if the peer is the one we expect.
    fn export(&self) -> Result<SrtpKeys, DtlsFailure> {
        if !self.check.has_matched() {
            return Err(DtlsFailure::Fingerprint);
        }
        let State::Handshaking { endpoint, .. } = &self.state else {
            return Err(DtlsFailure::Handshake("done twice".to_owned()));
        };
        let Some(state) = endpoint.get_connection_state(PEER) else {
            return Err(DtlsFailure::Handshake("no association".to_owned()));
        };
        let profile = to_ours(state.srtp_protection_profile()).ok_or(DtlsFailure::NoSrtpProfile)?;
        let exported = state
            .export_keying_material(EXPORTER_LABEL, &[], SrtpKeys::export_len(profile))
            .map_err(|error| DtlsFailure::Handshake(error.to_string()))?;
        SrtpKeys::from_export(profile, exported.as_ref())
            .map_err(|error| DtlsFailure::Handshake(error.to_string()))
    }

    fn establish(&mut self, now: Time, keys: SrtpKeys) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        if let State::Handshaking { endpoint, gate, .. } = state {
            self.state = State::Established { endpoint, gate, settle_at: Some(now + SETTLE_AFTER) };
            self.deadline = None;
            self.events.push_back(DtlsEvent::Connected(keys));
        }
        if self.is_client {
            // The server has spoken last.
            self.settle();
        }
    }

    /// Makes an endpoint of what is left of one, for a goodbye. It stays, because whoever sends one
    /// forged record sends more.
    fn unsettle(&mut self, now: Time) {
        let State::Settled(packed) = &self.state else { return };
        // Profiles and certificates are of no concern any more.
        let restored = self.config(&[SrtpProfile::AeadAes128Gcm]).and_then(|config| {
            let mut endpoint = new_endpoint(None);
            let state = packed.unpack(&self.identity.provider(), self.is_client)?;
            endpoint.connect(self.anchor.instant(now), PEER, config, Some(state))?;
            Ok(endpoint)
        });
        // It has been tried when it was packed.
        if let Ok(endpoint) = restored {
            let (endpoint, gate) = (Box::new(endpoint), RecordGate::for_alerts());
            self.state = State::Established { endpoint, gate, settle_at: None };
        }
    }

    fn fail(&mut self, failure: DtlsFailure) {
        if !matches!(self.state, State::Ended) {
            self.state = State::Ended;
            self.deadline = None;
            self.events.push_back(DtlsEvent::Failed(failure));
        }
    }

    /// Takes what the crate wants sent. A new flight answers what came, so it replaces the last.
    fn collect_transmits(&mut self, now: Time) {
        let (State::Handshaking { endpoint, .. } | State::Established { endpoint, .. }) = &mut self.state
        else {
            return;
        };
        let datagrams: Vec<Vec<u8>> = std::iter::from_fn(|| endpoint.poll_transmit())
            .map(|transmit| transmit.message.to_vec())
            .collect();
        if datagrams.is_empty() {
            return;
        }
        for datagram in &datagrams {
            enqueue(&mut self.transmits, datagram.clone());
        }
        if let State::Handshaking { flight, .. } = &mut self.state {
            *flight = Flight { datagrams, repeats: 0, repeat_at: Some(now + REPEAT_AFTER) };
        }
    }

    /// Sends the last flight again as it was, if nothing has answered it.
    ///
    /// The crate stops its own timer whenever any handshake record comes, also one that it has seen.
    /// Where our flight was lost and the peer repeats its own, both would wait for ever.
    fn repeat_flight(&mut self, now: Time) {
        let State::Handshaking { flight, .. } = &mut self.state else { return };
        if flight.repeat_at.is_none_or(|at| at > now) {
            return;
        }
        flight.repeats += 1;
        flight.repeat_at = (flight.repeats < MAX_REPEATS).then(|| now + REPEAT_AFTER * (1 << flight.repeats));
        for datagram in &flight.datagrams {
            enqueue(&mut self.transmits, datagram.clone());
        }
    }

    /// Lets the crate make its last flight anew, if that is due.
    fn renew_flight(&mut self, now: Time) {
        let at = self.anchor.instant(now);
        let State::Handshaking { endpoint, flight, .. } = &mut self.state else { return };
        if endpoint.poll_timeout(&PEER).is_none_or(|due| due > at) {
            return;
        }
        let (repeats, repeat_at) = (flight.repeats, flight.repeat_at);
        let outcome = endpoint.handle_timeout(PEER, at);
        self.collect_transmits(now);
        if let State::Handshaking { flight, .. } = &mut self.state {
            // The same flight in new records: the pauses go on growing.
            (flight.repeats, flight.repeat_at) = (repeats, repeat_at);
        }
        if let Err(error) = outcome {
            self.handle_error(&error);
        }
    }
}

impl Dtls for RtcDtls {
    fn handle_datagram(&mut self, now: Time, datagram: &[u8]) {
        match self.state {
            State::AwaitingHello(_) => self.handle_hello(now, datagram),
            State::Handshaking { .. } | State::Established { .. } => self.handle_record_data(now, datagram),
            State::Settled(_) if RecordGate::for_alerts().after_handshake(datagram).is_empty() => {}
            State::Settled(_) => {
                self.unsettle(now);
                self.handle_record_data(now, datagram);
            }
            State::Ended => {}
        }
    }

    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let datagram = self.transmits.pop_front();
        if self.transmits.is_empty() {
            self.transmits = VecDeque::new();
        }
        datagram
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        event
    }

    fn poll_timeout(&self) -> Option<Time> {
        let (renew, repeat) = match &self.state {
            State::Handshaking { endpoint, flight, .. } => {
                (endpoint.poll_timeout(&PEER).map(|at| self.anchor.time(at)), flight.repeat_at)
            }
            State::Established { settle_at, .. } => (None, *settle_at),
            _ => (None, None),
        };
        [self.deadline, renew, repeat].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return self.fail(DtlsFailure::Timeout);
        }
        if matches!(self.state, State::Established { settle_at: Some(at), .. } if at <= now) {
            self.settle();
        }
        self.renew_flight(now);
        self.repeat_flight(now);
    }

    fn settle(&mut self) {
        let State::Established { endpoint, settle_at, .. } = &mut self.state else { return };
        if settle_at.take().is_none() {
            return;
        }
        let packed = endpoint
            .get_connection_state(PEER)
            .and_then(|state| PackedState::of(state, &self.identity.provider()).ok());
        // An endpoint that cannot be packed works as well; it takes more memory.
        if let Some(packed) = packed {
            self.state = State::Settled(packed);
        }
    }

    fn close(&mut self, now: Time) {
        self.unsettle(now);
        let at = self.anchor.instant(now);
        if let State::Established { endpoint, .. } = &mut self.state {
            endpoint.stop(at, PEER);
            self.collect_transmits(now);
        }
        self.state = State::Ended;
        self.deadline = None;
    }
}

fn new_endpoint(server: Option<Arc<HandshakeConfig>>) -> Endpoint {
    // Its own address is only copied into what it sends, which we do not look at.
    Endpoint::new(PEER, TransportProtocol::UDP, server)
}

fn enqueue(transmits: &mut VecDeque<Vec<u8>>, datagram: Vec<u8>) {
    if transmits.len() < MAX_TRANSMITS {
        transmits.push_back(datagram);
    }
}

const fn to_theirs(profile: SrtpProfile) -> SrtpProtectionProfile {
    match profile {
        SrtpProfile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        SrtpProfile::AesCm128HmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    }
}

const fn to_ours(profile: SrtpProtectionProfile) -> Option<SrtpProfile> {
    match profile {
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Some(SrtpProfile::AeadAes128Gcm),
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Some(SrtpProfile::AesCm128HmacSha1_80),
        _ => None,
    }
}
