//! Datagrams for a DTLS server: before there is a handshake, and after it.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anteroom::base::Time;
use anteroom::message::SrtpProfile;
use anteroom::transport::dtls::{Dtls, DtlsEvent, DtlsIdentity, MAX_DATAGRAM, RtcDtls};
use anteroom::transport::{Fingerprint, TimeAnchor};

use super::input::Input;

pub(super) const NOW: Time = Time(1_000_000_000);
pub(super) const PROFILES: [SrtpProfile; 2] = [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AeadAes128Gcm];

/// How many inputs one association takes.
const INPUTS: u32 = 256;

pub(super) fn anchor() -> TimeAnchor {
    static ANCHOR: OnceLock<Instant> = OnceLock::new();
    TimeAnchor { at: NOW, instant: *ANCHOR.get_or_init(Instant::now) }
}

/// The certificates of the client and of the server; the same for all runs, for they take long to make.
pub(super) fn identities() -> &'static (DtlsIdentity, DtlsIdentity) {
    static IDENTITIES: OnceLock<(DtlsIdentity, DtlsIdentity)> = OnceLock::new();
    IDENTITIES.get_or_init(|| (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap()))
}

pub(super) fn server() -> RtcDtls {
    let (client, server) = identities();
    RtcDtls::server(server, &[client.fingerprint().clone()], anchor())
}

pub(super) fn client() -> RtcDtls {
    client_of(identities().1.fingerprint())
}

/// A client that expects a server with this certificate.
pub(super) fn client_of(server: &Fingerprint) -> RtcDtls {
    RtcDtls::client(NOW, &identities().0, std::slice::from_ref(server), &PROFILES, anchor()).unwrap()
}

/// Nobody gets keys by hellos alone, and what is answered is bounded.
pub fn hello(data: &[u8]) {
    let mut server = server();
    let mut input = Input::new(data);
    let (mut now, mut came, mut left) = (NOW, 0, 0);
    while !input.is_empty() {
        server.handle_datagram(now, input.long_piece());
        came += 1;
        while let Some(datagram) = server.poll_transmit() {
            assert!(datagram.len() <= MAX_DATAGRAM);
            left += 1;
        }
        while let Some(event) = server.poll_event() {
            assert!(!matches!(event, DtlsEvent::Connected(_)), "connected by hellos");
        }
        now = now + Duration::from_millis(20);
    }
    // A flight of the server's is at most three datagrams.
    assert!(left <= 3 * came, "{left} datagrams for {came}");
}

/// An association that is up, of which `uses` inputs have been seen.
struct Up {
    client: RtcDtls,
    server: RtcDtls,
    uses: u32,
}

thread_local! {
    static UP: RefCell<Option<Up>> = const { RefCell::new(None) };
}

fn connected() -> Up {
    let (mut client, mut server, mut now) = (client(), server(), NOW);
    let (mut client_up, mut server_up) = (false, false);
    for _ in 0..20 {
        now = now + Duration::from_millis(1);
        while let Some(datagram) = client.poll_transmit() {
            server.handle_datagram(now, &datagram);
        }
        while let Some(datagram) = server.poll_transmit() {
            client.handle_datagram(now, &datagram);
        }
        client_up |= matches!(client.poll_event(), Some(DtlsEvent::Connected(_)));
        server_up |= matches!(server.poll_event(), Some(DtlsEvent::Connected(_)));
    }
    assert!(client_up && server_up);
    Up { client, server, uses: 0 }
}

/// Nothing that is not sealed with the keys touches an association that is up, and nothing is answered.
pub fn established(data: &[u8]) {
    UP.with_borrow_mut(|slot| {
        let up = match slot.take() {
            Some(up) if up.uses < INPUTS => up,
            _ => connected(),
        };
        let mut up = up;
        up.uses += 1;
        let mut input = Input::new(data);
        if input.u8() & 1 == 1 && up.uses > INPUTS / 2 {
            up.server.settle();
        }
        let now = NOW + Duration::from_secs(1);
        while !input.is_empty() {
            let datagram = input.long_piece();
            up.server.handle_datagram(now, datagram);
            up.client.handle_datagram(now, datagram);
        }
        for end in [&mut up.server, &mut up.client] {
            assert!(end.poll_transmit().is_none() && end.poll_event().is_none());
        }
        *slot = Some(up);
    });
}
