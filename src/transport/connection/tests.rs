//! A client and the server's end of its connection, in one thread, on virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::base::Random;
use crate::transport::Fingerprint;
use crate::transport::dtls::tests::pair::{anchor, fragmented, is_client_hello};
use crate::transport::srtp::{OVERHEAD_RTCP, OVERHEAD_RTP};
use crate::wire::stun::{Class, METHOD_BINDING, StunView, StunWriter};

mod timeouts;

const START: Time = Time::from_unix_seconds(1_000);
const BROWSER: [SrtpProfile; 2] = [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AeadAes128Gcm];
const OLD_TOOL: [SrtpProfile; 1] = [SrtpProfile::AesCm128HmacSha1_80];

fn wifi() -> Path {
    Path::new("192.0.2.1:5000".parse().unwrap(), Some("10.0.0.1".parse().unwrap()))
}

fn mobile() -> Path {
    Path::new("[2001:db8::7]:6000".parse().unwrap(), None)
}

fn hotel() -> Path {
    Path::new("203.0.113.4:8000".parse().unwrap(), None)
}

/// Somebody who has sent no authenticated check.
fn stranger() -> Path {
    Path::new("198.51.100.9:7000".parse().unwrap(), None)
}

/// A full ICE agent and DTLS client, as far as these tests need one.
struct Client {
    own: IceCredentials,
    server: IceCredentials,
    dtls: RtcDtls,
    media: Option<(Outbound, Inbound)>,
    closed: bool,
}

struct World {
    now: Time,
    random: Random,
    server: Connection,
    client: Client,
    /// Where the client is.
    at: Path,
    events: Vec<ConnectionEvent>,
}

fn negotiated(remote: &IceCredentials, fingerprint: Fingerprint) -> Negotiated {
    Negotiated {
        remote_ufrag: remote.ufrag.clone(),
        remote_pwd: remote.pwd.clone(),
        fingerprints: vec![fingerprint],
        sends: vec![],
        slots: vec![],
    }
}

impl World {
    fn new(profiles: &[SrtpProfile]) -> Self {
        let identity = DtlsIdentity::generate().unwrap();
        let named = identity.fingerprint().clone();
        Self::with_client(profiles, &identity, named)
    }

    /// A client with `identity`, of whose certificate the offer says `named`.
    fn with_client(profiles: &[SrtpProfile], identity: &DtlsIdentity, named: Fingerprint) -> Self {
        let mut random = Random::from_number(1);
        let (own, local) = (IceCredentials::random(&mut random), IceCredentials::random(&mut random));
        let ours = DtlsIdentity::generate().unwrap();
        let server = Connection::new(START, &negotiated(&own, named), local.clone(), &ours, anchor());
        let expected = [ours.fingerprint().clone()];
        let dtls = RtcDtls::client(START, identity, &expected, profiles, anchor()).unwrap();
        let client = Client { own, server: local, dtls, media: None, closed: false };
        Self { now: START, random, server, client, at: wifi(), events: vec![] }
    }

    /// A world in which media flows.
    fn up(profiles: &[SrtpProfile]) -> Self {
        let mut world = Self::new(profiles);
        assert!(world.check(true));
        world.exchange();
        assert!(world.server.is_up() && world.client.media.is_some(), "{:?}", world.events);
        world
    }

    /// The client checks the path that it is on; answers whether a good reply came back there.
    fn check(&mut self, nominate: bool) -> bool {
        let mut out = [0; 512];
        let mut id = [0; 12];
        self.random.fill(&mut id);
        let username = format!("{}:{}", self.client.server.ufrag, self.client.own.ufrag);
        let writer = StunWriter::new(Class::Request, METHOD_BINDING, id, &mut out).unwrap();
        let mut writer = writer.username(&username).unwrap().ice_controlling(7).unwrap();
        if nominate {
            writer = writer.use_candidate().unwrap();
        }
        let writer = writer.integrity(self.client.server.pwd.as_bytes()).unwrap();
        let len = writer.fingerprint().unwrap().finish();
        self.server.handle_stun(self.now, self.at, &out[..len]);
        let Some((path, reply)) = self.server.poll_transmit() else { return false };
        let reply = StunView::parse(&reply).unwrap();
        assert_eq!((path, reply.transaction_id()), (self.at, id));
        reply.class() == Class::Success && reply.check_integrity(self.client.server.pwd.as_bytes())
    }

    /// Carries DTLS both ways until both are quiet.
    fn exchange(&mut self) {
        self.exchange_over(|datagram| vec![datagram]);
    }

    /// The same, with something between the client and the server.
    fn exchange_over(&mut self, wire: impl Fn(Vec<u8>) -> Vec<Vec<u8>>) {
        for _ in 0..100 {
            let up: Vec<_> = std::iter::from_fn(|| self.client.dtls.poll_transmit()).collect();
            let down: Vec<_> = std::iter::from_fn(|| self.server.poll_transmit()).collect();
            self.take_events();
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.now = self.now + Duration::from_millis(1);
            for datagram in up.into_iter().flat_map(&wire) {
                self.server.handle_dtls(self.now, self.at, &datagram);
            }
            for (path, datagram) in down {
                assert_eq!(path, self.at, "sent to where nobody is");
                self.client.dtls.handle_datagram(self.now, &datagram);
            }
        }
        panic!("the ends do not come to rest");
    }

    fn take_events(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.server.poll_event()));
        while let Some(event) = self.client.dtls.poll_event() {
            match event {
                DtlsEvent::Connected(keys) => self.client.media = Some(keys.client_contexts().unwrap()),
                DtlsEvent::Failed(_) | DtlsEvent::Closed => self.client.closed = true,
            }
        }
    }

    /// Lets time pass, with the timers of the server; the client is silent.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.events.extend(std::iter::from_fn(|| self.server.poll_event()));
        }
        self.now = end;
    }

    /// Sends one packet up and one down, RTP and RTCP; `number` is new each time.
    fn assert_media_flows(&mut self, number: u16) {
        let index = u64::from(number);
        let mut packet = self.sealed_by_client(number);
        assert_eq!(self.server.open_rtp(self.now, self.at, &mut packet).unwrap().index, index);
        let (outbound, inbound) = self.client.media.as_mut().unwrap();

        let mut packet = [rtp(number), vec![0; OVERHEAD_RTP]].concat();
        let len = self.server.seal_rtp(&mut packet, rtp(number).len(), index).unwrap();
        let opened = inbound.open_rtp(&mut packet[..len]).unwrap();
        assert_eq!(packet[..opened.len], rtp(number));

        let mut report = [REPORT.to_vec(), vec![0; OVERHEAD_RTCP]].concat();
        let len = outbound.seal_rtcp(&mut report, REPORT.len()).unwrap();
        assert_eq!(self.server.open_rtcp(self.now, self.at, &mut report[..len]), Ok(REPORT.len()));
        let mut report = [REPORT.to_vec(), vec![0; OVERHEAD_RTCP]].concat();
        let len = self.server.seal_rtcp(&mut report, REPORT.len()).unwrap();
        assert_eq!(inbound.open_rtcp(&mut report[..len]), Ok(REPORT.len()));
        assert_eq!(self.server.path(), Some(self.at));
    }

    fn sealed_by_client(&mut self, number: u16) -> Vec<u8> {
        let mut packet = [rtp(number), vec![0; OVERHEAD_RTP]].concat();
        let (outbound, _) = self.client.media.as_mut().unwrap();
        let len = outbound.seal_rtp(&mut packet, rtp(number).len(), u64::from(number)).unwrap();
        packet.truncate(len);
        packet
    }

    /// That nothing goes in or out any more.
    fn assert_over(&mut self, reason: LossReason) {
        assert_eq!(self.events.last(), Some(&ConnectionEvent::Lost(reason)));
        let mut packet = [rtp(9), vec![0; OVERHEAD_RTP]].concat();
        assert_eq!(self.server.seal_rtp(&mut packet, rtp(9).len(), 9), Err(MediaError::NotUp));
        assert_eq!(self.server.open_rtp(self.now, self.at, &mut packet), Err(MediaError::NotUp));
        assert_eq!(self.server.seal_rtcp(&mut packet, 8), Err(MediaError::NotUp));
        assert!(!self.check(true), "a check was answered");
        assert!(!self.server.handle_dtls(self.now, self.at, b"anything"));
        assert_eq!((self.server.poll_transmit(), self.server.poll_timeout()), (None, None));
        assert!(self.server.handle_timeout(self.now + Duration::from_secs(100)).is_empty());
        assert_eq!((self.server.poll_event(), self.server.profile()), (None, None));
    }
}

/// A connection may be made on one thread and run on another.
const _: fn() = {
    const fn assert_send<T: Send>() {}
    assert_send::<Connection>
};

const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 5];

fn rtp(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    [&[0x80, 111, high, low, 0, 0, 0, 1, 0, 0, 0, 5][..], b"a voice"].concat()
}

#[test]
fn media_flows_both_ways_under_the_profile_that_the_server_prefers() {
    let profiles: [(&[SrtpProfile], SrtpProfile); 2] =
        [(&BROWSER, SrtpProfile::AeadAes128Gcm), (&OLD_TOOL, SrtpProfile::AesCm128HmacSha1_80)];
    for (offered, chosen) in profiles {
        let mut world = World::up(offered);
        assert_eq!(world.events, [ConnectionEvent::Up(chosen)]);
        assert_eq!(world.server.profile(), Some(chosen));
        for number in 1..50 {
            world.assert_media_flows(number);
        }
        let mut packet = world.sealed_by_client(60);
        let mut again = packet.clone();
        assert!(world.server.open_rtp(world.now, wifi(), &mut packet).is_ok());
        assert_eq!(world.server.open_rtp(world.now, wifi(), &mut again), Err(SrtpError::Replayed.into()));
    }
}

#[test]
fn a_client_hello_in_pieces_is_read() {
    let mut world = World::new(&BROWSER);
    world.check(true);
    world.exchange_over(|datagram| {
        if !is_client_hello(&datagram) {
            return vec![datagram];
        }
        let mut pieces = fragmented(&datagram, 60);
        pieces.reverse();
        pieces
    });
    assert_eq!(world.events, [ConnectionEvent::Up(SrtpProfile::AeadAes128Gcm)]);
}

#[test]
fn a_client_with_another_certificate_gets_no_media_in_or_out() {
    let (identity, named) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut world = World::with_client(&BROWSER, &identity, named.fingerprint().clone());
    world.check(true);
    world.exchange();
    assert!(world.client.media.is_none(), "the client never sees a Finished");
    world.assert_over(LossReason::Fingerprint);
}

#[test]
fn dtls_from_an_address_without_a_check_gets_no_answer() {
    let mut world = World::new(&BROWSER);
    let hello = world.client.dtls.poll_transmit().unwrap();
    for _ in 0..1_000 {
        assert!(!world.server.handle_dtls(world.now, stranger(), &hello));
    }
    assert_eq!(world.server.poll_transmit(), None);

    // Nor later, when the client itself is connecting; and the client does not suffer.
    world.check(true);
    assert!(!world.server.handle_dtls(world.now, stranger(), &hello));
    assert_eq!(world.server.poll_transmit(), None);
    assert!(world.server.handle_dtls(world.now, wifi(), &hello));
    world.exchange();
    assert_eq!(world.events, [ConnectionEvent::Up(SrtpProfile::AeadAes128Gcm)]);
}

#[test]
fn nothing_is_opened_or_sealed_before_the_certificate_is_known() {
    let mut world = World::new(&BROWSER);
    world.check(true);
    let hello = world.client.dtls.poll_transmit().unwrap();
    world.server.handle_dtls(world.now, wifi(), &hello);
    let mut packet = [rtp(1), vec![0; OVERHEAD_RTP]].concat();
    assert_eq!(world.server.seal_rtp(&mut packet, rtp(1).len(), 1), Err(MediaError::NotUp));
    assert_eq!(world.server.open_rtp(world.now, wifi(), &mut packet), Err(MediaError::NotUp));
    assert_eq!(world.server.open_rtcp(world.now, wifi(), &mut packet), Err(MediaError::NotUp));
    assert_eq!(packet, [rtp(1), vec![0; OVERHEAD_RTP]].concat());
}

#[test]
fn media_counts_only_from_validated_paths_and_moves_no_address() {
    let mut world = World::up(&BROWSER);
    let mut packet = world.sealed_by_client(7);
    assert_eq!(
        world.server.open_rtp(world.now, stranger(), &mut packet.clone()),
        Err(MediaError::UnknownPath)
    );
    assert_eq!(world.server.path(), Some(wifi()));
    assert!(world.server.open_rtp(world.now, wifi(), &mut packet).is_ok(), "the attempt has not used it up");
}

#[test]
fn a_flood_of_forged_packets_does_not_end_a_session() {
    let mut world = World::up(&BROWSER);
    for number in 0..100_000_u32 {
        let mut forged = rtp(u16::try_from(number % 65_536).unwrap());
        forged.extend(number.to_be_bytes());
        forged.extend([0; 16]);
        assert_eq!(world.server.open_rtp(world.now, wifi(), &mut forged), Err(SrtpError::Unauthentic.into()));
    }
    world.server.handle_dtls(world.now, wifi(), &[22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 1, 1]);
    world.exchange();
    world.assert_media_flows(1);
}

#[test]
fn a_client_that_changes_its_address_keeps_its_session() {
    let mut world = World::up(&BROWSER);
    world.assert_media_flows(1);
    let mut late = world.sealed_by_client(2);

    world.at = mobile();
    let mut early = world.sealed_by_client(3);
    assert_eq!(world.server.open_rtp(world.now, mobile(), &mut early), Err(MediaError::UnknownPath));
    assert!(world.check(true));
    world.assert_media_flows(4);
    assert!(world.server.open_rtp(world.now, wifi(), &mut late).is_ok(), "what was under way still counts");

    // The old address falls silent.
    world.pass(Duration::from_secs(20));
    assert!(world.check(true));
    world.pass(Duration::from_secs(15));
    assert_eq!(world.server.paths().collect::<Vec<_>>(), [mobile()]);
    world.assert_media_flows(5);
    assert_eq!(world.events.len(), 1);
}

#[test]
fn before_a_nomination_dtls_answers_where_it_was_asked() {
    let mut world = World::new(&BROWSER);
    world.check(false);
    world.at = mobile();
    world.check(false);
    world.exchange();
    assert!(world.server.is_up());
    world.assert_media_flows(1);
    world.at = wifi();
    world.check(true);
    world.assert_media_flows(2);
}

#[test]
fn an_ice_restart_keeps_dtls_and_srtp() {
    let mut world = World::up(&BROWSER);
    world.assert_media_flows(1);
    let (local, remote) =
        (IceCredentials::random(&mut world.random), IceCredentials::random(&mut world.random));
    world.server.restart_ice(local.clone(), remote.clone());
    assert_eq!(world.server.local_ufrags().count(), 2);
    world.assert_media_flows(2);
    assert!(world.check(false), "the old credentials hold until the new ones are used");

    (world.client.server, world.client.own) = (local, remote);
    world.at = mobile();
    assert!(world.check(true));
    assert_eq!(world.server.local_ufrags().count(), 1);
    world.assert_media_flows(3);
    world.exchange();
    assert_eq!(world.events.len(), 1, "no second handshake: {:?}", world.events);
}

/// The handshake was at home; since then the client has moved, and is moving again.
#[test]
fn an_ice_restart_does_not_lead_back_to_where_the_handshake_was() {
    let mut world = World::up(&BROWSER);
    world.at = mobile();
    assert!(world.check(true));
    assert_eq!(world.server.path(), Some(mobile()));
    let (local, remote) =
        (IceCredentials::random(&mut world.random), IceCredentials::random(&mut world.random));
    world.server.restart_ice(local.clone(), remote.clone());
    (world.client.server, world.client.own) = (local, remote);
    world.at = hotel();
    assert!(world.check(false));
    assert_eq!(world.server.path(), Some(hotel()), "the first path of the new session");
    assert!(world.check(true));
    world.assert_media_flows(1);
}

#[test]
fn either_end_says_goodbye() {
    let mut world = World::up(&BROWSER);
    world.client.dtls.close(world.now);
    world.exchange();
    world.assert_over(LossReason::Closed);

    let mut world = World::up(&OLD_TOOL);
    world.server.close(world.now);
    world.exchange();
    assert!(world.client.closed && !world.server.is_up());
    assert_eq!(world.events.len(), 1, "who closes is not told of it");
    assert!(!world.check(true));
}

/// DTLS that is told each time that the client uses the keys.
struct Watched {
    dtls: RtcDtls,
    told: Arc<AtomicUsize>,
}

impl Dtls for Watched {
    fn handle_datagram(&mut self, now: Time, datagram: &[u8]) {
        self.dtls.handle_datagram(now, datagram);
    }
    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.dtls.poll_transmit()
    }
    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.dtls.poll_event()
    }
    fn poll_timeout(&self) -> Option<Time> {
        self.dtls.poll_timeout()
    }
    fn handle_timeout(&mut self, now: Time) {
        self.dtls.handle_timeout(now);
    }
    fn settle(&mut self) {
        self.told.fetch_add(1, Ordering::Relaxed);
        self.dtls.settle();
    }
    fn close(&mut self, now: Time) {
        self.dtls.close(now);
    }
}

#[test]
fn the_first_packet_that_opens_ends_the_wait_for_repeated_flights() {
    let mut world = World::new(&BROWSER);
    let told = Arc::new(AtomicUsize::new(0));
    let (ours, named) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let dtls = RtcDtls::server(&ours, &[named.fingerprint().clone()], anchor());
    world.server.dtls = Box::new(Watched { dtls, told: Arc::clone(&told) });
    let expected = [ours.fingerprint().clone()];
    world.client.dtls = RtcDtls::client(START, &named, &expected, &BROWSER, anchor()).unwrap();
    assert!(world.check(true));
    world.exchange();
    let mut forged = world.sealed_by_client(1);
    forged[14] ^= 1;
    assert!(world.server.open_rtp(world.now, world.at, &mut forged).is_err());
    assert_eq!(told.load(Ordering::Relaxed), 0);
    world.assert_media_flows(2);
    world.assert_media_flows(3);
    assert_eq!(told.load(Ordering::Relaxed), 1);
    world.client.dtls.close(world.now);
    world.exchange();
    world.assert_over(LossReason::Closed);
}
